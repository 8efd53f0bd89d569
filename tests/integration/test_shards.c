/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: on real sockets a call that names a shard of its peer lands there without a hop, and the connections of a
 * former life go when a node comes back.
 *
 * Method: nodes in this process (node_host.h), over epoll and over io_uring where it works; two shards as far as the
 * machine has CPUs for them, else what is about several shards passes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/io/io_uring_probe.h"
#include "tests/integration/node_host.h"
#include "topology/cluster/node.h"

#define VERB_WHERE 100u
#define COUNTER(name) offsetof(struct weft_counters, name)
#define NODE_ID "6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9"
#define OTHER_ID "6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0fa"

struct trio {
    const char *backend;
    struct host a;
    struct host b;
    struct host c;
};

static int trio_set_up(void **state)
{
    struct trio *trio = test_calloc(1, sizeof *trio);
    trio->backend = *state;
    host_init(&trio->a, 1, trio->backend);
    host_init(&trio->b, 2, trio->backend);
    host_init(&trio->c, 3, trio->backend);
    *state = trio;
    return 0;
}

static int trio_tear_down(void **state)
{
    struct trio *trio = *state;
    host_fini(&trio->a);
    host_fini(&trio->c);
    host_fini(&trio->b);
    test_free(trio);
    return 0;
}

/* The shard that runs it. */
static void verb_where(void *ctx, weft_request *request)
{
    uint8_t shard[8];
    (void)ctx;
    bytes_store64(shard, weft_shard_index(weft_request_shard(request)));
    (void)weft_reply(request, (struct weft_span){shard, sizeof shard});
}

static void serve_where(struct host *host)
{
    assert_int_equal(weft_node_handle(host->node, VERB_WHERE, verb_where, NULL, NULL), WEFT_OK);
}

static struct answer where(struct host *host, uint32_t shard, uint32_t named, enum weft_lane lane)
{
    struct asked asked = {
        .host = host, .shard = shard, .peer = {1}, .verb = VERB_WHERE, .options = WEFT_CALL_OPTIONS_INIT};
    asked.options.timeout_ms = 20000;
    asked.options.wait_for_peer = true;
    asked.options.remote_shard = named;
    asked.options.lane = lane;
    assert_true(asked_start(&asked));
    asked_wait(&asked);
    assert_int_equal(asked.answer.err, WEFT_OK);
    return asked.answer;
}

static struct weft_counters counters_of(const struct host *host)
{
    struct weft_counters counters;
    weft_node_counters(host->node, &counters);
    return counters;
}

static void call__shard_named__lands_there(void **state)
{
    struct trio *trio = *state;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        skip();
    }
    trio->a.options.shards = "2";
    trio->b.options.shards = "2";
    trio->b.prepare = serve_where;
    host_knows(&trio->a, &trio->b, NULL, NULL);
    host_knows(&trio->b, &trio->a, NULL, NULL);
    host_start(&trio->b);
    host_start(&trio->a);
    host_until_events(&trio->a, 1); /* the control connection has learnt how many shards there are */
    for (uint32_t i = 0; i < 40; i++) {
        struct answer answer = where(&trio->a, i % 2, 1 + i / 2 % 2, WEFT_LANE_NORMAL);
        assert_int_equal(bytes_load64(answer.head), i / 2 % 2);
        (void)where(&trio->a, i % 2, 0, WEFT_LANE_CONTROL);
    }
    struct weft_counters from = counters_of(&trio->a);
    assert_int_equal(from.misrouted, 0);
    assert_int_equal(from.calls_carried, 20); /* one of two shards has the control connection */
    assert_int_equal(counters_of(&trio->b).requests_hopped, 0);
    assert_int_equal(from.dialed, 5); /* control, and one for each pair of shards */
}

static uint32_t owner_of_first_byte(void *ctx, struct weft_span payload)
{
    (void)ctx;
    return payload.bytes > 0 ? payload.data[0] : 0;
}

static void serve_where_owned(struct host *host)
{
    serve_where(host);
    assert_int_equal(weft_node_shard_of(host->node, VERB_NOBODY, owner_of_first_byte, NULL, NULL), WEFT_ERR_NOT_FOUND);
    assert_int_equal(weft_node_shard_of(host->node, VERB_WHERE, owner_of_first_byte, NULL, NULL), WEFT_OK);
}

static void request__verb_names_its_owner__hops(void **state)
{
    struct trio *trio = *state;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        skip();
    }
    trio->b.options.shards = "2";
    trio->b.prepare = serve_where_owned;
    host_knows(&trio->a, &trio->b, NULL, NULL);
    host_knows(&trio->b, &trio->a, NULL, NULL);
    host_start(&trio->b);
    host_start(&trio->a);
    for (uint32_t i = 0; i < 40; i++) {
        const uint8_t owner = i / 2 % 2; /* two calls in turn have one owner and two connections */
        struct asked asked = {
            .host = &trio->a, .peer = {1}, .verb = VERB_WHERE, .args = {&owner, 1}, .options = WEFT_CALL_OPTIONS_INIT};
        asked.options.wait_for_peer = true;
        assert_true(asked_start(&asked));
        asked_wait(&asked);
        assert_int_equal(asked.answer.err, WEFT_OK);
        assert_int_equal(bytes_load64(asked.answer.head), owner);
    }
    assert_in_range(counters_of(&trio->b).requests_hopped, 1, 39);
}

static uint64_t stale(const struct host *host)
{
    return counters_of(host).ended_by_reason[WEFT_REASON_STALE_INCARNATION - WEFT_REASON_ENDS_BEGIN];
}

