/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that belong to another shard than the one where they landed.
 *
 * Happy path: the request keeps its slot, its connection and its deadline where it landed.  A parcel brings a copy of
 * the payload to its owner, whose handler gets a guest: a request that lives in the parcel.  Its answer goes back in
 * the same parcel, with the payload in one of the owner's, and out on the connection as any other.
 *
 * When nobody waits any more, the owner is told by a notice, which is sent inside of the parcel's own memory; that
 * stays until both are back.
 *
 * Failure modes: without memory, or with a full mailbox, the request is refused as busy.  An answer that finds no
 * memory becomes a failure. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/reactor/engine.h"
#include "engine/reactor/parcel.h"
#include "engine/rpc/serve.h"

enum hop_outcome { HOP_ANSWERED = 0, HOP_FAILED, HOP_NO_MEMORY, HOP_DROPPED };

struct serve_hop {
    struct parcel parcel;
    struct parcel notice;       /* a second seat in the same memory; only its way is of use */
    struct weft_request *local; /* where it landed */
    const struct verb *verb;
    struct weft_shard *owner;
    /* The owner's: */
    struct weft_request guest;
    bool answered;
    enum hop_outcome outcome;
    struct parcel *answer; /* its payload stands behind; NULL: empty */
    uint32_t answer_bytes;
    /* Where it landed: */
    enum weft_err abort_reason;
    bool notice_out;
    bool returned;
};

static void hop_release(struct serve_hop *hop, struct weft_shard *home)
{
    if (hop->returned && !hop->notice_out) {
        parcel_drop(home, &hop->parcel);
    }
}

static void hop_notice_returned(void *ctx, struct weft_shard *shard)
{
    struct serve_hop *hop = WEFT_CONTAINER_OF((struct parcel *)ctx, struct serve_hop, notice);
    hop->notice_out = false;
    hop_release(hop, shard);
}

/* At the owner: nobody waits for the answer any more. */
static void hop_notice_arrived(void *ctx, struct weft_shard *shard)
{
    struct serve_hop *hop = WEFT_CONTAINER_OF((struct parcel *)ctx, struct serve_hop, notice);
    struct weft_request *guest = &hop->guest;
    if (!hop->answered && guest->aborted == WEFT_OK) {
        weft_abort_fn *fn = guest->on_abort;
        guest->aborted = hop->abort_reason;
        guest->on_abort = NULL;
        if (fn != NULL) {
            fn(guest->abort_ctx, guest, guest->aborted);
        }
    }
    parcel_send_surely(shard, &hop->notice, hop->parcel.home, hop_notice_returned);
}

/* Where it landed. */
static void hop_aborted(void *ctx, weft_request *local, enum weft_err why)
{
    struct serve_hop *hop = ctx;
    hop->abort_reason = why;
    hop->notice_out = true;
    parcel_send_surely(local->rpc->shard, &hop->notice, hop->owner, hop_notice_arrived);
}

static void hop_finish(struct serve_hop *hop)
{
    enum weft_err err;
    struct weft_request *local = hop->local;
    struct channel *channel = request_channel(local, &err);
    struct weft_span payload = {NULL, 0};
    if (hop->answer != NULL) {
        payload = (struct weft_span){(const uint8_t *)(hop->answer + 1), hop->answer_bytes};
    }
    if (channel == NULL) {
        request_end(local, err);
    } else if (hop->outcome == HOP_DROPPED) { /* too late by the owner's clock, which is ahead of ours */
        TALLY(local->tally, requests_expired);
        request_end(local, WEFT_OK);
    } else if (hop->outcome == HOP_NO_MEMORY) {
        COUNT(local->rpc->shard, answers_without_room);
        request_answer(channel, local, true, weft_span_of("there was no memory for the answer"));
    } else {
        request_answer(channel, local, hop->outcome == HOP_FAILED, payload);
    }
}

