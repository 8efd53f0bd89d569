/* SPDX-License-Identifier: Apache-2.0 */
/* One run of an engine on a real backend, and what was seen of it. */
#ifndef WEFT_TESTS_INTEGRATION_ENGINE_RUN_H
#define WEFT_TESTS_INTEGRATION_ENGINE_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/reactor/engine.h"

#define SHARDS 2u
#define ARENA_BYTES (1u << 20)
#define NOBODY UINT32_MAX
#define BACKENDS 2u

extern const struct io_backend *const backends[BACKENDS];

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

/* Not where the kernel has no io_uring for us. */
bool backend_works(uint32_t backend);
/* Create and start an engine; run->fail_open and run->busy_poll are set. */
enum weft_err run_start(struct run *run, uint32_t backend, uint32_t shards, uint64_t arena_bytes,
                        struct weft_error *why);
/* Start an engine that has to start. */
void run_begin_polling(struct run *run, uint32_t backend, uint32_t shards, bool busy_poll);
void run_begin(struct run *run, uint32_t backend, uint32_t shards);
/* What the engine calls, with a struct run. */
enum weft_err run_open(void *ctx, struct weft_shard *shard, struct weft_error *why);
void run_close(void *ctx, struct weft_shard *shard);
/* Count it if this is not the thread that opened the shard. */
void run_check_thread(struct run *run, const struct weft_shard *shard);
/* Stop all shards, and look at what each saw. */
void run_end(struct run *run, uint32_t shards);

/* For engine_post. */
void stop(void *ctx, struct weft_shard *shard);
void nothing(void *ctx, struct weft_shard *shard);

#endif
