/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every real backend keeps the promises of engine/io/io.h about cancelling, waiting and waking, so that the
 * engine cannot tell them apart. Method: as in test_io_sockets.c. */
#include "tests/integration/io_world.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

static void cancel__armed_recv__ends_and_keeps_the_data(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    turn(world, 0);
    io_cancel(world->io, &receiving.op);
    io_cancel(world->io, &receiving.op);
    assert_true(io_op_busy(&receiving.op));
    assert_int_equal(receiving.count, 0);
    run_idle(world, &receiving);
    assert_int_equal(receiving.count, 1);
    assert_int_equal(receiving.last, -ECANCELED);
    io_cancel(world->io, &receiving.op);
    send_range(world, dialed, 0, 1000, SEND_BUF_BYTES);
    turn(world, 0);
    assert_int_equal(receiving.count, 1);
    submit(&receiving);
    RUN_UNTIL(world, receiving.bytes == 1000);
    stop(&receiving);
}

static void cancel__armed_accept__ends_and_can_be_armed_again(void **state)
{
    struct world *world = *state;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    io_cancel(world->io, &world->acceptor.op);
    run_idle(world, &world->acceptor);
    assert_int_equal(world->acceptor.count, 2);
    assert_int_equal(world->acceptor.last, -ECANCELED);
    acceptor_arm(world);
    pair_open(world, &dialed, &accepted);
}

static void cancel__hanging_connect__ends_without_socket(void **state)
{
    struct world *world = *state;
    struct probe dials[6];
    struct address address;
    uint32_t cancelled = 0;
    int32_t deaf = deaf_listen(world, &address);
    for (uint32_t i = 0; i < 6; i++) {
        dial_init(&dials[i], world);
        dials[i].op.connect.remote = address;
        submit(&dials[i]);
    }
    turn(world, 0);
    turn(world, 0);
    for (uint32_t i = 0; i < 6; i++) {
        io_cancel(world->io, &dials[i].op);
    }
    for (uint32_t i = 0; i < 6; i++) {
        run_idle(world, &dials[i]);
        assert_int_equal(dials[i].count, 1);
        if (dials[i].last >= 0) {
            socket_remember(world, dials[i].last);
        } else {
            assert_int_equal(dials[i].last, -ECANCELED);
            cancelled++;
        }
    }
    assert_in_range(cancelled, 1, 5);
    close(deaf);
}

static void cancel__waiting_send__buffers_come_back(void **state)
{
    struct world *world = *state;
    struct probe sending;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    for (uint32_t i = 0;; i++) {
        assert_true(i < 1024);
        send_init(&sending, world, dialed, 0, SEND_BUFS_MAX, SEND_BUF_BYTES);
        submit(&sending);
        turn(world, 0);
        turn(world, 0);
        if (io_op_busy(&sending.op)) {
            break;
        }
        send_bufs_return(&sending);
    }
    io_cancel(world->io, &sending.op);
    run_idle(world, &sending);
    assert_int_equal(sending.count, 1);
    /* Part of it may have gone out before. */
    assert_true(sending.last == -ECANCELED || sending.last > 0);
    send_bufs_return(&sending);
}

static void cancel__queued_not_started__ends_untouched(void **state)
{
    struct world *world = *state;
    struct probe probes[5];
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&probes[0], world, IO_RECV, accepted);
    dial_init(&probes[1], world);
    send_init(&probes[2], world, dialed, 0, 3, 100);
    probe_init(&probes[3], world, IO_SHUTDOWN, dialed);
    probe_init(&probes[4], world, IO_CLOSE, dialed);
    for (uint32_t i = 0; i < 5; i++) {
        submit(&probes[i]);
        io_cancel(world->io, &probes[i].op);
        assert_int_equal(probes[i].count, 0);
        assert_true(io_op_busy(&probes[i].op));
    }
    for (uint32_t i = 0; i < 5; i++) {
        run_idle(world, &probes[i]);
        assert_int_equal(probes[i].count, 1);
        assert_int_equal(probes[i].last, -ECANCELED);
    }
    send_bufs_return(&probes[2]);
    /* None of them did anything. */
    probe_init(&probes[0], world, IO_RECV, accepted);
    submit(&probes[0]);
    send_range(world, dialed, 0, 10, SEND_BUF_BYTES);
    RUN_UNTIL(world, probes[0].bytes == 10);
    assert_int_equal(world->acceptor.count, 1);
    stop(&probes[0]);
}

