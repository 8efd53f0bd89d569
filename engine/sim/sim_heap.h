/* SPDX-License-Identifier: Apache-2.0 */
/* What will happen in the simulated world, ordered by time and, at one time, by when it was decided. */
#ifndef ENGINE_SIM_SIM_HEAP_H
#define ENGINE_SIM_SIM_HEAP_H

#include <stdbool.h>
#include <stdint.h>

enum sim_happening_kind {
    SIM_POKE = 0, /* a socket looks whether it can deliver or send */
    SIM_RESET,    /* a reset reaches a socket */
    SIM_DIAL,     /* a dial reaches the listener's node */
    SIM_DIALED,   /* the answer reaches the dialer */
    SIM_DONE,     /* an operation's result becomes visible */
    SIM_CANCEL,   /* a cancellation takes effect */
};

/* The target is named by index and generation, never by pointer: it may be gone when the time comes. */
struct sim_happening {
    uint64_t due_ns;
    uint64_t sequence;
    uint32_t kind;
    uint32_t index;
    uint32_t generation;
    int32_t result;
};

struct sim_heap {
    struct sim_happening *items;
    uint32_t count;
    uint32_t room;
    uint64_t sequence;
};

void sim_heap_fini(struct sim_heap *heap);
/* The sequence is filled in here. */
void sim_heap_push(struct sim_heap *heap, struct sim_happening happening);
/* The time of the earliest; UINT64_MAX if there is none. */
uint64_t sim_heap_next_ns(const struct sim_heap *heap);
/* Take the earliest if it is due. */
bool sim_heap_pop(struct sim_heap *heap, uint64_t now_ns, struct sim_happening *happening);

#endif
