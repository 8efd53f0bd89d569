/* SPDX-License-Identifier: Apache-2.0 */
/* The oracles that look at state: budgets in each turn, what a node leaves behind, and the history as a whole. */
#include "tests/sim/cluster.h"

#include "engine/rpc/serve.h"

#include <string.h>

/* A look at every connection of a shard costs; one turn in so many is looked at. */
#define LOOK_EVERY_TURNS 16u

/* Pings of one control link that can be in flight: each waits for three intervals, and another is sent meanwhile. */
#define PINGS_MAX 4u

#define CHECK_EQUAL(cluster, left, right)                                                                              \
    cluster_check(cluster, (left) == (right), "%llu and %llu", (unsigned long long)(left), (unsigned long long)(right))

static uint32_t check_tally_count(const struct cluster_node *node)
{
    return (node->node->topology->slot_count + 1) * WEFT_LANE_COUNT;
}

static struct weft_peer_counters *check_tally(const struct cluster_node *node, const struct weft_shard *shard,
                                              uint32_t t)
{
    return node_tally(node->node, shard->index, 0, WEFT_LANE_NORMAL) + t;
}

/* Of each peer and lane: what the account says is under way is what really is. */
static void check_tallies(struct cluster *cluster, const struct cluster_node *node, const struct weft_shard *shard)
{
    const struct node_shard *share = shard->user;
    const struct weft_peer_counters *base = check_tally(node, shard, 0);
    uint64_t calls[(CLUSTER_SLOTS_MAX + 1) * WEFT_LANE_COUNT] = {0};
    uint64_t requests[(CLUSTER_SLOTS_MAX + 1) * WEFT_LANE_COUNT] = {0};
    const struct call *call = NULL;
    const struct weft_request *request = NULL;
    for (uint32_t i = 0; (call = slots_next_in_use(&share->rpc.calls, i)) != NULL;) {
        calls[call->tally - base]++;
        i = slots_index_of(&share->rpc.calls, call) + 1;
    }
    for (uint32_t i = 0; (request = slots_next_in_use(&share->rpc.requests, i)) != NULL;) {
        requests[request->tally - base]++;
        i = slots_index_of(&share->rpc.requests, request) + 1;
    }
    for (uint32_t t = 0; t < check_tally_count(node); t++) {
        CHECK_EQUAL(cluster, tally_calls_in_flight(&base[t]), calls[t]);
        CHECK_EQUAL(cluster, tally_requests_in_flight(&base[t]), requests[t]);
    }
}

/* What was begun has ended, or is still there; nothing else is there. */
static void check_accounts(struct cluster *cluster, const struct cluster_node *node, const struct weft_shard *shard)
{
    const struct node_shard *share = shard->user;
    struct weft_counters counters = shard->counters;
    const struct weft_counters *c = &counters;
    for (uint32_t t = 0; t < check_tally_count(node); t++) {
        tally_add_to_counters(&counters, check_tally(node, shard, t));
    }
    check_tallies(cluster, node, shard);
    uint32_t calls = slots_in_use(&share->rpc.calls);
    uint32_t ours = node->open_calls[shard->index];
    CHECK_EQUAL(cluster, c->calls_started, c->calls_answered + c->calls_failed + c->one_way_sent + calls);
    CHECK_EQUAL(cluster, c->requests_received,
                c->requests_answered + c->requests_failed + c->requests_expired + c->requests_aborted +
                    c->one_way_received + c->heartbeats_answered + c->cancels_received + c->goodbyes_received +
                    slots_in_use(&share->rpc.requests));
    CHECK_EQUAL(cluster, c->accepted + c->dialed, c->connections_closed + share->net.conn_count);
    cluster_check(cluster,
                  calls >= ours && calls - ours <= PINGS_MAX * node->node->topology->slot_count + share->carrying +
                                                       c->cancels_sent + c->goodbyes_sent,
                  "%u calls in flight, %u of them ours", calls, ours);
    /* A one-way call that found no room, or came too late, is answered all the same. */
    cluster_check(cluster, c->late_replies <= c->calls_expired + c->calls_cancelled + c->one_way_sent,
                  "%llu late answers to %llu calls that ended before", (unsigned long long)c->late_replies,
                  (unsigned long long)(c->calls_expired + c->calls_cancelled));
    cluster_check(cluster, c->requests_busy <= c->requests_failed, "a busy answer is a failed request");
}

