/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/engine_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/error.h"
#include "engine/io/io_uring_probe.h"

const struct io_backend *const backends[BACKENDS] = {&io_epoll_backend, &io_uring_backend};

bool backend_works(uint32_t backend)
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

enum weft_err run_open(void *ctx, struct weft_shard *shard, struct weft_error *why)
{
    struct run *run = ctx;
    run->open_thread[shard->index] = pthread_self();
    atomic_fetch_add(&run->opened, 1);
    if (shard->index == run->fail_open) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shard %u does not want to", shard->index);
    }
    return WEFT_OK;
}

void run_check_thread(struct run *run, const struct weft_shard *shard)
{
    if (!pthread_equal(pthread_self(), run->open_thread[shard->index])) {
        atomic_fetch_add(&run->wrong_thread, 1);
    }
}

void run_close(void *ctx, struct weft_shard *shard)
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

enum weft_err run_start(struct run *run, uint32_t backend, uint32_t shards, uint64_t arena_bytes,
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

void run_begin_polling(struct run *run, uint32_t backend, uint32_t shards, bool busy_poll)
{
    struct weft_error why = {0};
    memset(run, 0, sizeof *run);
    run->fail_open = NOBODY;
    run->busy_poll = busy_poll;
    enum weft_err err = run_start(run, backend, shards, ARENA_BYTES, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
}

void run_begin(struct run *run, uint32_t backend, uint32_t shards)
{
    run_begin_polling(run, backend, shards, false);
}

void stop(void *ctx, struct weft_shard *shard)
{
    (void)ctx;
    shard->stop_asked = true;
}

void nothing(void *ctx, struct weft_shard *shard)
{
    (void)ctx;
    (void)shard;
}

void run_end(struct run *run, uint32_t shards)
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
