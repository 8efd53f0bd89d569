/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a call runs on the shard of the peer that its caller or its verb names, whatever the numbers of shards and
 * wherever its connection landed; connections stay within their budget, and those that nobody uses close.
 *
 * Method: two nodes without faults but taken source ports, and every shard calling every shard.  Where a request ran is
 * checked by the load itself (cluster_load.c); here the counters tell how it came there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

#define IDLE_MS 500u

struct shape {
    uint32_t shards[2];
    uint32_t connections_per_peer_max;
    bool ports_taken;
};

static void shape_open(struct cluster *cluster, uint64_t seed, const struct shape *shape)
{
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = 2;
    options.connections_per_peer_max = shape->connections_per_peer_max;
    options.idle_timeout_ms = IDLE_MS;
    options.ports_taken = shape->ports_taken;
    cluster_open(cluster, &options);
    cluster->nodes[0].shard_count = shape->shards[0];
    cluster->nodes[1].shard_count = shape->shards[1];
    cluster_start(cluster);
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_all_up), "not up after a second");
}

static struct cluster_call *call_on(struct cluster *cluster, uint32_t shard, enum weft_lane lane)
{
    struct cluster_call *call = cluster_call_new(&cluster->nodes[0], shard, 1);
    call->lane = lane;
    return call;
}

static void calls_end_well(struct cluster *cluster)
{
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_no_open_calls), "calls hang");
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        cluster_check(cluster, cluster->calls[i].err == WEFT_OK && cluster->calls[i].runs == 1, "call %u: %s", i,
                      weft_err_name(cluster->calls[i].err));
    }
}

/* Every shard of the first node calls every shard of the second by name. */
static void call_all_by_name(struct cluster *cluster)
{
    for (uint32_t shard = 0; shard < cluster->nodes[0].shard_count; shard++) {
        for (uint32_t named = 1; named <= cluster->nodes[1].shard_count; named++) {
            struct cluster_call *call = call_on(cluster, shard, WEFT_LANE_NORMAL);
            call->named_shard = named;
            cluster_check(cluster, cluster_call_start(call) == WEFT_OK, "shard %u to %u", shard, named);
            cluster_check(cluster, call->named_known, "the number of shards is not known");
        }
    }
    calls_end_well(cluster);
}

static struct weft_counters counters_of(const struct cluster_node *node)
{
    struct weft_counters counters;
    weft_node_counters(node->node, &counters);
    return counters;
}

static const struct shape shapes[] = {{{1, 1}, 0, false}, {{1, 3}, 0, false}, {{3, 1}, 0, false},
                                      {{2, 3}, 0, false}, {{3, 2}, 0, false}, {{3, 3}, 0, false}};

static uint64_t named(uint64_t seed, struct cluster_totals *totals)
{
    static struct cluster cluster;
    struct shape shape = shapes[seed % 6];
    shape.ports_taken = seed / 6 % 2 == 1;
    shape_open(&cluster, seed, &shape);
    call_all_by_name(&cluster);
    struct weft_counters from = counters_of(&cluster.nodes[0]);
    struct weft_counters to = counters_of(&cluster.nodes[1]);
    if (!shape.ports_taken) {
        cluster_check(&cluster, from.misrouted == 0 && to.requests_hopped == 0, "%llu misrouted, %llu hopped",
                      (unsigned long long)from.misrouted, (unsigned long long)to.requests_hopped);
    }
    cluster_check(&cluster, to.requests_hopped == from.misrouted, "%llu misrouted, %llu hopped",
                  (unsigned long long)from.misrouted, (unsigned long long)to.requests_hopped);
    cluster_check(&cluster, !shape.ports_taken || shape.shards[1] == 1 || from.misrouted > 0 || seed % 6 == 1,
                  "nothing was misrouted");
    return cluster_close(&cluster, totals);
}

static void call__shard_named__runs_there_and_hops_only_if_misrouted(void **state)
{
    (void)state;
    cluster_run_seeds(600, 36, 6, named, NULL);
}

