/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: real nodes do what the public headers say: calls, their failures and limits, peers that come and go, draining,
 * and links that are plain or TLS as the policy wants, with the same reason for a refusal at both ends.
 *
 * Method: two nodes in this process on loopback addresses of their own (node_host.h, which calls weft_node_start), once
 * over epoll and once over io_uring where it works. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/io/io_uring_probe.h"
#include "tests/integration/node_host.h"

#define MIB (1024u * 1024)
#define COUNTER(name) offsetof(struct weft_counters, name)

/* What a test has, and what is taken down after it, also when it failed. */
struct pair {
    const char *backend;
    struct host a;
    struct host b;
    struct host_tls tls_a;
    struct host_tls tls_b;
    struct authority authority;
};

static int pair_set_up(void **state)
{
    struct pair *pair = test_calloc(1, sizeof *pair);
    pair->backend = *state;
    host_pair_init(&pair->a, &pair->b, pair->backend);
    *state = pair;
    return 0;
}

static void pair_start(struct pair *pair)
{
    host_start(&pair->b);
    host_start(&pair->a);
}

static void pair_again(struct pair *pair)
{
    host_fini(&pair->a);
    host_fini(&pair->b);
    host_pair_init(&pair->a, &pair->b, pair->backend);
}

static int pair_tear_down(void **state)
{
    struct pair *pair = *state;
    host_fini(&pair->a);
    host_fini(&pair->b);
    authority_close(&pair->authority);
    test_free(pair);
    return 0;
}

static void expect_ok(const struct answer *answer, uint32_t bytes)
{
    assert_int_equal(answer->started, WEFT_OK);
    assert_string_equal(answer->error.text, "");
    assert_int_equal(answer->err, WEFT_OK);
    assert_int_equal(answer->executed, WEFT_EXECUTED_YES);
    assert_int_equal(answer->bytes, bytes);
}

static void expect_failed(const struct answer *answer, enum weft_err err, enum weft_executed executed)
{
    assert_int_equal(answer->started, WEFT_OK);
    assert_int_equal(answer->err, err);
    assert_int_equal(answer->error.code, err);
    assert_int_equal(answer->executed, executed);
}

/* --- calls --- */

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

/* --- peers --- */

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
    pair->b.options.cluster_name = "other";
    pair_start(pair);
    struct answer answer = host_call(&pair->a, VERB_HELLO, 0, 0);
    assert_true(answer.started == WEFT_ERR_UNREACHABLE || answer.error.reason == WEFT_REASON_WRONG_CLUSTER);
    host_until_logged(&pair->a, "refused out to");
    host_until_logged(&pair->b, "refused in from");
    assert_true(host_logged(&pair->a, "wrong_cluster"));
    assert_true(host_logged(&pair->b, "wrong_cluster"));
    assert_true(host_refused(&pair->a, WEFT_REASON_WRONG_CLUSTER) >= 1);
    assert_true(host_refused(&pair->b, WEFT_REASON_WRONG_CLUSTER) >= 1);
}

/* --- the end --- */

static void sleep_begin(struct asked *asked, struct host *host, uint8_t us[8], uint64_t duration_us)
{
    bytes_store64(us, duration_us);
    *asked = (struct asked){
        .host = host, .peer = {1}, .verb = VERB_SLEEP, .args = {us, 8}, .options = WEFT_CALL_OPTIONS_INIT};
    asked->options.timeout_ms = 100000;
    assert_true(asked_start(asked));
}

static void drain__requests_run__they_finish(void **state)
{
    struct pair *pair = *state;
    struct asked asked;
    uint8_t us[8];
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    sleep_begin(&asked, &pair->a, us, 400000);
    host_until_counter(&pair->b, COUNTER(requests_received), 2);
    weft_node_drain(pair->b.node);
    weft_node_drain(pair->b.node); /* a second time changes nothing */
    assert_int_equal(weft_node_wait(pair->b.node), 0);
    asked_wait(&asked);
    expect_ok(&asked.answer, 0);
    assert_int_equal(weft_node_wait(pair->b.node), 0);
}

