/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a connection with a record layer opens or says why not, and ends with the layer's own words where one of its
 * steps fails.
 *
 * Method: two connected ends (conn_pair.h) in calm worlds, with a toy record layer that can fail at every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/conn_acts.h"

static void handshake__any_size_and_any_pieces__opens(void **state)
{
    (void)state;
    static const uint32_t flights[] = {1, 100, 1000, 16384};
    static const uint32_t outputs[] = {0, 1, 7, 1000};
    for (uint32_t f = 0; f < 4; f++) {
        for (uint32_t o = 0; o < 4; o++) {
            struct conn_pair_options options;
            struct conn_pair pair;
            struct witness *acceptor;
            conn_pair_options_init(&options, 7 + f * 4 + o);
            for (uint32_t i = 0; i < 2; i++) {
                options.secure[i] = true;
                options.toy[i] = (struct toy_options){.flight_bytes = flights[f], .output_bytes = outputs[o]};
            }
            conn_pair_open(&pair, &options);
            struct witness *dialer = conn_pair_connect(&pair, &acceptor);
            send_now(dialer, 3000);
            send_now(acceptor, 5000);
            until_received(&pair, dialer, acceptor);
            until_received(&pair, acceptor, dialer);
            close_both(&pair, acceptor);
            assert_int_equal(acceptor->error.reason, WEFT_REASON_LOCAL_CLOSE);
            assert_int_equal(dialer->error.reason, WEFT_REASON_CLOSED_BY_PEER);
            conn_pair_close(&pair);
        }
    }
}

static void handshake__a_flight_is_disliked__both_ends_know(void **state)
{
    (void)state;
    for (uint32_t flight = 1; flight <= 3; flight++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        struct witness *dialer;
        conn_pair_options_init(&options, 30 + flight);
        options.secure[0] = options.secure[1] = true;
        options.toy[0].fail_flight = options.toy[1].fail_flight = flight;
        conn_pair_open(&pair, &options);
        conn_end_do(&pair.ends[1], do_dial, &dialer);
        conn_pair_until_closed(&pair);
        const struct witness *acceptor = &pair.ends[0].witnesses[0];
        assert_int_equal(acceptor->opened, 0);
        assert_int_equal(dialer->opened, flight == 3); /* the dialer's handshake was over */
        assert_int_equal(acceptor->error.code, WEFT_ERR_TLS);
        assert_int_equal(dialer->error.code, WEFT_ERR_TLS);
        assert_int_equal(acceptor->error.reason, TOY_REASON);
        assert_int_equal(dialer->error.reason, TOY_REASON);
        const struct witness *complainer = flight == 2 ? dialer : acceptor;
        const struct witness *other = flight == 2 ? acceptor : dialer;
        assert_non_null(strstr(complainer->error.text, "taste"));
        assert_non_null(strstr(other->error.text, "alert"));
        conn_pair_close(&pair);
    }
}

static void handshake__a_flight_is_not_answered__times_out(void **state)
{
    (void)state;
    for (uint32_t flight = 1; flight <= 3; flight++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        struct witness *dialer;
        conn_pair_options_init(&options, 40 + flight);
        options.secure[0] = options.secure[1] = true;
        options.toy[0].silent_flight = options.toy[1].silent_flight = flight;
        conn_pair_open(&pair, &options);
        conn_end_do(&pair.ends[1], do_dial, &dialer);
        uint64_t begin_ns = sim_world_now_ns(pair.world);
        conn_pair_until_closed(&pair);
        const struct witness *acceptor = &pair.ends[0].witnesses[0];
        const struct witness *first = acceptor->closed_ns < dialer->closed_ns ? acceptor : dialer;
        assert_int_equal(first->error.code, WEFT_ERR_TIMEOUT);
        assert_int_equal(first->error.reason, WEFT_REASON_HANDSHAKE_TIMEOUT);
        assert_in_range(first->closed_ns - begin_ns, PAIR_SECOND_NS, 3 * PAIR_SECOND_NS);
        if (flight == 3) {
            assert_ptr_equal(first, acceptor);
            assert_int_equal(dialer->opened, 1);
            assert_int_equal(dialer->error.reason, WEFT_REASON_TRUNCATED);
        }
        conn_pair_close(&pair);
    }
}

