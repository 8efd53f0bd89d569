/* SPDX-License-Identifier: Apache-2.0 */
/* Who may connect, and what we say of ourselves.
 *
 * The location that counts is the topology's entry for the source address; a hello is a claim that can only refuse,
 * never admit.  Every refusal is counted, logged, and told to the peer: by name if the topology knows it, as `refused`
 * if not, so that outsiders learn nothing. */
#include <string.h>

#include "engine/base/error.h"
#include "topology/cluster/node.h"
#include "topology/cluster/peer_news.h"

static struct node_shard *accept_share(const struct channel *channel)
{
    return channel->owner;
}

void node_introduce(const struct node_shard *share, const char *lane, struct hello *hello)
{
    const struct settings *settings = &share->node->settings;
    memset(hello, 0, sizeof *hello);
    hello->version = HELLO_VERSION;
    memcpy(hello->id, settings->node_id, UUID_BYTES);
    hello->incarnation = settings->incarnation;
    hello->shards = (uint16_t)share->node->shard_count;
    hello->shard = (uint16_t)share->shard->index;
    hello->wanted_shard = HELLO_SHARD_ANY;
    memcpy(hello->cluster, settings->cluster_name, sizeof hello->cluster);
    memcpy(hello->dc, share->topology->dc, sizeof hello->dc);
    memcpy(hello->rack, share->topology->rack, sizeof hello->rack);
    memcpy(hello->lane, lane, strlen(lane) + 1);
}

/* A peer's text is shown in part, and escaped. */
#define CLAIM_BYTES 96u

static void wrong_cluster_tell(const struct hello *hello, const struct settings *settings, struct weft_error *why)
{
    char theirs[CLAIM_BYTES];
    char own[CLAIM_BYTES];
    weft_text_escape(theirs, sizeof theirs, hello->cluster, (uint32_t)strlen(hello->cluster));
    weft_text_escape(own, sizeof own, settings->cluster_name, (uint32_t)strlen(settings->cluster_name));
    weft_error_set_reason(why, WEFT_ERR_REFUSED, WEFT_REASON_WRONG_CLUSTER,
                          "the peer's cluster_name is '%s', this node's '%s'", theirs, own);
}

enum weft_reason node_check_hello(const struct node_shard *share, const struct hello *hello, const struct peer *entry,
                                  struct weft_error *why)
{
    const struct settings *settings = &share->node->settings;
    if (strcmp(hello->cluster, settings->cluster_name) != 0) {
        wrong_cluster_tell(hello, settings, why);
        return WEFT_REASON_WRONG_CLUSTER;
    }
    if (memcmp(hello->id, settings->node_id, UUID_BYTES) == 0) {
        return WEFT_REASON_SELF_CONNECTION;
    }
    if (entry != NULL && entry->id_known && memcmp(hello->id, entry->id, UUID_BYTES) != 0) {
        return WEFT_REASON_WRONG_NODE;
    }
    return WEFT_REASON_NONE;
}

static void lane_forbidden_tell(const struct hello *hello, struct weft_error *why)
{
    char lane[CLAIM_BYTES];
    weft_text_escape(lane, sizeof lane, hello->lane, (uint32_t)strlen(hello->lane));
    weft_error_set_reason(why, WEFT_ERR_REFUSED, WEFT_REASON_LANE_FORBIDDEN,
                          "the peer asks for lane '%s'; there are normal, control and bulk", lane);
}

/* false: the hello names no lane of ours. */
static bool accept_lane(const struct negotiation *offer, enum weft_lane *lane)
{
    *lane = WEFT_LANE_NORMAL;
    for (int i = 0; i < WEFT_LANE_COUNT; i++) {
        const char *name = weft_lane_name((enum weft_lane)i);
        if (offer->has_hello && strcmp(offer->hello.lane, name) == 0) {
            *lane = (enum weft_lane)i;
            return true;
        }
        bool named = !offer->has_hello && offer->has_cookie && offer->cookie_bytes == strlen(name) &&
                     memcmp(offer->cookie, name, offer->cookie_bytes) == 0;
        if (named && i != WEFT_LANE_CONTROL) { /* control is for those who say who they are */
            *lane = (enum weft_lane)i;
            return true;
        }
    }
    return !offer->has_hello;
}

