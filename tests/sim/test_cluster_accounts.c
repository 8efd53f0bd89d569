/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the accounts that two nodes keep of each other, per lane, agree once nothing is under way; and what a node says
 * of itself as a whole is the sum of what it says of its peers.
 *
 * Method: clusters without faults and without cancellations, whose calls have time enough, so that each that was
 * started was also received.  In every turn of every run cluster_check.c compares the accounts with what is under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/rpc/tally.h"
#include "tests/sim/cluster.h"

#define CALLS 600u

static struct weft_peer_counters account_of(struct cluster *cluster, uint32_t node, uint32_t peer, enum weft_lane lane)
{
    struct weft_peer_counters account;
    const struct cluster_node *own = &cluster->nodes[node];
    enum weft_err err = weft_node_peer_counters(own->node, cluster_peer_id(own, peer), lane, &account);
    cluster_check(cluster, err == WEFT_OK, "%s", weft_err_name(err));
    return account;
}

static void check_both_ends(struct cluster *cluster, uint32_t caller, uint32_t callee, enum weft_lane lane)
{
    const struct weft_peer_counters c = account_of(cluster, caller, callee, lane);
    const struct weft_peer_counters s = account_of(cluster, callee, caller, lane);
#define EQUAL(left, right)                                                                                             \
    cluster_check(cluster, (left) == (right), "%u to %u by %s: %llu and %llu", caller, callee, weft_lane_name(lane),   \
                  (unsigned long long)(left), (unsigned long long)(right))
    EQUAL(tally_calls_in_flight(&c), 0);
    EQUAL(tally_requests_in_flight(&s), 0);
    EQUAL(c.calls_started, s.requests_received);
    EQUAL(c.calls_answered, s.requests_answered);
    EQUAL(c.calls_one_way, s.requests_one_way);
    EQUAL(c.calls_failed, s.requests_failed);
    EQUAL(c.calls_expired + c.calls_cancelled + s.requests_expired + s.requests_aborted + s.requests_own, 0);
#undef EQUAL
}

static void check_sums(struct cluster *cluster, uint32_t node)
{
    const struct weft_node *own = cluster->nodes[node].node;
    struct weft_counters all;
    struct weft_counters sums = {0};
    weft_node_counters(own, &all);
    for (uint64_t peer = 0; peer < cluster->node_count; peer++) { /* 0: nobody in particular */
        for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
            for (uint32_t shard = 0; shard < weft_node_shard_count(own); shard++) {
                struct weft_peer_counters account;
                enum weft_err err = weft_node_peer_counters_read(own, (weft_peer_id){peer}, (enum weft_lane)lane, shard,
                                                                 &account, sizeof account);
                cluster_check(cluster, err == WEFT_OK, "%s", weft_err_name(err));
                tally_add_to_counters(&sums, &account);
            }
        }
    }
    cluster_check(cluster,
                  sums.calls_started == all.calls_started && sums.calls_answered == all.calls_answered &&
                      sums.requests_received == all.requests_received &&
                      sums.requests_answered == all.requests_answered && sums.calls_failed == all.calls_failed,
                  "node %u", node);
}

static void check_unknown(const struct weft_node *node)
{
    struct weft_peer_counters account;
    weft_peer_id first = {1};
    assert_int_equal(weft_node_peer_counters(node, (weft_peer_id){99}, WEFT_LANE_NORMAL, &account), WEFT_ERR_NOT_FOUND);
    assert_int_equal(weft_node_peer_counters(node, first, WEFT_LANE_COUNT, &account), WEFT_ERR_NOT_FOUND);
    assert_int_equal(weft_node_peer_counters_read(node, first, WEFT_LANE_BULK, 77, &account, sizeof account),
                     WEFT_ERR_NOT_FOUND);
    assert_int_equal(account.calls_started, 0);
}

static uint64_t agree(uint64_t seed, struct cluster_totals *totals)
{
    static const enum destiny destinies[] = {DESTINY_NOW, DESTINY_LATER, DESTINY_FAIL, DESTINY_UNKNOWN,
                                             DESTINY_ONE_WAY};
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.heartbeat_ms = 600000;
    options.node_count = 2 + (uint32_t)(seed % 3);
    options.secure = seed % 2 == 0;
    cluster_open(&cluster, &options);
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    for (uint32_t i = 0; i < CALLS; i++) {
        struct cluster_node *node = &cluster.nodes[i % options.node_count];
        uint32_t peer =
            (node->index + 1 + (uint32_t)prng_below(&cluster.prng, options.node_count - 1)) % options.node_count;
        uint32_t shard = (uint32_t)prng_below(&cluster.prng, node->shard_count);
        struct cluster_call *call = cluster_call_new(node, shard, peer);
        call->lane = (enum weft_lane)prng_below(&cluster.prng, WEFT_LANE_COUNT);
        call->destiny = destinies[prng_below(&cluster.prng, 5)];
        call->delay_ns = call->destiny == DESTINY_LATER ? 1 + prng_below(&cluster.prng, 20 * MS_NS) : 0;
        cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "%s", weft_err_name(call->err));
        cluster_run(&cluster, prng_below(&cluster.prng, MS_NS));
    }
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_no_open_calls), "calls hang");
    cluster_run(&cluster, 100 * MS_NS); /* one-way requests are still on their way */
    for (uint32_t i = 0; i < cluster.node_count; i++) {
        for (uint32_t peer = 0; peer < cluster.node_count; peer++) {
            for (int lane = 0; lane < WEFT_LANE_COUNT && peer != i; lane++) {
                check_both_ends(&cluster, i, peer, (enum weft_lane)lane);
            }
        }
        check_sums(&cluster, i);
        check_unknown(cluster.nodes[i].node);
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void accounts__nothing_under_way__both_ends_agree(void **state)
{
    (void)state;
    cluster_run_seeds(9500, 20, 5, agree, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accounts__nothing_under_way__both_ends_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
