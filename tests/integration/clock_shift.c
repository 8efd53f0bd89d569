/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a program: its wall clock is what the file CLOCK_SHIFT says, in seconds, away from the true one. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("CLOCK_SHIFT");
    char text[32] = "";
    if (result != 0 || clock != CLOCK_REALTIME || path == NULL) {
        return result;
    }
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t bytes = read(file, text, sizeof text - 1);
        now->tv_sec += bytes > 0 ? strtol(text, NULL, 10) : 0;
        close(file);
    }
    return 0;
}
