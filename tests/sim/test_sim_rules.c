/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: single rules of the simulated network that a storm shows only by chance: refusal, cuts, time-outs, half-close,
 * reset, the window, a killed node, numbers that are used again, and when the world stands still.
 *
 * Method: a pair of nodes and bare operations (probe_pair.h).  No faults are drawn. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/probe_pair.h"

static void options_calm(struct sim_options *options)
{
    sim_options_init(options, 1);
}

static void connect__source_named__acceptor_sees_it(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    pair.accept = probe_start(&pair.sides[0], IO_ACCEPT, pair.sides[0].listener);
    pair.connect = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair.connect->op.connect.local = side_address(1);
    pair.connect->op.connect.local.port = 40001;
    pair_rest(&pair);
    assert_int_equal(pair.accept->from.port, 40001);
    assert_int_equal(pair.accept->from.ip[3], 2);
    struct probe *second = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    second->op.connect.local = pair.connect->op.connect.local;
    struct probe *foreign = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    foreign->op.connect.local = side_address(0);
    pair_rest(&pair);
    assert_int_equal(probe_last(second), -EADDRINUSE);
    assert_int_equal(probe_last(foreign), -EADDRNOTAVAIL);
    probe_free(second);
    probe_free(foreign);
    pair_close_sockets(&pair);
}

static void connect__nobody_listens__refused_after_a_latency(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    uint64_t begin_ns = sim_world_now_ns(pair.world);
    pair.connect = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair.connect->op.connect.remote.port = 7001;
    pair_rest(&pair);
    assert_int_equal(probe_last(pair.connect), -ECONNREFUSED);
    assert_true(pair.connect->ended_ns >= begin_ns + 2 * options.latency_ns_min);
    pair_close(&pair);
}

static void connect__cut__times_out_or_goes_on_after_it(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    sim_world_partition(pair.world, 0, 1, true);
    uint64_t begin_ns = sim_world_now_ns(pair.world);
    struct probe *first = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair_rest(&pair);
    assert_int_equal(probe_last(first), -ETIMEDOUT);
    assert_true(first->ended_ns >= begin_ns + options.connect_timeout_ns);
    probe_free(first);

    pair.accept = probe_start(&pair.sides[0], IO_ACCEPT, pair.sides[0].listener);
    pair.connect = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair_run(&pair, 5 * SECOND_NS);
    assert_int_equal(pair.connect->count, 0);
    sim_world_heal(pair.world);
    pair_rest(&pair);
    assert_true(probe_last(pair.connect) >= 0);
    pair_close_sockets(&pair);
}

static void connect__cancelled_while_cut__number_is_free_again(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    sim_world_partition(pair.world, 0, 1, true);
    pair.connect = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair_run(&pair, SECOND_NS);
    assert_int_equal(sim_world_sockets(pair.world, 1), 1);
    io_cancel(pair.sides[1].io, &pair.connect->op);
    pair_run(&pair, SECOND_NS);
    assert_int_equal(probe_last(pair.connect), -ECANCELED);
    pair_close(&pair);
}

static void connect__cancelled_after_it_arrived__acceptor_is_reset(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    options.latency_ns_min = SECOND_NS;
    options.latency_ns_max = SECOND_NS;
    pair_open(&pair, &options);
    pair.accept = probe_start(&pair.sides[0], IO_ACCEPT, pair.sides[0].listener);
    pair.connect = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair_run(&pair, SECOND_NS + SECOND_NS / 2);
    int32_t accepted = pair_accepted(&pair);
    assert_true(accepted >= 0);
    io_cancel(pair.sides[1].io, &pair.connect->op);
    struct probe *read = probe_start(&pair.sides[0], IO_RECV, accepted);
    pair_rest(&pair);
    assert_int_equal(probe_last(pair.connect), -ECANCELED);
    assert_int_equal(probe_last(read), -ECONNRESET);
    probe_free(read);
    assert_int_equal(side_close_socket(&pair, 0, accepted), 0);
    pair_close(&pair);
}