static void hop_returned(void *ctx, struct weft_shard *shard)
{
    struct serve_hop *hop = ctx;
    hop_finish(hop);
    if (hop->answer != NULL) {
        parcel_drop(shard, hop->answer);
    }
    hop->returned = true;
    hop_release(hop, shard);
}

static bool hop_take_answer(struct serve_hop *hop, struct rpc *rpc, struct weft_span payload)
{
    if (payload.bytes == 0) {
        return true;
    }
    uint8_t *block = rpc_memory_take(rpc, (uint32_t)sizeof(struct parcel) + payload.bytes);
    if (block == NULL) {
        return false;
    }
    hop->answer = (struct parcel *)(void *)block;
    hop->answer_bytes = payload.bytes;
    parcel_init(rpc->shard, hop->answer);
    memcpy(hop->answer + 1, payload.data, payload.bytes);
    return true;
}

enum weft_err serve_guest_answer(weft_request *guest, bool exception, struct weft_span payload)
{
    struct serve_hop *hop = guest->hop;
    struct rpc *rpc = guest->rpc;
    enum weft_err err = guest->one_way ? WEFT_OK : weft_request_aborted(guest);
    WEFT_ASSERT(!hop->answered);
    hop->answered = true;
    if (err != WEFT_OK) {
        hop->outcome = HOP_DROPPED;
    } else if (!guest->one_way && !hop_take_answer(hop, rpc, payload)) {
        hop->outcome = HOP_NO_MEMORY;
        err = WEFT_ERR_NO_MEMORY;
    } else {
        hop->outcome = exception ? HOP_FAILED : HOP_ANSWERED;
    }
    parcel_send_surely(rpc->shard, &hop->parcel, hop->parcel.home, hop_returned);
    return err;
}

/* At the owner. */
static void hop_arrived(void *ctx, struct weft_shard *shard)
{
    struct serve_hop *hop = ctx;
    hop->guest.rpc = shard->rpc;
    if (shard->now_ns >= hop->guest.deadline_ns) {
        hop->answered = true;
        hop->outcome = HOP_DROPPED;
        parcel_send_surely(shard, &hop->parcel, hop->parcel.home, hop_returned);
        return;
    }
    hop->verb->fn(hop->verb->ctx, &hop->guest);
}

static struct serve_hop *hop_make(struct rpc *rpc, struct weft_span payload)
{
    uint8_t *block = rpc_memory_take(rpc, (uint32_t)sizeof(struct serve_hop) + payload.bytes);
    if (block == NULL) {
        return NULL;
    }
    struct serve_hop *hop = (struct serve_hop *)(void *)block;
    memset(hop, 0, sizeof *hop);
    parcel_init(rpc->shard, &hop->parcel);
    list_node_init(&hop->notice.link);
    bytes_copy((uint8_t *)(hop + 1), payload.data, payload.bytes);
    hop->guest.payload = (struct weft_span){(const uint8_t *)(hop + 1), payload.bytes};
    return hop;
}

bool serve_hop(struct channel *channel, const struct verb *verb, struct weft_request *local, uint32_t owner)
{
    struct rpc *rpc = channel->rpc;
    struct serve_hop *hop = hop_make(rpc, local->payload);
    if (hop == NULL) {
        return false;
    }
    hop->local = local;
    hop->verb = verb;
    hop->owner = rpc->shard->engine->shards[owner];
    hop->guest.hop = hop;
    hop->guest.conn_index = local->conn_index;
    hop->guest.conn_generation = local->conn_generation;
    hop->guest.id = local->id;
    hop->guest.started_ns = local->started_ns;
    hop->guest.deadline_ns = local->deadline_ns;
    hop->guest.one_way = local->one_way;
    if (parcel_send(rpc->shard, &hop->parcel, hop->owner, hop_arrived) != WEFT_OK) {
        parcel_drop(rpc->shard, &hop->parcel);
        return false;
    }
    COUNT(rpc->shard, requests_hopped);
    enum weft_err err = weft_request_on_abort(local, hop_aborted, hop);
    WEFT_ASSERT(err == WEFT_OK);
    request_keep(channel, local);
    return true;
}
