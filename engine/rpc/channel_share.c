/* SPDX-License-Identifier: Apache-2.0 */
/* What one source may hold of the shard's arena with frames that have begun and not ended: a peer of the topology by
 * whatever connections, anybody else by address.
 *
 * Happy path: less than a share of the arena is in unfinished frames, whoever they are of, and nobody has to ask.
 * Failure modes: a source that has its share gets no memory for another frame while the arena is half used, as if there
 * were none: its request is answered BUSY, or not read on.  One frame at a time it may always have. */
#include "engine/rpc/channel.h"

static bool share_same_source(const struct channel *one, const struct channel *other)
{
    return one->peer != 0 || other->peer != 0 ? one->peer == other->peer
                                              : address_same_ip(&one->conn.remote, &other->conn.remote);
}

static uint64_t share_held(const struct channel *channel)
{
    uint64_t bytes = 0;
    LIST_FOR_EACH(node, &channel->rpc->unfinished)
    {
        const struct channel *other = WEFT_CONTAINER_OF(node, struct channel, unfinished);
        bytes += share_same_source(channel, other) ? other->unfinished_bytes : 0;
    }
    return bytes;
}

bool channel_may_hold(const struct channel *channel, uint32_t bytes)
{
    const struct rpc *rpc = channel->rpc;
    const struct arena *arena = &rpc->shard->arena;
    uint64_t block = arena_block_bytes(arena, bytes);
    uint64_t share = arena->bytes / SOURCE_SHARE_PARTS;
    if (rpc->unfinished_bytes + block <= share || arena_used(arena) + block <= 2 * share) {
        return true;
    }
    uint64_t held = share_held(channel);
    return held == 0 || held + block <= share;
}

void channel_hold_frame(struct channel *channel, uint32_t bytes)
{
    struct rpc *rpc = channel->rpc;
    WEFT_ASSERT(channel->unfinished_bytes == 0);
    channel->unfinished_bytes = arena_block_bytes(&rpc->shard->arena, bytes);
    rpc->unfinished_bytes += channel->unfinished_bytes;
    list_push_back(&rpc->unfinished, &channel->unfinished);
}

void channel_frame_ended(struct channel *channel)
{
    WEFT_ASSERT(channel->rpc->unfinished_bytes >= channel->unfinished_bytes);
    channel->rpc->unfinished_bytes -= channel->unfinished_bytes;
    channel->unfinished_bytes = 0;
    list_remove(&channel->unfinished);
}
