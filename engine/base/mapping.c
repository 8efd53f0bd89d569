/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/mapping.h"

#include <stddef.h>
#include <sys/mman.h>

void *mapping_make(uint64_t bytes)
{
    void *memory =
        mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void mapping_drop(void *memory, uint64_t bytes)
{
    if (memory != NULL) {
        munmap(memory, (size_t)bytes);
    }
}
