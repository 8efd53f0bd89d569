/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a topology that changes under load costs no call that was not on its way to or from who was removed, and in the
 * end every connection is what the policy says.
 *
 * Method: clusters of cluster.h under the scopes that look at locations, with a toy record layer for TLS.  From a seed
 * nodes move, to a known place or an unknown one, and each of the others, and the node itself, is told some
 * milliseconds sooner or later; pairs of nodes remove each other and come back.  The oracles of the cluster hold in
 * every turn; here it is asked in addition which calls may have ended without an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/sim/cluster.h"

/* From the first that is told to the last. */
#define TOLD_NS_MAX (20 * MS_NS)
/* When it is over for connections: who should close one had its time, and the drain timeout too. */
#define PARTED_NS (4 * SECOND_NS)

/* Of the pairs below. */
#define PEERS_MAX 32u

static void relocate_options(struct cluster_options *options, uint64_t seed)
{
    cluster_options_init(options, seed);
    options->encryption = seed % 2 == 0 ? WEFT_ENCRYPTION_RACK : WEFT_ENCRYPTION_DC;
    options->pause_us_max = 20000;
}

static struct cluster_place draw_place(struct cluster *cluster)
{
    uint64_t drawn = prng_below(&cluster->prng, 5);
    return drawn == 4 ? (struct cluster_place){NULL, NULL}
                      : (struct cluster_place){drawn % 2 == 0 ? "east" : "west", drawn / 2 == 0 ? "r1" : "r2"};
}

/* Somebody moves; everybody learns of it, in an order that is drawn. */
static void move(struct cluster *cluster)
{
    uint32_t who = (uint32_t)prng_below(&cluster->prng, cluster->node_count);
    uint32_t first = (uint32_t)prng_below(&cluster->prng, cluster->node_count);
    cluster->nodes[who].place = draw_place(cluster);
    cluster->moving = true;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[(first + i) % cluster->node_count];
        if (node->index == who || cluster_knows(node, who)) {
            cluster_tell_place(node, who);
        }
        cluster_run(cluster, prng_below(&cluster->prng, TOLD_NS_MAX / cluster->node_count));
    }
}

/* Two that know each other forget each other, or the other way around.  Nobody is left alone: who has nobody else stays
 * with the last. */
static void part_or_meet(struct cluster *cluster)
{
    uint32_t a = (uint32_t)prng_below(&cluster->prng, cluster->node_count);
    uint32_t b = (a + 1 + (uint32_t)prng_below(&cluster->prng, cluster->node_count - 1)) % cluster->node_count;
    uint32_t known[2] = {0};
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        known[0] += cluster_knows(&cluster->nodes[a], i);
        known[1] += cluster_knows(&cluster->nodes[b], i);
    }
    bool meet = !cluster_knows(&cluster->nodes[a], b);
    if (!meet && (known[0] < 2 || known[1] < 2)) {
        return;
    }
    cluster->moving = true;
    for (uint32_t i = 0; i < 2; i++) {
        struct cluster_node *node = &cluster->nodes[i == 0 ? a : b];
        uint32_t other = i == 0 ? b : a;
        if (meet) {
            cluster_add_peer(node, other);
        } else {
            cluster_remove_peer(node, other);
        }
        cluster_run(cluster, prng_below(&cluster->prng, TOLD_NS_MAX));
    }
}

/* Everybody knows, and what had to go is gone. */
static void settle(struct cluster *cluster)
{
    cluster_run(cluster, PARTED_NS);
    cluster->moving = false;
    cluster_check_classes(cluster);
}

/* Of a pair that stayed together, every call that had the time to be answered was, or was refused without having run:
 * dials fail while not everybody knows. */
static void check_none_lost(const struct cluster *cluster, bool parted)
{
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        if (!call->started || (parted && cluster->touched[call->node][call->peer])) {
            continue;
        }
        bool patient = call->timeout_ns >= SECOND_NS && call->destiny != DESTINY_OVERSLEEP;
        cluster_check(cluster, call->err != WEFT_ERR_CLOSED && call->err != WEFT_ERR_DRAINING,
                      "call %llu of node %u to %u was lost: %s", (unsigned long long)call->id, call->node, call->peer,
                      weft_err_name(call->err));
        cluster_check(cluster, !patient || (call->err != WEFT_ERR_TIMEOUT && call->err != WEFT_ERR_EXPIRED),
                      "call %llu of node %u to %u had %llu ms and was not answered", (unsigned long long)call->id,
                      call->node, call->peer, (unsigned long long)(call->timeout_ns / MS_NS));
    }
}

