/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a node promises to take from its host's allocator it takes from nowhere else, gives back piece by piece
 * with the sizes it asked for, and does without once it runs.
 *
 * Method: create, start, call, drain and destroy a node with a counting allocator, beside a healthy peer in a simulated
 * world; what our objects ask of libc meanwhile is counted too.  Then again, with each allocation failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/sim/sim_world.h"
#include "tests/sim/alloc_fail.h"
#include "tests/unit/counting_allocator.h"
#include "topology/cluster/node.h"

#define SECOND UINT64_C(1000000000)
#define ROUNDS_MAX 1000u
#define SHARDS 2u
#define CALLS 1000u
/* Of the simulator: one struct for each shard. */
#define NOT_COVERED SHARDS

struct life {
    struct sim_world *world;
    struct counting_allocator *counting; /* of the first node; the second is the healthy peer */
    struct weft_node *nodes[2];
    uint32_t answers;
    bool calling;
};

static const char *const addresses[2] = {"10.0.0.1", "10.0.0.2"};

static void log_nothing(void *ctx, char level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static enum weft_err life_create(struct life *life, uint32_t index, struct weft_error *why)
{
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    struct weft_allocator allocator = {0};
    options.listen_address = addresses[index];
    options.memory_per_shard_bytes = UINT64_C(8) << 20;
    options.connections_max = 16;
    options.calls_max = 64;
    options.requests_max = 64;
    options.peers_max = 4;
    options.log = log_nothing;
    if (index == 0) {
        allocator = counting_hook(life->counting);
        options.allocator = &allocator;
    }
    WEFT_TRY(weft_node_create(&life->nodes[index], &options, why));
    memset(&allocator, 0, sizeof allocator); /* it was copied */
    peer.addresses[0] = addresses[1 - index];
    WEFT_TRY(weft_node_peer_add(life->nodes[index], &peer, NULL, why));
    return weft_node_handle_standard(life->nodes[index], why);
}

static enum weft_err life_start(struct life *life, uint32_t index, struct weft_error *why)
{
    const struct node_placement placement = {
        .place = sim_world_node(life->world, index), .shard_count = SHARDS, .driven = true};
    WEFT_TRY(node_start_on(life->nodes[index], &placement, NULL, NULL, why));
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct weft_shard *shard = life->nodes[index]->engine->shards[i];
        sim_io_set_user(shard->io, shard);
    }
    return WEFT_OK;
}

static void life_step(struct life *life)
{
    struct io *io = sim_world_next(life->world);
    assert_non_null(io);
    struct weft_shard *shard = sim_io_user(io);
    if (shard->stop_asked) {
        struct io_event event;
        assert_int_equal(io->backend->wait(io, IO_TIMEOUT_NEVER, &event, 1), 0);
    } else {
        shard_turn(shard);
    }
}

static void call_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct life *life = ctx;
    (void)reply;
    assert_int_equal(err, WEFT_OK);
    life->answers++;
    life->calling = false;
}

static void call_begin(void *ctx, weft_shard *shard)
{
    struct life *life = ctx;
    static const uint8_t payload[3000] = {1};
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true;
    options.timeout_ms = 10000;
    assert_int_equal(
        weft_call(shard, (weft_peer_id){1}, 2, (struct weft_span){payload, sizeof payload}, &options, call_ended, life),
        WEFT_OK);
}

static void life_call(struct life *life)
{
    uint64_t end_ns = sim_world_now_ns(life->world) + 11 * SECOND;
    life->calling = true;
    assert_int_equal(engine_post(life->nodes[0]->engine, 0, call_begin, life), WEFT_OK);
    while (life->calling) {
        assert_true(sim_world_now_ns(life->world) < end_ns);
        life_step(life);
    }
}

static bool node_stopped(const struct weft_node *node)
{
    return node->engine->shards[0]->stop_asked && node->engine->shards[1]->stop_asked;
}

