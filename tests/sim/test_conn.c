/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a connection opens or says why not; until it ends its bytes arrive in order, or are refused whole.
 *
 * Method: two connected ends (conn_pair.h) in calm worlds for each rule.  How it opens is in test_conn_open.c, what the
 * record layer may do to it in test_conn_secure.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/conn_acts.h"

static void send__many_sizes__arrive_in_order(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0,     1,     2,     3,     100,   1099,   1100,  16383,
                                     16384, 16385, 16386, 32768, 40000, 262144, 300000};
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            send_now(dialer, sizes[i]);
            send_now(acceptor, sizes[i]);
        }
        until_received(&pair, dialer, acceptor);
        until_received(&pair, acceptor, dialer);
        assert_int_equal(dialer->handed_bytes, dialer->sent_bytes);
        assert_int_equal(dialer->conn->outbox_bytes, 0);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void send__one_message_larger_than_the_queue__let_in_alone(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        send_now(dialer, 16u * 1024 * 1024 + 28);
        until_received(&pair, dialer, acceptor);
        assert_int_equal(acceptor->received_bytes, 16u * 1024 * 1024 + 28);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

struct flood {
    struct witness *witness;
    uint32_t bytes;
    uint32_t sent;
};

static void do_flood(void *ctx, struct weft_shard *shard)
{
    struct flood *flood = ctx;
    (void)shard;
    enum weft_err err = WEFT_OK;
    while (err == WEFT_OK) {
        err = witness_send(flood->witness, flood->bytes);
        flood->sent += err == WEFT_OK;
    }
    assert_int_equal(err, WEFT_ERR_QUEUE_FULL);
    /* Refused as a whole, again and again. */
    uint32_t outbox = flood->witness->conn->outbox_bytes;
    assert_int_equal(witness_send(flood->witness, flood->bytes), WEFT_ERR_QUEUE_FULL);
    assert_int_equal(flood->witness->conn->outbox_bytes, outbox);
}

static void send__queue_full__refused_whole_and_drained_once(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        struct flood flood = {.witness = dialer, .bytes = 100000};
        conn_end_do(dialer->end, do_flood, &flood);
        assert_int_equal(flood.sent, SEND_QUEUE_BYTES_MAX / flood.bytes);
        assert_int_equal(dialer->drained, 0);
        until_received(&pair, dialer, acceptor);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        assert_int_equal(dialer->drained, 1);
        send_now(dialer, 100); /* there is room again */
        until_received(&pair, dialer, acceptor);
        assert_int_equal(dialer->drained, 1); /* it had not been above its mark since */
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void send__shard_out_of_buffers__refused_whole(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        struct witness *acceptor;
        conn_pair_options_init(&options, 60);
        options.secure[0] = options.secure[1] = mode == SECURE;
        options.send_bufs = 20;
        conn_pair_open(&pair, &options);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        struct flood flood = {.witness = dialer, .bytes = 30000};
        struct order order = {.witness = dialer, .bytes = 21 * SEND_BUF_BYTES};
        conn_end_do(dialer->end, do_send, &order);
        assert_int_equal(order.err, WEFT_ERR_QUEUE_FULL);
        if (mode == PLAIN) {
            conn_end_do(dialer->end, do_flood, &flood);
            assert_int_equal(flood.sent, 20 * SEND_BUF_BYTES / 30000);
        } else {
            order.bytes = 15 * SEND_BUF_BYTES; /* sealing wants buffers too */
            conn_end_do(dialer->end, do_send, &order);
            assert_int_equal(order.err, WEFT_OK);
        }
        until_received(&pair, dialer, acceptor);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void pause__bytes_arrive__wait_until_resumed(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        conn_end_do(acceptor->end, do_pause, acceptor);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        send_now(dialer, 50000);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        assert_int_equal(acceptor->received_bytes, 0);
        conn_end_do(acceptor->end, do_resume, acceptor);
        until_received(&pair, dialer, acceptor);
        /* Resumed before the cancelled receive has ended. */
        for (uint32_t i = 0; i < 5; i++) {
            conn_end_do(acceptor->end, do_pause, acceptor);
            conn_end_do(acceptor->end, do_resume, acceptor);
            send_now(dialer, 1000);
        }
        until_received(&pair, dialer, acceptor);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void pause_at_once(struct witness *witness)
{
    witness_pause(witness);
}

static void pause__inside_received__the_rest_waits(void **state)
{
    (void)state;
    struct conn_pair pair;
    struct witness *acceptor;
    open_calm(&pair, PLAIN);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    acceptor->on_received = pause_at_once;
    send_now(dialer, 2000000);
    conn_pair_run(&pair, PAIR_SECOND_NS / 10);
    assert_in_range(acceptor->received_bytes, 1, 1999999);
    acceptor->on_received = NULL;
    conn_end_do(acceptor->end, do_resume, acceptor);
    until_received(&pair, dialer, acceptor);
    close_both(&pair, dialer);
    conn_pair_close(&pair);
}

static void abort_at_once(struct witness *witness)
{
    witness_abort(witness);
}

static void close_at_once(struct witness *witness)
{
    witness_close(witness);
}

static void event__ends_its_connection__told_once_and_later(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        for (int event = 0; event < 4; event++) {
            struct conn_pair pair;
            struct witness *dialer;
            open_calm(&pair, mode);
            conn_end_do(&pair.ends[1], do_dial, &dialer);
            void (*end)(struct witness *) = event % 2 == 0 ? abort_at_once : close_at_once;
            if (event < 2) {
                dialer->on_opened = end;
            } else {
                struct witness *acceptor = NULL;
                conn_pair_run(&pair, PAIR_SECOND_NS / 10);
                acceptor = &pair.ends[0].witnesses[0];
                dialer->on_received = end;
                send_now(acceptor, 100000);
            }
            conn_pair_until_closed(&pair);
            assert_int_equal(dialer->error.code, event % 2 == 0 ? WEFT_ERR_CANCELLED : WEFT_ERR_CLOSED);
            assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
            conn_pair_close(&pair);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(send__many_sizes__arrive_in_order),
        cmocka_unit_test(send__one_message_larger_than_the_queue__let_in_alone),
        cmocka_unit_test(send__queue_full__refused_whole_and_drained_once),
        cmocka_unit_test(send__shard_out_of_buffers__refused_whole),
        cmocka_unit_test(pause__bytes_arrive__wait_until_resumed),
        cmocka_unit_test(pause__inside_received__the_rest_waits),
        cmocka_unit_test(event__ends_its_connection__told_once_and_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