struct relocate_totals {
    struct cluster_totals cluster;
    uint64_t moved; /* links */
    uint64_t parted;
};

static struct relocate_totals totals_of_all;

static void count_ends(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct weft_counters counters;
        weft_node_counters(cluster->nodes[i].node, &counters);
        totals_of_all.moved += counters.links_moved;
        totals_of_all.parted += counters.ended_by_reason[WEFT_REASON_LOCATION_CHANGED - WEFT_REASON_ENDS_BEGIN];
    }
}

static uint64_t run(uint64_t seed, struct cluster_totals *totals, bool parting)
{
    struct cluster_options options;
    struct cluster cluster;
    relocate_options(&options, seed);
    cluster_open(&cluster, &options);
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, 5 * SECOND_NS, cluster_all_up), "not all peers come up");
    cluster.load = true;
    cluster.reply_calls = seed % 3 == 0;
    for (uint32_t i = 0; i < 12; i++) {
        if (parting && prng_below(&cluster.prng, 2) == 0) {
            part_or_meet(&cluster);
        } else {
            move(&cluster);
        }
        if (i == 8) {
            settle(&cluster);
        }
        cluster_run(&cluster, prng_below(&cluster.prng, 300 * MS_NS));
    }
    cluster.load = false;
    settle(&cluster);
    check_none_lost(&cluster, parting);
    count_ends(&cluster);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static uint64_t moves(uint64_t seed, struct cluster_totals *totals)
{
    return run(seed, totals, false);
}

static uint64_t partings(uint64_t seed, struct cluster_totals *totals)
{
    return run(seed, totals, true);
}

static void cluster__locations_change_under_load__no_call_lost(void **state)
{
    (void)state;
    totals_of_all = (struct relocate_totals){0};
    cluster_run_seeds(1, 24, 8, moves, &totals_of_all.cluster);
    const struct cluster_totals *all = &totals_of_all.cluster;
    print_message("%llu calls, %llu answered, %llu not started, %llu unreachable, %llu links moved\n",
                  (unsigned long long)all->calls, (unsigned long long)all->answered,
                  (unsigned long long)all->refused_starts, (unsigned long long)all->by_err[WEFT_ERR_UNREACHABLE],
                  (unsigned long long)totals_of_all.moved);
    uint64_t asked;
    if (!cluster_seed_asked(&asked)) {
        assert_true(totals_of_all.moved > 500 && totals_of_all.parted > 100);
        assert_true(all->looked_plain > 0 && all->looked_secure > 0);
    }
}

static void cluster__peers_come_and_go_under_load__others_notice_nothing(void **state)
{
    (void)state;
    totals_of_all = (struct relocate_totals){0};
    cluster_run_seeds(1001, 24, 8, partings, &totals_of_all.cluster);
    const struct cluster_totals *all = &totals_of_all.cluster;
    print_message("%llu calls, %llu answered, %llu not started, %llu closed, %llu links moved\n",
                  (unsigned long long)all->calls, (unsigned long long)all->answered,
                  (unsigned long long)all->refused_starts, (unsigned long long)all->by_err[WEFT_ERR_CLOSED],
                  (unsigned long long)totals_of_all.moved);
}

static void open_pair(struct cluster *cluster, enum weft_encryption encryption)
{
    struct cluster_options options;
    cluster_options_init(&options, 7);
    options.node_count = 2;
    options.encryption = encryption;
    options.peers_max = PEERS_MAX;
    cluster_open(cluster, &options);
    for (uint32_t i = 0; i < 2; i++) {
        cluster->nodes[i].place = (struct cluster_place){"east", "r1"};
    }
    cluster_start(cluster);
    assert_true(cluster_run_until(cluster, 5 * SECOND_NS, cluster_all_up));
}

