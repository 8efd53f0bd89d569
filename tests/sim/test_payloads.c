/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: large payloads arrive whole whichever way they take (by reference or copied, plain or sealed, landed in pieces
 * or taken over), and at the end of every run each reference and each block is back.
 *
 * Method: a channel pair in calm worlds, for each rule of what is received. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/payload_pair.h"

#define SECOND PAIR_SECOND_NS

static void call__by_reference__arrives_and_is_released(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 4096, 16384, 65535, 65536, 65537, 300000, 1 << 20, 3 << 20};
    for (uint32_t secure = 0; secure < 2; secure++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct channel_pair pair;
            struct outcome outcome;
            channel_pair_init(&pair, 10 + i);
            pair.options.secure[0] = pair.options.secure[1] = secure == 1;
            pair.options.arena_bytes = 16u << 20;
            pair.sides[DIALER].by_reference = true;
            channel_pair_open(&pair);
            channel_pair_connect(&pair);
            channel_pair_call(&pair, VERB_TAKE, sizes[i], 30 * SECOND, &outcome);
            assert_int_equal(outcome.err, WEFT_OK);
            assert_int_equal(outcome.bytes, sizes[i]);
            assert_int_equal(outcome.wrong_bytes, 0);
            assert_int_equal(pair.sides[ACCEPTOR].taken, 1);
            conn_pair_run(&pair.conns, SECOND);
            expect_all_back(&pair);
            channel_pair_close(&pair);
        }
    }
}

/* --- taking over --- */

struct keeper {
    struct side *side;
    uint32_t bytes;
    uint32_t ended;
    const uint8_t *seen; /* where the callback saw the payload */
    weft_buf *kept;
    weft_buf *again;
};

static void keeper_done(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct keeper *keeper = ctx;
    assert_int_equal(err, WEFT_OK);
    keeper->ended++;
    keeper->seen = reply->payload.data;
    keeper->kept = weft_reply_take_payload(reply);
    keeper->again = weft_reply_take_payload(reply);
}

static void keeper_call(void *ctx, struct weft_shard *shard)
{
    struct keeper *keeper = ctx;
    weft_buf *args = weft_buf_take(shard, keeper->bytes);
    for (uint32_t i = 0; i < keeper->bytes; i++) {
        weft_buf_data(args)[i] = pattern_byte(i);
    }
    const struct call_request request = {
        .verb = VERB_TAKE, .payload = args, .timeout_ns = 30 * SECOND, .fn = keeper_done, .ctx = keeper};
    assert_int_equal(call_send(keeper->side->channels[0], &request), WEFT_OK);
    weft_buf_unref(args);
}

static bool keeper_ended(void *ctx)
{
    return ((const struct keeper *)ctx)->ended > 0;
}

static void keeper_drop(void *ctx, struct weft_shard *shard)
{
    struct keeper *keeper = ctx;
    (void)shard;
    weft_buf_unref(keeper->kept);
    weft_buf_unref(keeper->again);
}

/* What was assembled is handed over as it is, once; a view, and a second taking, are copies. */
static void reply__payload_taken__outlives_the_callback(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {100, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct channel_pair pair;
        struct keeper keeper = {.bytes = sizes[i]};
        channel_pair_init(&pair, 20);
        pair.options.arena_bytes = 16u << 20;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        keeper.side = &pair.sides[DIALER];
        conn_end_do(&pair.conns.ends[DIALER], keeper_call, &keeper);
        conn_pair_until(&pair.conns, keeper_ended, &keeper);
        conn_pair_run(&pair.conns, SECOND);
        assert_non_null(keeper.kept);
        assert_non_null(keeper.again);
        assert_int_equal(weft_buf_data(keeper.kept) == keeper.seen, sizes[i] == 300000);
        assert_ptr_not_equal(weft_buf_data(keeper.again), weft_buf_data(keeper.kept));
        for (uint32_t at = 0; at < sizes[i]; at++) {
            assert_int_equal(weft_buf_data(keeper.kept)[at], pattern_byte(at));
            assert_int_equal(weft_buf_data(keeper.again)[at], pattern_byte(at));
        }
        conn_end_do(&pair.conns.ends[DIALER], keeper_drop, &keeper);
        expect_all_back(&pair);
        channel_pair_close(&pair);
    }
}

