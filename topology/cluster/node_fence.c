/* SPDX-License-Identifier: Apache-2.0 */
/* Fencing: when a peer came back, the connections of its former life go.
 *
 * A connection that was admitted on a proven identity, and says a higher incarnation of its id than was heard before,
 * is news for all shards: the record of the peer is written, and the engine's signal has every shard compare it with
 * its connections.  Proven is an id where exactly one entry of the topology holds the source address; an address that
 * several entries share proves none of them.
 *
 * A lower incarnation closes nothing and is not refused: a clock that went back must not lock a node out.  Connections
 * of another id are left alone: a tool that dials from a node's address is not that node. */
#include <string.h>

#include "engine/base/error.h"
#include "topology/cluster/node.h"

static void record_lock(struct fence_record *record)
{
    while (atomic_flag_test_and_set_explicit(&record->lock, memory_order_acquire)) {
    }
}

static void record_unlock(struct fence_record *record)
{
    atomic_flag_clear_explicit(&record->lock, memory_order_release);
}

/* Write down who spoke; whether that is news. */
static bool record_note(struct fence_record *record, const struct hello *hello)
{
    record_lock(record);
    bool same = memcmp(record->id, hello->id, UUID_BYTES) == 0;
    bool older = same && hello->incarnation <= record->incarnation;
    bool first = record->incarnation == 0;
    if (!older) {
        memcpy(record->id, hello->id, UUID_BYTES);
        record->incarnation = hello->incarnation;
    }
    bool news = !older && !first;
    if (news) {
        atomic_fetch_add_explicit(&record->changes, 1, memory_order_relaxed);
    }
    record_unlock(record);
    return news;
}

void node_fence_note(struct node_shard *share, uint32_t peer, const struct hello *hello)
{
    if (record_note(&share->node->shared[peer].fence, hello)) {
        engine_signal(share->node->engine);
    }
}

static void fence_peer(struct node_shard *share, const struct peer *entry, const uint8_t id[UUID_BYTES],
                       uint64_t incarnation)
{
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        if (channel->peer_hello && channel->peer_incarnation < incarnation &&
            memcmp(channel->peer_id, id, UUID_BYTES) == 0 && peer_has_address(entry, &channel->conn.remote)) {
            conn_abort(&channel->conn, WEFT_ERR_CLOSED, WEFT_REASON_STALE_INCARNATION);
        }
    }
}

void node_fence_look(struct node_shard *share)
{
    struct weft_node *node = share->node;
    for (uint32_t p = 0; p < share->topology->slot_count; p++) {
        struct fence_record *record = &node->shared[p].fence;
        struct peer_links *links = &share->peers[p + 1];
        uint32_t changes = atomic_load_explicit(&record->changes, memory_order_relaxed);
        if (links->id.bits == 0 || links->fences_seen == changes) {
            continue;
        }
        uint8_t id[UUID_BYTES];
        record_lock(record);
        memcpy(id, record->id, UUID_BYTES);
        uint64_t incarnation = record->incarnation;
        links->fences_seen = atomic_load_explicit(&record->changes, memory_order_relaxed);
        record_unlock(record);
        fence_peer(share, &share->topology->peers[p], id, incarnation);
    }
}
