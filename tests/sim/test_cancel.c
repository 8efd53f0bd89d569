/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a call that is cancelled, or whose deadline passes, ends exactly once and says truly whether it can have run;
 * its request never goes out if it had not begun to; everything else in the queue does, whole and in order; and the
 * handler on the other side learns that nobody waits any more, once.
 *
 * Method: channel pairs over the simulator.  A small window and a dialer whose peer does not read keep requests in the
 * queue; a raw acceptor shows the bytes; storms mix cancellations with everything else, and each request carries its
 * number, so that what ran is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/prng.h"
#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS

/* Something to do inside a turn of the dialer. */
struct errand {
    struct channel_pair *pair;
    struct outcome *outcome;
    uint64_t verb;
    uint32_t bytes;
    uint64_t timeout_ns;
    bool one_way;
    enum weft_err expected; /* of the cancellation */
};

static void do_call(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    const struct call_request request = {
        .verb = errand->verb,
        .args = {NULL, errand->bytes},
        .timeout_ns = errand->timeout_ns != 0 ? errand->timeout_ns : 10 * SECOND,
        .one_way = errand->one_way,
    };
    (void)shard;
    assert_int_equal(side_call(&errand->pair->sides[DIALER], 0, &request, errand->outcome), WEFT_OK);
}

static void do_cancel(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    uint32_t count = errand->outcome->count;
    (void)shard;
    assert_int_equal(call_cancel(&errand->pair->sides[DIALER].rpc, errand->outcome->id), errand->expected);
    assert_int_equal(errand->outcome->count, count); /* never from inside */
}

static void begin(struct channel_pair *pair, uint64_t verb, uint32_t bytes, struct outcome *outcome)
{
    struct errand errand = {.pair = pair, .outcome = outcome, .verb = verb, .bytes = bytes};
    conn_end_do(&pair->conns.ends[DIALER], do_call, &errand);
}

static void cancel(struct channel_pair *pair, struct outcome *outcome, enum weft_err expected)
{
    struct errand errand = {.pair = pair, .outcome = outcome, .expected = expected};
    conn_end_do(&pair->conns.ends[DIALER], do_cancel, &errand);
}

static void expect_cancelled(const struct outcome *outcome, enum weft_executed executed)
{
    assert_int_equal(outcome->count, 1);
    assert_int_equal(outcome->err, WEFT_ERR_CANCELLED);
    assert_int_equal(outcome->executed, executed);
    assert_int_equal(outcome->bytes, 0);
}

static void cancel__in_flight__both_sides_know(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        struct channel_pair pair;
        struct outcome outcome = {0};
        channel_pair_init(&pair, 1);
        pair.options.secure[0] = pair.options.secure[1] = secure == 1;
        pair.sides[ACCEPTOR].watch_aborts = true;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        begin(&pair, VERB_KEEP, 100, &outcome);
        conn_pair_run(&pair.conns, SECOND / 10);
        assert_int_equal(pair.sides[ACCEPTOR].kept_count, 1);
        assert_int_equal(pair.sides[ACCEPTOR].aborts, 0);
        cancel(&pair, &outcome, WEFT_OK);
        expect_cancelled(&outcome, WEFT_EXECUTED_MAYBE);
        cancel(&pair, &outcome, WEFT_ERR_NOT_FOUND);
        conn_pair_run(&pair.conns, SECOND / 10);
        assert_int_equal(pair.sides[ACCEPTOR].aborts, 1);
        assert_int_equal(pair.sides[ACCEPTOR].abort_why, WEFT_ERR_CANCELLED);
        channel_pair_answer_kept(&pair, WEFT_ERR_CANCELLED);
        assert_int_equal(COUNTER(&pair, DIALER, late_replies), 0); /* nothing was sent */
        assert_int_equal(COUNTER(&pair, DIALER, calls_cancelled), 1);
        assert_int_equal(COUNTER(&pair, DIALER, cancels_sent), 1);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, cancels_received), 1);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_aborted), 1);
        expect_cancelled(&outcome, WEFT_EXECUTED_MAYBE);
        channel_pair_close(&pair);
    }
}

