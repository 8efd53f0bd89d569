/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a peer that falls silent is noticed in time and found again, nobody dials more often than the back-off allows,
 * and pairs of nodes that nothing happens to see no error.
 *
 * Method: clusters without random faults, whose pairs are cut and joined again at drawn times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

/* Heartbeats of silence before whose end a peer is down.  Its last answer came up to an interval before. */
#define INTERVALS_SILENT 3u
/* A tick of a timer, a latency and some turns. */
#define NOTICE_NS (2 * MS_NS)
/* The longest pause between two dials, and how long one of them may hang. */
#define FOUND_NS_MAX (13 * SECOND_NS)
/* Far more than a payload of 200 KiB takes through the smallest window, behind a few others. */
#define PROMPT_NS (900 * MS_NS)

/* Whatever shard and lane they were on: calls to a peer that is down do not wait for their deadlines. */
static void check_calls_ended_with_peer(struct cluster *cluster, uint32_t node, uint64_t down_ns)
{
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        if (call->node == node && call->started && call->begin_ns < down_ns && !call->wait_for_peer) {
            cluster_check(cluster, call->ends == 1 && call->end_ns <= down_ns + NOTICE_NS,
                          "call %llu on lane %s did not end with its peer: %s", (unsigned long long)call->id,
                          weft_lane_name(call->lane), call->ends == 1 ? weft_err_name(call->err) : "open");
        }
    }
}

