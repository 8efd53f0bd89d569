/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that another shard of this node carries out: those on the control lane, whose one connection is on the peer's
 * home shard, and those for which the calling shard may have no connection of its own.
 *
 * The call keeps its slot, its deadline and its callback on the shard that made it.  A parcel brings a copy of the
 * arguments to the home shard, which makes a call of its own, and brings the end of that back. */
#ifndef TOPOLOGY_CLUSTER_CALL_HOP_H
#define TOPOLOGY_CLUSTER_CALL_HOP_H

#include "engine/rpc/call.h"

struct node_shard;

struct call_route {
    weft_peer_id peer;
    enum weft_lane lane;
    uint32_t remote_shard; /* or SHARD_ANY */
};

/* @return ok | QUEUE_FULL (call slots, memory, or the way to that shard) | DRAINING */
WEFT_NODISCARD enum weft_err call_hop(struct node_shard *share, uint32_t to_shard, const struct call_route *route,
                                      const struct call_request *request);

/* Have a call that hopped cancelled where it is; without memory for the message it runs on.  @param hop what
 * call_lent_to says */
void call_hop_cancel(struct node_shard *share, void *hop);

#endif
