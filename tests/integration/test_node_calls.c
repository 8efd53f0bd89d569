/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: real nodes do what the public headers say about calls: every verb, their failures and their limits.
 *
 * Method: two nodes in this process on loopback addresses of their own (node_pair.h, which calls weft_node_start), once
 * over epoll and once over io_uring where it works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "tests/integration/node_pair.h"

#define MIB (1024u * 1024)

static void expect_standard_verbs(struct host *host, enum weft_lane lane)
{
    struct answer answer = host_call_patient(host, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    answer = host_call(host, VERB_ECHO, 1000, 0);
    expect_ok(&answer, 1000);
    assert_int_equal(answer.wrong_bytes, 0);
    answer = host_call(host, VERB_WRITE, 12345, 0);
    expect_ok(&answer, 8);
    assert_int_equal(bytes_load64(answer.head), 12345);
    answer = host_call(host, VERB_NOBODY, 10, 0);
    expect_failed(&answer, WEFT_ERR_UNKNOWN_VERB, WEFT_EXECUTED_NO);
    uint8_t number[8];
    bytes_store64(number, 70000);
    struct asked asked = {
        .host = host, .peer = {1}, .verb = VERB_SOURCE, .args = {number, 4}, .options = WEFT_CALL_OPTIONS_INIT};
    asked.options.lane = lane;
    asked.options.wait_for_peer = true;
    assert_true(asked_start(&asked));
    asked_wait(&asked);
    expect_ok(&asked.answer, 70000);
    asked.verb = VERB_SLEEP;
    asked.args.bytes = 8;
    bytes_store64(number, 1000);
    assert_true(asked_start(&asked));
    asked_wait(&asked);
    expect_ok(&asked.answer, 0);
    asked.verb = VERB_FAIL;
    asked.args = weft_span_of("on purpose");
    assert_true(asked_start(&asked));
    asked_wait(&asked);
    expect_failed(&asked.answer, WEFT_ERR_REMOTE, WEFT_EXECUTED_YES);
    assert_string_equal(asked.answer.error.text, "on purpose");
}

/* SINK is counted at the peer; the counts are totals. */
static void expect_sink(struct host *host, uint64_t calls_before)
{
    static const uint8_t args[100];
    for (uint32_t i = 0; i < 3; i++) {
        struct asked asked = {.host = host,
                              .peer = {1},
                              .verb = VERB_SINK,
                              .args = {args, sizeof args},
                              .options = WEFT_CALL_OPTIONS_INIT};
        asked.options.one_way = true;
        assert_true(asked_start(&asked));
        asked_wait(&asked);
        assert_int_equal(asked.answer.err, WEFT_OK);
        assert_int_equal(asked.answer.executed, WEFT_EXECUTED_MAYBE);
    }
    /* The same connection, in order: what was sent before has been counted. */
    struct answer answer = host_call(host, VERB_COUNT, 0, 0);
    expect_ok(&answer, 16);
    assert_int_equal(bytes_load64(answer.head), calls_before + 3);
    assert_int_equal(bytes_load64(answer.head + 8), (calls_before + 3) * sizeof args);
}

static void calls__both_ways__every_standard_verb(void **state)
{
    struct pair *pair = *state;
    pair_start(pair);
    assert_string_equal(weft_node_backend(pair->a.node), pair->backend);
    assert_int_equal(weft_node_shard_count(pair->a.node), 1);
    for (int lane = 0; lane < WEFT_LANE_COUNT; lane++) {
        expect_standard_verbs(&pair->a, (enum weft_lane)lane);
        expect_standard_verbs(&pair->b, (enum weft_lane)lane);
    }
    expect_sink(&pair->a, 0);
    expect_sink(&pair->a, 3);
    expect_sink(&pair->b, 0);
}

static void call__large_payloads__come_back_or_are_refused(void **state)
{
    static const uint32_t sizes[] = {0, 16384, MIB, 16 * MIB};
    struct pair *pair = *state;
    pair_start(pair);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct answer answer = host_call_patient(&pair->a, VERB_ECHO, sizes[i]);
        expect_ok(&answer, sizes[i]);
        assert_int_equal(answer.wrong_bytes, 0);
    }
    struct answer answer = host_call(&pair->a, VERB_ECHO, 16 * MIB + 1, 0);
    assert_int_equal(answer.started, WEFT_ERR_TOO_LARGE);
    assert_int_equal(answer.count, 0);
    uint8_t number[4];
    bytes_store32(number, 16 * MIB + 1);
    struct asked asked = {.host = &pair->a,
                          .peer = {1},
                          .verb = VERB_SOURCE,
                          .args = {number, sizeof number},
                          .options = WEFT_CALL_OPTIONS_INIT};
    assert_true(asked_start(&asked));
    asked_wait(&asked);
    expect_failed(&asked.answer, WEFT_ERR_REMOTE, WEFT_EXECUTED_YES);
    answer = host_call(&pair->a, VERB_ECHO, 10, 0);
    expect_ok(&answer, 10);
}

