/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: shards run on threads of their own from start to end, take work from outside and from each other without losing
 * any, wake up for it, and when one cannot start, none stays.
 *
 * Method: engines with one and two shards on both real backends; work posted by the test and by other threads, mail in
 * both directions at once, posts to a shard that was seen asleep or that polls, and starts that fail on purpose. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/error.h"
#include "engine/io/io_uring_probe.h"
#include "engine/reactor/engine.h"
#include "engine/reactor/foreign.h"
#include "engine/reactor/mailbox.h"

#define SHARDS 2u
#define MAILS 100000u
#define ARENA_BYTES (1u << 20)
#define NOBODY UINT32_MAX

static const struct io_backend *const backends[] = {&io_epoll_backend, &io_uring_backend};
#define BACKENDS 2u

/* One run of an engine, and what was seen of it. */
struct run {
    struct engine *engine;
    uint32_t fail_open; /* the shard whose opening fails */
    bool busy_poll;
    pthread_t open_thread[SHARDS];
    atomic_uint opened;
    atomic_uint closed;
    atomic_uint signals[SHARDS];
    atomic_uint wrong_thread;
    atomic_uint pinned;
};

static bool backend_works(uint32_t backend)
{
    char text[256];
    return backend == 0 || io_uring_probe(text, sizeof text) == WEFT_OK;
}

static void run_pin(void *ctx, uint32_t shard)
{
    struct run *run = ctx;
    (void)shard;
    atomic_fetch_add(&run->pinned, 1);
}

static enum weft_err run_open(void *ctx, struct weft_shard *shard, struct weft_error *why)
{
    struct run *run = ctx;
    run->open_thread[shard->index] = pthread_self();
    atomic_fetch_add(&run->opened, 1);
    if (shard->index == run->fail_open) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shard %u does not want to", shard->index);
    }
    return WEFT_OK;
}

static void run_check_thread(struct run *run, const struct weft_shard *shard)
{
    if (!pthread_equal(pthread_self(), run->open_thread[shard->index])) {
        atomic_fetch_add(&run->wrong_thread, 1);
    }
}

static void run_close(void *ctx, struct weft_shard *shard)
{
    struct run *run = ctx;
    run_check_thread(run, shard);
    atomic_fetch_add(&run->closed, 1);
}

static void run_signal(void *ctx, struct weft_shard *shard)
{
    struct run *run = ctx;
    run_check_thread(run, shard);
    atomic_fetch_add(&run->signals[shard->index], 1);
}

static enum weft_err run_start(struct run *run, uint32_t backend, uint32_t shards, uint64_t arena_bytes,
                               struct weft_error *why)
{
    const struct engine_options options = {
        .place = {.backend = backends[backend]},
        .shard_count = shards,
        .thread_name = "test",
        .pin = run_pin,
        .on_open = run_open,
        .on_close = run_close,
        .on_signal = run_signal,
        .ctx = run,
        .shard = {.recv_bufs = 8,
                  .send_bufs = 8,
                  .arena_bytes = arena_bytes,
                  .operations_max = 16,
                  .busy_poll = run->busy_poll},
    };
    assert_int_equal(engine_create(&run->engine, &options, NULL), WEFT_OK);
    return engine_start(run->engine, why);
}

static void run_begin_polling(struct run *run, uint32_t backend, uint32_t shards, bool busy_poll)
{
    struct weft_error why = {0};
    memset(run, 0, sizeof *run);
    run->fail_open = NOBODY;
    run->busy_poll = busy_poll;
    enum weft_err err = run_start(run, backend, shards, ARENA_BYTES, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
}

static void run_begin(struct run *run, uint32_t backend, uint32_t shards)
{
    run_begin_polling(run, backend, shards, false);
}

static void stop(void *ctx, struct weft_shard *shard)
{
    (void)ctx;
    shard->stop_asked = true;
}

static void nothing(void *ctx, struct weft_shard *shard)
{
    (void)ctx;
    (void)shard;
}

static void run_end(struct run *run, uint32_t shards)
{
    for (uint32_t i = 0; i < shards; i++) {
        assert_int_equal(engine_post(run->engine, i, stop, NULL), WEFT_OK);
    }
    engine_join(run->engine);
    assert_int_equal(atomic_load(&run->closed), shards);
    for (uint32_t i = 0; i < shards; i++) {
        assert_int_equal(engine_post(run->engine, i, nothing, NULL), WEFT_ERR_STATE);
        assert_false(engine_run(run->engine, i, nothing, NULL));
    }
    engine_signal(run->engine); /* nobody is there to see it, and nothing happens */
    engine_destroy(run->engine);
    assert_int_equal(atomic_load(&run->wrong_thread), 0);
}

static void engine__started_and_stopped__each_shard_on_its_own_thread(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS; backend++) {
        for (uint32_t shards = 1; shards <= SHARDS && backend_works(backend); shards++) {
            struct run run;
            run_begin(&run, backend, shards);
            assert_int_equal(atomic_load(&run.opened), shards);
            assert_int_equal(atomic_load(&run.pinned), shards);
            assert_int_equal(atomic_load(&run.closed), 0);
            for (uint32_t i = 0; i < shards; i++) {
                char name[16];
                char due[16];
                assert_false(pthread_equal(run.open_thread[i], pthread_self()));
                assert_int_equal(pthread_getname_np(run.open_thread[i], name, sizeof name), 0);
                snprintf(due, sizeof due, "test/%u", i);
                assert_string_equal(name, due);
            }
            run_end(&run, shards);
        }
    }
}

