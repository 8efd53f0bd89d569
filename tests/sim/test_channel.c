/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every call ends exactly once, with an honest answer to whether it can have been executed.
 *
 * Method: a dialer and an acceptor over the simulator (channel_pair.h) in calm worlds for each rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS

static void call__every_size__comes_back(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0,     1,     7,     8,     1000,  16355, 16356,  16357,  16383,
                                     16384, 16385, 32768, 49152, 65536, 99999, 131072, 200000, 204800};
    for (uint32_t mode = 0; mode < 4; mode++) {
        struct channel_pair pair;
        channel_pair_init(&pair, 300 + mode);
        pair.options.secure[0] = pair.options.secure[1] = mode % 2 == 1;
        pair.options.sim.recv_buf_bytes = mode >= 2 ? 700 : 0;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct outcome outcome;
            channel_pair_call(&pair, VERB_ECHO, sizes[i], SECOND, &outcome);
            assert_int_equal(outcome.err, WEFT_OK);
            assert_int_equal(outcome.bytes, sizes[i]);
            assert_int_equal(outcome.wrong_bytes, 0);
        }
        channel_pair_close(&pair);
    }
}

static void call__not_served__unknown_verb_and_not_executed(void **state)
{
    (void)state;
    static const uint64_t verbs[] = {
        0, VERB_NOBODY, WEFT_VERB_RESERVED - 1, WEFT_VERB_RESERVED, WIRE_VERB_PING + 7, UINT64_MAX};
    struct channel_pair pair;
    channel_pair_init(&pair, 310);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        struct outcome outcome;
        channel_pair_call(&pair, verbs[i], 50, SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_ERR_UNKNOWN_VERB);
        assert_int_equal(outcome.executed, WEFT_EXECUTED_NO);
    }
    struct outcome ping;
    channel_pair_call(&pair, WIRE_VERB_PING, 7, SECOND, &ping);
    assert_int_equal(ping.err, WEFT_ERR_REMOTE);
    assert_non_null(strstr(ping.error.text, "8 bytes"));
    assert_int_equal(pair.sides[ACCEPTOR].down, 0);
    channel_pair_close(&pair);
}

static void call__handler_fails__text_arrives_cut(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {1, 254, 255, 256, 1000};
    struct channel_pair pair;
    channel_pair_init(&pair, 311);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct outcome outcome;
        channel_pair_call(&pair, VERB_FAIL, lengths[i], SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_ERR_REMOTE);
        assert_int_equal(outcome.executed, WEFT_EXECUTED_YES);
        uint32_t due = lengths[i] < EXCEPTION_TEXT_BYTES_MAX ? lengths[i] : EXCEPTION_TEXT_BYTES_MAX;
        assert_int_equal(strlen(outcome.error.text), due);
        assert_int_equal(strspn(outcome.error.text, "f"), due);
    }
    channel_pair_close(&pair);
}

static void call__no_answer_in_time__ends_once_and_the_late_one_is_nobodys(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        struct channel_pair pair;
        struct outcome outcome;
        channel_pair_init(&pair, 320);
        pair.sides[DIALER].timeout = told == 1;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        uint64_t begin_ns = sim_world_now_ns(pair.conns.world);
        channel_pair_call(&pair, VERB_KEEP, 10, SECOND / 20, &outcome);
        assert_in_range(sim_world_now_ns(pair.conns.world) - begin_ns, SECOND / 20, SECOND / 10);
        assert_int_equal(outcome.err, WEFT_ERR_TIMEOUT);
        assert_int_equal(outcome.executed, WEFT_EXECUTED_MAYBE);
        assert_int_equal(pair.sides[ACCEPTOR].kept_count, 1);
        conn_pair_run(&pair.conns, 10 * PAIR_MS); /* the acceptor counts from when the request arrived */
        /* An acceptor that was told the deadline sends nothing; one that was not sends what nobody waits for. */
        channel_pair_answer_kept(&pair, told == 1 ? WEFT_ERR_EXPIRED : WEFT_OK);
        assert_int_equal(COUNTER(&pair, DIALER, late_replies), told == 1 ? 0 : 1);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_expired), told == 1 ? 1 : 0);
        assert_int_equal(outcome.count, 1);
        channel_pair_call(&pair, VERB_ECHO, 10, SECOND, &outcome); /* the slot serves again */
        assert_int_equal(outcome.err, WEFT_OK);
        channel_pair_close(&pair);
    }
}

