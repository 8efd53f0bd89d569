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
    assert_int_equal(call_wait(&waiting->side->rpc, &waiting->list, &request), WEFT_OK);
    weft_buf_unref(buf);
    assert_int_equal(waiting->released, 0);
}

static void waiting_send(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    (void)shard;
    call_send_waiting(&waiting->list, waiting->side->channels[0]);
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
        if (side->channel_count < CHANNELS_MAX - 1) {
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
        cmocka_unit_test(call__waits_for_a_connection__keeps_its_reference),
        cmocka_unit_test(conn__references_queued__counted_in_bytes),
        cmocka_unit_test(storm__large_payloads_under_faults__nothing_is_wrong_or_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