static struct cluster_call *call_pair(struct cluster *cluster, uint32_t caller)
{
    struct cluster_call *call = cluster_call_new(&cluster->nodes[caller], 0, 1 - caller);
    assert_int_equal(cluster_call_start(call), WEFT_OK);
    assert_true(cluster_run_until(cluster, 20 * SECOND_NS, cluster_no_open_calls));
    return call;
}

static void stale_call(void *ctx, weft_shard *shard)
{
    const weft_peer_id *id = ctx;
    assert_int_equal(weft_call(shard, *id, CLUSTER_VERB_LARGE, weft_span_of("x"), NULL, NULL, NULL),
                     WEFT_ERR_NOT_FOUND);
    assert_int_equal(weft_peer_shards(shard, *id), 0);
}

/* A slot is used again once every shard has finished with its peer; the id of then names nobody, ever. */
static void peer__removed_and_added__old_ids_name_nobody(void **state)
{
    (void)state;
    struct cluster cluster;
    open_pair(&cluster, WEFT_ENCRYPTION_NONE);
    struct cluster_node *node = &cluster.nodes[0];
    for (uint32_t i = 0; i < 40; i++) {
        weft_peer_id old = node->ids[1];
        struct weft_peer_counters account;
        assert_int_equal(call_pair(&cluster, 0)->err, WEFT_OK);
        assert_int_equal(weft_node_peer_counters(node->node, old, WEFT_LANE_NORMAL, &account), WEFT_OK);
        assert_int_equal(account.calls_started, 1);
        cluster_remove_peer(node, 1);
        assert_int_equal(weft_node_peer_counters(node->node, old, WEFT_LANE_NORMAL, &account), WEFT_ERR_NOT_FOUND);
        cluster_run(&cluster, 2 * SECOND_NS);
        cluster_run_on(node, 0, stale_call, &old);
        cluster_add_peer(node, 1);
        cluster_run_on(node, 0, stale_call, &old);
        assert_true(cluster_run_until(&cluster, 5 * SECOND_NS, cluster_all_up));
    }
    assert_int_equal(node->node->topology->slot_count, 1);
    struct weft_error why = {0};
    assert_int_equal(weft_node_peer_remove(node->node, node->former_ids[1], &why), WEFT_ERR_NOT_FOUND);
    assert_int_equal(weft_node_peer_relocate(node->node, node->former_ids[1], "a", "b", &why), WEFT_ERR_NOT_FOUND);
    cluster_close(&cluster, NULL);
}

/* Calls that are under way when their peer is removed are answered, those that wait are not, and both by name; what
 * does not end is cut at the drain timeout. */
static void peer__removed_with_calls__answered_or_cut_in_time(void **state)
{
    (void)state;
    struct cluster cluster;
    open_pair(&cluster, WEFT_ENCRYPTION_NONE);
    struct cluster_node *node = &cluster.nodes[0];
    const uint64_t delays_ns[] = {SECOND_NS, 8 * SECOND_NS};
    struct cluster_call *calls[2];
    for (uint32_t i = 0; i < 2; i++) {
        calls[i] = cluster_call_new(node, 0, 1);
        calls[i]->destiny = DESTINY_LATER;
        calls[i]->delay_ns = delays_ns[i];
        assert_int_equal(cluster_call_start(calls[i]), WEFT_OK);
    }
    cluster_run(&cluster, SECOND_NS / 2);
    uint64_t removed_ns = sim_world_now_ns(cluster.world);
    cluster_remove_peer(node, 1);
    assert_true(cluster_run_until(&cluster, 20 * SECOND_NS, cluster_no_open_calls));
    assert_int_equal(calls[0]->err, WEFT_OK);
    assert_int_equal(calls[1]->err, WEFT_ERR_CLOSED);
    assert_in_range(calls[1]->end_ns - removed_ns, 3 * SECOND_NS, 3 * SECOND_NS + 10 * MS_NS);
    assert_false(node->watches[1].up);
    assert_int_equal(node->watches[1].reason, WEFT_REASON_PEER_REMOVED);
    cluster_run(&cluster, SECOND_NS);
    struct weft_counters counters;
    weft_node_counters(node->node, &counters);
    /* Those that calls used, and both control connections: ours, and the one that was accepted. */
    assert_true(counters.ended_by_reason[WEFT_REASON_PEER_REMOVED - WEFT_REASON_ENDS_BEGIN] >= 3);
    cluster_close(&cluster, NULL);
}

