/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's remote procedure calls: the slots of what is in flight, and what all its channels share. */
#ifndef ENGINE_RPC_RPC_H
#define ENGINE_RPC_RPC_H

#include "engine/base/slots.h"
#include "engine/net/net.h"
#include "engine/rpc/tally.h"
#include "engine/rpc/verb_table.h"

struct rpc_options {
    uint32_t calls_max;    /* outgoing, in flight and waiting */
    uint32_t requests_max; /* incoming, unanswered */
    const struct verb_table *verbs;
    struct weft_peer_counters *tally; /* of who is nobody's in particular; NULL: the rpc's own */
    bool authorizes;                  /* ask the owner of the channel about every request */
};

struct frame;

struct rpc {
    struct weft_shard *shard;
    struct net *net;
    struct slots calls;
    struct timer *deadlines; /* of each slot of calls; call_deadline.c */
    struct slots requests;
    uint32_t *kept; /* heads of chains of kept requests, by connection and id: index plus one, 0 for none */
    uint32_t kept_bits;
    uint64_t kept_salt;
    struct weft_request *hand;       /* the slot for the next request of the channel that is served; NULL: none yet */
    struct weft_request *handling;   /* the same, while its handler runs and has not answered; else NULL */
    struct channel *serving;         /* whose hand it is */
    const struct verb *verb_at_hand; /* the last one that was asked for; NULL: none, or there is no such verb */
    const struct verb_table *verbs;
    struct weft_peer_counters *tally; /* of connections whose owner names no other, and of calls that are lent */
    struct weft_peer_counters own_tally;
    bool authorizes;
    bool draining;         /* no request runs any more but those that do already */
    bool late;             /* requests at hand were held, or stayed in the kernel: they can have waited too long */
    bool crowded;          /* most slots of requests are taken: one source may take no more than its share */
    bool picky;            /* draining, late or crowded */
    uint32_t shared_count; /* requests that count in somebody's share */
    uint32_t shared[REQUEST_SOURCES];
    struct frame *landed;      /* whose payload lies in a block of its own, while its user looks at it */
    struct list away;          /* struct call: another shard carries them out */
    struct list unfinished;    /* struct channel: with a block of the arena for a frame that has not ended */
    uint64_t unfinished_bytes; /* of these blocks */
    uint64_t held_bytes;       /* of the arena, by all channels: in its reserve */
    struct list cancelled;     /* struct call: ended, their callbacks not run yet */
    struct task cancel_task;   /* runs them */
    struct weft_reply reply;   /* the one that callbacks borrow; its error is all zero between failures */
    struct channel *answering; /* while the callback of a reply runs: where that came by */
};

WEFT_NODISCARD enum weft_err rpc_init(struct rpc *rpc, struct net *net, const struct rpc_options *options);
/* Hand over the payload that is being looked at, or copy it; NULL: no memory, or nothing in it. */
struct weft_buf *rpc_take_payload(struct rpc *rpc, struct weft_span payload);
/* No call may be left; asserted.  Requests that nobody answered are dropped. */
void rpc_fini(struct rpc *rpc);

static inline void rpc_set_late(struct rpc *rpc, bool late)
{
    rpc->late = late;
    rpc->picky = late || rpc->draining || rpc->crowded;
}

static inline void rpc_set_crowded(struct rpc *rpc, bool crowded)
{
    rpc->crowded = crowded;
    rpc->picky = crowded || rpc->late || rpc->draining;
}

static inline void rpc_set_draining(struct rpc *rpc)
{
    rpc->draining = true;
    rpc->picky = true;
}

/* For rpc_init, and fini. */
WEFT_NODISCARD enum weft_err call_deadlines_init(struct rpc *rpc);
void call_deadlines_fini(struct rpc *rpc);
/* No call will be made any more, and none is left that a deadline could end. */
void call_deadlines_stop(struct rpc *rpc);

/* A block of the shard's arena for what may wait, such as a frame that is yet to be read; NULL: not now.  What is kept
 * for bytes that arrived already is left alone. */
static inline uint8_t *rpc_memory_take(struct rpc *rpc, uint32_t bytes)
{
    struct arena *arena = &rpc->shard->arena;
    uint64_t most = arena->bytes - arena->bytes / ARENA_RESERVE_PARTS + rpc->held_bytes;
    return arena_used(arena) + bytes <= most ? arena_take(arena, bytes) : NULL;
}
/* The most bytes that can be had at all, when nobody else has any. */
static inline uint64_t rpc_memory_most(const struct rpc *rpc)
{
    const struct arena *arena = &rpc->shard->arena;
    return arena->bytes - arena->bytes / ARENA_RESERVE_PARTS;
}
/* Whether that many bytes can be had, if not now: where not, waiting for them would never end. */
static inline bool rpc_memory_possible(const struct rpc *rpc, uint32_t bytes)
{
    return bytes <= rpc_memory_most(rpc);
}

#endif
