/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a call expires at its own deadline, whoever had its slot before, and a slot that is free expires nobody.
 *
 * Method: calls of very different time-outs one after the other, all in the first slot of a caller, some answered and
 * some to a peer that was cut off; time is virtual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

/* A tick of the timer, and a turn. */
#define LATE_NS_MAX MS_NS

static struct cluster_call *deadline_call(struct cluster *cluster, uint64_t timeout_ns)
{
    struct cluster_call *call = cluster_call_new(&cluster->nodes[0], 0, 1);
    call->timeout_ns = timeout_ns;
    cluster_check(cluster, cluster_call_start(call) == WEFT_OK, "%s", weft_err_name(call->err));
    return call;
}

static void deadline_answered(struct cluster *cluster, uint64_t timeout_ns)
{
    struct cluster_call *call = deadline_call(cluster, timeout_ns);
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_no_open_calls), "no answer");
    cluster_check(cluster, call->err == WEFT_OK, "%s", weft_err_name(call->err));
}

static void deadline_expires(struct cluster *cluster, uint64_t timeout_ns)
{
    struct cluster_call *call = deadline_call(cluster, timeout_ns);
    cluster_check(cluster, cluster_run_until(cluster, 2 * timeout_ns, cluster_no_open_calls), "it never ends");
    uint64_t took_ns = call->end_ns - call->begin_ns;
    cluster_check(cluster, call->err == WEFT_ERR_TIMEOUT, "%s", weft_err_name(call->err));
    cluster_check(cluster, took_ns >= timeout_ns && took_ns <= timeout_ns + LATE_NS_MAX, "after %llu us, not %llu",
                  (unsigned long long)took_ns / 1000, (unsigned long long)timeout_ns / 1000);
}

static uint32_t timers_armed(struct cluster *cluster)
{
    const struct rpc *rpc = &cluster->nodes[0].node->shards[0].rpc;
    uint32_t armed = 0;
    for (uint32_t i = 0; i < rpc->calls.count_touched; i++) {
        armed += timer_armed(&rpc->deadlines[i]) ? 1 : 0;
    }
    return armed;
}

static uint64_t one_slot(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = 2;
    options.shard_count = 1;
    options.heartbeat_ms = 60000;
    cluster_open(&cluster, &options);
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    deadline_answered(&cluster, 10 * SECOND_NS);
    deadline_answered(&cluster, SECOND_NS); /* sooner than the timer that is armed */
    deadline_answered(&cluster, 20 * SECOND_NS);
    cluster_partition(&cluster, 0, 1, true);
    deadline_expires(&cluster, 3 * SECOND_NS); /* the timer of the second call fires meanwhile */
    deadline_expires(&cluster, 50 * MS_NS);
    deadline_expires(&cluster, SECOND_NS);
    cluster_partition(&cluster, 0, 1, false);
    deadline_answered(&cluster, 2 * SECOND_NS);
    cluster_run(&cluster, 3 * SECOND_NS);
    cluster_check(&cluster, timers_armed(&cluster) == 0, "%u timers of nobody", timers_armed(&cluster));
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void deadlines__one_slot_after_the_other__each_its_own(void **state)
{
    (void)state;
    cluster_run_seeds(8600, 4, 4, one_slot, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines__one_slot_after_the_other__each_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
