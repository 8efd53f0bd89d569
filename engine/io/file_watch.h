/* SPDX-License-Identifier: Apache-2.0 */
/* Files that may change: written to, replaced by rename, by a swapped symbolic link, or deleted and made again.
 *
 *     file_watch_create(&watch, paths, count, NULL, why);
 *     while (file_watch_wait(watch, timeout_ns) != FILE_WATCH_WOKEN) { ... read them again ... }
 *
 * For a control thread: waiting blocks, and looking at files may, too. */
#ifndef ENGINE_IO_FILE_WATCH_H
#define ENGINE_IO_FILE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

/* Two files of properties, and certificate, key, trust store and revocation list. */
#define FILE_WATCH_PATHS_MAX 8u

enum file_watch_event {
    FILE_WATCH_NOTHING = 0, /* the time is up */
    FILE_WATCH_CHANGED,     /* at least one file is different, and has been left alone for a while since */
    FILE_WATCH_WOKEN        /* by file_watch_wake */
};

struct file_watch_options {
    uint64_t poll_ns;   /* files are looked at this often in any case; 0: 5 s */
    uint64_t settle_ns; /* a file that changed is left alone for so long before it counts; 0: 100 ms */
    bool only_poll;     /* as where inotify has no instance left */
};

struct file_watch;

/* A file that is not there is watched for, too.  @param paths copied   @param options NULL: defaults */
WEFT_NODISCARD enum weft_err file_watch_create(struct file_watch **watch, const char *const *paths, uint32_t count,
                                               const struct file_watch_options *options, struct weft_error *why);
enum file_watch_event file_watch_wait(struct file_watch *watch, uint64_t timeout_ns);
/* Any thread. */
void file_watch_wake(struct file_watch *watch);
/* inotify is not to be had: changes are seen at the next look only. */
bool file_watch_polls(const struct file_watch *watch);
/* NULL is fine. */
void file_watch_destroy(struct file_watch *watch);

#endif
