/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: two channels agree on what they negotiated and on who refused whom and why; every call ends exactly once, with
 * an honest answer to whether it can have been executed; and nothing that a peer sends does more than end its channel.
 *
 * Method: a dialer and an acceptor over the simulator (channel_pair.h) in calm worlds for each rule; one of them raw
 * where the rule is about what a sane peer never sends; then storms in worlds whose faults are drawn, in which every
 * call must still end once and every answer must be the right one. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SEEDS 80u
#define SECOND PAIR_SECOND_NS

/* --- negotiation --- */

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
    static const uint8_t alert[] = {0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x28};
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

/* --- calls --- */

static void call__every_size__comes_back(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0,     1,     7,     8,     1000,  16355, 16356,  16357,  16383,
                                     16384, 16385, 32768, 49152, 65536, 99999, 131072, 200000, 204800};
    for (uint32_t mode = 0; mode < 4; mode++) {
        struct channel_pair pair;
        channel_pair_init(&pair, 300 + mode);
        pair.options.secure[0] = pair.options.secure[1] = mode % 2 == 1;
        pair.options.sim.recv_buf_bytes = mode >= 2 ? 700 : 0;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct outcome outcome;
            channel_pair_call(&pair, VERB_ECHO, sizes[i], SECOND, &outcome);
            assert_int_equal(outcome.err, WEFT_OK);
            assert_int_equal(outcome.bytes, sizes[i]);
            assert_int_equal(outcome.wrong_bytes, 0);
        }
        channel_pair_close(&pair);
    }
}

static void call__not_served__unknown_verb_and_not_executed(void **state)
{
    (void)state;
    static const uint64_t verbs[] = {
        0, VERB_NOBODY, WEFT_VERB_RESERVED - 1, WEFT_VERB_RESERVED, WIRE_VERB_PING + 7, UINT64_MAX};
    struct channel_pair pair;
    channel_pair_init(&pair, 310);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        struct outcome outcome;
        channel_pair_call(&pair, verbs[i], 50, SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_ERR_UNKNOWN_VERB);
        assert_int_equal(outcome.executed, WEFT_EXECUTED_NO);
    }
    struct outcome ping;
    channel_pair_call(&pair, WIRE_VERB_PING, 7, SECOND, &ping);
    assert_int_equal(ping.err, WEFT_ERR_REMOTE);
    assert_non_null(strstr(ping.error.text, "8 bytes"));
    assert_int_equal(pair.sides[ACCEPTOR].down, 0);
    channel_pair_close(&pair);
}

static void call__handler_fails__text_arrives_cut(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {1, 254, 255, 256, 1000};
    struct channel_pair pair;
    channel_pair_init(&pair, 311);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct outcome outcome;
        channel_pair_call(&pair, VERB_FAIL, lengths[i], SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_ERR_REMOTE);
        assert_int_equal(outcome.executed, WEFT_EXECUTED_YES);
        uint32_t due = lengths[i] < EXCEPTION_TEXT_BYTES_MAX ? lengths[i] : EXCEPTION_TEXT_BYTES_MAX;
        assert_int_equal(strlen(outcome.error.text), due);
        assert_int_equal(strspn(outcome.error.text, "f"), due);
    }
    channel_pair_close(&pair);
}

static void call__no_answer_in_time__ends_once_and_the_late_one_is_nobodys(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        struct channel_pair pair;
        struct outcome outcome;
        channel_pair_init(&pair, 320);
        pair.sides[DIALER].timeout = told == 1;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        uint64_t begin_ns = sim_world_now_ns(pair.conns.world);
        channel_pair_call(&pair, VERB_KEEP, 10, SECOND / 20, &outcome);
        assert_in_range(sim_world_now_ns(pair.conns.world) - begin_ns, SECOND / 20, SECOND / 10);
        assert_int_equal(outcome.err, WEFT_ERR_TIMEOUT);
        assert_int_equal(outcome.executed, WEFT_EXECUTED_MAYBE);
        assert_int_equal(pair.sides[ACCEPTOR].kept_count, 1);
        conn_pair_run(&pair.conns, 10 * PAIR_MS); /* the acceptor counts from when the request arrived */
        /* An acceptor that was told the deadline sends nothing; one that was not sends what nobody waits for. */
        channel_pair_answer_kept(&pair, told == 1 ? WEFT_ERR_EXPIRED : WEFT_OK);
        assert_int_equal(COUNTER(&pair, DIALER, late_replies), told == 1 ? 0 : 1);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_expired), told == 1 ? 1 : 0);
        assert_int_equal(outcome.count, 1);
        channel_pair_call(&pair, VERB_ECHO, 10, SECOND, &outcome); /* the slot serves again */
        assert_int_equal(outcome.err, WEFT_OK);
        channel_pair_close(&pair);
    }
}

