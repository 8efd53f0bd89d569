/* SPDX-License-Identifier: Apache-2.0 */
/* Watching files.
 *
 * Happy path: inotify says that something happened in a folder of the files; only then, and now and then in any case,
 * each file is looked at (stat), and a file whose identity, size or times differ from those of the last report has
 * changed.  So events that concern other files cost a look and nothing else, and none can be missed for ever.
 *
 * Both the folder of the path and the folder that it leads to through symbolic links are watched: a link that is
 * swapped changes the first, or one of the folders between, which the look finds.
 *
 * Failure modes: no inotify instance, no watch, an overflowing queue: the look comes later.  A file that keeps changing
 * is reported after SETTLE_ROUNDS at the latest, and whoever reads it must cope. */
#include "engine/io/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/io/io_bell.h"
#include "engine/io/socket.h"

#define POLL_NS_DEFAULT UINT64_C(5000000000)
#define SETTLE_NS_DEFAULT UINT64_C(100000000)
/* A writer that never rests is waited for this often. */
#define SETTLE_ROUNDS 20u
/* Reads of events in one go: 4 KiB each, some hundred events. */
#define EVENT_READS_MAX 64u
#define NS_PER_MS UINT64_C(1000000)
#define FOLDER_EVENTS (IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define SELF_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF)

/* What a look at a file finds. */
struct file_look {
    bool there;
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec modified;
    struct timespec changed;
};

struct file_watch {
    int32_t bell;
    int inotify; /* -1: none */
    uint64_t poll_ns;
    uint64_t settle_ns;
    uint64_t look_ns; /* when to look in any case */
    uint32_t count;
    char *paths[FILE_WATCH_PATHS_MAX];
    struct file_look looks[FILE_WATCH_PATHS_MAX]; /* as last reported */
    int watches[2 * FILE_WATCH_PATHS_MAX];
    uint32_t watch_count;
};

static struct file_look file_look(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return (struct file_look){.there = false};
    }
    return (struct file_look){.there = true,
                              .device = status.st_dev,
                              .inode = status.st_ino,
                              .bytes = status.st_size,
                              .modified = status.st_mtim,
                              .changed = status.st_ctim};
}

static bool times_same(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool looks_same(const struct file_look *a, const struct file_look *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           times_same(&a->modified, &b->modified) && times_same(&a->changed, &b->changed);
}

/* The folder of a path, which is changed for it. */
static const char *path_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return ".";
    }
    slash[slash == path ? 1 : 0] = '\0';
    return path;
}

static void folder_watch(struct file_watch *watch, const char *folder)
{
    int added = inotify_add_watch(watch->inotify, folder, FOLDER_EVENTS | SELF_EVENTS);
    for (uint32_t i = 0; i < watch->watch_count; i++) {
        if (watch->watches[i] == added) {
            return;
        }
    }
    if (added >= 0) {
        WEFT_ASSERT(watch->watch_count < 2 * FILE_WATCH_PATHS_MAX);
        watch->watches[watch->watch_count++] = added;
    }
}

/* What the events say does not matter, only that there were some. */
static void events_pass(struct file_watch *watch)
{
    char events[4096];
    uint32_t reads = 0;
    while (reads < EVENT_READS_MAX && read(watch->inotify, events, sizeof events) > 0) {
        reads++;
    }
}

/* The folders as they are now: one of them may have been replaced.  Events up to here, those of the watches that end
 * among them, are covered by the look that follows. */
static void folders_watch(struct file_watch *watch)
{
    if (watch->inotify < 0) {
        return;
    }
    for (uint32_t i = 0; i < watch->watch_count; i++) {
        inotify_rm_watch(watch->inotify, watch->watches[i]);
    }
    watch->watch_count = 0;
    for (uint32_t i = 0; i < watch->count; i++) {
        char path[PATH_MAX];
        char real[PATH_MAX];
        snprintf(path, sizeof path, "%s", watch->paths[i]);
        folder_watch(watch, path_folder(path));
        if (realpath(watch->paths[i], real) != NULL) {
            folder_watch(watch, path_folder(real));
        }
    }
    events_pass(watch);
}

static bool files_look(struct file_watch *watch, struct file_look looks[FILE_WATCH_PATHS_MAX])
{
    bool same = true;
    for (uint32_t i = 0; i < watch->count; i++) {
        looks[i] = file_look(watch->paths[i]);
        same = same && looks_same(&looks[i], &watch->looks[i]);
    }
    return same;
}

static enum weft_err paths_copy(struct file_watch *watch, const char *const *paths, uint32_t count,
                                struct weft_error *why)
{
    WEFT_ASSERT(count <= FILE_WATCH_PATHS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (strlen(paths[i]) >= PATH_MAX) {
            return weft_error_set(why, WEFT_ERR_INVALID, "a path of %zu bytes cannot be watched", strlen(paths[i]));
        }
        watch->paths[i] = strdup(paths[i]);
        if (watch->paths[i] == NULL) {
            return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to watch %s", paths[i]);
        }
        watch->count++;
    }
    return WEFT_OK;
}