static void drain__calls_run__they_finish_and_no_new_ones(void **state)
{
    struct pair *pair = *state;
    struct asked asked;
    uint8_t us[8];
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    sleep_begin(&asked, &pair->a, us, 400000);
    host_until_counter(&pair->b, COUNTER(requests_received), 2);
    weft_node_drain(pair->a.node);
    struct asked late = {.host = &pair->a, .peer = {1}, .verb = VERB_HELLO, .options = WEFT_CALL_OPTIONS_INIT};
    while (asked_start(&late)) { /* the shard has not heard of it yet */
        asked_wait(&late);
    }
    assert_int_equal(late.started, WEFT_ERR_DRAINING);
    assert_int_equal(weft_node_wait(pair->a.node), 0);
    asked_wait(&asked);
    expect_ok(&asked.answer, 0);
}

static void drain__takes_too_long__cut_off_and_said_so(void **state)
{
    struct pair *pair = *state;
    struct asked asked;
    uint8_t us[8];
    pair->b.options.drain_timeout_ms = 100;
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    sleep_begin(&asked, &pair->a, us, 60000000);
    host_until_counter(&pair->b, COUNTER(requests_received), 2);
    weft_node_drain(pair->b.node);
    assert_int_equal(weft_node_wait(pair->b.node), 1);
    asked_wait(&asked);
    expect_failed(&asked.answer, WEFT_ERR_CLOSED, WEFT_EXECUTED_MAYBE);
}

static void drain__a_client_never_closes__nothing_was_cut_off(void **state)
{
    struct pair *pair = *state;
    struct sockaddr_in to = {.sin_family = AF_INET};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    pair->a.options.drain_timeout_ms = 100; /* less than a closing connection waits for its peer */
    host_start(&pair->a);
    to.sin_port = htons(host_port(&pair->a));
    assert_int_equal(inet_pton(AF_INET, pair->a.address, &to.sin_addr), 1);
    assert_int_equal(connect(client, (const struct sockaddr *)(const void *)&to, sizeof to), 0);
    host_until_counter(&pair->a, COUNTER(accepted), 1);
    weft_node_drain(pair->a.node);
    assert_int_equal(weft_node_wait(pair->a.node), 0);
    close(client);
}

static void drain__asked_before_the_start__ends_at_once(void **state)
{
    struct pair *pair = *state;
    assert_int_equal(weft_node_create(&pair->a.node, &pair->a.options, NULL), WEFT_OK);
    weft_node_drain(pair->a.node); /* from a signal handler, say, that was quicker than the start */
    assert_int_equal(weft_node_start(pair->a.node, NULL, NULL, NULL), WEFT_OK);
    assert_int_equal(weft_node_wait(pair->a.node), 0);
}

static void node__wrong_state__refused(void **state)
{
    struct pair *pair = *state;
    weft_node *node;
    struct weft_error why = {0};
    host_start(&pair->a);
    node = pair->a.node;
    assert_int_equal(weft_node_handle(node, 1000, NULL, NULL, &why), WEFT_ERR_STATE);
    assert_int_equal(weft_node_on_peer(node, NULL, NULL), WEFT_ERR_STATE);
    assert_int_equal(weft_node_start(node, NULL, NULL, NULL), WEFT_ERR_STATE);
}

static void node__address_is_taken__error_names_it_and_a_later_start_works(void **state)
{
    struct pair *pair = *state;
    struct weft_error why = {0};
    pair->b.options.listen_address = pair->a.address;
    host_start(&pair->a);
    assert_int_equal(weft_node_create(&pair->b.node, &pair->b.options, NULL), WEFT_OK);
    assert_int_equal(weft_node_start(pair->b.node, NULL, NULL, &why), WEFT_ERR_SYSTEM);
    assert_non_null(strstr(why.text, pair->a.address));
    host_stop(&pair->a);
    assert_int_equal(weft_node_start(pair->b.node, NULL, NULL, &why), WEFT_OK);
}