struct burst {
    struct side *side;
    struct call_request request;
    struct outcome *outcomes;
    uint32_t count;
    uint32_t accepted;
    enum weft_err err; /* of the first that was not */
    bool abort;        /* right behind them, in the same turn */
    bool close;
};

static void burst_run(void *ctx, struct weft_shard *shard)
{
    struct burst *burst = ctx;
    (void)shard;
    for (uint32_t i = 0; i < burst->count; i++) {
        enum weft_err err = side_call(burst->side, 0, &burst->request, &burst->outcomes[i]);
        burst->accepted += err == WEFT_OK;
        burst->err = burst->err == WEFT_OK ? err : burst->err;
    }
    if (burst->abort) {
        conn_abort(&burst->side->channels[0]->conn, WEFT_ERR_CANCELLED, WEFT_REASON_LOCAL_CLOSE);
    }
    if (burst->close) {
        conn_close(&burst->side->channels[0]->conn, WEFT_REASON_LOCAL_CLOSE);
    }
}

static void pair_burst(struct channel_pair *pair, struct burst *burst)
{
    burst->side = &pair->sides[DIALER];
    burst->request.timeout_ns = burst->request.timeout_ns != 0 ? burst->request.timeout_ns : 10 * SECOND;
    conn_end_do(&pair->conns.ends[DIALER], burst_run, burst);
}

static void calls__slots_used_up__refused_and_no_callback(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[5] = {{0}};
    channel_pair_init(&pair, 330);
    pair.sides[DIALER].calls_max = 2;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {.request = {.verb = VERB_ECHO, .args = {NULL, 8}}, .outcomes = outcomes, .count = 5};
    pair_burst(&pair, &burst);
    assert_int_equal(burst.accepted, 2);
    assert_int_equal(burst.err, WEFT_ERR_QUEUE_FULL);
    conn_pair_run(&pair.conns, SECOND);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(outcomes[i].count, i < 2);
    }
    assert_int_equal(COUNTER(&pair, DIALER, calls_started), 2);
    channel_pair_close(&pair);
}

static void calls__send_queue_full__refused_and_no_callback(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[30] = {{0}};
    channel_pair_init(&pair, 331);
    pair.options.arena_bytes = 8u << 20;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {.request = {.verb = VERB_SINK, .args = {NULL, 200000}}, .outcomes = outcomes, .count = 30};
    pair_burst(&pair, &burst);
    assert_int_equal(burst.err, WEFT_ERR_QUEUE_FULL);
    assert_int_equal(burst.accepted, SEND_QUEUE_BYTES_MAX / 200028);
    assert_int_equal(slots_in_use(&pair.sides[DIALER].rpc.calls), burst.accepted);
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(pair.sides[ACCEPTOR].sink_calls, burst.accepted);
    channel_pair_close(&pair);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(outcomes[i].count, i < burst.accepted);
    }
}

static void request__its_verb_forbidden__refused_without_running(void **state)
{
    (void)state;
    for (int hello = 0; hello < 2; hello++) {
        struct channel_pair pair;
        struct outcome outcome = {0};
        channel_pair_init(&pair, 346);
        pair.sides[ACCEPTOR].forbidden_verb = VERB_KEEP;
        pair.sides[DIALER].hello = hello == 1;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        channel_pair_call(&pair, VERB_KEEP, 100, SECOND, &outcome);
        if (hello == 1) {
            assert_int_equal(outcome.err, WEFT_ERR_REFUSED);
            assert_int_equal(outcome.executed, WEFT_EXECUTED_NO);
        } else { /* the word that everybody knows, which cannot say that it never ran */
            assert_int_equal(outcome.err, WEFT_ERR_REMOTE);
            assert_string_equal(outcome.error.text, "forbidden");
        }
        assert_int_equal(pair.sides[ACCEPTOR].kept_count, 0);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_forbidden), 1);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_failed), 1);
        outcome = (struct outcome){0};
        channel_pair_call(&pair, VERB_ECHO, 100, SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_OK);
        assert_int_equal(pair.sides[ACCEPTOR].authorized, 2);
        channel_pair_close(&pair);
    }
}