struct trio {
    struct channel_pair *pair;
    struct outcome outcomes[3];
};

static void do_trio(void *ctx, struct weft_shard *shard)
{
    struct trio *trio = ctx;
    for (uint32_t i = 0; i < 3; i++) {
        struct errand errand = {.pair = trio->pair, .outcome = &trio->outcomes[i], .verb = VERB_ECHO, .bytes = 40 + i};
        do_call(&errand, shard);
    }
    struct errand second = {.pair = trio->pair, .outcome = &trio->outcomes[1], .expected = WEFT_OK};
    do_cancel(&second, shard);
    second.expected = WEFT_ERR_NOT_FOUND; /* its callback has not run, and it is over all the same */
    do_cancel(&second, shard);
}

static void cancel__before_the_turn_ends__never_leaves_and_the_rest_does(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        struct channel_pair pair;
        struct trio trio = {.pair = &pair};
        channel_pair_init(&pair, 3);
        pair.options.secure[0] = pair.options.secure[1] = secure == 1;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        conn_end_do(&pair.conns.ends[DIALER], do_trio, &trio);
        conn_pair_run(&pair.conns, SECOND / 10);
        expect_cancelled(&trio.outcomes[1], WEFT_EXECUTED_NO);
        for (uint32_t i = 0; i < 3; i += 2) {
            assert_int_equal(trio.outcomes[i].err, WEFT_OK);
            assert_int_equal(trio.outcomes[i].bytes, 40 + i);
            assert_int_equal(trio.outcomes[i].wrong_bytes, 0);
        }
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_received), 2);
        assert_int_equal(COUNTER(&pair, DIALER, cancels_sent), 0); /* there was nothing to stop */
        channel_pair_close(&pair);
    }
}

static void cancel__races_its_reply__one_of_them_wins(void **state)
{
    (void)state;
    uint32_t ends[2] = {0};
    for (uint64_t wait_ns = 0; wait_ns < 3 * PAIR_MS; wait_ns += PAIR_MS / 50) {
        struct channel_pair pair;
        struct outcome outcome = {0};
        channel_pair_init(&pair, 4 + wait_ns);
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        begin(&pair, VERB_ECHO, 100, &outcome);
        conn_pair_run(&pair.conns, wait_ns);
        bool answered = outcome.count == 1;
        if (answered) {
            cancel(&pair, &outcome, WEFT_ERR_NOT_FOUND);
        } else {
            cancel(&pair, &outcome, WEFT_OK);
        }
        conn_pair_run(&pair.conns, SECOND / 10);
        assert_int_equal(outcome.count, 1);
        if (answered) {
            assert_int_equal(outcome.err, WEFT_OK);
        } else {
            expect_cancelled(&outcome, WEFT_EXECUTED_MAYBE);
            assert_int_equal(COUNTER(&pair, DIALER, late_replies), 1);
        }
        ends[answered]++;
        channel_pair_call(&pair, VERB_ECHO, 10, SECOND, &outcome); /* the channel is none the worse */
        assert_int_equal(outcome.err, WEFT_OK);
        channel_pair_close(&pair);
    }
    assert_true(ends[0] > 5 && ends[1] > 5);
}

/* Ids that name nothing. */
static void cancel__of_nothing__not_found(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome = {0};
    channel_pair_init(&pair, 5);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    cancel(&pair, &outcome, WEFT_ERR_NOT_FOUND); /* zero */
    begin(&pair, VERB_KEEP, 10, &outcome);
    weft_call_id true_id = outcome.id;
    outcome.id.bits = true_id.bits ^ 1; /* of another shard */
    cancel(&pair, &outcome, WEFT_ERR_NOT_FOUND);
    outcome.id.bits = true_id.bits ^ 1u << 12; /* a slot that nobody used */
    cancel(&pair, &outcome, WEFT_ERR_NOT_FOUND);
    outcome.id.bits = true_id.bits + (UINT64_C(1) << 32); /* a later generation */
    cancel(&pair, &outcome, WEFT_ERR_NOT_FOUND);
    assert_int_equal(outcome.count, 0);
    outcome.id = true_id;
    cancel(&pair, &outcome, WEFT_OK);
    expect_cancelled(&outcome, WEFT_EXECUTED_MAYBE);
    channel_pair_close(&pair);
}

