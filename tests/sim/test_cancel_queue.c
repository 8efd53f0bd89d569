/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the request of a call that is cancelled, or whose deadline passes, never goes out if it had not begun to;
 * everything else in the queue does, whole and in order.
 *
 * Method: channel pairs over the simulator.  A small window and a dialer whose peer does not read keep requests in the
 * queue; storms mix cancellations with everything else, and each request carries its number, so that what ran is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/base/prng.h"
#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS

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
        cmocka_unit_test(queue__cancelled_and_expired_in_it__never_leave_and_the_rest_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