static uint64_t arena_bytes(const struct pair *pair)
{
    struct weft_counters counters;
    weft_node_counters(pair->a.node, &counters);
    return counters.in_use.arena_bytes;
}

static void call_buf__taken_or_refused__nothing_stays(void **state)
{
    static const uint32_t sizes[] = {100, 16384, MIB, 16 * MIB};
    struct pair *pair = *state;
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        bool refused = i % 2 == 1; /* there is no such peer */
        uint8_t *args = pattern_new(sizes[i / 2]);
        struct asked asked = {.host = &pair->a,
                              .peer = {refused ? 99 : 1},
                              .verb = VERB_ECHO,
                              .args = {args, sizes[i / 2]},
                              .options = WEFT_CALL_OPTIONS_INIT,
                              .by_reference = true};
        assert_int_equal(asked_start(&asked), !refused);
        if (refused) {
            assert_int_equal(asked.started, WEFT_ERR_NOT_FOUND);
        } else {
            asked_wait(&asked);
            expect_ok(&asked.answer, sizes[i / 2]);
            assert_int_equal(asked.answer.wrong_bytes, 0);
        }
        free(args);
    }
    answer = host_call(&pair->a, VERB_HELLO, 0, 0);
    expect_ok(&answer, 0);
    assert_true(arena_bytes(pair) < MIB); /* none of the large ones is left */
}

/* Many calls at once: as many as are accepted, again and again. */
static void calls__many_at_once_with_large_answers__all_answered(void **state)
{
    enum { AT_ONCE = 200, ROUNDS = 10 };
    struct pair *pair = *state;
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    struct asked *asked = test_calloc(AT_ONCE, sizeof *asked);
    uint8_t *args = pattern_new(16384);
    uint8_t number[4];
    bytes_store32(number, 100000);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            bool echo = round % 2 == 0;
            asked[i] = (struct asked){.host = &pair->a,
                                      .peer = {1},
                                      .verb = echo ? VERB_ECHO : VERB_SOURCE,
                                      .args = {echo ? args : number, echo ? 16384 : 4},
                                      .options = WEFT_CALL_OPTIONS_INIT};
            asked[i].options.timeout_ms = 20000;
            assert_true(asked_start(&asked[i]));
        }
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            asked_wait(&asked[i]);
            expect_ok(&asked[i].answer, round % 2 == 0 ? 16384 : 100000);
            assert_int_equal(round % 2 == 0 ? asked[i].answer.wrong_bytes : 0, 0);
        }
    }
    struct weft_counters counters;
    weft_node_counters(pair->a.node, &counters);
    assert_int_equal(counters.connections_closed, 0); /* it was one connection all the time */
    free(args);
    test_free(asked);
}

static void call__no_answer_in_time__timeout(void **state)
{
    struct pair *pair = *state;
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    uint8_t us[8];
    bytes_store64(us, 60000000);
    struct asked asked = {
        .host = &pair->a, .peer = {1}, .verb = VERB_SLEEP, .args = {us, 8}, .options = WEFT_CALL_OPTIONS_INIT};
    asked.options.timeout_ms = 30;
    assert_true(asked_start(&asked));
    asked_wait(&asked);
    expect_failed(&asked.answer, WEFT_ERR_TIMEOUT, WEFT_EXECUTED_MAYBE);
}

