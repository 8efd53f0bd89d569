/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a peer that takes nothing costs a bounded amount of memory and nobody else's calls.
 *
 * Method: clusters without random faults.  A cut makes a peer that takes nothing; what then piles up on the caller's
 * side (requests) and on the server's (answers) is held against the limits.  After the cut everything that was accepted
 * must be answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

/* Longer than any case: nobody is to be missed, so that connections last. */
#define HEARTBEAT_MS 60000u

static void pressure_open(struct cluster *cluster, uint64_t seed, uint32_t node_count, uint32_t heartbeat_ms)
{
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = node_count;
    options.shard_count = 1;
    options.heartbeat_ms = heartbeat_ms;
    cluster_open(cluster, &options);
    cluster_start(cluster);
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_all_up), "not up after a second");
}

static struct cluster_call *large_call(struct cluster_node *node, uint32_t peer, enum weft_lane lane)
{
    struct cluster_call *call = cluster_call_new(node, 0, peer);
    call->lane = lane;
    call->request_bytes = CLUSTER_PAYLOAD_BYTES_MAX;
    call->timeout_ns = 60 * SECOND_NS;
    return call;
}

/* The connection on which the first shard of a node calls, or serves, a peer's lane; NULL if there is none. */
static struct channel *find_channel(struct cluster_node *node, enum weft_lane lane, bool accepted)
{
    LIST_FOR_EACH(link, &node->node->shards[0].net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(link, struct conn, live));
        if (channel->lane == lane && channel->conn.accepted == accepted) {
            return channel;
        }
    }
    return NULL;
}

static void check_all_answered(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        cluster_check(cluster, !call->started || call->err == WEFT_OK, "call %llu: %s", (unsigned long long)call->id,
                      weft_err_name(call->err));
    }
}

static uint64_t full_queue(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    pressure_open(&cluster, seed, 2, HEARTBEAT_MS);
    struct cluster_node *node = &cluster.nodes[0];
    const struct buf_pool *pool = &node->node->shards[0].shard->send_pool;
    uint32_t accepted = 0;
    uint32_t taken_most = 0;
    (void)cluster_call_start(large_call(node, 1, WEFT_LANE_BULK));
    cluster_run(&cluster, SECOND_NS);
    cluster_partition(&cluster, 0, 1, true);
    for (uint32_t i = 0; i < 100; i++) {
        accepted += cluster_call_start(large_call(node, 1, WEFT_LANE_BULK)) == WEFT_OK;
        cluster_run(&cluster, MS_NS);
        uint32_t taken = pool->count - pool->free_count;
        taken_most = taken > taken_most ? taken : taken_most;
    }
    /* What one connection holds at the most: its queue, one send in flight, and what the network took. */
    uint32_t network_bytes = cluster.sim.window_bytes;
    uint32_t accepted_max =
        (SEND_QUEUE_BYTES_MAX + SEND_BUFS_MAX * SEND_BUF_BYTES + network_bytes) / CLUSTER_PAYLOAD_BYTES_MAX + 1;
    cluster_check(&cluster, accepted < 100 && accepted <= accepted_max, "%u calls accepted", accepted);
    cluster_check(&cluster, accepted >= SEND_QUEUE_BYTES_MAX / CLUSTER_PAYLOAD_BYTES_MAX - 1, "%u calls accepted",
                  accepted);
    cluster_check(&cluster, taken_most <= SEND_QUEUE_BYTES_MAX / SEND_BUF_BYTES + SEND_BUFS_MAX + 1,
                  "%u send buffers taken", taken_most);
    /* Other lanes have queues of their own. */
    struct cluster_call *other = cluster_call_new(node, 0, 1);
    cluster_check(&cluster, cluster_call_start(other) == WEFT_OK, "the normal lane is full too");
    cluster_calm(&cluster);
    check_all_answered(&cluster);
    return cluster_close(&cluster, totals);
}

static void queue__peer_takes_nothing__full_and_bounded(void **state)
{
    (void)state;
    cluster_run_seeds(6000, 12, 4, full_queue, NULL);
}

/* Of what waited for the bulk lane, something found no room. */
static bool bulk_link_feeds(struct cluster *cluster)
{
    struct channel *channel = find_channel(&cluster->nodes[0], WEFT_LANE_BULK, false);
    const struct link *link = channel != NULL ? channel->owner : NULL;
    return link != NULL && list_node_linked(&link->feed.link);
}

