/* SPDX-License-Identifier: Apache-2.0 */
/* A link: an outgoing connection from one shard to one peer on one lane, kept alive by dialing again.
 *
 *     IDLE -> DIALING -> UP -> BACKOFF -> DIALING ...       UP -> RESTING -> DIALING or gone       any -> STOPPED
 *                        UP -> LEAVING -> BACKOFF
 *
 * IDLE     nobody used it yet
 * DIALING  a channel exists, not negotiated; calls wait
 * UP       calls pass
 * BACKOFF  the last attempt failed, or the connection ended; calls fail at once, unless they want to wait
 * LEAVING  the peer said goodbye, or was removed: its connection closes when its calls have ended; calls fail at once,
 *          as in BACKOFF, and nothing is dialed before the peer is back
 * RESTING  nobody used it for a while, so its connection is being closed; a call that comes now makes it dial again
 *
 * Whether it is plain or TLS is decided anew at each dial, by the policy, and so is the shard of the peer on which it
 * wants to land.  When the decision becomes another while it is up, it dials at once, and the connection that it had
 * parts from it (node_part.c): new calls wait for the new one. */
#ifndef TOPOLOGY_CLUSTER_LINK_H
#define TOPOLOGY_CLUSTER_LINK_H

#include "engine/rpc/call.h"
#include "engine/rpc/channel.h"
#include "topology/cluster/peer.h"
#include "topology/cluster/policy.h"
#include "topology/cluster/shard_map.h"

enum link_state { LINK_IDLE = 0, LINK_DIALING, LINK_UP, LINK_BACKOFF, LINK_RESTING, LINK_LEAVING, LINK_STOPPED };

struct node_shard;
struct peer_links;

struct link {
    struct node_shard *share;
    struct peer_links *family; /* the peer's links on this shard */
    struct list_node sibling;  /* of the family's own or named links */
    const struct peer *peer;
    uint32_t peer_index;
    enum weft_lane lane;
    enum link_state state;
    bool named;      /* for calls that name a shard of the peer; others go by place */
    bool on_demand;  /* closed when nobody uses it for a while */
    bool budgeted;   /* holds one of the peer's connections that all shards share */
    bool used;       /* since the idle timer looked */
    uint32_t place;  /* among the shards of the peer that this shard keeps connections to */
    uint32_t wanted; /* the shard of the peer to land on, or SHARD_ANY */
    struct policy_decision decision;
    struct channel *channel;
    struct timer retry;
    struct timer heartbeat; /* control lane */
    struct timer idle;
    struct timer silence;
    uint32_t pings_unanswered;
    bool noted_up;     /* the embedder was told so */
    bool goodbye;      /* we said it on this one, which stays until the node has nothing else left */
    uint32_t failures; /* in a row: attempts, and connections that lived no longer than the pause before them */
    uint64_t up_since_ns;
    uint64_t moving_until_ns;   /* it had to give its connection up: until then calls wait for another */
    uint64_t leave_deadline_ns; /* of a removed peer's: its calls have ended by then, or fail */
    struct list waiting; /* struct call, in order: until this attempt ends, the patient ones until the peer is there */
    struct task feed;    /* sends what waited for the link and found no room in its queue */
    struct weft_error last; /* why it is not up */
};

void link_init(struct link *link, struct peer_links *family, enum weft_lane lane);
/* Close it when nobody used it for the idle timeout. */
void link_close_when_idle(struct link *link);
/* Dial now, unless it is dialing, up or stopped. */
void link_start(struct link *link);
/* No more dialing; what waits fails.  The peer is told by its control link, and the connection is the drain's. */
void link_stop(struct link *link);
/* The peer said goodbye; and it is gone. */
void link_leave(struct link *link);
void link_return(struct link *link);
/* The peer was removed: calls that wait fail, those under way have the drain timeout, then it is forgotten. */
void link_remove(struct link *link);

/* link_review.c.  Locations or the scope changed, as `why` says: if the policy now decides otherwise, or for another
 * reason, act on it. */
void link_review(struct link *link, enum weft_reason why);
/* Its peer's certificate against the topology, when its turn has come. */
void link_judge(struct link *link);
/* Make its connection again; the former one ends with its last call, for this reason. */
void link_renew(struct link *link, enum weft_reason reason);

/* A call while it is not up. */
WEFT_NODISCARD enum weft_err link_call_down(struct link *link, const struct call_request *request);

WEFT_NODISCARD static inline enum weft_err link_call(struct link *link, const struct call_request *request)
{
    link->used = true;
    if (WEFT_LIKELY(link->state == LINK_UP && channel_is_up(link->channel))) {
        return call_send(link->channel, request);
    }
    return link_call_down(link, request);
}

/* What would be dialed now; and dial it. */
struct policy_decision link_decide(const struct link *link);
void link_dial(struct link *link);

/* link_note.c.  A lane is up on a shard while one of its links is; closing for idleness does not take it down, failing
 * to dial again does. */
void link_note_lane(struct link *link, bool up);
void link_note_peer(struct link *link, bool up);

/* The heartbeat of a control link that is up; link_heartbeat.c. */
void link_heartbeat_start(struct link *link);
void link_heartbeat_stop(struct link *link);

#endif
