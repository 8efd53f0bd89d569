/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a connection ends exactly once, for the first cause; what was queued when it was closed in good order still
 * goes out, and afterwards nothing is left of it.
 *
 * Method: two connected ends (conn_pair.h) in calm worlds for each rule, plain and with a toy record layer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/conn_acts.h"

static void close__much_is_queued__everything_arrives_first(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        struct order order = {.witness = dialer, .bytes = 3000000, .close = true};
        conn_end_do(dialer->end, do_send, &order);
        assert_int_equal(order.err, WEFT_OK);
        assert_int_equal(dialer->closed, 0);
        conn_pair_until_closed(&pair);
        assert_int_equal(acceptor->received_bytes, 3000000);
        assert_int_equal(dialer->handed_bytes, 3000000);
        assert_int_equal(dialer->error.code, WEFT_ERR_CLOSED);
        assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
        assert_int_equal(acceptor->error.code, WEFT_ERR_CLOSED);
        assert_int_equal(acceptor->error.reason, WEFT_REASON_CLOSED_BY_PEER);
        conn_pair_close(&pair);
    }
}

/* The network is full, so that the last send waits; nothing but it is left when the connection closes. */
static void close__zero_copy_send_waits__everything_arrives_first(void **state)
{
    (void)state;
    struct conn_pair pair;
    struct conn_pair_options options;
    struct witness *acceptor;
    conn_pair_options_init(&options, 3);
    options.zero_copy = WEFT_SEND_ZEROCOPY_ALWAYS;
    options.sim.window_bytes = 100000;
    conn_pair_open(&pair, &options);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    conn_end_do(acceptor->end, do_pause, acceptor);
    send_now(dialer, options.sim.window_bytes);
    send_now(dialer, 200000);
    assert_non_null(dialer->conn->zero_copy_now);
    conn_end_do(dialer->end, do_close, dialer);
    conn_pair_run(&pair, PAIR_SECOND_NS / 2);
    conn_end_do(acceptor->end, do_resume, acceptor);
    conn_pair_until_closed(&pair);
    assert_int_equal(acceptor->received_bytes, options.sim.window_bytes + 200000);
    assert_int_equal(acceptor->error.reason, WEFT_REASON_CLOSED_BY_PEER);
    assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
    conn_pair_close(&pair);
}

static void receive_or_send__error_of_the_system__its_name(void **state)
{
    static const struct {
        uint32_t call;
        int32_t code;
        enum weft_reason reason;
    } rows[] = {
        {IO_SEND, ENOBUFS, WEFT_REASON_KERNEL_OUT_OF_MEMORY},
        {IO_SEND, ENOMEM, WEFT_REASON_KERNEL_OUT_OF_MEMORY},
        {IO_SEND, EIO, WEFT_REASON_SYSTEM_FAILED},
        {IO_RECV, ENOMEM, WEFT_REASON_KERNEL_OUT_OF_MEMORY},
        {IO_RECV, EIO, WEFT_REASON_SYSTEM_FAILED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct conn_pair pair;
        struct conn_pair_options options;
        conn_pair_options_init(&options, 31);
        options.sim.aim = (struct sim_aim){.call = rows[i].call, .code = rows[i].code, .nth = 1};
        conn_pair_open(&pair, &options);
        struct witness *acceptor;
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        send_now(dialer, 1000);
        conn_pair_until_closed(&pair);
        const struct witness *struck = dialer->error.os_errno == rows[i].code ? dialer : acceptor;
        assert_int_equal(struck->error.os_errno, rows[i].code);
        assert_int_equal(struck->error.reason, rows[i].reason);
        conn_pair_close(&pair);
    }
    assert_int_equal(conn_reason_of(ECONNRESET), WEFT_REASON_CONNECTION_RESET);
    assert_int_equal(conn_reason_of(EPIPE), WEFT_REASON_CONNECTION_RESET);
    assert_int_equal(conn_reason_of(ETIMEDOUT), WEFT_REASON_NETWORK_FAILED); /* TCP_USER_TIMEOUT, keepalive */
    assert_int_equal(conn_reason_of(EHOSTUNREACH), WEFT_REASON_NETWORK_FAILED);
}

static void do_close_then_send(void *ctx, struct weft_shard *shard)
{
    struct order *order = ctx;
    (void)shard;
    witness_close(order->witness);
    witness_close(order->witness); /* the second changes nothing */
    order->err = witness_send(order->witness, order->bytes);
}

static void close__send_behind_it__refused(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        struct order order = {.witness = dialer, .bytes = 10};
        conn_end_do(dialer->end, do_close_then_send, &order);
        assert_int_equal(order.err, WEFT_ERR_CLOSED);
        conn_pair_until_closed(&pair);
        assert_int_equal(acceptor->received_bytes, 0);
        conn_pair_close(&pair);
    }
}

static void close__both_at_once__both_end_in_good_order(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        sim_world_partition(pair.world, 0, 1, true); /* so that neither hears of the other first */
        conn_end_do(dialer->end, do_close, dialer);
        conn_end_do(acceptor->end, do_close, acceptor);
        sim_world_partition(pair.world, 0, 1, false);
        conn_pair_until_closed(&pair);
        assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
        assert_int_equal(acceptor->error.reason, WEFT_REASON_LOCAL_CLOSE);
        conn_pair_close(&pair);
    }
}

