/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/peer_links.h"

#include "engine/base/error.h"
#include "topology/cluster/node.h"

void peer_links_open(struct peer_links *links, struct node_shard *share, const struct peer *peer)
{
    struct peer_shared *shared = &share->node->shared[peer_slot_of(peer->peer_id)];
    const weft_peer_id finished = links->finished;
    WEFT_ASSERT(links->id.bits == 0 && !links->removed);
    *links = (struct peer_links){
        .id = peer->peer_id,
        .finished = finished,
        .share = share,
        .shared = shared,
        .peer_index = peer_slot_of(peer->peer_id),
        .remote_seen = UINT32_MAX,
        .silences_seen = atomic_load(&shared->silences),
        .leaving = atomic_load(&shared->leaving) > 0,
    };
    for (int proof = 0; proof < FENCE_PROOFS; proof++) {
        links->fences_seen[proof] = atomic_load_explicit(&shared->fences[proof].changes, memory_order_relaxed);
    }
    list_init(&links->own);
    list_init(&links->named);
}

static bool links_at_home(const struct peer_links *links)
{
    return node_home_shard(links->share->node, links->peer_index) == links->share->shard->index;
}

/* The home shard's first link of each lane has its place for sure; the others share what is left. */
static bool budget_take(const struct peer_links *links)
{
    struct peer_shared *shared = links->shared;
    uint32_t most = node_connections_max(links->share, links->peer_index) - WEFT_LANE_COUNT;
    if (atomic_fetch_add_explicit(&shared->budgeted, 1, memory_order_relaxed) >= most) {
        atomic_fetch_sub_explicit(&shared->budgeted, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

/* A new link in its first state; NULL: the peer's connections, or the shard's links, are used up, or the node stops. */
static struct link *links_make(struct peer_links *links, enum weft_lane lane, bool first)
{
    bool budgeted = !(first && links_at_home(links));
    if (links->share->draining) {
        return NULL;
    }
    if (budgeted && !budget_take(links)) {
        return NULL;
    }
    struct link *link = slots_take(&links->share->links, NULL, NULL);
    if (link == NULL) {
        if (budgeted) {
            atomic_fetch_sub_explicit(&links->shared->budgeted, 1, memory_order_relaxed);
        }
        return NULL;
    }
    link_init(link, links, lane);
    link->budgeted = budgeted;
    return link;
}

void peer_links_forget(struct link *link)
{
    struct peer_links *links = link->family;
    WEFT_ASSERT(link->channel == NULL);
    list_remove(&link->sibling);
    links->bulk = links->bulk == link ? NULL : links->bulk;
    links->control = links->control == link ? NULL : links->control;
    links->own_count -= link->lane == WEFT_LANE_NORMAL && !link->named;
    if (link->budgeted) {
        atomic_fetch_sub_explicit(&links->shared->budgeted, 1, memory_order_relaxed);
    }
    slots_give_back(&links->share->links, link);
}

/* One more own link, if there should be more. */
static void links_grow(struct peer_links *links, uint32_t remote)
{
    struct node_shard *share = links->share;
    const struct peer *peer = &share->topology->peers[links->peer_index];
    if (links->remote_seen != remote) {
        uint32_t kept = shard_map_count(share->shard->index, share->node->shard_count, remote);
        links->remote_seen = remote;
        links->own_most = kept > peer->connections ? kept : peer->connections;
    }
    if (links->own_count >= links->own_most) {
        return;
    }
    struct link *link = links_make(links, WEFT_LANE_NORMAL, links->own_count == 0);
    if (link == NULL) {
        links->own_most = links->own_count > 0 ? links->own_count : links->own_most;
        return;
    }
    link->place = links->own_count++;
    list_push_front(&links->own, &link->sibling);
}

/* The next in turn, except that one which works, or was never tried, comes before those that do not. */
static struct link *links_next(struct peer_links *links)
{
    struct link *best = NULL;
    for (uint32_t i = 0; i < links->own_count; i++) {
        struct list_node *node = list_pop_front(&links->own);
        struct link *link = WEFT_CONTAINER_OF(node, struct link, sibling);
        list_push_back(&links->own, node);
        if (link->state == LINK_UP || link->state == LINK_IDLE) {
            return link;
        }
        best = best == NULL || (best->state == LINK_BACKOFF && link->state == LINK_DIALING) ? link : best;
    }
    list_remove(&best->sibling);
    list_push_back(&links->own, &best->sibling);
    return best;
}

/* A call made by the callback of a reply stays on that reply's connection unless the next in turn has less to do: what
 * was answered together is then asked together again, in one send and not in one for each call. */
static struct link *links_in_turn(struct peer_links *links)
{
    struct link *next = links_next(links);
    const struct channel *answering = links->share->rpc.answering;
    struct link *last = answering != NULL ? answering->owner : NULL;
    if (last == NULL || last->family != links || last->lane != WEFT_LANE_NORMAL || last->named) {
        return next;
    }
    bool sooner =
        next->state == LINK_IDLE || (next->state == LINK_UP && next->channel->call_count < answering->call_count);
    return sooner ? next : last;
}

static struct link *links_own(struct peer_links *links)
{
    uint32_t remote = atomic_load_explicit(&links->shared->shards, memory_order_relaxed);
    if (WEFT_UNLIKELY(links->own_count < links->own_most || links->remote_seen != remote)) {
        links_grow(links, remote);
    }
    if (links->own_count > 1) {
        return links_in_turn(links);
    }
    struct list_node *node = list_first(&links->own);
    return node != NULL ? WEFT_CONTAINER_OF(node, struct link, sibling) : NULL;
}

static struct link *links_to(struct list *list, uint32_t remote_shard)
{
    LIST_FOR_EACH(node, list)
    {
        struct link *link = WEFT_CONTAINER_OF(node, struct link, sibling);
        if (link->wanted == remote_shard) {
            return link;
        }
    }
    return NULL;
}

/* A link to this shard of the peer; without a place for one, any: the call is served by another shard then. */
static struct link *links_named(struct peer_links *links, uint32_t remote_shard, uint32_t remote)
{
    struct node_shard *share = links->share;
    struct link *link = links_to(&links->own, remote_shard);
    link = link != NULL ? link : links_to(&links->named, remote_shard);
    if (link != NULL) {
        return link;
    }
    link = links_make(links, WEFT_LANE_NORMAL, false);
    if (link == NULL) {
        COUNT(share->shard, misrouted);
        return links_own(links);
    }
    uint32_t period = remote < share->node->shard_count ? remote : share->node->shard_count;
    link->named = true;
    link->wanted = remote_shard;
    list_push_back(&links->named, &link->sibling);
    if (remote_shard % period != share->shard->index % period) {
        link_close_when_idle(link);
    }
    return link;
}

static struct link *links_bulk(struct peer_links *links)
{
    if (links->bulk == NULL) {
        links->bulk = links_make(links, WEFT_LANE_BULK, true);
        if (links->bulk != NULL) {
            link_close_when_idle(links->bulk);
        }
    }
    return links->bulk;
}

struct link *peer_links_control(struct peer_links *links)
{
    if (links->control == NULL) {
        links->control = links_make(links, WEFT_LANE_CONTROL, true);
    }
    return links->control;
}

enum weft_err peer_links_take(struct peer_links *links, enum weft_lane lane, uint32_t remote_shard, struct link **link)
{
    if (lane != WEFT_LANE_NORMAL) {
        *link = lane == WEFT_LANE_BULK ? links_bulk(links) : peer_links_control(links);
    } else if (WEFT_LIKELY(remote_shard == SHARD_ANY)) {
        *link = links_own(links);
    } else {
        uint32_t remote = atomic_load_explicit(&links->shared->shards, memory_order_relaxed);
        if (remote != 0 && remote_shard >= remote) {
            return WEFT_ERR_NOT_FOUND;
        }
        *link = remote == 0 ? links_own(links) : links_named(links, remote_shard, remote);
    }
    if (WEFT_LIKELY(*link != NULL)) {
        return WEFT_OK;
    }
    return links->share->draining ? WEFT_ERR_DRAINING : WEFT_ERR_QUEUE_FULL;
}