/* More than a connection's queue holds waits for a lane that is not dialed yet: it goes out as there is room. */
static uint64_t waiting_more_than_fits(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    pressure_open(&cluster, seed, 2, HEARTBEAT_MS);
    struct cluster_node *node = &cluster.nodes[0];
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < 40; i++) {
        accepted += cluster_call_start(large_call(node, 1, WEFT_LANE_BULK)) == WEFT_OK;
    }
    cluster_check(&cluster, accepted > SEND_QUEUE_BYTES_MAX / CLUSTER_PAYLOAD_BYTES_MAX + 5, "%u calls accepted",
                  accepted);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, bulk_link_feeds), "all that waited fits");
    struct cluster_call *newcomer = cluster_call_new(node, 0, 1);
    newcomer->lane = WEFT_LANE_BULK;
    newcomer->request_bytes = SEND_BUF_BYTES + 1; /* there is room for it, and it is not its turn */
    cluster_check(&cluster, cluster_call_start(newcomer) == WEFT_ERR_QUEUE_FULL, "a newcomer pushed in");
    cluster_calm(&cluster);
    check_all_answered(&cluster);
    return cluster_close(&cluster, totals);
}

static void waiting__more_than_the_queue_holds__all_answered(void **state)
{
    (void)state;
    cluster_run_seeds(6050, 6, 2, waiting_more_than_fits, NULL);
}

/* Answers pile up at a server whose caller takes nothing. */
static void pile_up(struct cluster *cluster, uint32_t answers, uint32_t small_calls)
{
    struct cluster_node *caller = &cluster->nodes[0];
    for (uint32_t i = 0; i < answers; i++) {
        struct cluster_call *call = cluster_call_new(caller, 0, 1);
        call->destiny = DESTINY_LATER;
        call->reply_bytes = CLUSTER_PAYLOAD_BYTES_MAX;
        call->delay_ns = 100 * MS_NS;
        call->timeout_ns = 60 * SECOND_NS;
        cluster_check(cluster, cluster_call_start(call) == WEFT_OK, "call %u", i);
    }
    cluster_run(cluster, 50 * MS_NS);
    cluster_partition(cluster, 0, 1, true);
    cluster_run(cluster, SECOND_NS);
    for (uint32_t i = 0; i < small_calls; i++) {
        struct cluster_call *call = cluster_call_new(caller, 0, 1);
        call->timeout_ns = 60 * SECOND_NS;
        (void)cluster_call_start(call);
    }
    cluster_run(cluster, SECOND_NS);
}

static uint64_t slow_reader(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    pressure_open(&cluster, seed, 2, HEARTBEAT_MS);
    pile_up(&cluster, 15, 50);
    const struct channel *channel = find_channel(&cluster.nodes[1], WEFT_LANE_NORMAL, true);
    cluster_check(&cluster, channel != NULL && channel->conn.paused && !io_op_busy(&channel->conn.recv),
                  "the server still reads");
    cluster_check(&cluster, channel->conn.above_high, "nothing piled up");
    cluster_calm(&cluster);
    check_all_answered(&cluster);
    cluster_check(&cluster, !channel->conn.paused, "the server does not read again");
    return cluster_close(&cluster, totals);
}

static void server__caller_takes_no_answers__stops_reading_then_goes_on(void **state)
{
    (void)state;
    cluster_run_seeds(6100, 12, 4, slow_reader, NULL);
}

/* More answers at once than a connection may queue: they wait, and nobody else's suffer. */
static uint64_t overflow(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    pressure_open(&cluster, seed, 3, HEARTBEAT_MS);
    const struct weft_shard *shard = cluster.nodes[1].node->shards[0].shard;
    pile_up(&cluster, 40, 0);
    const struct channel *channel = find_channel(&cluster.nodes[1], WEFT_LANE_NORMAL, true);
    cluster_check(&cluster, channel != NULL && !list_empty(&channel->owed), "no answer had to wait");
    uint64_t queued = channel->conn.outbox_bytes;
    cluster_check(&cluster, queued <= SEND_QUEUE_BYTES_MAX, "%llu bytes are queued", (unsigned long long)queued);
    uint64_t most = shard->arena.bytes - shard->arena.bytes / ARENA_RESERVE_PARTS;
    cluster_check(&cluster, arena_used(&shard->arena) <= most, "the reserve of the arena is gone");
    uint32_t first = cluster.call_count;
    for (uint32_t i = 0; i < 20; i++) {
        struct cluster_call *call = cluster_call_new(&cluster.nodes[2], 0, 1);
        call->reply_bytes = CLUSTER_PAYLOAD_BYTES_MAX;
        cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "call %u", i);
    }
    cluster_run(&cluster, SECOND_NS);
    for (uint32_t i = first; i < cluster.call_count; i++) {
        cluster_check(&cluster, cluster.calls[i].ends == 1 && cluster.calls[i].err == WEFT_OK, "call %u", i);
    }
    cluster_calm(&cluster);
    check_all_answered(&cluster);
    return cluster_close(&cluster, totals);
}

