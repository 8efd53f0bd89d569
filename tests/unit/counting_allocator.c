/* SPDX-License-Identifier: Apache-2.0 */
/* posix_memalign is not among the functions whose calls tests/sim/alloc_fail.c counts. */
#include "tests/unit/counting_allocator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What is larger is not filled: it would be touched twice for nothing new. */
#define FILLED_BYTES_MAX (UINT64_C(1) << 20)

static void *counting_allocate(void *ctx, size_t bytes, size_t alignment)
{
    struct counting_allocator *counting = ctx;
    void *memory = NULL;
    uint32_t at = 0;
    pthread_mutex_lock(&counting->lock);
    while (at < COUNTING_PIECES_MAX && counting->pieces[at].memory != NULL) {
        at++;
    }
    bool fails = ++counting->allocations == counting->failing || at == COUNTING_PIECES_MAX || bytes == 0;
    if (!fails && posix_memalign(&memory, alignment, bytes) == 0) {
        memset(memory, 0xa5, bytes < FILLED_BYTES_MAX ? bytes : FILLED_BYTES_MAX);
        counting->pieces[at].memory = memory;
        counting->pieces[at].bytes = bytes;
        counting->live_bytes += bytes;
        if (counting->live_bytes > counting->most_bytes) {
            counting->most_bytes = counting->live_bytes;
        }
    }
    pthread_mutex_unlock(&counting->lock);
    return memory;
}

static void counting_release(void *ctx, void *memory, size_t bytes)
{
    struct counting_allocator *counting = ctx;
    uint32_t at = 0;
    pthread_mutex_lock(&counting->lock);
    while (at < COUNTING_PIECES_MAX && (memory == NULL || counting->pieces[at].memory != memory)) {
        at++;
    }
    if (at == COUNTING_PIECES_MAX || counting->pieces[at].bytes != bytes) {
        counting->strangers++;
    } else {
        counting->live_bytes -= bytes;
        counting->pieces[at].memory = NULL;
        free(memory);
    }
    pthread_mutex_unlock(&counting->lock);
}

void counting_init(struct counting_allocator *counting, uint64_t nth)
{
    memset(counting, 0, sizeof *counting);
    pthread_mutex_init(&counting->lock, NULL);
    counting->failing = nth;
}

struct weft_allocator counting_hook(struct counting_allocator *counting)
{
    return (struct weft_allocator){.allocate = counting_allocate, .release = counting_release, .ctx = counting};
}

uint64_t counting_allocations(struct counting_allocator *counting)
{
    pthread_mutex_lock(&counting->lock);
    uint64_t allocations = counting->allocations;
    pthread_mutex_unlock(&counting->lock);
    return allocations;
}

uint64_t counting_live_bytes(struct counting_allocator *counting)
{
    pthread_mutex_lock(&counting->lock);
    uint64_t bytes = counting->live_bytes;
    pthread_mutex_unlock(&counting->lock);
    return bytes;
}

void counting_expect_empty(struct counting_allocator *counting)
{
    pthread_mutex_lock(&counting->lock);
    uint64_t live = counting->live_bytes;
    uint64_t strangers = counting->strangers;
    uint64_t most = counting->most_bytes;
    pthread_mutex_unlock(&counting->lock);
    assert_int_equal(live, 0);
    assert_int_equal(strangers, 0);
    assert_true(most > 0 || counting->failing == 1);
}
