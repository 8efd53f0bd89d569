/* SPDX-License-Identifier: Apache-2.0 */
/* Counted payloads, and references to them.
 *
 * Happy path: taken with one reference, given away, referred to by a queue, read by the kernel, dropped; the last
 * reference gives the memory back to the arena, or tells the embedder.
 * Failure modes: too many payloads, references or bytes (NULL).  A reference too few, or memory that goes back while
 * the kernel reads it, is a bug and aborts. */
#include "engine/base/payload.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/limits.h"

/* Of the arena one part in so many may be in payloads: the rest is for frames that arrive. */
#define PAYLOAD_ARENA_PARTS 2u

enum weft_err payload_pool_init(struct payload_pool *pool, struct arena *arena, uint32_t count,
                                uint64_t queued_bytes_max)
{
    memset(pool, 0, sizeof *pool);
    pool->arena = arena;
    pool->arena_bytes_max = arena->bytes / PAYLOAD_ARENA_PARTS;
    pool->queued_bytes_max = queued_bytes_max;
    WEFT_TRY(slots_init(&pool->payloads, arena->allocator, count, sizeof(struct weft_buf)));
    return slots_init(&pool->references, arena->allocator, count, sizeof(struct buf));
}

static void payload_end(struct weft_buf *payload)
{
    struct payload_pool *pool = payload->pool;
    WEFT_ASSERT(payload->queued == 0);
    WEFT_ASSERT(payload->kernel_reads == 0);
    payload_settle(payload);
    if (!payload->wrapped) {
        pool->arena_bytes -= arena_block_bytes(pool->arena, payload->bytes);
        arena_give_back(pool->arena, payload->data);
    }
    weft_buf_release_fn *release = payload->release;
    void *ctx = payload->ctx;
    uint8_t *data = payload->data;
    uint32_t bytes = payload->bytes;
    slots_give_back(&pool->payloads, payload);
    if (release != NULL) {
        release(ctx, data, bytes);
    }
}

void payload_pool_fini(struct payload_pool *pool)
{
    if (pool->arena == NULL) {
        return;
    }
    WEFT_ASSERT(slots_in_use(&pool->references) == 0);
    struct weft_buf *kept;
    while (slots_in_use(&pool->payloads) > 0 && (kept = slots_next_in_use(&pool->payloads, 0)) != NULL) {
        kept->refs = 0;
        payload_end(kept);
    }
    slots_fini(&pool->payloads);
    slots_fini(&pool->references);
    memset(pool, 0, sizeof *pool);
}

static struct weft_buf *payload_make(struct payload_pool *pool, uint8_t *data, uint32_t bytes)
{
    struct weft_buf *payload = slots_take(&pool->payloads, NULL, NULL);
    if (payload != NULL) {
        *payload = (struct weft_buf){.pool = pool, .data = data, .bytes = bytes, .refs = 1};
    }
    return payload;
}

struct weft_buf *payload_adopt(struct payload_pool *pool, uint8_t *block, uint32_t bytes)
{
    uint64_t block_bytes = arena_block_bytes(pool->arena, bytes);
    if (block_bytes > pool->arena_bytes_max - pool->arena_bytes) {
        return NULL;
    }
    struct weft_buf *payload = payload_make(pool, block, bytes);
    pool->arena_bytes += payload != NULL ? block_bytes : 0;
    return payload;
}

static bool payload_size_possible(uint32_t bytes)
{
    return bytes > 0 && bytes <= FRAME_BYTES_MAX;
}

struct weft_buf *payload_take(struct payload_pool *pool, uint32_t bytes)
{
    uint8_t *block = payload_size_possible(bytes) ? arena_take(pool->arena, bytes) : NULL;
    if (block == NULL) {
        return NULL;
    }
    struct weft_buf *payload = payload_adopt(pool, block, bytes);
    if (payload == NULL) {
        arena_give_back(pool->arena, block);
    }
    return payload;
}

struct weft_buf *payload_wrap(struct payload_pool *pool, void *data, uint32_t bytes, weft_buf_release_fn *release,
                              void *ctx)
{
    struct weft_buf *payload = payload_size_possible(bytes) ? payload_make(pool, data, bytes) : NULL;
    if (payload != NULL) {
        payload->wrapped = true;
        payload->release = release;
        payload->ctx = ctx;
    }
    return payload;
}