static void calls__slots_used_up__refused_and_no_callback(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[5] = {{0}};
    channel_pair_init(&pair, 330);
    pair.sides[DIALER].calls_max = 2;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {.request = {.verb = VERB_ECHO, .args = {NULL, 8}}, .outcomes = outcomes, .count = 5};
    channel_pair_burst(&pair, &burst);
    assert_int_equal(burst.accepted, 2);
    assert_int_equal(burst.err, WEFT_ERR_QUEUE_FULL);
    conn_pair_run(&pair.conns, SECOND);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(outcomes[i].count, i < 2);
    }
    assert_int_equal(COUNTER(&pair, DIALER, calls_started), 2);
    channel_pair_close(&pair);
}

static void calls__send_queue_full__refused_and_no_callback(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[30] = {{0}};
    channel_pair_init(&pair, 331);
    pair.options.arena_bytes = 8u << 20;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {.request = {.verb = VERB_SINK, .args = {NULL, 200000}}, .outcomes = outcomes, .count = 30};
    channel_pair_burst(&pair, &burst);
    assert_int_equal(burst.err, WEFT_ERR_QUEUE_FULL);
    assert_int_equal(burst.accepted, SEND_QUEUE_BYTES_MAX / 200028);
    assert_int_equal(slots_in_use(&pair.sides[DIALER].rpc.calls), burst.accepted);
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(pair.sides[ACCEPTOR].sink_calls, burst.accepted);
    channel_pair_close(&pair);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(outcomes[i].count, i < burst.accepted);
    }
}

static void request__its_verb_forbidden__refused_without_running(void **state)
{
    (void)state;
    for (int hello = 0; hello < 2; hello++) {
        struct channel_pair pair;
        struct outcome outcome = {0};
        channel_pair_init(&pair, 346);
        pair.sides[ACCEPTOR].forbidden_verb = VERB_KEEP;
        pair.sides[DIALER].hello = hello == 1;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        channel_pair_call(&pair, VERB_KEEP, 100, SECOND, &outcome);
        if (hello == 1) {
            assert_int_equal(outcome.err, WEFT_ERR_REFUSED);
            assert_int_equal(outcome.executed, WEFT_EXECUTED_NO);
        } else { /* the word that everybody knows, which cannot say that it never ran */
            assert_int_equal(outcome.err, WEFT_ERR_REMOTE);
            assert_string_equal(outcome.error.text, "forbidden");
        }
        assert_int_equal(pair.sides[ACCEPTOR].kept_count, 0);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_forbidden), 1);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_failed), 1);
        outcome = (struct outcome){0};
        channel_pair_call(&pair, VERB_ECHO, 100, SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_OK);
        assert_int_equal(pair.sides[ACCEPTOR].authorized, 2);
        channel_pair_close(&pair);
    }
}

