/* SPDX-License-Identifier: Apache-2.0 */
/* A fixed number of objects of one size, found by index and generation.
 *
 * Whoever holds only the two numbers (a handle, an id on the wire) gets the object while it lives and NULL ever after,
 * also when the slot serves somebody else by then: taking and giving back both raise the slot's generation, which is
 * odd while it is in use.  The objects never move.
 *
 * Objects and books are one lazily touched mapping.  Slots that never were in use are taken in order and only when no
 * used one is free, so the memory costs what the peak needed; of used ones the last given back is taken first.  An
 * object has all zero bytes on its first use and what its last holder left there afterwards.
 */
#ifndef ENGINE_BASE_SLOTS_H
#define ENGINE_BASE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/allocator.h>
#include <weft/error.h>

#include "engine/base/assert.h"

/* Most slots of a map: handles give an index 20 bits. */
#define SLOTS_COUNT_MAX (1u << 20)
/* Largest object: what is larger belongs into a buffer or the arena. */
#define SLOTS_OBJECT_BYTES_MAX (1u << 20)
/* Objects start at multiples of this, as malloc's do. */
#define SLOTS_ALIGN_BYTES 16u

struct slot_books {
    uint32_t generation; /* odd: in use; so handles of all zero bits mean nothing at all */
    uint32_t next;       /* of a free slot: the next one's index plus one, 0 for none */
};

struct slots {
    uint8_t *objects;
    struct slot_books *books;
    uint32_t count;
    uint32_t count_touched; /* slots below were in use at least once */
    uint32_t count_in_use;
    uint32_t free_first; /* index plus one; 0 for none */
    uint32_t stride;     /* bytes from one object to the next */
    /* index = (offset >> stride_shift) * stride_inverse: exact multiples divide by multiplying with the inverse of the
     * odd part modulo 2^64. */
    uint32_t stride_shift;
    uint64_t stride_inverse;
    const struct weft_allocator *allocator; /* of the memory; NULL: the system's */
};

/* Reserve count slots (1 .. SLOTS_COUNT_MAX) for objects of object_bytes (1 .. SLOTS_OBJECT_BYTES_MAX), which must not
 * ask for more than 16 bytes of alignment unless their size is a multiple of it.  INVALID otherwise; NO_MEMORY when
 * the system refuses. */
WEFT_NODISCARD enum weft_err slots_init(struct slots *slots, const struct weft_allocator *allocator, uint32_t count,
                                        uint32_t object_bytes);
/* Unmaps everything, in use or not; NULL and zeroed are fine. */
void slots_fini(struct slots *slots);

static inline void *slots_at(const struct slots *slots, uint32_t index)
{
    return slots->objects + (uint64_t)index * slots->stride;
}

/* Index of an object of this map; a pointer that is none aborts. */
static inline uint32_t slots_index_of(const struct slots *slots, const void *object)
{
    uint64_t offset = (uint64_t)((uintptr_t)object - (uintptr_t)slots->objects);
    uint64_t index = (offset >> slots->stride_shift) * slots->stride_inverse;
    WEFT_ASSERT(index < slots->count_touched);
    WEFT_DEBUG_ASSERT(index * slots->stride == offset);
    return (uint32_t)index;
}

/* An object with its index and generation (both may be NULL when not of interest); NULL when all are in use. */
static inline void *slots_take(struct slots *slots, uint32_t *index, uint32_t *generation)
{
    uint32_t taken;
    struct slot_books *books;
    if (WEFT_LIKELY(slots->free_first != 0)) {
        taken = slots->free_first - 1;
        books = &slots->books[taken];
        slots->free_first = books->next;
    } else if (slots->count_touched < slots->count) {
        taken = slots->count_touched++;
        books = &slots->books[taken];
    } else {
        return NULL;
    }
    books->generation++;
    WEFT_ASSERT((books->generation & 1) != 0);
    slots->count_in_use++;
    if (index != NULL) {
        *index = taken;
    }
    if (generation != NULL) {
        *generation = books->generation;
    }
    void *object = slots_at(slots, taken);
    WEFT_UNPOISON(object, slots->stride);
    return object;
}

/* The object with this index is free from here on, and its handles miss.  Giving back what is free aborts. */
static inline void slots_give_back_at(struct slots *slots, void *object, uint32_t index)
{
    struct slot_books *books = &slots->books[index];
    WEFT_DEBUG_ASSERT(slots_index_of(slots, object) == index);
    WEFT_ASSERT((books->generation & 1) != 0);
    books->generation++;
    books->next = slots->free_first;
    slots->free_first = index + 1;
    slots->count_in_use--;
    WEFT_POISON(object, slots->stride);
}

static inline void slots_give_back(struct slots *slots, void *object)
{
    slots_give_back_at(slots, object, slots_index_of(slots, object));
}

/* The object that has this index and generation; NULL if it was given back, or if there never was such a slot. */
static inline void *slots_find(const struct slots *slots, uint32_t index, uint32_t generation)
{
    if (WEFT_UNLIKELY(index >= slots->count_touched)) {
        return NULL;
    }
    if (WEFT_UNLIKELY(slots->books[index].generation != generation || (generation & 1) == 0)) {
        return NULL;
    }
    return slots_at(slots, index);
}

/* The object in use with this index; NULL if there is none. */
static inline void *slots_in_use_at(const struct slots *slots, uint32_t index)
{
    return index < slots->count_touched && (slots->books[index].generation & 1) != 0 ? slots_at(slots, index) : NULL;
}

/* The object in use with the lowest index not below this one, for walks over all; NULL when there is none.  Continue
 * with slots_index_of(object) + 1. */
void *slots_next_in_use(const struct slots *slots, uint32_t index);

static inline uint32_t slots_in_use(const struct slots *slots)
{
    return slots->count_in_use;
}

#endif