static uint64_t silent(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.node_count = 2;
    options.heartbeat_ms = 50 + (uint32_t)(seed % 10) * 50;
    cluster_open(&cluster, &options);
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    cluster.load = seed % 2 == 0;
    uint64_t interval_ns = options.heartbeat_ms * MS_NS;
    cluster_run(&cluster, 2 * interval_ns + prng_below(&cluster.prng, interval_ns));
    uint64_t cut_ns = sim_world_now_ns(cluster.world);
    uint64_t before[2];
    cluster_partition(&cluster, 0, 1, true);
    for (uint32_t i = 0; i < 2; i++) {
        before[i] = cluster_dialed(&cluster.nodes[i]);
        cluster_check(&cluster, cluster.nodes[i].watches[1 - i].downs == 0, "down before the cut");
    }
    uint64_t cut_for_ns = INTERVALS_SILENT * interval_ns + prng_below(&cluster.prng, 20 * SECOND_NS);
    cluster_run(&cluster, cut_for_ns);
    for (uint32_t i = 0; i < 2; i++) {
        const struct cluster_watch *watch = &cluster.nodes[i].watches[1 - i];
        uint64_t noticed_ns = watch->changed_ns - cut_ns;
        cluster_check(&cluster, !watch->up && watch->downs == 1, "node %u did not notice", i);
        cluster_check(&cluster, watch->reason == WEFT_REASON_HEARTBEAT_MISSED, "node %u: %s", i,
                      weft_reason_name(watch->reason));
        cluster_check(&cluster,
                      noticed_ns + NOTICE_NS >= (INTERVALS_SILENT - 1) * interval_ns - interval_ns / 8 &&
                          noticed_ns <= INTERVALS_SILENT * interval_ns,
                      "node %u noticed after %llu us", i, (unsigned long long)(noticed_ns / 1000));
        check_calls_ended_with_peer(&cluster, i, watch->changed_ns);
        /* The control link, and what calls use: a link per lane and shard. */
        uint64_t links = cluster_links(&cluster.nodes[i], &cluster.nodes[1 - i]);
        uint64_t dials = cluster_dialed(&cluster.nodes[i]) - before[i];
        cluster_check(&cluster, dials <= links * cluster_dials_max(cut_for_ns), "node %u dialed %llu times", i,
                      (unsigned long long)dials);
    }
    cluster.load = false;
    cluster_partition(&cluster, 0, 1, false);
    cluster_check(&cluster, cluster_run_until(&cluster, FOUND_NS_MAX, cluster_all_up), "not found again");
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void peer__silent__down_in_time_and_up_again(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(1000, 50, 10, silent, &totals);
}

static bool call_prompt(const struct cluster_call *call)
{
    switch (call->err) {
    case WEFT_OK:
    case WEFT_ERR_REMOTE:
    case WEFT_ERR_UNKNOWN_VERB:
    case WEFT_ERR_CANCELLED:
        return true;
    case WEFT_ERR_TIMEOUT:
    case WEFT_ERR_EXPIRED:
        return call->destiny == DESTINY_OVERSLEEP || call->timeout_ns < call->delay_ns + PROMPT_NS;
    default:
        return false;
    }
}

static uint64_t partition(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    bool touched[CLUSTER_NODES_MAX][CLUSTER_NODES_MAX];
    memset(touched, 0, sizeof touched);
    cluster_options_init(&options, seed);
    options.secure = true;
    options.node_count = 3 + (uint32_t)(seed % 4);
    cluster_open(&cluster, &options);
    cluster.load = true;
    cluster.reply_calls = true;
    cluster_start(&cluster);
    cluster_run(&cluster, SECOND_NS / 2);
    uint32_t isolated = (uint32_t)(seed % options.node_count);
    for (uint32_t change = 0; change < 8; change++) {
        uint32_t a = (uint32_t)prng_below(&cluster.prng, options.node_count);
        uint32_t b = (a + 1 + (uint32_t)prng_below(&cluster.prng, options.node_count - 1)) % options.node_count;
        bool all = seed % 3 == 0; /* a whole node at a time, and not a pair */
        for (uint32_t i = 0; i < options.node_count; i++) {
            if (all ? i != isolated : i == b) {
                uint32_t from = all ? isolated : a;
                cluster_partition(&cluster, from, i, change % 2 == 0);
                touched[from][i] = touched[i][from] = true;
            }
        }
        cluster_run(&cluster, prng_below(&cluster.prng, SECOND_NS));
    }
    cluster_calm(&cluster);
    for (uint32_t i = 0; i < cluster.call_count; i++) {
        const struct cluster_call *call = &cluster.calls[i];
        cluster_check(&cluster, touched[call->node][call->peer] || (call->started && call_prompt(call)),
                      "call %llu of the healthy pair %u to %u: %s", (unsigned long long)call->id, call->node,
                      call->peer, weft_err_name(call->err));
    }
    for (uint32_t i = 0; i < cluster.node_count; i++) {
        for (uint32_t peer = 0; peer < cluster.node_count; peer++) {
            cluster_check(&cluster, touched[i][peer] || cluster.nodes[i].watches[peer].downs == 0,
                          "node %u lost its healthy peer %u", i, peer);
        }
    }
    return cluster_close(&cluster, totals);
}

static void pairs__some_cut__the_others_see_no_error(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(2000, 50, 10, partition, &totals);
    if (cluster_seeds_all()) {
        assert_true(totals.by_err[WEFT_ERR_CLOSED] > 0);
        assert_true(totals.by_err[WEFT_ERR_TIMEOUT] > 0);
        assert_true(totals.refused_starts > 0);
    }
}

/* Pings that have had their time to be answered, and were not. */
static uint32_t heartbeats_missed(const struct cluster_node *node)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < node->shard_count; i++) {
        struct node_shard *share = &node->node->shards[i];
        const struct link *link;
        for (uint32_t j = 0; (link = node_shard_next_link(share, &j)) != NULL;) {
            most = link->pings_unanswered > most + 1 ? link->pings_unanswered - 1 : most;
        }
    }
    return most;
}

