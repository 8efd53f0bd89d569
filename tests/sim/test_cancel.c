/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a call that is cancelled ends exactly once and says truly whether it can have run.
 *
 * Method: channel pairs over the simulator; a raw acceptor shows the bytes.  What waits in the queue is cancelled in
 * test_cancel_queue.c, what the handler on the other side learns is in test_abort.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/errand.h"

#define SECOND PAIR_SECOND_NS

static void do_cancel(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    uint32_t count = errand->outcome->count;
    (void)shard;
    assert_int_equal(call_cancel(&errand->pair->sides[DIALER].rpc, errand->outcome->id), errand->expected);
    assert_int_equal(errand->outcome->count, count); /* never from inside */
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
        errand_begin(&pair, VERB_KEEP, 100, &outcome);
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
        errand_call(&errand, shard);
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
        errand_begin(&pair, VERB_ECHO, 100, &outcome);
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
    errand_begin(&pair, VERB_KEEP, 10, &outcome);
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
    errand_begin(&pair, VERB_ECHO, 10, &mutual.outcomes[0]);
    errand_begin(&pair, VERB_KEEP, 10, &mutual.outcomes[1]);
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
        errand_begin(&pair, VERB_KEEP, 10, &outcomes[0]);
        errand_begin(&pair, VERB_KEEP, 10, &outcomes[1]);
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
    errand_begin(&pair, VERB_KEEP, 10, &outcome);
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
    errand_begin(&pair, VERB_KEEP, 5, &outcome);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
