/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: one per shard, named and pinned.  The only file of the engine that knows pthreads' create and join.
 *
 * Failure modes: a shard that cannot open reports through `error`, and engine_start stops the others. */
#include "engine/reactor/engine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/reactor/foreign.h"
#include "engine/reactor/mailbox.h"

static void engine_report(struct engine *engine, struct weft_shard *shard, const struct weft_error *why)
{
    pthread_mutex_lock(&engine->lock);
    shard->open = why->code == WEFT_OK;
    if (shard->open) {
        atomic_store_explicit(&shard->taking, true, memory_order_seq_cst);
        engine->opened++;
    } else {
        engine->failed++;
        if (engine->error.code == WEFT_OK) {
            engine->error = *why;
        }
    }
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
}

enum weft_err engine_open_shard(struct engine *engine, struct weft_shard *shard, struct weft_error *out)
{
    struct weft_error why = {0};
    enum weft_err err = shard_open(shard, &engine->options.shard, &why);
    if (err == WEFT_OK) {
        err = engine->options.on_open(engine->options.ctx, shard, &why);
        if (err != WEFT_OK) {
            engine->options.on_close(engine->options.ctx, shard);
        }
    }
    WEFT_ASSERT(err == why.code);
    engine_report(engine, shard, &why);
    if (err != WEFT_OK && out != NULL && out->code == WEFT_OK) {
        *out = why;
    }
    return err;
}

/* The shard's resources stay until the engine goes: another thread may be about to wake it. */
void engine_end_shard(struct engine *engine, struct weft_shard *shard)
{
    foreign_close_shard(shard);
    engine->options.on_close(engine->options.ctx, shard);
    pthread_mutex_lock(&engine->lock);
    shard->ended = true;
    shard->owned = false;
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
    sem_post(&engine->hosted_changed);
}

static void *engine_thread(void *argument)
{
    struct weft_shard *shard = argument;
    struct engine *engine = shard->engine;
    if (engine->options.pin != NULL) {
        engine->options.pin(engine->options.ctx, shard->index);
    }
    pthread_mutex_lock(&engine->lock);
    shard->owner = pthread_self();
    shard->owned = true;
    pthread_mutex_unlock(&engine->lock);
    if (engine_open_shard(engine, shard, NULL) != WEFT_OK) {
        pthread_mutex_lock(&engine->lock);
        shard->owned = false;
        pthread_mutex_unlock(&engine->lock);
        return NULL;
    }
    while (!shard->stop_asked) {
        shard_turn(shard);
    }
    engine_end_shard(engine, shard);
    return NULL;
}

/* The events of a turn stand behind the struct. */
static uint64_t engine_shard_bytes(uint32_t events_max)
{
    return sizeof(struct weft_shard) + events_max * sizeof(struct io_event);
}

static void engine_free(struct engine *engine)
{
    const struct weft_allocator *allocator = engine->options.shard.allocator;
    foreign_free_all(engine);
    for (uint32_t i = 0; engine->shards != NULL && i < engine->options.shard_count; i++) {
        struct weft_shard *shard = engine->shards[i];
        if (shard == NULL) {
            continue;
        }
        shard_close(shard);
        for (uint32_t from = 0; shard->inboxes != NULL && from < shard->inbox_count; from++) {
            spsc_fini(&shard->inboxes[from]);
        }
        heap_drop(allocator, shard->inboxes, sizeof(struct spsc) * (engine->options.shard_count + 1));
        heap_drop(allocator, shard, engine_shard_bytes(shard->events_max));
    }
    heap_drop(allocator, engine->shards, engine->options.shard_count * sizeof *engine->shards);
    heap_drop(allocator, engine->threads, engine->options.shard_count * sizeof *engine->threads);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->changed);
    sem_destroy(&engine->hosted_changed);
    heap_drop(allocator, engine, sizeof *engine);
}