static void shutdown__send_waits_for_the_window__send_fails(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    options.window_bytes = SEND_BYTES;
    pair_open(&pair, &options);
    pair_connect(&pair);
    struct probe *first = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    pair_rest(&pair);
    struct probe *waiting = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    struct probe *shutdown = probe_start(&pair.sides[1], IO_SHUTDOWN, pair_dialed(&pair));
    pair_rest(&pair);
    assert_int_equal(probe_last(waiting), -EPIPE);
    assert_int_equal(probe_last(shutdown), 0);
    probe_free(first);
    probe_free(waiting);
    probe_free(shutdown);
    pair_close_sockets(&pair);
}

static void recv__buffers_kept__ends_until_they_come_back(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    pair_connect(&pair);
    struct probe *sends[3];
    for (uint32_t i = 0; i < 3; i++) {
        sends[i] = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
        pair_rest(&pair);
        probe_free(sends[i]);
    }
    struct probe *read = probe_start(&pair.sides[0], IO_RECV, pair_accepted(&pair));
    struct buf *kept[RECV_BUFS_OF_SIDE];
    pair.sides[0].keep = kept;
    pair_rest(&pair);
    assert_int_equal(pair.sides[0].kept_count, RECV_BUFS_OF_SIDE);
    assert_int_equal(sim_io_lent(pair.sides[0].io), RECV_BUFS_OF_SIDE);
    assert_int_equal(probe_last(read), -ENOBUFS);
    assert_int_equal(read->byte_count, RECV_BUFS_OF_SIDE * RECV_BYTES_OF_SIDE);
    pair.sides[0].keep = NULL;
    for (uint32_t i = 0; i < RECV_BUFS_OF_SIDE; i++) {
        io_lend_return(pair.sides[0].io, kept[i]);
    }
    io_submit(pair.sides[0].io, &read->op);
    assert_int_equal(side_close_socket(&pair, 1, pair_dialed(&pair)), 0);
    assert_int_equal(read->byte_count, 3 * SEND_BYTES);
    assert_int_equal(probe_last(read), 0);
    probe_free(read);
    assert_int_equal(side_close_socket(&pair, 0, pair_accepted(&pair)), 0);
    pair_close(&pair);
}

static void stream__half_closed__other_direction_goes_on(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    pair_connect(&pair);
    struct probe *send = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    pair_rest(&pair);
    struct probe *shutdown = probe_start(&pair.sides[1], IO_SHUTDOWN, pair_dialed(&pair));
    struct probe *read = probe_start(&pair.sides[0], IO_RECV, pair_accepted(&pair));
    pair_rest(&pair);
    assert_int_equal(probe_last(shutdown), 0);
    assert_int_equal(read->byte_count, SEND_BYTES);
    assert_int_equal(probe_last(read), 0);
    struct probe *reply = probe_start(&pair.sides[0], IO_SEND, pair_accepted(&pair));
    struct probe *read_reply = probe_start(&pair.sides[1], IO_RECV, pair_dialed(&pair));
    struct probe *late = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    pair_rest(&pair);
    assert_int_equal(read_reply->byte_count, SEND_BYTES);
    assert_int_equal(probe_last(late), -EPIPE);
    assert_int_equal(side_close_socket(&pair, 0, pair_accepted(&pair)), 0);
    assert_int_equal(probe_last(read_reply), 0);
    struct probe *probes[] = {send, shutdown, read, reply, read_reply, late};
    for (uint32_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        probe_free(probes[i]);
    }
    assert_int_equal(side_close_socket(&pair, 1, pair_dialed(&pair)), 0);
    pair_close(&pair);
}

static void close__unread_bytes__peer_is_reset(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    pair_connect(&pair);
    struct probe *send = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    struct probe *read = probe_start(&pair.sides[1], IO_RECV, pair_dialed(&pair));
    pair_rest(&pair);
    assert_int_equal(side_close_socket(&pair, 0, pair_accepted(&pair)), 0);
    assert_int_equal(probe_last(read), -ECONNRESET);
    probe_free(read);
    probe_free(send);
    assert_int_equal(side_close_socket(&pair, 1, pair_dialed(&pair)), 0);
    pair_close(&pair);
}

