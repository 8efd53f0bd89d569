/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of connections that were there before the topology changed: each is compared with it again, so many of
 * them in a turn, since to read one costs some ten microseconds and there may be thousands.
 *
 * Happy path: the policy's part of a review is done at once for all (node_adopt.c) and marks who is to be judged; looks
 * a tick apart do the rest.  A change that comes meanwhile marks everybody again, and everybody is compared with the
 * newest.  Failure modes: who does not fit parts, as from any review. */
#include "topology/cluster/node.h"

static void judge_channel(struct node_shard *share, struct channel *channel)
{
    channel->judge = false;
    if (!channel_is_up(channel)) {
        return;
    }
    if (channel->conn.accepted) {
        node_judge_accepted(share, channel);
    } else if (channel->owner != NULL) { /* else it parts already */
        link_judge(channel->owner);
    }
}

static void judge_look(struct timer *timer, void *ctx)
{
    struct node_shard *share = ctx;
    uint32_t done = 0;
    bool left = false;
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        if (!channel->judge) {
            continue;
        }
        if (done == TURN_JUDGEMENTS_MAX) {
            left = true;
            break;
        }
        judge_channel(share, channel);
        done++;
    }
    if (left) {
        shard_timer_start(share->shard, timer, TIMER_TICK_NS);
    }
}

bool node_judge(struct node_shard *share, struct channel *channel)
{
    if (!share->node->settings.endpoint_verification || channel->conn.secure == NULL) {
        return false;
    }
    channel->judge = true;
    if (!timer_armed(&share->judge_timer)) {
        share->judge_timer = (struct timer){.fn = judge_look, .ctx = share};
        shard_timer_start(share->shard, &share->judge_timer, 0);
    }
    return true;
}
