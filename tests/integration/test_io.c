/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every real backend keeps the promises of engine/io/io.h about sending, receiving and closing, so that the
 * engine cannot tell them apart. Method: as in test_io_sockets.c. */
#include "tests/integration/io_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#define MIB (1024u * 1024u)

static void recv__stream_both_ways__arrives_in_order(void **state)
{
    struct world *world = *state;
    struct probe there;
    struct probe back;
    uint64_t offset = 0;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&there, world, IO_RECV, accepted);
    probe_init(&back, world, IO_RECV, dialed);
    submit(&there);
    submit(&back);
    for (uint32_t i = 1; i <= 300; i++) {
        uint32_t bytes = i * 37 % 8000 + 1;
        send_range(world, dialed, offset, offset + bytes, SEND_BUF_BYTES);
        send_range(world, accepted, offset, offset + bytes, SEND_BUF_BYTES);
        offset += bytes;
        there.count = back.count = 0;
    }
    RUN_UNTIL(world, there.bytes == offset && back.bytes == offset);
    stop(&there);
    stop(&back);
    assert_int_equal(there.last, -ECANCELED);
    assert_int_equal(there.bytes, offset);
}

static void send__sixteen_buffers__arrive_as_one_stream(void **state)
{
    struct world *world = *state;
    struct probe sending;
    struct probe receiving;
    uint64_t sent = 0;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    for (uint32_t round = 0; round < 4; round++) {
        send_init(&sending, world, dialed, sent, SEND_BUFS_MAX, 1001);
        submit(&sending);
        run_idle(world, &sending);
        assert_int_equal(sending.count, 1);
        assert_int_equal(sending.last, SEND_BUFS_MAX * 1001);
        sent += SEND_BUFS_MAX * 1001;
        send_bufs_return(&sending);
    }
    RUN_UNTIL(world, receiving.bytes == sent);
    stop(&receiving);
}

static void send__peer_does_not_read__waits_and_goes_on(void **state)
{
    struct world *world = *state;
    struct probe sending;
    struct probe receiving;
    uint64_t sent = 0;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&receiving, world, IO_RECV, accepted);
    /* Fill the connection: a send that two turns did not end is one that waits. */
    for (;;) {
        send_init(&sending, world, dialed, sent, SEND_BUFS_MAX, SEND_BUF_BYTES);
        submit(&sending);
        turn(world, 0);
        turn(world, 0);
        if (io_op_busy(&sending.op)) {
            break;
        }
        assert_true(sending.last > 0);
        sent += (uint64_t)sending.last;
        send_bufs_return(&sending);
        assert_true(sent < 256 * MIB);
    }
    assert_int_equal(sending.op.send.bufs[0]->state, BUF_KERNEL_READS);
    submit(&receiving);
    while (io_op_busy(&sending.op)) {
        receiving.count = 0;
        turn(world, LIMIT_NS);
    }
    assert_true(sending.last > 0);
    sent += (uint64_t)sending.last;
    send_bufs_return(&sending);
    while (receiving.bytes < sent) {
        receiving.count = 0;
        turn(world, LIMIT_NS);
    }
    assert_int_equal(receiving.bytes, sent);
    stop(&receiving);
}