static void check_budgets(struct cluster *cluster, const struct weft_shard *shard)
{
    const struct node_shard *share = shard->user;
    const struct settings *settings = &share->node->settings;
    cluster_check(cluster, share->net.conn_count <= settings->connections_max, "%u connections", share->net.conn_count);
    cluster_check(cluster, slots_in_use(&share->rpc.calls) <= settings->calls_max, "%u calls",
                  slots_in_use(&share->rpc.calls));
    cluster_check(cluster, slots_in_use(&share->rpc.requests) <= settings->requests_max, "%u requests",
                  slots_in_use(&share->rpc.requests));
    cluster_check(cluster, arena_used(&shard->arena) <= shard->arena.bytes, "%llu bytes of the arena",
                  (unsigned long long)arena_used(&shard->arena));
    cluster_check(cluster, shard->send_pool.free_count <= shard->send_pool.count, "%u free send buffers",
                  shard->send_pool.free_count);
}

/* Of each peer: connections of all shards are no more than there may be, and each place in its budget is a link's. */
static void check_peer_budgets(struct cluster *cluster, const struct cluster_node *node)
{
    uint32_t dialed[CLUSTER_SLOTS_MAX] = {0};
    uint32_t places[CLUSTER_SLOTS_MAX] = {0};
    for (uint32_t index = 0; index < node->shard_count; index++) {
        struct node_shard *share = &node->node->shards[index];
        struct link *link;
        for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
            dialed[link->peer_index] += link->channel != NULL;
            places[link->peer_index] += link->budgeted;
        }
    }
    struct node_shard *share = &node->node->shards[0];
    for (uint32_t peer = 0; peer < node->node->topology->slot_count; peer++) {
        uint32_t most = node_connections_max(share, peer);
        cluster_check(cluster, dialed[peer] <= most, "%u connections to peer %u, %u at most", dialed[peer], peer, most);
        CHECK_EQUAL(cluster, places[peer], atomic_load(&node->node->shared[peer].budgeted));
    }
}

static bool node_is_right(const struct cluster_node *node)
{
    return node->plan.claimed_dc == NULL && node->plan.claimed_rack == NULL;
}

/* Where calls can pass, the bytes are plain or sealed as the policy says.  Nodes have the addresses 10.0.0.1 and up. */
static void check_class(struct cluster *cluster, const struct node_shard *share, const struct channel *channel)
{
    const uint8_t *ip = channel->conn.remote.ip;
    uint32_t own = sim_io_node(share->shard->io);
    uint32_t peer = ip[3] - 1u;
    if (channel->state != CHANNEL_UP || ip[1] != 0 || peer >= cluster->node_count || cluster->moving) {
        return;
    }
    uint32_t dialer = channel->conn.accepted ? peer : own;
    const struct cluster_node *node = &cluster->nodes[dialer];
    if (node->plan.own_policy && dialer != own) {
        return; /* it may have been dialed in a former life, by another policy: judged at the other end */
    }
    bool secure = channel->conn.secure != NULL;
    bool wanted = cluster_wants_secure(cluster, dialer, dialer == own ? peer : own, channel->lane);
    /* Who is wrong about its own place may be protected more than it needs, and never less. */
    bool right = node_is_right(&cluster->nodes[own]) && node_is_right(&cluster->nodes[peer]);
    cluster_check(cluster, right ? secure == wanted : secure || !wanted,
                  "node %u and %u, lane %s, scope %s: the connection is %s", own, peer, weft_lane_name(channel->lane),
                  weft_encryption_name(cluster_encryption(node)), secure ? "sealed" : "plain");
    *(secure ? &cluster->looked_secure : &cluster->looked_plain) += 1;
}

void cluster_check_classes(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        for (uint32_t index = 0; index < cluster->nodes[i].shard_count; index++) {
            const struct node_shard *share = &cluster->nodes[i].node->shards[index];
            LIST_FOR_EACH(link, &share->net.live)
            {
                const struct conn *conn = WEFT_CONTAINER_OF(link, struct conn, live);
                check_class(cluster, share, (const struct channel *)(const void *)conn);
            }
        }
    }
}

static uint32_t list_count(const struct list *list)
{
    uint32_t count = 0;
    LIST_FOR_EACH(link, list)
    {
        count++;
    }
    return count;
}

