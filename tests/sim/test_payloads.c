/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: large payloads arrive whole whichever way they take (by reference or copied, plain or sealed, landed in pieces
 * or taken over), and at the end of every run each reference and each block is back.
 *
 * Method: a channel pair; calls by reference in calm worlds for each rule, then storms in worlds whose faults are
 * drawn: short sends in the middle of a payload, connections that end with references queued, few buffers, small
 * arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define CHANNELS_OF_LOAD 15u
#define SECOND PAIR_SECOND_NS
#define SEEDS 60u
#define STORM_CALLS_MAX 200u

static void expect_all_back(const struct channel_pair *pair)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct payload_pool *pool = &pair->conns.ends[i].shard->payloads;
        assert_int_equal(slots_in_use(&pool->references), 0);
        assert_int_equal(slots_in_use(&pool->payloads), 0);
        assert_int_equal(pool->queued_bytes, 0);
        assert_int_equal(pool->arena_bytes, 0);
    }
}

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

#define LARGE_BYTES (1u << 20)

static const struct weft_counters *counters_of(const struct channel_pair *pair, uint32_t side)
{
    return &pair->conns.ends[side].shard->counters;
}

static void channels_polite(void *ctx, struct weft_shard *shard)
{
    struct side *side = ctx;
    (void)shard;
    channel_set_lane(side->channels[0], WEFT_LANE_BULK);
}

