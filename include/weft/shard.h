/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  What code that runs on a shard can ask of it.
 */
#ifndef WEFT_SHARD_H
#define WEFT_SHARD_H

#include <weft/defs.h>
#include <weft/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The shard's number in its node, from 0; 0 for NULL.  @shard owner */
WEFT_API uint32_t weft_shard_index(const weft_shard *shard);

/** Monotonic time of the current turn, in nanoseconds: cheap, and constant within a turn; 0 for NULL.
 *  @shard owner */
WEFT_API uint64_t weft_shard_now_ns(const weft_shard *shard);

/** Runs once on a shard. */
typedef void weft_task_fn(void *ctx, weft_shard *shard);

/** A one-shot timer of the caller's; zeroed before first use, and alive until it ran or was stopped. */
struct weft_timer {
    uint64_t opaque[10];
};

/** Run fn on this shard once delay_ns have passed, never earlier; at most one tick (262 us) and one turn later.
 *  @param timer borrowed until it ran or was stopped; starting an armed one moves it
 *  @return ok | INVALID (NULL, or armed on another shard)   @shard owner   @allocates never
 *  @calls_back never from inside */
WEFT_API enum weft_err weft_timer_start(weft_shard *shard, struct weft_timer *timer, uint64_t delay_ns,
                                        weft_task_fn *fn, void *ctx);

/** Stop a timer; nothing happens if it is not armed.  @return ok | INVALID (as weft_timer_start)   @shard owner */
WEFT_API enum weft_err weft_timer_stop(weft_shard *shard, struct weft_timer *timer);

#ifdef __cplusplus
}
#endif

#endif