static enum weft_reason accept_policy(struct channel *channel, const struct location *theirs)
{
    struct location own = topology_own_location(accept_share(channel)->topology);
    const struct policy_incoming incoming = {
        .scope = accept_share(channel)->topology->encryption,
        .own = &own,
        .peer = theirs,
        .lane = channel->lane,
        .tls = channel->conn.secure != NULL,
        .certificate_configured = accept_share(channel)->topology->certificate,
    };
    struct policy_decision decision = policy_incoming(&incoming);
    channel->decision = decision.reason;
    return decision.verdict == POLICY_REFUSE ? decision.reason : WEFT_REASON_NONE;
}

static bool accept_is_own_address(const struct node_shard *share, const struct address *from)
{
    return node_listens_on(share->node, from) || address_same_ip(from, &share->node->settings.dial_address);
}

static bool accept_hello_due(const struct node_shard *share, const struct peer_match *match, const struct address *from)
{
    switch (share->node->settings.require_hello) {
    case WEFT_REQUIRE_HELLO_ALWAYS:
        return true;
    case WEFT_REQUIRE_HELLO_NEVER:
        return false;
    case WEFT_REQUIRE_HELLO_AUTO:
        break;
    }
    return match->entries > 0 && !accept_is_own_address(share, from);
}

static struct peer_match accept_match(const struct channel *channel)
{
    const struct topology *topology = accept_share(channel)->topology;
    return peer_match_address(topology->peers, topology->slot_count, &channel->conn.remote);
}

/* A connection of a peer that the topology tells for sure counts as its; the others are bounded by the shard alone. */
static enum weft_reason accept_count(struct channel *channel)
{
    struct weft_node *node = accept_share(channel)->node;
    uint32_t peer = channel->peer - 1;
    atomic_uint *accepted = &node->shared[peer].accepted;
    if (atomic_fetch_add_explicit(accepted, 1, memory_order_relaxed) >=
        node_connections_max(accept_share(channel), peer)) {
        atomic_fetch_sub_explicit(accepted, 1, memory_order_relaxed);
        return WEFT_REASON_TOO_MANY_CONNECTIONS;
    }
    channel->counted = true;
    return WEFT_REASON_NONE;
}

static enum weft_reason accept_secured(struct channel *channel)
{
    const struct peer *entry = accept_match(channel).only;
    return node_check_identity(accept_share(channel), channel, NULL, entry, &channel->conn.error);
}

static enum weft_reason accept_check(struct channel *channel, const struct negotiation *offer)
{
    struct node_shard *share = accept_share(channel);
    struct peer_match match = accept_match(channel);
    channel->peer = match.only != NULL ? (uint32_t)(match.only - share->topology->peers) + 1 : 0;
    if (share->draining) {
        return WEFT_REASON_DRAINING;
    }
    enum weft_lane lane;
    if (!accept_lane(offer, &lane)) {
        lane_forbidden_tell(&offer->hello, &channel->conn.error);
        return WEFT_REASON_LANE_FORBIDDEN;
    }
    channel_set_lane(channel, lane);
    channel->tally = node_tally(share->node, share->shard->index, channel->peer, lane);
    enum weft_reason reason = accept_policy(channel, &match.location);
    if (reason != WEFT_REASON_NONE) {
        return reason;
    }
    reason = node_check_identity(share, channel, offer, match.only, &channel->conn.error);
    if (reason != WEFT_REASON_NONE) {
        return reason;
    }
    if (!offer->has_hello) {
        return accept_hello_due(share, &match, &channel->conn.remote) ? WEFT_REASON_HELLO_MISSING : WEFT_REASON_NONE;
    }
    reason = node_check_hello(share, &offer->hello, match.only, &channel->conn.error);
    const struct location claimed = {.dc = offer->hello.dc, .rack = offer->hello.rack};
    if (reason == WEFT_REASON_NONE && channel->conn.secure == NULL && location_contradicts(&match.location, &claimed)) {
        reason = WEFT_REASON_LOCATION_CLAIM_MISMATCH;
    }
    return reason;
}