static void requests__slots_used_up__busy_or_they_wait(void **state)
{
    (void)state;
    for (int hello = 0; hello < 2; hello++) {
        struct channel_pair pair;
        struct outcome outcomes[4] = {{0}};
        channel_pair_init(&pair, 340);
        pair.sides[ACCEPTOR].requests_max = 3;
        pair.sides[DIALER].hello = hello == 1;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        struct burst burst = {.request = {.verb = VERB_KEEP, .args = {NULL, 8}}, .outcomes = outcomes, .count = 4};
        pair_burst(&pair, &burst);
        conn_pair_run(&pair.conns, SECOND / 10);
        assert_int_equal(pair.sides[ACCEPTOR].kept_count, 3);
        assert_int_equal(outcomes[3].count, hello);
        if (hello == 1) {
            assert_int_equal(outcomes[3].err, WEFT_ERR_BUSY);
            assert_int_equal(outcomes[3].executed, WEFT_EXECUTED_NO);
        }
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_busy), hello);
        channel_pair_answer_kept(&pair, WEFT_OK);
        if (hello == 0) { /* who does not know the word is not read from until there is a slot */
            assert_int_equal(pair.sides[ACCEPTOR].kept_count, 1);
            channel_pair_answer_kept(&pair, WEFT_OK);
            assert_int_equal(outcomes[3].err, WEFT_OK);
        }
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(outcomes[i].count, 1);
            assert_int_equal(outcomes[i].err, WEFT_OK);
            assert_int_equal(outcomes[i].bytes, 100);
            assert_int_equal(outcomes[i].wrong_bytes, 0);
        }
        channel_pair_close(&pair);
    }
}

static void memory__no_room_for_a_request__busy(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    channel_pair_init(&pair, 350);
    pair.options.arena_bytes = 64u << 10;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    channel_pair_call(&pair, VERB_ECHO, 200000, SECOND, &outcome);
    assert_int_equal(outcome.err, WEFT_ERR_BUSY);
    assert_int_equal(outcome.executed, WEFT_EXECUTED_NO);
    channel_pair_call(&pair, VERB_ECHO, 1000, SECOND, &outcome); /* the stream is in step again */
    assert_int_equal(outcome.err, WEFT_OK);
    assert_int_equal(outcome.wrong_bytes, 0);
    channel_pair_close(&pair);
}

static void memory__no_room_for_an_answer__no_memory_and_executed(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    channel_pair_init(&pair, 351);
    pair.options.arena_bytes = 64u << 10;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    channel_pair_call(&pair, VERB_SOURCE, 200, SECOND, &outcome);
    assert_int_equal(outcome.err, WEFT_ERR_NO_MEMORY);
    assert_int_equal(outcome.executed, WEFT_EXECUTED_YES);
    channel_pair_call(&pair, VERB_SOURCE, 1, SECOND, &outcome);
    assert_int_equal(outcome.err, WEFT_OK);
    assert_int_equal(outcome.bytes, 1024);
    assert_int_equal(outcome.wrong_bytes, 0);
    channel_pair_close(&pair);
}

static void one_way__handed_over__told_once(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[10] = {{0}};
    channel_pair_init(&pair, 360);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {
        .request = {.verb = VERB_SINK, .args = {NULL, 20000}, .one_way = true}, .outcomes = outcomes, .count = 10};
    pair_burst(&pair, &burst);
    conn_pair_run(&pair.conns, SECOND);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].err, WEFT_OK);
        assert_int_equal(outcomes[i].executed, WEFT_EXECUTED_MAYBE);
    }
    assert_int_equal(pair.sides[ACCEPTOR].sink_calls, 10);
    assert_int_equal(COUNTER(&pair, DIALER, one_way_sent), 10);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, one_way_received), 10);
    assert_int_equal(COUNTER(&pair, DIALER, bytes_received), COUNTER(&pair, ACCEPTOR, bytes_sent));
    /* A verb that nobody serves is answered all the same, and the answer finds nobody. */
    struct burst unknown = {
        .request = {.verb = VERB_NOBODY, .args = {NULL, 1}, .one_way = true}, .outcomes = outcomes, .count = 1};
    pair_burst(&pair, &unknown);
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(outcomes[0].count, 2);
    assert_int_equal(COUNTER(&pair, DIALER, late_replies), 1);
    channel_pair_close(&pair);
}

