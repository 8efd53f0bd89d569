/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs a node serves.  Filled before the node starts, then read by all shards. */
#ifndef ENGINE_RPC_VERB_TABLE_H
#define ENGINE_RPC_VERB_TABLE_H

#include <weft/call.h>

#include "engine/base/limits.h"

struct verb {
    uint64_t number;
    weft_handler_fn *fn; /* NULL: an empty slot */
    void *ctx;
    bool one_way;
    weft_shard_of_fn *shard_of; /* NULL: a request belongs to the shard where it lands */
    void *shard_of_ctx;
};

struct verb_table {
    struct verb slots[VERB_SLOTS];
    uint32_t count;
};

/* @return ok | INVALID (a reserved number, or one that is there already) | QUEUE_FULL (VERBS_MAX) */
WEFT_NODISCARD enum weft_err verb_table_add(struct verb_table *table, const struct verb *verb);

/* Say who owns the requests of a verb.  @return ok | NOT_FOUND (nobody serves it) */
WEFT_NODISCARD enum weft_err verb_table_route(struct verb_table *table, uint64_t number, weft_shard_of_fn *shard_of,
                                              void *ctx);

static inline uint32_t verb_table_hash(uint64_t number)
{
    return (uint32_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 56) & (VERB_SLOTS - 1);
}

/* NULL if there is no such verb. */
static inline const struct verb *verb_table_find(const struct verb_table *table, uint64_t number)
{
    for (uint32_t at = verb_table_hash(number);; at = (at + 1) & (VERB_SLOTS - 1)) {
        const struct verb *verb = &table->slots[at];
        if (verb->fn == NULL) {
            return NULL;
        }
        if (verb->number == number) {
            return verb;
        }
    }
}

#endif