static uint32_t entries(const char *path)
{
    uint32_t count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static void node__started_and_destroyed_often__leaves_nothing(void **state)
{
    struct pair *pair = *state;
    uint32_t files = 0;
    uint32_t threads = 0;
    for (uint32_t round = 0; round < 51; round++) {
        pair_again(pair);
        pair_start(pair);
        if (round % 10 == 0) {
            struct answer answer = host_call_patient(&pair->a, VERB_ECHO, 1000);
            expect_ok(&answer, 1000);
        }
        host_stop(&pair->a);
        host_stop(&pair->b);
        if (round == 0) { /* whatever libraries keep for good is there now */
            files = entries("/proc/self/fd");
            threads = entries("/proc/self/task");
        }
    }
    assert_int_equal(entries("/proc/self/fd"), files);
    assert_int_equal(entries("/proc/self/task"), threads);
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

/* --- the policy on the wire --- */

struct link_seen {
    enum weft_lane lane;
    bool outgoing;
    uint32_t count;
    struct weft_link link;
};

static void link_look(void *ctx, const struct weft_link *link)
{
    struct link_seen *seen = ctx;
    if (link->lane == seen->lane && link->outgoing == seen->outgoing && link->up) {
        seen->count++;
        seen->link = *link;
    }
}

static void expect_link(struct host *host, enum weft_lane lane, bool outgoing, bool encrypted,
                        enum weft_reason decision)
{
    struct link_seen seen = {.lane = lane, .outgoing = outgoing};
    weft_node_links(host->node, link_look, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.link.encrypted, encrypted);
    assert_string_equal(weft_reason_name(seen.link.decision), weft_reason_name(decision));
    assert_string_equal(seen.link.tls_version, encrypted ? "TLSv1.3" : "");
    assert_int_equal(seen.link.tls_cipher[0] != '\0', encrypted);
    assert_string_equal(seen.link.dc, host->peers[0].dc);
    assert_string_equal(seen.link.rack, host->peers[0].rack);
}

struct scope_case {
    enum weft_encryption scope;
    const char *dc; /* of b; a is in dc1, r1 */
    const char *rack;
    bool encrypted;           /* the normal lane */
    enum weft_reason dialing; /* why */
    bool control_encrypted;
};

static void pair_locate(struct pair *pair, const char *dc, const char *rack)
{
    pair->a.options.dc = "dc1";
    pair->a.options.rack = "r1";
    pair->b.options.dc = dc;
    pair->b.options.rack = rack;
    pair->a.peers[0].dc = dc;
    pair->a.peers[0].rack = rack;
}

static void links__each_scope_and_location__plain_or_tls_as_decided(void **state)
{
    struct pair *pair = *state;
    static const struct scope_case cases[] = {
        {WEFT_ENCRYPTION_NONE, "dc2", "r1", false, WEFT_REASON_SCOPE_NONE, false},
        {WEFT_ENCRYPTION_RACK, "dc1", "r1", false, WEFT_REASON_SAME_RACK, true},
        {WEFT_ENCRYPTION_RACK, "dc1", "r2", true, WEFT_REASON_OTHER_RACK, true},
        {WEFT_ENCRYPTION_RACK, "dc2", "r1", true, WEFT_REASON_OTHER_DC, true},
        {WEFT_ENCRYPTION_DC, "dc1", "r2", false, WEFT_REASON_SAME_DC, true},
        {WEFT_ENCRYPTION_DC, "dc2", "r1", true, WEFT_REASON_OTHER_DC, true},
        {WEFT_ENCRYPTION_ALL, "dc1", "r1", true, WEFT_REASON_SCOPE_ALL, true},
        {WEFT_ENCRYPTION_TRANSITIONAL, "dc1", "r1", true, WEFT_REASON_TRANSITIONAL, true},
    };
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "a", "ca");
    authority_node(&pair->authority, "b", "ca");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pair_again(pair);
        pair_locate(pair, cases[i].dc, cases[i].rack);
        pair->a.options.encryption = pair->b.options.encryption = cases[i].scope;
        pair->a.options.tls.client_auth = pair->b.options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
        host_use_tls(&pair->a, &pair->tls_a, &pair->authority, "a", "ca");
        host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
        pair_start(pair);
        struct answer answer = host_call_patient(&pair->a, VERB_ECHO, 100000);
        expect_ok(&answer, 100000);
        assert_int_equal(answer.wrong_bytes, 0);
        host_until_events(&pair->a, 1);
        host_until_events(&pair->b, 1);
        expect_link(&pair->a, WEFT_LANE_NORMAL, true, cases[i].encrypted, cases[i].dialing);
        struct link_seen seen = {.lane = WEFT_LANE_CONTROL, .outgoing = true};
        weft_node_links(pair->a.node, link_look, &seen);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.link.encrypted, cases[i].control_encrypted);
        expect_link(&pair->b, WEFT_LANE_NORMAL, false, cases[i].encrypted,
                    cases[i].encrypted ? WEFT_REASON_TLS_LISTENER : cases[i].dialing);
        struct weft_counters counters;
        weft_node_counters(pair->a.node, &counters);
        assert_int_equal(counters.refused, 0);
        assert_int_equal(counters.tls_bytes_sent > 100000, cases[i].encrypted);
        assert_int_equal(counters.plain_bytes_sent > 100000, !cases[i].encrypted);
    }
}

