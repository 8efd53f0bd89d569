/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: threads that are no shards hand in work and get its outcome back, each exactly once and in order, within fixed
 * memory, while the node runs, when it stops, and when they leave.
 *
 * Method: nodes on loopback addresses over both real backends; several foreign threads against two shards at once,
 * rings filled to the brim while the shard is held up, and the ends of thread, shard and node in every order. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/io/io_uring_probe.h"
#include "engine/reactor/foreign.h"
#include "tests/integration/node_host.h"
#include "topology/cluster/node.h"

#define POLL_MS 30000
#define THREADS 3u
#define POSTS 20000u
#define CALLS 2000u
#define VERB_KEEP 1000u

struct pair {
    struct host a;
    struct host b;
};

static void pair_start(struct pair *pair, const char *backend, const char *shards)
{
    memset(pair, 0, sizeof *pair);
    host_pair_init(&pair->a, &pair->b, backend);
    pair->a.options.shards = shards;
    host_start(&pair->a);
    host_start(&pair->b);
}

static void pair_end(struct pair *pair)
{
    host_fini(&pair->a);
    host_fini(&pair->b);
}

static weft_foreign *foreign_make(weft_node *node, uint32_t calls_max, uint32_t payload_bytes_max)
{
    weft_foreign *foreign = NULL;
    struct weft_error why = {0};
    struct weft_foreign_options options = WEFT_FOREIGN_OPTIONS_INIT;
    options.calls_max = calls_max;
    options.payload_bytes_max = payload_bytes_max;
    enum weft_err err = weft_foreign_create(node, &options, &foreign, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
    return foreign;
}

/* Wait for the descriptor, then run; must come. */
static uint32_t foreign_wait(weft_foreign *foreign)
{
    struct pollfd fd = {.fd = weft_foreign_fd(foreign), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, POLL_MS), 1);
    return weft_foreign_run(foreign, UINT32_MAX);
}

/* A thread that posts numbers to two shards, each of which sends them back. */
struct counter {
    weft_node *node;
    weft_foreign *foreign;
    pthread_t thread;
    uint32_t posted[2];
    uint32_t seen[2];     /* on the shards: next expected */
    uint32_t returned[2]; /* on the thread: next expected */
    uint32_t wrong;
    struct number {
        struct counter *counter;
        uint32_t shard;
        uint32_t value;
    } numbers[2][512];
};

static void number_returned(void *ctx)
{
    struct number *number = ctx;
    struct counter *counter = number->counter;
    counter->wrong += number->value != counter->returned[number->shard];
    counter->returned[number->shard]++;
}

static void number_arrived(void *ctx, weft_shard *shard)
{
    struct number *number = ctx;
    struct counter *counter = number->counter;
    if (weft_shard_index(shard) != number->shard || number->value != counter->seen[number->shard]) {
        __atomic_fetch_add(&counter->wrong, 1, __ATOMIC_RELAXED);
    }
    counter->seen[number->shard]++;
    /* Never full: at most 512 are under way per shard. */
    if (weft_foreign_notify(counter->foreign, shard, number_returned, number) != WEFT_OK) {
        __atomic_fetch_add(&counter->wrong, 1, __ATOMIC_RELAXED);
    }
}

static void *counter_thread(void *ctx)
{
    struct counter *counter = ctx;
    counter->foreign = foreign_make(counter->node, 1, 1);
    while (counter->returned[0] + counter->returned[1] < 2 * POSTS) {
        bool idle = true;
        for (uint32_t s = 0; s < 2; s++) {
            if (counter->posted[s] < POSTS && counter->posted[s] - counter->returned[s] < 512) {
                struct number *number = &counter->numbers[s][counter->posted[s] % 512];
                *number = (struct number){counter, s, counter->posted[s]};
                assert_int_equal(weft_post(counter->foreign, s, number_arrived, number), WEFT_OK);
                counter->posted[s]++;
                idle = false;
            }
        }
        if (idle) {
            (void)foreign_wait(counter->foreign);
        } else {
            (void)weft_foreign_run(counter->foreign, 16);
        }
    }
    weft_foreign_destroy(counter->foreign);
    return NULL;
}

