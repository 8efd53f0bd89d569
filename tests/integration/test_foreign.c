/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: threads that are no shards hand in work and get its outcome back, each exactly once and in order, within fixed
 * memory.
 *
 * Method: nodes on loopback addresses over both real backends; several foreign threads against two shards at once, and
 * rings filled to the brim while the shard is held up. */
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

#define THREADS 3u
#define POSTS 20000u
#define CALLS 2000u

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
    static struct foreign_pair pair;
    static struct counter counters[THREADS];
    foreign_pair_start(&pair, *state, "2");
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
    foreign_pair_end(&pair);
}

static void calls__from_a_foreign_thread__answered_on_it(void **state)
{
    static struct foreign_pair pair;
    struct endings tally = {0};
    foreign_pair_start(&pair, *state, "2");
    weft_foreign *foreign = foreign_make(pair.a.node, 8, 1000);
    uint32_t started = 0;
    while (tally.ended < CALLS) {
        while (started < CALLS && foreign_ask(foreign, started % 2, VERB_ECHO, 1000, &tally) == WEFT_OK) {
            started++;
        }
        assert_true(started - tally.ended <= 8); /* calls_max */
        (void)foreign_wait(foreign);
    }
    assert_int_equal(tally.ok, CALLS);
    assert_int_equal(tally.bytes, 1000);
    assert_int_equal(tally.first, 42);
    assert_true(pthread_equal(tally.thread, pthread_self()));

    assert_int_equal(foreign_ask(foreign, 0, VERB_ECHO, 1001, &tally), WEFT_ERR_TOO_LARGE);
    assert_int_equal(foreign_ask(foreign, 2, VERB_ECHO, 1, &tally), WEFT_ERR_INVALID);
    uint8_t size[4];
    bytes_store32(size, 1001);
    tally = (struct endings){0};
    assert_int_equal(weft_foreign_call(foreign, 0, (weft_peer_id){1}, VERB_SOURCE, (struct weft_span){size, 4}, NULL,
                                       endings_note, &tally),
                     WEFT_OK);
    assert_int_equal(
        weft_foreign_call(foreign, 0, (weft_peer_id){7}, VERB_ECHO, weft_span_of(""), NULL, endings_note, &tally),
        WEFT_OK); /* what weft_call refuses comes back as the call's end */
    while (tally.ended < 2) {
        (void)foreign_wait(foreign);
    }
    assert_int_equal(tally.ok, 0);
    weft_foreign_destroy(foreign);
    foreign_pair_end(&pair);
}

static void reply__over_the_handles_room__too_large_and_executed(void **state)
{
    static struct foreign_pair pair;
    struct endings tally = {0};
    uint8_t size[4];
    foreign_pair_start(&pair, *state, "1");
    weft_foreign *foreign = foreign_make(pair.a.node, 1, 1000);
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true;
    bytes_store32(size, 1001);
    assert_int_equal(weft_foreign_call(foreign, 0, (weft_peer_id){1}, VERB_SOURCE, (struct weft_span){size, 4},
                                       &options, endings_note, &tally),
                     WEFT_OK);
    while (tally.ended == 0) {
        (void)foreign_wait(foreign);
    }
    assert_int_equal(tally.last, WEFT_ERR_TOO_LARGE);
    assert_int_equal(tally.executed, WEFT_EXECUTED_YES);
    assert_int_equal(tally.bytes, 0);
    assert_non_null(strstr(tally.error.text, "payload_bytes_max"));
    weft_foreign_destroy(foreign);
    foreign_pair_end(&pair);
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
    static struct foreign_pair pair;
    struct gate gate = {0};
    struct endings tally = {0};
    struct flood flood = {0};
    foreign_pair_start(&pair, *state, "1");
    weft_foreign *foreign = foreign_make(pair.a.node, 4, 100);
    flood.foreign = foreign;
    gate_shut(&gate, foreign);
    uint32_t taken = 0;
    while (weft_post(foreign, 0, gate_count, &gate) == WEFT_OK) {
        taken++;
    }
    assert_int_equal(taken, MAILBOX_SLOTS);
    assert_int_equal(foreign_ask(foreign, 0, VERB_ECHO, 1, &tally), WEFT_ERR_QUEUE_FULL);
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
        while ((err = foreign_ask(foreign, 0, VERB_ECHO, 1, &tally)) != WEFT_OK) {
            assert_int_equal(err, WEFT_ERR_QUEUE_FULL);
            sched_yield();
        }
    }
    assert_int_equal(foreign_ask(foreign, 0, VERB_ECHO, 1, &tally), WEFT_ERR_QUEUE_FULL); /* calls_max */
    while (flood.came < FOREIGN_NOTES_MAX || tally.ended < 4) {
        (void)foreign_wait(foreign);
    }
    assert_int_equal(flood.refused, 10);
    assert_int_equal(flood.came, FOREIGN_NOTES_MAX);
    assert_int_equal(tally.ok, 4);
    assert_int_equal(gate.ran, taken);
    weft_foreign_destroy(foreign);
    foreign_pair_end(&pair);
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(posts__of_several_threads_to_two_shards__each_once_in_order_and_back),
        BACKEND_TEST(calls__from_a_foreign_thread__answered_on_it),
        BACKEND_TEST(reply__over_the_handles_room__too_large_and_executed),
        BACKEND_TEST(rings__full__refused_and_everything_taken_runs),
    };
    return over_backends(tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
