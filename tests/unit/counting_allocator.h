/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator for nodes that keeps books, fills what it gives with rubbish, and can fail once.  From any thread. */
#ifndef TESTS_UNIT_COUNTING_ALLOCATOR_H
#define TESTS_UNIT_COUNTING_ALLOCATOR_H

#include <pthread.h>
#include <stdint.h>

#include <weft/allocator.h>

#define COUNTING_PIECES_MAX 1024u

struct counting_allocator {
    pthread_mutex_t lock; /* guards what follows */
    struct {
        void *memory; /* NULL: free */
        size_t bytes;
    } pieces[COUNTING_PIECES_MAX];
    uint64_t failing;
    uint64_t allocations;
    uint64_t live_bytes;
    uint64_t most_bytes;
    uint64_t strangers; /* released, but not as they were allocated */
};

/* @param nth  the allocation that fails, from 1; 0: none */
void counting_init(struct counting_allocator *counting, uint64_t nth);
struct weft_allocator counting_hook(struct counting_allocator *counting);
uint64_t counting_allocations(struct counting_allocator *counting);
uint64_t counting_live_bytes(struct counting_allocator *counting);
/* Everything came back, with its size. */
void counting_expect_empty(struct counting_allocator *counting);

#endif
