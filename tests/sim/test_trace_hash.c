/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: one seed is one run, whatever compiler built it.
 *
 * Method: clusters of a few fixed seeds, each run twice in this process; both runs must give the same hash.  The hashes
 * are printed as "seed hash", so that the output of two builds can be compared line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

#define SEEDS 5u

static uint64_t run(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.secure = true;
    options.faults = true;
    cluster_open(&cluster, &options);
    cluster.load = true;
    cluster.reply_calls = true;
    cluster_start(&cluster);
    cluster_run(&cluster, SECOND_NS);
    struct cluster_node *node = &cluster.nodes[seed % cluster.node_count];
    cluster_kill_node(node);
    cluster_run(&cluster, SECOND_NS / 4);
    cluster_start_node(node);
    cluster_run(&cluster, SECOND_NS);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void seeds__run_twice__same_hash(void **state)
{
    (void)state;
    uint64_t hashes[SEEDS];
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct cluster_totals totals = {0};
        hashes[seed - 1] = run(seed, &totals);
        assert_int_equal(run(seed, NULL), hashes[seed - 1]);
        assert_true(totals.answered > 100);
        printf("%llu %016llx\n", (unsigned long long)seed, (unsigned long long)hashes[seed - 1]);
    }
    for (uint32_t i = 1; i < SEEDS; i++) {
        assert_true(hashes[i] != hashes[i - 1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeds__run_twice__same_hash)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
