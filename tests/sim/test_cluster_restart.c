/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: nodes that die, come back or leave in good order cost their peers exactly the calls that were in flight; what a
 * leaving node has begun it finishes; and a cluster that comes back at once does not dial itself to death.
 *
 * Method: clusters under load whose nodes are killed, drained and started again on their addresses.  Where random
 * faults play too, only the oracles of cluster.h judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

/* These runs are long; enough calls are in flight at any time all the same. */
#define PAUSE_US_MAX 120000u

static struct cluster_node *draw_node(struct cluster *cluster)
{
    return &cluster->nodes[prng_below(&cluster->prng, cluster->node_count)];
}

static uint64_t kill_and_start(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.faults = seed % 2 == 0;
    options.pause_us_max = PAUSE_US_MAX;
    cluster_open(&cluster, &options);
    cluster.load = true;
    cluster.reply_calls = true;
    cluster_start(&cluster);
    for (uint32_t i = 0; i < 4; i++) {
        cluster_run(&cluster, prng_below(&cluster.prng, SECOND_NS));
        struct cluster_node *node = draw_node(&cluster);
        cluster_kill_node(node);
        cluster_run(&cluster,
                    i % 2 == 0 ? prng_below(&cluster.prng, 10 * MS_NS) : prng_below(&cluster.prng, SECOND_NS));
        cluster_start_node(node);
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void node__killed_and_started__calls_fail_once(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(3000, 50, 5, kill_and_start, &totals);
    if (cluster_seeds_all()) {
        assert_true(totals.by_err[WEFT_ERR_CLOSED] > 0);
        assert_true(totals.by_err[WEFT_ERR_UNREACHABLE] > 0 || totals.refused_starts > 0);
    }
}

/* A dead node refuses each dial at once, so that only the back-off holds the dialers down. */
static uint64_t dead(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.node_count = 3;
    options.pause_us_max = PAUSE_US_MAX;
    cluster_open(&cluster, &options);
    cluster.load = true;
    cluster_start(&cluster);
    cluster_run(&cluster, SECOND_NS);
    uint64_t before[3] = {0};
    uint64_t dead_ns = SECOND_NS + prng_below(&cluster.prng, 15 * SECOND_NS);
    cluster_kill_node(&cluster.nodes[0]);
    for (uint32_t i = 1; i < 3; i++) {
        before[i] = cluster_dialed(&cluster.nodes[i]);
    }
    cluster_run(&cluster, dead_ns);
    for (uint32_t i = 1; i < 3; i++) {
        /* The dead node's links, and those between the living that were not used before. */
        uint64_t links = cluster_links(&cluster.nodes[i], &cluster.nodes[0]);
        uint64_t others = cluster_links(&cluster.nodes[i], &cluster.nodes[3 - i]);
        uint64_t dials = cluster_dialed(&cluster.nodes[i]) - before[i];
        cluster_check(&cluster, dials >= 3 && dials <= links * cluster_dials_max(dead_ns) + others,
                      "node %u dialed %llu times in %llu ms", i, (unsigned long long)dials,
                      (unsigned long long)(dead_ns / MS_NS));
    }
    cluster_start_node(&cluster.nodes[0]);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void node__stays_dead__dials_back_off(void **state)
{
    (void)state;
    cluster_run_seeds(3500, 12, 4, dead, NULL);
}

/* Everybody dies at one moment and is back at another.  Whoever listens again is found by the first dial or the
 * second: the pauses between dials have not grown. */
static uint64_t start_storm(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.node_count = CLUSTER_NODES_DRAWN_MAX;
    cluster_open(&cluster, &options);
    cluster.load = true;
    cluster_start(&cluster);
    cluster_run(&cluster, SECOND_NS);
    for (uint32_t i = 0; i < cluster.node_count; i++) {
        cluster_kill_node(&cluster.nodes[i]);
    }
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not all up after a second");
    cluster_run(&cluster, SECOND_NS);
    for (uint32_t i = 0; i < cluster.node_count; i++) {
        struct weft_counters counters;
        uint64_t links = 0;
        for (uint32_t peer = 0; peer < cluster.node_count; peer++) {
            links += peer != i ? cluster_links(&cluster.nodes[i], &cluster.nodes[peer]) : 0;
        }
        weft_node_counters(cluster.nodes[i].node, &counters);
        cluster_check(&cluster, counters.dialed <= links, "node %u dialed %llu times for %llu links", i,
                      (unsigned long long)counters.dialed, (unsigned long long)links);
        cluster_check(&cluster, counters.dial_failures == 0, "node %u failed to dial", i);
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void nodes__all_start_at_once__each_link_dials_once(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(4000, 12, 4, start_storm, &totals);
}

static bool drained(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].draining && !cluster_node_stopped(&cluster->nodes[i])) {
            return false;
        }
    }
    return true;
}

/* A request that a leaving node has begun is answered, and a call that it has begun gets its answer. */
static void check_begun_is_finished(struct cluster *cluster, uint32_t node, uint32_t life, uint32_t first,
                                    uint32_t last)
{
    for (uint32_t i = first; i < last; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        bool ran_there = call->peer == node && call->runs > 0;
        bool from_there = call->node == node && call->life == life && call->started;
        bool finished = call->err == WEFT_OK || call->err == WEFT_ERR_REMOTE || call->err == WEFT_ERR_UNKNOWN_VERB ||
                        call->err == WEFT_ERR_TIMEOUT || call->err == WEFT_ERR_CANCELLED ||
                        call->err == WEFT_ERR_EXPIRED;
        bool to_there = call->peer == node;
        bool refused = (call->err == WEFT_ERR_BUSY || call->err == WEFT_ERR_UNREACHABLE || !call->started) &&
                       call->executed == WEFT_EXECUTED_NO;
        bool waited = call->err == WEFT_ERR_DRAINING && call->executed == WEFT_EXECUTED_NO; /* for its connection */
        cluster_check(cluster, !ran_there || finished, "call %llu ran on node %u and ended with %s",
                      (unsigned long long)call->id, node, weft_err_name(call->err));
        /* Its way led over another shard, which found the peer down. */
        waited = waited || (call->err == WEFT_ERR_UNREACHABLE && call->executed == WEFT_EXECUTED_NO &&
                            call->lane == WEFT_LANE_CONTROL);
        cluster_check(cluster, !to_there || finished || refused || call->wait_for_peer,
                      "call %llu to the leaving node %u was lost: %s, executed %s", (unsigned long long)call->id, node,
                      weft_err_name(call->err), weft_executed_name(call->executed));
        cluster_check(cluster, !from_there || finished || waited, "call %llu of the leaving node %u: %s",
                      (unsigned long long)call->id, node, weft_err_name(call->err));
    }
}

/* The one that stopped told the others, and was told of them: nobody is up any more, and for the same reason. */
static void check_everybody_knows(struct cluster *cluster, uint32_t node)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct cluster_watch *ours = &cluster->nodes[node].watches[i];
        const struct cluster_watch *theirs = &cluster->nodes[i].watches[node];
        if (i == node) {
            continue;
        }
        cluster_check(cluster, ours->ups > 0 && !ours->up && ours->reason == WEFT_REASON_DRAINING,
                      "the leaving node %u says of %u: %s", node, i, weft_reason_name(ours->reason));
        cluster_check(cluster, !theirs->up && theirs->reason == WEFT_REASON_DRAINING,
                      "node %u says of the leaving %u: %s", i, node, weft_reason_name(theirs->reason));
    }
}

