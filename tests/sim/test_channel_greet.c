/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: two channels agree on what they negotiated, and on who refused whom and why; whatever else comes first ends the
 * channel by a named reason.
 *
 * Method: a dialer and an acceptor over the simulator (channel_pair.h) in calm worlds for each rule; one of them raw
 * where the rule is about what a sane peer never sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS

static void expect_negotiated(const struct channel_pair *pair)
{
    const struct side *dialer = &pair->sides[DIALER];
    const struct side *acceptor = &pair->sides[ACCEPTOR];
    for (uint32_t i = 0; i < 2; i++) {
        const struct channel *channel = pair->sides[i].channels[0];
        assert_non_null(channel);
        assert_int_equal(channel->timeout_negotiated, dialer->timeout && acceptor->timeout);
        assert_int_equal(channel->duration_negotiated, dialer->duration && acceptor->duration);
        assert_int_equal(channel->peer_hello, dialer->hello);
        if (dialer->hello) {
            assert_int_equal(channel->peer_id[0], i == DIALER ? 1 : 2);
            assert_int_equal(channel->peer_incarnation, i == DIALER ? 1000 : 1001);
        }
    }
    assert_int_equal(dialer->seen.has_cookie, dialer->cookie != NULL);
    if (dialer->cookie != NULL) {
        assert_int_equal(dialer->seen.cookie_bytes, strlen(dialer->cookie));
        assert_memory_equal(dialer->seen.cookie, dialer->cookie, strlen(dialer->cookie));
    }
}

static void negotiation__every_combination__both_agree(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 128; bits++) {
        struct channel_pair pair;
        struct outcome outcome;
        channel_pair_init(&pair, bits + 1);
        pair.options.secure[0] = pair.options.secure[1] = (bits & 1) != 0;
        pair.sides[DIALER].timeout = (bits & 2) != 0;
        pair.sides[DIALER].duration = (bits & 4) != 0;
        pair.sides[DIALER].hello = (bits & 8) != 0;
        pair.sides[DIALER].cookie = (bits & 16) != 0 ? "bulk" : NULL;
        pair.sides[ACCEPTOR].timeout = (bits & 32) != 0;
        pair.sides[ACCEPTOR].duration = (bits & 64) != 0;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        expect_negotiated(&pair);
        channel_pair_call(&pair, VERB_ECHO, 100, SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_OK);
        assert_int_equal(outcome.bytes, 100);
        assert_int_equal(outcome.wrong_bytes, 0);
        assert_int_equal(outcome.executed, WEFT_EXECUTED_YES);
        bool duration = pair.sides[0].duration && pair.sides[1].duration;
        assert_int_equal(outcome.handler_us == WIRE_DURATION_NONE, !duration);
        if (pair.sides[0].timeout && pair.sides[1].timeout) {
            assert_in_range(pair.sides[ACCEPTOR].remaining_ns, SECOND * 9 / 10, SECOND);
        } else {
            assert_int_equal(pair.sides[ACCEPTOR].remaining_ns, UINT64_MAX);
        }
        channel_pair_call(&pair, WIRE_VERB_PING, 8, SECOND, &outcome);
        assert_int_equal(outcome.err, pair.sides[DIALER].hello ? WEFT_OK : WEFT_ERR_UNKNOWN_VERB);
        channel_pair_close(&pair);
    }
}

static void refusal__by_the_acceptor__both_know(void **state)
{
    (void)state;
    static const struct {
        bool hello;
        enum weft_reason reason;
        enum weft_reason disclose;
        enum weft_reason dialer;
    } cases[] = {
        {true, WEFT_REASON_WRONG_CLUSTER, WEFT_REASON_NONE, WEFT_REASON_WRONG_CLUSTER},
        {true, WEFT_REASON_PLAINTEXT_FORBIDDEN, WEFT_REASON_REFUSED, WEFT_REASON_REFUSED},
        {true, WEFT_REASON_ADMIT_CALLBACK, WEFT_REASON_NONE, WEFT_REASON_ADMIT_CALLBACK},
        {false, WEFT_REASON_HELLO_MISSING, WEFT_REASON_NONE, WEFT_REASON_CLOSED_BY_PEER},
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        size_t at = i / 2;
        struct channel_pair pair;
        channel_pair_init(&pair, 200 + i);
        pair.options.secure[0] = pair.options.secure[1] = i % 2 == 1;
        pair.sides[DIALER].hello = cases[at].hello;
        pair.sides[ACCEPTOR].admit_reason = cases[at].reason;
        pair.sides[ACCEPTOR].disclose_reason = cases[at].disclose;
        channel_pair_open(&pair);
        channel_pair_dial(&pair);
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(pair.sides[ACCEPTOR].admitted, 1);
        assert_int_equal(pair.sides[ACCEPTOR].up + pair.sides[DIALER].up, 0);
        assert_int_equal(pair.sides[ACCEPTOR].error.code, WEFT_ERR_REFUSED);
        assert_int_equal(pair.sides[ACCEPTOR].error.reason, cases[at].reason);
        assert_int_equal(pair.sides[DIALER].error.code, cases[at].hello ? WEFT_ERR_REFUSED : WEFT_ERR_CLOSED);
        assert_int_equal(pair.sides[DIALER].error.reason, cases[at].dialer);
        assert_int_equal(pair.sides[DIALER].refused_by_peer, cases[at].hello);
        channel_pair_close(&pair);
    }
}

