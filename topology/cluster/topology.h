/* SPDX-License-Identifier: Apache-2.0 */
/* The topology as one value: where this node stands, by which scope it encrypts, and every peer, by slot.
 *
 * What the shards see is never changed: a change is a copy with another version (node_topology.c), which each shard
 * takes over in a turn of its own (node_adopt.c).  A removed peer's entry stays in its slot, marked, until another
 * takes the slot: who still finishes with the peer reads it. */
#ifndef TOPOLOGY_CLUSTER_TOPOLOGY_H
#define TOPOLOGY_CLUSTER_TOPOLOGY_H

#include "topology/cluster/peer.h"

struct topology {
    struct topology *older;           /* not freed yet */
    uint64_t version;                 /* from 1 */
    char dc[WEFT_NAME_BYTES_MAX + 1]; /* our own */
    char rack[WEFT_NAME_BYTES_MAX + 1];
    enum weft_encryption encryption; /* the scope by which every connection is decided about */
    bool certificate;                /* there is one on purpose: a TLS listener under `none` */
    uint32_t slot_count;             /* slots that were ever used */
    uint32_t peer_count;             /* in them, not removed */
    uint32_t slots_max;
    struct peer peers[];
};

/* NULL: no memory.  @param from NULL: empty, version 1; else what the new one begins with, one version on */
struct topology *topology_new(const struct weft_allocator *allocator, const struct topology *from, uint32_t slots_max);
void topology_drop(const struct weft_allocator *allocator, struct topology *topology);
struct location topology_own_location(const struct topology *topology);
/* The slot of a peer that is there; UINT32_MAX: none. */
uint32_t topology_slot_of(const struct topology *topology, weft_peer_id id);
/* The peer that is dialed where this one is; NULL: none. */
struct peer *topology_dialed_as(struct topology *topology, const struct peer *listed);
/* Put a peer into a slot that is free, which names it. */
void topology_put(struct topology *topology, uint32_t slot, const struct peer *peer);
void topology_remove(struct topology *topology, uint32_t slot);

#endif
