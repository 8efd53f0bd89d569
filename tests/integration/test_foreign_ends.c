/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a foreign thread has under way ends, once, when the node stops and when the thread leaves; what is wrong
 * is said.
 *
 * Method: nodes on loopback addresses over both real backends, and the ends of thread, shard and node in every order.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/reactor/foreign.h"
#include "tests/integration/foreign_pair.h"
#include "tests/integration/over_backends.h"
#include "topology/cluster/node.h"

#define VERB_KEEP 1000u

/* The handler of a verb that keeps its requests for a foreign thread. */
struct keeper {
    weft_foreign *foreign;
    uint32_t kept;
    bool fail;
    weft_request *request;
};

static void keeper_take(void *ctx)
{
    struct keeper *keeper = ctx;
    keeper->kept++;
    enum weft_err err = keeper->fail ? weft_foreign_fail(keeper->foreign, 0, keeper->request, "not today")
                                     : weft_foreign_reply(keeper->foreign, 0, keeper->request, weft_span_of("*kept"));
    assert_int_equal(err, WEFT_OK);
}

static void on_keep(void *ctx, weft_request *request)
{
    struct keeper *keeper = ctx;
    keeper->request = request;
    if (weft_foreign_notify(keeper->foreign, weft_request_shard(request), keeper_take, keeper) != WEFT_OK) {
        weft_fail(request, "the foreign thread is busy");
    }
}

static void request__kept_for_a_foreign_thread__answered_or_failed_by_it(void **state)
{
    static struct foreign_pair pair;
    struct keeper keeper = {0};
    struct endings tally = {0};
    memset(&pair, 0, sizeof pair);
    host_pair_init(&pair.a, &pair.b, *state);
    host_start(&pair.a);
    assert_int_equal(weft_node_create(&pair.b.node, &pair.b.options, NULL), WEFT_OK);
    assert_int_equal(weft_node_handle(pair.b.node, VERB_KEEP, on_keep, &keeper, NULL), WEFT_OK);
    assert_int_equal(weft_node_start(pair.b.node, NULL, NULL, NULL), WEFT_OK);
    weft_foreign *asking = foreign_make(pair.a.node, 1, 100);
    keeper.foreign = foreign_make(pair.b.node, 1, 100);
    for (uint32_t round = 1; round <= 20; round++) {
        keeper.fail = round % 2 == 0;
        assert_int_equal(foreign_ask(asking, 0, VERB_KEEP, 3, &tally), WEFT_OK);
        while (keeper.kept < round) {
            (void)foreign_wait(keeper.foreign);
        }
        while (tally.ended < round) {
            (void)foreign_wait(asking);
        }
        assert_int_equal(tally.last, keeper.fail ? WEFT_ERR_REMOTE : WEFT_OK);
        if (keeper.fail) {
            assert_string_equal(tally.error.text, "not today");
        } else {
            assert_int_equal(tally.bytes, 5);
            assert_int_equal(tally.first, '*');
        }
        /* The slot of its answer came back before the next request can. */
    }
    weft_foreign_destroy(asking);
    weft_foreign_destroy(keeper.foreign);
    foreign_pair_end(&pair);
}

static void node__stops_while_calls_are_under_way__each_ends_and_posts_are_refused(void **state)
{
    static struct foreign_pair pair;
    struct endings tally = {0};
    struct gate gate = {0};
    uint8_t us[8];
    foreign_pair_start(&pair, *state, "1");
    weft_foreign *foreign = foreign_make(pair.a.node, 16, 100);
    gate_shut(&gate, foreign);
    uint32_t started = 0;
    bytes_store64(us, 1000);
    while (started < 16 && foreign_ask(foreign, 0, VERB_ECHO, 1, &tally) == WEFT_OK) {
        started++;
    }
    assert_int_equal(weft_post(foreign, 0, gate_count, &gate), WEFT_OK);
    weft_node_drain(pair.a.node); /* the shard sees this and the calls in the same turn, in any order */
    atomic_store(&gate.closed, false);
    (void)weft_node_wait(pair.a.node);
    assert_int_equal(gate.ran, 1);
    assert_int_equal(weft_post(foreign, 0, gate_count, &gate), WEFT_ERR_STATE);
    while (weft_foreign_run(foreign, 3) > 0) {
    }
    assert_int_equal(tally.ended, started);
    assert_int_equal(foreign_ask(foreign, 0, VERB_ECHO, 1, &tally), WEFT_ERR_STATE);
    weft_foreign_destroy(foreign);
    foreign_pair_end(&pair);
}

