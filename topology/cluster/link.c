/* SPDX-License-Identifier: Apache-2.0 */
/* Dialing, and dialing again.
 *
 * Failure modes: every end of the channel, expected or not, leads to BACKOFF with a delay that doubles and is jittered,
 * so that a cluster that comes back does not come back all at once.  A refusal is only remembered and logged: it never
 * changes what is dialed, or how. */
#include "topology/cluster/link.h"

#include <string.h>

#include "engine/base/error.h"
#include "topology/cluster/node.h"

#define BACKOFF_FIRST_NS UINT64_C(100000000)
#define BACKOFF_MOST_NS UINT64_C(10000000000)
#define BACKOFF_DOUBLINGS_MAX 7u
/* A goodbye is worth its place in the queue for so long. */
#define GOODBYE_TIMEOUT_NS UINT64_C(1000000000)
/* How often a link that is leaving looks whether its calls have ended. */
#define LEAVE_LOOK_NS UINT64_C(2000000)

static const struct channel_events link_channel_events;

static struct weft_shard *link_shard(const struct link *link)
{
    return link->share->shard;
}

static struct weft_peer_counters *link_tally(const struct link *link)
{
    return node_tally(link->share->node, link->share->shard->index, link->peer_index + 1, link->lane);
}

/* The longest pause after so many failures in a row. */
static uint64_t link_pause_most_ns(uint32_t failures)
{
    uint32_t doublings = failures < BACKOFF_DOUBLINGS_MAX ? failures : BACKOFF_DOUBLINGS_MAX;
    uint64_t most_ns = BACKOFF_FIRST_NS << doublings;
    return most_ns < BACKOFF_MOST_NS ? most_ns : BACKOFF_MOST_NS;
}

static uint64_t link_backoff_ns(struct link *link)
{
    uint64_t most_ns = link_pause_most_ns(link->failures);
    return most_ns / 2 + prng_below(&link_shard(link)->prng, most_ns / 2);
}

/* Nobody needs it, or its peer: it goes, and with it its place in the peer's budget. */
static void link_forget(struct link *link)
{
    timer_wheel_stop(&link_shard(link)->wheel, &link->retry);
    timer_wheel_stop(&link_shard(link)->wheel, &link->idle);
    list_remove(&link->feed.link);
    link->channel = NULL;
    peer_links_forget(link);
}

static bool link_has_calls(const struct link *link)
{
    return !list_empty(&link->waiting) || (link->channel != NULL && link->channel->call_count > 0);
}

static void link_idle_look(struct timer *timer, void *ctx)
{
    struct link *link = ctx;
    bool idle = !link->used && !link_has_calls(link);
    link->used = false;
    if (idle && link->state == LINK_UP && channel_is_up(link->channel)) {
        link->state = LINK_RESTING;
        conn_close(&link->channel->conn, WEFT_REASON_IDLE);
    } else if (idle && link->state == LINK_BACKOFF) {
        link_forget(link);
        return;
    }
    shard_timer_start(link_shard(link), timer, link->share->node->settings.idle_timeout_ns);
}

void link_close_when_idle(struct link *link)
{
    uint64_t timeout_ns = link->share->node->settings.idle_timeout_ns;
    link->on_demand = true;
    if (timeout_ns != 0) {
        link->idle = (struct timer){.fn = link_idle_look, .ctx = link};
        shard_timer_start(link_shard(link), &link->idle, timeout_ns);
    }
}

static void link_back_off(struct link *link)
{
    link->channel = NULL;
    if (link->state == LINK_STOPPED) {
        return;
    }
    link->state = LINK_BACKOFF;
    shard_timer_start(link_shard(link), &link->retry, link_backoff_ns(link));
    link->failures++;
    if (link_shard(link)->now_ns < link->moving_until_ns) {
        return; /* the peer may learn later than we did where everybody is */
    }
    struct weft_error why = link->last;
    why.code = WEFT_ERR_UNREACHABLE;
    call_fail_impatient(&link->waiting, &why);
}

static void link_set_leaving(struct link *link)
{
    memset(&link->last, 0, sizeof link->last);
    if (link->family->removed) {
        weft_error_set_reason(&link->last, WEFT_ERR_CLOSED, WEFT_REASON_PEER_REMOVED, "the peer was removed");
        return;
    }
    weft_error_set_reason(&link->last, WEFT_ERR_UNREACHABLE, WEFT_REASON_DRAINING, "the peer is stopping");
}

