/* SPDX-License-Identifier: Apache-2.0 */
/* Shards on threads of somebody else: attached by them, run by them, and waited for.
 *
 * The engine waits by a semaphore, since what it waits for may be announced in a signal handler. */
#include "engine/reactor/engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/base/error.h"

/* Turns of one run at most: what a turn queued is handed to the system in the next, and then the host has its thread
 * back. */
#define RUN_TURNS_MAX 4u
/* How long a thread that waits for several shards of its own lets each of them sleep. */
#define JOIN_SLEEP_NS UINT64_C(1000000)

static bool hosted_is_own(const struct weft_shard *shard)
{
    return shard->attached && pthread_equal(shard->owner, pthread_self());
}

void shard_check_owner(const struct weft_shard *shard)
{
    if (!pthread_equal(shard->owner, pthread_self())) {
        fprintf(stderr, "weft: shard %u was used on a thread that does not run it; other threads call by way of %s\n",
                shard->index, "weft_foreign_create (weft/foreign.h)");
        abort();
    }
}

bool engine_is_owner(struct engine *engine, uint32_t index)
{
    pthread_mutex_lock(&engine->lock);
    bool own = engine->options.hosted && !engine->shards[index]->ended && hosted_is_own(engine->shards[index]);
    pthread_mutex_unlock(&engine->lock);
    return own;
}

static enum weft_err hosted_claim(struct engine *engine, struct weft_shard *shard, struct weft_error *why)
{
    enum weft_err err = WEFT_OK;
    pthread_mutex_lock(&engine->lock);
    if (shard->attached || engine->joined) {
        err = weft_error_set(why, WEFT_ERR_STATE, "shard %u %s", shard->index,
                             shard->attached ? "is attached to a thread already" : "cannot attach: the node stopped");
    } else if (atomic_load(&engine->ending)) {
        err = weft_error_set(why, WEFT_ERR_DRAINING, "shard %u cannot attach: the node is stopping", shard->index);
    } else {
        shard->owner = pthread_self();
        shard->attached = true;
        shard->owned = true;
    }
    pthread_mutex_unlock(&engine->lock);
    return err;
}

enum weft_err engine_attach(struct engine *engine, uint32_t index, struct weft_error *why)
{
    struct weft_shard *shard = engine->shards[index];
    WEFT_ASSERT(engine->options.hosted);
    WEFT_TRY(hosted_claim(engine, shard, why));
    enum weft_err err = engine_open_shard(engine, shard, why);
    if (err != WEFT_OK) { /* as if nobody had come: another attempt may go better */
        shard_close(shard);
        pthread_mutex_lock(&engine->lock);
        shard->attached = false;
        shard->owned = false;
        pthread_mutex_unlock(&engine->lock);
        sem_post(&engine->hosted_changed);
        return err;
    }
    shard_rest(shard);
    return WEFT_OK;
}

enum weft_err engine_run_once(struct weft_shard *shard, uint64_t timeout_ns)
{
    if (!shard->engine->options.hosted || !hosted_is_own(shard) || shard->running) {
        return WEFT_ERR_STATE;
    }
    if (shard->ended) {
        return WEFT_ERR_CLOSED;
    }
    shard->running = true;
    uint64_t now_ns = shard->io->backend->now_ns(shard->io);
    if (shard->due_ns < now_ns && now_ns - shard->due_ns > HOST_LATE_NS) {
        COUNT(shard, host_late);
    }
    shard_turn_within(shard, timeout_ns);
    for (uint32_t turns = 1; turns < RUN_TURNS_MAX && !shard->stop_asked && shard_has_work(shard); turns++) {
        shard_turn_within(shard, 0);
    }
    shard->running = false;
    if (shard->stop_asked) {
        engine_end_shard(shard->engine, shard);
        return WEFT_ERR_CLOSED;
    }
    shard_rest(shard);
    return WEFT_OK;
}

/* Run the shards of this thread once; false if none is left. */
static bool hosted_run_own(struct engine *engine)
{
    struct weft_shard *own[SHARDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->options.shard_count; i++) {
        if (engine_is_owner(engine, i)) {
            own[count++] = engine->shards[i];
        }
    }
    uint32_t ran = 0;
    for (uint32_t i = 0; i < count; i++) {
        ran += engine_run_once(own[i], count > 1 ? JOIN_SLEEP_NS : IO_TIMEOUT_NEVER) != WEFT_ERR_STATE;
    }
    return ran > 0;
}

/* Has every shard ended, but those that were never attached and, as the end was asked for, never will be? */
static bool hosted_is_over(struct engine *engine)
{
    bool over = true;
    pthread_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->options.shard_count; i++) {
        const struct weft_shard *shard = engine->shards[i];
        over = over && (shard->attached ? shard->ended : atomic_load(&engine->ending));
    }
    engine->joined = over;
    pthread_mutex_unlock(&engine->lock);
    return over;
}

void engine_join_hosted(struct engine *engine)
{
    while (!hosted_is_over(engine)) {
        if (!hosted_run_own(engine)) {
            (void)sem_wait(&engine->hosted_changed); /* a signal is a reason to look */
        }
    }
}