/* What shard_of says goes before where it landed. */
static uint64_t owned(uint64_t seed, struct cluster_totals *totals)
{
    static struct cluster cluster;
    const struct shape shape = {{1, 3}, 0, seed % 2 == 0};
    shape_open(&cluster, seed, &shape);
    for (uint32_t i = 0; i < 60; i++) {
        struct cluster_call *call = call_on(&cluster, 0, i % 3 == 0 ? WEFT_LANE_BULK : WEFT_LANE_NORMAL);
        call->owned = true;
        call->delay_ns = i % 2 * MS_NS;
        call->destiny = i % 2 == 0 ? DESTINY_NOW : DESTINY_LATER;
        call->request_bytes = 64 + i * 1000;
        call->reply_bytes = 64 + i * 2000;
        cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "call %u", i);
    }
    calls_end_well(&cluster);
    struct weft_counters to = counters_of(&cluster.nodes[1]);
    cluster_check(&cluster, to.requests_hopped >= 10 && to.requests_hopped < 60, "%llu of 60 hopped",
                  (unsigned long long)to.requests_hopped);
    cluster_check(&cluster, to.requests_received - to.heartbeats_answered == 60, "hops count as requests");
    return cluster_close(&cluster, totals);
}

static void request__verb_says_which_shard__hops_there_once(void **state)
{
    (void)state;
    cluster_run_seeds(700, 8, 4, owned, NULL);
}

/* Three connections are all there may be: one of each lane, on the home shard. */
static uint64_t budget(uint64_t seed, struct cluster_totals *totals)
{
    static struct cluster cluster;
    const struct shape shape = {{3, 3}, 3 + (uint32_t)(seed % 3), false};
    shape_open(&cluster, seed, &shape);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t shard = 0; shard < 3; shard++) {
            for (uint32_t lane = 0; lane < WEFT_LANE_COUNT; lane++) {
                struct cluster_call *call = call_on(&cluster, shard, (enum weft_lane)lane);
                cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "shard %u lane %u", shard, lane);
            }
        }
        calls_end_well(&cluster);
    }
    struct weft_counters from = counters_of(&cluster.nodes[0]);
    struct weft_counters to = counters_of(&cluster.nodes[1]);
    cluster_check(&cluster, from.dialed == shape.connections_per_peer_max, "%llu dials",
                  (unsigned long long)from.dialed);
    cluster_check(&cluster, to.refused == 0, "the acceptor counts otherwise");
    /* Six of nine calls need another shard's connection; each place more saves one. */
    cluster_check(&cluster, from.calls_carried == 2 * (9 - shape.connections_per_peer_max), "%llu calls carried",
                  (unsigned long long)from.calls_carried);
    return cluster_close(&cluster, totals);
}

static void budget__used_up__calls_go_by_the_home_shard(void **state)
{
    (void)state;
    cluster_run_seeds(800, 6, 3, budget, NULL);
}

static uint32_t accepted_up(const struct cluster_node *node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->shard_count; i++) {
        LIST_FOR_EACH(link, &node->node->shards[i].net.live)
        {
            const struct channel *channel = channel_of(WEFT_CONTAINER_OF(link, struct conn, live));
            count += channel->conn.accepted && channel_is_up(channel);
        }
    }
    return count;
}

/* With one place beside those of the home shard, the others have it one after the other. */
static uint64_t budget_rests(uint64_t seed, struct cluster_totals *totals)
{
    static struct cluster cluster;
    const struct shape shape = {{3, 3}, 4, false};
    shape_open(&cluster, seed, &shape);
    uint32_t home = node_home_shard(cluster.nodes[0].node, (uint32_t)cluster_peer_id(&cluster.nodes[0], 1).bits - 1);
    for (uint32_t round = 0; round < 4; round++) {
        (void)cluster_call_start(call_on(&cluster, (home + 1 + round % 2) % 3, WEFT_LANE_BULK));
        calls_end_well(&cluster);
        cluster_run(&cluster, IDLE_MS * 3 * MS_NS);
    }
    struct weft_counters from = counters_of(&cluster.nodes[0]);
    cluster_check(&cluster, from.calls_carried == 0 && from.dialed == 1 + 4, "%llu calls carried, %llu dials",
                  (unsigned long long)from.calls_carried, (unsigned long long)from.dialed);
    return cluster_close(&cluster, totals);
}

