/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for frames that must be assembled: blocks of any size up to a bound, out of one mapping of fixed size.
 *
 * A buddy allocator: every block is a power of two and lies at a multiple of its size, and two free halves become one
 * whole again.  What is known about the blocks is kept in a mapping of its own, so a stray write into a block cannot
 * lead the allocator astray.  Both mappings are touched only where they are used.
 */
#ifndef ENGINE_BASE_ARENA_H
#define ENGINE_BASE_ARENA_H

#include <stdint.h>

#include <weft/allocator.h>
#include <weft/error.h>

/* Largest arena: 64 times the largest frame. */
#define ARENA_BYTES_MAX (1u << 30)
/* Smallest block: below a cache line two holders would share one. */
#define ARENA_BLOCK_BYTES_MIN 64u

struct arena {
    uint8_t *memory;
    uint8_t *lacking; /* a tree with one byte per possible block; see arena.c */
    uint64_t bytes;
    uint64_t used_bytes;                    /* of taken blocks, as rounded up */
    uint32_t order_max;                     /* bytes = smallest block << order_max */
    uint32_t block_shift;                   /* smallest block = 1 << block_shift */
    const struct weft_allocator *allocator; /* of the memory; NULL: the system's */
};

/* Reserve an arena.  Both sizes are powers of two: bytes up to ARENA_BYTES_MAX, the smallest block from
 * ARENA_BLOCK_BYTES_MIN up to bytes; INVALID otherwise, NO_MEMORY when the system refuses. */
WEFT_NODISCARD enum weft_err arena_init(struct arena *arena, const struct weft_allocator *allocator, uint64_t bytes,
                                        uint32_t block_bytes_min);
/* Unmaps everything, taken or not; NULL and zeroed are fine. */
void arena_fini(struct arena *arena);

/* A block of at least this many bytes (one or more), aligned to its size rounded up to a power of two (at least the
 * smallest block, at most a page), with any content; NULL when no free block is large enough. */
uint8_t *arena_take(struct arena *arena, uint32_t bytes);
/* Give back what arena_take gave; anything else aborts. */
void arena_give_back(struct arena *arena, uint8_t *block);

/* What a block for so many bytes takes up. */
uint64_t arena_block_bytes(const struct arena *arena, uint32_t bytes);

/* Bytes of all taken blocks, as rounded up. */
static inline uint64_t arena_used(const struct arena *arena)
{
    return arena->used_bytes;
}

#endif