static void refusal__by_the_dialer__acceptor_sees_the_end(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 220);
    pair.sides[DIALER].admit_reason = WEFT_REASON_WRONG_NODE;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    conn_pair_until_closed(&pair.conns);
    assert_int_equal(pair.sides[DIALER].up, 0);
    assert_int_equal(pair.sides[DIALER].error.code, WEFT_ERR_REFUSED);
    assert_int_equal(pair.sides[DIALER].error.reason, WEFT_REASON_WRONG_NODE);
    assert_false(pair.sides[DIALER].refused_by_peer);
    assert_int_equal(pair.sides[ACCEPTOR].up, 1);
    assert_int_equal(pair.sides[ACCEPTOR].error.reason, WEFT_REASON_CLOSED_BY_PEER);
    channel_pair_close(&pair);
}

static void certificate__refused_by_the_dialer__not_a_byte_is_said(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 221);
    pair.options.secure[0] = pair.options.secure[1] = true;
    pair.sides[ACCEPTOR].raw = true; /* a server that says nothing at all */
    pair.sides[DIALER].secured_reason = WEFT_REASON_CERT_NAME_MISMATCH;
    channel_pair_open(&pair);
    uint64_t begin_ns = sim_world_now_ns(pair.conns.world);
    channel_pair_dial(&pair);
    conn_pair_until_closed(&pair.conns);
    assert_true(sim_world_now_ns(pair.conns.world) - begin_ns < SECOND / 2);
    assert_int_equal(pair.sides[DIALER].secured, 1);
    assert_int_equal(pair.sides[DIALER].admitted + pair.sides[DIALER].up, 0);
    assert_int_equal(pair.sides[DIALER].error.code, WEFT_ERR_REFUSED);
    assert_int_equal(pair.sides[DIALER].error.reason, WEFT_REASON_CERT_NAME_MISMATCH);
    assert_int_equal(pair.sides[ACCEPTOR].raw_used, 0);
    channel_pair_close(&pair);
}

static void certificate__refused_by_the_acceptor__told_when_the_offer_comes(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct negotiation_reader reader;
    struct negotiation answer = {.has_refusal = false};
    enum weft_reason why = WEFT_REASON_NONE;
    uint32_t taken = 0;
    channel_pair_init(&pair, 222);
    pair.options.secure[0] = pair.options.secure[1] = true;
    pair.sides[DIALER].raw = true;
    pair.sides[ACCEPTOR].secured_reason = WEFT_REASON_WRONG_NODE;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    assert_int_equal(pair.sides[ACCEPTOR].secured, 1);
    channel_pair_raw_greet(&pair, DIALER);
    conn_pair_until_closed(&pair.conns);
    assert_int_equal(pair.sides[ACCEPTOR].admitted + pair.sides[ACCEPTOR].up, 0);
    assert_int_equal(pair.sides[ACCEPTOR].error.code, WEFT_ERR_REFUSED);
    assert_int_equal(pair.sides[ACCEPTOR].error.reason, WEFT_REASON_WRONG_NODE);
    negotiation_reader_init(&reader);
    const struct weft_span got = {pair.sides[DIALER].raw_bytes, pair.sides[DIALER].raw_used};
    assert_int_equal(negotiation_read(&reader, got, &taken, &answer, &why), NEGOTIATION_DONE);
    assert_true(answer.has_refusal);
    assert_int_equal(answer.refusal, WEFT_REASON_WRONG_NODE);
    channel_pair_close(&pair);
}

