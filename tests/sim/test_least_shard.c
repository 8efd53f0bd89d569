/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a shard with the least options costs at most 128 KiB before connections, and works.
 *
 * Method: nodes of one shard in the simulator, started one after the other; what the process has mapped and what malloc
 * has given out is read from the system before and after.  Then one of them calls another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <malloc.h>

#include "engine/base/limits.h"
#include "engine/sim/sim_world.h"
#include "topology/cluster/node.h"

#define SECOND UINT64_C(1000000000)
#define NODES 8u
#define SHARD_BYTES_MAX (128u * 1024)
#define STEPS_MAX 1000000u

struct crowd {
    struct sim_world *world;
    weft_node *nodes[NODES];
    char addresses[NODES][16];
    uint32_t answers;
    uint32_t answer_bytes;
};

/* Bytes that are mapped and belong to no file, the heap and thread stacks left out; malloc says what it gave out. */
static uint64_t bytes_in_use(void)
{
    char line[512];
    uint64_t bytes = mallinfo2().uordblks;
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long begin;
        unsigned long long end;
        unsigned long inode;
        char name[256] = "";
        int fields = sscanf(line, "%llx-%llx %*s %*s %*s %lu %255s", &begin, &end, &inode, name);
        assert_true(fields >= 3);
        if (inode == 0 && name[0] == '\0') {
            bytes += end - begin;
        }
    }
    fclose(file);
    return bytes;
}

static void quiet(void *ctx, char level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static void node_make(struct crowd *crowd, uint32_t index)
{
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    struct weft_error why = {0};
    snprintf(crowd->addresses[index], sizeof crowd->addresses[index], "10.0.0.%u", index + 1);
    options.listen_address = crowd->addresses[index];
    options.memory_per_shard_bytes = BUDGET_MEMORY_BYTES_MIN;
    options.connections_max = 4;
    options.peers_max = 4;
    options.heartbeat_ms = UINT32_MAX;
    options.log = quiet;
    assert_int_equal(weft_node_create(&crowd->nodes[index], &options, &why), WEFT_OK);
    assert_int_equal(weft_node_handle_standard(crowd->nodes[index], &why), WEFT_OK);
    if (index > 0) {
        peer.addresses[0] = crowd->addresses[0];
        assert_int_equal(weft_node_peer_add(crowd->nodes[index], &peer, NULL, &why), WEFT_OK);
    }
}

static void node_run(struct crowd *crowd, uint32_t index)
{
    const struct node_placement placement = {
        .place = sim_world_node(crowd->world, index), .shard_count = 1, .driven = true};
    struct weft_error why = {0};
    assert_int_equal(node_start_on(crowd->nodes[index], &placement, NULL, NULL, &why), WEFT_OK);
    struct weft_shard *shard = crowd->nodes[index]->engine->shards[0];
    sim_io_set_user(shard->io, shard);
}

static void crowd_run(struct crowd *crowd, uint64_t for_ns)
{
    uint64_t until_ns = sim_world_now_ns(crowd->world) + for_ns;
    for (uint32_t step = 0; step < STEPS_MAX && sim_world_now_ns(crowd->world) < until_ns; step++) {
        struct io *io = sim_world_next(crowd->world);
        if (io == NULL) {
            return;
        }
        struct weft_shard *shard = sim_io_user(io);
        if (!shard->stop_asked) {
            shard_turn(shard);
        }
    }
}

static void answered(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct crowd *crowd = ctx;
    assert_int_equal(err, WEFT_OK);
    crowd->answers++;
    crowd->answer_bytes += reply->payload.bytes;
}

static void call_first(void *ctx, struct weft_shard *shard)
{
    static const uint8_t payload[8000];
    struct crowd *crowd = ctx;
    weft_peer_id peer = weft_peer_find(shard, crowd->addresses[0]);
    assert_int_equal(weft_call(shard, peer, 2, (struct weft_span){payload, sizeof payload}, NULL, answered, crowd),
                     WEFT_OK);
}

static void shard__least_options__costs_little_and_works(void **state)
{
    (void)state;
    static struct crowd crowd;
    struct sim_options sim;
    struct weft_error why = {0};
    sim_options_init(&sim, 1);
    assert_int_equal(sim_world_create(&crowd.world, &sim, &why), WEFT_OK);
    for (uint32_t i = 0; i < NODES; i++) {
        node_make(&crowd, i);
    }
    node_run(&crowd, 0); /* what is made once for all */
    uint64_t before = bytes_in_use();
    for (uint32_t i = 1; i < NODES; i++) {
        node_run(&crowd, i);
    }
    uint64_t each = (bytes_in_use() - before) / (NODES - 1);
    print_message("%llu bytes for a shard\n", (unsigned long long)each);
    assert_in_range(each, 30000, SHARD_BYTES_MAX);
    crowd_run(&crowd, SECOND / 10);
    for (uint32_t i = 1; i < NODES && i <= 3; i++) {
        assert_int_equal(engine_post(crowd.nodes[i]->engine, 0, call_first, &crowd), WEFT_OK);
    }
    crowd_run(&crowd, SECOND);
    assert_int_equal(crowd.answers, 3);
    assert_int_equal(crowd.answer_bytes, 3 * 8000);
    for (uint32_t i = 0; i < NODES; i++) {
        weft_node_drain(crowd.nodes[i]);
    }
    crowd_run(&crowd, 10 * SECOND);
    for (uint32_t i = 0; i < NODES; i++) {
        assert_true(crowd.nodes[i]->engine->shards[0]->stop_asked);
        crowd.nodes[i]->state = NODE_STOPPED;
        weft_node_destroy(crowd.nodes[i]);
    }
    sim_world_destroy(crowd.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shard__least_options__costs_little_and_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