enum weft_err file_watch_create(struct file_watch **watch, const char *const *paths, uint32_t count,
                                const struct file_watch_options *options, struct weft_error *why)
{
    const struct file_watch_options defaults = {0};
    options = options == NULL ? &defaults : options;
    struct file_watch *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to watch files");
    }
    made->bell = -1;
    made->inotify = options->only_poll ? -1 : inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    made->poll_ns = options->poll_ns != 0 ? options->poll_ns : POLL_NS_DEFAULT;
    made->settle_ns = options->settle_ns != 0 ? options->settle_ns : SETTLE_NS_DEFAULT;
    made->look_ns = socket_monotonic_ns() + made->poll_ns;
    enum weft_err err = paths_copy(made, paths, count, why);
    if (err == WEFT_OK) {
        err = io_bell_open(&made->bell, why);
    }
    if (err != WEFT_OK) {
        file_watch_destroy(made);
        return err;
    }
    /* First the folders, then the files: what happens in between is an event. */
    folders_watch(made);
    files_look(made, made->looks);
    *watch = made;
    return WEFT_OK;
}

enum watch_rest { WATCH_TIME_UP, WATCH_EVENT, WATCH_BELL };

static enum watch_rest watch_sleep(struct file_watch *watch, uint64_t until_ns)
{
    struct pollfd ready[2] = {{.fd = watch->bell, .events = POLLIN}, {.fd = watch->inotify, .events = POLLIN}};
    uint64_t now_ns = socket_monotonic_ns();
    uint64_t left_ms = until_ns <= now_ns ? 0 : (until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    int found = poll(ready, 2, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
    if (found > 0 && ready[0].revents != 0) {
        return WATCH_BELL;
    }
    if (found > 0 && ready[1].revents != 0) {
        events_pass(watch);
        return WATCH_EVENT;
    }
    return WATCH_TIME_UP;
}

/* Something is different.  Whoever writes should be done before anybody reads.  @return false: the bell rang */
static bool files_settle(struct file_watch *watch)
{
    struct file_look before[FILE_WATCH_PATHS_MAX];
    struct file_look after[FILE_WATCH_PATHS_MAX];
    files_look(watch, before);
    for (uint32_t round = 0; round < SETTLE_ROUNDS; round++) {
        uint64_t until_ns = socket_monotonic_ns() + watch->settle_ns;
        enum watch_rest rest;
        do {
            rest = watch_sleep(watch, until_ns);
        } while (rest == WATCH_EVENT && socket_monotonic_ns() < until_ns);
        if (rest == WATCH_BELL) {
            return false;
        }
        files_look(watch, after);
        bool same = true;
        for (uint32_t i = 0; i < watch->count; i++) {
            same = same && looks_same(&before[i], &after[i]);
            before[i] = after[i];
        }
        if (same) {
            break;
        }
    }
    memcpy(watch->looks, before, sizeof before);
    return true;
}

enum file_watch_event file_watch_wait(struct file_watch *watch, uint64_t timeout_ns)
{
    uint64_t now_ns = socket_monotonic_ns();
    uint64_t end_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    for (;;) {
        struct file_look looks[FILE_WATCH_PATHS_MAX];
        enum watch_rest rest = watch_sleep(watch, end_ns < watch->look_ns ? end_ns : watch->look_ns);
        now_ns = socket_monotonic_ns();
        if (rest != WATCH_BELL && (rest == WATCH_EVENT || now_ns >= watch->look_ns)) {
            watch->look_ns = now_ns + watch->poll_ns;
            folders_watch(watch);
            if (!files_look(watch, looks)) {
                rest = files_settle(watch) ? rest : WATCH_BELL;
                if (rest != WATCH_BELL) {
                    return FILE_WATCH_CHANGED;
                }
                watch->look_ns = 0; /* the change is still to be told */
            }
        }
        if (rest == WATCH_BELL) {
            io_bell_hear(watch->bell);
            return FILE_WATCH_WOKEN;
        }
        if (now_ns >= end_ns) {
            return FILE_WATCH_NOTHING;
        }
    }
}

void file_watch_wake(struct file_watch *watch)
{
    io_bell_ring(watch->bell);
}

bool file_watch_polls(const struct file_watch *watch)
{
    return watch->inotify < 0;
}

void file_watch_destroy(struct file_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    for (uint32_t i = 0; i < watch->count; i++) {
        free(watch->paths[i]);
    }
    if (watch->inotify >= 0) {
        close(watch->inotify);
    }
    if (watch->bell >= 0) {
        io_bell_close(watch->bell);
    }
    free(watch);
}
