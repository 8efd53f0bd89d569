/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: large payloads arrive whole under faults, and at the end of every run each reference and each block is back.
 *
 * Method: channel pairs in worlds whose faults are drawn: short sends in the middle of a payload, connections that end
 * with references queued, few buffers, small arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/payload_pair.h"

#define CHANNELS_OF_LOAD 15u
#define SECOND PAIR_SECOND_NS
#define SEEDS 60u
#define STORM_CALLS_MAX 200u

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
        cmocka_unit_test(storm__large_payloads_under_faults__nothing_is_wrong_or_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
