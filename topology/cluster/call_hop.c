/* SPDX-License-Identifier: Apache-2.0 */
/* Happy path: hop, arrive, call, end, return; one parcel there and back, and one more for the payload of an answer.
 *
 * Failure modes: what cannot be made or sent is refused at once.  What fails on the other shard comes back as the end
 * of the call, except that a deadline is told by the shard that made the call alone: both keep it. */
#include "topology/cluster/call_hop.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/reactor/parcel.h"
#include "topology/cluster/node.h"

/* The payload of an answer; it stands behind. */
struct hop_answer {
    struct parcel parcel;
};

struct hop {
    struct parcel parcel;
    struct list_node carried; /* of the shard that carries it out */
    weft_call_id carried_id;  /* there */
    struct weft_shard *caller;
    uint32_t home;              /* the shard that carries it out */
    struct node_shard *carrier; /* once it arrived */
    uint32_t call_index;
    uint32_t call_generation;
    struct call_route route;
    uint64_t verb;
    uint64_t deadline_ns;
    bool one_way;
    bool patient;
    struct hop_answer *answer; /* NULL: empty */
    struct weft_reply reply;
    uint32_t args_bytes; /* they stand behind */
};

/* Sent after a hop, which may have ended by then. */
struct hop_cancel {
    struct parcel parcel;
    const struct hop *hop;
    uint32_t call_generation;
    uint32_t call_index;
};

static uint8_t *hop_args(struct hop *hop)
{
    return (uint8_t *)(hop + 1);
}

/* Back on the shard that made the call. */
static void hop_returned(void *ctx, struct weft_shard *shard)
{
    struct hop *hop = ctx;
    struct node_shard *share = node_shard_of(shard);
    const struct weft_reply reply = hop->reply;
    struct hop_answer *answer = hop->answer;
    uint32_t index = hop->call_index;
    uint32_t generation = hop->call_generation;
    parcel_drop(shard, &hop->parcel);
    if (reply.error.code == WEFT_ERR_TIMEOUT) { /* this shard's own timer says that */
        call_lend_back(&share->rpc, index, generation);
    } else {
        call_lend_end(&share->rpc, index, generation, &reply);
    }
    if (answer != NULL) {
        parcel_drop(shard, &answer->parcel);
    }
}

static void hop_return(struct hop *hop, struct weft_shard *here)
{
    COUNT(here, calls_carried);
    parcel_send_surely(here, &hop->parcel, hop->caller, hop_returned);
}

/* false: no memory for the payload of an answer. */
static bool hop_take_answer(struct hop *hop, struct node_shard *share, struct weft_span payload)
{
    if (payload.bytes == 0) {
        return true;
    }
    uint8_t *block = rpc_memory_take(&share->rpc, (uint32_t)sizeof *hop->answer + payload.bytes);
    if (block == NULL) {
        return false;
    }
    hop->answer = (struct hop_answer *)(void *)block;
    parcel_init(share->shard, &hop->answer->parcel);
    memcpy(hop->answer + 1, payload.data, payload.bytes);
    hop->reply.payload = (struct weft_span){(const uint8_t *)(hop->answer + 1), payload.bytes};
    return true;
}

static void hop_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct hop *hop = ctx;
    struct node_shard *share = hop->carrier;
    list_remove(&hop->carried);
    share->carrying--;
    hop->reply = *reply;
    hop->reply.payload = (struct weft_span){NULL, 0};
    if (err == WEFT_OK && !hop_take_answer(hop, share, reply->payload)) {
        weft_error_set(&hop->reply.error, WEFT_ERR_NO_MEMORY, "no memory left for an answer of %u bytes",
                       reply->payload.bytes);
    }
    hop_return(hop, share->shard);
}

static enum weft_err hop_call(struct hop *hop, struct node_shard *share)
{
    uint64_t now_ns = share->shard->now_ns;
    struct link *link;
    if (now_ns >= hop->deadline_ns) {
        return WEFT_ERR_TIMEOUT;
    }
    const struct call_request request = {
        .verb = hop->verb,
        .args = {hop_args(hop), hop->args_bytes},
        .timeout_ns = hop->deadline_ns - now_ns,
        .one_way = hop->one_way,
        .patient = hop->patient,
        .fn = hop_ended,
        .ctx = hop,
        .id = &hop->carried_id,
    };
    struct peer_links *links = node_peer_links(share, hop->route.peer);
    if (links == NULL && node_meet(share, hop->route.peer)) {
        links = node_peer_links(share, hop->route.peer);
    }
    if (links == NULL) {
        return WEFT_ERR_NOT_FOUND;
    }
    WEFT_TRY(peer_links_take(links, hop->route.lane, hop->route.remote_shard, &link));
    return link_call(link, &request);
}