static void posts__of_several_threads_to_two_shards__each_once_in_order_and_back(void **state)
{
    static struct pair pair;
    static struct counter counters[THREADS];
    pair_start(&pair, *state, "2");
    memset(counters, 0, sizeof counters);
    for (uint32_t i = 0; i < THREADS; i++) {
        counters[i].node = pair.a.node;
        pthread_create(&counters[i].thread, NULL, counter_thread, &counters[i]);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(counters[i].thread, NULL);
        assert_int_equal(counters[i].wrong, 0);
        assert_int_equal(counters[i].seen[0], POSTS);
        assert_int_equal(counters[i].seen[1], POSTS);
    }
    pair_end(&pair);
}

struct tally {
    uint32_t ended;
    uint32_t ok;
    enum weft_err last;
    struct weft_error error;
    enum weft_executed executed;
    uint32_t bytes;
    uint8_t first;
    pthread_t thread;
};

static void tally_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct tally *tally = ctx;
    tally->ended++;
    tally->ok += err == WEFT_OK;
    tally->last = err;
    tally->error = reply->error;
    tally->executed = reply->executed;
    tally->bytes = reply->payload.bytes;
    tally->first = reply->payload.bytes > 0 ? reply->payload.data[0] : 0;
    tally->thread = pthread_self();
}

static enum weft_err ask(weft_foreign *foreign, uint32_t shard, uint64_t verb, uint32_t bytes, struct tally *tally)
{
    static uint8_t payload[200000];
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.timeout_ms = 20000;
    options.wait_for_peer = true;
    payload[0] = 42;
    return weft_foreign_call(foreign, shard, (weft_peer_id){1}, verb, (struct weft_span){payload, bytes}, &options,
                             tally_ended, tally);
}

static void calls__from_a_foreign_thread__answered_on_it(void **state)
{
    static struct pair pair;
    struct tally tally = {0};
    pair_start(&pair, *state, "2");
    weft_foreign *foreign = foreign_make(pair.a.node, 8, 1000);
    uint32_t started = 0;
    while (tally.ended < CALLS) {
        while (started < CALLS && ask(foreign, started % 2, VERB_ECHO, 1000, &tally) == WEFT_OK) {
            started++;
        }
        assert_true(started - tally.ended <= 8); /* calls_max */
        (void)foreign_wait(foreign);
    }
    assert_int_equal(tally.ok, CALLS);
    assert_int_equal(tally.bytes, 1000);
    assert_int_equal(tally.first, 42);
    assert_true(pthread_equal(tally.thread, pthread_self()));

    assert_int_equal(ask(foreign, 0, VERB_ECHO, 1001, &tally), WEFT_ERR_TOO_LARGE);
    assert_int_equal(ask(foreign, 2, VERB_ECHO, 1, &tally), WEFT_ERR_INVALID);
    uint8_t size[4];
    bytes_store32(size, 1001);
    tally = (struct tally){0};
    assert_int_equal(weft_foreign_call(foreign, 0, (weft_peer_id){1}, VERB_SOURCE, (struct weft_span){size, 4}, NULL,
                                       tally_ended, &tally),
                     WEFT_OK);
    assert_int_equal(
        weft_foreign_call(foreign, 0, (weft_peer_id){7}, VERB_ECHO, weft_span_of(""), NULL, tally_ended, &tally),
        WEFT_OK); /* what weft_call refuses comes back as the call's end */
    while (tally.ended < 2) {
        (void)foreign_wait(foreign);
    }
    assert_int_equal(tally.ok, 0);
    weft_foreign_destroy(foreign);
    pair_end(&pair);
}

static void reply__over_the_handles_room__too_large_and_executed(void **state)
{
    static struct pair pair;
    struct tally tally = {0};
    uint8_t size[4];
    pair_start(&pair, *state, "1");
    weft_foreign *foreign = foreign_make(pair.a.node, 1, 1000);
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true;
    bytes_store32(size, 1001);
    assert_int_equal(weft_foreign_call(foreign, 0, (weft_peer_id){1}, VERB_SOURCE, (struct weft_span){size, 4},
                                       &options, tally_ended, &tally),
                     WEFT_OK);
    while (tally.ended == 0) {
        (void)foreign_wait(foreign);
    }
    assert_int_equal(tally.last, WEFT_ERR_TOO_LARGE);
    assert_int_equal(tally.executed, WEFT_EXECUTED_YES);
    assert_int_equal(tally.bytes, 0);
    assert_non_null(strstr(tally.error.text, "payload_bytes_max"));
    weft_foreign_destroy(foreign);
    pair_end(&pair);
}

