/* SPDX-License-Identifier: Apache-2.0 */
/* A table of objects that are named by index and generation, so that a name outlives its object without harm. */
#ifndef ENGINE_SIM_SIM_SLOTS_H
#define ENGINE_SIM_SIM_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every object begins with this. */
struct sim_slot {
    uint32_t index;
    uint32_t generation; /* counts the objects that lived in this slot; 0 is no name */
    bool used;
};

struct sim_name {
    uint32_t index;
    uint32_t generation;
};

struct sim_slots {
    struct sim_slot **slots;
    uint32_t count; /* slots that were ever used */
    uint32_t room;
    uint32_t *unused; /* indices to use again, the last one first */
    uint32_t unused_count;
    uint32_t unused_room;
    size_t bytes_each;
};

void sim_slots_init(struct sim_slots *slots, size_t bytes_each);
void sim_slots_fini(struct sim_slots *slots);
/* A zeroed object. */
void *sim_slots_take(struct sim_slots *slots);
void sim_slots_give_back(struct sim_slots *slots, void *object);
/* The object, or NULL if it is gone. */
void *sim_slots_find(const struct sim_slots *slots, struct sim_name name);

static inline struct sim_name sim_slot_name(const struct sim_slot *slot)
{
    return (struct sim_name){slot->index, slot->generation};
}

#endif
