/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: entries arrive whole, in order, each once; a full ring refuses and an empty one says so; two threads need no
 * lock.
 * Method: the edges on one thread, also with indices about to wrap; then a producer and a consumer that run freely on
 * rings of 1 to 64 entries, for ThreadSanitizer to watch. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "engine/base/spsc.h"

static struct spsc_entry entry_of(uint64_t number)
{
    return (struct spsc_entry){{number, ~number, number * 3, number + 7}};
}

static void expect_entry(const struct spsc_entry *entry, uint64_t number)
{
    struct spsc_entry expected = entry_of(number);
    assert_memory_equal(entry, &expected, sizeof expected);
}

/* Fill and empty a ring of 8 several times, at shifting positions. */
static void fill_and_empty(struct spsc *spsc)
{
    uint64_t pushed = 0;
    uint64_t popped = 0;
    struct spsc_entry entry;
    for (uint32_t round = 0; round < 20; round++) {
        assert_true(spsc_empty(spsc));
        assert_false(spsc_pop(spsc, &entry));
        while (pushed - popped < 8) {
            entry = entry_of(pushed);
            assert_true(spsc_push(spsc, &entry));
            assert_false(spsc_empty(spsc));
            pushed++;
        }
        entry = entry_of(999);
        assert_false(spsc_push(spsc, &entry));
        for (uint32_t i = 0; i < 3; i++) {
            assert_true(spsc_pop(spsc, &entry));
            expect_entry(&entry, popped++);
        }
        for (uint32_t i = 0; i < 2; i++) {
            entry = entry_of(pushed++);
            assert_true(spsc_push(spsc, &entry));
        }
        while (popped < pushed) {
            assert_true(spsc_pop(spsc, &entry));
            expect_entry(&entry, popped++);
        }
    }
}

static void spsc__filled_and_emptied__in_order_with_exact_bounds(void **state)
{
    (void)state;
    struct spsc spsc;
    assert_int_equal(spsc_init(&spsc, NULL, 8), WEFT_OK);
    fill_and_empty(&spsc);
    spsc_fini(&spsc);
}

static void spsc__indices_wrap__nothing_changes(void **state)
{
    (void)state;
    struct spsc spsc;
    assert_int_equal(spsc_init(&spsc, NULL, 8), WEFT_OK);
    uint32_t near_end = UINT32_MAX - 50;
    atomic_store(&spsc.pushed, near_end);
    atomic_store(&spsc.popped, near_end);
    spsc.pushed_seen = near_end;
    spsc.popped_seen = near_end;
    fill_and_empty(&spsc);
    assert_true(atomic_load(&spsc.pushed) < 1000);
    spsc_fini(&spsc);
}

static void spsc__empty__pop_leaves_the_entry_alone(void **state)
{
    (void)state;
    struct spsc spsc;
    struct spsc_entry entry = entry_of(5);
    assert_int_equal(spsc_init(&spsc, NULL, 1), WEFT_OK);
    assert_false(spsc_pop(&spsc, &entry));
    expect_entry(&entry, 5);
    spsc_fini(&spsc);
}

static void spsc__impossible_sizes__refused(void **state)
{
    (void)state;
    struct spsc spsc;
    assert_int_equal(spsc_init(&spsc, NULL, 0), WEFT_ERR_INVALID);
    assert_int_equal(spsc_init(&spsc, NULL, 3), WEFT_ERR_INVALID);
    assert_int_equal(spsc_init(&spsc, NULL, 2 * SPSC_ENTRIES_MAX), WEFT_ERR_INVALID);
    spsc_fini(&spsc);
    spsc_fini(NULL);
}

/* ---- two threads ---- */

/* Entries also point to plain memory that the producer writes before the push, as messages do. */
struct exchange {
    struct spsc spsc;
    uint64_t count;
    uint64_t payloads[256]; /* more than a ring holds, so none is rewritten while in flight */
};

static void *produce(void *ctx)
{
    struct exchange *exchange = ctx;
    for (uint64_t number = 0; number < exchange->count; number++) {
        uint64_t *payload = &exchange->payloads[number % 256];
        *payload = number * 5;
        struct spsc_entry entry = {{number, ~number, (uint64_t)(uintptr_t)payload, number + 7}};
        while (!spsc_push(&exchange->spsc, &entry)) {
            sched_yield();
        }
    }
    return NULL;
}

static void exchange_run(uint32_t ring, uint64_t count)
{
    struct exchange exchange = {.count = count};
    pthread_t producer;
    assert_int_equal(spsc_init(&exchange.spsc, NULL, ring), WEFT_OK);
    assert_int_equal(pthread_create(&producer, NULL, produce, &exchange), 0);
    uint64_t wrong = 0;
    for (uint64_t number = 0; number < count; number++) {
        struct spsc_entry entry;
        while (!spsc_pop(&exchange.spsc, &entry)) {
            sched_yield();
        }
        const uint64_t *payload = &exchange.payloads[number % 256];
        wrong += entry.words[0] != number || entry.words[1] != ~number || entry.words[3] != number + 7;
        wrong += entry.words[2] != (uint64_t)(uintptr_t)payload || *payload != number * 5;
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(wrong, 0);
    assert_true(spsc_empty(&exchange.spsc));
    spsc_fini(&exchange.spsc);
}

/* Two threads that share one CPU with others change places once in a slice of the scheduler, so that a round which
 * takes a millisecond elsewhere takes seconds there: then fewer rounds must do. */
#define ROUNDS 30u
#define ROUNDS_S 5

static time_t seconds_since(const struct timespec *start)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return now.tv_sec - start->tv_sec;
}

static void spsc__two_threads__every_entry_once_in_order(void **state)
{
    (void)state;
    struct timespec start;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &start), 0);
    for (uint32_t round = 0; round == 0 || (round < ROUNDS && seconds_since(&start) < ROUNDS_S); round++) {
        exchange_run(64, 10000);
        exchange_run(4, 700);
        exchange_run(1, 170);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spsc__filled_and_emptied__in_order_with_exact_bounds),
        cmocka_unit_test(spsc__indices_wrap__nothing_changes),
        cmocka_unit_test(spsc__empty__pop_leaves_the_entry_alone),
        cmocka_unit_test(spsc__impossible_sizes__refused),
        cmocka_unit_test(spsc__two_threads__every_entry_once_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