static void call__wrong_arguments__refused_at_once(void **state)
{
    struct pair *pair = *state;
    pair->a.options.calls_max = 4;
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    static const uint8_t byte[1];
    const struct {
        uint64_t peer;
        uint64_t verb;
        size_t size;
        int lane;
        enum weft_err err;
    } cases[] = {
        {0, VERB_ECHO, sizeof(struct weft_call_options), 0, WEFT_ERR_NOT_FOUND},
        {2, VERB_ECHO, sizeof(struct weft_call_options), 0, WEFT_ERR_NOT_FOUND},
        {UINT64_MAX, VERB_ECHO, sizeof(struct weft_call_options), 0, WEFT_ERR_NOT_FOUND},
        {1, WEFT_VERB_RESERVED, sizeof(struct weft_call_options), 0, WEFT_ERR_INVALID},
        {1, UINT64_MAX, sizeof(struct weft_call_options), 0, WEFT_ERR_INVALID},
        {1, VERB_ECHO, 0, 0, WEFT_ERR_INVALID},
        {1, VERB_ECHO, sizeof(size_t) - 1, 0, WEFT_ERR_INVALID},
        {1, VERB_ECHO, sizeof(struct weft_call_options), WEFT_LANE_COUNT, WEFT_ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked asked = {.host = &pair->a,
                              .peer = {cases[i].peer},
                              .verb = cases[i].verb,
                              .args = {byte, 1},
                              .options = {.size = cases[i].size, .lane = (enum weft_lane)cases[i].lane}};
        assert_false(asked_start(&asked));
        assert_int_equal(asked.started, cases[i].err);
    }
}

static void calls__more_than_calls_max__queue_full(void **state)
{
    struct pair *pair = *state;
    struct asked asked[5];
    uint8_t us[8];
    pair->a.options.calls_max = 4;
    pair->a.options.heartbeat_ms = UINT32_MAX; /* a ping is a call as well */
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    bytes_store64(us, 100000);
    for (uint32_t i = 0; i < 5; i++) {
        asked[i] = (struct asked){
            .host = &pair->a, .peer = {1}, .verb = VERB_SLEEP, .args = {us, 8}, .options = WEFT_CALL_OPTIONS_INIT};
        assert_int_equal(asked_start(&asked[i]), i < 4);
    }
    assert_int_equal(asked[4].started, WEFT_ERR_QUEUE_FULL);
    for (uint32_t i = 0; i < 4; i++) {
        asked_wait(&asked[i]);
        expect_ok(&asked[i].answer, 0);
    }
    assert_int_equal(asked[4].answer.count, 0);
}

static void requests__more_than_requests_max__busy(void **state)
{
    struct pair *pair = *state;
    struct asked asked[3];
    uint8_t us[8];
    pair->b.options.requests_max = 2;
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    bytes_store64(us, 200000);
    for (uint32_t i = 0; i < 3; i++) {
        asked[i] = (struct asked){
            .host = &pair->a, .peer = {1}, .verb = VERB_SLEEP, .args = {us, 8}, .options = WEFT_CALL_OPTIONS_INIT};
        assert_true(asked_start(&asked[i]));
    }
    asked_wait(&asked[2]);
    expect_failed(&asked[2].answer, WEFT_ERR_BUSY, WEFT_EXECUTED_NO);
    for (uint32_t i = 0; i < 2; i++) {
        asked_wait(&asked[i]);
        expect_ok(&asked[i].answer, 0);
    }
}

static void node__two_shards__each_calls_and_serves(void **state)
{
    struct pair *pair = *state;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) { /* no CPU for a second shard */
        skip();
    }
    pair->a.options.shards = "2";
    pair->b.options.shards = "2";
    pair_start(pair);
    assert_int_equal(weft_node_shard_count(pair->a.node), 2);
    for (uint32_t i = 0; i < 20; i++) {
        struct asked asked = {.host = i % 4 < 2 ? &pair->a : &pair->b,
                              .shard = i % 2,
                              .peer = {1},
                              .verb = VERB_ECHO,
                              .args = {pattern_new(5000), 5000},
                              .options = WEFT_CALL_OPTIONS_INIT};
        asked.options.wait_for_peer = true;
        asked.options.timeout_ms = 20000;
        assert_true(asked_start(&asked));
        asked_wait(&asked);
        expect_ok(&asked.answer, 5000);
        assert_int_equal(asked.answer.wrong_bytes, 0);
        free((void *)(uintptr_t)asked.args.data);
    }
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(calls__both_ways__every_standard_verb),
        BACKEND_TEST(call__large_payloads__come_back_or_are_refused),
        BACKEND_TEST(call_buf__taken_or_refused__nothing_stays),
        BACKEND_TEST(calls__many_at_once_with_large_answers__all_answered),
        BACKEND_TEST(call__no_answer_in_time__timeout),
        BACKEND_TEST(call__wrong_arguments__refused_at_once),
        BACKEND_TEST(calls__more_than_calls_max__queue_full),
        BACKEND_TEST(requests__more_than_requests_max__busy),
        BACKEND_TEST(node__two_shards__each_calls_and_serves),
    };
    return pair_run(tests, sizeof tests / sizeof tests[0]);
}