/* What it is refused for is known; nobody waits for its hello as long as for another's. */
static void certificate__refused_and_nothing_else_comes__ends_by_its_reason(void **state)
{
    (void)state;
    for (uint32_t garbage = 0; garbage < 2; garbage++) {
        struct channel_pair pair;
        channel_pair_init(&pair, 223 + garbage);
        pair.options.secure[0] = pair.options.secure[1] = true;
        pair.sides[DIALER].raw = true;
        pair.sides[ACCEPTOR].secured_reason = WEFT_REASON_CERT_NAME_MISMATCH;
        channel_pair_open(&pair);
        uint64_t begin_ns = sim_world_now_ns(pair.conns.world);
        channel_pair_dial(&pair);
        if (garbage == 1) {
            channel_pair_raw_send(&pair, DIALER, 0, "GET / HTTP/1.1\r\n\r\n", 18);
        }
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(pair.sides[ACCEPTOR].error.code, WEFT_ERR_REFUSED);
        assert_int_equal(pair.sides[ACCEPTOR].error.reason, WEFT_REASON_CERT_NAME_MISMATCH);
        assert_true(sim_world_now_ns(pair.conns.world) - begin_ns < SECOND * 3 / 2);
        channel_pair_close(&pair);
    }
}

/* A raw dialer against an acceptor; what the acceptor answered and why it ended. */
static void expect_raw_dialer(const void *data, uint32_t bytes, bool secure_acceptor, enum weft_reason reason,
                              const void *answer, uint32_t answer_bytes)
{
    struct channel_pair pair;
    channel_pair_init(&pair, 230);
    pair.sides[DIALER].raw = true;
    pair.options.secure[ACCEPTOR] = secure_acceptor;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    channel_pair_raw_send(&pair, DIALER, 0, data, bytes);
    conn_pair_until_closed(&pair.conns);
    assert_int_equal(pair.sides[ACCEPTOR].up, 0);
    assert_int_equal(pair.sides[ACCEPTOR].error.reason, reason);
    assert_int_equal(pair.sides[DIALER].raw_used, answer_bytes);
    assert_memory_equal(pair.sides[DIALER].raw_bytes, answer, answer_bytes);
    channel_pair_close(&pair);
}

static void acceptor__first_bytes_wrong__ends_with_a_named_reason(void **state)
{
    (void)state;
    static const uint8_t alert[] = {0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x0a};
    static const uint8_t client_hello[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03};
    static const uint8_t stream_parent[] = "SSTARRPC\x10\0\0\0\x03\0\0\0\x08\0\0\0\x01\0\0\0\0\0\x01\0";
    static const uint8_t overflowing[] = "SSTARRPC\x10\0\0\0\x01\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0";
    static const uint8_t giant[] = "SSTARRPC\xff\xff\xff\xff\0\0\0\0\0\0\0\0";
    expect_raw_dialer("GET / HTTP/1.1\r\n\r\n", 18, false, WEFT_REASON_BAD_MAGIC, "", 0);
    expect_raw_dialer("SSTARRPX", 8, false, WEFT_REASON_BAD_MAGIC, "", 0);
    expect_raw_dialer(client_hello, sizeof client_hello, false, WEFT_REASON_TLS_ON_PLAINTEXT_PORT, alert, sizeof alert);
    expect_raw_dialer(stream_parent, 28, false, WEFT_REASON_STREAMS_UNSUPPORTED, "", 0);
    expect_raw_dialer(overflowing, 28, false, WEFT_REASON_BAD_NEGOTIATION, "", 0);
    expect_raw_dialer(giant, 20, false, WEFT_REASON_BAD_NEGOTIATION, "", 0);
    expect_raw_dialer("GET / HTTP/1.1\r\n\r\n", 18, true, WEFT_REASON_PLAINTEXT_ON_TLS_PORT, "", 0);
}

static void acceptor__plaintext_hello_on_its_tls_port__told_so(void **state)
{
    (void)state;
    for (int hello = 0; hello < 2; hello++) {
        struct channel_pair pair;
        channel_pair_init(&pair, 240);
        pair.options.secure[ACCEPTOR] = true;
        pair.sides[DIALER].hello = hello == 1;
        channel_pair_open(&pair);
        channel_pair_dial(&pair);
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(pair.sides[ACCEPTOR].admitted, 0); /* not for the owner to decide */
        assert_int_equal(pair.sides[ACCEPTOR].error.code, WEFT_ERR_REFUSED);
        assert_int_equal(pair.sides[ACCEPTOR].error.reason, WEFT_REASON_PLAINTEXT_ON_TLS_PORT);
        assert_int_equal(pair.sides[DIALER].error.reason,
                         hello == 1 ? WEFT_REASON_PLAINTEXT_ON_TLS_PORT : WEFT_REASON_CLOSED_BY_PEER);
        channel_pair_close(&pair);
    }
}

