/* SPDX-License-Identifier: Apache-2.0 */
/* Files and names, as this machine has them.
 *
 * Happy path: a regular file of a sane size is read whole; a host name gives its first IPv4 address, or else its first
 * IPv6 address.
 *
 * Failure modes: directories, FIFOs, devices, empty, unreadable and huge files are told apart and never waited for; a
 * file that changes while it is read is an error instead of half a configuration; the resolver's own words for a name
 * it does not know. */
#include "config/config_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
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
/* Longest host name, by RFC 1035. */
#define HOST_BYTES_MAX 253u
/* Addresses looked at for one name. */
#define RESOLVED_MAX 64u

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

static const struct addrinfo *addresses_pick(const struct addrinfo *found)
{
    const struct addrinfo *other = NULL;
    uint32_t seen = 0;
    for (; found != NULL && seen < RESOLVED_MAX; found = found->ai_next, seen++) {
        if (found->ai_family == AF_INET) {
            return found;
        }
        if (found->ai_family == AF_INET6 && other == NULL) {
            other = found;
        }
    }
    return other;
}

enum weft_err config_machine_resolve(void *ctx, const char *name, struct address *address, struct weft_error *why)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct sockaddr_storage storage = {0};
    (void)ctx;
    if (strlen(name) > HOST_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID, "a host name of %zu bytes; 253 are the most", strlen(name));
    }
    int failed = getaddrinfo(name, NULL, &hints, &found);
    if (failed != 0) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND, "cannot resolve \"%s\": %s", name,
                              failed == EAI_SYSTEM ? strerrordesc_np(errno) : gai_strerror(failed));
    }
    const struct addrinfo *picked = addresses_pick(found);
    bool usable = picked != NULL && picked->ai_addrlen <= sizeof storage;
    if (usable) {
        memcpy(&storage, picked->ai_addr, picked->ai_addrlen);
        usable = address_from_system(address, &storage);
    }
    freeaddrinfo(found);
    if (!usable) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND, "\"%s\" has no IPv4 and no IPv6 address", name);
    }
    return WEFT_OK;
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
