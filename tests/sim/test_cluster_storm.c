/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whatever the network does to a cluster of weft nodes, each call ends exactly once and truthfully, nothing
 * leaks, and when the faults end everybody finds everybody again.
 *
 * Method: clusters of 2 to 6 nodes with 1 to 3 shards each (cluster.h) in hundreds of worlds whose faults are drawn.
 * Every call's destiny is planned, so that the oracles know which ends it may have.  After the storm the world is
 * healed: then every peer must come up, every call must be answered, and every node must drain without a rest.  Over
 * all seeds each kind of fault must have struck, and each way to end must have been seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

static bool drained_stopped(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].draining && !cluster_node_stopped(&cluster->nodes[i])) {
            return false;
        }
    }
    return true;
}

static uint64_t storm(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.faults = true;
    cluster_open(&cluster, &options);
    cluster.load = true;
    cluster.reply_calls = seed % 2 == 0;
    cluster_start(&cluster);
    cluster_run(&cluster, 3 * SECOND_NS);
    if (seed % 3 == 0) { /* one leaves in the middle of it, and comes back */
        struct cluster_node *node = &cluster.nodes[prng_below(&cluster.prng, cluster.node_count)];
        cluster_drain_node(node);
        cluster_check(&cluster, cluster_run_until(&cluster, 5 * SECOND_NS, drained_stopped), "it does not stop");
        cluster_end_node(node);
        cluster_start_node(node);
        cluster_run(&cluster, SECOND_NS / 2);
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void cluster__all_faults__calls_end_once_and_truthfully(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(1, 150, 8, storm, &totals);
    print_message("%llu runs, %llu calls, %llu answered, %llu not started, latest %llu us\n",
                  (unsigned long long)totals.runs, (unsigned long long)totals.calls,
                  (unsigned long long)totals.answered, (unsigned long long)totals.refused_starts,
                  (unsigned long long)totals.lateness_ns_max / 1000);
    for (uint32_t err = 0; err < 32; err++) {
        if (totals.by_err[err] > 0) {
            print_message("  %s: %llu\n", weft_err_name((enum weft_err)err), (unsigned long long)totals.by_err[err]);
        }
    }
    for (uint32_t fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        print_message("  fault %s: %llu\n", sim_fault_name((enum sim_fault)fault),
                      (unsigned long long)totals.bitten[fault]);
    }
    if (!cluster_seeds_all()) {
        return;
    }
    for (uint32_t fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        assert_true(totals.bitten[fault] > 0);
    }
    for (uint32_t call = 0; call < SIM_CALL_COUNT; call++) {
        print_message("  failed %s: %llu\n", sim_call_name(call), (unsigned long long)totals.errors[call]);
        /* Shutdowns are too few here to be sure of one; test_cluster_errors fails each. */
        assert_true(totals.errors[call] > 0 || call == IO_SHUTDOWN);
    }
    assert_true(totals.starts_failed > 0);
    static const enum weft_err ends[] = {WEFT_OK,          WEFT_ERR_REMOTE,      WEFT_ERR_UNKNOWN_VERB,
                                         WEFT_ERR_TIMEOUT, WEFT_ERR_UNREACHABLE, WEFT_ERR_CLOSED};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        assert_true(totals.by_err[ends[i]] > 0);
    }
    assert_true(totals.by_err[WEFT_ERR_CANCELLED] > 0 && totals.cancels_late > 0);
    assert_true(totals.looked_plain > 0 && totals.looked_secure > 0);
    assert_true(totals.by_executed[WEFT_EXECUTED_NO] > 0);
    assert_true(totals.by_executed[WEFT_EXECUTED_MAYBE] > 0);
    assert_true(totals.by_executed[WEFT_EXECUTED_YES] > totals.calls / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster__all_faults__calls_end_once_and_truthfully),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
