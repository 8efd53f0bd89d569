/* SPDX-License-Identifier: Apache-2.0 */
/* The one descriptor of a shard that somebody else's loop watches: an epoll set, with a timerfd in it that is kept at
 * the shard's next deadline.  What else belongs into the set is the backend's. */
#ifndef ENGINE_IO_IO_POLLABLE_H
#define ENGINE_IO_IO_POLLABLE_H

#include <stdint.h>

#include <weft/error.h>

struct io_pollable {
    int32_t set;
    int32_t timer;
    uint64_t armed_ns; /* what the timer is set to */
};

/* Before io_pollable_open: nothing is there to be closed. */
void io_pollable_init(struct io_pollable *pollable);
/* Add a timer to an epoll set, under this tag.  The set stays the caller's. */
WEFT_NODISCARD enum weft_err io_pollable_open(struct io_pollable *pollable, int32_t set, uint64_t tag,
                                              struct weft_error *why);
void io_pollable_close(struct io_pollable *pollable);

/* Readable from deadline_ns on; 0: at once, IO_TIMEOUT_NEVER: never.  Both times are of the backend's clock. */
void io_pollable_arm(struct io_pollable *pollable, uint64_t now_ns, uint64_t deadline_ns);

/* Sleep until the set is readable or timeout_ns passed. */
void io_pollable_sleep(const struct io_pollable *pollable, uint64_t timeout_ns);

#endif