static void channel__ends_with_calls__honest_about_execution(void **state)
{
    (void)state;
    for (int one_way = 0; one_way < 2; one_way++) {
        struct channel_pair pair;
        struct outcome handed[2] = {{0}};
        struct outcome queued[2] = {{0}};
        channel_pair_init(&pair, 370);
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        struct burst first = {.request = {.verb = VERB_KEEP, .args = {NULL, 8}}, .outcomes = handed, .count = 2};
        pair_burst(&pair, &first);
        conn_pair_run(&pair.conns, SECOND / 10);
        struct burst second = {.request = {.verb = VERB_SINK, .args = {NULL, 8}, .one_way = one_way == 1},
                               .outcomes = queued,
                               .count = 2,
                               .abort = true};
        pair_burst(&pair, &second);
        conn_pair_until_closed(&pair.conns);
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(handed[i].count, 1);
            assert_int_equal(handed[i].err, WEFT_ERR_CLOSED);
            assert_int_equal(handed[i].error.reason, WEFT_REASON_LOCAL_CLOSE);
            assert_int_equal(handed[i].executed, WEFT_EXECUTED_MAYBE);
            assert_int_equal(queued[i].count, 1);
            assert_int_equal(queued[i].err, WEFT_ERR_CLOSED);
            assert_int_equal(queued[i].executed, WEFT_EXECUTED_NO);
        }
        assert_int_equal(pair.sides[ACCEPTOR].sink_calls, 0);
        channel_pair_answer_kept(&pair, WEFT_ERR_CLOSED); /* the requests outlive their connection */
        channel_pair_close(&pair);
    }
}

static void channel__closed_with_calls_queued__they_go_out(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[3] = {{0}};
    channel_pair_init(&pair, 371);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {.request = {.verb = VERB_SINK, .args = {NULL, 100}, .one_way = true},
                          .outcomes = outcomes,
                          .count = 3,
                          .close = true};
    pair_burst(&pair, &burst);
    conn_pair_until_closed(&pair.conns);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].err, WEFT_OK);
    }
    assert_int_equal(pair.sides[ACCEPTOR].sink_calls, 3);
    channel_pair_close(&pair);
}

struct chain {
    struct side *side;
    uint32_t left;
    uint32_t refused;
};

static void chain_next(struct outcome *outcome, void *ctx)
{
    struct chain *chain = ctx;
    const struct call_request request = {.verb = VERB_ECHO, .args = {NULL, 10}, .timeout_ns = SECOND};
    assert_int_equal(outcome->wrong_bytes, 0);
    if (chain->left > 0) {
        chain->left--;
        chain->refused += side_call(chain->side, 0, &request, outcome) != WEFT_OK;
    }
}

static void callback__calls_again__its_own_slot_is_free(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 380);
    pair.sides[DIALER].calls_max = 1;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct chain chain = {.side = &pair.sides[DIALER], .left = 50};
    struct outcome outcome = {.then = chain_next, .ctx = &chain};
    struct burst burst = {.request = {.verb = VERB_ECHO, .args = {NULL, 10}}, .outcomes = &outcome, .count = 1};
    pair_burst(&pair, &burst);
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(chain.left, 0);
    assert_int_equal(chain.refused, 0);
    assert_int_equal(outcome.count, 51);
    channel_pair_close(&pair);
}

/* --- calls that wait for a channel --- */

struct waiting {
    struct side *side;
    struct list calls;
    struct outcome outcomes[4];
    uint32_t bytes;
    uint64_t timeout_ns;
    enum weft_err err;
};

static void waiting_begin(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    uint8_t args[64];
    (void)shard;
    list_init(&waiting->calls);
    for (uint32_t i = 0; i < sizeof args; i++) {
        args[i] = pattern_byte(i);
    }
    for (uint32_t i = 0; i < 4; i++) {
        const struct call_request request = {.verb = VERB_ECHO,
                                             .args = {args, i * 20},
                                             .timeout_ns = waiting->timeout_ns,
                                             .fn = outcome_done,
                                             .ctx = &waiting->outcomes[i]};
        assert_int_equal(call_wait(&waiting->side->rpc, waiting->side->rpc.tally, &waiting->calls, &request), WEFT_OK);
    }
    memset(args, 0, sizeof args); /* they were copied */
}