static void wait__room_for_one_event__the_rest_follows(void **state)
{
    struct world *world = *state;
    struct probe dials[10];
    struct probe receiving;
    world->events_max = 1;
    for (uint32_t i = 0; i < 10; i++) {
        dial_init(&dials[i], world);
        submit(&dials[i]);
    }
    for (uint32_t i = 0; i < 10; i++) {
        run_idle(world, &dials[i]);
        socket_remember(world, dials[i].last);
    }
    RUN_UNTIL(world, world->acceptor.count == 10);
    for (uint32_t i = 0; i < 10; i++) {
        socket_remember(world, world->acceptor.results[i]);
    }
    /* Data that lies ready in many buffers, one event at a time. */
    send_range(world, dials[0].last, 0, 40000, SEND_BUF_BYTES);
    probe_init(&receiving, world, IO_RECV, IO_SOCKET_NONE);
    for (uint32_t i = 0; i < 10; i++) {
        struct sockaddr_storage storage;
        struct address peer;
        socklen_t bytes = sizeof storage;
        assert_int_equal(getpeername(world->acceptor.results[i], (struct sockaddr *)&storage, &bytes), 0);
        assert_true(address_from_system(&peer, &storage));
        if (peer.port == socket_port(dials[0].last)) {
            receiving.op.socket = world->acceptor.results[i];
        }
    }
    assert_true(receiving.op.socket >= 0);
    submit(&receiving);
    RUN_UNTIL(world, receiving.bytes == 40000);
    io_cancel(world->io, &receiving.op);
    run_idle(world, &receiving);
    assert_int_equal(receiving.last, -ECANCELED);
}

/* An operation that failed before the kernel saw it, and whose event found no room yet. */
static void cancel__failed_already_and_not_told_yet__ends_with_its_error(void **state)
{
    struct world *world = *state;
    struct probe dials[3];
    world->events_max = 1;
    for (uint32_t i = 0; i < 3; i++) {
        dial_init(&dials[i], world);
        assert_int_equal(address_parse(&dials[i].op.connect.local, "::1", 0), WEFT_OK);
        submit(&dials[i]);
    }
    run_idle(world, &dials[0]);
    for (uint32_t i = 1; i < 3; i++) {
        io_cancel(world->io, &dials[i].op);
    }
    for (uint32_t i = 1; i < 3; i++) {
        run_idle(world, &dials[i]);
        assert_int_equal(dials[i].count, 1);
        assert_true(dials[i].last == -EAFNOSUPPORT || dials[i].last == -ECANCELED);
    }
}

/* Sends that are submitted again in every turn, with hardly any room, while somebody else wants to be heard. */
static void wait__sends_fill_the_room__receives_get_their_share(void **state)
{
    struct world *world = *state;
    struct probe sends[8];
    struct probe receives[8];
    struct probe quiet;
    int32_t dialed[9];
    int32_t accepted[9];
    for (uint32_t i = 0; i < 9; i++) {
        pair_open(world, &dialed[i], &accepted[i]);
    }
    world->events_max = 2;
    probe_init(&quiet, world, IO_RECV, accepted[8]);
    submit(&quiet);
    uint64_t offsets[8] = {0};
    for (uint32_t i = 0; i < 8; i++) {
        probe_init(&receives[i], world, IO_RECV, accepted[i]);
        submit(&receives[i]);
        send_init(&sends[i], world, dialed[i], 0, 1, 64);
        submit(&sends[i]);
    }
    uint8_t first = pattern(0);
    assert_int_equal(send(dialed[8], &first, 1, MSG_NOSIGNAL), 1);
    for (uint32_t turns = 0; quiet.bytes == 0; turns++) {
        assert_true(turns < 1000);
        turn(world, LIMIT_NS);
        for (uint32_t i = 0; i < 8; i++) {
            receives[i].count = 0;
            if (!io_op_busy(&sends[i].op)) {
                assert_int_equal(sends[i].last, 64);
                offsets[i] += 64;
                send_bufs_return(&sends[i]);
                send_init(&sends[i], world, dialed[i], offsets[i], 1, 64);
                submit(&sends[i]);
            }
        }
    }
    world->events_max = EVENTS_MAX;
    stop(&quiet);
    for (uint32_t i = 0; i < 8; i++) {
        run_idle(world, &sends[i]);
        send_bufs_return(&sends[i]);
        stop(&receives[i]);
    }
}

static void *wake_later(void *context)
{
    struct world *world = context;
    world->backend->wake(world->io);
    return NULL;
}