static void large_pair_open(struct channel_pair *pair, uint64_t seed)
{
    channel_pair_init(pair, seed);
    pair->options.arena_bytes = 64u << 20;
    pair->sides[DIALER].by_reference = true;
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

struct cut {
    struct channel_pair *pair;
    uint32_t side;
    struct outcome outcome;
};

static bool acceptor_lands(void *ctx)
{
    const struct cut *cut = ctx;
    const struct channel *channel = cut->pair->sides[ACCEPTOR].channels[0];
    return channel->conn.recv.kind == IO_LAND && channel->conn.recv.state == IO_IN_FLIGHT &&
           counters_of(cut->pair, ACCEPTOR)->bytes_landed > LARGE_BYTES;
}

static void cut_begin(void *ctx, struct weft_shard *shard)
{
    struct cut *cut = ctx;
    const struct call_request request = {.verb = VERB_TAKE, .args = {NULL, 8 * LARGE_BYTES}, .timeout_ns = 30 * SECOND};
    (void)shard;
    assert_int_equal(side_call(&cut->pair->sides[DIALER], 0, &request, &cut->outcome), WEFT_OK);
}

static void cut_now(void *ctx, struct weft_shard *shard)
{
    struct cut *cut = ctx;
    (void)shard;
    conn_abort(&cut->pair->sides[cut->side].channels[0]->conn, WEFT_ERR_CLOSED, WEFT_REASON_LOCAL_CLOSE);
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

/* --- sends without a copy --- */

static void zero_copy__kernel_copies__asks_again_only_when_told_to(void **state)
{
    (void)state;
    for (uint32_t always = 0; always < 2; always++) {
        struct channel_pair pair;
        struct outcome outcome;
        large_pair_open(&pair, 80);
        pair.options.zero_copy = always == 1 ? WEFT_SEND_ZEROCOPY_ALWAYS : WEFT_SEND_ZEROCOPY_AUTO;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        for (uint32_t i = 0; i < 40; i++) {
            channel_pair_call(&pair, VERB_TAKE, LARGE_BYTES / 4, 30 * SECOND, &outcome);
            assert_int_equal(outcome.err, WEFT_OK);
            assert_int_equal(outcome.wrong_bytes, 0);
        }
        conn_pair_run(&pair.conns, SECOND);
        for (uint32_t i = 0; i < 2; i++) {
            const struct weft_counters *counters = counters_of(&pair, i);
            const struct conn *conn = &pair.sides[i].channels[0]->conn;
            assert_int_equal(conn->zero_copy_count, 0);
            assert_int_equal(slots_in_use(&conn->net->zero_copy_sends), 0);
            if (always == 1) {
                assert_true(counters->zero_copy_sends >= 40);
                assert_true(counters->zero_copy_copied > 1);
                assert_true(conn->zero_copy);
            } else {
                assert_true(counters->zero_copy_sends > 0);
                assert_int_equal(counters->zero_copy_copied > 0, !conn->zero_copy);
            }
        }
        expect_all_back(&pair);
        channel_pair_close(&pair);
    }
}

static bool payload_is_read(void *ctx)
{
    const struct cut *cut = ctx;
    const struct channel *channel = cut->pair->sides[DIALER].channels[0];
    return channel->conn.zero_copy_count > 1;
}

/* The connection ends while the kernel still reads: what it reads stays until it says that it does not any more. */
static void zero_copy__cut_off_while_the_kernel_reads__freed_after_the_last_event(void **state)
{
    (void)state;
    for (uint32_t side = 0; side < 2; side++) {
        struct channel_pair pair;
        struct cut cut = {.pair = &pair, .side = side};
        large_pair_open(&pair, 90 + side);
        pair.options.zero_copy = WEFT_SEND_ZEROCOPY_ALWAYS;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        conn_end_do(&pair.conns.ends[DIALER], cut_begin, &cut);
        conn_pair_until(&pair.conns, payload_is_read, &cut);
        assert_true(slots_in_use(&pair.conns.ends[DIALER].shard->payloads.references) > 1);
        conn_end_do(&pair.conns.ends[side], cut_now, &cut);
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(cut.outcome.count, 1);
        expect_all_back(&pair);
        channel_pair_close(&pair);
    }
}

/* --- calls that wait for a connection --- */

struct waiting {
    struct side *side;
    struct list list;
    struct outcome outcome;
    uint32_t released;
    uint8_t bytes[100000];
};

static void waiting_released(void *ctx, void *data, uint32_t bytes)
{
    struct waiting *waiting = ctx;
    assert_ptr_equal(data, waiting->bytes);
    assert_int_equal(bytes, sizeof waiting->bytes);
    waiting->released++;
}

static void waiting_begin(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    weft_buf *buf = weft_buf_wrap(shard, waiting->bytes, sizeof waiting->bytes, waiting_released, waiting);
    const struct call_request request = {
        .verb = VERB_ECHO, .payload = buf, .timeout_ns = SECOND, .fn = outcome_done, .ctx = &waiting->outcome};
    list_init(&waiting->list);
    assert_int_equal(call_wait(&waiting->side->rpc, waiting->side->rpc.tally, &waiting->list, &request), WEFT_OK);
    weft_buf_unref(buf);
    assert_int_equal(waiting->released, 0);
}

static void waiting_send(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    (void)shard;
    assert_true(call_send_waiting(&waiting->list, waiting->side->channels[0]));
    assert_int_equal(waiting->released, 0);
}

static void call__waits_for_a_connection__keeps_its_reference(void **state)
{
    (void)state;
    for (uint32_t sent = 0; sent < 2; sent++) {
        struct channel_pair pair;
        struct waiting *waiting = test_calloc(1, sizeof *waiting);
        channel_pair_init(&pair, 30);
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        waiting->side = &pair.sides[DIALER];
        for (uint32_t i = 0; i < sizeof waiting->bytes; i++) {
            waiting->bytes[i] = pattern_byte(i);
        }
        conn_end_do(&pair.conns.ends[DIALER], waiting_begin, waiting);
        if (sent == 1) {
            conn_end_do(&pair.conns.ends[DIALER], waiting_send, waiting);
        }
        conn_pair_run(&pair.conns, 2 * SECOND);
        assert_int_equal(waiting->outcome.count, 1);
        assert_int_equal(waiting->outcome.err, sent == 1 ? WEFT_OK : WEFT_ERR_TIMEOUT);
        assert_int_equal(waiting->outcome.wrong_bytes, 0);
        assert_int_equal(waiting->released, 1);
        expect_all_back(&pair);
        channel_pair_close(&pair);
        test_free(waiting);
    }
}

/* --- bounds --- */

struct filling {
    struct side *side;
    struct outcome outcomes[64];
    uint32_t accepted;
};

static void filling_run(void *ctx, struct weft_shard *shard)
{
    struct filling *filling = ctx;
    const struct call_request request = {.verb = VERB_SINK, .args = {NULL, 1 << 20}, .timeout_ns = SECOND};
    (void)shard;
    while (filling->accepted < 64) {
        enum weft_err err = side_call(filling->side, 0, &request, &filling->outcomes[filling->accepted]);
        if (err != WEFT_OK) {
            assert_int_equal(err, WEFT_ERR_QUEUE_FULL);
            return;
        }
        filling->accepted++;
    }
}

static void conn__references_queued__counted_in_bytes(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct filling filling = {0};
    channel_pair_init(&pair, 40);
    pair.options.arena_bytes = 64u << 20;
    pair.sides[DIALER].by_reference = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    filling.side = &pair.sides[DIALER];
    conn_end_do(&pair.conns.ends[DIALER], filling_run, &filling);
    /* A message that goes over the bound is let in behind less than SEND_QUEUE_BYTES_HIGH only. */
    assert_in_range(filling.accepted, SEND_QUEUE_BYTES_MAX / (1 << 20) - 1, SEND_QUEUE_BYTES_MAX / (1 << 20));
    channel_pair_fresh(&pair); /* ends the channels in order: what was queued is sent */
    expect_all_back(&pair);
    channel_pair_close(&pair);
}

/* --- storms --- */

struct caller {
    struct channel_pair *pair;
    struct timer timer;
    struct prng prng;
    struct outcome outcomes[STORM_CALLS_MAX];
    uint32_t bytes[STORM_CALLS_MAX];
    bool accepted[STORM_CALLS_MAX];
    uint32_t count;
};

static void caller_act(struct timer *timer, void *ctx)
{
    struct caller *caller = ctx;
    struct side *side = &caller->pair->sides[DIALER];
    shard_timer_start(side->end->shard, timer, PAIR_MS + prng_below(&caller->prng, 10 * PAIR_MS));
    uint32_t channel = (uint32_t)prng_below(&caller->prng, side->channel_count + 1);
    if (channel == side->channel_count) {
        if (side->channel_count < CHANNELS_OF_LOAD) {
            side_dial_now(side);
        }
        return;
    }
    if (side->channels[channel] == NULL || !channel_is_up(side->channels[channel]) ||
        caller->count == STORM_CALLS_MAX) {
        return;
    }
    static const uint32_t most[] = {100, 20000, 100000, 400000};
    static const uint64_t verbs[] = {VERB_ECHO, VERB_TAKE, VERB_TAKE, VERB_TAKE};
    uint32_t at = caller->count++;
    side->by_reference = prng_below(&caller->prng, 4) != 0;
    caller->bytes[at] = 1 + (uint32_t)prng_below(&caller->prng, most[prng_below(&caller->prng, 4)]);
    const struct call_request request = {.verb = verbs[prng_below(&caller->prng, 4)],
                                         .args = {NULL, caller->bytes[at]},
                                         .timeout_ns = PAIR_MS + prng_below(&caller->prng, SECOND)};
    caller->accepted[at] = side_call(side, channel, &request, &caller->outcomes[at]) == WEFT_OK;
    if (prng_below(&caller->prng, 30) == 0) {
        conn_close(&side->channels[channel]->conn, WEFT_REASON_LOCAL_CLOSE);
    } else if (prng_below(&caller->prng, 30) == 0) {
        conn_abort(&side->channels[channel]->conn, WEFT_ERR_CLOSED, WEFT_REASON_LOCAL_CLOSE);
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
    timer_wheel_stop(&shard->wheel, &caller->timer);
}

static uint32_t caller_check(const struct caller *caller)
{
    uint32_t answered = 0;
    for (uint32_t i = 0; i < caller->count; i++) {
        const struct outcome *outcome = &caller->outcomes[i];
        assert_int_equal(outcome->count, caller->accepted[i]);
        assert_int_equal(outcome->wrong_bytes, 0);
        if (outcome->count == 1 && outcome->err == WEFT_OK) {
            assert_int_equal(outcome->bytes, caller->bytes[i]);
            answered += caller->bytes[i] > 65536;
        }
    }
    return answered;
}

static void storm__large_payloads_under_faults__nothing_is_wrong_or_left(void **state)
{
    (void)state;
    uint32_t answered = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct channel_pair *pair = test_calloc(1, sizeof *pair);
        struct caller *caller = test_calloc(1, sizeof *caller);
        print_message("seed %llu\n", (unsigned long long)seed);
        channel_pair_init(pair, seed);
        sim_options_draw_faults(&pair->options.sim);
        pair->options.secure[0] = pair->options.secure[1] = seed % 3 == 1;
        pair->options.arena_bytes = seed % 4 == 0 ? 1u << 20 : 16u << 20;
        pair->options.sim.recv_buf_bytes = seed % 5 == 0 ? 100 : 0;
        pair->options.zero_copy = (enum weft_send_zerocopy)(seed / 2 % 3);
        channel_pair_open(pair);
        caller->pair = pair;
        prng_init(&caller->prng, seed);
        conn_end_do(&pair->conns.ends[DIALER], caller_begin, caller);
        conn_pair_run(&pair->conns, SECOND);
        conn_end_do(&pair->conns.ends[DIALER], caller_end, caller);
        sim_world_heal(pair->conns.world);
        conn_pair_run(&pair->conns, 4 * SECOND);
        assert_int_equal(slots_in_use(&pair->sides[DIALER].rpc.calls), 0);
        answered += caller_check(caller);
        struct outcome outcome;
        pair->sides[DIALER].by_reference = true;
        channel_pair_fresh(pair);
        channel_pair_call(pair, VERB_TAKE, 200000, 5 * SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_OK);
        assert_int_equal(outcome.wrong_bytes, 0);
        channel_pair_fresh(pair);
        expect_all_back(pair);
        channel_pair_close(pair);
        test_free(caller);
        test_free(pair);
    }
    assert_true(answered > SEEDS); /* or the storms tested nothing */
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
        cmocka_unit_test(zero_copy__kernel_copies__asks_again_only_when_told_to),
        cmocka_unit_test(zero_copy__cut_off_while_the_kernel_reads__freed_after_the_last_event),
        cmocka_unit_test(call__waits_for_a_connection__keeps_its_reference),
        cmocka_unit_test(conn__references_queued__counted_in_bytes),
        cmocka_unit_test(storm__large_payloads_under_faults__nothing_is_wrong_or_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
