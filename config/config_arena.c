/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that lives as long as one configuration.
 *
 * Happy path: pieces are cut from the newest chunk; fini frees the chunks.
 *
 * Failure modes: no memory gives NULL.  What a file can ask for is bounded by its own size limit. */
#include "config/config_arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A usual configuration fits in one chunk. */
#define ARENA_CHUNK_BYTES (32u * 1024)

struct config_arena_chunk {
    struct config_arena_chunk *next;
    size_t used;
    size_t bytes;
    alignas(max_align_t) uint8_t data[];
};

static struct config_arena_chunk *arena_grow(struct config_arena *arena, size_t bytes)
{
    size_t room = bytes > ARENA_CHUNK_BYTES ? bytes : ARENA_CHUNK_BYTES;
    struct config_arena_chunk *chunk = calloc(1, sizeof *chunk + room);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->bytes = room;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *config_arena_take(struct config_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct config_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->bytes - chunk->used < rounded) {
        chunk = arena_grow(arena, rounded);
        if (chunk == NULL) {
            return NULL;
        }
    }
    void *piece = chunk->data + chunk->used;
    chunk->used += rounded;
    return piece;
}

char *config_arena_text(struct config_arena *arena, const char *text, size_t bytes)
{
    char *copy = config_arena_take(arena, bytes + 1);
    if (copy != NULL) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

void config_arena_fini(struct config_arena *arena)
{
    while (arena->chunks != NULL) {
        struct config_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
}
