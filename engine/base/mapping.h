/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroed memory of a node: from the host's allocator, or, without one (NULL), from the system.
 *
 * A mapping is for what is large: straight from the system it is reserved at once and backed page by page as it is
 * first touched; what is far less than a page comes from the heap instead.  From the host's allocator it is touched
 * at once, unless that gives zeroed memory.  A piece of the heap is for single structs.  Both lie on cache lines of
 * their own. */
#ifndef ENGINE_BASE_MAPPING_H
#define ENGINE_BASE_MAPPING_H

#include <stdint.h>

#include <weft/allocator.h>

/* One byte or more; NULL if there is no room. */
void *mapping_make(const struct weft_allocator *allocator, uint64_t bytes);
void *heap_make(const struct weft_allocator *allocator, uint64_t bytes);
/* Give back what the one of the same name gave, with the same allocator and size; NULL is fine. */
void mapping_drop(const struct weft_allocator *allocator, void *memory, uint64_t bytes);
void heap_drop(const struct weft_allocator *allocator, void *memory, uint64_t bytes);

#endif
