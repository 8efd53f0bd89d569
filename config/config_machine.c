/* SPDX-License-Identifier: Apache-2.0 */
/* Files and names, as this machine has them.
 *
 * Happy path: a regular file of a sane size is read whole; a host name is the resolver's business.
 *
 * Failure modes: directories, FIFOs, devices, empty, unreadable and huge files are told apart and never waited for; a
 * file that changes while it is read is an error instead of half a configuration. */
#include "config/config_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/yaml_tree.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"

/* A bundle of every public CA has 220 KB. */
#define PEM_FILE_BYTES_MAX (16 * 1024 * 1024)

static enum weft_err file_open(const char *path, off_t bytes_max, int *fd, struct stat *status, struct weft_error *why)
{
    /* Without O_NONBLOCK a FIFO would be waited for. */
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (opened < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "cannot open %s", path);
    }
    enum weft_err err = WEFT_OK;
    if (fstat(opened, status) != 0) {
        err = weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "cannot look at %s", path);
    } else if (S_ISDIR(status->st_mode)) {
        err = weft_error_set(why, WEFT_ERR_CONFIG, "%s is a directory; name a file", path);
    } else if (!S_ISREG(status->st_mode)) {
        err = weft_error_set(why, WEFT_ERR_CONFIG, "%s is not a regular file", path);
    } else if (status->st_size > bytes_max) {
        err = weft_error_set(why, WEFT_ERR_TOO_LARGE, "%s is larger than %lld KiB", path, (long long)bytes_max / 1024);
    } else if (status->st_size == 0) {
        err = weft_error_set(why, WEFT_ERR_CONFIG, "%s is empty", path);
    }
    if (err != WEFT_OK) {
        close(opened);
        return err;
    }
    *fd = opened;
    return WEFT_OK;
}

enum weft_err config_machine_check_file(void *ctx, const char *path, struct weft_error *why)
{
    struct stat status;
    int fd;
    (void)ctx;
    WEFT_TRY(file_open(path, PEM_FILE_BYTES_MAX, &fd, &status, why));
    close(fd);
    return WEFT_OK;
}

/* Until the end or until the room is used up; the room has a byte more than the file had. */
static enum weft_err stream_fill(FILE *stream, const char *path, char *text, size_t room, size_t *bytes,
                                 struct weft_error *why)
{
    *bytes = fread(text, 1, room, stream);
    if (ferror(stream)) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "cannot read %s", path);
    }
    return WEFT_OK;
}

static bool status_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

enum weft_err config_machine_read_file(void *ctx, const char *path, char **text, size_t *bytes, struct weft_error *why)
{
    struct stat before;
    struct stat after;
    int fd;
    (void)ctx;
    WEFT_TRY(file_open(path, YAML_TREE_FILE_BYTES_MAX, &fd, &before, why));
    FILE *stream = fdopen(fd, "r");
    if (stream == NULL) {
        close(fd);
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to read %s", path);
    }
    size_t expected = (size_t)before.st_size;
    char *filled = calloc(1, expected + 1);
    enum weft_err err = filled == NULL ? weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to read %s", path)
                                       : stream_fill(stream, path, filled, expected + 1, bytes, why);
    if (err == WEFT_OK && (*bytes != expected || fstat(fd, &after) != 0 || !status_same(&before, &after))) {
        err = weft_error_set(why, WEFT_ERR_STATE, "%s changed while it was read; try again", path);
    }
    fclose(stream);
    if (err != WEFT_OK) {
        free(filled);
        return err;
    }
    *text = filled;
    return WEFT_OK;
}

enum weft_err config_machine_resolve(void *ctx, const char *name, struct address *address, struct weft_error *why)
{
    return resolver_ask(ctx, name, address, why);
}

enum weft_err config_machine_directory(struct config_arena *arena, const char *path, const char **directory)
{
    char working[PATH_MAX] = "";
    char text[2 * PATH_MAX];
    const char *slash = strrchr(path, '/');
    int path_bytes = slash == NULL ? 0 : (int)(slash - path);
    if (path[0] != '/' && getcwd(working, sizeof working) == NULL) {
        return WEFT_ERR_CONFIG;
    }
    int written =
        snprintf(text, sizeof text, "%s%s%.*s", working, path[0] == '/' || slash == NULL ? "" : "/", path_bytes, path);
    if (written < 0 || (size_t)written >= sizeof text) {
        return WEFT_ERR_CONFIG;
    }
    *directory = config_arena_text(arena, text, (size_t)written);
    return *directory != NULL ? WEFT_OK : WEFT_ERR_NO_MEMORY;
}