static void requests__slots_used_up__busy_or_they_wait(void **state)
{
    (void)state;
    for (int hello = 0; hello < 2; hello++) {
        struct channel_pair pair;
        struct outcome outcomes[4] = {{0}};
        channel_pair_init(&pair, 340);
        pair.sides[ACCEPTOR].requests_max = 3;
        pair.sides[DIALER].hello = hello == 1;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        struct burst burst = {.request = {.verb = VERB_KEEP, .args = {NULL, 8}}, .outcomes = outcomes, .count = 4};
        channel_pair_burst(&pair, &burst);
        conn_pair_run(&pair.conns, SECOND / 10);
        assert_int_equal(pair.sides[ACCEPTOR].kept_count, 3);
        assert_int_equal(outcomes[3].count, hello);
        if (hello == 1) {
            assert_int_equal(outcomes[3].err, WEFT_ERR_BUSY);
            assert_int_equal(outcomes[3].executed, WEFT_EXECUTED_NO);
        }
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_busy), hello);
        channel_pair_answer_kept(&pair, WEFT_OK);
        if (hello == 0) { /* who does not know the word is not read from until there is a slot */
            assert_int_equal(pair.sides[ACCEPTOR].kept_count, 1);
            channel_pair_answer_kept(&pair, WEFT_OK);
            assert_int_equal(outcomes[3].err, WEFT_OK);
        }
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(outcomes[i].count, 1);
            assert_int_equal(outcomes[i].err, WEFT_OK);
            assert_int_equal(outcomes[i].bytes, 100);
            assert_int_equal(outcomes[i].wrong_bytes, 0);
        }
        channel_pair_close(&pair);
    }
}

static void memory__no_room_for_a_request__too_large(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    channel_pair_init(&pair, 350);
    pair.options.arena_bytes = 64u << 10;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    channel_pair_call(&pair, VERB_ECHO, 200000, SECOND, &outcome);
    assert_int_equal(outcome.err, WEFT_ERR_TOO_LARGE); /* there never will be */
    assert_int_equal(outcome.executed, WEFT_EXECUTED_NO);
    channel_pair_call(&pair, VERB_ECHO, 1000, SECOND, &outcome); /* the stream is in step again */
    assert_int_equal(outcome.err, WEFT_OK);
    assert_int_equal(outcome.wrong_bytes, 0);
    channel_pair_close(&pair);
}

static void memory__no_room_for_an_answer__no_memory_and_executed(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    channel_pair_init(&pair, 351);
    pair.options.arena_bytes = 64u << 10;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    channel_pair_call(&pair, VERB_SOURCE, 200, SECOND, &outcome);
    assert_int_equal(outcome.err, WEFT_ERR_NO_MEMORY);
    assert_int_equal(outcome.executed, WEFT_EXECUTED_YES);
    channel_pair_call(&pair, VERB_SOURCE, 1, SECOND, &outcome);
    assert_int_equal(outcome.err, WEFT_OK);
    assert_int_equal(outcome.bytes, 1024);
    assert_int_equal(outcome.wrong_bytes, 0);
    channel_pair_close(&pair);
}

static void one_way__handed_over__told_once(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[10] = {{0}};
    channel_pair_init(&pair, 360);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {
        .request = {.verb = VERB_SINK, .args = {NULL, 20000}, .one_way = true}, .outcomes = outcomes, .count = 10};
    channel_pair_burst(&pair, &burst);
    conn_pair_run(&pair.conns, SECOND);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].err, WEFT_OK);
        assert_int_equal(outcomes[i].executed, WEFT_EXECUTED_MAYBE);
    }
    assert_int_equal(pair.sides[ACCEPTOR].sink_calls, 10);
    assert_int_equal(COUNTER(&pair, DIALER, one_way_sent), 10);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, one_way_received), 10);
    assert_int_equal(COUNTER(&pair, DIALER, bytes_received), COUNTER(&pair, ACCEPTOR, bytes_sent));
    /* A verb that nobody serves is answered all the same, and the answer finds nobody. */
    struct burst unknown = {
        .request = {.verb = VERB_NOBODY, .args = {NULL, 1}, .one_way = true}, .outcomes = outcomes, .count = 1};
    channel_pair_burst(&pair, &unknown);
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(outcomes[0].count, 2);
    assert_int_equal(COUNTER(&pair, DIALER, late_replies), 1);
    channel_pair_close(&pair);
}