/* Who accepted in plaintext what may not be any more, and is the only one to know, waits for a while and closes it. */
static void accepted__plaintext_no_longer_allowed__closed_by_name(void **state)
{
    (void)state;
    static const struct cluster_place places[] = {{"east", "r2"}, {NULL, NULL}};
    static const enum weft_reason reasons[] = {WEFT_REASON_PLAINTEXT_FORBIDDEN, WEFT_REASON_PLAINTEXT_UNKNOWN_LOCATION};
    for (uint32_t i = 0; i < 2; i++) {
        struct cluster cluster;
        struct weft_counters counters;
        open_pair(&cluster, WEFT_ENCRYPTION_RACK);
        assert_int_equal(call_pair(&cluster, 0)->err, WEFT_OK);
        cluster.moving = true;
        cluster.nodes[0].place = places[i];
        cluster_tell_place(&cluster.nodes[1], 0);
        cluster_run(&cluster, SECOND_NS / 2);
        weft_node_counters(cluster.nodes[1].node, &counters);
        assert_int_equal(counters.refused_by_reason[reasons[i]], 0);
        cluster_run(&cluster, SECOND_NS);
        weft_node_counters(cluster.nodes[1].node, &counters);
        assert_true(counters.refused_by_reason[reasons[i]] > 0);
        assert_int_equal(counters.refused_by_reason[reasons[i]], counters.refused);
        cluster_tell_place(&cluster.nodes[0], 0);
        cluster_run(&cluster, PARTED_NS);
        cluster.moving = false;
        assert_int_equal(call_pair(&cluster, 0)->err, WEFT_OK);
        cluster_check_classes(&cluster);
        cluster_close(&cluster, NULL);
    }
}

static struct weft_peer_options listed(const char *address, const char *rack)
{
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    peer.addresses[0] = address;
    peer.dc = "east";
    peer.rack = rack;
    return peer;
}

static enum weft_err apply(struct cluster_node *node, const struct weft_peer_options *peers, uint32_t count,
                           struct weft_topology_change *change)
{
    struct weft_topology topology = WEFT_TOPOLOGY_INIT;
    struct weft_error why = {0};
    topology.dc = "east";
    topology.rack = "r1";
    topology.peers = peers;
    topology.peer_count = count;
    memset(change, 0, sizeof *change);
    return weft_node_topology_apply(node->node, &topology, change, sizeof *change, &why);
}

static void check_change(const struct weft_topology_change *change, uint32_t added, uint32_t removed,
                         uint32_t relocated, uint32_t kept)
{
    assert_int_equal(change->added, added);
    assert_int_equal(change->removed, removed);
    assert_int_equal(change->relocated, relocated);
    assert_int_equal(change->kept, kept);
}

/* A whole list against what is there; on an error nothing changes. */
static void topology__applied__differences_only(void **state)
{
    (void)state;
    struct cluster cluster;
    struct weft_topology_change change;
    open_pair(&cluster, WEFT_ENCRYPTION_NONE);
    struct cluster_node *node = &cluster.nodes[0];
    weft_peer_id first = node->ids[1];
    struct weft_peer_options peers[] = {listed("10.0.0.2", "r1"), listed("10.0.0.8", "r2"), listed("10.0.0.9", "r2")};
    assert_int_equal(apply(node, peers, 3, &change), WEFT_OK);
    check_change(&change, 2, 0, 0, 1);
    assert_false(change.moved);
    assert_int_equal(weft_node_peer_find(node->node, "10.0.0.2").bits, first.bits);
    weft_peer_id second = weft_node_peer_find(node->node, "10.0.0.8");
    peers[1].rack = "r3";
    assert_int_equal(apply(node, peers, 2, &change), WEFT_OK);
    check_change(&change, 0, 1, 1, 1);
    assert_int_equal(weft_node_peer_find(node->node, "10.0.0.8").bits, second.bits);
    assert_int_equal(weft_node_peer_find(node->node, "10.0.0.9").bits, 0);
    peers[1].connections = 3;
    assert_int_equal(apply(node, peers, 2, &change), WEFT_OK);
    check_change(&change, 1, 1, 0, 1);
    assert_int_not_equal(weft_node_peer_find(node->node, "10.0.0.8").bits, second.bits);
    peers[2] = peers[0];
    assert_int_equal(apply(node, peers, 3, &change), WEFT_ERR_INVALID);
    peers[2].addresses[0] = "no address";
    assert_int_equal(apply(node, peers, 3, &change), WEFT_ERR_INVALID);
    assert_int_equal(apply(node, peers, 2, &change), WEFT_OK);
    check_change(&change, 0, 0, 0, 2);
    assert_int_equal(apply(node, peers, 1, &change), WEFT_OK);
    check_change(&change, 0, 1, 0, 1);
    cluster_run(&cluster, 5 * SECOND_NS);
    assert_int_equal(call_pair(&cluster, 0)->err, WEFT_OK);
    cluster_close(&cluster, NULL);
}

