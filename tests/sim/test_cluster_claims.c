/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whatever a node says of its place, and believes of it, no call passes in plaintext where the topology wants
 * TLS; and nobody else is disturbed.
 *
 * Method: five nodes under rack or dc, one of which has a data centre and a rack drawn from names that are right,
 * nearly right, missing or no text.  In every turn the simulated cluster compares each connection that is up with the
 * true places (cluster_check.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

#define NODES 5u
/* In one rack with node 4; node 2 is in another rack of its data centre, 1 and 3 are in the other one. */
#define LIAR 0u

static const char *const dcs[] = {NULL,
                                  "",
                                  "east",
                                  "west",
                                  "East",
                                  "east ",
                                  "e\xff",
                                  "eas",
                                  "-",
                                  "\xd0\xb5"
                                  "ast"};
static const char *const racks[] = {NULL, "", "r1", "r2", "R1", " r1", "r1\xc0\x80", "r", "-", "r11"};
#define NAMES (sizeof dcs / sizeof dcs[0])
_Static_assert(sizeof racks == sizeof dcs, "one number draws either");

/* Connections between a node and the liar, in plaintext, that are up now. */
static uint32_t plain_links(const struct cluster_node *node)
{
    uint32_t plain = 0;
    for (uint32_t i = 0; i < node->shard_count; i++) {
        LIST_FOR_EACH(link, &node->node->shards[i].net.live)
        {
            const struct conn *conn = WEFT_CONTAINER_OF(link, struct conn, live);
            const struct channel *channel = (const struct channel *)(const void *)conn;
            bool theirs = conn->remote.ip[0] == 10 && conn->remote.ip[3] == LIAR + 1;
            plain += theirs && channel->state == CHANNEL_UP && conn->secure == NULL ? 1 : 0;
        }
    }
    return plain;
}

static uint64_t lie(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.node_count = NODES;
    options.encryption = seed % 2 == 0 ? WEFT_ENCRYPTION_RACK : WEFT_ENCRYPTION_DC;
    options.small = true;
    cluster_open(&cluster, &options);
    cluster.nodes[LIAR].plan.claimed_dc = dcs[prng_below(&cluster.prng, NAMES)];
    cluster.nodes[LIAR].plan.claimed_rack = racks[prng_below(&cluster.prng, NAMES)];
    cluster_touch(&cluster, LIAR);
    cluster.load = true;
    cluster_start(&cluster);
    cluster_run(&cluster, 2 * SECOND_NS);
    for (uint32_t i = 1; i < NODES; i++) {
        uint32_t plain = plain_links(&cluster.nodes[i]);
        bool near = i == 4 || (i == 2 && options.encryption == WEFT_ENCRYPTION_DC);
        cluster_check(&cluster, near || plain == 0, "%u plain connections between node %u and the liar", plain, i);
        for (uint32_t peer = 1; peer < NODES; peer++) {
            cluster_check(&cluster, peer == i || cluster.nodes[i].watches[peer].up, "node %u has lost %u", i, peer);
        }
    }
    return cluster_close(&cluster, totals);
}

static void claim__of_any_place__never_less_protection(void **state)
{
    (void)state;
    struct cluster_totals totals = {0};
    cluster_run_seeds(8100, 60, 20, lie, &totals);
    assert_true(!cluster_seeds_all() || (totals.looked_plain > 0 && totals.looked_secure > 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claim__of_any_place__never_less_protection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