static void budget__link_rests__its_place_is_free_again(void **state)
{
    (void)state;
    cluster_run_seeds(820, 4, 2, budget_rests, NULL);
}

/* The acceptor holds to its own bound, whatever the dialer thinks. */
static uint64_t bound(uint64_t seed, struct cluster_totals *totals)
{
    static struct cluster cluster;
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = 2;
    options.shard_count = 3;
    cluster_open(&cluster, &options);
    cluster.nodes[1].plan.connections_per_peer_max = 3;
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    for (uint32_t shard = 0; shard < 3; shard++) {
        for (uint32_t lane = 0; lane < WEFT_LANE_COUNT; lane++) {
            (void)cluster_call_start(call_on(&cluster, shard, (enum weft_lane)lane));
        }
    }
    cluster_check(&cluster, cluster_run_until(&cluster, 11 * SECOND_NS, cluster_no_open_calls), "calls hang");
    struct weft_counters to = counters_of(&cluster.nodes[1]);
    cluster_check(&cluster, to.refused_by_reason[WEFT_REASON_TOO_MANY_CONNECTIONS] > 0, "none was refused");
    cluster_check(&cluster, accepted_up(&cluster.nodes[1]) == 3, "%u connections", accepted_up(&cluster.nodes[1]));
    return cluster_close(&cluster, totals);
}

static void bound__acceptor_has_a_lower_one__refuses_the_rest(void **state)
{
    (void)state;
    cluster_run_seeds(850, 4, 4, bound, NULL);
}

static uint32_t links_of(struct cluster_node *node)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->shard_count; i++) {
        count += slots_in_use(&node->node->shards[i].links);
    }
    return count;
}

/* Bulk, and what is to a shard that is not ours to keep, closes; control and the own connection stay. */
static uint64_t idle(uint64_t seed, struct cluster_totals *totals)
{
    static struct cluster cluster;
    const struct shape shape = {{3, 3}, 0, false};
    shape_open(&cluster, seed, &shape);
    uint64_t dialed = 0;
    for (uint32_t round = 0; round < 3; round++) {
        struct cluster_call *bulk = call_on(&cluster, 1, WEFT_LANE_BULK);
        cluster_check(&cluster, cluster_call_start(bulk) == WEFT_OK, "bulk");
        for (uint32_t name = 1; name <= 3; name++) {
            struct cluster_call *call = call_on(&cluster, 1, WEFT_LANE_NORMAL);
            call->named_shard = name;
            cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "shard %u", name - 1);
        }
        calls_end_well(&cluster);
        cluster_check(&cluster, links_of(&cluster.nodes[0]) == 5, "%u links", links_of(&cluster.nodes[0]));
        uint64_t before = dialed;
        dialed = counters_of(&cluster.nodes[0]).dialed;
        cluster_check(&cluster, dialed - before == (round == 0 ? 5 : 3), "%llu dials in round %u",
                      (unsigned long long)(dialed - before), round);
        cluster_run(&cluster, IDLE_MS * 3 * MS_NS);
        cluster_check(&cluster, links_of(&cluster.nodes[0]) == 2, "%u links stay", links_of(&cluster.nodes[0]));
    }
    struct weft_counters counters = counters_of(&cluster.nodes[0]);
    cluster_check(&cluster,
                  counters.ended_by_reason[WEFT_REASON_IDLE - WEFT_REASON_ENDS_BEGIN] == 9 &&
                      counters.dial_failures == 0,
                  "they ended for another reason");
    return cluster_close(&cluster, totals);
}

static void link__nobody_uses_it__closes_and_comes_back(void **state)
{
    (void)state;
    cluster_run_seeds(900, 4, 2, idle, NULL);
}

