/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: shards take work from each other without losing any, and wake up for it and for their timers.
 *
 * Method: engines with one and two shards on both real backends; mail in both directions at once, and posts to a shard
 * that was seen asleep or that polls. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/reactor/mailbox.h"
#include "tests/integration/engine_run.h"

#define MAILS 100000u
/* Mail between shards: each side sends numbers, as many as fit a turn, and goes on in the next. */
struct exchange {
    struct engine *engine;
    struct party {
        struct exchange *exchange;
        struct weft_shard *shard;
        struct task task;
        uint32_t sent;
        uint32_t received;
        uint32_t wrong_order;
        uint32_t full;
    } parties[SHARDS];
    atomic_uint done;
};

static void party_received(void *ctx, struct weft_shard *shard)
{
    /* The context is a number; whose it is follows from the shard. */
    struct run *run = shard->engine->options.ctx;
    struct exchange *exchange = shard->user;
    struct party *party = &exchange->parties[shard->index];
    run_check_thread(run, shard);
    party->wrong_order += (uint32_t)(uintptr_t)ctx != party->received;
    party->received++;
    if (party->received == MAILS) {
        atomic_fetch_add(&exchange->done, 1);
    }
}

static void party_send(struct task *task)
{
    struct party *party = WEFT_CONTAINER_OF(task, struct party, task);
    struct weft_shard *target = party->exchange->parties[1 - party->shard->index].shard;
    for (uint32_t i = 0; i < 300 && party->sent < MAILS; i++) {
        if (mailbox_send(target, party->shard->index, party_received, (void *)(uintptr_t)party->sent) != WEFT_OK) {
            party->full++;
            break;
        }
        party->sent++;
    }
    if (party->sent < MAILS) {
        shard_run_later(party->shard, task);
    }
}

static void party_join(void *ctx, struct weft_shard *shard)
{
    struct exchange *exchange = ctx;
    shard->user = exchange;
    exchange->parties[shard->index] = (struct party){.exchange = exchange, .shard = shard};
    list_node_init(&exchange->parties[shard->index].task.link);
    exchange->parties[shard->index].task.run = party_send;
}

static void party_begin(void *ctx, struct weft_shard *shard)
{
    struct exchange *exchange = ctx;
    shard_run_later(shard, &exchange->parties[shard->index].task);
}

static void mail__both_ways_at_once__all_of_it_in_order(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS && backend_works(backend); backend++) {
        struct run run;
        struct exchange exchange = {.done = 0};
        run_begin(&run, backend, SHARDS);
        for (uint32_t i = 0; i < SHARDS; i++) {
            assert_true(engine_run(run.engine, i, party_join, &exchange));
        }
        for (uint32_t i = 0; i < SHARDS; i++) {
            assert_int_equal(engine_post(run.engine, i, party_begin, &exchange), WEFT_OK);
        }
        while (atomic_load(&exchange.done) < SHARDS) {
            sched_yield();
        }
        run_end(&run, SHARDS);
        for (uint32_t i = 0; i < SHARDS; i++) {
            assert_int_equal(exchange.parties[i].received, MAILS);
            assert_int_equal(exchange.parties[i].wrong_order, 0);
        }
    }
}

static void until_asleep(const struct weft_shard *shard)
{
    while (!atomic_load(&shard->sleeping)) {
        sched_yield();
    }
}

static void sleep__work_comes__taken_at_once(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS && backend_works(backend); backend++) {
        struct run run;
        run_begin(&run, backend, SHARDS);
        for (uint32_t i = 0; i < 1000; i++) {
            /* Nothing else would ever wake it: there is no timer. */
            until_asleep(run.engine->shards[i % SHARDS]);
            assert_true(engine_run(run.engine, i % SHARDS, nothing, NULL));
        }
        for (uint32_t round = 1; round <= 200; round++) {
            until_asleep(run.engine->shards[0]);
            until_asleep(run.engine->shards[1]);
            engine_signal(run.engine);
            while (atomic_load(&run.signals[0]) < round || atomic_load(&run.signals[1]) < round) {
                sched_yield();
            }
        }
        assert_int_equal(atomic_load(&run.signals[0]), 200);
        run_end(&run, SHARDS);
    }
}

/* One shard wakes the other, and back. */
struct rally {
    atomic_uint hits;
    uint32_t goal;
};