static enum weft_err engine_make_shard(struct engine *engine, uint32_t index)
{
    const struct shard_options *options = &engine->options.shard;
    uint32_t events_max = options->events_max != 0 ? options->events_max : TURN_COMPLETIONS_MAX;
    struct weft_shard *shard = heap_make(options->allocator, engine_shard_bytes(events_max));
    if (shard == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    shard->events_max = events_max;
    engine->shards[index] = shard;
    shard->engine = engine;
    shard->index = index;
    shard->place = engine->options.place;
    atomic_init(&shard->sleeping, false);
    atomic_init(&shard->taking, false);
    atomic_init(&shard->foreign_mask, 0);
    uint32_t inboxes = engine->options.shard_count + 1;
    shard->inboxes = heap_make(options->allocator, sizeof(struct spsc) * inboxes);
    if (shard->inboxes == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    shard->inbox_count = inboxes;
    for (uint32_t from = 0; from < inboxes; from++) {
        WEFT_TRY(spsc_init(&shard->inboxes[from], options->allocator,
                           options->mailbox_slots != 0 ? options->mailbox_slots : MAILBOX_SLOTS));
    }
    return WEFT_OK;
}

enum weft_err engine_create(struct engine **out, const struct engine_options *options, struct weft_error *why)
{
    WEFT_ASSERT(options->shard_count > 0 && options->shard_count <= SHARDS_MAX);
    struct engine *engine = heap_make(options->shard.allocator, sizeof *engine);
    if (engine == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for an engine");
    }
    engine->options = *options;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->changed, NULL);
    sem_init(&engine->hosted_changed, 0, 0);
    atomic_init(&engine->signal, 0);
    atomic_init(&engine->ending, false);
    engine->shards = heap_make(options->shard.allocator, options->shard_count * sizeof *engine->shards);
    engine->threads = heap_make(options->shard.allocator, options->shard_count * sizeof *engine->threads);
    enum weft_err err = engine->shards == NULL || engine->threads == NULL ? WEFT_ERR_NO_MEMORY : WEFT_OK;
    for (uint32_t i = 0; i < options->shard_count && err == WEFT_OK; i++) {
        err = engine_make_shard(engine, i);
    }
    if (err != WEFT_OK) {
        engine_free(engine);
        return weft_error_set(why, err, "no memory for %u shards", options->shard_count);
    }
    *out = engine;
    return WEFT_OK;
}

static void engine_stop_shard(void *ctx, struct weft_shard *shard)
{
    (void)ctx;
    shard->stop_asked = true;
}

static enum weft_err engine_start_thread(struct engine *engine, uint32_t index, struct weft_error *why)
{
    int result = pthread_create(&engine->threads[index], NULL, engine_thread, engine->shards[index]);
    if (result != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, result,
                                    "shard %u: no thread; fewer shards need fewer, or raise the limit (ulimit -u)",
                                    index);
    }
    char name[32];
    snprintf(name, sizeof name, "%.10s/%u", engine->options.thread_name, index);
    name[15] = '\0'; /* the system's limit */
    pthread_setname_np(engine->threads[index], name);
    return WEFT_OK;
}

/* Stop those that opened, after another one failed. */
static void engine_abandon(struct engine *engine, uint32_t started)
{
    for (uint32_t i = 0; i < started; i++) {
        enum weft_err err = engine_post(engine, i, engine_stop_shard, NULL);
        WEFT_ASSERT(err == WEFT_OK || err == WEFT_ERR_STATE);
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(engine->threads[i], NULL);
        engine->threads[i] = 0;
    }
}

enum weft_err engine_start(struct engine *engine, struct weft_error *why)
{
    uint32_t started = 0;
    enum weft_err err = WEFT_OK;
    if (engine->options.hosted) {
        return WEFT_OK; /* engine_attach does it */
    }
    for (; started < engine->options.shard_count && err == WEFT_OK; started++) {
        if (engine->options.driven) {
            err = engine_open_shard(engine, engine->shards[started], why);
        } else {
            err = engine_start_thread(engine, started, why);
            if (err != WEFT_OK) {
                break;
            }
        }
    }
    pthread_mutex_lock(&engine->lock);
    while (engine->opened + engine->failed < started) {
        pthread_cond_wait(&engine->changed, &engine->lock);
    }
    bool failed = engine->failed > 0;
    pthread_mutex_unlock(&engine->lock);
    if (failed) {
        err = engine->error.code;
        if (why != NULL && why->code == WEFT_OK) {
            *why = engine->error;
        }
    }
    if (err != WEFT_OK && !engine->options.driven) {
        engine_abandon(engine, started);
    }
    return err;
}