/* --- landing --- */

static void channels_polite(void *ctx, struct weft_shard *shard)
{
    struct side *side = ctx;
    (void)shard;
    channel_set_lane(side->channels[0], WEFT_LANE_BULK);
}

static void large__plain__lands_where_it_stays(void **state)
{
    (void)state;
    for (uint32_t polite = 0; polite < 2; polite++) {
        struct channel_pair pair;
        struct outcome outcome;
        large_pair_open(&pair, 50 + polite);
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        for (uint32_t i = 0; i < 2 && polite == 1; i++) {
            conn_end_do(&pair.conns.ends[i], channels_polite, &pair.sides[i]);
        }
        for (uint32_t i = 0; i < 4; i++) {
            channel_pair_call(&pair, VERB_TAKE, LARGE_BYTES, 30 * SECOND, &outcome);
            assert_int_equal(outcome.err, WEFT_OK);
            assert_int_equal(outcome.bytes, LARGE_BYTES);
            assert_int_equal(outcome.wrong_bytes, 0);
        }
        for (uint32_t i = 0; i < 2; i++) {
            assert_true(counters_of(&pair, i)->bytes_landed > 2 * LARGE_BYTES);
            assert_int_equal(counters_of(&pair, i)->bytes_referenced, 4 * LARGE_BYTES);
        }
        /* Small ones flow as before. */
        for (uint32_t i = 0; i < 40; i++) {
            channel_pair_call(&pair, VERB_ECHO, 100, SECOND, &outcome);
            assert_int_equal(outcome.err, WEFT_OK);
        }
        for (uint32_t i = 0; i < 2; i++) {
            const struct conn *conn = &pair.sides[i].channels[0]->conn;
            assert_int_equal(conn->recv.kind, IO_RECV);
            assert_int_equal(conn->recv.recv.once, polite == 1);
        }
        expect_all_back(&pair);
        channel_pair_close(&pair);
    }
}

static void large__sealed__never_lands(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    large_pair_open(&pair, 52);
    pair.options.secure[0] = pair.options.secure[1] = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    channel_pair_call(&pair, VERB_TAKE, LARGE_BYTES, 30 * SECOND, &outcome);
    assert_int_equal(outcome.err, WEFT_OK);
    assert_int_equal(outcome.wrong_bytes, 0);
    assert_int_equal(counters_of(&pair, ACCEPTOR)->bytes_landed, 0);
    assert_int_equal(counters_of(&pair, ACCEPTOR)->bytes_referenced, LARGE_BYTES);
    channel_pair_close(&pair);
}

static bool acceptor_lands(void *ctx)
{
    const struct cut *cut = ctx;
    const struct channel *channel = cut->pair->sides[ACCEPTOR].channels[0];
    return channel->conn.recv.kind == IO_LAND && channel->conn.recv.state == IO_IN_FLIGHT &&
           counters_of(cut->pair, ACCEPTOR)->bytes_landed > LARGE_BYTES;
}

static void large__cut_off_in_the_middle__all_is_back(void **state)
{
    (void)state;
    for (uint32_t side = 0; side < 2; side++) {
        struct channel_pair pair;
        struct cut cut = {.pair = &pair, .side = side};
        large_pair_open(&pair, 60 + side);
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        conn_end_do(&pair.conns.ends[DIALER], cut_begin, &cut);
        conn_pair_until(&pair.conns, acceptor_lands, &cut);
        conn_end_do(&pair.conns.ends[side], cut_now, &cut);
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(cut.outcome.count, 1);
        assert_int_equal(cut.outcome.err, WEFT_ERR_CLOSED);
        assert_int_equal(cut.outcome.executed, WEFT_EXECUTED_NO); /* its last byte never left */
        expect_all_back(&pair);
        channel_pair_close(&pair);
    }
}

struct piling {
    struct channel_pair *pair;
    struct outcome outcomes[12];
    uint32_t begun;
};

static void piling_pause(void *ctx, struct weft_shard *shard)
{
    struct piling *piling = ctx;
    (void)shard;
    conn_pause(&piling->pair->sides[DIALER].channels[0]->conn);
}

static void piling_resume(void *ctx, struct weft_shard *shard)
{
    struct piling *piling = ctx;
    (void)shard;
    conn_resume(&piling->pair->sides[DIALER].channels[0]->conn);
}