static enum weft_reason accept_admit(struct channel *channel, const struct negotiation *offer)
{
    struct node_shard *share = accept_share(channel);
    enum weft_reason reason = accept_check(channel, offer);
    if (reason == WEFT_REASON_NONE) {
        reason = node_ask_admit(share, channel, offer, accept_match(channel).only);
    }
    bool proven = offer->has_hello && channel->peer != 0;
    if (reason != WEFT_REASON_NONE || !proven) {
        return reason;
    }
    /* First: what it closes may be what takes up the room. */
    node_fence_note(share, channel->peer - 1, &offer->hello, channel->certified);
    return accept_count(channel);
}

static bool accept_authorize(const struct channel *channel, uint64_t verb)
{
    return node_ask_authorize(accept_share(channel), channel, verb);
}

static enum weft_reason accept_disclose(struct channel *channel, enum weft_reason reason)
{
    return accept_match(channel).entries > 0 ? reason : WEFT_REASON_REFUSED;
}

weft_peer_id node_peer_of(const struct node_shard *share, const struct channel *channel)
{
    return channel->peer != 0 ? share->topology->peers[channel->peer - 1].peer_id : (weft_peer_id){0};
}

static void accept_uncount(struct channel *channel)
{
    if (channel->counted) {
        channel->counted = false;
        atomic_fetch_sub_explicit(&accept_share(channel)->node->shared[channel->peer - 1].accepted, 1,
                                  memory_order_relaxed);
    }
}

/* It is another entry's than it was, or becomes nobody's.  Beyond the entry's bound it is not counted, and stays. */
static void accept_rebind(struct channel *channel, uint32_t peer)
{
    struct node_shard *share = accept_share(channel);
    bool goodbye = channel->said_goodbye;
    peer_news_gone(share, channel);
    accept_uncount(channel);
    channel->said_goodbye = false;
    channel->peer = peer;
    channel->tally = node_tally(share->node, share->shard->index, peer, channel->lane);
    if (goodbye) {
        peer_news_leaving(share, channel);
    }
    if (peer != 0 && channel->peer_hello && accept_count(channel) != WEFT_REASON_NONE) {
        log_event(&share->log, share->shard->now_ns, LOG_REFUSED_IN, 'D', "one connection too many of %s stays",
                  share->topology->peers[peer - 1].text);
    }
}

/* Whatever it was to go for. */
static void accept_may_stay(struct channel *channel)
{
    if (channel->part_reason != WEFT_REASON_CREDENTIALS_REPLACED) {
        channel->part_reason = WEFT_REASON_NONE;
    }
}

void node_judge_accepted(struct node_shard *share, struct channel *channel)
{
    struct peer_match match = accept_match(channel);
    /* What the hello said was found right, and is the same. */
    enum weft_reason reason = node_check_identity(share, channel, NULL, match.only, NULL);
    if (reason != WEFT_REASON_NONE) {
        node_part(share, channel, reason);
    } else {
        accept_may_stay(channel);
    }
}

void node_review_accepted(struct node_shard *share, struct channel *channel)
{
    if (channel->peer != 0 && share->topology->peers[channel->peer - 1].removed) {
        node_part(share, channel, WEFT_REASON_PEER_REMOVED);
        return;
    }
    struct peer_match match = accept_match(channel);
    enum weft_reason reason = accept_policy(channel, &match.location);
    bool other = match.only != NULL && match.only->id_known && channel->peer_hello &&
                 memcmp(channel->peer_id, match.only->id, UUID_BYTES) != 0;
    if (reason == WEFT_REASON_NONE && other) {
        reason = WEFT_REASON_WRONG_NODE;
    }
    if (reason != WEFT_REASON_NONE) {
        node_part(share, channel, reason);
        return;
    }
    uint32_t peer = match.only != NULL ? (uint32_t)(match.only - share->topology->peers) + 1 : 0;
    if (!node_judge(share, channel)) {
        accept_may_stay(channel);
    }
    if (peer != channel->peer) {
        accept_rebind(channel, peer);
    }
}

static void accept_introduce(struct channel *channel, const struct negotiation *offer, struct negotiation *own)
{
    if (offer->has_hello) {
        own->has_hello = true;
        node_introduce(accept_share(channel), weft_lane_name(channel->lane), &own->hello);
    }
}

static void accept_goodbye(struct channel *channel)
{
    peer_news_leaving(accept_share(channel), channel);
}

static void accept_up(struct channel *channel)
{
    (void)channel;
}

static bool reason_is_refusal(enum weft_reason reason)
{
    return reason != WEFT_REASON_NONE && reason < WEFT_REASON_REFUSALS_END;
}

