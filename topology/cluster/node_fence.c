/* SPDX-License-Identifier: Apache-2.0 */
/* Fencing: when a peer came back, the connections of its former life go.
 *
 * A connection that was admitted on a proven identity, and says a higher incarnation of its id than was heard before,
 * is news for all shards: the record of the peer is written, and the engine's signal has every shard compare it with
 * its connections.  Proven is an id where exactly one entry of the topology holds the source address; an address that
 * several entries share proves none of them.
 *
 * A certificate that names the node proves more: what somebody says without one ends no connection that has it.  So
 * there are two records, and who shows a certificate is noted in both.
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

void node_fence_note(struct node_shard *share, uint32_t peer, const struct hello *hello, bool certified)
{
    struct fence_record *fences = share->node->shared[peer].fences;
    bool news = record_note(&fences[FENCE_CLAIMED], hello);
    if (certified) {
        news = record_note(&fences[FENCE_CERTIFIED], hello) || news;
    }
    if (news) {
        engine_signal(share->node->engine);
    }
}

/* What a record says, at one moment. */
struct fence {
    enum fence_proof proof;
    uint8_t id[UUID_BYTES];
    uint64_t incarnation;
};

static bool fence_outranks(const struct fence *fence, const struct channel *channel)
{
    bool weaker = fence->proof == FENCE_CLAIMED && channel->certified;
    return !weaker && channel->peer_hello && channel->peer_incarnation < fence->incarnation &&
           memcmp(channel->peer_id, fence->id, UUID_BYTES) == 0;
}

static void fence_peer(struct node_shard *share, const struct peer *entry, const struct fence *fence)
{
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        if (fence_outranks(fence, channel) && peer_has_address(entry, &channel->conn.remote)) {
            conn_abort(&channel->conn, WEFT_ERR_CLOSED, WEFT_REASON_STALE_INCARNATION);
        }
    }
}

static void fence_look_at(struct node_shard *share, uint32_t peer, enum fence_proof proof)
{
    struct fence_record *record = &share->node->shared[peer].fences[proof];
    struct peer_links *links = &share->peers[peer + 1];
    if (links->fences_seen[proof] == atomic_load_explicit(&record->changes, memory_order_relaxed)) {
        return;
    }
    struct fence fence = {.proof = proof};
    record_lock(record);
    memcpy(fence.id, record->id, UUID_BYTES);
    fence.incarnation = record->incarnation;
    links->fences_seen[proof] = atomic_load_explicit(&record->changes, memory_order_relaxed);
    record_unlock(record);
    fence_peer(share, &share->topology->peers[peer], &fence);
}

void node_fence_look(struct node_shard *share)
{
    for (uint32_t p = 0; p < share->topology->slot_count; p++) {
        if (share->peers[p + 1].id.bits != 0) {
            fence_look_at(share, p, FENCE_CLAIMED);
            fence_look_at(share, p, FENCE_CERTIFIED);
        }
    }
}
