/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rpc/verb_table.h"

#include <stddef.h>

enum weft_err verb_table_add(struct verb_table *table, const struct verb *verb)
{
    if (verb->number >= WEFT_VERB_RESERVED || verb->fn == NULL || verb_table_find(table, verb->number) != NULL) {
        return WEFT_ERR_INVALID;
    }
    if (table->count == VERBS_MAX) {
        return WEFT_ERR_QUEUE_FULL;
    }
    uint32_t at = verb_table_hash(verb->number);
    while (table->slots[at].fn != NULL) {
        at = (at + 1) & (VERB_SLOTS - 1);
    }
    table->slots[at] = *verb;
    table->count++;
    return WEFT_OK;
}

enum weft_err verb_table_route(struct verb_table *table, uint64_t number, weft_shard_of_fn *shard_of, void *ctx)
{
    const struct verb *found = verb_table_find(table, number);
    if (found == NULL) {
        return WEFT_ERR_NOT_FOUND;
    }
    struct verb *verb = &table->slots[found - table->slots];
    verb->shard_of = shard_of;
    verb->shard_of_ctx = ctx;
    return WEFT_OK;
}
