/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: a fixed number of shards, each on a thread of its own, or on a thread of the host's that attaches to it
 * (`hosted`, engine_hosted.c), or all stepped by the caller (`driven`: the simulator).  Starting waits until every
 * shard runs; if one cannot, all are stopped and its error is reported. */
#ifndef ENGINE_REACTOR_ENGINE_H
#define ENGINE_REACTOR_ENGINE_H

#include <pthread.h>
#include <semaphore.h>

#include "engine/reactor/shard.h"

struct engine_options {
    struct io_place place;
    uint32_t shard_count;
    const char *thread_name;                /* up to 11 bytes; the shard's number is appended */
    void (*pin)(void *ctx, uint32_t shard); /* on the new thread, before it allocates; may be NULL */
    enum weft_err (*on_open)(void *ctx, struct weft_shard *shard, struct weft_error *why); /* before the first turn */
    void (*on_close)(void *ctx, struct weft_shard *shard);                                 /* after the last */
    void (*on_signal)(void *ctx, struct weft_shard *shard); /* engine_signal was called */
    void *ctx;
    bool driven;
    bool hosted;
    struct shard_options shard;
};

struct engine {
    struct engine_options options;
    struct weft_shard **shards;
    pthread_t *threads;
    pthread_mutex_t lock; /* guards the fields below, and the control thread's side of the mailboxes */
    pthread_cond_t changed;
    uint32_t opened;
    uint32_t failed;
    struct weft_error error;
    atomic_uint signal;                          /* counts engine_signal */
    atomic_bool ending;                          /* engine_signal_end was called */
    struct weft_foreign *foreigns[FOREIGNS_MAX]; /* a shard reads those in its mask */
    sem_t hosted_changed;
    bool joined; /* hosted: nobody attaches any more */
};

WEFT_NODISCARD enum weft_err engine_create(struct engine **engine, const struct engine_options *options,
                                           struct weft_error *why);
WEFT_NODISCARD enum weft_err engine_start(struct engine *engine, struct weft_error *why);
/* Wait until every shard's owner has set stop_asked and its loop ended.  Not for driven shards.  Hosted shards of the
 * calling thread are run meanwhile: nobody else can. */
void engine_join(struct engine *engine);
/* Every shard must have ended; driven shards that have not are closed here. */
void engine_destroy(struct engine *engine);

/* Is the calling thread one of the engine's, or a host's that is inside of a turn? */
bool engine_is_inside(struct engine *engine);

/* Run fn on a shard, from any thread that is not one of the engine's.  @return ok | QUEUE_FULL */
WEFT_NODISCARD enum weft_err engine_post(struct engine *engine, uint32_t shard, weft_task_fn *fn, void *ctx);
/* The same, and wait until it ran.  false if the shard no longer runs. */
bool engine_run(struct engine *engine, uint32_t shard, weft_task_fn *fn, void *ctx);

/* Have on_signal run on every shard.  Any thread, and signal handlers. */
void engine_signal(struct engine *engine);
/* The same, and no shard that is not attached yet will be: what on_signal does now is stop. */
void engine_signal_end(struct engine *engine);
bool engine_signal_pending(const struct weft_shard *shard);
void engine_signal_deliver(struct weft_shard *shard);

/* Hosted shards.  Attach one to the calling thread, which runs it from now on.
 * @return ok | STATE (attached already, or stopped) | DRAINING | what opening it said */
WEFT_NODISCARD enum weft_err engine_attach(struct engine *engine, uint32_t shard, struct weft_error *why);
/* A turn that sleeps at most timeout_ns, and those that hand out what it queued.
 * @return ok | CLOSED (it ended) | STATE (not hosted, another thread's, or inside of a turn) */
WEFT_NODISCARD enum weft_err engine_run_once(struct weft_shard *shard, uint64_t timeout_ns);
/* Is this a hosted shard that the calling thread runs? */
bool engine_is_owner(struct engine *engine, uint32_t shard);

/* Between the files of the engine. */
WEFT_NODISCARD enum weft_err engine_open_shard(struct engine *engine, struct weft_shard *shard, struct weft_error *why);
void engine_end_shard(struct engine *engine, struct weft_shard *shard);
void engine_join_hosted(struct engine *engine);

#endif