static void engine__never_started__destroyed(void **state)
{
    (void)state;
    struct run run = {.fail_open = NOBODY};
    const struct engine_options options = {.place = {.backend = &io_epoll_backend},
                                           .shard_count = SHARDS,
                                           .thread_name = "test",
                                           .on_open = run_open,
                                           .on_close = run_close,
                                           .ctx = &run};
    assert_int_equal(engine_create(&run.engine, &options, NULL), WEFT_OK);
    assert_int_equal(engine_post(run.engine, 0, nothing, NULL), WEFT_ERR_STATE);
    assert_false(engine_run(run.engine, 1, nothing, NULL));
    engine_destroy(run.engine);
    engine_destroy(NULL);
    assert_int_equal(atomic_load(&run.opened), 0);
}

static void start__one_shard_cannot__the_others_stop(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS; backend++) {
        for (uint32_t failing = 0; failing < SHARDS && backend_works(backend); failing++) {
            struct run run;
            struct weft_error why = {0};
            memset(&run, 0, sizeof run);
            run.fail_open = failing;
            assert_int_equal(run_start(&run, backend, SHARDS, ARENA_BYTES, &why), WEFT_ERR_CONFIG);
            assert_non_null(strstr(why.text, "does not want to"));
            assert_int_equal(atomic_load(&run.closed), SHARDS); /* the failing one too: it may have opened half */
            for (uint32_t i = 0; i < SHARDS; i++) {
                assert_int_equal(engine_post(run.engine, i, nothing, NULL), WEFT_ERR_STATE);
            }
            engine_destroy(run.engine);
            assert_int_equal(atomic_load(&run.wrong_thread), 0);
        }
    }
}

static void start__memory_cannot_be_reserved__error_and_nothing_left(void **state)
{
    (void)state;
    struct run run;
    struct weft_error why = {0};
    memset(&run, 0, sizeof run);
    run.fail_open = NOBODY;
    assert_int_equal(run_start(&run, 0, SHARDS, 3, &why), WEFT_ERR_NO_MEMORY);
    assert_non_null(strstr(why.text, "send buffers"));
    assert_int_equal(atomic_load(&run.opened), 0);
    assert_int_equal(atomic_load(&run.closed), 0);
    engine_destroy(run.engine);
}

/* Work from outside. */
struct posted {
    struct run *run;
    uint32_t next; /* written by the shard */
    uint32_t wrong_order;
};

struct post {
    struct posted *posted;
    uint32_t number;
};

static void post_run(void *ctx, struct weft_shard *shard)
{
    struct post *post = ctx;
    run_check_thread(post->posted->run, shard);
    post->posted->wrong_order += post->number != post->posted->next;
    post->posted->next++;
}

static void post__from_outside__each_runs_once_in_order(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS && backend_works(backend); backend++) {
        struct run run;
        run_begin(&run, backend, 1);
        struct posted posted = {.run = &run};
        struct post *posts = test_calloc(MAILS, sizeof *posts);
        for (uint32_t i = 0; i < MAILS; i++) {
            posts[i] = (struct post){&posted, i};
            enum weft_err err;
            while ((err = engine_post(run.engine, 0, post_run, &posts[i])) == WEFT_ERR_QUEUE_FULL) {
                sched_yield();
            }
            assert_int_equal(err, WEFT_OK);
        }
        while (!engine_run(run.engine, 0, nothing, NULL)) { /* the box was full: nothing ran yet */
            sched_yield();
        }
        assert_int_equal(posted.next, MAILS);
        assert_int_equal(posted.wrong_order, 0);
        run_end(&run, 1);
        test_free(posts);
    }
}