/* A shard that is held up in a task until it is let go. */
struct gate {
    atomic_bool closed;
    atomic_bool reached;
    uint32_t ran;
};

static void gate_wait(void *ctx, weft_shard *shard)
{
    struct gate *gate = ctx;
    (void)shard;
    atomic_store(&gate->reached, true);
    while (atomic_load(&gate->closed)) {
        sched_yield();
    }
}

static void gate_count(void *ctx, weft_shard *shard)
{
    struct gate *gate = ctx;
    (void)shard;
    gate->ran++;
}

static void gate_shut(struct gate *gate, weft_foreign *foreign)
{
    atomic_store(&gate->closed, true);
    atomic_store(&gate->reached, false);
    assert_int_equal(weft_post(foreign, 0, gate_wait, gate), WEFT_OK);
    while (!atomic_load(&gate->reached)) {
        sched_yield();
    }
}

static void nothing_came(void *ctx)
{
    ++*(uint32_t *)ctx;
}

/* More notes than there is room for, in one go. */
struct flood {
    weft_foreign *foreign;
    uint32_t came;
    uint32_t refused;
    atomic_bool done;
};

static void flood_run(void *ctx, weft_shard *shard)
{
    struct flood *flood = ctx;
    for (uint32_t i = 0; i < FOREIGN_NOTES_MAX + 10; i++) {
        flood->refused += weft_foreign_notify(flood->foreign, shard, nothing_came, &flood->came) == WEFT_ERR_QUEUE_FULL;
    }
    atomic_store(&flood->done, true);
}

static void rings__full__refused_and_everything_taken_runs(void **state)
{
    static struct pair pair;
    struct gate gate = {0};
    struct tally tally = {0};
    struct flood flood = {0};
    pair_start(&pair, *state, "1");
    weft_foreign *foreign = foreign_make(pair.a.node, 4, 100);
    flood.foreign = foreign;
    gate_shut(&gate, foreign);
    uint32_t taken = 0;
    while (weft_post(foreign, 0, gate_count, &gate) == WEFT_OK) {
        taken++;
    }
    assert_int_equal(taken, MAILBOX_SLOTS);
    assert_int_equal(ask(foreign, 0, VERB_ECHO, 1, &tally), WEFT_ERR_QUEUE_FULL);
    atomic_store(&gate.closed, false);
    while (weft_post(foreign, 0, flood_run, &flood) != WEFT_OK) {
        sched_yield();
    }
    while (!atomic_load(&flood.done)) {
        sched_yield();
    }
    /* Calls end all the same while the other notes wait: their room is their own. */
    for (uint32_t i = 0; i < 4; i++) {
        enum weft_err err;
        while ((err = ask(foreign, 0, VERB_ECHO, 1, &tally)) != WEFT_OK) {
            assert_int_equal(err, WEFT_ERR_QUEUE_FULL);
            sched_yield();
        }
    }
    assert_int_equal(ask(foreign, 0, VERB_ECHO, 1, &tally), WEFT_ERR_QUEUE_FULL); /* calls_max */
    while (flood.came < FOREIGN_NOTES_MAX || tally.ended < 4) {
        (void)foreign_wait(foreign);
    }
    assert_int_equal(flood.refused, 10);
    assert_int_equal(flood.came, FOREIGN_NOTES_MAX);
    assert_int_equal(tally.ok, 4);
    assert_int_equal(gate.ran, taken);
    weft_foreign_destroy(foreign);
    pair_end(&pair);
}

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
    static struct pair pair;
    struct keeper keeper = {0};
    struct tally tally = {0};
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
        assert_int_equal(ask(asking, 0, VERB_KEEP, 3, &tally), WEFT_OK);
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
    pair_end(&pair);
}

