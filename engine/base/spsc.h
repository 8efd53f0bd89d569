/* SPDX-License-Identifier: Apache-2.0 */
/* A ring between exactly two threads: one pushes, one pops, neither waits.
 *
 * Each side keeps what it alone writes on a cache line of its own, together with its last view of the other side's
 * index, so that the line of the other is fetched only when the ring looks full or empty.  What was written before a
 * push is seen after the pop that takes the entry.
 *
 * A side that wants to sleep when the ring is empty and be woken by the other needs a full fence of its own between
 * announcing its sleep and looking at spsc_empty: the ring orders entries, not sleeps.
 */
#ifndef ENGINE_BASE_SPSC_H
#define ENGINE_BASE_SPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weft/allocator.h>
#include <weft/error.h>

/* Largest ring: 2^20 entries of 32 bytes are 32 MiB, far above any mailbox. */
#define SPSC_ENTRIES_MAX (1u << 20)

/* A line of today's processors; the two sides must not share one. */
#define SPSC_LINE_BYTES 64

/* Room for a function, two pointers and a number; the ring gives the words no meaning. */
struct spsc_entry {
    uint64_t words[4];
};

struct spsc {
    /* Constant after init. */
    struct spsc_entry *entries;
    const struct weft_allocator *allocator; /* of the memory; NULL: the system's */
    uint32_t mask;                          /* entries - 1 */

    /* The producer's line.  Indices run freely and wrap at 2^32. */
    _Alignas(SPSC_LINE_BYTES) _Atomic uint32_t pushed;
    uint32_t popped_seen;

    /* The consumer's line. */
    _Alignas(SPSC_LINE_BYTES) _Atomic uint32_t popped;
    uint32_t pushed_seen;
};

/* Reserve a ring of count entries, a power of two up to SPSC_ENTRIES_MAX: INVALID otherwise, NO_MEMORY when the system
 * refuses.  The struct itself must lie at a multiple of SPSC_LINE_BYTES. */
WEFT_NODISCARD enum weft_err spsc_init(struct spsc *spsc, const struct weft_allocator *allocator, uint32_t count);
/* When neither thread uses it any more; entries inside are forgotten.  NULL and zeroed are fine. */
void spsc_fini(struct spsc *spsc);

/* Producer only.  False when the ring is full; nothing happened then. */
static inline bool spsc_push(struct spsc *spsc, const struct spsc_entry *entry)
{
    uint32_t pushed = atomic_load_explicit(&spsc->pushed, memory_order_relaxed);
    if (pushed - spsc->popped_seen > spsc->mask) {
        /* Acquire: the consumer must have finished reading the entry that is overwritten here. */
        spsc->popped_seen = atomic_load_explicit(&spsc->popped, memory_order_acquire);
        if (pushed - spsc->popped_seen > spsc->mask) {
            return false;
        }
    }
    spsc->entries[pushed & spsc->mask] = *entry;
    atomic_store_explicit(&spsc->pushed, pushed + 1, memory_order_release);
    return true;
}

/* Producer only: how many entries are there at most. */
static inline uint32_t spsc_used(const struct spsc *spsc)
{
    return atomic_load_explicit(&spsc->pushed, memory_order_relaxed) -
           atomic_load_explicit(&spsc->popped, memory_order_acquire);
}

/* Consumer only.  False when the ring is empty; *entry is then untouched. */
static inline bool spsc_pop(struct spsc *spsc, struct spsc_entry *entry)
{
    uint32_t popped = atomic_load_explicit(&spsc->popped, memory_order_relaxed);
    if (popped == spsc->pushed_seen) {
        spsc->pushed_seen = atomic_load_explicit(&spsc->pushed, memory_order_acquire);
        if (popped == spsc->pushed_seen) {
            return false;
        }
    }
    *entry = spsc->entries[popped & spsc->mask];
    atomic_store_explicit(&spsc->popped, popped + 1, memory_order_release);
    return true;
}

/* Either side, or a third for statistics.  True stays true for the producer, false for the consumer, until they act
 * themselves; anybody else gets a guess. */
static inline bool spsc_empty(const struct spsc *spsc)
{
    uint32_t popped = atomic_load_explicit(&spsc->popped, memory_order_acquire);
    return popped == atomic_load_explicit(&spsc->pushed, memory_order_acquire);
}

#endif