static void waiting_send(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    (void)shard;
    call_send_waiting(&waiting->calls, waiting->side->channels[0]);
}

static void waiting_fail(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    struct weft_error why = {.code = WEFT_ERR_UNREACHABLE, .reason = WEFT_REASON_CONNECT_FAILED, .text = "gone"};
    (void)shard;
    call_fail_waiting(&waiting->calls, &why);
}

static void waiting__channel_comes_up__sent_in_order(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct waiting waiting = {.timeout_ns = SECOND};
    channel_pair_init(&pair, 390);
    channel_pair_open(&pair);
    waiting.side = &pair.sides[DIALER];
    conn_end_do(&pair.conns.ends[DIALER], waiting_begin, &waiting);
    channel_pair_connect(&pair);
    conn_end_do(&pair.conns.ends[DIALER], waiting_send, &waiting);
    conn_pair_run(&pair.conns, SECOND / 10);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(waiting.outcomes[i].count, 1);
        assert_int_equal(waiting.outcomes[i].err, WEFT_OK);
        assert_int_equal(waiting.outcomes[i].bytes, i * 20);
        assert_int_equal(waiting.outcomes[i].wrong_bytes, 0);
    }
    channel_pair_close(&pair);
}

static void waiting_begin_and_send(void *ctx, struct weft_shard *shard)
{
    waiting_begin(ctx, shard);
    waiting_send(ctx, shard);
}

/* The wire counts in milliseconds, and zero would mean no timeout. */
static void waiting__under_a_millisecond_left__times_out_unsent(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct waiting waiting = {.timeout_ns = SECOND / 2000};
    channel_pair_init(&pair, 393);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    waiting.side = &pair.sides[DIALER];
    conn_end_do(&pair.conns.ends[DIALER], waiting_begin_and_send, &waiting);
    conn_pair_run(&pair.conns, SECOND / 10);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(waiting.outcomes[i].count, 1);
        assert_int_equal(waiting.outcomes[i].err, WEFT_ERR_TIMEOUT);
        assert_int_equal(waiting.outcomes[i].executed, WEFT_EXECUTED_NO);
    }
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_received), 0);
    channel_pair_close(&pair);
}

static void waiting__nobody_comes__fails_unexecuted(void **state)
{
    (void)state;
    for (int expire = 0; expire < 2; expire++) {
        struct channel_pair pair;
        struct waiting waiting = {.timeout_ns = expire == 1 ? SECOND / 10 : SECOND};
        channel_pair_init(&pair, 391);
        channel_pair_open(&pair);
        waiting.side = &pair.sides[DIALER];
        conn_end_do(&pair.conns.ends[DIALER], waiting_begin, &waiting);
        if (expire == 0) {
            conn_end_do(&pair.conns.ends[DIALER], waiting_fail, &waiting);
        }
        conn_pair_run(&pair.conns, SECOND / 5);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(waiting.outcomes[i].count, 1);
            assert_int_equal(waiting.outcomes[i].err, expire == 1 ? WEFT_ERR_TIMEOUT : WEFT_ERR_UNREACHABLE);
            assert_int_equal(waiting.outcomes[i].executed, WEFT_EXECUTED_NO);
        }
        assert_true(list_empty(&waiting.calls));
        channel_pair_close(&pair);
    }
}

static void waiting_too_large(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    static const uint8_t args[300000];
    const struct call_request request = {.verb = VERB_ECHO,
                                         .args = {args, sizeof args},
                                         .timeout_ns = SECOND,
                                         .fn = outcome_done,
                                         .ctx = &waiting->outcomes[0]};
    (void)shard;
    list_init(&waiting->calls);
    waiting->err = call_wait(&waiting->side->rpc, waiting->side->rpc.tally, &waiting->calls, &request);
}

static void waiting__no_room_for_its_arguments__refused(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct waiting waiting = {.timeout_ns = SECOND};
    channel_pair_init(&pair, 392);
    pair.options.arena_bytes = 64u << 10;
    channel_pair_open(&pair);
    waiting.side = &pair.sides[DIALER];
    conn_end_do(&pair.conns.ends[DIALER], waiting_too_large, &waiting);
    assert_int_equal(waiting.err, WEFT_ERR_QUEUE_FULL);
    assert_true(list_empty(&waiting.calls));
    conn_pair_run(&pair.conns, 2 * SECOND);
    assert_int_equal(waiting.outcomes[0].count, 0);
    channel_pair_close(&pair);
}

