/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a slot map; what happens often is in the header, for inlining.
 *
 * Failure modes: sizes out of range (INVALID), a mapping that the system refuses (NO_MEMORY).
 */
#include "engine/base/slots.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/mapping.h"

/* The number that gives 1 modulo 2^64 when multiplied with an odd one.  Newton's step doubles the bits that are right,
 * and an odd number is its own inverse in the lowest 3: 3, 6, 12, 24, 48, 96. */
static uint64_t inverse_of_odd(uint64_t odd)
{
    uint64_t inverse = odd;
    for (unsigned i = 0; i < 5; i++) {
        inverse *= 2 - odd * inverse;
    }
    return inverse;
}

/* The books stand behind the objects: a small map is one page. */
static uint64_t slots_bytes(uint32_t count, uint32_t stride)
{
    return (uint64_t)count * (stride + sizeof(struct slot_books));
}

enum weft_err slots_init(struct slots *slots, const struct weft_allocator *allocator, uint32_t count,
                         uint32_t object_bytes)
{
    memset(slots, 0, sizeof *slots);
    if (count == 0 || count > SLOTS_COUNT_MAX || object_bytes == 0 || object_bytes > SLOTS_OBJECT_BYTES_MAX) {
        return WEFT_ERR_INVALID;
    }
    uint32_t stride = (object_bytes + SLOTS_ALIGN_BYTES - 1) & ~(SLOTS_ALIGN_BYTES - 1);
    uint8_t *objects = mapping_make(allocator, slots_bytes(count, stride));
    if (objects == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    slots->allocator = allocator;
    slots->objects = objects;
    slots->books = (struct slot_books *)(void *)(objects + (uint64_t)count * stride);
    slots->count = count;
    slots->stride = stride;
    slots->stride_shift = (uint32_t)__builtin_ctz(stride);
    slots->stride_inverse = inverse_of_odd(stride >> slots->stride_shift);
    WEFT_POISON(objects, (size_t)count * stride);
    return WEFT_OK;
}

void slots_fini(struct slots *slots)
{
    if (slots == NULL || slots->objects == NULL) {
        return;
    }
    /* Whatever is mapped here next must not inherit the poison. */
    WEFT_UNPOISON(slots->objects, (size_t)slots->count * slots->stride);
    mapping_drop(slots->allocator, slots->objects, slots_bytes(slots->count, slots->stride));
    memset(slots, 0, sizeof *slots);
}

void *slots_next_in_use(const struct slots *slots, uint32_t index)
{
    for (; index < slots->count_touched; index++) {
        if ((slots->books[index].generation & 1) != 0) {
            return slots_at(slots, index);
        }
    }
    return NULL;
}
