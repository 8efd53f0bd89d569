/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim/sim_slots.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/sim/sim_memory.h"

void sim_slots_init(struct sim_slots *slots, size_t bytes_each)
{
    memset(slots, 0, sizeof *slots);
    slots->bytes_each = bytes_each;
}

void sim_slots_fini(struct sim_slots *slots)
{
    for (uint32_t i = 0; i < slots->count; i++) {
        free(slots->slots[i]);
    }
    free(slots->slots);
    free(slots->unused);
    memset(slots, 0, sizeof *slots);
}

static struct sim_slot *slots_extend(struct sim_slots *slots)
{
    if (slots->count == slots->room) {
        slots->slots = sim_memory_grow(slots->slots, &slots->room, sizeof(struct sim_slot *));
    }
    struct sim_slot *slot = sim_memory_new(slots->bytes_each);
    slot->index = slots->count;
    slots->slots[slots->count++] = slot;
    return slot;
}

void *sim_slots_take(struct sim_slots *slots)
{
    struct sim_slot *slot;
    if (slots->unused_count > 0) {
        slot = slots->slots[slots->unused[--slots->unused_count]];
    } else {
        slot = slots_extend(slots);
    }
    WEFT_ASSERT(!slot->used);
    struct sim_slot head = {slot->index, slot->generation + 1, true};
    memset(slot, 0, slots->bytes_each);
    *slot = head;
    return slot;
}

void sim_slots_give_back(struct sim_slots *slots, void *object)
{
    struct sim_slot *slot = object;
    WEFT_ASSERT(slot->used);
    WEFT_ASSERT(slots->slots[slot->index] == slot);
    slot->used = false;
    if (slots->unused_count == slots->unused_room) {
        slots->unused = sim_memory_grow(slots->unused, &slots->unused_room, sizeof *slots->unused);
    }
    slots->unused[slots->unused_count++] = slot->index;
}

void *sim_slots_find(const struct sim_slots *slots, struct sim_name name)
{
    if (name.generation == 0 || name.index >= slots->count) {
        return NULL;
    }
    struct sim_slot *slot = slots->slots[name.index];
    return slot->used && slot->generation == name.generation ? slot : NULL;
}
