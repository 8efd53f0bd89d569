/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a ring: one lazily touched mapping of entries.  What a push and a pop do is in the header, for inlining.
 *
 * Failure modes: a size that is no power of two (INVALID), a mapping that the system refuses (NO_MEMORY).
 */
#include "engine/base/spsc.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/mapping.h"

_Static_assert(sizeof(struct spsc) == 3 * (size_t)SPSC_LINE_BYTES, "constants, producer and consumer: a line each");

enum weft_err spsc_init(struct spsc *spsc, const struct weft_allocator *allocator, uint32_t count)
{
    WEFT_ASSERT(((uintptr_t)spsc & (SPSC_LINE_BYTES - 1)) == 0);
    memset(spsc, 0, sizeof *spsc);
    if (count == 0 || (count & (count - 1)) != 0 || count > SPSC_ENTRIES_MAX) {
        return WEFT_ERR_INVALID;
    }
    void *entries = mapping_make(allocator, count * sizeof(struct spsc_entry));
    if (entries == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    spsc->allocator = allocator;
    spsc->entries = entries;
    spsc->mask = count - 1;
    atomic_init(&spsc->pushed, 0);
    atomic_init(&spsc->popped, 0);
    return WEFT_OK;
}

void spsc_fini(struct spsc *spsc)
{
    if (spsc == NULL || spsc->entries == NULL) {
        return;
    }
    mapping_drop(spsc->allocator, spsc->entries, ((size_t)spsc->mask + 1) * sizeof(struct spsc_entry));
    memset(spsc, 0, sizeof *spsc);
}