static void close__peer_does_not_read__lingers_and_ends(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        conn_end_do(acceptor->end, do_pause, acceptor);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        uint64_t begin_ns = sim_world_now_ns(pair.world);
        conn_end_do(dialer->end, do_close, dialer);
        conn_pair_until(&pair, has_closed, dialer);
        assert_in_range(dialer->closed_ns - begin_ns, PAIR_SECOND_NS * 9 / 10, 2 * PAIR_SECOND_NS);
        assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
        conn_end_do(acceptor->end, do_resume, acceptor);
        conn_pair_until_closed(&pair);
        conn_pair_close(&pair);
    }
}

static void close__paused_itself__still_sees_the_peers_end(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        conn_end_do(dialer->end, do_pause, dialer);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        send_now(acceptor, 50000); /* that nobody will read */
        uint64_t begin_ns = sim_world_now_ns(pair.world);
        conn_end_do(dialer->end, do_close, dialer);
        conn_pair_until_closed(&pair);
        assert_in_range(dialer->closed_ns - begin_ns, 0, PAIR_SECOND_NS / 10);
        assert_int_equal(dialer->received_bytes, 0);
        assert_int_equal(acceptor->error.reason, WEFT_REASON_CLOSED_BY_PEER);
        conn_pair_close(&pair);
    }
}

static void close__peer_takes_nothing__given_up_in_time(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        conn_end_do(acceptor->end, do_pause, acceptor);
        struct order order = {.witness = dialer, .bytes = 16000000, .close = true};
        conn_end_do(dialer->end, do_send, &order);
        uint64_t begin_ns = sim_world_now_ns(pair.world);
        conn_pair_until(&pair, has_closed, dialer);
        assert_in_range(dialer->closed_ns - begin_ns, PAIR_SECOND_NS, 4 * PAIR_SECOND_NS);
        assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE); /* the first cause */
        conn_end_do(acceptor->end, do_resume, acceptor);
        conn_pair_until_closed(&pair);
        assert_true(acceptor->received_bytes < 16000000);
        conn_pair_close(&pair);
    }
}

static void abort__bytes_queued__ends_now_and_peer_is_told_of_the_loss(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        conn_end_do(acceptor->end, do_pause, acceptor);
        send_now(dialer, 8000000);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        conn_end_do(dialer->end, do_abort, dialer);
        conn_pair_run(&pair, PAIR_MS);
        assert_int_equal(dialer->closed, 1);
        assert_int_equal(dialer->error.code, WEFT_ERR_CANCELLED);
        conn_end_do(acceptor->end, do_resume, acceptor);
        conn_pair_until_closed(&pair);
        assert_true(acceptor->received_bytes < 8000000);
        if (mode == SECURE && acceptor->error.reason != WEFT_REASON_CONNECTION_RESET) {
            assert_int_equal(acceptor->error.reason, WEFT_REASON_TRUNCATED);
        }
        conn_pair_close(&pair);
    }
}

static void end__without_a_closing_record__truncated(void **state)
{
    (void)state;
    struct conn_pair pair;
    struct witness *acceptor;
    open_calm(&pair, SECURE);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    send_now(dialer, 100);
    until_received(&pair, dialer, acceptor);
    conn_end_do(dialer->end, do_abort, dialer);
    conn_pair_until_closed(&pair);
    assert_int_equal(acceptor->error.code, WEFT_ERR_CLOSED);
    assert_int_equal(acceptor->error.reason, WEFT_REASON_TRUNCATED);
    conn_pair_close(&pair);
}

static void end__peer_closes_while_we_drain__all_of_ours_still_goes_out(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        struct order order = {.witness = acceptor, .bytes = 2000000, .close = true};
        conn_end_do(acceptor->end, do_send, &order);
        struct order other = {.witness = dialer, .bytes = 10, .close = true};
        conn_end_do(dialer->end, do_send, &other);
        conn_pair_until_closed(&pair);
        assert_int_equal(acceptor->handed_bytes, 2000000);
        assert_int_equal(acceptor->error.reason, WEFT_REASON_LOCAL_CLOSE);
        conn_pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close__much_is_queued__everything_arrives_first),
        cmocka_unit_test(close__zero_copy_send_waits__everything_arrives_first),
        cmocka_unit_test(close__send_behind_it__refused),
        cmocka_unit_test(receive_or_send__error_of_the_system__its_name),
        cmocka_unit_test(close__both_at_once__both_end_in_good_order),
        cmocka_unit_test(close__peer_does_not_read__lingers_and_ends),
        cmocka_unit_test(close__paused_itself__still_sees_the_peers_end),
        cmocka_unit_test(close__peer_takes_nothing__given_up_in_time),
        cmocka_unit_test(abort__bytes_queued__ends_now_and_peer_is_told_of_the_loss),
        cmocka_unit_test(end__without_a_closing_record__truncated),
        cmocka_unit_test(end__peer_closes_while_we_drain__all_of_ours_still_goes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