struct mutual {
    struct channel_pair *pair;
    struct outcome outcomes[2];
};

static void cancels_the_other(struct outcome *outcome, void *ctx)
{
    struct mutual *mutual = ctx;
    struct rpc *rpc = &mutual->pair->sides[DIALER].rpc;
    struct outcome *other = outcome == &mutual->outcomes[0] ? &mutual->outcomes[1] : &mutual->outcomes[0];
    assert_int_equal(call_cancel(rpc, outcome->id), WEFT_ERR_NOT_FOUND); /* it is the one that just ended */
    assert_int_equal(call_cancel(rpc, other->id), other->count == 0 ? WEFT_OK : WEFT_ERR_NOT_FOUND);
}

static void cancel__from_a_callback__runs_the_other_one_later(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct mutual mutual = {.pair = &pair};
    channel_pair_init(&pair, 6);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    for (uint32_t i = 0; i < 2; i++) {
        mutual.outcomes[i].then = cancels_the_other;
        mutual.outcomes[i].ctx = &mutual;
    }
    begin(&pair, VERB_ECHO, 10, &mutual.outcomes[0]);
    begin(&pair, VERB_KEEP, 10, &mutual.outcomes[1]);
    conn_pair_run(&pair.conns, SECOND / 10);
    assert_int_equal(mutual.outcomes[0].count, 1);
    assert_int_equal(mutual.outcomes[0].err, WEFT_OK);
    expect_cancelled(&mutual.outcomes[1], WEFT_EXECUTED_MAYBE);
    channel_pair_close(&pair);
}

static void do_cancel_and_end(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    struct conn *conn = &errand->pair->sides[DIALER].channels[0]->conn;
    do_cancel(errand, shard);
    if (errand->one_way) {
        conn_abort(conn, WEFT_ERR_CLOSED, WEFT_REASON_LOCAL_CLOSE);
    } else {
        conn_close(conn, WEFT_REASON_LOCAL_CLOSE);
    }
}

static void cancel__then_the_connection_ends__once_all_the_same(void **state)
{
    (void)state;
    for (int abort = 0; abort < 2; abort++) {
        struct channel_pair pair;
        struct outcome outcomes[2] = {{0}};
        channel_pair_init(&pair, 7);
        pair.sides[ACCEPTOR].watch_aborts = true;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        begin(&pair, VERB_KEEP, 10, &outcomes[0]);
        begin(&pair, VERB_KEEP, 10, &outcomes[1]);
        conn_pair_run(&pair.conns, SECOND / 10);
        struct errand errand = {.pair = &pair, .outcome = &outcomes[0], .expected = WEFT_OK, .one_way = abort == 1};
        conn_end_do(&pair.conns.ends[DIALER], do_cancel_and_end, &errand);
        conn_pair_until_closed(&pair.conns);
        expect_cancelled(&outcomes[0], WEFT_EXECUTED_MAYBE);
        assert_int_equal(outcomes[1].count, 1);
        assert_int_equal(outcomes[1].err, WEFT_ERR_CLOSED);
        assert_int_equal(outcomes[1].executed, WEFT_EXECUTED_MAYBE);
        assert_int_equal(pair.sides[ACCEPTOR].aborts, 2);
        channel_pair_close(&pair);
    }
}

