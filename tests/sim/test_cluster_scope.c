/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: nodes that run take over another scope, one after the other and under load, and by safe steps no call is lost
 * and nobody is refused; in the end every connection is what the policy says.  What a node cannot do without a restart
 * changes nothing.
 *
 * Method: clusters of cluster.h with a toy record layer for TLS, in places that are drawn.  The oracles of the cluster
 * hold in every turn; here it is asked in addition how calls ended, and what is plain and what is TLS after each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

/* Between two nodes of one step. */
#define STEP_NS_MAX (100 * MS_NS)
/* When it is over for connections: who should close one had its time, and the drain timeout too. */
#define PARTED_NS (4 * SECOND_NS)

static struct {
    struct cluster_totals cluster;
    uint64_t moved; /* links */
    uint64_t parted;
} scope_totals;

static void set_scope(struct cluster *cluster, uint32_t index, enum weft_encryption scope)
{
    struct weft_error why = {0};
    struct cluster_node *node = &cluster->nodes[index];
    node->plan.encryption = scope;
    enum weft_err err = weft_node_encryption_set(node->node, scope, &why);
    cluster_check(cluster, err == WEFT_OK, "%s", why.text);
    cluster_check(cluster, weft_node_encryption(node->node) == scope, "the scope of node %u", index);
}

/* Every node in turn, beginning with one that is drawn. */
static void step_all(struct cluster *cluster, enum weft_encryption scope)
{
    uint32_t first = (uint32_t)prng_below(&cluster->prng, cluster->node_count);
    cluster->moving = true;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        set_scope(cluster, (first + i) % cluster->node_count, scope);
        cluster_run(cluster, prng_below(&cluster->prng, STEP_NS_MAX));
    }
    cluster_run(cluster, PARTED_NS);
    /* From here each connection is one of the step, so that either end can judge it. */
    cluster->encryption = scope;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster->nodes[i].plan.own_policy = false;
    }
    cluster->moving = false;
    cluster_check_classes(cluster);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster->nodes[i].plan.own_policy = true;
    }
}

static void check_nothing_lost(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        bool patient = call->timeout_ns >= SECOND_NS && call->destiny != DESTINY_OVERSLEEP;
        cluster_check(cluster,
                      !call->started || (call->err != WEFT_ERR_CLOSED && call->err != WEFT_ERR_DRAINING &&
                                         call->err != WEFT_ERR_UNREACHABLE),
                      "call %llu of node %u to %u was lost: %s", (unsigned long long)call->id, call->node, call->peer,
                      weft_err_name(call->err));
        cluster_check(cluster,
                      !call->started || !patient || (call->err != WEFT_ERR_TIMEOUT && call->err != WEFT_ERR_EXPIRED),
                      "call %llu of node %u to %u had %llu ms and was not answered", (unsigned long long)call->id,
                      call->node, call->peer, (unsigned long long)(call->timeout_ns / MS_NS));
    }
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct weft_counters counters;
        const struct cluster_node *node = &cluster->nodes[i];
        weft_node_counters(node->node, &counters);
        cluster_check(cluster, counters.refused == 0, "node %u: %s%s", i, node->last_refusal[0], node->last_refusal[1]);
        scope_totals.moved += counters.links_moved;
        scope_totals.parted += counters.ended_by_reason[WEFT_REASON_SCOPE_CHANGED - WEFT_REASON_ENDS_BEGIN];
        cluster_check(cluster, counters.ended_by_reason[WEFT_REASON_LOCATION_CHANGED - WEFT_REASON_ENDS_BEGIN] == 0,
                      "nobody moved");
    }
}

static void open_cluster(struct cluster *cluster, const struct cluster_options *options, enum weft_encryption scope,
                         bool certificate)
{
    cluster_open(cluster, options);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster->nodes[i].plan.own_policy = true;
        cluster->nodes[i].plan.encryption = scope;
        cluster->nodes[i].plan.certificate = certificate;
    }
    cluster_start(cluster);
    cluster_check(cluster, cluster_run_until(cluster, 5 * SECOND_NS, cluster_all_up), "not all peers come up");
}

