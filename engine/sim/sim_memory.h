/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's own memory.  It is a test tool: a machine without memory ends it, with a line that says so. */
#ifndef ENGINE_SIM_SIM_MEMORY_H
#define ENGINE_SIM_SIM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed. */
void *sim_memory_new(size_t bytes);
/* Double an array (16 items at first); *room is its size in items.  New items are zeroed. */
void *sim_memory_grow(void *items, uint32_t *room, size_t bytes_each);

#endif