static void send__peer_closed__reset_follows(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    pair_connect(&pair);
    assert_int_equal(side_close_socket(&pair, 0, pair_accepted(&pair)), 0);
    static const int32_t expected[] = {SEND_BYTES, -ECONNRESET, -EPIPE};
    for (uint32_t i = 0; i < 3; i++) {
        struct probe *send = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
        pair_rest(&pair);
        assert_int_equal(probe_last(send), expected[i]);
        probe_free(send);
    }
    assert_int_equal(side_close_socket(&pair, 1, pair_dialed(&pair)), 0);
    pair_close(&pair);
}

static void send__window_full__waits_for_the_receiver(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    options.window_bytes = 1500;
    pair_open(&pair, &options);
    pair_connect(&pair);
    struct probe *sends[3];
    static const int32_t expected[] = {SEND_BYTES, 500};
    for (uint32_t i = 0; i < 2; i++) {
        sends[i] = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
        pair_rest(&pair);
        assert_int_equal(probe_last(sends[i]), expected[i]);
    }
    sends[2] = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    pair_rest(&pair);
    assert_int_equal(sends[2]->count, 0);
    struct probe *read = probe_start(&pair.sides[0], IO_RECV, pair_accepted(&pair));
    pair_rest(&pair);
    assert_true(probe_last(sends[2]) > 0);
    assert_int_equal(read->byte_count, 1500 + probe_last(sends[2]));
    io_cancel(pair.sides[0].io, &read->op);
    pair_rest(&pair);
    assert_int_equal(probe_last(read), -ECANCELED);
    probe_free(read);
    for (uint32_t i = 0; i < 3; i++) {
        probe_free(sends[i]);
    }
    pair_close_sockets(&pair);
}