/* --- what a sane peer never sends --- */

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
    pair_burst(pair, &burst);
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

/* --- back-pressure --- */

static void do_pause_dialer(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_pause(&((struct side *)ctx)->channels[0]->conn);
}

static void do_resume_dialer(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_resume(&((struct side *)ctx)->channels[0]->conn);
}

static void acceptor__answers_pile_up__reads_no_more_until_they_drain(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[60] = {{0}};
    channel_pair_init(&pair, 430);
    pair.options.sim.window_bytes = 64u << 10;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    conn_end_do(&pair.conns.ends[DIALER], do_pause_dialer, &pair.sides[DIALER]);
    /* One after the other, so that each answer is queued before the next request arrives. */
    for (uint32_t i = 0; i < 60; i++) {
        struct burst burst = {
            .request = {.verb = VERB_SOURCE, .args = {NULL, 100}}, .outcomes = &outcomes[i], .count = 1};
        pair_burst(&pair, &burst);
        conn_pair_run(&pair.conns, PAIR_MS * 5);
    }
    const struct conn *acceptor = &pair.sides[ACCEPTOR].channels[0]->conn;
    assert_true(acceptor->paused);
    assert_in_range(acceptor->outbox_bytes, SEND_QUEUE_BYTES_HIGH, 2 * SEND_QUEUE_BYTES_HIGH);
    conn_end_do(&pair.conns.ends[DIALER], do_resume_dialer, &pair.sides[DIALER]);
    conn_pair_run(&pair.conns, 5 * SECOND);
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].err, WEFT_OK);
        assert_int_equal(outcomes[i].bytes, 100 * 1024);
        assert_int_equal(outcomes[i].wrong_bytes, 0);
    }
    assert_false(pair.sides[ACCEPTOR].channels[0]->conn.paused);
    channel_pair_close(&pair);
}

static void acceptor__many_large_answers_at_once__all_arrive(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[60] = {{0}};
    channel_pair_init(&pair, 431);
    pair.options.arena_bytes = 16u << 20;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    /* All requests lie in one receive buffer, and their answers are six megabytes. */
    struct burst burst = {.request = {.verb = VERB_SOURCE, .args = {NULL, 100}}, .outcomes = outcomes, .count = 60};
    pair_burst(&pair, &burst);
    assert_int_equal(burst.accepted, 60);
    conn_pair_run(&pair.conns, 5 * SECOND);
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].err, WEFT_OK);
        assert_int_equal(outcomes[i].wrong_bytes, 0);
    }
    channel_pair_close(&pair);
}

static bool acceptor_holds(void *ctx)
{
    const struct channel *channel = ((const struct channel_pair *)ctx)->sides[ACCEPTOR].channels[0];
    return channel->stalled && !list_empty(&channel->held);
}

static void do_abort_dialer(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_abort(&((struct side *)ctx)->channels[0]->conn, WEFT_ERR_CANCELLED, WEFT_REASON_LOCAL_CLOSE);
}

static void acceptor__ends_with_requests_held__nothing_left_of_them(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[60] = {{0}};
    channel_pair_init(&pair, 432);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {.request = {.verb = VERB_SOURCE, .args = {NULL, 100}}, .outcomes = outcomes, .count = 60};
    pair_burst(&pair, &burst);
    conn_pair_until(&pair.conns, acceptor_holds, &pair);
    conn_end_do(&pair.conns.ends[DIALER], do_abort_dialer, &pair.sides[DIALER]);
    conn_pair_until_closed(&pair.conns);
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(outcomes[i].count, 1);
    }
    channel_pair_close(&pair); /* which sees that the arena is empty */
}

/* --- storms --- */

#define STORM_CALLS_MAX 400u

struct caller {
    struct channel_pair *pair;
    struct timer timer;
    struct prng prng;
    struct outcome outcomes[STORM_CALLS_MAX];
    uint32_t bytes[STORM_CALLS_MAX];
    uint64_t verbs[STORM_CALLS_MAX];
    bool accepted[STORM_CALLS_MAX];
    uint32_t count;
    bool calm;
};

