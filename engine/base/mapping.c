/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/mapping.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/base/assert.h"

/* Half a page and less is not worth one. */
#define SMALL_BYTES_MAX 2048u
#define LINE_BYTES 64u
#define PAGE_BYTES 4096u

static void *host_make(const struct weft_allocator *allocator, uint64_t bytes, size_t alignment)
{
    void *memory = allocator->allocate(allocator->ctx, (size_t)bytes, alignment);
    if (memory != NULL) {
        WEFT_ASSERT(((uintptr_t)memory & (alignment - 1)) == 0);
        if (!allocator->zeroed) {
            memset(memory, 0, (size_t)bytes);
        }
    }
    return memory;
}

static void host_drop(const struct weft_allocator *allocator, void *memory, uint64_t bytes)
{
    if (memory != NULL) {
        allocator->release(allocator->ctx, memory, (size_t)bytes);
    }
}

void *heap_make(const struct weft_allocator *allocator, uint64_t bytes)
{
    if (allocator != NULL) {
        return host_make(allocator, bytes, LINE_BYTES);
    }
    size_t room = ((size_t)bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    void *memory = aligned_alloc(LINE_BYTES, room);
    if (memory != NULL) {
        memset(memory, 0, room);
    }
    return memory;
}

void heap_drop(const struct weft_allocator *allocator, void *memory, uint64_t bytes)
{
    if (allocator != NULL) {
        host_drop(allocator, memory, bytes);
    } else {
        free(memory);
    }
}

void *mapping_make(const struct weft_allocator *allocator, uint64_t bytes)
{
    if (bytes <= SMALL_BYTES_MAX) {
        return heap_make(allocator, bytes);
    }
    if (allocator != NULL) {
        return host_make(allocator, bytes, PAGE_BYTES);
    }
    void *memory =
        mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void mapping_drop(const struct weft_allocator *allocator, void *memory, uint64_t bytes)
{
    if (allocator != NULL || bytes <= SMALL_BYTES_MAX) {
        heap_drop(allocator, memory, bytes);
    } else if (memory != NULL) {
        munmap(memory, (size_t)bytes);
    }
}
