/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/mapping.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Half a page and less is not worth one. */
#define SMALL_BYTES_MAX 2048u
#define LINE_BYTES 64u

static void *small_make(uint64_t bytes)
{
    size_t room = ((size_t)bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    void *memory = aligned_alloc(LINE_BYTES, room);
    if (memory != NULL) {
        memset(memory, 0, room);
    }
    return memory;
}

void *mapping_make(uint64_t bytes)
{
    if (bytes <= SMALL_BYTES_MAX) {
        return small_make(bytes);
    }
    void *memory =
        mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void mapping_drop(void *memory, uint64_t bytes)
{
    if (bytes <= SMALL_BYTES_MAX) {
        free(memory);
    } else if (memory != NULL) {
        munmap(memory, (size_t)bytes);
    }
}
