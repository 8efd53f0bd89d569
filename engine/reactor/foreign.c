/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a foreign thread's handle, and its rings from both ends. */
#include "engine/reactor/foreign.h"

#include <sched.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/io/io_bell.h"
#include "engine/reactor/mailbox.h"

_Static_assert((FOREIGN_NOTES_MAX & (FOREIGN_NOTES_MAX - 1)) == 0, "ring indices are masked");
_Static_assert(FOREIGNS_MAX <= 32, "a shard's mask has a bit for each");

static uint32_t foreign_bit(const struct weft_foreign *foreign)
{
    return UINT32_C(1) << foreign->slot;
}

static void foreign_free(struct weft_foreign *foreign)
{
    const struct weft_allocator *allocator = foreign->engine->options.shard.allocator;
    for (uint32_t i = 0; foreign->lines != NULL && i < foreign->engine->options.shard_count; i++) {
        spsc_fini(&foreign->lines[i].to);
        spsc_fini(&foreign->lines[i].from);
    }
    if (foreign->user_free != NULL) {
        foreign->user_free(foreign->user);
    }
    if (foreign->bell >= 0) {
        io_bell_close(foreign->bell);
    }
    heap_drop(allocator, foreign->lines, sizeof *foreign->lines * foreign->engine->options.shard_count);
    heap_drop(allocator, foreign, sizeof *foreign);
}

static enum weft_err foreign_open(struct weft_foreign *foreign, struct weft_error *why)
{
    uint32_t shards = foreign->engine->options.shard_count;
    const struct weft_allocator *allocator = foreign->engine->options.shard.allocator;
    WEFT_TRY(io_bell_open(&foreign->bell, why));
    foreign->lines = heap_make(allocator, sizeof *foreign->lines * shards);
    if (foreign->lines == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for the rings of a foreign thread");
    }
    for (uint32_t i = 0; i < shards; i++) {
        struct foreign_line *line = &foreign->lines[i];
        atomic_init(&line->pushing, false);
        if (spsc_init(&line->to, allocator, MAILBOX_SLOTS) != WEFT_OK ||
            spsc_init(&line->from, allocator, FOREIGN_NOTES_MAX + FOREIGN_CALLS_MAX) != WEFT_OK) {
            return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for the rings of a foreign thread");
        }
    }
    return WEFT_OK;
}

/* Give a place among the engine's: a free one, or one whose last holder is gone in every respect. */
static enum weft_err foreign_enter(struct engine *engine, struct weft_foreign *foreign, struct weft_error *why)
{
    enum weft_err err = WEFT_ERR_QUEUE_FULL;
    struct weft_foreign *old = NULL;
    pthread_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < FOREIGNS_MAX && err != WEFT_OK; i++) {
        old = engine->foreigns[i];
        if (old == NULL || (old->closed && atomic_load_explicit(&old->held, memory_order_acquire) == 0)) {
            foreign->slot = i;
            engine->foreigns[i] = foreign;
            err = WEFT_OK;
        }
    }
    pthread_mutex_unlock(&engine->lock);
    if (err != WEFT_OK) {
        return weft_error_set(why, err, "%u foreign threads are registered already", FOREIGNS_MAX);
    }
    if (old != NULL) {
        foreign_free(old);
    }
    for (uint32_t i = 0; i < engine->options.shard_count; i++) {
        atomic_fetch_or_explicit(&engine->shards[i]->foreign_mask, foreign_bit(foreign), memory_order_release);
    }
    return WEFT_OK;
}

enum weft_err foreign_create(struct engine *engine, struct weft_foreign **out, struct weft_error *why)
{
    struct weft_foreign *foreign = heap_make(engine->options.shard.allocator, sizeof *foreign);
    if (foreign == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a foreign thread");
    }
    foreign->engine = engine;
    foreign->bell = IO_SOCKET_NONE;
    atomic_init(&foreign->sleeping, true);
    atomic_init(&foreign->held, 0);
    enum weft_err err = foreign_open(foreign, why);
    if (err == WEFT_OK) {
        err = foreign_enter(engine, foreign, why);
    }
    if (err != WEFT_OK) {
        foreign_free(foreign);
        return err;
    }
    *out = foreign;
    return WEFT_OK;
}

