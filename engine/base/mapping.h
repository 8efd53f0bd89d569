/* SPDX-License-Identifier: Apache-2.0 */
/* Zeroed memory straight from the system: reserved at once, backed page by page as it is first touched.  What is far
 * less than a page comes from the heap instead; it lies on a cache line of its own. */
#ifndef ENGINE_BASE_MAPPING_H
#define ENGINE_BASE_MAPPING_H

#include <stdint.h>

/* One byte or more; NULL if there is no room in the address space. */
void *mapping_make(uint64_t bytes);
/* Give back what mapping_make gave, of the same size; NULL is fine. */
void mapping_drop(void *memory, uint64_t bytes);

#endif
