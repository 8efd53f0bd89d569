/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/io/process.h"

#include <dirent.h>
#include <stddef.h>
#include <sys/resource.h>

uint64_t process_descriptors_max(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : 0;
}

uint32_t process_descriptors_open(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint32_t count = 0;
    if (directory == NULL) {
        return 0;
    }
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the directory itself */
}

uint64_t process_locked_bytes_max(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : UINT64_MAX;
}