static void handshake__closed_in_the_middle__both_ends_end(void **state)
{
    (void)state;
    for (int abort = 0; abort < 2; abort++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        struct witness *dialer;
        conn_pair_options_init(&options, 50);
        options.secure[0] = options.secure[1] = true;
        options.toy[0].silent_flight = 1;
        conn_pair_open(&pair, &options);
        conn_end_do(&pair.ends[1], do_dial, &dialer);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        assert_int_equal(dialer->conn->state, CONN_SECURING);
        conn_end_do(&pair.ends[1], abort ? do_abort : do_close, dialer);
        conn_pair_until_closed(&pair);
        assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
        assert_int_equal(pair.ends[0].witnesses[0].opened, 0);
        conn_pair_close(&pair);
    }
}

static void acceptor__spoken_to_in_plaintext__goes_on_in_plaintext(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *dialer;
    conn_pair_options_init(&options, 70);
    options.secure[0] = true;
    conn_pair_open(&pair, &options);
    conn_end_do(&pair.ends[1], do_dial, &dialer);
    conn_pair_run(&pair, PAIR_SECOND_NS / 10);
    struct witness *acceptor = &pair.ends[0].witnesses[0];
    assert_int_equal(dialer->opened, 1);
    assert_int_equal(acceptor->opened, 0);
    send_now(dialer, 30000);
    until_received(&pair, dialer, acceptor);
    assert_int_equal(acceptor->misdirected, 1);
    assert_int_equal(acceptor->opened, 0);
    assert_int_equal(pair.ends[0].toy.live, 0);
    send_now(acceptor, 30000);
    until_received(&pair, acceptor, dialer);
    close_both(&pair, acceptor);
    assert_int_equal(acceptor->misdirected, 1);
    conn_pair_close(&pair);
}

static void record__does_not_open__alert_reaches_the_peer(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *acceptor;
    conn_pair_options_init(&options, 80);
    options.secure[0] = options.secure[1] = true;
    options.toy[1].damage_seal = 3; /* after two flights */
    conn_pair_open(&pair, &options);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    struct order order = {.witness = acceptor, .bytes = 2000000}; /* the failing side has much to say, too */
    conn_end_do(acceptor->end, do_send, &order);
    send_now(dialer, 100);
    conn_pair_until_closed(&pair);
    assert_int_equal(acceptor->received_bytes, 0);
    assert_int_equal(acceptor->error.code, WEFT_ERR_TLS);
    assert_int_equal(acceptor->error.reason, TOY_REASON);
    assert_non_null(strstr(acceptor->error.text, "cannot be opened"));
    assert_int_equal(dialer->error.code, WEFT_ERR_TLS);
    assert_non_null(strstr(dialer->error.text, "alert"));
    conn_pair_close(&pair);
}

static void record__does_not_seal__both_ends_end(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *acceptor;
    conn_pair_options_init(&options, 81);
    options.secure[0] = options.secure[1] = true;
    options.toy[1].fail_seal = 4;
    conn_pair_open(&pair, &options);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    send_now(dialer, 100000);
    conn_pair_until_closed(&pair);
    assert_int_equal(dialer->error.code, WEFT_ERR_TLS);
    assert_int_equal(dialer->error.reason, TOY_REASON);
    assert_non_null(strstr(dialer->error.text, "sealing"));
    assert_int_equal(acceptor->error.reason, WEFT_REASON_TRUNCATED);
    conn_pair_close(&pair);
}

static void record_layer__answers_by_itself__stream_is_whole(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *acceptor;
    conn_pair_options_init(&options, 82);
    for (uint32_t i = 0; i < 2; i++) {
        options.secure[i] = true;
        options.toy[i].answer_every = 3;
        options.toy[i].output_bytes = 900; /* opened records come in pieces as well */
    }
    conn_pair_open(&pair, &options);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    for (uint32_t i = 0; i < 10; i++) {
        send_now(dialer, 300000);
        send_now(acceptor, 200000);
    }
    until_received(&pair, dialer, acceptor);
    until_received(&pair, acceptor, dialer);
    close_both(&pair, dialer);
    conn_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake__any_size_and_any_pieces__opens),
        cmocka_unit_test(handshake__a_flight_is_disliked__both_ends_know),
        cmocka_unit_test(handshake__a_flight_is_not_answered__times_out),
        cmocka_unit_test(handshake__closed_in_the_middle__both_ends_end),
        cmocka_unit_test(acceptor__spoken_to_in_plaintext__goes_on_in_plaintext),
        cmocka_unit_test(record__does_not_open__alert_reaches_the_peer),
        cmocka_unit_test(record__does_not_seal__both_ends_end),
        cmocka_unit_test(record_layer__answers_by_itself__stream_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