/* Two clients that dial from one address as one node, the second in a later life. */
static void two_lives(struct trio *trio)
{
    trio->c.options.client_only = trio->a.options.client_only = true;
    trio->c.options.dial_address = trio->a.options.dial_address = trio->a.address;
    trio->c.options.node_id = trio->a.options.node_id = NODE_ID;
    trio->a.options.incarnation = 10;
    trio->c.options.incarnation = 11;
    host_knows(&trio->a, &trio->b, NULL, NULL);
    host_knows(&trio->c, &trio->b, NULL, NULL);
    host_start(&trio->b);
    host_start(&trio->a);
    host_until_events(&trio->a, 1);
    struct answer answer = host_call_patient(&trio->a, VERB_ECHO, 10);
    assert_int_equal(answer.err, WEFT_OK);
}

static void node__comes_back__connections_of_its_former_life_go(void **state)
{
    struct trio *trio = *state;
    host_knows(&trio->b, &trio->a, NULL, NULL);
    two_lives(trio);
    assert_int_equal(stale(&trio->b), 0);
    host_start(&trio->c);
    host_until_events(&trio->c, 1);
    host_until_counter(&trio->b, COUNTER(ended_by_reason[WEFT_REASON_STALE_INCARNATION - WEFT_REASON_ENDS_BEGIN]), 2);
    /* Who is older is not locked out. */
    struct answer answer = host_call_patient(&trio->a, VERB_ECHO, 10);
    assert_int_equal(answer.err, WEFT_OK);
    answer = host_call_patient(&trio->c, VERB_ECHO, 10);
    assert_int_equal(answer.err, WEFT_OK);
}

/* An address that two entries share proves neither of them. */
static void node__address_is_shared__fences_nobody(void **state)
{
    struct trio *trio = *state;
    host_knows(&trio->b, &trio->a, NULL, NULL);
    host_knows(&trio->b, &trio->a, NULL, NULL);
    two_lives(trio);
    host_start(&trio->c);
    host_until_events(&trio->c, 1);
    struct answer answer = host_call_patient(&trio->c, VERB_ECHO, 10);
    assert_int_equal(answer.err, WEFT_OK);
    answer = host_call(&trio->a, VERB_ECHO, 10, 0);
    assert_int_equal(answer.err, WEFT_OK);
    assert_int_equal(stale(&trio->b), 0);
}

/* A tool that dials from a node's address is not that node. */
static void node__another_id_from_its_address__fences_nobody(void **state)
{
    struct trio *trio = *state;
    host_knows(&trio->b, &trio->a, NULL, NULL);
    two_lives(trio);
    trio->c.options.node_id = OTHER_ID;
    host_start(&trio->c);
    host_until_events(&trio->c, 1);
    struct answer answer = host_call_patient(&trio->c, VERB_ECHO, 10);
    assert_int_equal(answer.err, WEFT_OK);
    answer = host_call(&trio->a, VERB_ECHO, 10, 0);
    assert_int_equal(answer.err, WEFT_OK);
    assert_int_equal(stale(&trio->b), 0);
}

/* A second node of this process is as foreign as a second process. */
static void node__port_is_taken__one_clear_line(void **state)
{
    struct trio *trio = *state;
    struct weft_error why = {0};
    trio->a.options.shards = "1";
    host_start(&trio->a);
    trio->c.options.listen_address = trio->a.address;
    assert_int_equal(weft_node_create(&trio->c.node, &trio->c.options, &why), WEFT_OK);
    assert_int_equal(weft_node_start(trio->c.node, NULL, NULL, &why), WEFT_ERR_SYSTEM);
    assert_non_null(strstr(why.text, "address already in use: another process listens there"));
    assert_non_null(strstr(why.text, trio->a.address));
}

/* A link that waits for its next dial is seen, with the reason. */
static void see_waiting(void *ctx, const struct weft_link *link)
{
    uint32_t *seen = ctx;
    *seen += link->waiting && !link->up && link->outgoing && link->lane == WEFT_LANE_CONTROL &&
             link->reason == WEFT_REASON_CONNECT_FAILED;
}

static void links__peer_is_down__shown_as_waiting(void **state)
{
    struct trio *trio = *state;
    uint32_t seen = 0;
    host_knows(&trio->a, &trio->b, NULL, NULL);
    host_start(&trio->a);
    host_until_counter(&trio->a, COUNTER(dial_failures), 1);
    weft_node_links(trio->a.node, see_waiting, &seen);
    for (uint32_t looks = 0; seen == 0 && looks < 1000; looks++) { /* it may be dialing just now */
        weft_node_links(trio->a.node, see_waiting, &seen);
    }
    assert_true(seen > 0);
}

#define ON(backend, test)                                                                                              \
    {                                                                                                                  \
#backend ": " #test, test, trio_set_up, trio_tear_down, #backend                                               \
    }
#define TESTS(backend)                                                                                                 \
    ON(backend, call__shard_named__lands_there), ON(backend, request__verb_names_its_owner__hops),                     \
        ON(backend, node__comes_back__connections_of_its_former_life_go),                                              \
        ON(backend, node__another_id_from_its_address__fences_nobody),                                                 \
        ON(backend, node__address_is_shared__fences_nobody), ON(backend, node__port_is_taken__one_clear_line),         \
        ON(backend, links__peer_is_down__shown_as_waiting)

int main(void)
{
    const struct CMUnitTest on_epoll[] = {TESTS(epoll)};
    const struct CMUnitTest on_uring[] = {TESTS(io_uring)};
    char text[256];
    int failed = cmocka_run_group_tests(on_epoll, NULL, NULL);
    if (io_uring_probe(text, sizeof text) == WEFT_OK) {
        failed += cmocka_run_group_tests(on_uring, NULL, NULL);
    }
    return failed;
}