static void caller_act(struct timer *timer, void *ctx)
{
    struct caller *caller = ctx;
    struct side *side = &caller->pair->sides[DIALER];
    if (caller->calm) {
        return;
    }
    shard_timer_start(side->end->shard, timer, PAIR_MS + prng_below(&caller->prng, 5 * PAIR_MS));
    uint32_t channel = (uint32_t)prng_below(&caller->prng, side->channel_count + 1);
    if (channel == side->channel_count) {
        if (side->channel_count < CHANNELS_MAX - 1) {
            side_dial_now(side);
        }
        return;
    }
    if (side->channels[channel] == NULL || !channel_is_up(side->channels[channel]) ||
        caller->count == STORM_CALLS_MAX) {
        return;
    }
    static const uint64_t verbs[] = {VERB_ECHO, VERB_ECHO, VERB_ECHO, VERB_SOURCE, VERB_FAIL, VERB_NOBODY, VERB_SINK};
    uint64_t verb = verbs[prng_below(&caller->prng, 7)];
    uint32_t most = verb == VERB_ECHO ? 100000 : verb == VERB_SOURCE ? 100 : 900;
    uint32_t at = caller->count++;
    caller->verbs[at] = verb;
    caller->bytes[at] = 1 + (uint32_t)prng_below(&caller->prng, most);
    const struct call_request request = {.verb = verb,
                                         .args = {NULL, caller->bytes[at]},
                                         .timeout_ns = PAIR_MS + prng_below(&caller->prng, SECOND / 2),
                                         .one_way = verb == VERB_SINK};
    caller->accepted[at] = side_call(side, channel, &request, &caller->outcomes[at]) == WEFT_OK;
    if (prng_below(&caller->prng, 40) == 0) {
        conn_close(&side->channels[channel]->conn, WEFT_REASON_LOCAL_CLOSE);
    }
}

static void caller_begin(void *ctx, struct weft_shard *shard)
{
    struct caller *caller = ctx;
    caller->timer = (struct timer){.fn = caller_act, .ctx = caller};
    shard_timer_start(shard, &caller->timer, PAIR_MS);
}

static void caller_end(void *ctx, struct weft_shard *shard)
{
    struct caller *caller = ctx;
    caller->calm = true;
    timer_wheel_stop(&shard->wheel, &caller->timer);
}

static void caller_check(const struct caller *caller, uint32_t answered[3])
{
    for (uint32_t i = 0; i < caller->count; i++) {
        const struct outcome *outcome = &caller->outcomes[i];
        assert_int_equal(outcome->count, caller->accepted[i]);
        if (!caller->accepted[i]) {
            continue;
        }
        assert_int_equal(outcome->wrong_bytes, 0);
        if (outcome->err == WEFT_OK && caller->verbs[i] != VERB_SINK) {
            assert_true(caller->verbs[i] == VERB_ECHO || caller->verbs[i] == VERB_SOURCE);
            assert_int_equal(outcome->bytes,
                             caller->verbs[i] == VERB_ECHO ? caller->bytes[i] : caller->bytes[i] * 1024);
            answered[0]++;
        } else if (outcome->err == WEFT_ERR_UNKNOWN_VERB) {
            assert_int_equal(caller->verbs[i], VERB_NOBODY);
            answered[1]++;
        } else if (outcome->err == WEFT_ERR_REMOTE && strstr(outcome->error.text, "busy") == NULL) {
            assert_int_equal(caller->verbs[i], VERB_FAIL);
            answered[1]++;
        } else if (outcome->err != WEFT_OK) {
            assert_true(outcome->err == WEFT_ERR_TIMEOUT || outcome->err == WEFT_ERR_CLOSED ||
                        outcome->err == WEFT_ERR_BUSY || outcome->err == WEFT_ERR_NO_MEMORY ||
                        outcome->err == WEFT_ERR_REMOTE);
            answered[2]++;
        }
    }
}