/* Dialing asks the same question as explaining and admitting: what do all entries of the address agree on? */
static void link__address_of_entries_in_two_places__tls(void **state)
{
    struct pair *pair = *state;
    struct link_seen seen = {.lane = WEFT_LANE_NORMAL, .outgoing = true};
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "a", "ca");
    authority_node(&pair->authority, "b", "ca");
    pair_locate(pair, "dc1", "r1");
    pair->a.peers[1] = pair->a.peers[0];
    pair->a.peers[1].dc = "dc2";
    pair->a.options.peer_count = 2;
    pair->a.options.encryption = pair->b.options.encryption = WEFT_ENCRYPTION_DC;
    host_use_tls(&pair->a, &pair->tls_a, &pair->authority, "a", "ca");
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_ECHO, 1000);
    expect_ok(&answer, 1000);
    weft_node_links(pair->a.node, link_look, &seen);
    assert_int_equal(seen.count, 1);
    assert_true(seen.link.encrypted);
    assert_string_equal(weft_reason_name(seen.link.decision), "location_unknown");
}

/* a calls b and cannot; both say why. */
static void expect_refusal(struct pair *pair, enum weft_reason at_a, enum weft_reason at_b)
{
    pair_start(pair);
    struct answer answer = host_call(&pair->a, VERB_HELLO, 0, 0);
    if (answer.started == WEFT_OK) {
        expect_failed(&answer, WEFT_ERR_UNREACHABLE, WEFT_EXECUTED_NO);
        assert_string_equal(weft_reason_name(answer.error.reason), weft_reason_name(at_a));
    }
    host_until_logged(&pair->a, weft_reason_name(at_a));
    host_until_logged(&pair->b, weft_reason_name(at_b));
    assert_true(host_refused(&pair->a, at_a) >= 1);
    assert_true(host_refused(&pair->b, at_b) >= 1);
    struct weft_counters counters;
    weft_node_counters(pair->a.node, &counters);
    assert_int_equal(counters.peers_up, 0);
    weft_node_counters(pair->b.node, &counters);
    assert_int_equal(counters.requests_received, 0);
}

static void tls__signed_by_another_ca__untrusted_at_both_ends(void **state)
{
    struct pair *pair = *state;
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_ca(&pair->authority, "other");
    authority_node(&pair->authority, "a", "ca");
    authority_node(&pair->authority, "b", "other");
    pair->a.options.encryption = pair->b.options.encryption = WEFT_ENCRYPTION_ALL;
    host_use_tls(&pair->a, &pair->tls_a, &pair->authority, "a", "ca");
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "other");
    expect_refusal(pair, WEFT_REASON_CERT_UNTRUSTED, WEFT_REASON_CERT_UNTRUSTED);
}

static void tls__certificate_demanded_and_not_shown__missing_at_both_ends(void **state)
{
    struct pair *pair = *state;
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "b", "ca");
    pair->a.options.encryption = pair->b.options.encryption = WEFT_ENCRYPTION_ALL;
    pair->a.options.client_only = true;
    pair->b.options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
    pair->b.options.peer_count = 1;
    host_use_tls(&pair->a, &pair->tls_a, &pair->authority, NULL, "ca");
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
    expect_refusal(pair, WEFT_REASON_CERT_MISSING, WEFT_REASON_CERT_MISSING);
}

static void plaintext__from_another_dc__forbidden_at_both_ends(void **state)
{
    struct pair *pair = *state;
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "b", "ca");
    for (int known = 0; known < 2; known++) {
        pair_again(pair);
        pair_locate(pair, "dc2", "r1");
        pair->b.options.encryption = WEFT_ENCRYPTION_DC;
        pair->b.options.heartbeat_ms = UINT32_MAX; /* b dials nobody: a has no TLS port */
        pair->b.options.peer_count = (uint32_t)known;
        host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
        if (known == 1) {
            expect_refusal(pair, WEFT_REASON_PLAINTEXT_FORBIDDEN, WEFT_REASON_PLAINTEXT_FORBIDDEN);
        } else { /* an outsider learns nothing */
            expect_refusal(pair, WEFT_REASON_REFUSED, WEFT_REASON_PLAINTEXT_UNKNOWN_LOCATION);
        }
    }
}