static void piling_call(void *ctx, struct weft_shard *shard)
{
    struct piling *piling = ctx;
    const struct call_request request = {.verb = VERB_TAKE, .args = {NULL, LARGE_BYTES}, .timeout_ns = 60 * SECOND};
    (void)shard;
    if (piling->begun < 12 &&
        side_call(&piling->pair->sides[DIALER], 0, &request, &piling->outcomes[piling->begun]) == WEFT_OK) {
        piling->begun++;
    }
}

static bool piling_done(void *ctx)
{
    const struct piling *piling = ctx;
    uint32_t ended = 0;
    for (uint32_t i = 0; i < piling->begun; i++) {
        ended += piling->outcomes[i].count;
    }
    return ended == piling->begun;
}

/* The dialer takes no answers: they pile up, the acceptor stops reading in the middle of a landing, and goes on. */
static void large__answers_pile_up__reading_stops_and_goes_on(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct piling piling = {.pair = &pair};
    large_pair_open(&pair, 70);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    conn_end_do(&pair.conns.ends[DIALER], piling_pause, &piling);
    for (uint32_t i = 0; i < 40; i++) {
        conn_end_do(&pair.conns.ends[DIALER], piling_call, &piling);
        conn_pair_run(&pair.conns, SECOND / 10);
    }
    assert_true(pair.sides[ACCEPTOR].channels[0]->stalled);
    assert_true(piling.begun > 4);
    conn_end_do(&pair.conns.ends[DIALER], piling_resume, &piling);
    conn_pair_until(&pair.conns, piling_done, &piling);
    for (uint32_t i = 0; i < piling.begun; i++) {
        assert_int_equal(piling.outcomes[i].err, WEFT_OK);
        assert_int_equal(piling.outcomes[i].wrong_bytes, 0);
    }
    conn_pair_run(&pair.conns, SECOND);
    expect_all_back(&pair);
    channel_pair_close(&pair);
}

static void acceptor_pause(void *ctx, struct weft_shard *shard)
{
    struct cut *cut = ctx;
    (void)shard;
    conn_pause(&cut->pair->sides[ACCEPTOR].channels[0]->conn);
}

static void acceptor_resume(void *ctx, struct weft_shard *shard)
{
    struct cut *cut = ctx;
    (void)shard;
    conn_resume(&cut->pair->sides[ACCEPTOR].channels[0]->conn);
}

static bool cut_ended(void *ctx)
{
    return ((const struct cut *)ctx)->outcome.count > 0;
}

/* More arrives at once than a connection may have of a turn: what waits for the next one goes before what lands. */
static void large__more_at_once_than_a_share__held_bytes_come_first(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 20; seed++) {
        struct channel_pair pair;
        struct cut cut = {.pair = &pair};
        large_pair_open(&pair, 100 + seed);
        /* The buffers run out right behind the share, which ends the receive while bytes are held. */
        pair.options.recv_bufs = TURN_CONN_BYTES_MAX / RECV_BUF_BYTES + 4;
        pair.options.sim.window_bytes = TURN_CONN_BYTES_MAX + HELD_BYTES_HIGH / 2;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        conn_end_do(&pair.conns.ends[ACCEPTOR], acceptor_pause, &cut);
        conn_end_do(&pair.conns.ends[DIALER], cut_begin, &cut);
        conn_pair_run(&pair.conns, SECOND / 10);
        conn_end_do(&pair.conns.ends[ACCEPTOR], acceptor_resume, &cut);
        conn_pair_until(&pair.conns, cut_ended, &cut);
        assert_int_equal(cut.outcome.err, WEFT_OK);
        assert_int_equal(cut.outcome.wrong_bytes, 0);
        conn_pair_run(&pair.conns, SECOND);
        expect_all_back(&pair);
        channel_pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__by_reference__arrives_and_is_released),
        cmocka_unit_test(reply__payload_taken__outlives_the_callback),
        cmocka_unit_test(large__plain__lands_where_it_stays),
        cmocka_unit_test(large__sealed__never_lands),
        cmocka_unit_test(large__cut_off_in_the_middle__all_is_back),
        cmocka_unit_test(large__answers_pile_up__reading_stops_and_goes_on),
        cmocka_unit_test(large__more_at_once_than_a_share__held_bytes_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
