/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim/sim_memory.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"

#define ROOM_FIRST 16u

void *sim_memory_new(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        weft_assert_failed(__FILE__, __LINE__, "the machine has memory for the simulation");
    }
    return memory;
}

void *sim_memory_grow(void *items, uint32_t *room, size_t bytes_each)
{
    WEFT_ASSERT(*room <= UINT32_MAX / 2);
    uint32_t grown = *room == 0 ? ROOM_FIRST : *room * 2;
    uint8_t *memory = realloc(items, grown * bytes_each);
    if (memory == NULL) {
        weft_assert_failed(__FILE__, __LINE__, "the machine has memory for the simulation");
    }
    memset(memory + *room * bytes_each, 0, (grown - *room) * bytes_each);
    *room = grown;
    return memory;
}