void cluster_check_turn(struct cluster *cluster, struct weft_shard *shard)
{
    const struct node_shard *share = shard->user;
    check_accounts(cluster, &cluster->nodes[sim_io_node(shard->io)], shard);
    check_budgets(cluster, shard);
    if (cluster->steps % LOOK_EVERY_TURNS != 0) {
        return;
    }
    check_peer_budgets(cluster, &cluster->nodes[sim_io_node(shard->io)]);
    uint32_t listed = 0;
    uint32_t calls = 0;
    uint32_t requests = 0;
    uint32_t bufs = 0;
    LIST_FOR_EACH(link, &share->net.live)
    {
        const struct conn *conn = WEFT_CONTAINER_OF(link, struct conn, live);
        const struct channel *channel = (const struct channel *)(const void *)conn;
        listed++;
        check_class(cluster, share, channel);
        calls += channel->call_count;
        requests += channel->request_count;
        bufs += list_count(&conn->outbox) + list_count(&conn->sealed) + conn->send.send.count;
        cluster_check(cluster, channel->call_count == list_count(&channel->calls) + list_count(&channel->one_ways),
                      "%u calls counted on a connection", channel->call_count);
        cluster_check(cluster, conn->outbox_bytes <= SEND_QUEUE_BYTES_MAX, "a queue of %u bytes", conn->outbox_bytes);
        cluster_check(cluster, conn->handed_total <= conn->queued_total, "more handed over than queued");
        cluster_check(cluster,
                      conn->handed_total + conn->outbox_bytes == conn->queued_total || conn->state >= CONN_DRAINING,
                      "%llu bytes queued, %llu handed over, %u waiting", (unsigned long long)conn->queued_total,
                      (unsigned long long)conn->handed_total, conn->outbox_bytes);
    }
    cluster_check(cluster, listed == share->net.conn_count, "%u connections counted, %u there", share->net.conn_count,
                  listed);
    cluster_check(cluster, calls <= slots_in_use(&share->rpc.calls), "%u calls on connections, %u in all", calls,
                  slots_in_use(&share->rpc.calls));
    cluster_check(cluster, requests <= slots_in_use(&share->rpc.requests), "%u requests on connections, %u in all",
                  requests, slots_in_use(&share->rpc.requests));
    CHECK_EQUAL(cluster, bufs + shard->send_pool.free_count, shard->send_pool.count);
}

bool cluster_is_quiet(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        for (uint32_t index = 0; node->node != NULL && index < node->shard_count; index++) {
            const struct node_shard *share = &node->node->shards[index];
            const struct weft_shard *shard = share->shard;
            if (slots_in_use(&share->rpc.calls) > 0 || slots_in_use(&share->rpc.requests) > 0 ||
                shard->send_pool.free_count < shard->send_pool.count ||
                arena_used(&shard->arena) != node->arena_base[index] || sim_io_lent(shard->io) > 0) {
                return false;
            }
        }
    }
    return true;
}

void cluster_check_undisturbed(struct cluster *cluster)
{
    if (cluster->options.faults || cluster->options.aim.nth != 0) {
        return;
    }
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        for (uint32_t peer = 0; peer < cluster->node_count; peer++) {
            const struct cluster_watch *watch = &cluster->nodes[i].watches[peer];
            cluster_check(cluster, cluster->touched[i][peer] || watch->downs == 0,
                          "node %u lost its healthy peer %u: %s", i, peer, weft_reason_name(watch->reason));
        }
    }
}

static void check_shard_empty(struct cluster_node *node, uint32_t index)
{
    struct cluster *cluster = node->cluster;
    const struct node_shard *share = &node->node->shards[index];
    const struct weft_shard *shard = share->shard;
    cluster_check(cluster, share->net.conn_count == 0, "%u connections are left", share->net.conn_count);
    cluster_check(cluster, slots_in_use(&share->rpc.calls) == 0, "%u calls are left", slots_in_use(&share->rpc.calls));
    cluster_check(cluster, shard->send_pool.free_count == shard->send_pool.count, "%u send buffers are missing",
                  shard->send_pool.count - shard->send_pool.free_count);
    cluster_check(cluster, arena_used(&shard->arena) == node->arena_base[index] || shard->parcels.out > 0,
                  "the arena holds %llu bytes, not %llu", (unsigned long long)arena_used(&shard->arena),
                  (unsigned long long)node->arena_base[index]);
    CHECK_EQUAL(cluster, shard->wheel.armed, 0);
    cluster_check(cluster, list_empty(&shard->tasks) && !shard_is_dirty(shard), "work is left");
    cluster_check(cluster, sim_io_lent(shard->io) == 0, "%u receive buffers are lent", sim_io_lent(shard->io));
    cluster_check(cluster, sim_io_operations(shard->io) == 0, "%u operations are in flight",
                  sim_io_operations(shard->io));
    struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(&node->node->shards[index], &i)) != NULL;) {
        cluster_check(cluster, link->state == LINK_STOPPED && link->channel == NULL, "link %u", i);
        cluster_check(cluster, list_empty(&link->waiting), "link %u", i);
    }
}

/* Requests that nobody answered: those that we hold, some of them on other shards than where they landed, and those
 * whose answers were on their way back when the node stopped. */
static uint32_t check_requests_left(struct cluster_node *node)
{
    uint32_t left = 0;
    uint32_t held = 0;
    uint32_t parcels = 0;
    for (uint32_t i = 0; i < node->shard_count; i++) {
        const struct node_shard *share = &node->node->shards[i];
        left += slots_in_use(&share->rpc.requests);
        held += node->held_count[i];
        parcels += share->shard->parcels.out;
    }
    cluster_check(node->cluster, left >= held && left - held <= parcels, "%u requests are left, %u of them ours", left,
                  held);
    return left;
}

