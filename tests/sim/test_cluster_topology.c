/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: each change of a topology, and each way in which it can be refused, does exactly what it says, to ids, slots,
 * connections and calls.
 *
 * Method: two nodes of cluster.h without faults, one situation each; test_cluster_relocate.c has the storms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

/* When it is over for connections: who should close one had its time, and the drain timeout too. */
#define PARTED_NS (4 * SECOND_NS)
#define DRAIN_NS (3 * SECOND_NS)
#define PEERS_MAX 32u

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
    assert_int_equal(apply(node, peers, 2, &change), WEFT_OK);
    check_change(&change, 0, 0, 0, 2);
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

/* Two nodes on one machine. */
static void topology__one_address_with_two_ports__two_peers(void **state)
{
    (void)state;
    struct cluster cluster;
    struct weft_topology_change change;
    open_pair(&cluster, WEFT_ENCRYPTION_NONE);
    struct weft_peer_options peers[] = {listed("10.0.0.2", "r1"), listed("10.0.0.8", "r1"), listed("10.0.0.8", "r1")};
    peers[2].storage_port = 7100;
    assert_int_equal(apply(&cluster.nodes[0], peers, 3, &change), WEFT_OK);
    check_change(&change, 2, 0, 0, 1);
    assert_int_equal(apply(&cluster.nodes[0], peers, 3, &change), WEFT_OK);
    check_change(&change, 0, 0, 0, 3);
    cluster_close(&cluster, NULL);
}

static void shards_unknown(void *ctx, weft_shard *shard)
{
    assert_int_equal(weft_peer_shards(shard, *(weft_peer_id *)ctx), 0);
}

/* Nothing of who had the slot counts as another's. */
static void peer__in_the_slot_of_another__its_shards_are_unknown(void **state)
{
    (void)state;
    struct cluster cluster;
    struct weft_error why = {0};
    open_pair(&cluster, WEFT_ENCRYPTION_NONE);
    struct cluster_node *node = &cluster.nodes[0];
    weft_peer_id former = node->ids[1];
    assert_int_equal(call_pair(&cluster, 0)->err, WEFT_OK);
    assert_int_not_equal(atomic_load(&node->node->shared[peer_slot_of(former)].shards), 0);
    cluster_remove_peer(node, 1);
    cluster_run(&cluster, 2 * SECOND_NS);
    weft_peer_id other;
    const struct weft_peer_options options = listed("10.0.0.8", "r1");
    assert_int_equal(weft_node_peer_add(node->node, &options, &other, &why), WEFT_OK);
    assert_int_equal(peer_slot_of(other), peer_slot_of(former));
    cluster_run_on(node, 0, shards_unknown, &other);
    cluster_close(&cluster, NULL);
}

static void come_and_go(struct weft_node *node, void *ctx)
{
    struct weft_error why = {0};
    weft_peer_id *id = ctx;
    const struct weft_peer_options options = listed("10.0.0.8", "r1");
    assert_int_equal(weft_node_peer_add(node, &options, id, &why), WEFT_OK);
    assert_int_equal(weft_node_peer_remove(node, *id, &why), WEFT_OK);
}

/* A shard does not finish with whom it never knew: the slot has nobody to wait for, and never more than that. */
static void peer__removed_before_the_start__its_slot_is_used_again(void **state)
{
    (void)state;
    struct cluster cluster;
    struct cluster_options options;
    struct weft_error why = {0};
    weft_peer_id gone;
    weft_peer_id next;
    cluster_options_init(&options, 9);
    options.node_count = 2;
    cluster_open(&cluster, &options);
    cluster.nodes[0].plan.prepare = come_and_go;
    cluster.nodes[0].plan.prepare_ctx = &gone;
    cluster_start(&cluster);
    weft_node *node = cluster.nodes[0].node;
    assert_true(cluster_run_until(&cluster, 5 * SECOND_NS, cluster_all_up));
    assert_int_equal(weft_node_relocate(node, "east", "r2", &why), WEFT_OK);
    cluster_run(&cluster, SECOND_NS);
    const struct weft_peer_options other = listed("10.0.0.9", "r1");
    assert_int_equal(weft_node_peer_add(node, &other, &next, &why), WEFT_OK);
    assert_int_equal(peer_slot_of(next), peer_slot_of(gone));
    cluster_close(&cluster, NULL);
}

