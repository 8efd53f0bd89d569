/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: of several connections to a peer each does its share, and what came together on one goes out together on it.
 *
 * Method: a window of calls that their own callbacks keep full, over four connections without faults.  Sends and
 * receives are counted by what the node counts itself; the channels say how much each carries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

/* Nobody serves it: every call is answered at once, with an exception. */
#define VERB_ANY 4712u
#define CONNECTIONS 4u
#define IN_FLIGHT 32u
#define CALLS 3200u

struct turns {
    struct cluster cluster; /* first: callbacks get it */
    uint32_t unmade;
    uint32_t ended;
    uint32_t busiest; /* most calls that one connection had, while the window was full */
};

static void turns_call(struct turns *turns, weft_shard *shard);

/* Once a while look how the window lies. */
static void turns_look(struct turns *turns)
{
    const struct node_shard *share = &turns->cluster.nodes[0].node->shards[0];
    LIST_FOR_EACH(node, &share->net.live)
    {
        const struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        turns->busiest = channel->call_count > turns->busiest ? channel->call_count : turns->busiest;
    }
}

static void turns_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct turns *turns = ctx;
    (void)reply;
    cluster_check(&turns->cluster, err == WEFT_ERR_UNKNOWN_VERB, "%s", weft_err_name(err));
    turns->ended++;
    turns->cluster.nodes[0].open_calls[0]--;
    if (turns->unmade > 0) {
        turns_call(turns, turns->cluster.running);
        turns_look(turns);
    }
}

static void turns_call(struct turns *turns, weft_shard *shard)
{
    struct cluster_node *node = &turns->cluster.nodes[0];
    const struct weft_span nothing = {NULL, 0};
    enum weft_err err = weft_call(shard, cluster_peer_id(node, 1), VERB_ANY, nothing, NULL, turns_ended, turns);
    cluster_check(&turns->cluster, err == WEFT_OK, "%s", weft_err_name(err));
    node->started_calls++;
    node->open_calls[0]++;
    turns->unmade--;
}

static void turns_begin(void *ctx, weft_shard *shard)
{
    struct turns *turns = ctx;
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        turns_call(turns, shard);
    }
}

static bool turns_over(struct cluster *cluster)
{
    return ((struct turns *)cluster)->ended == CALLS;
}

static uint64_t window(uint64_t seed, struct cluster_totals *totals)
{
    static struct turns turns;
    struct cluster *cluster = &turns.cluster;
    struct cluster_options options;
    struct weft_counters before;
    struct weft_counters after;
    turns = (struct turns){.unmade = CALLS};
    cluster_options_init(&options, seed);
    options.node_count = 2;
    options.shard_count = 1;
    options.connections = CONNECTIONS;
    options.heartbeat_ms = 60000;
    cluster_open(cluster, &options);
    cluster_start(cluster);
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_all_up), "not up after a second");
    weft_node_counters(cluster->nodes[0].node, &before);
    cluster_run_on(&cluster->nodes[0], 0, turns_begin, &turns);
    cluster_check(cluster, cluster_run_until(cluster, 20 * SECOND_NS, turns_over), "%u calls ended", turns.ended);
    weft_node_counters(cluster->nodes[0].node, &after);
    uint64_t operations = after.operations - before.operations;
    cluster_check(cluster, after.dialed - before.dialed == CONNECTIONS, "%llu dials",
                  (unsigned long long)(after.dialed - before.dialed));
    cluster_check(cluster, operations * 3 < CALLS, "%llu operations for %u calls: they do not stay together",
                  (unsigned long long)operations, CALLS);
    cluster_check(cluster, turns.busiest <= IN_FLIGHT / CONNECTIONS + 1, "%u calls on one connection of %u",
                  turns.busiest, CONNECTIONS);
    return cluster_close(cluster, totals);
}

static void calls__from_callbacks_over_four_connections__stay_together_and_balanced(void **state)
{
    (void)state;
    cluster_run_seeds(8500, 8, 4, window, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls__from_callbacks_over_four_connections__stay_together_and_balanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
