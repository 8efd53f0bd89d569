/* SPDX-License-Identifier: Apache-2.0 */
/* The heartbeat of a control link: a ping per interval, each with the interval as its deadline; too many without an
 * answer in a row, and the peer is declared down.  Plain Seastar peers know no ping: for them the connection's own end
 * must do. */
#include "topology/cluster/link.h"
#include "topology/cluster/node.h"

/* Misses in a row until a peer is down. */
#define HEARTBEATS_MISSED_MAX 3u

static void heartbeat_answered(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct link *link = ctx;
    (void)reply;
    if (link->state != LINK_UP || !channel_is_up(link->channel)) {
        return; /* the connection is ending anyway: its pings fail with it */
    }
    if (err == WEFT_OK) {
        link->heartbeats_missed = 0;
        return;
    }
    link->heartbeats_missed++;
    if (link->heartbeats_missed >= HEARTBEATS_MISSED_MAX) {
        conn_abort(&link->channel->conn, WEFT_ERR_TIMEOUT, WEFT_REASON_HEARTBEAT_MISSED);
    }
}

static void heartbeat_send(struct timer *timer, void *ctx)
{
    struct link *link = ctx;
    uint64_t interval_ns = link->share->node->settings.heartbeat_ns;
    uint8_t payload[8];
    bytes_store64(payload, link->share->shard->now_ns);
    const struct call_request ping = {
        .verb = WIRE_VERB_PING,
        .args = {payload, sizeof payload},
        .timeout_ns = interval_ns,
        .fn = heartbeat_answered,
        .ctx = link,
    };
    COUNT(link->share->shard, heartbeats_sent);
    if (call_send(link->channel, &ping) != WEFT_OK) {
        heartbeat_answered(link, WEFT_ERR_QUEUE_FULL, NULL);
    }
    if (link->state == LINK_UP) {
        shard_timer_start(link->share->shard, timer, interval_ns);
    }
}

void link_heartbeat_start(struct link *link)
{
    if (link->share->node->settings.heartbeat_ns == 0 || !link->channel->peer_hello) {
        return;
    }
    link->heartbeats_missed = 0;
    link->heartbeat = (struct timer){.fn = heartbeat_send, .ctx = link};
    shard_timer_start(link->share->shard, &link->heartbeat, link->share->node->settings.heartbeat_ns);
}

void link_heartbeat_stop(struct link *link)
{
    timer_wheel_stop(&link->share->shard->wheel, &link->heartbeat);
}
