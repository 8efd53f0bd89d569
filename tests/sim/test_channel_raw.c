/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: nothing that a peer sends does more than end its channel, and the calls on it, by the right name.
 *
 * Method: channel pairs of which one side is raw (channel_pair.h): it sends what a sane peer never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS

static void acceptor__bad_request__channel_ends(void **state)
{
    (void)state;
    static const struct {
        int64_t id;
        uint32_t bytes;
        enum weft_err code;
        enum weft_reason reason;
    } cases[] = {
        {0, 0, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_FRAME},
        {-1, 0, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_FRAME},
        {INT64_MIN, 0, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_FRAME},
        {1, FRAME_BYTES_MAX + 1, WEFT_ERR_TOO_LARGE, WEFT_REASON_FRAME_TOO_LARGE},
        {1, UINT32_MAX, WEFT_ERR_TOO_LARGE, WEFT_REASON_FRAME_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct channel_pair pair;
        uint8_t header[FRAME_HEADER_BYTES_MAX];
        channel_pair_init(&pair, 400 + i);
        pair.sides[DIALER].raw = true;
        channel_pair_open(&pair);
        channel_pair_dial(&pair);
        channel_pair_raw_greet(&pair, DIALER);
        uint32_t answered = pair.sides[DIALER].raw_used;
        const struct wire_request request = {.verb = VERB_ECHO, .id = cases[i].id};
        uint32_t bytes = wire_request_write(header, true, &request, cases[i].bytes);
        assert_int_equal(pair.sides[ACCEPTOR].up, 1);
        channel_pair_raw_send(&pair, DIALER, 0, header, bytes);
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(pair.sides[ACCEPTOR].error.code, cases[i].code);
        assert_int_equal(pair.sides[ACCEPTOR].error.reason, cases[i].reason);
        assert_int_equal(pair.sides[DIALER].raw_used, answered);
        channel_pair_close(&pair);
    }
}

static void acceptor__request_cut_off__landing_comes_back(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    channel_pair_init(&pair, 410);
    pair.sides[DIALER].raw = true;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    channel_pair_raw_greet(&pair, DIALER);
    const struct wire_request request = {.verb = VERB_ECHO, .id = 1};
    uint32_t bytes = wire_request_write(header, true, &request, 100000);
    channel_pair_raw_send(&pair, DIALER, 0, header, bytes);
    assert_true(arena_used(&pair.conns.ends[ACCEPTOR].shard->arena) >= 100000);
    channel_pair_close(&pair); /* which sees that the arena is empty */
}

/* A dialer with one call in flight, and a raw acceptor that answers it with these bytes. */
static void raw_answer(struct channel_pair *pair, struct outcome *outcome, const void *answer, uint32_t bytes)
{
    channel_pair_init(pair, 420);
    pair->sides[ACCEPTOR].raw = true;
    channel_pair_open(pair);
    channel_pair_dial(pair);
    channel_pair_raw_greet(pair, ACCEPTOR);
    assert_int_equal(pair->sides[DIALER].up, 1);
    memset(outcome, 0, sizeof *outcome);
    struct burst burst = {.request = {.verb = VERB_ECHO}, .outcomes = outcome, .count = 1};
    channel_pair_burst(pair, &burst);
    conn_pair_run(&pair->conns, SECOND / 10);
    channel_pair_raw_send(pair, ACCEPTOR, 0, answer, bytes);
}

static int64_t first_id(const struct channel_pair *pair)
{
    /* The last 28 bytes that the raw acceptor received are the request. */
    const struct side *side = &pair->sides[ACCEPTOR];
    return wire_request_read(side->raw_bytes + side->raw_used - 28, true).id;
}

static void send_response(struct channel_pair *pair, int64_t id, bool exception, const void *payload, uint32_t bytes)
{
    uint8_t frame[256];
    const struct wire_response response = {.id = id, .exception = exception, .handler_us = 3};
    uint32_t at = wire_response_write(frame, true, &response, bytes);
    if (bytes > 0) {
        memcpy(frame + at, payload, bytes);
    }
    channel_pair_raw_send(pair, ACCEPTOR, 0, frame, at + bytes);
}

static void dialer__answers_to_nobody__counted_and_nothing_else(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    uint8_t minimum[16] = {0, 0, 0, 0, 0, 0, 0, 0x80};
    raw_answer(&pair, &outcome, minimum, sizeof minimum); /* the id that has no positive twin */
    int64_t id = first_id(&pair);
    static const uint8_t unknown_verb[16] = {1, 0, 0, 0, 8};
    send_response(&pair, id + 1, false, "x", 1);
    send_response(&pair, id + (INT64_C(1) << 20), false, "x", 1); /* another generation of the slot */
    send_response(&pair, INT64_MAX, false, "x", 1);
    send_response(&pair, 0, false, "x", 1);
    send_response(&pair, id + 1, true, unknown_verb, sizeof unknown_verb);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(COUNTER(&pair, DIALER, late_replies), 6);
    send_response(&pair, id, false, NULL, 0);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.err, WEFT_OK);
    assert_int_equal(outcome.handler_us, 3);
    send_response(&pair, id, false, NULL, 0); /* twice */
    assert_int_equal(outcome.count, 1);
    assert_int_equal(COUNTER(&pair, DIALER, late_replies), 7);
    assert_int_equal(pair.sides[DIALER].down, 0);
    channel_pair_close(&pair);
}