void engine_join(struct engine *engine)
{
    if (engine->options.hosted) {
        engine_join_hosted(engine);
        return;
    }
    for (uint32_t i = 0; i < engine->options.shard_count; i++) {
        if (engine->threads[i] != 0) {
            pthread_join(engine->threads[i], NULL);
            engine->threads[i] = 0;
        }
    }
}

void engine_destroy(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    if (!engine->options.hosted || engine->opened > 0) {
        engine_join(engine);
    }
    for (uint32_t i = 0; engine->options.driven && i < engine->options.shard_count; i++) {
        if (engine->shards[i]->open && !engine->shards[i]->ended) {
            engine_end_shard(engine, engine->shards[i]);
        }
    }
    engine_free(engine);
}

enum weft_err engine_post(struct engine *engine, uint32_t index, weft_task_fn *fn, void *ctx)
{
    WEFT_ASSERT(index < engine->options.shard_count);
    struct weft_shard *shard = engine->shards[index];
    enum weft_err err = WEFT_ERR_STATE;
    pthread_mutex_lock(&engine->lock);
    if (shard->open && !shard->ended) {
        err = mailbox_send(shard, shard->inbox_count - 1, fn, ctx);
    }
    pthread_mutex_unlock(&engine->lock);
    return err;
}

struct engine_errand {
    struct engine *engine;
    weft_task_fn *fn;
    void *ctx;
    bool done;
};

static void engine_run_errand(void *ctx, struct weft_shard *shard)
{
    struct engine_errand *errand = ctx;
    struct engine *engine = errand->engine;
    errand->fn(errand->ctx, shard);
    pthread_mutex_lock(&engine->lock);
    errand->done = true;
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
}

bool engine_is_inside(struct engine *engine)
{
    bool inside = false;
    pthread_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->options.shard_count && !inside; i++) {
        const struct weft_shard *shard = engine->shards[i];
        /* Of another thread's shard `running` is not read. */
        inside =
            shard->owned && pthread_equal(shard->owner, pthread_self()) && (!engine->options.hosted || shard->running);
    }
    pthread_mutex_unlock(&engine->lock);
    return inside;
}

bool engine_run(struct engine *engine, uint32_t index, weft_task_fn *fn, void *ctx)
{
    struct engine_errand errand = {.engine = engine, .fn = fn, .ctx = ctx};
    if (engine_is_owner(engine, index)) { /* nobody else would run it while we wait */
        fn(ctx, engine->shards[index]);
        return true;
    }
    if (engine_post(engine, index, engine_run_errand, &errand) != WEFT_OK) {
        return false;
    }
    pthread_mutex_lock(&engine->lock);
    while (!errand.done && !engine->shards[index]->ended) {
        pthread_cond_wait(&engine->changed, &engine->lock);
    }
    pthread_mutex_unlock(&engine->lock);
    return errand.done;
}

void engine_signal(struct engine *engine)
{
    atomic_fetch_add_explicit(&engine->signal, 1, memory_order_seq_cst);
    for (uint32_t i = 0; i < engine->options.shard_count; i++) {
        mailbox_wake(engine->shards[i]);
    }
    if (engine->options.hosted) {
        sem_post(&engine->hosted_changed);
    }
}

void engine_signal_end(struct engine *engine)
{
    atomic_store(&engine->ending, true);
    engine_signal(engine);
}

bool engine_signal_pending(const struct weft_shard *shard)
{
    return atomic_load_explicit(&shard->engine->signal, memory_order_seq_cst) != shard->signal_seen;
}

void engine_signal_deliver(struct weft_shard *shard)
{
    uint32_t signal = atomic_load_explicit(&shard->engine->signal, memory_order_acquire);
    if (signal != shard->signal_seen) {
        shard->signal_seen = signal;
        shard->engine->options.on_signal(shard->engine->options.ctx, shard);
    }
}
