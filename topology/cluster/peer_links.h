/* SPDX-License-Identifier: Apache-2.0 */
/* One peer's links on one shard, and which of them a call takes.
 *
 * control  one per node: on the peer's home shard
 * bulk     dialed by its first call, closed when idle
 * normal   own links, which calls take in turn: one per shard of the peer that this shard keeps (shard_map.h), at least
 *          as many as the peer's `connections`; and named ones, for calls that want another shard of the peer
 *
 * A link exists from its first use on; a removed peer's links finish, and then are forgotten.  All shards together have
 * a bounded number of them per peer (connections_per_peer_max); the home shard always gets one of each lane. */
#ifndef TOPOLOGY_CLUSTER_PEER_LINKS_H
#define TOPOLOGY_CLUSTER_PEER_LINKS_H

#include <stdatomic.h>

#include "topology/cluster/link.h"

/* What there is for the id that somebody says: his word from the peer's address, or his certificate. */
enum fence_proof { FENCE_CLAIMED = 0, FENCE_CERTIFIED, FENCE_PROOFS };

/* Who spoke last as a peer; node_fence.c. */
struct fence_record {
    atomic_flag lock;
    atomic_uint changes;  /* written under the lock */
    uint64_t incarnation; /* 0: nobody yet */
    uint8_t id[UUID_BYTES];
};

/* What all shards know of a peer while the node runs. */
struct peer_shared {
    atomic_uint_fast64_t id;    /* of the peer whose slot it is; 0: of none, or of one that was removed */
    atomic_uint leaving_shards; /* those that have not finished with a removed peer: nobody may have its slot yet */
    atomic_uint shards;         /* of the peer, as it said last; 0: unknown */
    atomic_uint budgeted;       /* links of all shards that hold a place in the peer's budget */
    atomic_uint accepted;       /* connections that count as the peer's, on all shards */
    struct fence_record fences[FENCE_PROOFS];
    atomic_uint leaving;  /* of its connections to us, those by which it said goodbye */
    atomic_uint silences; /* how often it was found silent */
    atomic_bool told;     /* we said goodbye to it */
};

struct peer_links {
    weft_peer_id id; /* calls go to who has it; 0: nobody is there, or nobody any more */
    struct node_shard *share;
    struct peer_shared *shared;
    uint32_t peer_index;
    uint32_t own_count;
    uint32_t own_most;                  /* as many as there should be */
    uint32_t remote_seen;               /* the peer's shards for which own_most holds */
    uint32_t fences_seen[FENCE_PROOFS]; /* changes of fences, as far as this shard has looked */
    uint32_t silences_seen;             /* the same, of the peer's silences */
    uint32_t up_count[WEFT_LANE_COUNT]; /* links that are up */
    bool lane_up[WEFT_LANE_COUNT];      /* as was told; a lane whose links rest stays up */
    bool leaving;                       /* the peer said goodbye: no calls, no dials */
    bool greeted;                       /* its control connection was dialed, if this is its home */
    bool removed;                       /* from the topology, and this shard has not finished with it */
    uint32_t held_turn;                 /* when something of the removed one was last seen here, as far as it fits */
    weft_peer_id finished;              /* the last one that was removed */
    struct link *control;
    struct link *bulk;
    struct list own;   /* struct link: who is first is next to be used */
    struct list named; /* struct link */
};

/* Begin with a peer whose slot nobody has. */
void peer_links_open(struct peer_links *links, struct node_shard *share, const struct peer *peer);
/* The link that every call on the normal lane takes which names no shard: the only one that there is, and that there
 * should be.  NULL: peer_links_take chooses. */
static inline struct link *peer_links_sole(const struct peer_links *links)
{
    bool sole = links->own_count == 1 && links->own_most == 1 &&
                links->remote_seen == atomic_load_explicit(&links->shared->shards, memory_order_relaxed);
    return WEFT_LIKELY(sole) ? WEFT_CONTAINER_OF(links->own.head.next, struct link, sibling) : NULL;
}
/* The link for a call, made if it is not there.  @param remote_shard SHARD_ANY, or one of the peer's
 * @return ok | NOT_FOUND (the peer has no such shard) | QUEUE_FULL (the peer's connections are used up) | DRAINING */
WEFT_NODISCARD enum weft_err peer_links_take(struct peer_links *links, enum weft_lane lane, uint32_t remote_shard,
                                             struct link **link);
/* The control link of a peer whose home is here. */
struct link *peer_links_control(struct peer_links *links);
/* A link that rests is forgotten, and with it its place in the budget. */
void peer_links_forget(struct link *link);

#endif