bool node_text_says_no_more(const struct weft_error *error)
{
    return error->text[0] == '\0' || strcmp(error->text, weft_reason_name(error->reason)) == 0;
}

void node_refused(struct node_shard *share, const struct channel *channel, const char *direction)
{
    char remote[ADDRESS_TEXT_BYTES];
    enum weft_reason reason = channel->conn.error.reason;
    WEFT_ASSERT(reason_is_refusal(reason));
    uint64_t *counter = &share->shard->counters.refused_by_reason[reason];
    COUNT(share->shard, refused);
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
    address_print(&channel->conn.remote, remote);
    bool told = node_text_says_no_more(&channel->conn.error);
    log_event(&share->log, share->shard->now_ns, strcmp(direction, "in from") == 0 ? LOG_REFUSED_IN : LOG_REFUSED_OUT,
              'W', "refused %s %s lane %s: %s%s%s", direction, remote, weft_lane_name(channel->lane),
              weft_reason_name(reason), told ? "" : ": ", told ? "" : channel->conn.error.text);
}

/* An end that somebody is to blame for is news; a peer that just goes is a detail: its own log has the reason. */
static bool accept_end_is_news(enum weft_reason reason)
{
    return reason != WEFT_REASON_NONE && reason != WEFT_REASON_DRAINING && reason != WEFT_REASON_LOCAL_CLOSE &&
           reason != WEFT_REASON_CLOSED_BY_PEER && reason != WEFT_REASON_CONNECTION_RESET;
}

static void accept_down(struct channel *channel)
{
    peer_news_gone(accept_share(channel), channel);
    struct node_shard *share = accept_share(channel);
    accept_uncount(channel);
    enum weft_reason reason = channel->conn.error.reason;
    bool ended = reason == WEFT_REASON_DRAINING && channel->conn.error.code != WEFT_ERR_REFUSED;
    if (reason_is_refusal(reason) && !ended) {
        node_refused(share, channel, "in from");
        return;
    }
    char remote[ADDRESS_TEXT_BYTES];
    address_print(&channel->conn.remote, remote);
    bool told = node_text_says_no_more(&channel->conn.error);
    log_event(&share->log, share->shard->now_ns, LOG_ENDED_IN, accept_end_is_news(reason) ? 'W' : 'D',
              "ended in from %s lane %s: %s%s%s", remote, weft_lane_name(channel->lane), weft_reason_name(reason),
              told ? "" : ": ", told ? "" : channel->conn.error.text);
}

static const struct channel_events accept_channel_events = {
    .introduce = accept_introduce,
    .secured = accept_secured,
    .admit = accept_admit,
    .authorize = accept_authorize,
    .disclose = accept_disclose,
    .up = accept_up,
    .goodbye = accept_goodbye,
    .down = accept_down,
};

/* A crowd of strangers must not cost a peer its control lane.  An address proves nothing, and is not taken for proof:
 * whoever else comes from it only waits less. */
static void accept_prefer(struct channel *channel)
{
    if (accept_match(channel).entries > 0) {
        conn_handshake_first(&channel->conn);
    }
}

void node_arrived(struct listener *listener, int32_t socket, const struct address *from)
{
    struct node_shard *share = listener->ctx;
    struct channel *channel;
    struct weft_error why = {0};
    bool tls = listener->secure;
    if (listener < share->listeners || listener >= share->listeners + NODE_PORTS) {
        COUNT(share->shard, accepted_for_others);
    }
    enum weft_err err = channel_accept(&share->rpc, socket, from, tls ? share->factory : NULL, &accept_channel_events,
                                       share, &channel, &why);
    if (err == WEFT_OK && conn_handshake_waits(&channel->conn)) {
        accept_prefer(channel);
    }
    if (err != WEFT_OK) {
        listener_full(listener); /* who comes now waits in the kernel's queue instead of being turned away */
        char remote[ADDRESS_TEXT_BYTES];
        uint64_t *counter = &share->shard->counters.refused_by_reason[WEFT_REASON_TOO_MANY_CONNECTIONS];
        address_print(from, remote);
        COUNT(share->shard, refused);
        __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
        log_event(&share->log, share->shard->now_ns, LOG_REFUSED_IN, 'W', "refused in from %s: %s", remote, why.text);
    }
}