static void handle__destroyed_with_calls_under_way__its_place_is_free_when_they_ended(void **state)
{
    static struct foreign_pair pair;
    struct endings tally = {0};
    struct weft_error why = {0};
    weft_foreign *all[WEFT_FOREIGN_MAX + 1];
    uint8_t us[8];
    foreign_pair_start(&pair, *state, "2");
    for (uint32_t i = 0; i < WEFT_FOREIGN_MAX; i++) {
        all[i] = foreign_make(pair.a.node, 1, 100);
    }
    assert_int_equal(weft_foreign_create(pair.a.node, NULL, &all[WEFT_FOREIGN_MAX], &why), WEFT_ERR_QUEUE_FULL);
    assert_non_null(strstr(why.text, "16"));
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true;
    bytes_store64(us, 50000);
    assert_int_equal(weft_foreign_call(all[3], 1, (weft_peer_id){1}, VERB_SLEEP, (struct weft_span){us, 8}, &options,
                                       endings_note, &tally),
                     WEFT_OK);
    weft_foreign_destroy(all[3]);
    /* Its place comes back once the call has ended, without anybody who waits for it. */
    while (weft_foreign_create(pair.a.node, NULL, &all[3], &why) != WEFT_OK) {
        assert_int_equal(why.code, WEFT_ERR_QUEUE_FULL);
        sched_yield();
    }
    assert_int_equal(tally.ended, 0);
    tally = (struct endings){0};
    assert_int_equal(foreign_ask(all[3], 1, VERB_ECHO, 10, &tally), WEFT_OK);
    while (tally.ended == 0) {
        (void)foreign_wait(all[3]);
    }
    assert_int_equal(tally.ok, 1);
    for (uint32_t i = 0; i < WEFT_FOREIGN_MAX - 1; i++) {
        weft_foreign_destroy(all[i]);
    }
    foreign_pair_end(&pair); /* the last one's memory goes with the node */
}

static void options__wrong__said_so(void **state)
{
    static struct host host;
    weft_foreign *foreign = NULL;
    struct weft_error why = {0};
    struct weft_foreign_options options = WEFT_FOREIGN_OPTIONS_INIT;
    host_init(&host, 1, *state);
    assert_int_equal(weft_node_create(&host.node, &host.options, NULL), WEFT_OK);
    assert_int_equal(weft_foreign_create(host.node, NULL, &foreign, &why), WEFT_ERR_STATE);
    assert_int_equal(weft_node_start(host.node, NULL, NULL, NULL), WEFT_OK);
    options.calls_max = WEFT_FOREIGN_CALLS_MAX + 1;
    assert_int_equal(weft_foreign_create(host.node, &options, &foreign, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "1024"));
    options.calls_max = 0;
    options.payload_bytes_max = WEFT_FOREIGN_PAYLOAD_BYTES_MAX + 1;
    assert_int_equal(weft_foreign_create(host.node, &options, &foreign, &why), WEFT_ERR_INVALID);
    options.payload_bytes_max = WEFT_FOREIGN_PAYLOAD_BYTES_MAX;
    options.calls_max = WEFT_FOREIGN_CALLS_MAX; /* half a gigabyte, of which nothing is touched */
    assert_int_equal(weft_foreign_create(host.node, &options, &foreign, &why), WEFT_OK);
    weft_foreign_destroy(foreign);
    weft_foreign_destroy(NULL);
    host_fini(&host);
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(request__kept_for_a_foreign_thread__answered_or_failed_by_it),
        BACKEND_TEST(node__stops_while_calls_are_under_way__each_ends_and_posts_are_refused),
        BACKEND_TEST(handle__destroyed_with_calls_under_way__its_place_is_free_when_they_ended),
        BACKEND_TEST(options__wrong__said_so),
    };
    return over_backends(tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