static void rally_hit(void *ctx, struct weft_shard *shard)
{
    struct rally *rally = ctx;
    if (atomic_fetch_add(&rally->hits, 1) + 1 < rally->goal) {
        struct weft_shard *other = shard->engine->shards[1 - shard->index];
        enum weft_err err = mailbox_send(other, shard->index, rally_hit, rally);
        WEFT_ASSERT(err == WEFT_OK);
    }
}

static void sleep__mail_between_shards__never_missed(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS && backend_works(backend); backend++) {
        struct run run;
        struct rally rally = {.goal = 20000};
        run_begin(&run, backend, SHARDS);
        assert_int_equal(engine_post(run.engine, 0, rally_hit, &rally), WEFT_OK);
        while (atomic_load(&rally.hits) < rally.goal) {
            sched_yield();
        }
        run_end(&run, SHARDS);
        assert_int_equal(atomic_load(&rally.hits), rally.goal);
    }
}

/* A timer, by the shard's own clock. */
struct alarm {
    struct weft_timer timer;
    uint64_t due_ns;
    uint64_t rang_ns;
    struct weft_timer stopped;
    atomic_bool rang;
    atomic_bool wrong;
};

static void alarm_ring(void *ctx, struct weft_shard *shard)
{
    struct alarm *alarm = ctx;
    alarm->rang_ns = weft_shard_now_ns(shard);
    atomic_store(&alarm->rang, true);
}

static void alarm_must_not(void *ctx, struct weft_shard *shard)
{
    struct alarm *alarm = ctx;
    (void)shard;
    atomic_store(&alarm->wrong, true);
}

static void alarm_set(void *ctx, struct weft_shard *shard)
{
    struct alarm *alarm = ctx;
    alarm->due_ns = weft_shard_now_ns(shard) + 20000000;
    weft_timer_start(shard, &alarm->stopped, 1000000, alarm_must_not, alarm);
    weft_timer_start(shard, &alarm->timer, 1000000, alarm_must_not, alarm);
    weft_timer_start(shard, &alarm->timer, 20000000, alarm_ring, alarm); /* moved */
    weft_timer_stop(shard, &alarm->stopped);
    weft_timer_stop(shard, &alarm->stopped);
}

static void timer__started_moved_and_stopped__rings_once_and_never_early(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS && backend_works(backend); backend++) {
        struct run run;
        struct alarm alarm = {.due_ns = 0};
        run_begin(&run, backend, 1);
        assert_true(engine_run(run.engine, 0, alarm_set, &alarm));
        while (!atomic_load(&alarm.rang)) {
            sched_yield();
        }
        run_end(&run, 1);
        assert_true(alarm.rang_ns >= alarm.due_ns);
        assert_false(atomic_load(&alarm.wrong));
    }
}

static void alarm_note_turn(void *ctx, struct weft_shard *shard)
{
    *(uint64_t *)ctx = shard->turn_number;
}

/* While nothing comes, no turn is taken; timers, mail and signals come all the same. */
static void busy_poll__nothing_to_do__no_turn_is_taken(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS && backend_works(backend); backend++) {
        struct run run;
        struct alarm alarm = {.due_ns = 0};
        uint64_t before = 0;
        uint64_t after = 0;
        run_begin_polling(&run, backend, 1, true);
        assert_true(engine_run(run.engine, 0, alarm_note_turn, &before));
        assert_true(engine_run(run.engine, 0, alarm_set, &alarm));
        while (!atomic_load(&alarm.rang)) {
            sched_yield();
        }
        assert_true(engine_run(run.engine, 0, alarm_note_turn, &after));
        engine_signal(run.engine);
        while (atomic_load(&run.signals[0]) == 0) {
            sched_yield();
        }
        run_end(&run, 1);
        assert_true(alarm.rang_ns >= alarm.due_ns);
        if (backends[backend] == &io_uring_backend) { /* 20 ms are some 50,000 turns */
            assert_in_range(after - before, 1, 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail__both_ways_at_once__all_of_it_in_order),
        cmocka_unit_test(sleep__work_comes__taken_at_once),
        cmocka_unit_test(sleep__mail_between_shards__never_missed),
        cmocka_unit_test(timer__started_moved_and_stopped__rings_once_and_never_early),
        cmocka_unit_test(busy_poll__nothing_to_do__no_turn_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