/* A call that takes many times as long as a link may be idle keeps it open. */
static uint64_t long_call(uint64_t seed, struct cluster_totals *totals)
{
    static struct cluster cluster;
    const struct shape shape = {{2, 2}, 0, false};
    shape_open(&cluster, seed, &shape);
    struct cluster_call *bulk = call_on(&cluster, 1, WEFT_LANE_BULK);
    bulk->destiny = DESTINY_LATER;
    bulk->delay_ns = IDLE_MS * 4 * MS_NS;
    bulk->timeout_ns = 10 * SECOND_NS;
    cluster_check(&cluster, cluster_call_start(bulk) == WEFT_OK, "bulk");
    cluster_check(&cluster, cluster_run_until(&cluster, 3 * SECOND_NS, cluster_no_open_calls), "the call hangs");
    cluster_check(&cluster, bulk->err == WEFT_OK, "it was cut off: %s", weft_err_name(bulk->err));
    return cluster_close(&cluster, totals);
}

static void link__its_call_outlasts_the_idle_time__stays(void **state)
{
    (void)state;
    cluster_run_seeds(910, 2, 2, long_call, NULL);
}

/* What a test is told of lanes, all peers and shards together. */
struct lane_news {
    uint32_t ups[WEFT_LANE_COUNT];
    uint32_t downs[WEFT_LANE_COUNT];
};
static void lane_told(void *ctx, weft_shard *shard, const struct weft_peer_event *event)
{
    struct lane_news *news = ctx;
    (void)shard;
    assert_true(event->up == (event->reason == WEFT_REASON_NONE));
    (event->up ? news->ups : news->downs)[event->lane]++;
}

static void lanes_watch(struct weft_node *node, void *ctx)
{
    assert_int_equal(weft_node_on_lane(node, lane_told, ctx), WEFT_OK);
}

static uint64_t lanes(uint64_t seed, struct cluster_totals *totals)
{
    static struct cluster cluster;
    struct lane_news news = {{0}, {0}};
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = 2;
    options.shard_count = 2;
    options.idle_timeout_ms = IDLE_MS;
    cluster_open(&cluster, &options);
    cluster.nodes[0].plan.prepare = lanes_watch;
    cluster.nodes[0].plan.prepare_ctx = &news;
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    for (uint32_t shard = 0; shard < 2; shard++) {
        (void)cluster_call_start(call_on(&cluster, shard, WEFT_LANE_NORMAL));
    }
    (void)cluster_call_start(call_on(&cluster, 0, WEFT_LANE_BULK));
    calls_end_well(&cluster);
    cluster_check(&cluster,
                  news.ups[WEFT_LANE_CONTROL] == 1 && news.ups[WEFT_LANE_NORMAL] == 2 && news.ups[WEFT_LANE_BULK] == 1,
                  "%u, %u and %u ups", news.ups[1], news.ups[0], news.ups[2]);
    cluster_run(&cluster, IDLE_MS * 3 * MS_NS); /* the bulk lane rests, and stays up */
    cluster_check(&cluster, news.downs[WEFT_LANE_BULK] == 0, "idle is down");
    cluster_kill_node(&cluster.nodes[1]);
    cluster_run(&cluster, SECOND_NS / 2);
    (void)cluster_call_start(call_on(&cluster, 0, WEFT_LANE_BULK)); /* and finds out that it is not */
    cluster_run(&cluster, SECOND_NS / 2);
    cluster_check(&cluster,
                  news.downs[WEFT_LANE_CONTROL] == 1 && news.downs[WEFT_LANE_NORMAL] == 2 &&
                      news.downs[WEFT_LANE_BULK] == 1,
                  "%u, %u and %u downs", news.downs[1], news.downs[0], news.downs[2]);
    cluster_start_node(&cluster.nodes[1]);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void lanes__come_and_go__told_each_on_its_shard(void **state)
{
    (void)state;
    cluster_run_seeds(950, 4, 2, lanes, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__shard_named__runs_there_and_hops_only_if_misrouted),
        cmocka_unit_test(request__verb_says_which_shard__hops_there_once),
        cmocka_unit_test(budget__used_up__calls_go_by_the_home_shard),
        cmocka_unit_test(budget__link_rests__its_place_is_free_again),
        cmocka_unit_test(bound__acceptor_has_a_lower_one__refuses_the_rest),
        cmocka_unit_test(link__nobody_uses_it__closes_and_comes_back),
        cmocka_unit_test(link__its_call_outlasts_the_idle_time__stays),
        cmocka_unit_test(lanes__come_and_go__told_each_on_its_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