static void cancel__peer_without_a_hello__is_not_told(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome = {0};
    channel_pair_init(&pair, 8);
    pair.sides[ACCEPTOR].hello = false;
    pair.sides[DIALER].hello = false;
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    begin(&pair, VERB_KEEP, 10, &outcome);
    conn_pair_run(&pair.conns, SECOND / 10);
    cancel(&pair, &outcome, WEFT_OK);
    expect_cancelled(&outcome, WEFT_EXECUTED_MAYBE);
    conn_pair_run(&pair.conns, SECOND / 10);
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 0);
    channel_pair_answer_kept(&pair, WEFT_OK);
    assert_int_equal(COUNTER(&pair, DIALER, late_replies), 1);
    assert_int_equal(COUNTER(&pair, DIALER, cancels_sent), 0);
    channel_pair_close(&pair);
}

/* What the peer sees: the request, then verb 2^63+2 with the request's id, and an id of its own. */
static void cancel__on_the_wire__names_the_request(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome = {0};
    channel_pair_init(&pair, 9);
    pair.sides[ACCEPTOR].raw = true;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    channel_pair_raw_greet(&pair, ACCEPTOR);
    pair.sides[ACCEPTOR].raw_used = 0;
    begin(&pair, VERB_KEEP, 5, &outcome);
    conn_pair_run(&pair.conns, SECOND / 10);
    cancel(&pair, &outcome, WEFT_OK);
    conn_pair_run(&pair.conns, SECOND / 10);
    const uint8_t *bytes = pair.sides[ACCEPTOR].raw_bytes;
    assert_int_equal(pair.sides[ACCEPTOR].raw_used, 28 + 5 + 28 + 8);
    struct wire_request request = wire_request_read(bytes, true);
    struct wire_request told = wire_request_read(bytes + 33, true);
    assert_int_equal(told.verb, WIRE_VERB_CANCEL);
    assert_true(told.id > 0 && told.id != request.id);
    assert_int_equal(bytes_load32(bytes + 33 + 24), 8);
    assert_int_equal(bytes_load64(bytes + 33 + 28), request.id);
    channel_pair_close(&pair);
}

/* --- the handler's side --- */

static void raw_request_by(struct channel_pair *pair, uint32_t raw, uint64_t verb, int64_t id, uint64_t timeout_ms,
                           struct weft_span payload)
{
    uint8_t frame[64];
    const struct wire_request request = {.timeout_ms = timeout_ms, .verb = verb, .id = id};
    uint32_t bytes = wire_request_write(frame, true, &request, payload.bytes);
    memcpy(frame + bytes, payload.data, payload.bytes);
    channel_pair_raw_send(pair, DIALER, raw, frame, bytes + payload.bytes);
}

static void raw_request(struct channel_pair *pair, uint64_t verb, int64_t id, uint64_t timeout_ms,
                        struct weft_span payload)
{
    raw_request_by(pair, 0, verb, id, timeout_ms, payload);
}

static void acceptor__cancel_of_anything__stops_one_request_at_most(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t id[9] = {0};
    channel_pair_init(&pair, 10);
    pair.sides[DIALER].raw = true;
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    channel_pair_raw_greet(&pair, DIALER);
    for (int64_t i = 1; i <= 3; i++) {
        raw_request(&pair, VERB_KEEP, i, 0, weft_span_of("k"));
    }
    raw_request(&pair, VERB_KEEP, 3, 0, weft_span_of("k")); /* an id that is in use */
    bytes_store64(id, 77);
    raw_request(&pair, WIRE_VERB_CANCEL, 10, 0, (struct weft_span){id, 8}); /* nobody's */
    bytes_store64(id, 2);
    raw_request(&pair, WIRE_VERB_CANCEL, 11, 0, (struct weft_span){id, 7}); /* too short */
    raw_request(&pair, WIRE_VERB_CANCEL, 12, 0, (struct weft_span){id, 9}); /* too long */
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 0);
    raw_request(&pair, WIRE_VERB_CANCEL, 13, 0, (struct weft_span){id, 8});
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 1);
    raw_request(&pair, WIRE_VERB_CANCEL, 14, 0, (struct weft_span){id, 8}); /* again */
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 1);
    bytes_store64(id, 3);
    raw_request(&pair, WIRE_VERB_CANCEL, 15, 0, (struct weft_span){id, 8});
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 2);
    raw_request(&pair, WIRE_VERB_CANCEL, 16, 0, (struct weft_span){id, 8}); /* the other one of that id */
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 3);
    uint32_t answered = pair.sides[DIALER].raw_used;
    assert_int_equal(COUNTER(&pair, ACCEPTOR, cancels_received), 7);
    raw_request(&pair, VERB_ECHO, 20, 0, weft_span_of("still here"));
    assert_true(pair.sides[DIALER].raw_used == answered + 16 + 10);
    channel_pair_close(&pair);
}

