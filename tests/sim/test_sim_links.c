/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what the owner of a world does to links and processes is what happens: one-way cuts, limits, jitter that
 * reorders nothing, processes that stand still, and single calls that fail.
 *
 * Method: a pair of nodes and bare operations (probe_pair.h).  No faults are drawn. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/probe_pair.h"

#define MS UINT64_C(1000000)

static void cut__one_way__other_way_passes_and_window_fills(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    sim_options_init(&options, 1);
    options.window_bytes = SEND_BYTES + SEND_BYTES / 2;
    pair_open(&pair, &options);
    pair_connect(&pair);
    sim_world_cut(pair.world, 0, 1, true);
    struct probe *heard = probe_start(&pair.sides[0], IO_RECV, pair_accepted(&pair));
    struct probe *deaf = probe_start(&pair.sides[1], IO_RECV, pair_dialed(&pair));
    struct probe *first = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    pair_rest(&pair);
    assert_int_equal(probe_last(first), SEND_BYTES);
    assert_int_equal(heard->byte_count, SEND_BYTES);
    /* What arrived is not confirmed: only half a window is left. */
    struct probe *second = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    struct probe *lost = probe_start(&pair.sides[0], IO_SEND, pair_accepted(&pair));
    pair_rest(&pair);
    assert_int_equal(probe_last(second), SEND_BYTES / 2);
    struct probe *third = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    pair_rest(&pair);
    assert_int_equal(third->count, 0);
    assert_int_equal(deaf->byte_count, 0);
    sim_world_cut(pair.world, 0, 1, false);
    pair_rest(&pair);
    assert_int_equal(probe_last(third), SEND_BYTES);
    assert_int_equal(deaf->byte_count, SEND_BYTES);
    assert_int_equal(heard->byte_count, 2 * SEND_BYTES + SEND_BYTES / 2);
    io_cancel(pair.sides[0].io, &heard->op);
    io_cancel(pair.sides[1].io, &deaf->op);
    pair_rest(&pair);
    struct probe *all[] = {heard, deaf, first, second, lost, third};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        probe_free(all[i]);
    }
    pair_close_sockets(&pair);
}

static void connect__answers_cut__other_end_exists_and_dial_waits(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    sim_options_init(&options, 1);
    pair_open(&pair, &options);
    sim_world_cut(pair.world, 0, 1, true);
    pair.accept = probe_start(&pair.sides[0], IO_ACCEPT, pair.sides[0].listener);
    pair.connect = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair_run(&pair, 5 * SECOND_NS);
    assert_true(pair_accepted(&pair) >= 0);
    assert_int_equal(pair.connect->count, 0);
    sim_world_cut(pair.world, 0, 1, false);
    pair_run(&pair, 5 * SECOND_NS);
    assert_true(pair_dialed(&pair) >= 0);
    pair_close_sockets(&pair);
}

static void link__limited__bytes_take_their_time_and_connections_share_it(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    sim_options_init(&options, 1);
    pair_open(&pair, &options);
    pair_connect(&pair);
    sim_world_limit(pair.world, 1, 0, 100 * SEND_BYTES); /* a send takes 10 ms */
    struct probe *read = probe_start(&pair.sides[0], IO_RECV, pair_accepted(&pair));
    uint64_t begin_ns = sim_world_now_ns(pair.world);
    for (uint32_t i = 0; i < 5; i++) {
        struct probe *send = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
        while (send->count == 0) {
            pair_run(&pair, MS / 10);
        }
        probe_free(send);
    }
    while (read->byte_count < 5 * SEND_BYTES) {
        pair_run(&pair, MS);
    }
    uint64_t took_ns = sim_world_now_ns(pair.world) - begin_ns;
    assert_in_range(took_ns, 50 * MS, 53 * MS);
    io_cancel(pair.sides[0].io, &read->op);
    pair_rest(&pair);
    probe_free(read);
    pair_close_sockets(&pair);
}

/* Chunks that are given latencies up to a thousand times longer than the time between them. */
static void stream__latency_jitters__bytes_stay_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim_options options;
        struct pair pair;
        sim_options_init(&options, seed);
        options.latency_ns_min = 0;
        options.latency_ns_max = 20 * MS;
        pair_open(&pair, &options);
        pair_connect(&pair);
        struct probe *read = probe_start(&pair.sides[0], IO_RECV, pair_accepted(&pair));
        uint8_t expected[20 * SEND_BYTES];
        for (uint32_t i = 0; i < 20; i++) {
            struct probe *send = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
            memset(send->op.send.bufs[0]->data, (int)(seed + i), SEND_BYTES);
            memset(expected + i * SEND_BYTES, (int)(seed + i), SEND_BYTES);
            while (send->count == 0) {
                pair_run(&pair, MS / 50);
            }
            probe_free(send);
        }
        while (read->byte_count < sizeof expected) {
            if (!io_op_busy(&read->op)) { /* it ran out of buffers */
                io_submit(pair.sides[0].io, &read->op);
            }
            pair_run(&pair, MS);
        }
        assert_memory_equal(read->bytes, expected, sizeof expected);
        io_cancel(pair.sides[0].io, &read->op);
        pair_rest(&pair);
        probe_free(read);
        pair_close_sockets(&pair);
    }
}

static void node__frozen__takes_bytes_and_reads_them_later(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    sim_options_init(&options, 1);
    pair_open(&pair, &options);
    pair_connect(&pair);
    struct probe *read = probe_start(&pair.sides[0], IO_RECV, pair_accepted(&pair));
    pair_rest(&pair);
    sim_world_freeze(pair.world, 0, true);
    struct probe *send = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    pair_run(&pair, SECOND_NS);
    assert_int_equal(probe_last(send), SEND_BYTES);
    assert_int_equal(read->byte_count, 0);
    sim_world_freeze(pair.world, 0, false);
    pair_rest(&pair);
    assert_int_equal(read->byte_count, SEND_BYTES);
    io_cancel(pair.sides[0].io, &read->op);
    pair_rest(&pair);
    probe_free(send);
    probe_free(read);
    pair_close_sockets(&pair);
}

static void aim__one_call__it_fails_and_no_other(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    sim_options_init(&options, 1);
    options.aim = (struct sim_aim){.call = IO_CONNECT, .code = ENOBUFS, .nth = 2};
    pair_open(&pair, &options);
    pair_connect(&pair);
    struct probe *second = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair_rest(&pair);
    assert_int_equal(probe_last(second), -ENOBUFS);
    assert_int_equal(sim_world_errors(pair.world, IO_CONNECT, ENOBUFS), 1);
    assert_int_equal(sim_world_calls(pair.world, IO_CONNECT), 2);
    probe_free(second);
    pair_close_sockets(&pair);
}

static void aim__code_that_the_call_cannot_have__refused(void **state)
{
    (void)state;
    struct sim_options options;
    struct sim_world *world;
    struct weft_error why = {0};
    sim_options_init(&options, 1);
    options.aim = (struct sim_aim){.call = IO_CLOSE, .code = EMFILE, .nth = 1};
    assert_int_equal(sim_world_create(&world, &options, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "close"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut__one_way__other_way_passes_and_window_fills),
        cmocka_unit_test(connect__answers_cut__other_end_exists_and_dial_waits),
        cmocka_unit_test(link__limited__bytes_take_their_time_and_connections_share_it),
        cmocka_unit_test(stream__latency_jitters__bytes_stay_in_order),
        cmocka_unit_test(node__frozen__takes_bytes_and_reads_them_later),
        cmocka_unit_test(aim__one_call__it_fails_and_no_other),
        cmocka_unit_test(aim__code_that_the_call_cannot_have__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