static void node__stops_while_calls_are_under_way__each_ends_and_posts_are_refused(void **state)
{
    static struct pair pair;
    struct tally tally = {0};
    struct gate gate = {0};
    uint8_t us[8];
    pair_start(&pair, *state, "1");
    weft_foreign *foreign = foreign_make(pair.a.node, 16, 100);
    gate_shut(&gate, foreign);
    uint32_t started = 0;
    bytes_store64(us, 1000);
    while (started < 16 && ask(foreign, 0, VERB_ECHO, 1, &tally) == WEFT_OK) {
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
    assert_int_equal(ask(foreign, 0, VERB_ECHO, 1, &tally), WEFT_ERR_STATE);
    weft_foreign_destroy(foreign);
    pair_end(&pair);
}

static void handle__destroyed_with_calls_under_way__its_place_is_free_when_they_ended(void **state)
{
    static struct pair pair;
    struct tally tally = {0};
    struct weft_error why = {0};
    weft_foreign *all[WEFT_FOREIGN_MAX + 1];
    uint8_t us[8];
    pair_start(&pair, *state, "2");
    for (uint32_t i = 0; i < WEFT_FOREIGN_MAX; i++) {
        all[i] = foreign_make(pair.a.node, 1, 100);
    }
    assert_int_equal(weft_foreign_create(pair.a.node, NULL, &all[WEFT_FOREIGN_MAX], &why), WEFT_ERR_QUEUE_FULL);
    assert_non_null(strstr(why.text, "16"));
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true;
    bytes_store64(us, 50000);
    assert_int_equal(weft_foreign_call(all[3], 1, (weft_peer_id){1}, VERB_SLEEP, (struct weft_span){us, 8}, &options,
                                       tally_ended, &tally),
                     WEFT_OK);
    weft_foreign_destroy(all[3]);
    /* Its place comes back once the call has ended, without anybody who waits for it. */
    while (weft_foreign_create(pair.a.node, NULL, &all[3], &why) != WEFT_OK) {
        assert_int_equal(why.code, WEFT_ERR_QUEUE_FULL);
        sched_yield();
    }
    assert_int_equal(tally.ended, 0);
    tally = (struct tally){0};
    assert_int_equal(ask(all[3], 1, VERB_ECHO, 10, &tally), WEFT_OK);
    while (tally.ended == 0) {
        (void)foreign_wait(all[3]);
    }
    assert_int_equal(tally.ok, 1);
    for (uint32_t i = 0; i < WEFT_FOREIGN_MAX - 1; i++) {
        weft_foreign_destroy(all[i]);
    }
    pair_end(&pair); /* the last one's memory goes with the node */
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

#define FOREIGN_TEST(name, backend)                                                                                    \
    {                                                                                                                  \
#name " over " backend, name, NULL, NULL, (void *)(uintptr_t)backend                                           \
    }
#define FOREIGN_TESTS(backend)                                                                                         \
    FOREIGN_TEST(posts__of_several_threads_to_two_shards__each_once_in_order_and_back, backend),                       \
        FOREIGN_TEST(calls__from_a_foreign_thread__answered_on_it, backend),                                           \
        FOREIGN_TEST(reply__over_the_handles_room__too_large_and_executed, backend),                                   \
        FOREIGN_TEST(rings__full__refused_and_everything_taken_runs, backend),                                         \
        FOREIGN_TEST(request__kept_for_a_foreign_thread__answered_or_failed_by_it, backend),                           \
        FOREIGN_TEST(node__stops_while_calls_are_under_way__each_ends_and_posts_are_refused, backend),                 \
        FOREIGN_TEST(handle__destroyed_with_calls_under_way__its_place_is_free_when_they_ended, backend),              \
        FOREIGN_TEST(options__wrong__said_so, backend)

int main(void)
{
    const struct CMUnitTest over_epoll[] = {FOREIGN_TESTS("epoll")};
    const struct CMUnitTest over_io_uring[] = {FOREIGN_TESTS("io_uring")};
    char text[256];
    int failed = cmocka_run_group_tests(over_epoll, NULL, NULL);
    if (io_uring_probe(text, sizeof text) == WEFT_OK) {
        failed += cmocka_run_group_tests(over_io_uring, NULL, NULL);
    } else {
        printf("io_uring does not work here: %s\n", text);
    }
    return failed;
}
