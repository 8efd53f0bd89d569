/* SPDX-License-Identifier: Apache-2.0 */
/* Pools of buffers and the transitions of the registry.
 *
 * Owns one lazily touched mapping: the bytes, and behind them the records that describe them.  A record is written when
 * its buffer is taken for the first time, so a large pool costs what it used at its peak and not what it may grow to.
 *
 * Happy path: the buffer given back last is taken first, since its bytes are the ones still in the cache.
 * Failure modes: a mapping that the system refuses (NO_MEMORY); a used-up pool (NULL from buf_take).  A buffer that
 * is given back twice, while queued or while the kernel has it is a bug of ours and aborts.
 */
#include "engine/base/buf.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/mapping.h"
#include "engine/base/payload.h"

/* Buffers start on a cache line of their own; it is also a multiple of ASan's granule of 8 bytes. */
#define BUF_ALIGN_BYTES 64u
/* No machine has more; sums stay far below 2^64. */
#define POOL_BYTES_MAX (UINT64_C(1) << 48)

static uint64_t pool_records_bytes(const struct buf_pool *pool)
{
    return (uint64_t)pool->count * sizeof(struct buf);
}

enum weft_err buf_pool_init(struct buf_pool *pool, const struct weft_allocator *allocator, uint32_t count,
                            uint32_t bytes_each)
{
    memset(pool, 0, sizeof *pool);
    list_init(&pool->free);
    if (count == 0 || bytes_each == 0) {
        return WEFT_ERR_INVALID;
    }
    uint64_t stride = ((uint64_t)bytes_each + BUF_ALIGN_BYTES - 1) & ~(uint64_t)(BUF_ALIGN_BYTES - 1);
    if (stride > POOL_BYTES_MAX / count) {
        return WEFT_ERR_NO_MEMORY;
    }
    uint8_t *memory = mapping_make(allocator, stride * count + (uint64_t)count * sizeof(struct buf));
    if (memory == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    pool->bufs = (struct buf *)(void *)(memory + stride * count);
    pool->allocator = allocator;
    pool->bytes_each = bytes_each;
    pool->memory = memory;
    pool->memory_bytes = stride * count;
    pool->count = count;
    pool->free_count = count;
    WEFT_POISON(memory, (size_t)pool->memory_bytes);
    return WEFT_OK;
}

void buf_pool_fini(struct buf_pool *pool)
{
    if (pool == NULL || pool->memory == NULL) {
        return;
    }
    WEFT_ASSERT(pool->free_count == pool->count);
    /* Whatever is mapped here next must not inherit the poison. */
    WEFT_UNPOISON(pool->memory, (size_t)pool->memory_bytes);
    mapping_drop(pool->allocator, pool->memory, pool->memory_bytes + pool_records_bytes(pool));
    memset(pool, 0, sizeof *pool);
}

/* The record of the lowest buffer that was never taken.  Called when every buffer that ever was taken is taken now,
 * so the number of taken buffers is its index. */
static struct buf *buf_first_use(struct buf_pool *pool)
{
    uint32_t index = pool->count - pool->free_count;
    uint64_t stride = pool->memory_bytes / pool->count;
    struct buf *buf = &pool->bufs[index];
    WEFT_ASSERT(buf->data == NULL);
    list_node_init(&buf->link);
    buf->data = pool->memory + stride * index;
    buf->bytes_max = pool->bytes_each;
    buf->index = index;
    return buf;
}

struct buf *buf_take(struct buf_pool *pool, const void *owner)
{
    if (pool->free_count == 0) {
        return NULL;
    }
    struct list_node *node = list_pop_front(&pool->free);
    struct buf *buf = node != NULL ? WEFT_CONTAINER_OF(node, struct buf, link) : buf_first_use(pool);
    WEFT_ASSERT(buf->state == BUF_FREE);
    pool->free_count--;
    buf->begin = 0;
    buf->end = 0;
    buf->generation++;
    buf->state = BUF_OWNED;
    buf->owner = owner;
    WEFT_UNPOISON(buf->data, buf->bytes_max);
    return buf;
}

void buf_give_back(struct buf_pool *pool, struct buf *buf)
{
    WEFT_ASSERT(buf->index < pool->count);
    WEFT_ASSERT(buf == &pool->bufs[buf->index]);
    WEFT_ASSERT(buf->state == BUF_OWNED);
    WEFT_ASSERT(!list_node_linked(&buf->link));
    buf->state = BUF_FREE;
    buf->owner = NULL;
    WEFT_POISON(buf->data, buf->bytes_max);
    list_push_front(&pool->free, &buf->link);
    pool->free_count++;
}

void buf_to_kernel(struct buf *buf, enum buf_state state)
{
    WEFT_ASSERT(state == BUF_KERNEL_READS || state == BUF_KERNEL_WRITES);
    WEFT_ASSERT(buf->state == BUF_OWNED);
    buf->state = state;
    if (WEFT_UNLIKELY(buf->payload != NULL)) {
        payload_kernel_reads(buf->payload, 1);
    } else {
        WEFT_POISON(buf->data, buf->bytes_max);
    }
}

void buf_from_kernel(struct buf *buf)
{
    WEFT_ASSERT(buf->state == BUF_KERNEL_READS || buf->state == BUF_KERNEL_WRITES);
    buf->state = BUF_OWNED;
    if (WEFT_UNLIKELY(buf->payload != NULL)) {
        payload_kernel_reads(buf->payload, -1);
    } else {
        WEFT_UNPOISON(buf->data, buf->bytes_max);
    }
}
