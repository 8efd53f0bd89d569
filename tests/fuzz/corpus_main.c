/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzzer's function once over every file of the folders and files named, without libFuzzer, so that any
 * compiler can replay a corpus or a crash.
 *
 * Prints how many inputs ran.  Fails on an input that cannot be read, and when there was none at all: a corpus that
 * went missing must not look like a pass. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Larger than any limit that a decoder has. */
#define INPUT_BYTES_MAX (32u * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int file_run(const char *path, uint64_t file_bytes)
{
    if (file_bytes > INPUT_BYTES_MAX) {
        fprintf(stderr, "%s: %llu bytes; an input has at most %u\n", path, (unsigned long long)file_bytes,
                INPUT_BYTES_MAX);
        return 1;
    }
    FILE *file = fopen(path, "rb");
    /* Exactly as large as the input, so that a sanitizer sees a read past its end. */
    size_t bytes = (size_t)file_bytes;
    uint8_t *data = malloc(bytes > 0 ? bytes : 1);
    int failed = file == NULL || data == NULL || fread(data, 1, bytes, file) != bytes;
    if (failed) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    } else {
        LLVMFuzzerTestOneInput(data, bytes);
    }
    free(data);
    if (file != NULL) {
        fclose(file);
    }
    return failed;
}

static int path_run(const char *path, unsigned *count);

static int folder_run(const char *path, unsigned *count)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    int failed = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char child[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        int written = snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        failed |= written < 0 || (size_t)written >= sizeof child || path_run(child, count) != 0;
    }
    closedir(folder);
    return failed;
}

static int path_run(const char *path, unsigned *count)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    if (S_ISDIR(about.st_mode)) {
        return folder_run(path, count);
    }
    (*count)++;
    return file_run(path, (uint64_t)about.st_size);
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed |= path_run(argv[i], &count);
    }
    printf("%u inputs\n", count);
    return failed != 0 || count == 0;
}
