/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that lives as long as one configuration: taken piece by piece, freed at once. */
#ifndef CONFIG_CONFIG_ARENA_H
#define CONFIG_CONFIG_ARENA_H

#include <stddef.h>

#include <weft/defs.h>

struct config_arena_chunk;

/* Zeroed is empty. */
struct config_arena {
    struct config_arena_chunk *chunks; /* the newest first */
};

/* Zeroed memory, aligned for any type.  NULL: the machine has none left. */
void *config_arena_take(struct config_arena *arena, size_t bytes);
/* A copy with a NUL behind it.  NULL: no memory. */
char *config_arena_text(struct config_arena *arena, const char *text, size_t bytes);
void config_arena_fini(struct config_arena *arena);

#endif