static void dialer__answer_wrong__ends_with_a_named_reason(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t count;
        enum weft_reason reason;
    } cases[] = {
        {"HTTP/1.1 400\r\n", 14, WEFT_REASON_BAD_MAGIC},
        {"\x15\x03\x03\0\x02\x02\x28", 7, WEFT_REASON_PLAINTEXT_ON_TLS_PORT},
        {"SSTARRPC\x03\0\0\0\0\0\0", 15, WEFT_REASON_BAD_NEGOTIATION},
        {"SSTARRPC\xff\xff\xff\xff", 12, WEFT_REASON_BAD_NEGOTIATION},
        /* a refusal with a code from the future */
        {"SSTARRPC\x0a\0\0\0\x55\x46\x45\x57\x02\0\0\0\xff\x7f", 22, WEFT_REASON_REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct channel_pair pair;
        channel_pair_init(&pair, 250 + i);
        pair.sides[ACCEPTOR].raw = true;
        channel_pair_open(&pair);
        channel_pair_dial(&pair);
        channel_pair_raw_send(&pair, ACCEPTOR, 0, cases[i].bytes, cases[i].count);
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(pair.sides[DIALER].up, 0);
        assert_int_equal(pair.sides[DIALER].error.reason, cases[i].reason);
        channel_pair_close(&pair);
    }
}

static void do_answer_unasked(void *ctx, struct weft_shard *shard)
{
    struct side *side = ctx;
    uint8_t frame[NEGOTIATION_WRITE_BYTES_MAX];
    const struct negotiation answer = {.timeout = true};
    (void)shard;
    side_dial_now(side);
    struct conn *conn = &side->channels[0]->conn;
    /* As with a record layer, whose last flight can carry the first bytes of the peer. */
    conn->events->received(conn, (struct weft_span){frame, negotiation_write(&answer, frame, sizeof frame)});
}

static void dialer__answered_before_it_offered__bad_negotiation(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 255);
    channel_pair_open(&pair);
    conn_end_do(&pair.conns.ends[DIALER], do_answer_unasked, &pair.sides[DIALER]);
    conn_pair_until_closed(&pair.conns);
    assert_int_equal(pair.sides[DIALER].up + pair.sides[DIALER].admitted, 0);
    assert_int_equal(pair.sides[DIALER].error.code, WEFT_ERR_PROTOCOL);
    assert_int_equal(pair.sides[DIALER].error.reason, WEFT_REASON_BAD_NEGOTIATION);
    assert_string_equal(pair.sides[DIALER].error.text, "the peer speaks before it was asked; the dialer begins");
    channel_pair_close(&pair);
}

/* A raw acceptor's answer with one thing in it. */
static void raw_answer_with(struct channel_pair *pair, const struct negotiation *answer, const void *records,
                            uint32_t bytes)
{
    uint8_t frame[NEGOTIATION_WRITE_BYTES_MAX + 64];
    channel_pair_init(pair, 256);
    pair->sides[ACCEPTOR].raw = true;
    channel_pair_open(pair);
    channel_pair_dial(pair);
    uint32_t used = negotiation_write(answer, frame, NEGOTIATION_WRITE_BYTES_MAX);
    bytes_copy(frame + used, records, bytes);
    bytes_store32(frame + 8, bytes_load32(frame + 8) + bytes);
    channel_pair_raw_send(pair, ACCEPTOR, 0, frame, used + bytes);
}

static void dialer__connection_id_unasked__remembered(void **state)
{
    (void)state;
    struct channel_pair pair;
    const struct negotiation named = {.has_connection_id = true, .connection_id = 0x10000};
    raw_answer_with(&pair, &named, NULL, 0);
    assert_int_equal(pair.sides[DIALER].up, 1);
    assert_int_equal(pair.sides[DIALER].channels[0]->connection_id, 0x10000);
    channel_pair_close(&pair);
    const struct negotiation nameless = {.timeout = true};
    raw_answer_with(&pair, &nameless, NULL, 0);
    assert_int_equal(pair.sides[DIALER].channels[0]->connection_id, 0);
    channel_pair_close(&pair);
}

