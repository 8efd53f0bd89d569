/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/machine/system_file.h"

#include <dirent.h>
#include <string.h>

static bool path_make(char path[SYSTEM_PATH_BYTES], const char *root, const char *below)
{
    int written = snprintf(path, SYSTEM_PATH_BYTES, "%s%s", root, below);
    return written > 0 && (size_t)written < SYSTEM_PATH_BYTES;
}

void system_file_open(struct system_file *file, const char *root, const char *path)
{
    char whole[SYSTEM_PATH_BYTES];
    file->lines_left = SYSTEM_LINES_MAX;
    file->file = path_make(whole, root, path) ? fopen(whole, "re") : NULL;
}

bool system_file_line(struct system_file *file, char *line, size_t bytes, bool *cut)
{
    *cut = false;
    if (file->file == NULL || file->lines_left == 0 || fgets(line, (int)bytes, file->file) == NULL) {
        return false;
    }
    file->lines_left--;
    size_t length = strlen(line); /* a NUL within ends the line early, and its end is then missing */
    if (length > 0 && line[length - 1] == '\n') {
        line[length - 1] = '\0';
        return true;
    }
    char rest[256];
    while (fgets(rest, sizeof rest, file->file) != NULL) {
        *cut = true;
        if (file->lines_left == 0 || strchr(rest, '\n') != NULL) {
            break;
        }
        file->lines_left--;
    }
    return true;
}

void system_file_close(struct system_file *file)
{
    if (file->file != NULL) {
        fclose(file->file);
        file->file = NULL;
    }
}

bool system_line_read(const char *root, const char *path, char *line, size_t bytes)
{
    struct system_file file;
    bool cut = false;
    system_file_open(&file, root, path);
    bool found = system_file_line(&file, line, bytes, &cut) && !cut;
    system_file_close(&file);
    if (!found) {
        line[0] = '\0';
    }
    return found;
}

void system_names_visit(const char *root, const char *path, system_name_fn *fn, void *ctx)
{
    char whole[SYSTEM_PATH_BYTES];
    DIR *directory = path_make(whole, root, path) ? opendir(whole) : NULL;
    if (directory == NULL) {
        return;
    }
    const struct dirent *entry;
    for (uint32_t seen = 0; seen < SYSTEM_NAMES_MAX && (entry = readdir(directory)) != NULL; seen++) {
        if (entry->d_name[0] != '.' && !fn(ctx, entry->d_name)) {
            break;
        }
    }
    closedir(directory);
}