/* Two peers number their requests alike, and with two chains for all of them every other pair shares one. */
static void acceptor__cancel_of_another_peer_s_id__stops_nothing(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t payload[8];
    channel_pair_init(&pair, 11);
    pair.sides[DIALER].raw = true;
    pair.sides[ACCEPTOR].watch_aborts = true;
    pair.sides[ACCEPTOR].requests_max = 2;
    channel_pair_open(&pair);
    for (uint32_t i = 0; i < 2; i++) {
        channel_pair_dial(&pair);
        channel_pair_raw_greet(&pair, DIALER);
    }
    for (int64_t id = 1; id <= 16; id++) {
        bytes_store64(payload, (uint64_t)id);
        raw_request_by(&pair, 0, VERB_KEEP, id, 0, weft_span_of("k"));
        raw_request_by(&pair, 1, WIRE_VERB_CANCEL, 100 + id, 0, (struct weft_span){payload, 8});
        assert_int_equal(pair.sides[ACCEPTOR].aborts, 0);
        channel_pair_answer_kept(&pair, WEFT_OK);
    }
    assert_int_equal(COUNTER(&pair, ACCEPTOR, cancels_received), 16);
    channel_pair_close(&pair);
}

static void abort__connection_ends__told_once(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[3] = {{0}};
    channel_pair_init(&pair, 11);
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    for (uint32_t i = 0; i < 3; i++) {
        begin(&pair, VERB_KEEP, 10, &outcomes[i]);
    }
    conn_pair_run(&pair.conns, SECOND / 10);
    channel_pair_fresh(&pair);
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 3);
    assert_int_equal(pair.sides[ACCEPTOR].abort_why, WEFT_ERR_CLOSED);
    channel_pair_answer_kept(&pair, WEFT_ERR_CLOSED);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_aborted), 3);
    channel_pair_close(&pair);
}

static void abort__deadline_passes__told_then(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    channel_pair_init(&pair, 12);
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    channel_pair_call(&pair, VERB_KEEP, 10, SECOND / 20, &outcome);
    assert_int_equal(outcome.err, WEFT_ERR_TIMEOUT);
    conn_pair_run(&pair.conns, 10 * PAIR_MS);
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 1);
    assert_int_equal(pair.sides[ACCEPTOR].abort_why, WEFT_ERR_EXPIRED);
    assert_int_equal(COUNTER(&pair, DIALER, cancels_sent), 0); /* the request carried its deadline */
    channel_pair_answer_kept(&pair, WEFT_ERR_EXPIRED);
    channel_pair_close(&pair);
}

static void abort__after_the_answer__never(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome = {0};
    channel_pair_init(&pair, 13);
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct errand errand = {
        .pair = &pair, .outcome = &outcome, .verb = VERB_KEEP, .bytes = 10, .timeout_ns = SECOND / 2};
    conn_end_do(&pair.conns.ends[DIALER], do_call, &errand);
    conn_pair_run(&pair.conns, SECOND / 10);
    channel_pair_answer_kept(&pair, WEFT_OK);
    assert_int_equal(outcome.err, WEFT_OK);
    conn_pair_run(&pair.conns, SECOND);
    channel_pair_fresh(&pair);
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 0);
    channel_pair_close(&pair);
}