static void check_counters(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    struct weft_counters c;
    uint64_t left = check_requests_left(node);
    uint64_t ups = 0;
    uint64_t downs = 0;
    uint64_t reasons = 0;
    weft_node_counters(node->node, &c);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        ups += node->watches[i].ups;
        downs += node->watches[i].downs;
    }
    for (uint32_t i = 0; i < sizeof c.refused_by_reason / sizeof c.refused_by_reason[0]; i++) {
        reasons += c.refused_by_reason[i];
    }
#define EQUAL(left, right)                                                                                             \
    cluster_check(cluster, (left) == (right), "node %u: %llu and %llu", node->index, (unsigned long long)(left),       \
                  (unsigned long long)(right))
    EQUAL(c.calls_started, c.calls_answered + c.calls_failed + c.one_way_sent);
    EQUAL(c.accepted + c.dialed, c.connections_closed);
    EQUAL(c.requests_received, c.requests_answered + c.requests_failed + c.requests_expired + c.requests_aborted +
                                   c.one_way_received + c.heartbeats_answered + c.cancels_received +
                                   c.goodbyes_received + left);
    EQUAL(c.bytes_sent, c.plain_bytes_sent + c.tls_bytes_sent);
    if (!node->plan.own_policy &&
        (cluster->encryption == WEFT_ENCRYPTION_NONE || cluster->encryption == WEFT_ENCRYPTION_ALL)) {
        EQUAL(cluster->encryption == WEFT_ENCRYPTION_NONE ? c.tls_bytes_sent : c.plain_bytes_sent, 0);
    }
    EQUAL(c.peers_up, ups);
    EQUAL(c.peers_down, downs);
    EQUAL(c.refused, reasons);
#undef EQUAL
    cluster_check(cluster, c.calls_started >= node->started_calls, "fewer calls counted than started");
    cluster_check(cluster,
                  c.calls_started - node->started_calls <=
                      c.heartbeats_sent + c.calls_carried + c.cancels_sent + c.goodbyes_sent,
                  "calls that nobody started");
    cluster_check(cluster, c.calls_expired <= c.calls_failed, "an expired call is a failed one");
}

void cluster_check_node_empty(struct cluster_node *node)
{
    for (uint32_t i = 0; i < node->shard_count; i++) {
        check_shard_empty(node, i);
    }
    check_counters(node);
}

void cluster_check_history(struct cluster *cluster)
{
    cluster_check(cluster, cluster->open_calls == 0, "%u calls never ended", cluster->open_calls);
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        unsigned long long id = call->id;
        cluster_check(cluster, call->runs <= 1, "call %llu ran %u times", id, call->runs);
        if (!call->started) {
            cluster_check(cluster, call->ends == 0 && call->runs == 0, "call %llu was refused, and ran or ended", id);
            continue;
        }
        if (call->caller_died) {
            cluster_check(cluster, call->ends == 0, "call %llu of a dead node ended", id);
            continue;
        }
        cluster_check(cluster, call->ends == 1, "call %llu ended %u times", id, call->ends);
        cluster_check(cluster, call->executed != WEFT_EXECUTED_NO || call->runs == 0, "call %llu ran", id);
        cluster_check(cluster, call->executed != WEFT_EXECUTED_YES || call->runs == 1, "call %llu did not run", id);
    }
}

void cluster_add_totals(const struct cluster *cluster, struct cluster_totals *totals)
{
    totals->runs++;
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        totals->calls++;
        totals->answered += call->ends == 1 && call->err == WEFT_OK;
        if (!call->started) {
            totals->refused_starts++;
        } else if (call->ends == 1) {
            totals->by_err[call->err]++;
            totals->by_executed[call->executed]++;
        }
    }
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        totals->starts_failed += cluster->nodes[i].starts_failed;
    }
    for (uint32_t call = 0; call < SIM_CALL_COUNT; call++) {
        const int32_t *codes;
        uint32_t count = sim_error_codes(call, &codes);
        for (uint32_t i = 0; i < count; i++) {
            totals->errors[call] += sim_world_errors(cluster->world, call, codes[i]);
        }
    }
    totals->cancels_late += cluster->cancels_late;
    totals->late_replies += cluster->late_replies;
    totals->looked_plain += cluster->looked_plain;
    totals->looked_secure += cluster->looked_secure;
    for (uint32_t fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        totals->bitten[fault] += sim_faults_bitten(cluster->world, (enum sim_fault)fault);
    }
    if (cluster->lateness_ns_max > totals->lateness_ns_max) {
        totals->lateness_ns_max = cluster->lateness_ns_max;
    }
}
