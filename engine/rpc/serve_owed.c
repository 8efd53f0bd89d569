/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that found no room in their connection's queue: they wait in the order of their making, and no more requests
 * of that connection run meanwhile.
 *
 * The request's slot is the room that is reserved for its answer: at the least it says that there was no memory for
 * it, and this failure is what the caller gets then.
 * Failure modes: an answer whose caller gave up while it waited is dropped; those of a connection that ends go with it.
 */
#include <string.h>

#include "engine/base/error.h"
#include "engine/rpc/serve.h"

void serve_count_answer(struct channel *channel, struct weft_peer_counters *tally, const struct owed_answer *answer)
{
    if (answer->exception) {
        serve_measure(channel, answer->handler_us);
        TALLY(tally, requests_failed);
    } else {
        serve_count_answered(channel, tally, answer->handler_us);
    }
}

/* By reference, or a copy; false: there is no memory for one. */
static bool owed_keep(struct channel *channel, struct owed_answer *owed, struct weft_span payload)
{
    if (owed->payload != NULL) {
        owed->payload = weft_buf_ref(owed->payload);
        return true;
    }
    owed->bytes = rpc_memory_take(channel->rpc, payload.bytes > 0 ? payload.bytes : 1);
    if (owed->bytes == NULL) {
        owed->exception = true;
        return false;
    }
    owed->byte_count = payload.bytes;
    if (payload.bytes > 0) {
        memcpy(owed->bytes, payload.data, payload.bytes);
    }
    return true;
}

enum weft_err serve_owe(struct channel *channel, struct weft_request *request, const struct owed_answer *answer,
                        struct weft_span payload)
{
    request->owed = *answer;
    bool kept = owed_keep(channel, &request->owed, payload);
    if (!kept) {
        COUNT(channel->rpc->shard, answers_without_room);
    }
    COUNT(channel->rpc->shard, answers_waited);
    channel->request_count++;
    list_node_init(&request->link);
    list_push_back(&channel->owed, &request->link);
    if (!channel->stalled) {
        channel_stall(channel, channel->conn.above_high ? CHANNEL_STALL_ANSWERS : CHANNEL_STALL_MEMORY);
    } else if (!channel->conn.above_high) {
        shard_run_when_fed(channel->rpc->shard, &channel->retry);
    }
    return kept ? WEFT_OK : WEFT_ERR_NO_MEMORY;
}

static void owed_end(struct channel *channel, struct weft_request *request)
{
    list_remove(&request->link);
    channel->request_count--;
    if (request->owed.payload != NULL) {
        weft_buf_unref(request->owed.payload);
    }
    if (request->owed.bytes != NULL) {
        arena_give_back(&channel->rpc->shard->arena, request->owed.bytes);
    }
    request_share_drop(request);
    slots_give_back(&channel->rpc->requests, request);
}

static enum weft_err owed_send(struct channel *channel, struct weft_request *request)
{
    const struct owed_answer *owed = &request->owed;
    if (owed->payload != NULL) {
        return serve_put_payload(channel, request->id, owed->handler_us, owed->payload);
    }
    if (owed->bytes == NULL) {
        return serve_put_exception(channel, request->id, WIRE_EXCEPTION_USER, owed->handler_us,
                                   weft_span_of("there was no memory for the answer"));
    }
    struct weft_span payload = {owed->bytes, owed->byte_count};
    if (owed->exception) {
        return serve_put_exception(channel, request->id, WIRE_EXCEPTION_USER, owed->handler_us, payload);
    }
    const struct wire_response response = {.id = request->id, .handler_us = owed->handler_us};
    return serve_put(channel, &response, (struct weft_span){NULL, 0}, payload);
}

void serve_send_owed(struct channel *channel)
{
    struct weft_shard *shard = channel->rpc->shard;
    struct list_node *node;
    while ((node = list_first(&channel->owed)) != NULL) {
        struct weft_request *request = WEFT_CONTAINER_OF(node, struct weft_request, link);
        if (shard->now_ns >= request->deadline_ns) {
            TALLY(request->tally, requests_expired);
            owed_end(channel, request);
            continue;
        }
        if (owed_send(channel, request) != WEFT_OK) {
            if (!channel->stalled) {
                channel_stall(channel, channel->conn.above_high ? CHANNEL_STALL_ANSWERS : CHANNEL_STALL_MEMORY);
            }
            return;
        }
        serve_count_answer(channel, request->tally, &request->owed);
        owed_end(channel, request);
    }
}

void serve_drop_owed(struct channel *channel)
{
    struct list_node *node;
    while ((node = list_first(&channel->owed)) != NULL) {
        struct weft_request *request = WEFT_CONTAINER_OF(node, struct weft_request, link);
        TALLY(request->tally, requests_aborted);
        owed_end(channel, request);
    }
}
