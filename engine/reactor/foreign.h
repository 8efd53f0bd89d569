/* SPDX-License-Identifier: Apache-2.0 */
/* A foreign thread: one that is no shard, registered to hand work to the shards and to get some back.
 *
 * For each shard it has a ring in either direction, so that a push is one producer's and a pop one consumer's.  A shard
 * looks at the rings of those that are registered with it, which is one bit each in a mask of its own; without any,
 * that is one load per turn.
 *
 * What a shard took runs exactly once: a shard that ends runs what is in the rings first, after it has closed them and
 * whoever was about to push has finished. */
#ifndef ENGINE_REACTOR_FOREIGN_H
#define ENGINE_REACTOR_FOREIGN_H

#include <weft/foreign.h>

#include "engine/reactor/engine.h"

/* The rings between one foreign thread and one shard. */
struct foreign_line {
    struct spsc to;
    struct spsc from;
    _Alignas(SPSC_LINE_BYTES) atomic_bool pushing; /* the foreign thread is between looking and pushing */
};

struct weft_foreign {
    struct engine *engine;
    struct foreign_line *lines; /* one per shard */
    uint32_t slot;              /* in engine->foreigns */
    uint32_t next;              /* whose turn it is to be read first */
    int32_t bell;
    atomic_bool sleeping; /* it has looked, and wants to be rung for */
    atomic_uint held;     /* what the shards still work on, and will tell the end of */
    bool closed;          /* guarded by the engine's lock: destroyed, but for what is held */
    void *user;           /* the layer above's; freed by user_free */
    void (*user_free)(void *user);
};

/* Register.  @return ok | QUEUE_FULL (FOREIGNS_MAX) | NO_MEMORY | SYSTEM */
WEFT_NODISCARD enum weft_err foreign_create(struct engine *engine, struct weft_foreign **foreign,
                                            struct weft_error *why);
/* Forget it, once the shards have run what it posted.  Memory that they hold is freed when they let go. */
void foreign_destroy(struct weft_foreign *foreign);

/* From the shard: run fn on the foreign thread.  For ends of what it started (`held`), for which there is always room;
 * weft_foreign_notify is for anything else. */
void foreign_answer(struct weft_shard *shard, struct weft_foreign *foreign, weft_foreign_fn *fn, void *ctx);

/* The shard's side, called by its mailbox. */
bool foreign_pending(const struct weft_shard *shard);
uint32_t foreign_deliver(struct weft_shard *shard, uint32_t budget);
/* The shard ends: take nothing more, and run what was taken. */
void foreign_close_shard(struct weft_shard *shard);

/* At the end of the engine. */
void foreign_free_all(struct engine *engine);

#endif