/* Shards that do not run keep what they read; there is an end to that, too. */
static void topology__shards_do_not_run__changes_are_bounded(void **state)
{
    (void)state;
    struct cluster cluster;
    struct weft_error why = {0};
    open_pair(&cluster, WEFT_ENCRYPTION_NONE);
    weft_node *node = cluster.nodes[0].node;
    uint32_t changes = 0;
    while (changes < 100 && weft_node_relocate(node, "east", changes % 2 == 0 ? "r1" : "r2", &why) == WEFT_OK) {
        changes++;
    }
    assert_int_equal(why.code, WEFT_ERR_QUEUE_FULL);
    assert_int_equal(changes, 15);
    cluster_run(&cluster, SECOND_NS);
    assert_int_equal(weft_node_relocate(node, "east", "r1", &why), WEFT_OK);
    assert_null(node->topology->older->older);
    cluster_close(&cluster, NULL);
}

/* The table is bounded, and a removed peer counts until every shard has finished with it. */
static void topology__full__refused_until_left(void **state)
{
    (void)state;
    struct cluster cluster;
    struct weft_error why = {0};
    open_pair(&cluster, WEFT_ENCRYPTION_NONE);
    weft_node *node = cluster.nodes[0].node;
    weft_peer_id last = {0};
    for (uint32_t i = 1; i < PEERS_MAX; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.1.%u.%u", i / 250, i % 250 + 1);
        const struct weft_peer_options peer = listed(text, "r1");
        assert_int_equal(weft_node_peer_add(node, &peer, &last, &why), WEFT_OK);
        if (i % 10 == 0) {
            cluster_run(&cluster, MS_NS);
        }
    }
    cluster_run(&cluster, MS_NS);
    const struct weft_peer_options more = listed("10.2.0.1", "r1");
    assert_int_equal(weft_node_peer_add(node, &more, NULL, &why), WEFT_ERR_QUEUE_FULL);
    assert_int_equal(weft_node_peer_remove(node, last, &why), WEFT_OK);
    assert_int_equal(weft_node_peer_add(node, &more, NULL, &why), WEFT_ERR_QUEUE_FULL);
    cluster_run(&cluster, SECOND_NS);
    assert_int_equal(weft_node_peer_add(node, &more, NULL, &why), WEFT_OK);
    struct weft_topology_change change;
    const struct weft_peer_options rest = listed("10.0.0.2", "r1");
    assert_int_equal(apply(&cluster.nodes[0], &rest, 1, &change), WEFT_OK);
    check_change(&change, 0, PEERS_MAX - 1, 0, 1);
    cluster_run(&cluster, 5 * SECOND_NS);
    assert_int_equal(call_pair(&cluster, 0)->err, WEFT_OK);
    cluster_close(&cluster, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster__locations_change_under_load__no_call_lost),
        cmocka_unit_test(cluster__peers_come_and_go_under_load__others_notice_nothing),
        cmocka_unit_test(peer__removed_and_added__old_ids_name_nobody),
        cmocka_unit_test(peer__removed_with_calls__answered_or_cut_in_time),
        cmocka_unit_test(accepted__plaintext_no_longer_allowed__closed_by_name),
        cmocka_unit_test(topology__applied__differences_only),
        cmocka_unit_test(topology__shards_do_not_run__changes_are_bounded),
        cmocka_unit_test(topology__full__refused_until_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
