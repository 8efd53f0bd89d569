/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: shards run on threads of their own from start to end, take work from outside without losing any, and when one
 * cannot start, none stays.
 *
 * Method: engines with one and two shards on both real backends; work posted by the test and by other threads, and
 * starts that fail on purpose. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/reactor/foreign.h"
#include "engine/reactor/mailbox.h"
#include "tests/integration/engine_run.h"

#define MAILS 100000u
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