static void send__peer_reset__error_without_signal(void **state)
{
    struct world *world = *state;
    struct probe sending;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    assert_int_equal(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    socket_shut(world, accepted);
    for (uint32_t i = 0; i < 2; i++) {
        send_init(&sending, world, dialed, 0, 1, 100);
        submit(&sending);
        run_idle(world, &sending);
        assert_true(sending.last == -EPIPE || sending.last == -ECONNRESET);
        send_bufs_return(&sending);
    }
}

static void recv__peer_closes__data_then_zero(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    send_range(world, dialed, 0, 20000, SEND_BUF_BYTES);
    socket_shut(world, dialed);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    run_idle(world, &receiving);
    assert_int_equal(receiving.bytes, 20000);
    assert_int_equal(receiving.last, 0);
    assert_false(receiving.more);
    /* The end stays the end. */
    submit(&receiving);
    run_idle(world, &receiving);
    assert_int_equal(receiving.last, 0);
}

static void recv__peer_closes_while_armed__zero(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    turn(world, 0);
    send_range(world, dialed, 0, 5, SEND_BUF_BYTES);
    socket_shut(world, dialed);
    run_idle(world, &receiving);
    assert_int_equal(receiving.bytes, 5);
    assert_int_equal(receiving.last, 0);
}

static void recv__peer_resets__econnreset(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    turn(world, 0);
    assert_int_equal(setsockopt(dialed, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    socket_shut(world, dialed);
    run_idle(world, &receiving);
    assert_int_equal(receiving.count, 1);
    assert_int_equal(receiving.last, -ECONNRESET);
}

static void recv__peer_resets_after_data__data_then_econnreset(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    send_range(world, dialed, 0, 100, SEND_BUF_BYTES);
    assert_int_equal(setsockopt(dialed, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    socket_shut(world, dialed);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    run_idle(world, &receiving);
    assert_int_equal(receiving.bytes, 100);
    assert_int_equal(receiving.last, -ECONNRESET);
}

static void recv__every_buffer_kept__enobufs_until_returned(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    const uint64_t total = 2u * TEST_RECV_BUFS * TEST_RECV_BUF_BYTES;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    send_range(world, dialed, 0, total, SEND_BUF_BYTES);
    probe_init(&receiving, world, IO_RECV, accepted);
    world->keeps = true;
    submit(&receiving);
    run_idle(world, &receiving);
    assert_int_equal(receiving.last, -ENOBUFS);
    assert_false(receiving.more);
    assert_int_equal(world->kept_count, TEST_RECV_BUFS);
    assert_int_equal(receiving.count, TEST_RECV_BUFS + 1);
    assert_true(receiving.bytes < total);
    /* Still none: the same again, and nothing is lost. */
    submit(&receiving);
    run_idle(world, &receiving);
    assert_int_equal(receiving.last, -ENOBUFS);
    kept_return(world);
    world->keeps = false;
    submit(&receiving);
    RUN_UNTIL(world, receiving.bytes == total);
    stop(&receiving);
}

static void shutdown__one_side__other_direction_lives(void **state)
{
    struct world *world = *state;
    struct probe ending;
    struct probe there;
    struct probe back;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&there, world, IO_RECV, accepted);
    probe_init(&back, world, IO_RECV, dialed);
    probe_init(&ending, world, IO_SHUTDOWN, dialed);
    submit(&there);
    submit(&back);
    submit(&ending);
    run_idle(world, &ending);
    assert_int_equal(ending.last, 0);
    run_idle(world, &there);
    assert_int_equal(there.last, 0);
    send_range(world, accepted, 0, 100000, SEND_BUF_BYTES);
    RUN_UNTIL(world, back.bytes == 100000);
    assert_true(io_op_busy(&back.op));
    stop(&back);
}

static void close__open_socket__is_closed_once(void **state)
{
    struct world *world = *state;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    socket_shut(world, dialed);
    errno = 0;
    assert_int_equal(fcntl(dialed, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

static void close__as_a_reset__peer_sees_one(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    struct probe closing;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    turn(world, 0);
    probe_init(&closing, world, IO_CLOSE, dialed);
    closing.op.close.reset = true;
    submit(&closing);
    run_idle(world, &closing);
    socket_forget(world, dialed);
    run_idle(world, &receiving);
    assert_int_equal(receiving.last, -ECONNRESET);
}

static void close__number_used_again__new_socket_works(void **state)
{
    struct world *world = *state;
    int32_t first = IO_SOCKET_NONE;
    uint32_t reused = 0;
    for (uint32_t i = 0; i < 50; i++) {
        struct probe receiving;
        int32_t dialed;
        int32_t accepted;
        pair_open(world, &dialed, &accepted);
        first = i == 0 ? accepted : first;
        reused += accepted == first || dialed == first;
        probe_init(&receiving, world, IO_RECV, accepted);
        submit(&receiving);
        send_range(world, dialed, 0, 100, SEND_BUF_BYTES);
        if (i % 2 == 0) {
            socket_shut(world, dialed);
            run_idle(world, &receiving);
            assert_int_equal(receiving.last, 0);
        } else {
            RUN_UNTIL(world, receiving.bytes == 100);
            stop(&receiving);
            socket_shut(world, dialed);
        }
        assert_int_equal(receiving.bytes, 100);
        socket_shut(world, accepted);
    }
    assert_true(reused > 1);
}

#define BACKEND_TESTS(X)                                                                                               \
    ON(X, recv__stream_both_ways__arrives_in_order), ON(X, send__sixteen_buffers__arrive_as_one_stream),               \
        ON(X, send__peer_does_not_read__waits_and_goes_on), ON(X, send__peer_reset__error_without_signal),             \
        ON(X, recv__peer_closes__data_then_zero), ON(X, recv__peer_closes_while_armed__zero),                          \
        ON(X, recv__peer_resets__econnreset), ON(X, recv__peer_resets_after_data__data_then_econnreset),               \
        ON(X, recv__every_buffer_kept__enobufs_until_returned), ON(X, shutdown__one_side__other_direction_lives),      \
        ON(X, close__open_socket__is_closed_once), ON(X, close__as_a_reset__peer_sees_one),                            \
        ON(X, close__number_used_again__new_socket_works)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TESTS(epoll),
        BACKEND_TESTS(uring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
