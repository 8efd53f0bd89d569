/* SPDX-License-Identifier: Apache-2.0 */
/* The buddy allocator's tree.
 *
 * A block of order n is the smallest block times 2^n.  The tree has one node per possible block: node 1 is the whole
 * arena, nodes 2i and 2i+1 are the halves of node i, the leaves are the smallest blocks.  lacking[i] says by how many
 * orders the largest free block within i is smaller than i:
 *
 *     0                  i is free as a whole (and so is everything below it)
 *     1 .. order(i)      the largest free block within i has order(i) - lacking[i]
 *     order(i) + 1       nothing within i is free
 *
 * Zero thus means free, and the kernel's zeroed pages are a ready tree: nothing has to be written to begin with.
 *
 * Happy path: a take walks down to a block of the right order, keeping large blocks whole where it has a choice; giving
 * back walks up from the smallest block at that address to the first node with nothing free, which is the block that
 * was taken, since all nodes below a taken one are zero.  Both then repair their ancestors.
 * Failure modes: no free block is large enough (NULL).  Giving back twice, or an address that was not given, aborts:
 * the way up then meets no full node that starts there.
 */
#include "engine/base/arena.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/mapping.h"

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* One byte per node; index 0 is unused. */
static uint64_t arena_tree_bytes(const struct arena *arena)
{
    return (uint64_t)2 << arena->order_max;
}

enum weft_err arena_init(struct arena *arena, const struct weft_allocator *allocator, uint64_t bytes,
                         uint32_t block_bytes_min)
{
    memset(arena, 0, sizeof *arena);
    if (!is_power_of_two(bytes) || bytes > ARENA_BYTES_MAX) {
        return WEFT_ERR_INVALID;
    }
    if (!is_power_of_two(block_bytes_min) || block_bytes_min < ARENA_BLOCK_BYTES_MIN || block_bytes_min > bytes) {
        return WEFT_ERR_INVALID;
    }
    struct arena made = {
        .allocator = allocator, .bytes = bytes, .block_shift = (uint32_t)__builtin_ctz(block_bytes_min)};
    made.order_max = (uint32_t)__builtin_ctzll(bytes) - made.block_shift;
    made.memory = mapping_make(allocator, bytes);
    if (made.memory == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    made.lacking = mapping_make(allocator, arena_tree_bytes(&made));
    if (made.lacking == NULL) {
        mapping_drop(allocator, made.memory, bytes);
        return WEFT_ERR_NO_MEMORY;
    }
    WEFT_POISON(made.memory, (size_t)bytes);
    *arena = made;
    return WEFT_OK;
}

void arena_fini(struct arena *arena)
{
    if (arena == NULL || arena->memory == NULL) {
        return;
    }
    /* Whatever is mapped here next must not inherit the poison. */
    WEFT_UNPOISON(arena->memory, (size_t)arena->bytes);
    mapping_drop(arena->allocator, arena->memory, arena->bytes);
    mapping_drop(arena->allocator, arena->lacking, arena_tree_bytes(arena));
    memset(arena, 0, sizeof *arena);
}

/* Order of the smallest block that holds this many bytes; may be above order_max. */
static uint32_t arena_order_for(const struct arena *arena, uint32_t bytes)
{
    uint32_t blocks_less_one = (bytes - 1) >> arena->block_shift;
    return blocks_less_one == 0 ? 0 : 32u - (uint32_t)__builtin_clz(blocks_less_one);
}

uint64_t arena_block_bytes(const struct arena *arena, uint32_t bytes)
{
    return (uint64_t)1 << (arena_order_for(arena, bytes) + arena->block_shift);
}

/* Recompute every ancestor of node, whose order is given, from its two halves. */
static void arena_repair_above(struct arena *arena, uint32_t node, uint32_t order)
{
    while (node > 1) {
        uint8_t mine = arena->lacking[node];
        uint8_t other = arena->lacking[node ^ 1];
        uint8_t less = mine < other ? mine : other;
        /* Only two free halves make a free whole; a half lacking n makes its parent lack n + 1. */
        uint8_t parent = (mine | other) == 0 ? 0 : (uint8_t)(less + 1);
        node >>= 1;
        order++;
        WEFT_DEBUG_ASSERT(parent <= order + 1);
        if (arena->lacking[node] == parent) {
            return;
        }
        arena->lacking[node] = parent;
    }
}

/* Of two halves of this order, at least one of which holds a free block of the wanted order: the one whose largest
 * free block is the smaller, so that large ones stay whole; the left one of equals, so that few pages are touched. */
static uint32_t arena_choose_half(const struct arena *arena, uint32_t left, uint32_t order, uint32_t wanted)
{
    uint32_t spare_left = arena->lacking[left];
    uint32_t spare_right = arena->lacking[left + 1];
    bool left_fits = spare_left + wanted <= order;
    bool right_fits = spare_right + wanted <= order;
    WEFT_DEBUG_ASSERT(left_fits || right_fits);
    if (left_fits && right_fits) {
        return spare_left >= spare_right ? left : left + 1;
    }
    return left_fits ? left : left + 1;
}

uint8_t *arena_take(struct arena *arena, uint32_t bytes)
{
    WEFT_ASSERT(bytes > 0);
    uint32_t wanted = arena_order_for(arena, bytes);
    uint32_t order = arena->order_max;
    if (arena->lacking[1] + wanted > order) {
        return NULL;
    }
    uint32_t node = 1;
    while (order > wanted) {
        order--;
        if (arena->lacking[node] == 0) {
            /* Free as a whole: so is its left half, and below it all is zero. */
            node <<= 1;
        } else {
            node = arena_choose_half(arena, node << 1, order, wanted);
        }
    }
    WEFT_ASSERT(arena->lacking[node] == 0);
    arena->lacking[node] = (uint8_t)(order + 1);
    arena_repair_above(arena, node, order);

    uint64_t block_bytes = (uint64_t)1 << (order + arena->block_shift);
    uint64_t first_of_order = (uint64_t)1 << (arena->order_max - order);
    uint8_t *block = arena->memory + (node - first_of_order) * block_bytes;
    arena->used_bytes += block_bytes;
    WEFT_UNPOISON(block, bytes);
    return block;
}

void arena_give_back(struct arena *arena, uint8_t *block)
{
    WEFT_ASSERT(block >= arena->memory);
    uint64_t offset = (uint64_t)(block - arena->memory);
    WEFT_ASSERT(offset < arena->bytes);
    uint32_t node = (1u << arena->order_max) + (uint32_t)(offset >> arena->block_shift);
    uint32_t order = 0;
    while (arena->lacking[node] != order + 1) {
        WEFT_ASSERT(arena->lacking[node] == 0);
        WEFT_ASSERT(node > 1);
        node >>= 1;
        order++;
    }
    uint64_t block_bytes = (uint64_t)1 << (order + arena->block_shift);
    WEFT_ASSERT((offset & (block_bytes - 1)) == 0);
    WEFT_ASSERT(arena->used_bytes >= block_bytes);
    arena->lacking[node] = 0;
    arena_repair_above(arena, node, order);
    arena->used_bytes -= block_bytes;
    WEFT_POISON(block, (size_t)block_bytes);
}
