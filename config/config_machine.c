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
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
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
#define MODE_PERMISSIONS 07777u
/* Addresses of all interfaces that are looked at. */
#define INTERFACE_ADDRESSES_MAX 4096u

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

enum weft_err config_machine_check_file(void *ctx, const char *path, uint32_t *mode, struct weft_error *why)
{
    struct stat status;
    int fd;
    (void)ctx;
    WEFT_TRY(file_open(path, PEM_FILE_BYTES_MAX, &fd, &status, why));
    *mode = (uint32_t)status.st_mode & MODE_PERMISSIONS;
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

/* The addresses of an interface in one family: the first of them, and how many there are.  Link-local IPv6 addresses
 * do not count: every interface has one. */
static uint32_t interface_find(const struct ifaddrs *all, const char *name, int family, struct address *address,
                               bool *exists)
{
    uint32_t found = 0;
    uint32_t seen = 0;
    for (const struct ifaddrs *one = all; one != NULL && seen < INTERFACE_ADDRESSES_MAX; one = one->ifa_next, seen++) {
        struct sockaddr_storage storage = {0};
        struct address candidate;
        *exists = *exists || strcmp(one->ifa_name, name) == 0;
        if (strcmp(one->ifa_name, name) != 0 || one->ifa_addr == NULL || one->ifa_addr->sa_family != family) {
            continue;
        }
        memcpy(&storage, one->ifa_addr, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        if (!address_from_system(&candidate, &storage) ||
            (family == AF_INET6 &&
             IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)&storage)->sin6_addr))) {
            continue;
        }
        if (found == 0) {
            *address = candidate;
            address->port = 0;
        }
        found++;
    }
    return found;
}

enum weft_err config_machine_interface_address(void *ctx, const char *name, bool prefer_ipv6, struct address *address,
                                               struct weft_error *why)
{
    struct ifaddrs *all = NULL;
    bool exists = false;
    int family = prefer_ipv6 ? AF_INET6 : AF_INET;
    (void)ctx;
    if (getifaddrs(&all) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "cannot list the network interfaces");
    }
    uint32_t found = interface_find(all, name, family, address, &exists);
    if (found == 0) {
        family = prefer_ipv6 ? AF_INET : AF_INET6;
        found = interface_find(all, name, family, address, &exists);
    }
    freeifaddrs(all);
    if (!exists) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND,
                              "\"%.64s\" is no network interface of this machine; write one that ip link shows", name);
    }
    if (found == 0) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND, "\"%.64s\" has no address; write listen_address", name);
    }
    if (found > 1) {
        return weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" has %u %s addresses; write one as listen_address", name,
                              found, family == AF_INET ? "IPv4" : "IPv6");
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