static void server__answers_overflow__wait_for_room_and_arrive(void **state)
{
    (void)state;
    cluster_run_seeds(6200, 12, 4, overflow, NULL);
}

static bool requests_held(struct cluster *cluster)
{
    const struct channel *channel = find_channel(&cluster->nodes[1], WEFT_LANE_NORMAL, true);
    return channel != NULL && channel->stalled && !list_empty(&channel->held);
}

/* Small requests whose answers outgrow what may be queued: they are here already when the reading stops. */
static uint64_t outgrown(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    pressure_open(&cluster, seed, 2, HEARTBEAT_MS);
    (void)cluster_call_start(cluster_call_new(&cluster.nodes[0], 0, 1));
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_no_open_calls), "calls hang");
    for (uint32_t i = 0; i < 100; i++) {
        struct cluster_call *call = cluster_call_new(&cluster.nodes[0], 0, 1);
        call->reply_bytes = CLUSTER_PAYLOAD_BYTES_MAX;
        cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "call %u", i);
    }
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, requests_held), "no request had to wait");
    if (seed % 2 == 0) { /* its caller dies: what waits is dropped */
        cluster_kill_node(&cluster.nodes[0]);
        cluster_run(&cluster, SECOND_NS);
        cluster_start_node(&cluster.nodes[0]);
    }
    cluster_calm(&cluster);
    for (uint32_t i = 0; i < cluster.call_count; i++) {
        const struct cluster_call *call = &cluster.calls[i];
        cluster_check(&cluster, call->caller_died || call->err == WEFT_OK, "call %llu: %s",
                      (unsigned long long)call->id, weft_err_name(call->err));
    }
    return cluster_close(&cluster, totals);
}

static void server__answers_outgrow_the_queue__requests_wait_their_turn(void **state)
{
    (void)state;
    cluster_run_seeds(6400, 16, 4, outgrown, NULL);
}

/* Large calls first, then smaller ones into what is left, until nothing fits. */
static uint32_t stuff(struct cluster_node *node, uint32_t peer)
{
    static const uint32_t sizes[] = {CLUSTER_PAYLOAD_BYTES_MAX, SEND_BUF_BYTES, 4096, 256};
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        struct cluster_call *call = large_call(node, peer, i % 2 == 0 ? WEFT_LANE_BULK : WEFT_LANE_NORMAL);
        call->request_bytes = sizes[i / 2];
        refused += cluster_call_start(call) == WEFT_ERR_QUEUE_FULL;
    }
    return refused;
}

/* Many peers that take nothing want more send buffers than the shard has; the healthy one must not be missed. */
static uint64_t starving(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    pressure_open(&cluster, seed, CLUSTER_NODES_DRAWN_MAX, 200);
    struct cluster_node *node = &cluster.nodes[0];
    for (uint32_t peer = 1; peer < CLUSTER_NODES_DRAWN_MAX; peer++) {
        (void)cluster_call_start(large_call(node, peer, WEFT_LANE_BULK));
        (void)cluster_call_start(large_call(node, peer, WEFT_LANE_NORMAL));
    }
    cluster_run(&cluster, SECOND_NS);
    for (uint32_t peer = 2; peer < CLUSTER_NODES_DRAWN_MAX; peer++) {
        cluster_partition(&cluster, 0, peer, true);
    }
    uint32_t refused = 0;
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t peer = 2; peer < CLUSTER_NODES_DRAWN_MAX; peer++) {
            refused += stuff(node, peer);
        }
        cluster_run(&cluster, 10 * MS_NS);
    }
    cluster_check(&cluster, refused > 1000, "only %u calls were refused", refused);
    cluster_check(&cluster, node->watches[1].up && node->watches[1].downs == 0, "the healthy peer was lost: %s",
                  weft_reason_name(node->watches[1].reason));
    cluster_check(&cluster, cluster.nodes[1].watches[0].up && cluster.nodes[1].watches[0].downs == 0,
                  "the healthy peer lost us: %s", weft_reason_name(cluster.nodes[1].watches[0].reason));
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void shard__silent_peers_take_all_buffers__healthy_peer_stays_up(void **state)
{
    (void)state;
    cluster_run_seeds(6300, 4, 4, starving, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue__peer_takes_nothing__full_and_bounded),
        cmocka_unit_test(waiting__more_than_the_queue_holds__all_answered),
        cmocka_unit_test(server__caller_takes_no_answers__stops_reading_then_goes_on),
        cmocka_unit_test(server__answers_overflow__wait_for_room_and_arrive),
        cmocka_unit_test(server__answers_outgrow_the_queue__requests_wait_their_turn),
        cmocka_unit_test(shard__silent_peers_take_all_buffers__healthy_peer_stays_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