/* What must go is given the drain timeout once, however often the topology changes meanwhile. */
static void accepted__to_go_and_changed_again__cut_at_its_first_deadline(void **state)
{
    (void)state;
    struct cluster cluster;
    open_pair(&cluster, WEFT_ENCRYPTION_RACK);
    struct cluster_call *call = cluster_call_new(&cluster.nodes[0], 0, 1);
    call->destiny = DESTINY_LATER;
    call->delay_ns = 8 * SECOND_NS;
    assert_int_equal(cluster_call_start(call), WEFT_OK);
    cluster_run(&cluster, SECOND_NS / 2);
    cluster.moving = true;
    cluster.nodes[0].place = (struct cluster_place){"east", "r2"};
    uint64_t told_ns = sim_world_now_ns(cluster.world);
    for (uint32_t i = 0; i < 3; i++) {
        cluster_tell_place(&cluster.nodes[1], 0);
        cluster_run(&cluster, SECOND_NS / 2);
    }
    assert_true(cluster_run_until(&cluster, 20 * SECOND_NS, cluster_no_open_calls));
    assert_int_equal(call->err, WEFT_ERR_CLOSED);
    assert_in_range(call->end_ns - told_ns, DRAIN_NS, DRAIN_NS + 10 * MS_NS);
    cluster_tell_place(&cluster.nodes[0], 0);
    cluster_run(&cluster, PARTED_NS);
    cluster.moving = false;
    cluster_close(&cluster, NULL);
}

/* What failed before is not what is dialed now: it is dialed at once, whatever the last pause was. */
static void peer__away_and_of_another_kind_now__dialed_at_once(void **state)
{
    (void)state;
    struct cluster cluster;
    open_pair(&cluster, WEFT_ENCRYPTION_RACK);
    struct cluster_node *node = &cluster.nodes[0];
    assert_int_equal(call_pair(&cluster, 0)->err, WEFT_OK);
    cluster_kill_node(&cluster.nodes[1]);
    cluster_run(&cluster, 60 * SECOND_NS);
    uint64_t before = cluster_dialed(node);
    cluster.moving = true;
    cluster.nodes[1].place = (struct cluster_place){"east", "r2"};
    cluster_tell_place(node, 1);
    cluster_run(&cluster, 200 * MS_NS);
    assert_true(cluster_dialed(node) > before);
    cluster_close(&cluster, NULL);
}

/* The peer learns later than we did that plaintext is enough, and refuses it until then. */
static void link__made_again_before_its_peer_knows__calls_wait(void **state)
{
    (void)state;
    struct cluster cluster;
    open_pair(&cluster, WEFT_ENCRYPTION_RACK);
    cluster.moving = true;
    for (uint32_t round = 0; round < 2; round++) {
        cluster.nodes[1].place = (struct cluster_place){"east", round == 0 ? "r2" : "r1"};
        cluster_tell_place(&cluster.nodes[0], 1);
        cluster_run(&cluster, 20 * MS_NS);
        struct cluster_call *call = cluster_call_new(&cluster.nodes[0], 0, 1);
        assert_int_equal(cluster_call_start(call), WEFT_OK);
        cluster_run(&cluster, 300 * MS_NS);
        cluster_tell_place(&cluster.nodes[1], 1);
        assert_true(cluster_run_until(&cluster, 20 * SECOND_NS, cluster_no_open_calls));
        assert_int_equal(call->err, WEFT_OK);
        assert_int_equal(cluster.nodes[1].refusals_logged[0] > 0, round == 1);
        cluster_run(&cluster, PARTED_NS);
    }
    cluster.moving = false;
    cluster_check_classes(&cluster);
    cluster_close(&cluster, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer__removed_and_added__old_ids_name_nobody),
        cmocka_unit_test(peer__removed_with_calls__answered_or_cut_in_time),
        cmocka_unit_test(accepted__plaintext_no_longer_allowed__closed_by_name),
        cmocka_unit_test(topology__applied__differences_only),
        cmocka_unit_test(topology__shards_do_not_run__changes_are_bounded),
        cmocka_unit_test(topology__full__refused_until_left),
        cmocka_unit_test(topology__one_address_with_two_ports__two_peers),
        cmocka_unit_test(peer__in_the_slot_of_another__its_shards_are_unknown),
        cmocka_unit_test(peer__removed_before_the_start__its_slot_is_used_again),
        cmocka_unit_test(peer__away_and_of_another_kind_now__dialed_at_once),
        cmocka_unit_test(link__made_again_before_its_peer_knows__calls_wait),
        cmocka_unit_test(accepted__to_go_and_changed_again__cut_at_its_first_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
