/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a landing receives straight into memory of ours, once; the registry has that memory in the kernel's hands until
 * the event; and a receive of one buffer takes no more than that.
 * Method: the worlds of io_world.h over both real backends; the bytes behind and before the landing are watched. */
#include <poll.h>
#include <sys/socket.h>

#include "tests/integration/io_world.h"

#define LAND_BYTES 30000u
#define GUARD_BYTES 64u

/* Memory that is received into, between guards. */
struct landing {
    struct probe probe;
    struct buf buf;
    uint64_t offset; /* of the stream */
    uint8_t memory[GUARD_BYTES + LAND_BYTES + GUARD_BYTES];
};

static struct landing *landing_new(struct world *world, int32_t socket)
{
    struct landing *landing = test_calloc(1, sizeof *landing);
    memset(landing->memory, 0xee, sizeof landing->memory);
    probe_init(&landing->probe, world, IO_LAND, socket);
    landing->buf = (struct buf){
        .data = landing->memory + GUARD_BYTES, .bytes_max = LAND_BYTES, .state = BUF_OWNED, .owner = landing};
    landing->probe.op.land.buf = &landing->buf;
    return landing;
}

/* Receive once; what came is the stream's next bytes. */
static int32_t landing_once(struct landing *landing)
{
    landing->probe.count = 0;
    submit(&landing->probe);
    run_idle(landing->probe.world, &landing->probe);
    assert_int_equal(landing->probe.count, 1);
    assert_int_equal(landing->buf.state, BUF_OWNED);
    for (int32_t i = 0; i < landing->probe.last; i++) {
        assert_int_equal(landing->buf.data[landing->buf.end++], pattern(landing->offset++));
    }
    return landing->probe.last;
}

static void landing_free(struct landing *landing)
{
    for (uint32_t i = 0; i < GUARD_BYTES; i++) {
        assert_int_equal(landing->memory[i], 0xee);
        assert_int_equal(landing->memory[GUARD_BYTES + LAND_BYTES + i], 0xee);
    }
    test_free(landing);
}

static void land__more_than_fits__fills_and_the_rest_waits(void **state)
{
    struct world *world = *state;
    struct probe rest;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    struct landing *landing = landing_new(world, accepted);
    send_range(world, dialed, 0, LAND_BYTES + 5000, SEND_BUF_BYTES);
    while (buf_room(&landing->buf) > 0) {
        assert_true(landing_once(landing) > 0);
    }
    /* Then by lent buffers again: the same socket, the bytes behind. */
    probe_init(&rest, world, IO_RECV, accepted);
    rest.bytes = LAND_BYTES;
    submit(&rest);
    RUN_UNTIL(world, rest.bytes == LAND_BYTES + 5000);
    stop(&rest);
    landing_free(landing);
}

static void land__nothing_there__waits_in_the_kernel_s_hands(void **state)
{
    struct world *world = *state;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    struct landing *landing = landing_new(world, accepted);
    submit(&landing->probe);
    turn(world, 0);
    turn(world, 0);
    assert_true(io_op_busy(&landing->probe.op));
    assert_int_equal(landing->buf.state, BUF_KERNEL_WRITES);
#if defined(WEFT_ASAN)
    assert_true(__asan_address_is_poisoned(landing->buf.data));
    assert_true(__asan_address_is_poisoned(landing->buf.data + LAND_BYTES - 1));
#endif
    send_range(world, dialed, 0, 100, 100);
    run_idle(world, &landing->probe);
    assert_int_equal(landing->probe.last, 100);
    assert_int_equal(landing->buf.state, BUF_OWNED);
    assert_int_equal(landing->buf.data[99], pattern(99));
    landing_free(landing);
}

static void land__peer_closes_or_resets__zero_or_error(void **state)
{
    struct world *world = *state;
    for (uint32_t reset = 0; reset < 2; reset++) {
        int32_t dialed;
        int32_t accepted;
        pair_open(world, &dialed, &accepted);
        struct landing *landing = landing_new(world, accepted);
        send_range(world, dialed, 0, 1000, 1000);
        while (landing->offset < 1000) {
            assert_true(landing_once(landing) > 0);
        }
        if (reset == 1) {
            struct linger linger = {.l_onoff = 1, .l_linger = 0};
            assert_int_equal(setsockopt(dialed, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
        }
        socket_shut(world, dialed);
        assert_int_equal(landing_once(landing), reset == 1 ? -ECONNRESET : 0);
        landing_free(landing);
    }
}

/* Bytes and end are announced together, and the bytes do not fill the landing. */
static void land__peer_closed_before_it_was_read__data_then_zero(void **state)
{
    struct world *world = *state;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    struct landing *landing = landing_new(world, accepted);
    send_range(world, dialed, 0, 1000, 1000);
    socket_shut(world, dialed);
    struct pollfd ended = {.fd = accepted, .events = POLLRDHUP};
    assert_int_equal(poll(&ended, 1, (int)(LIMIT_NS / 1000000)), 1);
    assert_int_equal(landing_once(landing), 1000);
    landing->probe.count = 0;
    submit(&landing->probe);
    for (uint32_t i = 0; i < 10 && landing->probe.count == 0; i++) {
        turn(world, 0); /* the end is there already: nothing has to be waited for */
    }
    assert_int_equal(landing->probe.count, 1);
    assert_int_equal(landing->probe.last, 0);
    landing_free(landing);
}

static void land__cancelled__ends_and_keeps_the_data(void **state)
{
    struct world *world = *state;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    struct landing *landing = landing_new(world, accepted);
    submit(&landing->probe);
    stop(&landing->probe); /* queued only */
    assert_int_equal(landing->probe.last, -ECANCELED);
    assert_int_equal(landing->buf.state, BUF_OWNED);
    landing->probe.op.socket = accepted;
    submit(&landing->probe);
    turn(world, 0);
    stop(&landing->probe);
    assert_int_equal(landing->probe.last, -ECANCELED);
    assert_int_equal(landing->buf.state, BUF_OWNED);
    send_range(world, dialed, 0, 2000, 2000);
    while (landing->offset < 2000) {
        assert_true(landing_once(landing) > 0);
    }
    landing_free(landing);
}

static void recv__once__one_buffer_at_a_time(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    uint64_t sent = 3 * TEST_RECV_BUF_BYTES + 100;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    send_range(world, dialed, 0, sent, SEND_BUF_BYTES);
    probe_init(&receiving, world, IO_RECV, accepted);
    receiving.op.recv.once = true;
    while (receiving.bytes < sent) {
        uint64_t before = receiving.bytes;
        receiving.count = 0;
        submit(&receiving);
        run_idle(world, &receiving);
        assert_int_equal(receiving.count, 1);
        assert_false(receiving.more);
        assert_in_range(receiving.bytes - before, 1, TEST_RECV_BUF_BYTES);
    }
    submit(&receiving);
    turn(world, 0);
    assert_true(io_op_busy(&receiving.op));
    socket_shut(world, dialed);
    run_idle(world, &receiving);
    assert_int_equal(receiving.last, 0);
}

#define BACKEND_TESTS(X)                                                                                               \
    ON(X, land__more_than_fits__fills_and_the_rest_waits), ON(X, land__nothing_there__waits_in_the_kernel_s_hands),    \
        ON(X, land__peer_closes_or_resets__zero_or_error),                                                             \
        ON(X, land__peer_closed_before_it_was_read__data_then_zero), ON(X, land__cancelled__ends_and_keeps_the_data),  \
        ON(X, recv__once__one_buffer_at_a_time)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TESTS(epoll),
        BACKEND_TESTS(uring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
