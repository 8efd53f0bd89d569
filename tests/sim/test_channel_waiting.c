/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a call that waits for a channel goes out in its turn when there is one, or ends once and unexecuted.
 *
 * Method: a dialer and an acceptor over the simulator (channel_pair.h) in calm worlds for each rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS

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
    assert_true(call_send_waiting(&waiting->calls, waiting->side->channels[0]));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting__channel_comes_up__sent_in_order),
        cmocka_unit_test(waiting__under_a_millisecond_left__times_out_unsent),
        cmocka_unit_test(waiting__nobody_comes__fails_unexecuted),
        cmocka_unit_test(waiting__no_room_for_its_arguments__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