static void channel__ends_with_calls__honest_about_execution(void **state)
{
    (void)state;
    for (int one_way = 0; one_way < 2; one_way++) {
        struct channel_pair pair;
        struct outcome handed[2] = {{0}};
        struct outcome queued[2] = {{0}};
        channel_pair_init(&pair, 370);
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        struct burst first = {.request = {.verb = VERB_KEEP, .args = {NULL, 8}}, .outcomes = handed, .count = 2};
        channel_pair_burst(&pair, &first);
        conn_pair_run(&pair.conns, SECOND / 10);
        struct burst second = {.request = {.verb = VERB_SINK, .args = {NULL, 8}, .one_way = one_way == 1},
                               .outcomes = queued,
                               .count = 2,
                               .abort = true};
        channel_pair_burst(&pair, &second);
        conn_pair_until_closed(&pair.conns);
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(handed[i].count, 1);
            assert_int_equal(handed[i].err, WEFT_ERR_CLOSED);
            assert_int_equal(handed[i].error.reason, WEFT_REASON_LOCAL_CLOSE);
            assert_int_equal(handed[i].executed, WEFT_EXECUTED_MAYBE);
            assert_int_equal(queued[i].count, 1);
            assert_int_equal(queued[i].err, WEFT_ERR_CLOSED);
            assert_int_equal(queued[i].executed, WEFT_EXECUTED_NO);
        }
        assert_int_equal(pair.sides[ACCEPTOR].sink_calls, 0);
        channel_pair_answer_kept(&pair, WEFT_ERR_CLOSED); /* the requests outlive their connection */
        channel_pair_close(&pair);
    }
}

static void channel__closed_with_calls_queued__they_go_out(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[3] = {{0}};
    channel_pair_init(&pair, 371);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct burst burst = {.request = {.verb = VERB_SINK, .args = {NULL, 100}, .one_way = true},
                          .outcomes = outcomes,
                          .count = 3,
                          .close = true};
    channel_pair_burst(&pair, &burst);
    conn_pair_until_closed(&pair.conns);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].err, WEFT_OK);
    }
    assert_int_equal(pair.sides[ACCEPTOR].sink_calls, 3);
    channel_pair_close(&pair);
}

struct chain {
    struct side *side;
    uint32_t left;
    uint32_t refused;
};

static void chain_next(struct outcome *outcome, void *ctx)
{
    struct chain *chain = ctx;
    const struct call_request request = {.verb = VERB_ECHO, .args = {NULL, 10}, .timeout_ns = SECOND};
    assert_int_equal(outcome->wrong_bytes, 0);
    if (chain->left > 0) {
        chain->left--;
        chain->refused += side_call(chain->side, 0, &request, outcome) != WEFT_OK;
    }
}

static void callback__calls_again__its_own_slot_is_free(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 380);
    pair.sides[DIALER].calls_max = 1;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct chain chain = {.side = &pair.sides[DIALER], .left = 50};
    struct outcome outcome = {.then = chain_next, .ctx = &chain};
    struct burst burst = {.request = {.verb = VERB_ECHO, .args = {NULL, 10}}, .outcomes = &outcome, .count = 1};
    channel_pair_burst(&pair, &burst);
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(chain.left, 0);
    assert_int_equal(chain.refused, 0);
    assert_int_equal(outcome.count, 51);
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call__every_size__comes_back),
        cmocka_unit_test(call__not_served__unknown_verb_and_not_executed),
        cmocka_unit_test(call__handler_fails__text_arrives_cut),
        cmocka_unit_test(call__no_answer_in_time__ends_once_and_the_late_one_is_nobodys),
        cmocka_unit_test(calls__slots_used_up__refused_and_no_callback),
        cmocka_unit_test(calls__send_queue_full__refused_and_no_callback),
        cmocka_unit_test(request__its_verb_forbidden__refused_without_running),
        cmocka_unit_test(requests__slots_used_up__busy_or_they_wait),
        cmocka_unit_test(memory__no_room_for_a_request__too_large),
        cmocka_unit_test(memory__no_room_for_an_answer__no_memory_and_executed),
        cmocka_unit_test(one_way__handed_over__told_once),
        cmocka_unit_test(channel__ends_with_calls__honest_about_execution),
        cmocka_unit_test(channel__closed_with_calls_queued__they_go_out),
        cmocka_unit_test(callback__calls_again__its_own_slot_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