/* --- what waits in the queue --- */

#define QUEUED_MAX 300u
#define NUMBERED 1u /* this verb notes the number that its payload begins with */

struct numbers {
    struct channel_pair *pair;
    struct prng prng;
    uint32_t count;
    bool one_way[QUEUED_MAX];
    bool accepted[QUEUED_MAX];
    uint32_t runs[QUEUED_MAX];
    uint32_t last; /* plus one */
    uint32_t bytes[QUEUED_MAX];
    struct outcome outcomes[QUEUED_MAX];
};

static void verb_numbered(void *ctx, weft_request *request)
{
    struct numbers *numbers = ctx;
    struct weft_span payload = weft_request_payload(request);
    assert_true(payload.bytes >= 4);
    uint32_t number = bytes_load32(payload.data);
    assert_in_range(number, 0, numbers->count - 1);
    assert_int_equal(payload.bytes, numbers->bytes[number]);
    for (uint32_t i = 4; i < payload.bytes; i++) {
        assert_int_equal(payload.data[i], pattern_byte(i + number));
    }
    assert_true(number + 1 > numbers->last); /* in the order of the calls */
    numbers->last = number + 1;
    numbers->runs[number]++;
    (void)weft_reply(request, (struct weft_span){NULL, 0});
}

static void numbered_call(struct numbers *numbers, uint64_t timeout_ns)
{
    static uint8_t payload[40000];
    uint32_t number = numbers->count;
    uint32_t most = prng_below(&numbers->prng, 4) == 0 ? sizeof payload : 600;
    uint32_t bytes = 4 + (uint32_t)prng_below(&numbers->prng, most - 3);
    bytes_store32(payload, number);
    for (uint32_t i = 4; i < bytes; i++) {
        payload[i] = pattern_byte(i + number);
    }
    numbers->count++;
    numbers->bytes[number] = bytes;
    numbers->one_way[number] = prng_below(&numbers->prng, 4) == 0;
    const struct call_request request = {
        .verb = numbers->one_way[number] ? NUMBERED + 100 : NUMBERED,
        .args = {payload, bytes},
        .timeout_ns = timeout_ns,
        .one_way = numbers->one_way[number],
        .fn = outcome_done,
        .ctx = &numbers->outcomes[number],
        .id = &numbers->outcomes[number].id,
    };
    numbers->accepted[number] = call_send(numbers->pair->sides[DIALER].channels[0], &request) == WEFT_OK;
}

/* A few calls, then some of all cancelled. */
static void do_numbered(void *ctx, struct weft_shard *shard)
{
    struct numbers *numbers = ctx;
    (void)shard;
    struct channel *channel = numbers->pair->sides[DIALER].channels[0];
    for (uint32_t i = 0; i < 12 && numbers->count < QUEUED_MAX && channel != NULL; i++) {
        uint64_t timeout_ns =
            PAIR_MS * (1 + prng_below(&numbers->prng, prng_below(&numbers->prng, 3) == 0 ? 60 : 9000));
        numbered_call(numbers, timeout_ns);
    }
    for (uint32_t i = 0; i < 5 && numbers->count > 0; i++) {
        uint32_t number = (uint32_t)prng_below(&numbers->prng, numbers->count);
        struct outcome *outcome = &numbers->outcomes[number];
        enum weft_err err = call_cancel(&numbers->pair->sides[DIALER].rpc, outcome->id);
        assert_true(err == WEFT_ERR_NOT_FOUND || (outcome->count == 0 && numbers->accepted[number]));
    }
}