static uint32_t line_deliver(struct weft_shard *shard, struct weft_foreign *foreign, uint32_t budget)
{
    struct spsc_entry mail;
    uint32_t delivered = 0;
    while (delivered < budget && spsc_pop(&foreign->lines[shard->index].to, &mail)) {
        weft_task_fn *fn = (weft_task_fn *)(uintptr_t)mail.words[0];
        fn((void *)(uintptr_t)mail.words[1], shard);
        delivered++;
    }
    return delivered;
}

/* On the shard: what was posted runs now, since nothing more can come, and then the shard looks no more. */
static void foreign_leave(void *ctx, struct weft_shard *shard)
{
    struct weft_foreign *foreign = ctx;
    (void)line_deliver(shard, foreign, UINT32_MAX);
    atomic_fetch_and_explicit(&shard->foreign_mask, ~foreign_bit(foreign), memory_order_relaxed);
}

void foreign_destroy(struct weft_foreign *foreign)
{
    if (foreign == NULL) {
        return;
    }
    struct engine *engine = foreign->engine;
    /* On a thread of the engine's, where waiting would never end, the registration stays, as below. */
    bool inside = engine_is_inside(engine);
    bool left = !inside;
    for (uint32_t i = 0; i < engine->options.shard_count && !inside; i++) {
        left = engine_run(engine, i, foreign_leave, foreign) && left;
    }
    pthread_mutex_lock(&engine->lock);
    /* A shard that does not run could not be asked; the memory then stays until the engine goes. */
    bool gone = left && atomic_load_explicit(&foreign->held, memory_order_acquire) == 0;
    if (gone) {
        engine->foreigns[foreign->slot] = NULL;
    }
    foreign->closed = left;
    pthread_mutex_unlock(&engine->lock);
    if (gone) {
        foreign_free(foreign);
    }
}

void foreign_free_all(struct engine *engine)
{
    for (uint32_t i = 0; i < FOREIGNS_MAX; i++) {
        if (engine->foreigns[i] != NULL) {
            foreign_free(engine->foreigns[i]);
            engine->foreigns[i] = NULL;
        }
    }
}

enum weft_err weft_post(weft_foreign *foreign, uint32_t index, weft_task_fn *fn, void *ctx)
{
    if (foreign == NULL || fn == NULL || index >= foreign->engine->options.shard_count) {
        return WEFT_ERR_INVALID;
    }
    struct weft_shard *shard = foreign->engine->shards[index];
    struct foreign_line *line = &foreign->lines[index];
    struct spsc_entry mail = {{(uint64_t)(uintptr_t)fn, (uint64_t)(uintptr_t)ctx, 0, 0}};
    enum weft_err err = WEFT_ERR_STATE;
    atomic_store_explicit(&line->pushing, true, memory_order_seq_cst);
    if (atomic_load_explicit(&shard->taking, memory_order_seq_cst)) {
        err = spsc_push(&line->to, &mail) ? WEFT_OK : WEFT_ERR_QUEUE_FULL;
    }
    atomic_store_explicit(&line->pushing, false, memory_order_release);
    if (err == WEFT_OK) {
        mailbox_wake(shard);
    }
    return err;
}

void foreign_answer(struct weft_shard *shard, struct weft_foreign *foreign, weft_foreign_fn *fn, void *ctx)
{
    struct spsc_entry note = {{(uint64_t)(uintptr_t)fn, (uint64_t)(uintptr_t)ctx, 0, 0}};
    bool pushed = spsc_push(&foreign->lines[shard->index].from, &note);
    WEFT_ASSERT(pushed);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_exchange_explicit(&foreign->sleeping, false, memory_order_seq_cst)) {
        io_bell_ring(foreign->bell);
    }
}

