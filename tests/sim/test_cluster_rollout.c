/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a cluster goes from one policy to the other node by node as policy_step.h says: by a safe step no call is lost
 * and nobody is refused; by one that is not safe, some are, until the last node is through.
 *
 * Method: six nodes in two data centres, some of them in one rack, for every ordered pair of stages.  One node after
 * the other is drained under load and started again on the new stage.  TLS is the toy record layer's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"
#include "topology/cluster/policy_step.h"

#define NODES 6u
#define PAIRS (POLICY_STAGES * (POLICY_STAGES - 1))
/* Far above what a handshake takes, and below the heartbeat's idea of silence. */
#define SETTLE_NS (300 * MS_NS)
/* Until a goodbye is heard.  What arrives before that is answered by "busy", and its caller knows that it never ran. */
#define GOODBYE_NS (20 * MS_NS)
/* Of calls that are to find out what does not work. */
#define PROBE_TIMEOUT_NS (2 * SECOND_NS)

struct rollout {
    struct cluster cluster;
    enum policy_stage from;
    enum policy_stage to;
    bool safe;
};

static void node_set_stage(struct cluster_node *node, enum policy_stage stage)
{
    node->plan.own_policy = true;
    node->plan.encryption = policy_stage_scope(stage);
    node->plan.certificate = stage != POLICY_STAGE_NONE;
}

/* Every node that is not leaving calls every other one on every lane, and waits for those that are away. */
static void burst(struct cluster *cluster, uint64_t timeout_ns)
{
    for (uint32_t i = 0; i < cluster->node_count * cluster->node_count * WEFT_LANE_COUNT; i++) {
        struct cluster_node *node = &cluster->nodes[i % cluster->node_count];
        uint32_t peer = i / cluster->node_count % cluster->node_count;
        if (peer == node->index || node->node == NULL || node->draining) {
            continue;
        }
        struct cluster_call *call = cluster_call_new(node, 0, peer);
        call->lane = (enum weft_lane)(i / cluster->node_count / cluster->node_count);
        call->destiny = prng_below(&cluster->prng, 2) == 0 ? DESTINY_NOW : DESTINY_LATER;
        call->delay_ns = prng_below(&cluster->prng, 100 * MS_NS);
        call->timeout_ns = timeout_ns;
        call->wait_for_peer = true;
        cluster_check(cluster, cluster_call_start(call) == WEFT_OK, "call %llu", (unsigned long long)call->id);
    }
}

static bool leaving_stopped(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].draining && !cluster_node_stopped(&cluster->nodes[i])) {
            return false;
        }
    }
    return true;
}

static uint64_t refusals(const struct cluster_node *node)
{
    return node->refusals_logged[0] + node->refusals_logged[1];
}

/* One node comes back on another stage; in the meantime the others call it, and it finishes what it began. */
static void roll_node(struct rollout *rollout, uint32_t index)
{
    struct cluster *cluster = &rollout->cluster;
    struct cluster_node *node = &cluster->nodes[index];
    burst(cluster, rollout->safe ? 10 * SECOND_NS : PROBE_TIMEOUT_NS);
    cluster_run(cluster, 50 * MS_NS);
    cluster_drain_node(node);
    cluster_run(cluster, GOODBYE_NS);
    burst(cluster, rollout->safe ? 10 * SECOND_NS : PROBE_TIMEOUT_NS);
    cluster_check(cluster, cluster_run_until(cluster, 5 * SECOND_NS, leaving_stopped), "node %u does not stop", index);
    cluster_check(cluster, !rollout->safe || refusals(node) == 0, "node %u: %s", index, node->last_refusal[0]);
    cluster_end_node(node);
    cluster_check(cluster, !rollout->safe || node->exit_value == 0, "node %u was cut off", index);
    node_set_stage(node, rollout->to);
    cluster_start_node(node);
    burst(cluster, rollout->safe ? 10 * SECOND_NS : PROBE_TIMEOUT_NS);
    if (rollout->safe) {
        cluster_check(cluster, cluster_run_until(cluster, 12 * SECOND_NS, cluster_no_open_calls), "open calls");
        cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_all_up), "not all are up");
    }
    cluster_run(cluster, SETTLE_NS);
}

static uint32_t calls_lost(const struct cluster *cluster)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        lost += cluster->calls[i].started && cluster->calls[i].ends > 0 && cluster->calls[i].err != WEFT_OK ? 1 : 0;
    }
    return lost;
}

static void check_nothing_lost(struct rollout *rollout)
{
    struct cluster *cluster = &rollout->cluster;
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        cluster_check(cluster, call->err == WEFT_OK, "%s -> %s: call %u from node %u to %u, lane %s: %s",
                      policy_stage_name(rollout->from), policy_stage_name(rollout->to), i, call->node, call->peer,
                      weft_lane_name(call->lane), weft_err_name(call->err));
    }
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        cluster_check(cluster, refusals(node) == 0, "node %u: %s%s", i, node->last_refusal[0], node->last_refusal[1]);
    }
}

/* Half way: nodes of either stage in one rack, in one data centre, and in different ones. */
static void check_half_way(struct rollout *rollout)
{
    struct cluster *cluster = &rollout->cluster;
    uint32_t before = calls_lost(cluster);
    burst(cluster, rollout->safe ? 10 * SECOND_NS : PROBE_TIMEOUT_NS);
    cluster_check(cluster, cluster_run_until(cluster, 12 * SECOND_NS, cluster_no_open_calls), "open calls");
    uint32_t lost = calls_lost(cluster) - before;
    cluster_check(cluster, (lost == 0) == rollout->safe, "%s -> %s: %u calls lost", policy_stage_name(rollout->from),
                  policy_stage_name(rollout->to), lost);
}

/* The seed says which stages. */
static uint64_t roll(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct rollout *rollout = test_calloc(1, sizeof *rollout);
    struct cluster *cluster = &rollout->cluster;
    uint32_t pair = (uint32_t)(seed % PAIRS);
    rollout->from = (enum policy_stage)(pair / (POLICY_STAGES - 1));
    rollout->to = (enum policy_stage)(pair % (POLICY_STAGES - 1));
    if (rollout->to >= rollout->from) {
        rollout->to = (enum policy_stage)(rollout->to + 1);
    }
    rollout->safe = policy_step_is_safe(rollout->from, rollout->to, NULL);
    cluster_options_init(&options, seed);
    options.node_count = NODES;
    options.shard_count = 1;
    options.small = true;
    cluster_open(cluster, &options);
    for (uint32_t i = 0; i < NODES; i++) {
        node_set_stage(&cluster->nodes[i], rollout->from);
    }
    cluster_start(cluster);
    cluster_check(cluster, cluster_run_until(cluster, 5 * SECOND_NS, cluster_all_up), "not all are up");
    for (uint32_t i = 0; i < NODES; i++) {
        roll_node(rollout, i);
        if (i == 1) {
            check_half_way(rollout);
        }
    }
    if (rollout->safe) {
        check_nothing_lost(rollout);
    }
    cluster_calm(cluster);
    uint64_t hash = cluster_close(cluster, totals);
    test_free(rollout);
    return hash;
}

static void rollout__every_pair_of_stages__calls_lost_only_by_unsafe_steps(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(PAIRS * 100, PAIRS, 7, roll, &totals);
    assert_true(!cluster_seeds_all() || (totals.looked_plain > 0 && totals.looked_secure > 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rollout__every_pair_of_stages__calls_lost_only_by_unsafe_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
