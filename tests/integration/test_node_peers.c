/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: real nodes tell of peers that come, go, are silent or are not who they should be.
 *
 * Method: two nodes in this process on loopback addresses of their own (node_pair.h, which calls weft_node_start), once
 * over epoll and once over io_uring where it works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/integration/node_pair.h"

#define COUNTER(name) offsetof(struct weft_counters, name)

static void peer__down__unreachable_or_waited_for(void **state)
{
    struct pair *pair = *state;
    host_start(&pair->a);
    struct answer answer = host_call(&pair->a, VERB_HELLO, 0, 0);
    if (answer.started == WEFT_OK) { /* it waited for the attempt that it caused */
        expect_failed(&answer, WEFT_ERR_UNREACHABLE, WEFT_EXECUTED_NO);
        assert_int_equal(answer.error.reason, WEFT_REASON_CONNECT_FAILED);
    }
    answer = host_call(&pair->a, VERB_HELLO, 0, 0);
    if (answer.started == WEFT_OK) { /* the next attempt has begun already */
        expect_failed(&answer, WEFT_ERR_UNREACHABLE, WEFT_EXECUTED_NO);
    } else {
        assert_int_equal(answer.started, WEFT_ERR_UNREACHABLE);
        assert_int_equal(answer.count, 0);
    }
    struct asked impatient = {.host = &pair->a, .peer = {1}, .verb = VERB_HELLO, .options = WEFT_CALL_OPTIONS_INIT};
    struct asked patient = impatient;
    impatient.options.wait_for_peer = true;
    impatient.options.timeout_ms = 50;
    patient.options.wait_for_peer = true;
    patient.options.timeout_ms = 25000;
    assert_true(asked_start(&patient));
    assert_true(asked_start(&impatient));
    asked_wait(&impatient);
    expect_failed(&impatient.answer, WEFT_ERR_TIMEOUT, WEFT_EXECUTED_NO);
    host_start(&pair->b);
    asked_wait(&patient);
    expect_ok(&patient.answer, 0);
}

static void peer__restarted__up_down_and_up_again(void **state)
{
    struct pair *pair = *state;
    pair_start(pair);
    host_until_events(&pair->a, 1);
    assert_true(pair->a.events[0].up);
    assert_int_equal(pair->a.events[0].reason, WEFT_REASON_NONE);
    host_stop(&pair->b);
    host_until_events(&pair->a, 2);
    assert_false(pair->a.events[1].up);
    assert_int_not_equal(pair->a.events[1].reason, WEFT_REASON_NONE);
    host_start(&pair->b);
    host_until_events(&pair->a, 3);
    assert_true(pair->a.events[2].up);
    struct answer answer = host_call_patient(&pair->a, VERB_ECHO, 100);
    expect_ok(&answer, 100);
    struct weft_counters counters;
    weft_node_counters(pair->a.node, &counters);
    assert_int_equal(counters.peers_up, 2);
    assert_int_equal(counters.peers_down, 1);
    host_until_logged(&pair->a, "peer down");
}

static void peer__idle__kept_alive_by_heartbeats(void **state)
{
    struct pair *pair = *state;
    pair->a.options.heartbeat_ms = 20;
    pair_start(pair);
    host_until_counter(&pair->b, COUNTER(heartbeats_answered), 5);
    struct weft_counters counters;
    weft_node_counters(pair->a.node, &counters);
    assert_int_equal(counters.peers_up, 1);
    assert_int_equal(counters.peers_down, 0);
}

static void node__dials_itself__refused(void **state)
{
    struct pair *pair = *state;
    pair->a.peers[0].addresses[0] = pair->a.address;
    host_start(&pair->a);
    struct answer answer = host_call(&pair->a, VERB_HELLO, 0, 0);
    expect_failed(&answer, WEFT_ERR_UNREACHABLE, WEFT_EXECUTED_NO);
    assert_string_equal(weft_reason_name(answer.error.reason), "self_connection");
    assert_true(host_refused(&pair->a, WEFT_REASON_SELF_CONNECTION) >= 1);
}

static void peer__of_another_cluster__refused_at_both_ends(void **state)
{
    struct pair *pair = *state;
    pair->b.options.cluster_name = "other\nE";
    pair_start(pair);
    struct answer answer = host_call(&pair->a, VERB_HELLO, 0, 0);
    assert_true(answer.started == WEFT_ERR_UNREACHABLE || answer.error.reason == WEFT_REASON_WRONG_CLUSTER);
    host_until_logged(&pair->a, "refused out to");
    host_until_logged(&pair->b, "refused in from");
    assert_true(host_logged(&pair->a, "wrong_cluster"));
    assert_true(host_logged(&pair->b, "wrong_cluster: the peer's cluster_name is 'test', this node's 'other\\x0aE'"));
    assert_true(host_refused(&pair->a, WEFT_REASON_WRONG_CLUSTER) >= 1);
    assert_true(host_refused(&pair->b, WEFT_REASON_WRONG_CLUSTER) >= 1);
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(peer__down__unreachable_or_waited_for),
        BACKEND_TEST(peer__restarted__up_down_and_up_again),
        BACKEND_TEST(peer__idle__kept_alive_by_heartbeats),
        BACKEND_TEST(node__dials_itself__refused),
        BACKEND_TEST(peer__of_another_cluster__refused_at_both_ends),
    };
    return pair_run(tests, sizeof tests / sizeof tests[0]);
}