static void dialer__answer_on_another_channel__ignored(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    uint8_t frame[16];
    raw_answer(&pair, &outcome, NULL, 0);
    int64_t id = first_id(&pair);
    channel_pair_dial(&pair);
    channel_pair_raw_greet(&pair, ACCEPTOR);
    assert_int_equal(pair.sides[DIALER].up, 2);
    const struct wire_response response = {.id = id};
    uint32_t bytes = wire_response_write(frame, true, &response, 0);
    channel_pair_raw_send(&pair, ACCEPTOR, 1, frame, bytes);
    assert_int_equal(outcome.count, 0);
    assert_int_equal(COUNTER(&pair, DIALER, late_replies), 1);
    channel_pair_raw_send(&pair, ACCEPTOR, 0, frame, bytes);
    assert_int_equal(outcome.count, 1);
    channel_pair_close(&pair);
}

static void dialer__exceptions__each_what_it_means(void **state)
{
    (void)state;
    static const struct {
        uint32_t type;
        uint32_t stated;
        uint32_t bytes;
        enum weft_err err; /* OK: a broken frame */
        enum weft_executed executed;
    } cases[] = {
        {WIRE_EXCEPTION_USER, 4, 4, WEFT_ERR_REMOTE, WEFT_EXECUTED_YES},
        {WIRE_EXCEPTION_USER, 4, 9, WEFT_ERR_REMOTE, WEFT_EXECUTED_YES}, /* more behind it is nobody's */
        {WIRE_EXCEPTION_UNKNOWN_VERB, 8, 8, WEFT_ERR_UNKNOWN_VERB, WEFT_EXECUTED_NO},
        {WIRE_EXCEPTION_BUSY, 0, 0, WEFT_ERR_BUSY, WEFT_EXECUTED_NO},
        {WIRE_EXCEPTION_EXPIRED, 0, 0, WEFT_ERR_EXPIRED, WEFT_EXECUTED_NO},
        {2, 0, 0, WEFT_ERR_REMOTE, WEFT_EXECUTED_MAYBE},
        {UINT32_MAX, 5, 5, WEFT_ERR_REMOTE, WEFT_EXECUTED_MAYBE},
        {WIRE_EXCEPTION_USER, 5, 4, WEFT_OK, WEFT_EXECUTED_NO},
        {WIRE_EXCEPTION_USER, UINT32_MAX, 4, WEFT_OK, WEFT_EXECUTED_NO},
        {WIRE_EXCEPTION_UNKNOWN_VERB, 7, 7, WEFT_OK, WEFT_EXECUTED_NO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct channel_pair pair;
        struct outcome outcome;
        uint8_t payload[64] = {0};
        raw_answer(&pair, &outcome, NULL, 0);
        bytes_store32(payload, cases[i].type);
        bytes_store32(payload + 4, cases[i].stated);
        memset(payload + WIRE_EXCEPTION_BYTES, 'e', cases[i].bytes);
        send_response(&pair, first_id(&pair), true, payload, WIRE_EXCEPTION_BYTES + cases[i].bytes);
        assert_int_equal(outcome.count, 1);
        if (cases[i].err != WEFT_OK) {
            assert_int_equal(outcome.err, cases[i].err);
            assert_int_equal(outcome.executed, cases[i].executed);
            assert_int_equal(pair.sides[DIALER].down, 0);
        } else {
            assert_int_equal(outcome.err, WEFT_ERR_CLOSED);
            assert_int_equal(outcome.executed, WEFT_EXECUTED_MAYBE);
            assert_int_equal(pair.sides[DIALER].error.reason, WEFT_REASON_BAD_FRAME);
        }
        channel_pair_close(&pair);
    }
}

static void dialer__broken_answer__call_fails_with_its_channel(void **state)
{
    (void)state;
    static const struct {
        uint32_t bytes;
        bool exception;
        enum weft_reason reason;
    } cases[] = {
        {FRAME_BYTES_MAX + 1, false, WEFT_REASON_FRAME_TOO_LARGE},
        {UINT32_MAX, false, WEFT_REASON_FRAME_TOO_LARGE},
        {7, true, WEFT_REASON_BAD_FRAME}, /* an exception without its head */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct channel_pair pair;
        struct outcome outcome;
        uint8_t frame[16 + 7] = {0};
        raw_answer(&pair, &outcome, NULL, 0);
        const struct wire_response response = {.id = first_id(&pair), .exception = cases[i].exception};
        wire_response_write(frame, true, &response, cases[i].bytes);
        channel_pair_raw_send(&pair, ACCEPTOR, 0, frame, sizeof frame);
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(outcome.count, 1);
        assert_int_equal(outcome.err, WEFT_ERR_CLOSED);
        assert_int_equal(outcome.error.reason, cases[i].reason);
        assert_int_equal(outcome.executed, WEFT_EXECUTED_MAYBE);
        channel_pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acceptor__bad_request__channel_ends),
        cmocka_unit_test(acceptor__request_cut_off__landing_comes_back),
        cmocka_unit_test(dialer__answers_to_nobody__counted_and_nothing_else),
        cmocka_unit_test(dialer__answer_on_another_channel__ignored),
        cmocka_unit_test(dialer__exceptions__each_what_it_means),
        cmocka_unit_test(dialer__broken_answer__call_fails_with_its_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
