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

#include "tests/sim/cluster.h"

/* From the first that is told to the last. */
#define TOLD_NS_MAX (20 * MS_NS)
/* When it is over for connections: who should close one had its time, and the drain timeout too. */
#define PARTED_NS (4 * SECOND_NS)

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
    if (cluster_seeds_all()) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster__locations_change_under_load__no_call_lost),
        cmocka_unit_test(cluster__peers_come_and_go_under_load__others_notice_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