/* Links stop and go, in one direction or both, always for less than what makes a peer silent. */
static uint64_t flap(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    uint32_t missed_most = 0;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.node_count = 2 + (uint32_t)(seed % 3);
    options.heartbeat_ms = 100;
    cluster_open(&cluster, &options);
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    uint64_t interval_ns = options.heartbeat_ms * MS_NS;
    for (uint32_t change = 0; change < 20; change++) {
        uint32_t a = change % options.node_count;
        uint32_t b = (a + 1 + (uint32_t)prng_below(&cluster.prng, options.node_count - 1)) % options.node_count;
        bool both = prng_below(&cluster.prng, 2) == 0;
        cluster_cut(&cluster, a, b, true);
        if (both) {
            cluster_cut(&cluster, b, a, true);
        }
        cluster_run(&cluster, interval_ns * 3 / 4 + prng_below(&cluster.prng, interval_ns));
        for (uint32_t i = 0; i < cluster.node_count; i++) {
            uint32_t missed = heartbeats_missed(&cluster.nodes[i]);
            missed_most = missed > missed_most ? missed : missed_most;
        }
        cluster_partition(&cluster, a, b, false);
        cluster_run(&cluster, 2 * interval_ns);
    }
    cluster_check(&cluster, missed_most > 0, "no ping was ever missed");
    for (uint32_t i = 0; i < cluster.node_count; i++) {
        for (uint32_t peer = 0; peer < cluster.node_count; peer++) {
            const struct cluster_watch *watch = &cluster.nodes[i].watches[peer];
            cluster_check(&cluster, watch->downs == 0, "node %u lost %u: %s", i, peer, weft_reason_name(watch->reason));
        }
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void links__flap_faster_than_noticed__nobody_goes_down(void **state)
{
    (void)state;
    cluster_run_seeds(2100, 30, 10, flap, NULL);
}

/* In one direction only: both ends miss the answers to their pings, and both say that the other is down. */
static uint64_t one_way(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.node_count = 3;
    options.heartbeat_ms = 50 + (uint32_t)(seed % 4) * 50;
    cluster_open(&cluster, &options);
    cluster.load = seed % 2 == 0;
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    cluster_run(&cluster, prng_below(&cluster.prng, SECOND_NS / 2));
    uint64_t cut_ns = sim_world_now_ns(cluster.world);
    cluster_cut(&cluster, 0, 1, true);
    uint64_t interval_ns = options.heartbeat_ms * MS_NS;
    cluster_run(&cluster, INTERVALS_SILENT * interval_ns);
    for (uint32_t i = 0; i < 2; i++) {
        const struct cluster_watch *watch = &cluster.nodes[i].watches[1 - i];
        cluster_check(&cluster, !watch->up && watch->downs == 1, "node %u did not notice", i);
        cluster_check(&cluster, watch->changed_ns - cut_ns <= INTERVALS_SILENT * interval_ns, "node %u noticed late",
                      i);
    }
    cluster_run(&cluster, prng_below(&cluster.prng, 5 * SECOND_NS));
    cluster.load = false;
    cluster_cut(&cluster, 0, 1, false);
    cluster_check(&cluster, cluster_run_until(&cluster, FOUND_NS_MAX, cluster_all_up), "not found again");
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void link__cut_one_way__both_ends_say_down(void **state)
{
    (void)state;
    cluster_run_seeds(2200, 30, 10, one_way, NULL);
}

/* Links stop one by one, and go on in another order.  Those that were never touched see nothing (cluster.h). */
static uint64_t swizzle(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    uint32_t stopped[64];
    uint32_t count = 0;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.node_count = 4 + (uint32_t)(seed % 3);
    cluster_open(&cluster, &options);
    cluster.load = true;
    cluster.reply_calls = true;
    cluster_start(&cluster);
    cluster_run(&cluster, SECOND_NS / 2);
    for (uint32_t from = 0; from < options.node_count; from++) {
        for (uint32_t to = 0; to < options.node_count; to++) {
            if (from != to && prng_below(&cluster.prng, 3) == 0) {
                stopped[count++] = from * options.node_count + to;
            }
        }
    }
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < count; i++) { /* an order of its own for stopping, and another for going on */
            uint32_t other = i + (uint32_t)prng_below(&cluster.prng, count - i);
            uint32_t link = stopped[other];
            stopped[other] = stopped[i];
            stopped[i] = link;
            cluster_cut(&cluster, link / options.node_count, link % options.node_count, round == 0);
            cluster_run(&cluster, prng_below(&cluster.prng, SECOND_NS / 4));
        }
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void links__stopped_and_released_in_any_order__all_found_again(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(2300, 30, 10, swizzle, &totals);
    if (cluster_seeds_all()) {
        assert_true(totals.by_err[WEFT_ERR_CLOSED] > 0);
        assert_true(totals.by_err[WEFT_ERR_TIMEOUT] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer__silent__down_in_time_and_up_again),
        cmocka_unit_test(pairs__some_cut__the_others_see_no_error),
        cmocka_unit_test(links__flap_faster_than_noticed__nobody_goes_down),
        cmocka_unit_test(link__cut_one_way__both_ends_say_down),
        cmocka_unit_test(links__stopped_and_released_in_any_order__all_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
