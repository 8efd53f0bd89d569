/* SPDX-License-Identifier: Apache-2.0 */
/* Pooled buffers, and the registry that knows where each one is.
 *
 * A buffer is owned by our code or by the kernel, never by both.  Handing it over and taking it back are asserted
 * transitions, and in between ASan treats its bytes as poisoned: the kernel still fills them, while our own code is
 * caught if it looks too early.  The generation counts how often the buffer was taken from its pool, so that a
 * stale reference shows.
 *
 *     FREE -> OWNED -> KERNEL_READS  -> OWNED -> FREE      (send: the kernel reads)
 *     FREE -> OWNED -> KERNEL_WRITES -> OWNED -> ...       (receive: the kernel writes)
 */
#ifndef ENGINE_BASE_BUF_H
#define ENGINE_BASE_BUF_H

#include <stdint.h>

#include <weft/allocator.h>
#include <weft/defs.h>
#include <weft/error.h>

#include "engine/base/list.h"

enum buf_state { BUF_FREE = 0, BUF_OWNED, BUF_KERNEL_READS, BUF_KERNEL_WRITES };

struct buf {
    struct list_node link; /* of the pool's free list, or of its owner's queue */
    uint8_t *data;
    uint32_t bytes_max;
    uint32_t begin; /* first byte in use */
    uint32_t end;   /* one past the last byte in use */
    uint32_t index; /* in the pool */
    uint32_t generation;
    enum buf_state state;
    const void *owner;        /* who took it: for asserts and leak reports */
    struct weft_buf *payload; /* not NULL: the bytes are a part of this, and of no pool (payload.h) */
};

struct buf_pool {
    struct buf *bufs;
    uint8_t *memory; /* one mapping; pages are touched on first use only */
    uint64_t memory_bytes;
    uint32_t bytes_each;
    uint32_t count;
    uint32_t free_count;
    struct list free;
    const struct weft_allocator *allocator; /* of the memory; NULL: the system's */
};

/* Reserve count buffers of bytes_each (a multiple of the page size is kindest). */
WEFT_NODISCARD enum weft_err buf_pool_init(struct buf_pool *pool, const struct weft_allocator *allocator,
                                           uint32_t count, uint32_t bytes_each);
/* Every buffer must be back; asserted. */
void buf_pool_fini(struct buf_pool *pool);

/* An empty buffer, or NULL when the pool is used up.  Give it back with buf_give_back. */
struct buf *buf_take(struct buf_pool *pool, const void *owner);
void buf_give_back(struct buf_pool *pool, struct buf *buf);

/* The registry's transitions. */
void buf_to_kernel(struct buf *buf, enum buf_state state);
void buf_from_kernel(struct buf *buf);

static inline uint32_t buf_used(const struct buf *buf)
{
    return buf->end - buf->begin;
}

static inline uint32_t buf_room(const struct buf *buf)
{
    return buf->bytes_max - buf->end;
}

#endif
