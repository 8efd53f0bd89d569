/* SPDX-License-Identifier: Apache-2.0 */
/* Links in a topology, a scope or credentials that became others: what would be dialed otherwise now is made again, and
 * the connection that it had parts (node_part.c), so that no call is lost.
 *
 * Failure modes: a peer that no longer proves who it is parts by that reason, and is dialed again like any other. */
#include "topology/cluster/link.h"
#include "topology/cluster/node.h"

/* The connection that it has, or is about to have, is none that it would make now. */
static void link_move(struct link *link, enum weft_reason why)
{
    struct node_shard *share = link->share;
    COUNT(share->shard, links_moved);
    link->family->up_count[link->lane] -= link->state == LINK_UP;
    link_heartbeat_stop(link);
    node_part(share, link->channel, why);
    link->failures = 0;
    link_dial(link);
}

/* It is of the wrong kind; the peer may learn of that later. */
static void link_move_to(struct link *link, const struct policy_decision *now, enum weft_reason why)
{
    struct node_shard *share = link->share;
    log_event(&share->log, share->shard->now_ns, LOG_LINK_DOWN, 'D', "link %s lane %s is made again: %s after %s",
              link->peer->text, weft_lane_name(link->lane), weft_reason_name(now->reason),
              weft_reason_name(link->decision.reason));
    link->moving_until_ns = share->shard->now_ns + share->node->settings.drain_timeout_ns;
    link_move(link, why);
}

/* Its peer's certificate is not what the topology asks for now. */
static void link_distrust(struct link *link, enum weft_reason why)
{
    struct node_shard *share = link->share;
    log_event(&share->log, share->shard->now_ns, LOG_LINK_DOWN, 'W', "link %s lane %s no longer proves its peer: %s",
              link->peer->text, weft_lane_name(link->lane), weft_reason_name(why));
    link_move(link, why);
}

void link_review(struct link *link, enum weft_reason why)
{
    const struct policy_decision now = link_decide(link);
    bool other = now.verdict != link->decision.verdict;
    if (link->state == LINK_BACKOFF && other) {
        link_return(link); /* what failed before is not what is dialed now */
    } else if (link->state == LINK_UP || link->state == LINK_DIALING) {
        if (other) {
            link_move_to(link, &now, why);
            return;
        }
        link->decision = now;
        link->channel->decision = now.reason;
        if (link->state == LINK_UP) {
            (void)node_judge(link->share, link->channel);
        }
    }
}

void link_judge(struct link *link)
{
    if (link->state != LINK_UP) {
        return;
    }
    enum weft_reason unproven = node_check_identity(link->share, link->channel, NULL, link->peer, NULL);
    if (unproven != WEFT_REASON_NONE) {
        link_distrust(link, unproven);
    }
}

void link_renew(struct link *link, enum weft_reason reason)
{
    if (link->state == LINK_UP) {
        link_move(link, reason);
    }
}
