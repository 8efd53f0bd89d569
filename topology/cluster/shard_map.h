/* SPDX-License-Identifier: Apache-2.0 */
/* Which shard of this node talks to which shard of a peer.  Pure.
 *
 * Shard i of S keeps connections to those shards j of a peer's R for which j = i modulo min(S, R).  So every shard of
 * either node is somebody's, however S and R differ, and max(S, R) connections are enough for all. */
#ifndef TOPOLOGY_CLUSTER_SHARD_MAP_H
#define TOPOLOGY_CLUSTER_SHARD_MAP_H

#include <stdint.h>

/* No shard in particular: the peer's number of shards is not known, or it does not matter. */
#define SHARD_ANY UINT32_MAX

/* How many remote shards this shard keeps connections to; 1 (any) if `remote`, the peer's number of shards, is 0. */
uint32_t shard_map_count(uint32_t shard, uint32_t shards, uint32_t remote);
/* The one in this place, which goes round: SHARD_ANY if nothing is known of the peer. */
uint32_t shard_map_at(uint32_t shard, uint32_t shards, uint32_t remote, uint32_t place);
/* The shard that holds everything of a peer that is there once per node: its control connection. */
uint32_t shard_map_home(uint32_t peer, uint32_t shards);

#endif