static void plaintext__to_a_tls_port__said_so_at_both_ends(void **state)
{
    struct pair *pair = *state;
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "b", "ca");
    pair->b.options.encryption = WEFT_ENCRYPTION_ALL;
    pair->b.options.heartbeat_ms = UINT32_MAX;
    pair->a.peers[0].storage_port = 7001;
    pair->a.peers[0].ssl_storage_port = 7000;
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "b", "ca");
    expect_refusal(pair, WEFT_REASON_PLAINTEXT_ON_TLS_PORT, WEFT_REASON_PLAINTEXT_ON_TLS_PORT);
}

#define NODE_TEST(name, backend)                                                                                       \
    {                                                                                                                  \
#name " over " backend, name, pair_set_up, pair_tear_down, (void *)(uintptr_t)backend                          \
    }
#define NODE_TESTS(backend)                                                                                            \
    NODE_TEST(calls__both_ways__every_standard_verb, backend),                                                         \
        NODE_TEST(call__large_payloads__come_back_or_are_refused, backend),                                            \
        NODE_TEST(call_buf__taken_or_refused__nothing_stays, backend),                                                 \
        NODE_TEST(calls__many_at_once_with_large_answers__all_answered, backend),                                      \
        NODE_TEST(call__no_answer_in_time__timeout, backend),                                                          \
        NODE_TEST(call__wrong_arguments__refused_at_once, backend),                                                    \
        NODE_TEST(calls__more_than_calls_max__queue_full, backend),                                                    \
        NODE_TEST(requests__more_than_requests_max__busy, backend),                                                    \
        NODE_TEST(peer__down__unreachable_or_waited_for, backend),                                                     \
        NODE_TEST(peer__restarted__up_down_and_up_again, backend),                                                     \
        NODE_TEST(peer__idle__kept_alive_by_heartbeats, backend), NODE_TEST(node__dials_itself__refused, backend),     \
        NODE_TEST(peer__of_another_cluster__refused_at_both_ends, backend),                                            \
        NODE_TEST(drain__requests_run__they_finish, backend),                                                          \
        NODE_TEST(drain__calls_run__they_finish_and_no_new_ones, backend),                                             \
        NODE_TEST(drain__takes_too_long__cut_off_and_said_so, backend),                                                \
        NODE_TEST(drain__a_client_never_closes__nothing_was_cut_off, backend),                                         \
        NODE_TEST(drain__asked_before_the_start__ends_at_once, backend),                                               \
        NODE_TEST(node__wrong_state__refused, backend),                                                                \
        NODE_TEST(node__address_is_taken__error_names_it_and_a_later_start_works, backend),                            \
        NODE_TEST(node__started_and_destroyed_often__leaves_nothing, backend),                                         \
        NODE_TEST(node__two_shards__each_calls_and_serves, backend),                                                   \
        NODE_TEST(links__each_scope_and_location__plain_or_tls_as_decided, backend),                                   \
        NODE_TEST(link__address_of_entries_in_two_places__tls, backend),                                               \
        NODE_TEST(tls__signed_by_another_ca__untrusted_at_both_ends, backend),                                         \
        NODE_TEST(tls__certificate_demanded_and_not_shown__missing_at_both_ends, backend),                             \
        NODE_TEST(plaintext__from_another_dc__forbidden_at_both_ends, backend),                                        \
        NODE_TEST(plaintext__to_a_tls_port__said_so_at_both_ends, backend)

int main(void)
{
    const struct CMUnitTest over_epoll[] = {NODE_TESTS("epoll")};
    const struct CMUnitTest over_io_uring[] = {NODE_TESTS("io_uring")};
    char text[256];
    int failed = cmocka_run_group_tests(over_epoll, NULL, NULL);
    if (io_uring_probe(text, sizeof text) == WEFT_OK) {
        failed += cmocka_run_group_tests(over_io_uring, NULL, NULL);
    } else {
        printf("io_uring does not work here: %s\n", text);
    }
    return failed;
}
