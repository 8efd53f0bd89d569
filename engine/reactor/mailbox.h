/* SPDX-License-Identifier: Apache-2.0 */
/* Mail between threads: a function and its context, run on the receiving shard in its next turn.  Each pair of
 * threads has its own single-producer single-consumer ring. */
#ifndef ENGINE_REACTOR_MAILBOX_H
#define ENGINE_REACTOR_MAILBOX_H

#include "engine/reactor/shard.h"

/* Sent by the thread that owns ring `from` of the target (a shard's index, or the control thread's).
 * @return ok | QUEUE_FULL */
WEFT_NODISCARD enum weft_err mailbox_send(struct weft_shard *target, uint32_t from, weft_task_fn *fn, void *ctx);

/* Is there mail?  Owner. */
bool mailbox_pending(const struct weft_shard *shard);

/* Run up to `budget` mails, one ring after the other, beginning with another ring each time; then as many of foreign
 * threads.  The number run. */
uint32_t mailbox_deliver(struct weft_shard *shard, uint32_t budget);

/* Make a sleeping shard take a turn.  Any thread, and signal handlers. */
void mailbox_wake(struct weft_shard *target);

#endif