static uint64_t roll(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.faults = seed % 4 == 3;
    options.pause_us_max = PAUSE_US_MAX;
    cluster_open(&cluster, &options);
    cluster.load = true;
    cluster.reply_calls = true;
    cluster_start(&cluster);
    for (uint32_t i = 0; i < cluster.node_count; i++) {
        struct cluster_node *node = &cluster.nodes[i];
        cluster_run(&cluster, prng_below(&cluster.prng, SECOND_NS));
        /* A goodbye goes by the control connection of the one that leaves; without one there is none. */
        cluster_check(&cluster, options.faults || cluster_run_until(&cluster, 15 * SECOND_NS, cluster_all_up),
                      "not up");
        uint32_t first = cluster.call_count;
        cluster_run(&cluster, SECOND_NS / 4);
        cluster_drain_node(node);
        cluster_check(&cluster, cluster_run_until(&cluster, 5 * SECOND_NS, drained), "node %u does not stop", i);
        uint32_t last = cluster.call_count;
        if (!options.faults) {
            check_everybody_knows(&cluster, i);
        }
        cluster_end_node(node);
        if (!options.faults) {
            cluster_check(&cluster, node->exit_value == 0, "node %u was cut off", i);
            uint32_t life = node->life;
            cluster_run(&cluster, 2 * SECOND_NS + SECOND_NS / 2); /* every call has ended by then */
            check_begun_is_finished(&cluster, i, life, first, last);
        }
        cluster_start_node(node);
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void node__drained_under_load__finishes_what_it_began(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(5000, 50, 10, roll, &totals);
    if (cluster_seeds_all()) {
        assert_true(totals.by_err[WEFT_ERR_BUSY] > 0); /* what was on its way when the goodbye was */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node__killed_and_started__calls_fail_once),
        cmocka_unit_test(node__stays_dead__dials_back_off),
        cmocka_unit_test(nodes__all_start_at_once__each_link_dials_once),
        cmocka_unit_test(node__drained_under_load__finishes_what_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