struct policy_decision link_decide(const struct link *link)
{
    const struct node_shard *share = link->share;
    struct location own = topology_own_location(share->topology);
    /* Another entry may hold the same address and another place; then nobody knows which of them will answer. */
    struct location theirs =
        peer_match_address(share->topology->peers, share->topology->slot_count, &link->peer->addresses[0]).location;
    return policy_outgoing(share->topology->encryption, &own, &theirs, link->lane);
}

void link_dial(struct link *link)
{
    struct node_shard *share = link->share;
    if (link->family->leaving) {
        link_set_leaving(link);
        link_back_off(link);
        return;
    }
    link->decision = link_decide(link);
    bool tls = link->decision.verdict == POLICY_TLS;
    uint32_t remote = atomic_load_explicit(&share->node->shared[link->peer_index].shards, memory_order_relaxed);
    struct conn_target target = {
        .remote = link->peer->addresses[0],
        .local = share->node->settings.dial_address,
    };
    if (link->lane != WEFT_LANE_CONTROL && !link->named) {
        link->wanted = shard_map_at(share->shard->index, share->node->shard_count, remote, link->place);
    }
    if (link->wanted < remote) {
        target.shards = remote;
        target.wanted = link->wanted;
    }
    target.remote.port = policy_port(link->decision.verdict, link->peer->storage_port, link->peer->ssl_storage_port);
    if (target.local.family != target.remote.family) {
        target.local.family = 0;
    }
    WEFT_ASSERT(!tls || share->factory != NULL);
    memset(&link->last, 0, sizeof link->last);
    link->state = LINK_DIALING;
    enum weft_err err = channel_dial(&share->rpc, &target, tls ? share->factory : NULL, &link_channel_events, link,
                                     &link->channel, &link->last);
    if (err != WEFT_OK) {
        COUNT(share->shard, dial_failures);
        link_back_off(link);
        return;
    }
    channel_set_lane(link->channel, link->lane);
    link->channel->tally = link_tally(link);
    link->channel->decision = link->decision.reason;
}

static void link_retry(struct timer *timer, void *ctx)
{
    struct link *link = ctx;
    if (link->state != LINK_LEAVING) {
        link_dial(link);
        return;
    }
    if (link->family->removed && link_shard(link)->now_ns >= link->leave_deadline_ns) {
        conn_abort(&link->channel->conn, WEFT_ERR_CLOSED, link->last.reason);
    } else if (link->channel->call_count == 0) {
        conn_close(&link->channel->conn, link->last.reason);
    }
    shard_timer_start(link_shard(link), timer, LEAVE_LOOK_NS);
}

static void link_introduce(struct channel *channel, const struct negotiation *offer, struct negotiation *own)
{
    struct link *link = channel->owner;
    (void)offer;
    own->timeout = true;
    own->handler_duration = true;
    if (link->lane != WEFT_LANE_NORMAL) {
        const char *name = weft_lane_name(link->lane);
        own->has_cookie = true;
        own->cookie_bytes = (uint32_t)strlen(name);
        memcpy(own->cookie, name, own->cookie_bytes);
    }
    own->has_hello = true;
    node_introduce(link->share, weft_lane_name(link->lane), &own->hello);
    if (link->wanted < HELLO_SHARD_ANY) {
        own->hello.wanted_shard = (uint16_t)link->wanted;
    }
}

static enum weft_reason link_check(const struct link *link, const struct negotiation *answer, struct weft_error *why)
{
    if (answer->has_hello) {
        return node_check_hello(link->share, &answer->hello, link->peer, why);
    }
    bool due = link->peer->id_known || link->share->node->settings.require_hello == WEFT_REQUIRE_HELLO_ALWAYS;
    return due ? WEFT_REASON_HELLO_MISSING : WEFT_REASON_NONE;
}

static enum weft_reason link_secured(struct channel *channel)
{
    const struct link *link = channel->owner;
    return node_check_identity(link->share, channel, NULL, link->peer, &channel->conn.error);
}

static enum weft_reason link_admit(struct channel *channel, const struct negotiation *answer)
{
    struct link *link = channel->owner;
    enum weft_reason reason = link_check(link, answer, &channel->conn.error);
    if (reason == WEFT_REASON_NONE) {
        reason = node_check_identity(link->share, channel, answer, link->peer, &channel->conn.error);
    }
    channel->peer = link->peer_index + 1;
    return reason != WEFT_REASON_NONE ? reason : node_ask_admit(link->share, channel, answer, link->peer);
}

static enum weft_reason link_disclose(struct channel *channel, enum weft_reason reason)
{
    (void)channel;
    return reason; /* a dialer tells nobody */
}

