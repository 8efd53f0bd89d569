/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a failed call says about its execution is exact: `no` wherever the peer cannot have had the whole request
 * or said itself that it did not run it, `yes` only where it said that it did, `maybe` for the rest.
 *
 * Method: one case per row of the table in docs/protocol.md that the tests of channels and of cancellations do not
 * have: requests that left in part, and exceptions whose bytes find no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS

struct errand {
    struct channel_pair *pair;
    struct outcome *outcome;
    uint32_t bytes;
    bool one_way;
    uint64_t verb; /* 0: the usual one */
};

static void do_call(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    const struct call_request request = {
        .verb = errand->verb != 0 ? errand->verb
                : errand->one_way ? VERB_SINK
                                  : VERB_ECHO,
        .args = {NULL, errand->bytes},
        .timeout_ns = 10 * SECOND,
        .one_way = errand->one_way,
    };
    (void)shard;
    assert_int_equal(side_call(&errand->pair->sides[DIALER], 0, &request, errand->outcome), WEFT_OK);
}

static void do_pause(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_pause(&((struct side *)ctx)->channels[0]->conn);
}

static void do_resume(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_resume(&((struct side *)ctx)->channels[0]->conn); /* it sees the end */
}

static void do_abort(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_abort(&((struct side *)ctx)->channels[0]->conn, WEFT_ERR_CLOSED, WEFT_REASON_LOCAL_CLOSE);
}

/* A request of so many bytes to a peer that takes only its beginning; then the connection ends. */
static void expect_cut(bool secure, bool one_way, uint32_t bytes, enum weft_executed executed)
{
    struct channel_pair pair;
    struct outcome outcomes[2] = {{0}};
    channel_pair_init(&pair, bytes);
    pair.options.secure[0] = pair.options.secure[1] = secure;
    pair.options.sim.window_bytes = 16384;
    pair.options.arena_bytes = 16u << 20;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    conn_end_do(&pair.conns.ends[ACCEPTOR], do_pause, &pair.sides[ACCEPTOR]);
    struct errand errands[2] = {
        {.pair = &pair, .outcome = &outcomes[0], .bytes = 100},
        {.pair = &pair, .outcome = &outcomes[1], .bytes = bytes, .one_way = one_way},
    };
    conn_end_do(&pair.conns.ends[DIALER], do_call, &errands[0]);
    conn_pair_run(&pair.conns, SECOND / 10);
    conn_end_do(&pair.conns.ends[DIALER], do_call, &errands[1]);
    conn_pair_run(&pair.conns, SECOND / 10);
    const struct channel *channel = pair.sides[DIALER].channels[0];
    assert_true(channel->conn.left_total > 128); /* some of it did leave */
    if (one_way && outcomes[1].count == 1) {
        assert_int_equal(outcomes[1].err, WEFT_OK); /* handed over, which is all that one is told */
        assert_int_equal(outcomes[1].executed, executed);
    }
    conn_end_do(&pair.conns.ends[DIALER], do_abort, &pair.sides[DIALER]);
    conn_end_do(&pair.conns.ends[ACCEPTOR], do_resume, &pair.sides[ACCEPTOR]);
    conn_pair_until_closed(&pair.conns);
    assert_int_equal(outcomes[0].executed, WEFT_EXECUTED_MAYBE);
    assert_int_equal(outcomes[1].count, 1);
    assert_int_equal(outcomes[1].executed, executed);
    assert_int_equal(pair.sides[ACCEPTOR].sink_calls, 0);
    channel_pair_close(&pair);
}

static void request__left_in_part__not_executed(void **state)
{
    (void)state;
    expect_cut(false, false, 200000, WEFT_EXECUTED_NO);  /* handed over whole, taken in part */
    expect_cut(false, false, 1000000, WEFT_EXECUTED_NO); /* handed over in part */
    expect_cut(false, true, 1000000, WEFT_EXECUTED_NO);
    expect_cut(true, false, 1000000, WEFT_EXECUTED_NO); /* sealed in part */
}

static void request__sealed_whole__perhaps_executed(void **state)
{
    (void)state;
    expect_cut(true, false, 100000, WEFT_EXECUTED_MAYBE); /* what left of the records is not looked into */
    expect_cut(false, true, 200000, WEFT_EXECUTED_MAYBE);
}

static void exception__no_room_for_its_bytes__perhaps_executed(void **state)
{
    (void)state;
    for (int exception = 0; exception < 2; exception++) {
        struct channel_pair pair;
        struct outcome outcome = {0};
        static uint8_t frame[50016];
        channel_pair_init(&pair, 2);
        pair.sides[ACCEPTOR].raw = true;
        pair.options.arena_bytes = 64u << 10;
        channel_pair_open(&pair);
        channel_pair_dial(&pair);
        channel_pair_raw_greet(&pair, ACCEPTOR);
        struct errand errand = {.pair = &pair, .outcome = &outcome};
        conn_end_do(&pair.conns.ends[DIALER], do_call, &errand);
        conn_pair_run(&pair.conns, SECOND / 10);
        const struct side *acceptor = &pair.sides[ACCEPTOR];
        const struct wire_response response = {
            .id = wire_request_read(acceptor->raw_bytes + acceptor->raw_used - 28, true).id,
            .exception = exception == 1,
        };
        uint32_t at = wire_response_write(frame, true, &response, sizeof frame - 16);
        bytes_store32(frame + at, WIRE_EXCEPTION_BUSY);
        bytes_store32(frame + at + 4, sizeof frame - 24);
        channel_pair_raw_send(&pair, ACCEPTOR, 0, frame, sizeof frame);
        assert_int_equal(outcome.count, 1);
        assert_int_equal(outcome.err, WEFT_ERR_NO_MEMORY);
        assert_int_equal(outcome.executed, exception == 1 ? WEFT_EXECUTED_MAYBE : WEFT_EXECUTED_YES);
        channel_pair_close(&pair);
    }
}

/* It is answered all the same, since who serves it cannot know better; nobody waits for that. */
static void one_way__to_a_verb_that_nobody_serves__its_answer_is_ignored(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome = {0};
    channel_pair_init(&pair, 3);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct errand errand = {.pair = &pair, .outcome = &outcome, .bytes = 10, .one_way = true, .verb = VERB_NOBODY};
    conn_end_do(&pair.conns.ends[DIALER], do_call, &errand);
    conn_pair_run(&pair.conns, SECOND / 10);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.err, WEFT_OK);
    assert_int_equal(outcome.executed, WEFT_EXECUTED_MAYBE);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_failed), 1);
    assert_int_equal(COUNTER(&pair, DIALER, late_replies), 1);
    assert_int_equal(pair.sides[DIALER].down, 0);
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request__left_in_part__not_executed),
        cmocka_unit_test(request__sealed_whole__perhaps_executed),
        cmocka_unit_test(exception__no_room_for_its_bytes__perhaps_executed),
        cmocka_unit_test(one_way__to_a_verb_that_nobody_serves__its_answer_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
