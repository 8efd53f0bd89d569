/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a node: no new connections and calls, what runs finishes, then everything closes.
 *
 * Each shard looks every few milliseconds which connections have become idle, and closes those.  When none is left, and
 * no call of its own is with another shard, it is done; all end their loops when all are done, since until then one may
 * need another.  What is still busy at the drain timeout is cut off, and the node says so by its exit value. */
#include "topology/cluster/node.h"

#define DRAIN_LOOK_NS UINT64_C(2000000)

static bool drain_channel_idle(const struct channel *channel)
{
    return channel->state != CHANNEL_UP ||
           (channel->call_count == 0 && channel->request_count == 0 && list_empty(&channel->held));
}

static void drain_close_idle(struct node_shard *share)
{
    struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        link_stop_if_idle(link);
    }
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        if (drain_channel_idle(channel)) {
            conn_close(&channel->conn, WEFT_REASON_DRAINING);
        }
    }
}

static void drain_cut(struct node_shard *share)
{
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct conn *conn = WEFT_CONTAINER_OF(node, struct conn, live);
        if (conn->state != CONN_LINGERING && conn->state != CONN_CLOSING) { /* those have nothing left to lose */
            atomic_store(&share->node->drain_cut, true);
        }
        conn_abort(conn, WEFT_ERR_DRAINING, WEFT_REASON_DRAINING);
    }
}

static bool drain_done(const struct node_shard *share)
{
    return share->net.conn_count == 0 && listener_idle(&share->plain) && listener_idle(&share->secure) &&
           list_empty(&share->rpc.away) && list_empty(&share->shard->parcels.waiting);
}

/* Shards that will drain.  A host may stop before it attached them all; the rest then never runs. */
static uint32_t node_shards_running(const struct weft_node *node)
{
    return node->hosted ? atomic_load(&node->attached) : node->shard_count;
}

static void drain_look(struct timer *timer, void *ctx)
{
    struct node_shard *share = ctx;
    struct weft_shard *shard = share->shard;
    if (shard->now_ns >= share->drain_deadline_ns) {
        drain_cut(share);
    } else {
        drain_close_idle(share);
    }
    if (!share->drained && drain_done(share)) {
        share->drained = true;
        atomic_fetch_add(&share->node->drained, 1);
    }
    if (atomic_load(&share->node->drained) >= node_shards_running(share->node)) {
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
    if (!atomic_load(&node->drain_asked) || share->draining) {
        return;
    }
    share->draining = true;
    share->drain_deadline_ns = shard->now_ns + node->settings.drain_timeout_ns;
    share->drain_timer = (struct timer){.fn = drain_look, .ctx = share};
    listener_stop(&share->plain);
    listener_stop(&share->secure);
    struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        link_stop(link);
    }
    drain_look(&share->drain_timer, share);
}

void weft_node_drain(weft_node *node)
{
    atomic_store(&node->drain_asked, true);
    if (node->state == NODE_STARTED) {
        engine_signal(node->engine);
    }
}