/* How many shards the peer has, and whether we got to the one we wanted. */
static void link_note_landing(struct link *link)
{
    struct node_shard *share = link->share;
    const struct channel *channel = link->channel;
    if (!channel->peer_hello) {
        return;
    }
    uint32_t remote = channel->peer_shards <= SHARDS_MAX ? channel->peer_shards : 0;
    atomic_store_explicit(&share->node->shared[link->peer_index].shards, remote, memory_order_relaxed);
    if (link->wanted != SHARD_ANY && link->wanted != channel->peer_shard) {
        COUNT(share->shard, misrouted);
        log_event(&share->log, share->shard->now_ns, LOG_LINK_UP, 'D', "link to %s landed on shard %u, not %u",
                  link->peer->text, channel->peer_shard, link->wanted);
    }
}

/* What finds no room tries again in each turn, until it does or its time is over. */
static void link_send_waiting(struct link *link)
{
    if (!call_send_waiting(&link->waiting, link->channel)) {
        shard_run_when_fed(link_shard(link), &link->feed);
    }
}

static void link_feed(struct task *task)
{
    struct link *link = WEFT_CONTAINER_OF(task, struct link, feed);
    if (link->state == LINK_UP && channel_is_up(link->channel)) {
        link_send_waiting(link);
    }
}

static void link_up(struct channel *channel)
{
    struct link *link = channel->owner;
    if (link->state == LINK_STOPPED) {
        return;
    }
    link->state = LINK_UP;
    link->up_since_ns = link_shard(link)->now_ns;
    link->moving_until_ns = 0;
    log_event(&link->share->log, link_shard(link)->now_ns, LOG_LINK_UP, 'D', "link up %s lane %s %s (%s)",
              link->peer->text, weft_lane_name(link->lane), policy_verdict_name(link->decision.verdict),
              weft_reason_name(link->decision.reason));
    link_note_landing(link);
    link->family->up_count[link->lane]++;
    link_send_waiting(link);
    link_note_peer(link, true);
    link_note_lane(link, true);
    if (link->lane == WEFT_LANE_CONTROL) {
        link_heartbeat_start(link);
    }
}

static void link_log_end(struct link *link, const struct channel *channel, bool was_up)
{
    struct node_shard *share = link->share;
    char remote[ADDRESS_TEXT_BYTES];
    address_print(&channel->conn.remote, remote);
    bool refused = link->last.reason < WEFT_REASON_REFUSALS_END && link->last.reason != WEFT_REASON_NONE;
    if (refused && !link->family->leaving) {
        node_refused(share, channel, "out to");
        return;
    }
    bool news = (was_up || link->failures == 0) && !link->family->leaving; /* of failures in a row only the first is */
    char level = news ? 'W' : 'D';
    bool told = node_text_says_no_more(&link->last);
    log_event(&share->log, share->shard->now_ns, LOG_LINK_DOWN, level, "link %s %s lane %s: %s%s%s",
              was_up ? "down" : "failed", remote, weft_lane_name(link->lane), weft_reason_name(link->last.reason),
              told ? "" : ": ", told ? "" : link->last.text);
}

/* The connection that nobody used is closed.  Somebody may want the link again by now. */
static void link_rested(struct link *link)
{
    link->channel = NULL;
    if (link_has_calls(link) && !link->family->removed) {
        link_dial(link);
    } else {
        link_forget(link);
    }
}

static void link_down(struct channel *channel)
{
    struct link *link = channel->owner;
    bool was_up = link->state == LINK_UP || link->state == LINK_LEAVING;
    link->last = channel->conn.error;
    link->family->up_count[link->lane] -= link->state == LINK_UP || link->state == LINK_RESTING;
    if (link->state == LINK_RESTING) {
        link_rested(link);
        return;
    }
    if (link->family->leaving || link->family->removed) {
        link_set_leaving(link);
    }
    if (!was_up && link->state != LINK_STOPPED) {
        COUNT(link->share->shard, dial_failures);
    }
    /* A peer that agrees and then breaks at once has not recovered: only what outlived the pause ends the row. */
    if (was_up && link_shard(link)->now_ns - link->up_since_ns >= link_pause_most_ns(link->failures)) {
        link->failures = 0;
    }
    link_heartbeat_stop(link);
    if (link->state == LINK_STOPPED) {
        link_back_off(link);
        return;
    }
    if (link->family->removed) {
        link_forget(link);
        return;
    }
    link_log_end(link, channel, was_up);
    link_back_off(link);
    link_note_peer(link, false);
    link_note_lane(link, false);
}