static uint64_t roll(uint64_t seed, struct cluster_totals *totals)
{
    static const enum weft_encryption steps[] = {
        WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ENCRYPTION_DC,   WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ENCRYPTION_ALL,
        WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ENCRYPTION_RACK, WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ENCRYPTION_NONE,
    };
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.pause_us_max = 40000;
    open_cluster(&cluster, &options, WEFT_ENCRYPTION_NONE, true);
    cluster.load = true;
    for (uint32_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        step_all(&cluster, steps[i]);
    }
    cluster.load = false;
    cluster_check(&cluster, cluster_run_until(&cluster, 12 * SECOND_NS, cluster_no_open_calls), "open calls");
    check_nothing_lost(&cluster);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void scope__safe_steps_under_load__no_call_lost_and_nobody_refused(void **state)
{
    (void)state;
    uint64_t asked;
    cluster_run_seeds(1, 8, 8, roll, &scope_totals.cluster);
    const struct cluster_totals *all = &scope_totals.cluster;
    print_message("%llu calls, %llu answered, %llu links moved\n", (unsigned long long)all->calls,
                  (unsigned long long)all->answered, (unsigned long long)scope_totals.moved);
    if (!cluster_seed_asked(&asked)) {
        assert_true(scope_totals.moved > 500 && scope_totals.parted > 500);
        assert_true(all->looked_plain > 0 && all->looked_secure > 0);
    }
}

static void open_two(struct cluster *cluster, enum weft_encryption scope, bool certificate)
{
    struct cluster_options options;
    cluster_options_init(&options, 1);
    options.node_count = 2;
    options.shard_count = 1;
    open_cluster(cluster, &options, scope, certificate);
}

static void expect_refused(struct cluster_node *node, enum weft_encryption scope, enum weft_err err, const char *text)
{
    struct weft_error why = {0};
    enum weft_encryption before = weft_node_encryption(node->node);
    uint64_t version = node->node->topology->version;
    assert_int_equal(weft_node_encryption_set(node->node, scope, &why), err);
    assert_non_null(strstr(why.text, text));
    assert_int_equal(weft_node_encryption(node->node), before);
    assert_int_equal(node->node->topology->version, version);
}

static void scope__what_takes_a_restart__refused_and_nothing_changed(void **state)
{
    (void)state;
    struct cluster cluster;
    open_two(&cluster, WEFT_ENCRYPTION_NONE, false);
    expect_refused(&cluster.nodes[0], WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ERR_STATE, "TLS takes a restart");
    expect_refused(&cluster.nodes[0], (enum weft_encryption)5, WEFT_ERR_INVALID, "5 is none of none, rack");
    cluster_close(&cluster, NULL);
    open_two(&cluster, WEFT_ENCRYPTION_ALL, true);
    expect_refused(&cluster.nodes[0], WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ERR_STATE, "without a plain listener");
    cluster_close(&cluster, NULL);
    open_two(&cluster, WEFT_ENCRYPTION_TRANSITIONAL, true);
    struct weft_error why = {0};
    assert_int_equal(weft_node_relocate(cluster.nodes[0].node, NULL, NULL, &why), WEFT_OK);
    expect_refused(&cluster.nodes[0], WEFT_ENCRYPTION_DC, WEFT_ERR_STATE, "own location is unknown");
    cluster_close(&cluster, NULL);
}

/* By a step that is not safe: who went first refuses by name, and its port goes on accepting. */
static void scope__a_port_that_is_not_wanted__refuses_by_name(void **state)
{
    (void)state;
    struct cluster cluster;
    struct weft_counters counters;
    open_two(&cluster, WEFT_ENCRYPTION_NONE, true);
    cluster.moving = true;
    cluster_touch(&cluster, 0);
    set_scope(&cluster, 0, WEFT_ENCRYPTION_ALL);
    cluster_run(&cluster, PARTED_NS);
    weft_node_counters(cluster.nodes[0].node, &counters);
    assert_true(counters.refused_by_reason[WEFT_REASON_NO_LISTENER] > 0);
    assert_true(counters.accept_pauses == 0);
    set_scope(&cluster, 1, WEFT_ENCRYPTION_ALL);
    cluster_run(&cluster, PARTED_NS);
    cluster.moving = false;
    cluster_check(&cluster, cluster_run_until(&cluster, 5 * SECOND_NS, cluster_all_up), "not all peers come up");
    cluster_check_classes(&cluster);
    cluster_close(&cluster, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope__safe_steps_under_load__no_call_lost_and_nobody_refused),
        cmocka_unit_test(scope__what_takes_a_restart__refused_and_nothing_changed),
        cmocka_unit_test(scope__a_port_that_is_not_wanted__refuses_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