/* On the shard that carries it out. */
static void hop_arrived(void *ctx, struct weft_shard *shard)
{
    struct hop *hop = ctx;
    struct node_shard *share = node_shard_of(shard);
    hop->carrier = share;
    list_push_back(&share->carried, &hop->carried);
    share->carrying++;
    enum weft_err err = hop_call(hop, share);
    if (err != WEFT_OK) {
        list_remove(&hop->carried);
        share->carrying--;
        weft_error_set(&hop->reply.error, err, "shard %u, which has the connection: %s", shard->index,
                       weft_err_meaning(err));
        hop->reply.executed = WEFT_EXECUTED_NO;
        hop->reply.handler_us = UINT32_MAX;
        hop_return(hop, shard);
    }
}

static struct hop *hop_make(struct node_shard *share, const struct call_route *route,
                            const struct call_request *request)
{
    uint8_t *block = rpc_memory_take(&share->rpc, (uint32_t)sizeof(struct hop) + request->args.bytes);
    if (block == NULL) {
        return NULL;
    }
    struct hop *hop = (struct hop *)(void *)block;
    memset(hop, 0, sizeof *hop);
    parcel_init(share->shard, &hop->parcel);
    list_node_init(&hop->carried);
    hop->caller = share->shard;
    hop->route = *route;
    hop->verb = request->verb;
    hop->deadline_ns = share->shard->now_ns + request->timeout_ns;
    hop->one_way = request->one_way;
    hop->patient = request->patient;
    hop->args_bytes = request->args.bytes;
    bytes_copy(hop_args(hop), request->args.data, request->args.bytes);
    return hop;
}

enum weft_err call_hop(struct node_shard *share, uint32_t to_shard, const struct call_route *route,
                       const struct call_request *request)
{
    struct weft_shard *shard = share->shard;
    if (share->draining) {
        return WEFT_ERR_DRAINING;
    }
    struct hop *hop = hop_make(share, route, request);
    if (hop == NULL) {
        return WEFT_ERR_QUEUE_FULL;
    }
    hop->home = to_shard;
    enum weft_err err = call_lend(&share->rpc, request, hop, &hop->call_index, &hop->call_generation);
    if (err == WEFT_OK) {
        uint32_t index = hop->call_index;
        uint32_t generation = hop->call_generation;
        err = parcel_send(shard, &hop->parcel, shard->engine->shards[to_shard], hop_arrived);
        if (err == WEFT_OK) {
            return WEFT_OK;
        }
        call_lend_undo(&share->rpc, index, generation);
    }
    parcel_drop(shard, &hop->parcel);
    return err;
}

static void hop_cancel_arrived(void *ctx, struct weft_shard *shard)
{
    struct hop_cancel *cancel = ctx;
    struct node_shard *share = node_shard_of(shard);
    LIST_FOR_EACH(node, &share->carried)
    {
        struct hop *hop = WEFT_CONTAINER_OF(node, struct hop, carried);
        if (hop == cancel->hop && hop->call_index == cancel->call_index &&
            hop->call_generation == cancel->call_generation) {
            enum weft_err err = call_cancel(&share->rpc, hop->carried_id);
            WEFT_ASSERT(err == WEFT_OK || err == WEFT_ERR_NOT_FOUND); /* it has ended, and is being told so */
            break;
        }
    }
    parcel_drop(shard, &cancel->parcel);
}

void call_hop_cancel(struct node_shard *share, void *away)
{
    const struct hop *hop = away;
    uint8_t *block = rpc_memory_take(&share->rpc, sizeof(struct hop_cancel));
    if (block == NULL) {
        return;
    }
    struct hop_cancel *cancel = (struct hop_cancel *)(void *)block;
    parcel_init(share->shard, &cancel->parcel);
    cancel->hop = hop;
    cancel->call_index = hop->call_index;
    cancel->call_generation = hop->call_generation;
    parcel_send_surely(share->shard, &cancel->parcel, share->shard->engine->shards[hop->home], hop_cancel_arrived);
}