static void dialer__compression_that_it_did_not_offer__bad_negotiation(void **state)
{
    (void)state;
    static const uint8_t compress[] = {0, 0, 0, 0, 3, 0, 0, 0, 'L', 'Z', '4'};
    struct channel_pair pair;
    const struct negotiation answer = {.timeout = true};
    raw_answer_with(&pair, &answer, compress, sizeof compress);
    conn_pair_until_closed(&pair.conns);
    assert_int_equal(pair.sides[DIALER].up, 0);
    assert_int_equal(pair.sides[DIALER].error.reason, WEFT_REASON_BAD_NEGOTIATION);
    assert_string_equal(pair.sides[DIALER].error.text, "the peer compresses what comes, which nobody offered");
    channel_pair_close(&pair);
}

static void negotiation__peer_says_nothing__hello_timeout(void **state)
{
    (void)state;
    for (uint32_t raw = 0; raw < 2; raw++) {
        for (uint32_t some = 0; some < 2; some++) {
            struct channel_pair pair;
            channel_pair_init(&pair, 260);
            pair.sides[raw].raw = true;
            channel_pair_open(&pair);
            uint64_t begin_ns = sim_world_now_ns(pair.conns.world);
            channel_pair_dial(&pair);
            if (some == 1) { /* half a negotiation is none */
                channel_pair_raw_send(&pair, raw, 0, "SSTARRPC\x10", 9);
            }
            conn_pair_until_closed(&pair.conns);
            assert_int_equal(pair.sides[1 - raw].error.code, WEFT_ERR_TIMEOUT);
            assert_int_equal(pair.sides[1 - raw].error.reason, WEFT_REASON_HELLO_TIMEOUT);
            assert_in_range(sim_world_now_ns(pair.conns.world) - begin_ns, SECOND, 4 * SECOND);
            channel_pair_close(&pair);
        }
    }
}

static void negotiation__requests_right_behind_it__answered(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t stream[300];
    struct negotiation own;
    channel_pair_init(&pair, 270);
    pair.sides[DIALER].raw = true;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    memset(&own, 0, sizeof own);
    uint32_t bytes = negotiation_write(&own, stream, sizeof stream);
    for (int64_t id = 1; id <= 3; id++) {
        const struct wire_request request = {.verb = VERB_ECHO, .id = id};
        bytes += wire_request_write(stream + bytes, false, &request, 4);
        memcpy(stream + bytes, "data", 4);
        bytes += 4;
    }
    channel_pair_raw_send(&pair, DIALER, 0, stream, bytes);
    assert_int_equal(pair.sides[DIALER].raw_used, NEGOTIATION_HEAD_BYTES + 3 * (WIRE_RESPONSE_BYTES + 4));
    const uint8_t *answer = pair.sides[DIALER].raw_bytes + NEGOTIATION_HEAD_BYTES;
    for (int64_t id = 1; id <= 3; id++, answer += WIRE_RESPONSE_BYTES + 4) {
        assert_int_equal(wire_response_read(answer, false).id, id);
        assert_memory_equal(answer + WIRE_RESPONSE_BYTES, "data", 4);
    }
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(negotiation__every_combination__both_agree),
        cmocka_unit_test(refusal__by_the_acceptor__both_know),
        cmocka_unit_test(refusal__by_the_dialer__acceptor_sees_the_end),
        cmocka_unit_test(certificate__refused_by_the_dialer__not_a_byte_is_said),
        cmocka_unit_test(certificate__refused_by_the_acceptor__told_when_the_offer_comes),
        cmocka_unit_test(certificate__refused_and_nothing_else_comes__ends_by_its_reason),
        cmocka_unit_test(acceptor__first_bytes_wrong__ends_with_a_named_reason),
        cmocka_unit_test(acceptor__plaintext_hello_on_its_tls_port__told_so),
        cmocka_unit_test(dialer__answer_wrong__ends_with_a_named_reason),
        cmocka_unit_test(dialer__answered_before_it_offered__bad_negotiation),
        cmocka_unit_test(dialer__connection_id_unasked__remembered),
        cmocka_unit_test(dialer__compression_that_it_did_not_offer__bad_negotiation),
        cmocka_unit_test(negotiation__peer_says_nothing__hello_timeout),
        cmocka_unit_test(negotiation__requests_right_behind_it__answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