static void numbers_check(const struct numbers *numbers, uint32_t ends[3])
{
    for (uint32_t i = 0; i < numbers->count; i++) {
        const struct outcome *outcome = &numbers->outcomes[i];
        assert_int_equal(outcome->count, numbers->accepted[i]);
        assert_true(numbers->runs[i] <= outcome->count);
        if (outcome->count == 0) {
            continue;
        }
        if (outcome->err == WEFT_OK && !numbers->one_way[i]) {
            assert_int_equal(outcome->executed, WEFT_EXECUTED_YES);
        }
        if (outcome->executed == WEFT_EXECUTED_NO) {
            assert_int_equal(numbers->runs[i], 0);
            ends[outcome->err == WEFT_ERR_CANCELLED ? 0 : 1]++;
        } else if (outcome->executed == WEFT_EXECUTED_YES) {
            assert_int_equal(numbers->runs[i], 1);
            ends[2]++;
        }
    }
}

static void handle_numbered(struct numbers *numbers)
{
    struct side *side = &numbers->pair->sides[ACCEPTOR];
    const struct verb verbs[] = {
        {.number = NUMBERED, .fn = verb_numbered, .ctx = numbers},
        {.number = NUMBERED + 100, .fn = verb_numbered, .ctx = numbers, .one_way = true},
    };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(verb_table_add(&side->verbs, &verbs[i]), WEFT_OK);
    }
}

/* A window that lets little through keeps requests in the queue, where cancellations and deadlines find them. */
static void queue__cancelled_and_expired_in_it__never_leave_and_the_rest_is_whole(void **state)
{
    (void)state;
    uint32_t ends[3] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct channel_pair *pair = test_calloc(1, sizeof *pair);
        struct numbers *numbers = test_calloc(1, sizeof *numbers);
        print_message("seed %llu\n", (unsigned long long)seed);
        channel_pair_init(pair, seed);
        pair->options.sim.window_bytes = 4096u << seed % 4;
        pair->options.secure[0] = pair->options.secure[1] = seed % 2 == 1;
        pair->sides[DIALER].hello = seed % 3 != 0;
        pair->sides[DIALER].timeout = seed % 5 != 0;
        pair->sides[DIALER].calls_max = QUEUED_MAX;
        numbers->pair = pair;
        prng_init(&numbers->prng, seed);
        channel_pair_open(pair);
        handle_numbered(numbers);
        channel_pair_connect(pair);
        while (numbers->count < QUEUED_MAX) {
            conn_end_do(&pair->conns.ends[DIALER], do_numbered, numbers);
            conn_pair_run(&pair->conns, prng_below(&numbers->prng, 8 * PAIR_MS));
        }
        if (seed % 4 == 0) { /* what is in the queue never leaves */
            channel_pair_fresh(pair);
        }
        conn_pair_run(&pair->conns, 12 * SECOND);
        assert_int_equal(slots_in_use(&pair->sides[DIALER].rpc.calls), 0);
        numbers_check(numbers, ends);
        struct outcome outcome;
        channel_pair_call(pair, VERB_ECHO, 5000, SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_OK);
        assert_int_equal(outcome.wrong_bytes, 0);
        channel_pair_close(pair);
        test_free(numbers);
        test_free(pair);
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(ends[i] > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel__in_flight__both_sides_know),
        cmocka_unit_test(cancel__before_the_turn_ends__never_leaves_and_the_rest_does),
        cmocka_unit_test(cancel__races_its_reply__one_of_them_wins),
        cmocka_unit_test(cancel__of_nothing__not_found),
        cmocka_unit_test(cancel__from_a_callback__runs_the_other_one_later),
        cmocka_unit_test(cancel__then_the_connection_ends__once_all_the_same),
        cmocka_unit_test(cancel__peer_without_a_hello__is_not_told),
        cmocka_unit_test(cancel__on_the_wire__names_the_request),
        cmocka_unit_test(acceptor__cancel_of_anything__stops_one_request_at_most),
        cmocka_unit_test(acceptor__cancel_of_another_peer_s_id__stops_nothing),
        cmocka_unit_test(abort__connection_ends__told_once),
        cmocka_unit_test(abort__deadline_passes__told_then),
        cmocka_unit_test(abort__after_the_answer__never),
        cmocka_unit_test(queue__cancelled_and_expired_in_it__never_leave_and_the_rest_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
