/* SPDX-License-Identifier: Apache-2.0 */
/* A link: the outgoing connection from one shard to one peer on one lane, kept alive by dialing again.
 *
 *     IDLE -> DIALING -> UP -> BACKOFF -> DIALING ...       any -> STOPPED
 *
 * IDLE     nobody used it yet
 * DIALING  a channel exists, not negotiated; calls wait
 * UP       calls pass
 * BACKOFF  the last attempt failed, or the connection ended; calls fail at once, unless they want to wait
 *
 * Whether it is plain or TLS is decided anew at each dial, by the policy. */
#ifndef TOPOLOGY_CLUSTER_LINK_H
#define TOPOLOGY_CLUSTER_LINK_H

#include "engine/rpc/call.h"
#include "engine/rpc/channel.h"
#include "topology/cluster/peer.h"
#include "topology/cluster/policy.h"

enum link_state { LINK_IDLE = 0, LINK_DIALING, LINK_UP, LINK_BACKOFF, LINK_STOPPED };

struct node_shard;

struct link {
    struct node_shard *share;
    const struct peer *peer;
    uint32_t peer_index;
    enum weft_lane lane;
    enum link_state state;
    struct policy_decision decision;
    struct channel *channel;
    struct timer retry;
    struct timer heartbeat; /* control lane */
    uint32_t heartbeats_missed;
    uint32_t failures; /* in a row: attempts, and connections that lived no longer than the pause before them */
    uint64_t up_since_ns;
    struct list waiting;    /* struct call: until this attempt ends */
    struct list patient;    /* struct call: until the peer is there */
    struct weft_error last; /* why it is not up */
};

void link_init(struct link *link, struct node_shard *share, uint32_t peer_index, enum weft_lane lane);
/* Dial now, unless it is dialing, up or stopped. */
void link_start(struct link *link);
/* No more dialing; what waits fails; an idle connection closes, a busy one when its calls have ended. */
void link_stop(struct link *link);
/* Close a stopped link's connection once no call is left on it. */
void link_stop_if_idle(struct link *link);

WEFT_NODISCARD enum weft_err link_call(struct link *link, const struct call_request *request, bool wait_for_peer);

/* The heartbeat of a control link that is up; link_heartbeat.c. */
void link_heartbeat_start(struct link *link);
void link_heartbeat_stop(struct link *link);

#endif
