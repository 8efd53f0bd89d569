/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a node: no new calls and requests, and newcomers are turned away; what runs finishes, then everything
 * closes.
 *
 * Peers are told by GOODBYE, on our control connection to each: they call no more and close their connections once
 * their calls have ended, so that none is lost on its way.  A request that comes all the same is answered as busy. Each
 * shard looks every few milliseconds which connections have become idle, and closes those that nobody else will.  When
 * only those of the goodbyes are left on all shards, they close too, and with no call of its own with another shard a
 * shard is done; all end their loops when all are done, since until then one may need another.  What is still busy at
 * the drain timeout is cut off, and the node says so by its exit value.
 *
 * Listeners go on accepting until all are done: who connects meanwhile is told by the answer to its hello, instead of
 * waiting in the kernel's queue.  Such newcomers have the bounds of any connection, and nothing waits for them: when
 * all else is done the listeners stop, and who was not answered by then is refused by being closed. */
#include "topology/cluster/node.h"
#include "topology/cluster/peer_news.h"

#define DRAIN_LOOK_NS UINT64_C(2000000)
/* How long a peer that should close may leave its connection idle: a few round trips around the world. */
#define DRAIN_GRACE_NS UINT64_C(1000000000)

/* Nothing but connections is left. */
static bool drain_rests(const struct node_shard *share)
{
    return list_empty(&share->rpc.away) && list_empty(&share->shard->parcels.waiting);
}

/* It was never admitted, and will not be. */
static bool drain_is_newcomer(const struct channel *channel)
{
    return channel->conn.accepted && channel->state != CHANNEL_UP;
}

static bool drain_channel_idle(const struct channel *channel)
{
    return channel->state != CHANNEL_UP ||
           (channel->call_count == 0 && channel->request_count == 0 && list_empty(&channel->held));
}

/* The connections of a goodbye, ours and that of a peer that stops as well, stay until nothing else is left: while they
 * do, nobody dials. */
static bool drain_keeps(const struct channel *channel)
{
    const struct link *link = channel->owner; /* NULL: it parted */
    return channel->conn.accepted ? channel->said_goodbye : link != NULL && link->goodbye;
}

uint64_t node_grace_ns(const struct weft_node *node)
{
    uint64_t half_ns = node->settings.drain_timeout_ns / 2;
    return half_ns < DRAIN_GRACE_NS ? half_ns : DRAIN_GRACE_NS;
}

/* Shards that will drain.  A host may stop before it attached them all; the rest then never runs. */
static uint32_t node_shards_running(const struct weft_node *node)
{
    return node->hosted ? atomic_load(&node->attached) : node->shard_count;
}

/* A peer that was told closes by itself, when its calls that were on their way have ended.  Its home shard tells it. */
static bool drain_peer_closes(const struct node_shard *share, struct channel *channel)
{
    if (!channel->conn.accepted || channel->state != CHANNEL_UP || channel->peer == 0) {
        return false;
    }
    if (!atomic_load(&share->node->shared[channel->peer - 1].told)) {
        return atomic_load(&share->node->draining) < node_shards_running(share->node);
    }
    if (channel->idle_since_ns == 0) {
        channel->idle_since_ns = share->shard->now_ns;
    }
    return share->shard->now_ns - channel->idle_since_ns < node_grace_ns(share->node);
}

/* @return connections that the end waits for */
static uint32_t drain_close_idle(struct node_shard *share)
{
    uint32_t left = 0;
    uint32_t busy = 0;
    bool all_settled = atomic_load(&share->node->settled) >= node_shards_running(share->node);
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        if (drain_is_newcomer(channel)) {
            continue;
        }
        left++;
        if (!drain_channel_idle(channel)) {
            channel->idle_since_ns = 0;
        } else if (all_settled || (!drain_keeps(channel) && !drain_peer_closes(share, channel))) {
            conn_close(&channel->conn, WEFT_REASON_DRAINING);
        }
        busy += !drain_keeps(channel) || !drain_channel_idle(channel);
    }
    if (!share->settled && busy == 0 && drain_rests(share)) {
        share->settled = true;
        atomic_fetch_add(&share->node->settled, 1);
    }
    return left;
}

/* The same, once there is no more time. */
static uint32_t drain_cut(struct node_shard *share)
{
    uint32_t left = 0;
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct conn *conn = WEFT_CONTAINER_OF(node, struct conn, live);
        if (drain_is_newcomer(channel_of(conn))) {
            continue;
        }
        left++;
        if (conn->state != CONN_LINGERING && conn->state != CONN_CLOSING) { /* those have nothing left to lose */
            atomic_store(&share->node->drain_cut, true);
        }
        conn_abort(conn, WEFT_ERR_DRAINING, WEFT_REASON_DRAINING);
    }
    return left;
}

/* Nobody needs this node any more: accept nothing, and be rid of newcomers, also of those whose accept was on its way.
 * @return whether nothing is left */
static bool drain_turn_away(struct node_shard *share)
{
    node_accept_release(share->listeners);
    node_stand_in_stop(share);
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct conn *conn = WEFT_CONTAINER_OF(node, struct conn, live);
        conn_abort(conn, WEFT_ERR_REFUSED, WEFT_REASON_DRAINING);
    }
    return share->net.conn_count == 0 && node_accept_rests(share->listeners) && node_stand_in_rests(share);
}

static void drain_look(struct timer *timer, void *ctx)
{
    struct node_shard *share = ctx;
    struct weft_shard *shard = share->shard;
    uint32_t left = shard->now_ns >= share->drain_deadline_ns ? drain_cut(share) : drain_close_idle(share);
    if (!share->drained && left == 0 && drain_rests(share)) {
        share->drained = true;
        atomic_fetch_add(&share->node->drained, 1);
    }
    if (atomic_load(&share->node->drained) >= node_shards_running(share->node) && drain_turn_away(share)) {
        call_deadlines_stop(&share->rpc);
        shard->stop_asked = true;
        return;
    }
    shard_timer_start(shard, timer, DRAIN_LOOK_NS);
}

void node_shard_signal(void *ctx, struct weft_shard *shard)
{
    struct weft_node *node = ctx;
    struct node_shard *share = node_shard_of(shard);
    node_fence_look(share);
    peer_news_deliver(share);
    if (share->draining) {
        return;
    }
    node_adopt(share);
    node_credentials_adopt(share);
    if (!atomic_load(&node->drain_asked)) {
        return;
    }
    share->draining = true;
    share->parting = false; /* what was to go goes with the rest */
    timer_wheel_stop(&shard->wheel, &share->part_timer);
    timer_wheel_stop(&shard->wheel, &share->review_timer);
    timer_wheel_stop(&shard->wheel, &share->expiry_timer);
    timer_wheel_stop(&shard->wheel, &share->judge_timer);
    node_ports_freeze(share);
    rpc_set_draining(&share->rpc);
    share->drain_deadline_ns = shard->now_ns + node->settings.drain_timeout_ns;
    share->drain_timer = (struct timer){.fn = drain_look, .ctx = share};
    struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        link_stop(link);
    }
    atomic_fetch_add(&node->draining, 1);
    drain_look(&share->drain_timer, share);
}

void weft_node_drain(weft_node *node)
{
    if (node == NULL) {
        return;
    }
    atomic_store(&node->drain_asked, true);
    if (node->state == NODE_STARTED) {
        engine_signal_end(node->engine);
    }
}
