/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads by reference: counted bytes (weft_buf), and the records by which queues and the kernel refer to parts of
 * them.
 *
 * A reference is a struct buf without memory of its own: it stands in the same queues as a pool's buffers, goes through
 * the same transitions of the registry, and never has room to append to.  While the kernel reads a payload that nobody
 * but queues refers to, its bytes are poisoned: whoever writes them now gave them away before. */
#ifndef ENGINE_BASE_PAYLOAD_H
#define ENGINE_BASE_PAYLOAD_H

#include <weft/buf.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/slots.h"

struct payload_pool {
    struct slots payloads;   /* struct weft_buf */
    struct slots references; /* struct buf */
    struct arena *arena;
    uint64_t arena_bytes; /* of the arena, in payloads */
    uint64_t arena_bytes_max;
    uint64_t queued_bytes; /* referred to by queues */
    uint64_t queued_bytes_max;
};

struct weft_buf {
    struct payload_pool *pool;
    uint8_t *data;
    uint32_t bytes;
    uint32_t refs;         /* everybody's; 0: free */
    uint32_t queued;       /* of these, references */
    uint32_t kernel_reads; /* of these, in the kernel's hands */
    bool poisoned;
    bool wrapped; /* the memory is the embedder's */
    weft_buf_release_fn *release;
    void *ctx;
};

/* @param count of payloads, and of references
 * @param queued_bytes_max bounds what all references together refer to */
WEFT_NODISCARD enum weft_err payload_pool_init(struct payload_pool *pool, struct arena *arena, uint32_t count,
                                               uint64_t queued_bytes_max);
/* No reference may be left; payloads that somebody kept are dropped. */
void payload_pool_fini(struct payload_pool *pool);

/* As weft_buf_take and weft_buf_wrap. */
struct weft_buf *payload_take(struct payload_pool *pool, uint32_t bytes);
struct weft_buf *payload_wrap(struct payload_pool *pool, void *data, uint32_t bytes, weft_buf_release_fn *release,
                              void *ctx);
/* Make a payload of a block that was taken from the arena for so many bytes; NULL: it stays the caller's. */
struct weft_buf *payload_adopt(struct payload_pool *pool, uint8_t *block, uint32_t bytes);

/* A buffer that refers to all of a payload, and counts as one reference; NULL: too many, or too many bytes. */
struct buf *payload_refer(struct weft_buf *payload, const void *owner);
/* Cut the first bytes off a buffer that refers: they get one of their own; NULL: no more. */
struct buf *payload_split(struct buf *buf, uint32_t bytes);
/* Give back a buffer that refers. */
void payload_drop(struct buf *buf);

/* For buf.c: the kernel began (1) or ended (-1) reading. */
void payload_kernel_reads(struct weft_buf *payload, int32_t change);
/* Our own code reads a part that somebody else's kernel operation may be reading too; end it by payload_settle. */
void payload_read(const struct buf *buf);
void payload_settle(struct weft_buf *payload);

#endif