static void storm__faults_drawn__every_call_ends_once(void **state)
{
    (void)state;
    uint32_t answered[3] = {0}; /* well, with a failure, not at all */
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct channel_pair *pair = test_calloc(1, sizeof *pair);
        struct caller *caller = test_calloc(1, sizeof *caller);
        print_message("seed %llu\n", (unsigned long long)seed);
        channel_pair_init(pair, seed);
        sim_options_draw_faults(&pair->options.sim);
        pair->options.secure[0] = pair->options.secure[1] = seed % 2 == 1;
        pair->options.arena_bytes = seed % 4 == 0 ? 128u << 10 : 8u << 20;
        pair->options.sim.recv_buf_bytes = seed % 5 == 0 ? 100 : 0;
        pair->sides[DIALER].hello = seed % 8 != 0;
        pair->sides[DIALER].timeout = seed % 3 != 0;
        pair->sides[DIALER].duration = seed % 7 != 0;
        channel_pair_open(pair);
        caller->pair = pair;
        prng_init(&caller->prng, seed);
        conn_end_do(&pair->conns.ends[DIALER], caller_begin, caller);
        conn_pair_run(&pair->conns, SECOND);
        conn_end_do(&pair->conns.ends[DIALER], caller_end, caller);
        sim_world_heal(pair->conns.world);
        conn_pair_run(&pair->conns, 4 * SECOND);
        assert_int_equal(slots_in_use(&pair->sides[DIALER].rpc.calls), 0);
        caller_check(caller, answered);
        struct outcome outcome;
        /* A fresh channel takes the first place, and works. */
        channel_pair_fresh(pair);
        channel_pair_call(pair, VERB_ECHO, 5000, SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_OK);
        assert_int_equal(outcome.wrong_bytes, 0);
        channel_pair_close(pair);
        test_free(caller);
        test_free(pair);
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(answered[i] > SEEDS); /* the storm was about something */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(negotiation__every_combination__both_agree),
        cmocka_unit_test(refusal__by_the_acceptor__both_know),
        cmocka_unit_test(refusal__by_the_dialer__acceptor_sees_the_end),
        cmocka_unit_test(acceptor__first_bytes_wrong__ends_with_a_named_reason),
        cmocka_unit_test(acceptor__plaintext_hello_on_its_tls_port__told_so),
        cmocka_unit_test(dialer__answer_wrong__ends_with_a_named_reason),
        cmocka_unit_test(dialer__answered_before_it_offered__bad_negotiation),
        cmocka_unit_test(dialer__connection_id_unasked__remembered),
        cmocka_unit_test(dialer__compression_that_it_did_not_offer__bad_negotiation),
        cmocka_unit_test(negotiation__peer_says_nothing__hello_timeout),
        cmocka_unit_test(negotiation__requests_right_behind_it__answered),
        cmocka_unit_test(call__every_size__comes_back),
        cmocka_unit_test(call__not_served__unknown_verb_and_not_executed),
        cmocka_unit_test(call__handler_fails__text_arrives_cut),
        cmocka_unit_test(call__no_answer_in_time__ends_once_and_the_late_one_is_nobodys),
        cmocka_unit_test(calls__slots_used_up__refused_and_no_callback),
        cmocka_unit_test(calls__send_queue_full__refused_and_no_callback),
        cmocka_unit_test(request__its_verb_forbidden__refused_without_running),
        cmocka_unit_test(requests__slots_used_up__busy_or_they_wait),
        cmocka_unit_test(memory__no_room_for_a_request__busy),
        cmocka_unit_test(memory__no_room_for_an_answer__no_memory_and_executed),
        cmocka_unit_test(one_way__handed_over__told_once),
        cmocka_unit_test(channel__ends_with_calls__honest_about_execution),
        cmocka_unit_test(channel__closed_with_calls_queued__they_go_out),
        cmocka_unit_test(callback__calls_again__its_own_slot_is_free),
        cmocka_unit_test(waiting__channel_comes_up__sent_in_order),
        cmocka_unit_test(waiting__under_a_millisecond_left__times_out_unsent),
        cmocka_unit_test(waiting__nobody_comes__fails_unexecuted),
        cmocka_unit_test(waiting__no_room_for_its_arguments__refused),
        cmocka_unit_test(acceptor__bad_request__channel_ends),
        cmocka_unit_test(acceptor__request_cut_off__landing_comes_back),
        cmocka_unit_test(dialer__answers_to_nobody__counted_and_nothing_else),
        cmocka_unit_test(dialer__answer_on_another_channel__ignored),
        cmocka_unit_test(dialer__exceptions__each_what_it_means),
        cmocka_unit_test(dialer__broken_answer__call_fails_with_its_channel),
        cmocka_unit_test(acceptor__answers_pile_up__reads_no_more_until_they_drain),
        cmocka_unit_test(acceptor__many_large_answers_at_once__all_arrive),
        cmocka_unit_test(acceptor__ends_with_requests_held__nothing_left_of_them),
        cmocka_unit_test(storm__faults_drawn__every_call_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
