/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a real node ends as its host wants: after the work, in time, with nothing left behind; what is asked of it at
 * the wrong moment is refused.
 *
 * Method: two nodes in this process on loopback addresses of their own (node_pair.h, which calls weft_node_start), once
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
#include "tests/integration/node_pair.h"

#define COUNTER(name) offsetof(struct weft_counters, name)

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

/* A third node meets one that drains: told so by name, and answered by nothing else; and a client that is no weft node
 * is closed. */
static void meet_while_draining(struct pair *pair, struct host *late)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct asked asked;
    uint8_t us[8];
    uint8_t byte;
    static const uint8_t offer[] = {'S', 'S', 'T', 'A', 'R', 'R', 'P', 'C', 0, 0, 0, 0};
    pair_start(pair);
    struct answer answer = host_call_patient(&pair->a, VERB_HELLO, 0);
    expect_ok(&answer, 0);
    to.sin_port = htons(host_port(&pair->b));
    assert_int_equal(inet_pton(AF_INET, pair->b.address, &to.sin_addr), 1);
    sleep_begin(&asked, &pair->a, us, 1500000);
    host_until_counter(&pair->b, COUNTER(requests_received), 2);
    weft_node_drain(pair->b.node);
    host_start(late);
    host_until_logged(late, "draining: refused by the peer: draining");
    host_until_counter(&pair->b, COUNTER(refused_by_reason) + WEFT_REASON_DRAINING * sizeof(uint64_t), 1);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(connect(client, (const struct sockaddr *)(const void *)&to, sizeof to), 0);
    assert_int_equal(write(client, offer, sizeof offer), sizeof offer);
    assert_int_equal(read(client, &byte, 1), 0); /* closed without a word */
    close(client);
    assert_int_equal(weft_node_wait(pair->b.node), 0);
    asked_wait(&asked);
    expect_ok(&asked.answer, 0);
    uint64_t told = host_refused(late, WEFT_REASON_DRAINING);
    assert_true(told > 0);
    assert_true(host_refused(&pair->b, WEFT_REASON_DRAINING) >= told + 1); /* and the client */
}

static void drain__a_node_dials_meanwhile__told_so(void **state)
{
    struct pair *pair = *state;
    struct host late;
    host_init(&late, 3, pair->backend);
    host_knows(&late, &pair->b, "dc1", "r1");
    host_knows(&pair->b, &late, "dc1", "r1");
    meet_while_draining(pair, &late);
    host_fini(&late);
}

static void drain__a_node_dials_by_tls_meanwhile__told_so(void **state)
{
    struct pair *pair = *state;
    struct host late;
    struct host_tls tls;
    host_init(&late, 3, pair->backend);
    host_knows(&late, &pair->b, "dc1", "r1");
    host_knows(&pair->b, &late, "dc1", "r1");
    authority_open(&pair->authority);
    authority_ca(&pair->authority, "ca");
    authority_node(&pair->authority, "node", "ca");
    host_use_tls(&pair->a, &pair->tls_a, &pair->authority, "node", "ca");
    host_use_tls(&pair->b, &pair->tls_b, &pair->authority, "node", "ca");
    host_use_tls(&late, &tls, &pair->authority, "node", "ca");
    pair->a.options.encryption = pair->b.options.encryption = late.options.encryption = WEFT_ENCRYPTION_TRANSITIONAL;
    meet_while_draining(pair, &late);
    host_fini(&late);
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

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(drain__requests_run__they_finish),
        BACKEND_TEST(drain__calls_run__they_finish_and_no_new_ones),
        BACKEND_TEST(drain__takes_too_long__cut_off_and_said_so),
        BACKEND_TEST(drain__a_client_never_closes__nothing_was_cut_off),
        BACKEND_TEST(drain__a_node_dials_meanwhile__told_so),
        BACKEND_TEST(drain__a_node_dials_by_tls_meanwhile__told_so),
        BACKEND_TEST(drain__asked_before_the_start__ends_at_once),
        BACKEND_TEST(node__wrong_state__refused),
        BACKEND_TEST(node__address_is_taken__error_names_it_and_a_later_start_works),
        BACKEND_TEST(node__started_and_destroyed_often__leaves_nothing),
    };
    return pair_run(tests, sizeof tests / sizeof tests[0]);
}
