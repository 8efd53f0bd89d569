/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that must go, because the topology says otherwise now than when they were made.
 *
 * Happy path: the connection is marked; whoever dialed it uses another one for new calls, and closes it when its last
 * call has ended.  Failure modes: an accepted one that its dialer does not close is closed when it was idle for a
 * while, since a dialer that knows of the change does it first, and no request is lost on its way; what is still busy
 * at the drain timeout is cut, and its calls fail for the reason by which it had to go.
 *
 * A removed peer's slot is given to nobody before every shard has said that it holds nothing of it. */
#include "engine/base/error.h"
#include "topology/cluster/node.h"

/* How often a shard looks whether the calls have ended. */
#define PART_LOOK_NS UINT64_C(2000000)

static void part_ended(struct channel *channel)
{
    struct node_shard *share = node_shard_of(channel->rpc->shard);
    char remote[ADDRESS_TEXT_BYTES];
    address_print(&channel->conn.remote, remote);
    log_event(&share->log, share->shard->now_ns, LOG_LINK_DOWN, 'D', "former link to %s lane %s ended: %s", remote,
              weft_lane_name(channel->lane), weft_reason_name(channel->conn.error.reason));
}

/* What it had to say before it was up, it did. */
static const struct channel_events part_channel_events = {.down = part_ended};

static bool part_idle(const struct channel *channel)
{
    return channel->call_count == 0 && channel->request_count == 0 && list_empty(&channel->held);
}

static void part_close_idle(const struct node_shard *share, struct channel *channel)
{
    uint64_t now_ns = share->shard->now_ns;
    if (!part_idle(channel)) {
        channel->idle_since_ns = 0;
        return;
    }
    channel->idle_since_ns = channel->idle_since_ns != 0 ? channel->idle_since_ns : now_ns;
    if (!channel->conn.accepted || now_ns - channel->idle_since_ns >= node_grace_ns(share->node)) {
        conn_close(&channel->conn, channel->part_reason);
    }
}

/* Whether any is left. */
static bool part_look_at_channels(struct node_shard *share)
{
    bool left = false;
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        if (channel->part_reason == WEFT_REASON_NONE || !channel_is_up(channel)) {
            continue;
        }
        if (share->shard->now_ns >= channel->part_deadline_ns) {
            conn_abort(&channel->conn, WEFT_ERR_CLOSED, channel->part_reason);
            continue;
        }
        left = true;
        part_close_idle(share, channel);
    }
    return left;
}

static void part_hold(struct node_shard *share, uint32_t account)
{
    if (account != 0) {
        share->peers[account].held_turn = (uint32_t)share->shard->turn_number;
    }
}

/* Whose connections are here, by their names or their accounts. */
static void part_hold_channels(struct node_shard *share)
{
    const struct weft_peer_counters *first = node_tally(share->node, share->shard->index, 0, WEFT_LANE_NORMAL);
    LIST_FOR_EACH(node, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        part_hold(share, channel->peer);
        part_hold(share, (uint32_t)((channel->tally - first) / WEFT_LANE_COUNT));
    }
}

/* A call or a request of the peer's is still here. */
static bool part_accounts_open(const struct node_shard *share, uint32_t peer)
{
    uint64_t under_way = 0;
    for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
        const struct weft_peer_counters *tally =
            node_tally(share->node, share->shard->index, peer + 1, (enum weft_lane)lane);
        under_way += tally_calls_in_flight(tally) + tally_requests_in_flight(tally);
    }
    return under_way > 0;
}

static bool part_look_at_peers(struct node_shard *share)
{
    bool left = false;
    part_hold_channels(share);
    for (uint32_t p = 0; p < share->topology->slot_count; p++) {
        struct peer_links *links = &share->peers[p + 1];
        if (!links->removed) {
            continue;
        }
        if (links->held_turn == (uint32_t)share->shard->turn_number || part_accounts_open(share, p)) {
            left = true;
            continue;
        }
        links->removed = false;
        atomic_fetch_sub(&share->node->shared[p].leaving_shards, 1);
    }
    return left;
}

static void part_look(struct timer *timer, void *ctx)
{
    struct node_shard *share = ctx;
    bool channels = part_look_at_channels(share);
    share->parting = part_look_at_peers(share) || channels;
    if (share->parting) {
        shard_timer_start(share->shard, timer, PART_LOOK_NS);
    }
}

static void part_watch(struct node_shard *share)
{
    if (!share->parting) {
        share->parting = true;
        share->part_timer = (struct timer){.fn = part_look, .ctx = share};
        shard_timer_start(share->shard, &share->part_timer, PART_LOOK_NS);
    }
}

void node_part(struct node_shard *share, struct channel *channel, enum weft_reason reason)
{
    if (!channel->conn.accepted) {
        channel->owner = NULL;
        channel->events = &part_channel_events;
    }
    if (!channel_is_up(channel)) {
        conn_abort(&channel->conn, WEFT_ERR_CLOSED, reason);
        return;
    }
    if (channel->part_reason == WEFT_REASON_NONE) { /* the first reason stays, and its time runs */
        channel->part_reason = reason;
        channel->part_deadline_ns = share->shard->now_ns + share->node->settings.drain_timeout_ns;
        channel->idle_since_ns = 0;
    }
    part_watch(share);
}

void node_part_peer(struct node_shard *share)
{
    part_watch(share);
}