static const struct channel_events link_channel_events = {
    .introduce = link_introduce,
    .secured = link_secured,
    .admit = link_admit,
    .disclose = link_disclose,
    .up = link_up,
    .down = link_down,
};

void link_init(struct link *link, struct peer_links *family, enum weft_lane lane)
{
    memset(link, 0, sizeof *link);
    link->share = family->share;
    link->family = family;
    link->peer = &family->share->topology->peers[family->peer_index];
    link->peer_index = family->peer_index;
    link->lane = lane;
    link->wanted = SHARD_ANY;
    list_node_init(&link->sibling);
    link->retry = (struct timer){.fn = link_retry, .ctx = link};
    list_init(&link->waiting);
    list_node_init(&link->feed.link);
    link->feed.run = link_feed;
}

void link_start(struct link *link)
{
    if (link->state == LINK_IDLE || link->state == LINK_BACKOFF) {
        timer_wheel_stop(&link_shard(link)->wheel, &link->retry);
        link_dial(link);
    }
}

enum weft_err link_call_down(struct link *link, const struct call_request *request)
{
    if (link->state == LINK_STOPPED) {
        return WEFT_ERR_DRAINING;
    }
    if (link->state == LINK_IDLE) {
        link_start(link);
    }
    bool soon = link->state == LINK_DIALING || link->state == LINK_RESTING ||
                (link->state == LINK_BACKOFF && link_shard(link)->now_ns < link->moving_until_ns);
    if (!request->patient && !soon) { /* in BACKOFF, or its connection is ending */
        return WEFT_ERR_UNREACHABLE;
    }
    return call_wait(&link->share->rpc, link_tally(link), &link->waiting, request);
}

static void link_leave_up(struct link *link)
{
    link->state = LINK_LEAVING;
    link->family->up_count[link->lane]--;
    link_set_leaving(link);
    link_heartbeat_stop(link);
    shard_timer_start(link_shard(link), &link->retry, 0);
    link_note_peer(link, false);
    link_note_lane(link, false);
}

void link_leave(struct link *link)
{
    if (link->state == LINK_UP) {
        link_leave_up(link);
        const struct weft_error why = link->last;
        call_fail_impatient(&link->waiting, &why);
    } else if (link->state == LINK_DIALING) {
        conn_abort(&link->channel->conn, WEFT_ERR_UNREACHABLE, WEFT_REASON_DRAINING);
    }
}

void link_return(struct link *link)
{
    if (link->state == LINK_BACKOFF) { /* what it failed by is over */
        link->failures = 0;
        shard_timer_start(link_shard(link), &link->retry, link_backoff_ns(link));
    }
}

void link_remove(struct link *link)
{
    bool connected = link->channel != NULL;
    link->leave_deadline_ns = link_shard(link)->now_ns + link->share->node->settings.drain_timeout_ns;
    if (link->state == LINK_UP) {
        link_leave_up(link);
    } else {
        link_set_leaving(link);
        link_note_peer(link, false);
        link_note_lane(link, false);
    }
    const struct weft_error why = link->last;
    call_fail_waiting(&link->waiting, &why);
    if (!connected) {
        link_forget(link);
    } else if (link->state == LINK_DIALING) {
        conn_abort(&link->channel->conn, WEFT_ERR_CLOSED, WEFT_REASON_PEER_REMOVED);
    }
}

static void link_say_goodbye(struct link *link)
{
    const struct call_request goodbye = {
        .verb = WIRE_VERB_GOODBYE,
        .timeout_ns = GOODBYE_TIMEOUT_NS,
        .one_way = true,
    };
    if (call_send(link->channel, &goodbye) == WEFT_OK) {
        link->goodbye = true;
        atomic_store(&link->share->node->shared[link->peer_index].told, true);
        COUNT(link->share->shard, goodbyes_sent);
    }
}

void link_stop(struct link *link)
{
    struct weft_error why = {0};
    weft_error_set_reason(&why, WEFT_ERR_DRAINING, WEFT_REASON_DRAINING, "this node is stopping");
    if (link->noted_up && link->state == LINK_UP && channel_is_up(link->channel) && link->channel->peer_hello) {
        link_say_goodbye(link);
    }
    link->family->up_count[link->lane] -= link->state == LINK_UP || link->state == LINK_RESTING;
    link->last = why;
    link_note_peer(link, false);
    link_note_lane(link, false);
    link_heartbeat_stop(link);
    timer_wheel_stop(&link_shard(link)->wheel, &link->retry);
    timer_wheel_stop(&link_shard(link)->wheel, &link->idle);
    link->state = LINK_STOPPED;
    call_fail_waiting(&link->waiting, &why);
}
