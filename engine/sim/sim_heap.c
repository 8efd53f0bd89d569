/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap in one array.  The sequence makes the order total, so that it is the same on every machine. */
#include "engine/sim/sim_heap.h"

#include <stdlib.h>

#include "engine/sim/sim_memory.h"

static bool happening_before(const struct sim_happening *a, const struct sim_happening *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

void sim_heap_fini(struct sim_heap *heap)
{
    free(heap->items);
    heap->items = NULL;
    heap->count = 0;
    heap->room = 0;
}

void sim_heap_push(struct sim_heap *heap, struct sim_happening happening)
{
    if (heap->count == heap->room) {
        heap->items = sim_memory_grow(heap->items, &heap->room, sizeof *heap->items);
    }
    happening.sequence = heap->sequence++;
    uint32_t at = heap->count++;
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (!happening_before(&happening, &heap->items[parent])) {
            break;
        }
        heap->items[at] = heap->items[parent];
        at = parent;
    }
    heap->items[at] = happening;
}

uint64_t sim_heap_next_ns(const struct sim_heap *heap)
{
    return heap->count == 0 ? UINT64_MAX : heap->items[0].due_ns;
}

bool sim_heap_pop(struct sim_heap *heap, uint64_t now_ns, struct sim_happening *happening)
{
    if (sim_heap_next_ns(heap) > now_ns || heap->count == 0) {
        return false;
    }
    *happening = heap->items[0];
    struct sim_happening last = heap->items[--heap->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && happening_before(&heap->items[child + 1], &heap->items[child])) {
            child++;
        }
        if (!happening_before(&heap->items[child], &last)) {
            break;
        }
        heap->items[at] = heap->items[child];
        at = child;
    }
    heap->items[at] = last;
    return true;
}