enum weft_err weft_foreign_notify(weft_foreign *foreign, weft_shard *shard, weft_foreign_fn *fn, void *ctx)
{
    if (foreign == NULL || shard == NULL || fn == NULL || shard->engine != foreign->engine) {
        return WEFT_ERR_INVALID;
    }
    shard_check_thread(shard);
    if (spsc_used(&foreign->lines[shard->index].from) >= FOREIGN_NOTES_MAX) {
        return WEFT_ERR_QUEUE_FULL;
    }
    foreign_answer(shard, foreign, fn, ctx);
    return WEFT_OK;
}

bool foreign_pending(const struct weft_shard *shard)
{
    uint32_t mask = atomic_load_explicit(&shard->foreign_mask, memory_order_acquire);
    for (; mask != 0; mask &= mask - 1) {
        const struct weft_foreign *foreign = shard->engine->foreigns[__builtin_ctz(mask)];
        if (!spsc_empty(&foreign->lines[shard->index].to)) {
            return true;
        }
    }
    return false;
}

uint32_t foreign_deliver(struct weft_shard *shard, uint32_t budget)
{
    uint32_t delivered = 0;
    uint32_t seen = 0;
    uint32_t mask;
    /* Asked anew each time: what just ran may have been the farewell of one of them. */
    while ((mask = atomic_load_explicit(&shard->foreign_mask, memory_order_acquire) & ~seen) != 0 &&
           delivered < budget) {
        uint32_t above = mask & ~((UINT32_C(1) << shard->foreign_next) - 1);
        uint32_t slot = (uint32_t)__builtin_ctz(above != 0 ? above : mask);
        seen |= UINT32_C(1) << slot;
        shard->foreign_next = (slot + 1) % FOREIGNS_MAX;
        delivered += line_deliver(shard, shard->engine->foreigns[slot], budget - delivered);
    }
    return delivered;
}

void foreign_close_shard(struct weft_shard *shard)
{
    uint32_t mask = atomic_load_explicit(&shard->foreign_mask, memory_order_acquire);
    atomic_store_explicit(&shard->taking, false, memory_order_seq_cst);
    for (; mask != 0; mask &= mask - 1) {
        struct weft_foreign *foreign = shard->engine->foreigns[__builtin_ctz(mask)];
        while (atomic_load_explicit(&foreign->lines[shard->index].pushing, memory_order_seq_cst)) {
            sched_yield(); /* it is a few instructions away from the end of its push */
        }
        (void)line_deliver(shard, foreign, UINT32_MAX);
    }
}

/* The foreign thread's side. */

static bool foreign_has_notes(const struct weft_foreign *foreign)
{
    for (uint32_t i = 0; i < foreign->engine->options.shard_count; i++) {
        if (!spsc_empty(&foreign->lines[i].from)) {
            return true;
        }
    }
    return false;
}

uint32_t weft_foreign_run(weft_foreign *foreign, uint32_t most)
{
    uint32_t ran = 0;
    if (foreign == NULL) {
        return 0;
    }
    uint32_t shards = foreign->engine->options.shard_count;
    io_bell_hear(foreign->bell);
    for (uint32_t visited = 0; visited < shards && ran < most; visited++) {
        struct spsc_entry note;
        struct spsc *from = &foreign->lines[foreign->next].from;
        while (ran < most && spsc_pop(from, &note)) {
            weft_foreign_fn *fn = (weft_foreign_fn *)(uintptr_t)note.words[0];
            fn((void *)(uintptr_t)note.words[1]);
            ran++;
        }
        foreign->next = (foreign->next + 1) % shards;
    }
    atomic_store_explicit(&foreign->sleeping, true, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    if (foreign_has_notes(foreign)) { /* left by the limit, or come meanwhile */
        io_bell_ring(foreign->bell);
    }
    return ran;
}

int weft_foreign_fd(const weft_foreign *foreign)
{
    return foreign != NULL ? foreign->bell : -1;
}
