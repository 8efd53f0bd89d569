/* SPDX-License-Identifier: Apache-2.0 */
/* The heartbeat of a control link: a ping per interval, and a timer that every answer starts anew.  A peer that is
 * silent until it fires is down, on every lane and shard.  Plain Seastar peers know no ping: for them the connection's
 * own end must do.
 *
 * Failure modes: a shard that did not run for a while finds the timer due although it has not asked; it asks first. */
#include "topology/cluster/link.h"
#include "topology/cluster/node.h"
#include "topology/cluster/peer_news.h"

/* A peer is down before so many intervals of silence are over: one part in eight of one is left for the timers, turns
 * and other shards between the silence and its being noticed. */
#define HEARTBEATS_SILENT_MAX 3u
#define HEARTBEAT_PARTS 8u
/* Pings that must have gone unanswered all the same. */
#define PINGS_UNANSWERED_MIN 2u

static uint64_t heartbeat_interval_ns(const struct link *link)
{
    return link->share->node->settings.heartbeat_ns;
}

static void silence_over(struct timer *timer, void *ctx)
{
    struct link *link = ctx;
    struct node_shard *share = link->share;
    if (link->pings_unanswered < PINGS_UNANSWERED_MIN) {
        shard_timer_start(share->shard, timer, heartbeat_interval_ns(link));
        return;
    }
    conn_abort(&link->channel->conn, WEFT_ERR_TIMEOUT, WEFT_REASON_HEARTBEAT_MISSED);
    peer_news_silent(share, link->peer_index);
}

static void heartbeat_heard(struct link *link)
{
    uint64_t interval_ns = heartbeat_interval_ns(link);
    link->pings_unanswered = 0;
    shard_timer_start(link->share->shard, &link->silence,
                      HEARTBEATS_SILENT_MAX * interval_ns - interval_ns / HEARTBEAT_PARTS);
}

static void heartbeat_answered(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct link *link = ctx;
    (void)reply;
    /* A connection that is ending takes its pings along. */
    if (err == WEFT_OK && link->state == LINK_UP && channel_is_up(link->channel)) {
        heartbeat_heard(link);
    }
}

static void heartbeat_send(struct timer *timer, void *ctx)
{
    struct link *link = ctx;
    uint64_t interval_ns = heartbeat_interval_ns(link);
    uint8_t payload[8];
    bytes_store64(payload, link->share->shard->now_ns);
    const struct call_request ping = {
        .verb = WIRE_VERB_PING,
        .args = {payload, sizeof payload},
        .timeout_ns = HEARTBEATS_SILENT_MAX * interval_ns, /* a late answer is one */
        .fn = heartbeat_answered,
        .ctx = link,
    };
    COUNT(link->share->shard, heartbeats_sent);
    link->pings_unanswered++;
    enum weft_err err = call_send(link->channel, &ping);
    (void)err; /* what cannot be sent is not answered */
    shard_timer_start(link->share->shard, timer, interval_ns);
}

void link_heartbeat_start(struct link *link)
{
    if (heartbeat_interval_ns(link) == 0 || !link->channel->peer_hello) {
        return;
    }
    link->heartbeat = (struct timer){.fn = heartbeat_send, .ctx = link};
    link->silence = (struct timer){.fn = silence_over, .ctx = link};
    shard_timer_start(link->share->shard, &link->heartbeat, heartbeat_interval_ns(link));
    heartbeat_heard(link);
}

void link_heartbeat_stop(struct link *link)
{
    timer_wheel_stop(&link->share->shard->wheel, &link->heartbeat);
    timer_wheel_stop(&link->share->shard->wheel, &link->silence);
}