static void life_end_node(struct life *life, uint32_t index)
{
    uint64_t end_ns = sim_world_now_ns(life->world) + 12 * SECOND;
    weft_node_drain(life->nodes[index]);
    while (!node_stopped(life->nodes[index])) {
        assert_true(sim_world_now_ns(life->world) < end_ns);
        life_step(life);
    }
    assert_int_equal(weft_node_wait(life->nodes[index]), 0);
    weft_node_destroy(life->nodes[index]);
    life->nodes[index] = NULL;
}

static enum weft_err life_begin(struct life *life, struct weft_error *why)
{
    enum weft_err err = life_create(life, 0, why);
    err = err == WEFT_OK ? life_start(life, 0, why) : err;
    if (err != WEFT_OK) {
        weft_node_destroy(life->nodes[0]);
        life->nodes[0] = NULL;
    }
    return err;
}

/* @param calls  0: none   @return whether an allocation failed */
static bool life_play(struct counting_allocator *counting, uint32_t calls)
{
    struct sim_options options;
    struct weft_error why = {0};
    struct life life = {.counting = counting};
    sim_options_init(&options, 1);
    assert_int_equal(sim_world_create(&life.world, &options, &why), WEFT_OK);
    assert_int_equal(life_create(&life, 1, &why), WEFT_OK);
    assert_int_equal(life_start(&life, 1, &why), WEFT_OK);
    alloc_fail_arm(0);
    enum weft_err err = life_begin(&life, &why);
    if (err == WEFT_OK) {
        uint64_t allocations = counting_allocations(counting);
        assert_true(counting_live_bytes(counting) > SHARDS * (UINT64_C(4) << 20));
        for (uint32_t i = 0; i < calls; i++) {
            life_call(&life);
        }
        assert_int_equal(life.answers, calls);
        assert_int_equal(counting_allocations(counting), allocations);
        life_end_node(&life, 0);
        assert_int_equal(alloc_fail_count(), NOT_COVERED);
    } else {
        assert_int_equal(err, WEFT_ERR_NO_MEMORY);
        assert_int_equal(why.code, WEFT_ERR_NO_MEMORY);
        assert_non_null(strstr(why.text, "memory"));
        assert_true(alloc_fail_count() <= NOT_COVERED);
    }
    (void)alloc_fail_disarm();
    counting_expect_empty(counting);
    life_end_node(&life, 1);
    sim_world_destroy(life.world);
    return err != WEFT_OK;
}

static void life__calls__all_memory_from_the_hook_and_back(void **state)
{
    struct counting_allocator counting;
    (void)state;
    counting_init(&counting, 0);
    assert_false(life_play(&counting, CALLS));
    print_message("%llu allocations, %llu bytes at most\n", (unsigned long long)counting_allocations(&counting),
                  (unsigned long long)counting.most_bytes);
}

static void life__nth_allocation_refused__no_memory_and_nothing_left(void **state)
{
    struct counting_allocator counting;
    uint64_t nth = 0;
    (void)state;
    do {
        nth++;
        assert_true(nth < ROUNDS_MAX);
        counting_init(&counting, nth);
    } while (life_play(&counting, 0));
    assert_int_equal(counting_allocations(&counting), nth - 1); /* each of a whole life's failed once */
    assert_true(nth > 30);
}

static void create__half_an_allocator__refused(void **state)
{
    struct counting_allocator counting;
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_error why;
    struct weft_node *node = NULL;
    (void)state;
    counting_init(&counting, 0);
    struct weft_allocator allocator = counting_hook(&counting);
    allocator.release = NULL;
    options.allocator = &allocator;
    assert_int_equal(weft_node_create(&node, &options, &why), WEFT_ERR_CONFIG);
    assert_string_equal(why.text, "allocator: both of allocate and release must be given");
    allocator = counting_hook(&counting);
    allocator.allocate = NULL;
    assert_int_equal(weft_node_create(&node, &options, &why), WEFT_ERR_CONFIG);
    assert_int_equal(counting_allocations(&counting), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life__calls__all_memory_from_the_hook_and_back),
        cmocka_unit_test(life__nth_allocation_refused__no_memory_and_nothing_left),
        cmocka_unit_test(create__half_an_allocator__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
