/* SPDX-License-Identifier: Apache-2.0 */
/* What one source may hold of a shard's requests, by its address and over whatever connections: a few times as many as
 * are still free, so that one that wants all gets most, several share, and somebody who has none always finds some.
 *
 * Counted are requests that were not answered when their handlers returned, until their slots are free again, be it
 * that nobody waits for them any more.  Sources share a few hundred counters by a salted hash of the address, so that
 * counting takes no memory and no search, and nobody can choose with whom.
 *
 * Happy path: less than three quarters of the slots are taken by such requests, and nobody has to ask.
 * Failure modes: beyond that, a source that has its share is told so: BUSY, or a failure by that name. */
#include "engine/rpc/serve.h"

/* Below so many in use nobody can have more than his share: less than a quarter would have to be free. */
static uint32_t share_crowd(const struct rpc *rpc)
{
    return rpc->requests.count - rpc->requests.count / SOURCE_REQUESTS_PER_FREE;
}

uint8_t request_source(const struct rpc *rpc, const struct address *remote)
{
    uint64_t key = rpc->kept_salt;
    for (uint32_t i = 0; i < sizeof remote->ip; i++) {
        key = (key ^ remote->ip[i]) * UINT64_C(0x9e3779b97f4a7c15);
        key ^= key >> 32;
    }
    return (uint8_t)(key >> 24);
}

void request_share_take(struct weft_request *request, uint8_t source)
{
    struct rpc *rpc = request->rpc;
    request->source = source;
    request->kept |= REQUEST_SHARED;
    rpc->shared[source]++;
    rpc->shared_count++;
    if (WEFT_UNLIKELY(!rpc->crowded && rpc->shared_count >= share_crowd(rpc))) {
        rpc_set_crowded(rpc, true);
    }
}

void request_share_drop(struct weft_request *request)
{
    struct rpc *rpc = request->rpc;
    if ((request->kept & REQUEST_SHARED) == 0) {
        return;
    }
    WEFT_ASSERT(rpc->shared[request->source] > 0 && rpc->shared_count > 0);
    request->kept &= (uint8_t)~REQUEST_SHARED;
    rpc->shared[request->source]--;
    rpc->shared_count--;
    if (WEFT_UNLIKELY(rpc->crowded && rpc->shared_count < share_crowd(rpc))) {
        rpc_set_crowded(rpc, false);
    }
}

bool request_over_share(const struct channel *channel)
{
    const struct rpc *rpc = channel->rpc;
    uint64_t held = rpc->shared[channel->source];
    uint64_t free_slots = rpc->requests.count - slots_in_use(&rpc->requests);
    bool over = rpc->crowded && held > 0 && held >= SOURCE_REQUESTS_PER_FREE * free_slots;
    if (over) {
        COUNT(rpc->shard, requests_over_share);
    }
    return over;
}