/* A shard that is kept busy, and the test that lets it go. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered;
    bool open;
};

static void gate_wait(void *ctx, struct weft_shard *shard)
{
    struct gate *gate = ctx;
    (void)shard;
    pthread_mutex_lock(&gate->lock);
    gate->entered = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void gate_await(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (!gate->entered) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void post__shard_is_busy__queue_full_and_nothing_lost(void **state)
{
    (void)state;
    struct run run;
    run_begin(&run, 0, 1);
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct posted posted = {.run = &run};
    struct post posts[MAILBOX_SLOTS];
    assert_int_equal(engine_post(run.engine, 0, gate_wait, &gate), WEFT_OK);
    gate_await(&gate);
    for (uint32_t i = 0; i < MAILBOX_SLOTS; i++) {
        posts[i] = (struct post){&posted, i};
        assert_int_equal(engine_post(run.engine, 0, post_run, &posts[i]), WEFT_OK);
    }
    assert_int_equal(engine_post(run.engine, 0, post_run, &posts[0]), WEFT_ERR_QUEUE_FULL);
    assert_false(engine_run(run.engine, 0, post_run, &posts[0])); /* no waiting for what was not taken */
    gate_open(&gate);
    while (!engine_run(run.engine, 0, nothing, NULL)) {
        sched_yield();
    }
    assert_int_equal(posted.next, MAILBOX_SLOTS);
    assert_int_equal(posted.wrong_order, 0);
    run_end(&run, 1);
}

/* What runs beside posts, and after how many of them. */
struct beside {
    const struct posted *posted;
    uint32_t after;
};

static void beside_run(void *ctx, struct weft_shard *shard)
{
    struct beside *beside = ctx;
    (void)shard;
    beside->after = beside->posted->next;
}

/* A mailbox that is full for turns does not keep a foreign thread from its share of each. */
static void post__by_a_foreign_thread_beside_much_mail__runs_in_the_same_turn(void **state)
{
    (void)state;
    struct run run;
    run_begin(&run, 0, 1);
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct posted posted = {.run = &run};
    struct beside beside = {&posted, UINT32_MAX};
    struct post posts[MAILBOX_SLOTS];
    struct weft_foreign *foreign;
    assert_int_equal(foreign_create(run.engine, &foreign, NULL), WEFT_OK);
    assert_int_equal(engine_post(run.engine, 0, gate_wait, &gate), WEFT_OK);
    gate_await(&gate);
    for (uint32_t i = 0; i < MAILBOX_SLOTS; i++) {
        posts[i] = (struct post){&posted, i};
        assert_int_equal(engine_post(run.engine, 0, post_run, &posts[i]), WEFT_OK);
    }
    assert_int_equal(weft_post(foreign, 0, beside_run, &beside), WEFT_OK);
    gate_open(&gate);
    while (!engine_run(run.engine, 0, nothing, NULL)) {
        sched_yield();
    }
    assert_in_range(beside.after, 0, TURN_MAILS_MAX);
    assert_int_equal(posted.next, MAILBOX_SLOTS);
    foreign_destroy(foreign);
    run_end(&run, 1);
}

/* Several threads that ask at once. */
struct asker {
    struct run *run;
    pthread_t thread;
    uint32_t asked[SHARDS]; /* written by the shards */
    uint32_t refused;
};

static void asker_count(void *ctx, struct weft_shard *shard)
{
    struct asker *asker = ctx;
    asker->asked[shard->index]++;
}

static void *asker_main(void *argument)
{
    struct asker *asker = argument;
    for (uint32_t i = 0; i < 2000; i++) {
        asker->refused += !engine_run(asker->run->engine, i % SHARDS, asker_count, asker);
    }
    return NULL;
}

static void run__by_many_threads_at_once__each_waits_for_its_own(void **state)
{
    (void)state;
    for (uint32_t backend = 0; backend < BACKENDS && backend_works(backend); backend++) {
        struct run run;
        struct asker askers[4];
        run_begin(&run, backend, SHARDS);
        for (uint32_t i = 0; i < 4; i++) {
            askers[i] = (struct asker){.run = &run};
            assert_int_equal(pthread_create(&askers[i].thread, NULL, asker_main, &askers[i]), 0);
        }
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
            assert_int_equal(askers[i].refused, 0);
            assert_int_equal(askers[i].asked[0], 1000);
            assert_int_equal(askers[i].asked[1], 1000);
        }
        run_end(&run, SHARDS);
    }
}

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
        cmocka_unit_test(engine__started_and_stopped__each_shard_on_its_own_thread),
        cmocka_unit_test(engine__never_started__destroyed),
        cmocka_unit_test(start__one_shard_cannot__the_others_stop),
        cmocka_unit_test(start__memory_cannot_be_reserved__error_and_nothing_left),
        cmocka_unit_test(post__from_outside__each_runs_once_in_order),
        cmocka_unit_test(post__shard_is_busy__queue_full_and_nothing_lost),
        cmocka_unit_test(post__by_a_foreign_thread_beside_much_mail__runs_in_the_same_turn),
        cmocka_unit_test(run__by_many_threads_at_once__each_waits_for_its_own),
        cmocka_unit_test(mail__both_ways_at_once__all_of_it_in_order),
        cmocka_unit_test(sleep__work_comes__taken_at_once),
        cmocka_unit_test(sleep__mail_between_shards__never_missed),
        cmocka_unit_test(timer__started_moved_and_stopped__rings_once_and_never_early),
        cmocka_unit_test(busy_poll__nothing_to_do__no_turn_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