static void number__used_again__old_bytes_do_not_arrive(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    pair_connect(&pair);
    int32_t old_number = pair_accepted(&pair);
    /* On its way while the receiver closes and its number goes to the next connection. */
    sim_world_partition(pair.world, 0, 1, true);
    struct probe *send = probe_start(&pair.sides[1], IO_SEND, pair_dialed(&pair));
    pair_rest(&pair);
    assert_int_equal(side_close_socket(&pair, 0, old_number), 0);
    sim_world_partition(pair.world, 0, 1, false);
    struct probe *connect = probe_start(&pair.sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair_rest(&pair);
    assert_int_equal(pair_accepted(&pair), old_number);
    struct probe *read = probe_start(&pair.sides[0], IO_RECV, old_number);
    pair_rest(&pair);
    assert_int_equal(read->count, 0);
    assert_int_equal(side_close_socket(&pair, 1, probe_last(connect)), 0);
    assert_int_equal(read->byte_count, 0);
    assert_int_equal(probe_last(read), 0);
    probe_free(read);
    probe_free(send);
    probe_free(connect);
    pair_close_sockets(&pair);
}

static void node__killed__peer_is_reset_and_node_starts_again(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    options.window_bytes = 100;
    pair_open(&pair, &options);
    pair_connect(&pair);
    struct probe *lost[] = {
        pair.accept,
        probe_start(&pair.sides[0], IO_SEND, pair_accepted(&pair)),
        probe_start(&pair.sides[0], IO_RECV, pair_accepted(&pair)),
    };
    struct probe *read = probe_start(&pair.sides[1], IO_RECV, pair_dialed(&pair));
    pair_rest(&pair);
    struct probe *waiting = probe_start(&pair.sides[0], IO_SEND, pair_accepted(&pair));
    sim_world_partition(pair.world, 0, 1, true);
    pair_rest(&pair);
    sim_world_kill_node(pair.world, 0);
    pair.sides[0].place.backend->close(pair.sides[0].io);
    if (waiting->count == 0) {
        buf_give_back(&pair.sides[0].pool, waiting->op.send.bufs[0]);
    }
    buf_pool_fini(&pair.sides[0].pool);
    assert_int_equal(sim_world_sockets(pair.world, 0), 0);
    sim_world_partition(pair.world, 0, 1, false);
    pair_rest(&pair);
    assert_int_equal(probe_last(read), -ECONNRESET);
    for (uint32_t i = 0; i < 3; i++) {
        probe_free(lost[i]);
    }
    probe_free(waiting);
    probe_free(read);
    assert_int_equal(side_close_socket(&pair, 1, pair_dialed(&pair)), 0);
    probe_free(pair.connect);

    side_open(&pair, 0);
    side_listen(&pair.sides[0], 0);
    pair_connect(&pair);
    pair_close_sockets(&pair);
}

static void world__nothing_left__stands_still_until_woken(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    pair_rest(&pair);
    assert_null(sim_world_next(pair.world));
    pair.sides[1].io->backend->wake(pair.sides[1].io);
    assert_ptr_equal(sim_world_next(pair.world), pair.sides[1].io);
    struct io_event event;
    uint64_t begin_ns = sim_world_now_ns(pair.world);
    assert_int_equal(pair.sides[1].io->backend->wait(pair.sides[1].io, SECOND_NS, &event, 1), 0);
    assert_int_equal(pair.sides[1].io->backend->wait(pair.sides[1].io, SECOND_NS, &event, 1), 0);
    assert_ptr_equal(sim_world_next(pair.world), pair.sides[1].io);
    assert_in_range(sim_world_now_ns(pair.world), begin_ns + SECOND_NS, begin_ns + SECOND_NS + options.step_ns_max);
    uint64_t wall_ns = pair.sides[1].io->backend->wall_ns(pair.sides[1].io);
    assert_in_range(wall_ns, options.wall_start_ns + SECOND_NS, options.wall_start_ns + 2 * SECOND_NS);
    pair_close(&pair);
}

static void listen__address_of_another__refused_with_its_name(void **state)
{
    (void)state;
    struct sim_options options;
    struct pair pair;
    options_calm(&options);
    pair_open(&pair, &options);
    struct address address = side_address(0);
    bool steered;
    int32_t number;
    struct weft_error why = {0};
    void *first = pair.sides[0].place.host;
    void *second = pair.sides[1].place.host;
    assert_int_equal(sim_backend.listen(first, &address, 1, &number, &steered, &why), WEFT_ERR_SYSTEM);
    assert_int_equal(why.os_errno, EADDRINUSE);
    assert_non_null(strstr(why.text, "10.0.0.1:7000"));
    memset(&why, 0, sizeof why);
    assert_int_equal(sim_backend.listen(second, &address, 1, &number, &steered, &why), WEFT_ERR_SYSTEM);
    assert_int_equal(why.os_errno, EADDRNOTAVAIL);
    memset(&why, 0, sizeof why);
    address.port = 0;
    assert_int_equal(sim_backend.listen(first, &address, 1, &number, &steered, &why), WEFT_ERR_INVALID);
    pair_close(&pair);
}

static void world__wrong_options__refused_with_a_reason(void **state)
{
    (void)state;
    struct sim_options options;
    struct sim_world *world;
    struct weft_error why = {0};
    options_calm(&options);
    options.latency_ns_min = options.latency_ns_max + 1;
    assert_int_equal(sim_world_create(&world, &options, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "latency_ns_min"));
    memset(&why, 0, sizeof why);
    options_calm(&options);
    options.fault_per_million[SIM_FAULT_LATE] = 1000001;
    assert_int_equal(sim_world_create(&world, &options, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "late"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect__source_named__acceptor_sees_it),
        cmocka_unit_test(connect__nobody_listens__refused_after_a_latency),
        cmocka_unit_test(connect__cut__times_out_or_goes_on_after_it),
        cmocka_unit_test(connect__cancelled_while_cut__number_is_free_again),
        cmocka_unit_test(connect__cancelled_after_it_arrived__acceptor_is_reset),
        cmocka_unit_test(shutdown__send_waits_for_the_window__send_fails),
        cmocka_unit_test(recv__buffers_kept__ends_until_they_come_back),
        cmocka_unit_test(stream__half_closed__other_direction_goes_on),
        cmocka_unit_test(close__unread_bytes__peer_is_reset),
        cmocka_unit_test(send__peer_closed__reset_follows),
        cmocka_unit_test(send__window_full__waits_for_the_receiver),
        cmocka_unit_test(number__used_again__old_bytes_do_not_arrive),
        cmocka_unit_test(node__killed__peer_is_reset_and_node_starts_again),
        cmocka_unit_test(world__nothing_left__stands_still_until_woken),
        cmocka_unit_test(listen__address_of_another__refused_with_its_name),
        cmocka_unit_test(world__wrong_options__refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
