/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's resources, and what public callers ask of it. */
#include "engine/reactor/shard.h"

#include "engine/base/error.h"

/* The smallest block of the arena: a short argument list that waits for a connection. */
#define ARENA_BLOCK_BYTES 512u

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static enum weft_err shard_open_memory(struct weft_shard *shard, const struct shard_options *options,
                                       struct weft_error *why)
{
    uint32_t send_buf_bytes = or_default(options->send_buf_bytes, SEND_BUF_BYTES);
    if (buf_pool_init(&shard->send_pool, options->allocator, options->send_bufs, send_buf_bytes) != WEFT_OK ||
        arena_init(&shard->arena, options->allocator, options->arena_bytes, ARENA_BLOCK_BYTES) != WEFT_OK ||
        payload_pool_init(&shard->payloads, &shard->arena, or_default(options->payloads_max, PAYLOADS_MAX),
                          (uint64_t)options->send_bufs * send_buf_bytes) != WEFT_OK) {
        return weft_error_set(
            why, WEFT_ERR_NO_MEMORY,
            "shard %u: no memory for %u send buffers and an arena of %llu bytes: lower memory_per_shard, or "
            "raise what the process may have (ulimit -v)",
            shard->index, options->send_bufs, (unsigned long long)options->arena_bytes);
    }
    return WEFT_OK;
}

enum weft_err shard_open(struct weft_shard *shard, const struct shard_options *options, struct weft_error *why)
{
    const struct io_options io_options = {
        .recv_bufs = options->recv_bufs,
        .recv_buf_bytes = or_default(options->recv_buf_bytes, RECV_BUF_BYTES),
        .operations_max = options->operations_max,
        .busy_poll = options->busy_poll,
        .clock = options->clock,
        .pollable = options->pollable,
        .allocator = options->allocator,
    };
    for (uint32_t rank = 0; rank < FLUSH_RANKS; rank++) {
        list_init(&shard->dirty[rank]);
    }
    list_init(&shard->tasks);
    list_init(&shard->parcels.waiting);
    list_node_init(&shard->parcels.retry.link);
    list_init(&shard->starved);
    list_init(&shard->waiting);
    WEFT_TRY(shard->place.backend->open(shard->place.host, &io_options, &shard->io, why));
    enum weft_err err = shard_open_memory(shard, options, why);
    if (err != WEFT_OK) {
        shard_close(shard);
        return err;
    }
    if (options->memory_register && shard->io->backend->memory_register != NULL) {
        shard->memory_registered =
            shard->io->backend->memory_register(shard->io, shard->arena.memory, shard->arena.bytes);
    }
    uint64_t seed;
    shard->io->backend->entropy(shard->io, &seed, sizeof seed);
    prng_init(&shard->prng, seed);
    shard->now_ns = shard->io->backend->now_ns(shard->io);
    timer_wheel_init(&shard->wheel, shard->now_ns);
    return WEFT_OK;
}

void shard_close(struct weft_shard *shard)
{
    if (shard->io != NULL) {
        shard->io->backend->close(shard->io);
        shard->io = NULL;
    }
    payload_pool_fini(&shard->payloads);
    buf_pool_fini(&shard->send_pool);
    arena_fini(&shard->arena);
}

uint32_t weft_shard_index(const weft_shard *shard)
{
    return shard != NULL ? shard->index : 0;
}

uint64_t weft_shard_now_ns(const weft_shard *shard)
{
    return shard != NULL ? shard->now_ns : 0;
}

weft_buf *weft_buf_take(weft_shard *shard, uint32_t bytes)
{
    if (shard == NULL) {
        return NULL;
    }
    shard_check_thread(shard);
    return payload_take(&shard->payloads, bytes);
}

weft_buf *weft_buf_wrap(weft_shard *shard, void *data, uint32_t bytes, weft_buf_release_fn *release, void *ctx)
{
    if (shard == NULL || data == NULL) {
        return NULL;
    }
    shard_check_thread(shard);
    return payload_wrap(&shard->payloads, data, bytes, release, ctx);
}

/* A public timer: the internal one in the caller's memory, and what the caller wants to happen. */
struct public_timer {
    struct timer timer; /* its ctx is the shard */
    weft_task_fn *fn;
    void *ctx;
};

_Static_assert(sizeof(struct public_timer) <= sizeof(struct weft_timer), "the caller's memory must hold the timer");
_Static_assert(_Alignof(struct public_timer) <= _Alignof(struct weft_timer), "and be aligned for it");

static void public_timer_fired(struct timer *timer, void *ctx)
{
    struct public_timer *public = WEFT_CONTAINER_OF(timer, struct public_timer, timer);
    public->fn(public->ctx, ctx);
}

/* The timer, if it may be moved here: an armed one stands in the wheel of its shard. */
static struct public_timer *public_timer_on(struct weft_shard *shard, struct weft_timer *timer)
{
    struct public_timer *public = (struct public_timer *)(void *)timer;
    if (shard == NULL || timer == NULL) {
        return NULL;
    }
    shard_check_thread(shard);
    return !timer_armed(&public->timer) || public->timer.ctx == shard ? public : NULL;
}

enum weft_err weft_timer_start(weft_shard *shard, struct weft_timer *timer, uint64_t delay_ns, weft_task_fn *fn,
                               void *ctx)
{
    struct public_timer *public = public_timer_on(shard, timer);
    if (public == NULL || fn == NULL) {
        return WEFT_ERR_INVALID;
    }
    timer_wheel_stop(&shard->wheel, &public->timer);
    public->timer = (struct timer){.fn = public_timer_fired, .ctx = shard};
    public->fn = fn;
    public->ctx = ctx;
    shard_timer_start(shard, &public->timer, delay_ns);
    return WEFT_OK;
}

enum weft_err weft_timer_stop(weft_shard *shard, struct weft_timer *timer)
{
    struct public_timer *public = public_timer_on(shard, timer);
    if (public == NULL) {
        return WEFT_ERR_INVALID;
    }
    timer_wheel_stop(&shard->wheel, &public->timer);
    return WEFT_OK;
}