void payload_settle(struct weft_buf *payload)
{
    bool poisoned = payload->kernel_reads > 0 && payload->refs == payload->queued;
    if (poisoned == payload->poisoned) {
        return;
    }
    payload->poisoned = poisoned;
    if (poisoned) {
        WEFT_POISON(payload->data, payload->bytes);
    } else {
        WEFT_UNPOISON(payload->data, payload->bytes);
    }
}

void payload_read(const struct buf *buf)
{
    struct weft_buf *payload = buf->payload;
    WEFT_ASSERT(buf->state == BUF_OWNED);
    payload->poisoned = false;
    WEFT_UNPOISON(payload->data, payload->bytes);
}

void payload_kernel_reads(struct weft_buf *payload, int32_t change)
{
    payload->kernel_reads += (uint32_t)change;
    WEFT_ASSERT(payload->kernel_reads <= payload->queued);
    payload_settle(payload);
}

static struct buf *reference_make(struct weft_buf *payload, const void *owner)
{
    struct buf *buf = slots_take(&payload->pool->references, NULL, NULL);
    if (buf != NULL) {
        WEFT_ASSERT(buf->state == BUF_FREE);
        list_node_init(&buf->link);
        buf->payload = payload;
        buf->state = BUF_OWNED;
        buf->owner = owner;
        buf->generation++;
        payload->refs++;
        payload->queued++;
    }
    return buf;
}

struct buf *payload_refer(struct weft_buf *payload, const void *owner)
{
    struct payload_pool *pool = payload->pool;
    WEFT_ASSERT(payload->refs > 0);
    if (payload->bytes > pool->queued_bytes_max - pool->queued_bytes) {
        return NULL;
    }
    struct buf *buf = reference_make(payload, owner);
    if (buf != NULL) {
        buf->data = payload->data;
        buf->begin = 0;
        buf->end = payload->bytes;
        buf->bytes_max = payload->bytes;
        pool->queued_bytes += payload->bytes;
    }
    return buf;
}

struct buf *payload_split(struct buf *buf, uint32_t bytes)
{
    WEFT_ASSERT(buf->state == BUF_OWNED);
    WEFT_ASSERT(bytes > 0 && bytes < buf_used(buf));
    struct buf *front = reference_make(buf->payload, buf->owner);
    if (front != NULL) {
        front->data = buf->data;
        front->begin = buf->begin;
        front->end = buf->begin + bytes;
        front->bytes_max = front->end;
        buf->data += front->end;
        buf->bytes_max -= front->end;
        buf->end -= front->end;
        buf->begin = 0;
    }
    return front;
}

void payload_drop(struct buf *buf)
{
    struct weft_buf *payload = buf->payload;
    WEFT_ASSERT(buf->state == BUF_OWNED);
    WEFT_ASSERT(!list_node_linked(&buf->link));
    WEFT_ASSERT(payload->queued > 0);
    payload->queued--;
    payload->pool->queued_bytes -= buf->bytes_max;
    buf->state = BUF_FREE;
    buf->owner = NULL;
    slots_give_back(&payload->pool->references, buf);
    weft_buf_unref(payload);
}

uint8_t *weft_buf_data(weft_buf *buf)
{
    return buf != NULL ? buf->data : NULL;
}

uint32_t weft_buf_bytes(const weft_buf *buf)
{
    return buf != NULL ? buf->bytes : 0;
}

weft_buf *weft_buf_ref(weft_buf *buf)
{
    if (buf == NULL) {
        return NULL;
    }
    WEFT_ASSERT(buf->refs > 0);
    buf->refs++;
    payload_settle(buf);
    return buf;
}

void weft_buf_unref(weft_buf *buf)
{
    if (buf == NULL) {
        return;
    }
    WEFT_ASSERT(buf->refs > buf->queued);
    buf->refs--;
    if (buf->refs == 0) {
        payload_end(buf);
    } else {
        payload_settle(buf);
    }
}
