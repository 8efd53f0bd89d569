/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: answers that pile up stop the reading and nothing else, and under every fault each call ends once and each
 * answer is the right one.
 *
 * Method: a dialer that does not read for a while, in a calm world; then storms in worlds whose faults are drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define CHANNELS_OF_LOAD 15u
#define SEEDS 80u
#define SECOND PAIR_SECOND_NS

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
        channel_pair_burst(&pair, &burst);
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
    channel_pair_burst(&pair, &burst);
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
    channel_pair_burst(&pair, &burst);
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
        if (side->channel_count < CHANNELS_OF_LOAD) {
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
        } else if (outcome->err == WEFT_ERR_REMOTE && strstr(outcome->error.text, "busy") == NULL &&
                   strstr(outcome->error.text, "oversized") == NULL) {
            assert_int_equal(caller->verbs[i], VERB_FAIL);
            answered[1]++;
        } else if (outcome->err != WEFT_OK) {
            assert_true(outcome->err == WEFT_ERR_TIMEOUT || outcome->err == WEFT_ERR_CLOSED ||
                        outcome->err == WEFT_ERR_BUSY || outcome->err == WEFT_ERR_TOO_LARGE ||
                        outcome->err == WEFT_ERR_NO_MEMORY || outcome->err == WEFT_ERR_REMOTE);
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
        cmocka_unit_test(acceptor__answers_pile_up__reads_no_more_until_they_drain),
        cmocka_unit_test(acceptor__many_large_answers_at_once__all_arrive),
        cmocka_unit_test(acceptor__ends_with_requests_held__nothing_left_of_them),
        cmocka_unit_test(storm__faults_drawn__every_call_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
