/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: peers that stand still, vanish without a word or hang on a slow link cost what was in flight with them, and no
 * more; and when many nodes are gone or back at once, the dials of the others do not come in waves.
 *
 * Method: clusters without random faults, in which processes are frozen, machines lose power behind a cut, and links
 * are limited.  The oracles of cluster.h judge every call; here stands what is special to each outage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

#define HEARTBEAT_MS 200u
/* Before so much silence is over, a peer is down. */
#define NOTICED_NS (3 * HEARTBEAT_MS * MS_NS)
#define STORM_NODES 16u
#define STORM_BIN_NS (100 * MS_NS)
#define STORM_BINS 200u
#define STORM_APART_BINS 10u

static void outage_open(struct cluster *cluster, uint64_t seed, uint32_t node_count, uint32_t heartbeat_ms)
{
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = node_count;
    options.heartbeat_ms = heartbeat_ms;
    options.secure = true;
    cluster_open(cluster, &options);
    cluster_start(cluster);
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_all_up), "not up after a second");
}

/* Its kernel goes on taking bytes, but nobody reads them.  What it answers afterwards finds no caller any more. */
static uint64_t frozen(uint64_t seed, struct cluster_totals *totals)
{
    static const uint64_t pauses_ms[] = {300, 1000, 5000, 20000};
    struct cluster cluster;
    outage_open(&cluster, seed, 3, HEARTBEAT_MS);
    cluster.load = true;
    cluster_run(&cluster, SECOND_NS / 2);
    uint64_t pause_ns = pauses_ms[seed % 4] * MS_NS;
    cluster_freeze(&cluster.nodes[0], true);
    cluster_run(&cluster, pause_ns);
    for (uint32_t i = 1; i < 3; i++) {
        const struct cluster_watch *watch = &cluster.nodes[i].watches[0];
        cluster_check(&cluster, pause_ns < NOTICED_NS || (!watch->up && watch->downs == 1), "node %u did not notice",
                      i);
        cluster_check(&cluster, pause_ns > 2 * HEARTBEAT_MS * MS_NS || watch->up, "node %u gave up too early", i);
    }
    cluster.load = false;
    cluster_freeze(&cluster.nodes[0], false);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void process__stands_still__noticed_and_its_late_answers_find_nobody(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(9100, 16, 8, frozen, &totals);
    if (cluster_seeds_all()) {
        assert_true(totals.late_replies > 0);
        assert_true(totals.by_err[WEFT_ERR_TIMEOUT] > 0);
    }
}

/* No end, no reset: the connection is there for one side only.  Back again, the machine knows nothing of it. */
static uint64_t power_lost(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    outage_open(&cluster, seed, 3, HEARTBEAT_MS);
    cluster.load = true;
    cluster_run(&cluster, SECOND_NS / 2 + prng_below(&cluster.prng, SECOND_NS / 2));
    uint64_t lost_ns = sim_world_now_ns(cluster.world);
    for (uint32_t i = 1; i < 3; i++) {
        cluster_partition(&cluster, 0, i, true);
    }
    cluster_kill_node(&cluster.nodes[0]);
    bool back_soon = seed % 2 == 0;
    cluster_run(&cluster, back_soon ? 50 * MS_NS : NOTICED_NS);
    cluster_start_node(&cluster.nodes[0]);
    for (uint32_t i = 1; i < 3; i++) {
        cluster_partition(&cluster, 0, i, false);
    }
    cluster_run(&cluster, back_soon ? NOTICED_NS : 10 * MS_NS);
    for (uint32_t i = 1; i < 3; i++) {
        const struct cluster_watch *watch = &cluster.nodes[i].watches[0];
        cluster_check(&cluster, watch->downs == 1, "node %u was told %u times", i, watch->downs);
        cluster_check(&cluster, watch->up || watch->changed_ns - lost_ns <= NOTICED_NS, "node %u noticed late", i);
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void machine__loses_power__survivors_notice_in_time(void **state)
{
    (void)state;
    cluster_run_seeds(9200, 16, 8, power_lost, NULL);
}

/* A link that was fast carries a fraction of what is asked of it.  Nobody is declared down for that, queues stay
 * bounded (cluster_check.c), and when the load goes, everything is answered again. */
static uint64_t slow_link(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    outage_open(&cluster, seed, 2, 60000);
    cluster.load = true;
    cluster_run(&cluster, SECOND_NS / 2);
    sim_world_limit(cluster.world, 0, 1, UINT64_C(200) * 1024);
    sim_world_limit(cluster.world, 1, 0, UINT64_C(500) * 1024);
    cluster_run(&cluster, 4 * SECOND_NS);
    cluster.load = false;
    for (uint32_t i = 0; i < 2; i++) {
        const struct cluster_watch *watch = &cluster.nodes[i].watches[1 - i];
        cluster_check(&cluster, watch->up && watch->downs == 0, "node %u gave up: %s", i,
                      weft_reason_name(watch->reason));
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void link__too_slow_for_its_load__nobody_down_and_all_bounded(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(9300, 12, 6, slow_link, &totals);
    if (cluster_seeds_all()) {
        assert_true(totals.by_err[WEFT_ERR_TIMEOUT] > totals.answered / 20);
    }
}

static uint64_t dialed_by_living(struct cluster *cluster)
{
    uint64_t dialed = 0;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        dialed += cluster->nodes[i].node != NULL ? cluster_dialed(&cluster->nodes[i]) : 0;
    }
    return dialed;
}

/* Half of sixteen nodes die at one moment, and are back at another.  However the others dial, no tenth of a second
 * holds a fifth of it all. */
static uint64_t reconnect_storm(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    struct cluster_options options;
    uint64_t bins[STORM_BINS];
    uint64_t all = 0;
    uint64_t most = 0;
    cluster_options_init(&options, seed);
    options.node_count = STORM_NODES;
    options.shard_count = 1;
    options.heartbeat_ms = 1000;
    cluster_open(&cluster, &options);
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    cluster_run(&cluster, SECOND_NS);
    for (uint32_t i = 0; i < STORM_NODES; i += 2) {
        cluster_kill_node(&cluster.nodes[i]);
    }
    for (uint32_t bin = 0; bin < STORM_BINS; bin++) {
        uint64_t before = dialed_by_living(&cluster);
        cluster_run(&cluster, STORM_BIN_NS);
        bins[bin] = dialed_by_living(&cluster) - before;
        all += bins[bin];
        most = bins[bin] > most ? bins[bin] : most;
    }
    uint64_t links = STORM_NODES / 2 * (STORM_NODES / 2);
    cluster_check(&cluster, all >= 5 * links && all <= links * cluster_dials_max(STORM_BINS * STORM_BIN_NS),
                  "%llu dials of %llu links", (unsigned long long)all, (unsigned long long)links);
    for (uint32_t bin = STORM_APART_BINS; bin < STORM_BINS; bin++) { /* the pauses have grown apart by then */
        cluster_check(&cluster, bins[bin] * 5 <= links * 3, "%llu of %llu links dial in one tenth of a second",
                      (unsigned long long)bins[bin], (unsigned long long)links);
    }
    cluster_check(&cluster, most * 5 <= all, "%llu of %llu dials in one tenth of a second", (unsigned long long)most,
                  (unsigned long long)all);
    for (uint32_t i = 0; i < STORM_NODES; i += 2) {
        cluster_start_node(&cluster.nodes[i]);
    }
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void nodes__half_of_sixteen_die__dials_come_in_no_wave(void **state)
{
    (void)state;
    cluster_run_seeds(9400, 4, 4, reconnect_storm, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process__stands_still__noticed_and_its_late_answers_find_nobody),
        cmocka_unit_test(machine__loses_power__survivors_notice_in_time),
        cmocka_unit_test(link__too_slow_for_its_load__nobody_down_and_all_bounded),
        cmocka_unit_test(nodes__half_of_sixteen_die__dials_come_in_no_wave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