static void wake__other_thread__wait_returns(void **state)
{
    struct world *world = *state;
    turn(world, 0);
    for (uint32_t i = 0; i < 20; i++) {
        pthread_t thread;
        uint64_t begin_ns = world->backend->now_ns(world->io);
        assert_int_equal(pthread_create(&thread, NULL, wake_later, world), 0);
        assert_int_equal(turn(world, LIMIT_NS), 0);
        assert_true(world->backend->now_ns(world->io) - begin_ns < LIMIT_NS);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

static void wake__before_wait__not_lost_and_not_repeated(void **state)
{
    struct world *world = *state;
    turn(world, 0);
    world->backend->wake(world->io);
    world->backend->wake(world->io);
    uint64_t begin_ns = world->backend->now_ns(world->io);
    assert_int_equal(turn(world, LIMIT_NS), 0);
    uint64_t woken_ns = world->backend->now_ns(world->io);
    assert_true(woken_ns - begin_ns < LIMIT_NS);
    /* Used up: the next wait sleeps. */
    assert_int_equal(turn(world, 2000000), 0);
    assert_true(world->backend->now_ns(world->io) - woken_ns >= 2000000);
}

static void wait__timeout__not_early(void **state)
{
    static const uint64_t timeouts_ns[] = {1, 1000, 300000, 1500001, 3000000};
    struct world *world = *state;
    turn(world, 0);
    for (uint32_t i = 0; i < 5; i++) {
        uint64_t begin_ns = world->backend->now_ns(world->io);
        assert_int_equal(turn(world, timeouts_ns[i]), 0);
        uint64_t took_ns = world->backend->now_ns(world->io) - begin_ns;
        assert_true(took_ns >= timeouts_ns[i]);
        assert_true(took_ns < LIMIT_NS);
    }
}

static void wait__busy_poll__never_sleeps(void **state)
{
    struct world *world = *state;
    struct io_options options = {.recv_bufs = 4, .recv_buf_bytes = 4096, .operations_max = 16, .busy_poll = true};
    struct io *busy = NULL;
    struct io_event event;
    assert_int_equal(world->backend->open(NULL, &options, &busy, NULL), WEFT_OK);
    uint64_t begin_ns = world->backend->now_ns(busy);
    assert_int_equal(world->backend->wait(busy, LIMIT_NS, &event, 1), 0);
    assert_int_equal(world->backend->wait(busy, IO_TIMEOUT_NEVER, &event, 1), 0);
    assert_true(world->backend->now_ns(busy) - begin_ns < LIMIT_NS);
    world->backend->close(busy);
}

static void counters__work_done__counted(void **state)
{
    struct world *world = *state;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    send_range(world, dialed, 0, 10, SEND_BUF_BYTES);
    assert_int_equal(world->io->counters.operations, 3);
    assert_int_equal(world->io->counters.completions, 3);
    assert_true(world->io->counters.enters > 0);
}

static void machine__clocks_and_entropy__plausible(void **state)
{
    struct world *world = *state;
    uint8_t first[600] = {0};
    uint8_t second[600] = {0};
    uint64_t before_ns = world->backend->now_ns(world->io);
    assert_true(world->backend->now_ns(world->io) >= before_ns);
    /* Later than 2020. */
    assert_true(world->backend->wall_ns(world->io) > UINT64_C(1577836800) * 1000000000u);
    world->backend->entropy(world->io, first, sizeof first);
    world->backend->entropy(world->io, second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_memory_not_equal(first + 500, second + 500, 100);
}

#define BACKEND_TESTS(X)                                                                                               \
    ON(X, cancel__armed_recv__ends_and_keeps_the_data), ON(X, cancel__armed_accept__ends_and_can_be_armed_again),      \
        ON(X, cancel__hanging_connect__ends_without_socket), ON(X, cancel__waiting_send__buffers_come_back),           \
        ON(X, cancel__queued_not_started__ends_untouched), ON(X, wait__room_for_one_event__the_rest_follows),          \
        ON(X, cancel__failed_already_and_not_told_yet__ends_with_its_error),                                           \
        ON(X, wait__sends_fill_the_room__receives_get_their_share), ON(X, wake__other_thread__wait_returns),           \
        ON(X, wake__before_wait__not_lost_and_not_repeated), ON(X, wait__timeout__not_early),                          \
        ON(X, wait__busy_poll__never_sleeps), ON(X, counters__work_done__counted),                                     \
        ON(X, machine__clocks_and_entropy__plausible)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TESTS(epoll),
        BACKEND_TESTS(uring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
