/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that end before their requests went out or their answers came: by a cancellation or by the deadline.
 *
 * A request that waits whole in the connection's queue is taken out before more of the queue is handed over, so it
 * certainly did not run.  One that was handed over is the peer's to stop: a peer that said hello is told by CANCEL.  No
 * CANCEL follows a deadline: the request carried it, so the peer knows, and an overloaded pair of nodes should not
 * exchange twice the messages.
 *
 * Failure modes: a CANCEL that finds no room is not sent; the answer then finds nobody, as any late one. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/rpc/call.h"

#define NS_PER_SECOND UINT64_C(1000000000)
/* A CANCEL that did not leave by then stops nothing. */
#define CANCEL_TIMEOUT_NS (10 * NS_PER_SECOND)

/* The handle: generation, slot, shard. */
#define HANDLE_SHARD_BITS 12u
#define HANDLE_INDEX_BITS 20u

_Static_assert(SHARDS_MAX <= 1u << HANDLE_SHARD_BITS, "a handle names a shard");
_Static_assert(SLOTS_COUNT_MAX <= 1u << HANDLE_INDEX_BITS, "a handle names a slot");

weft_call_id call_handle(const struct call *call)
{
    return (weft_call_id){(uint64_t)call->generation << 32 | (uint64_t)call->index << HANDLE_SHARD_BITS |
                          call->rpc->shard->index};
}

static struct call *call_of_handle(struct rpc *rpc, weft_call_id id)
{
    if ((id.bits & ((1u << HANDLE_SHARD_BITS) - 1)) != rpc->shard->index) {
        return NULL;
    }
    return slots_find(&rpc->calls, (uint32_t)(id.bits >> HANDLE_SHARD_BITS & ((1u << HANDLE_INDEX_BITS) - 1)),
                      (uint32_t)(id.bits >> 32));
}

void *call_lent_to(struct rpc *rpc, weft_call_id id)
{
    const struct call *call = call_of_handle(rpc, id);
    return call != NULL && !call->cancelled ? call->away : NULL;
}

void call_leave_queued(struct call *call)
{
    struct channel *channel = call->channel;
    struct conn *conn = &channel->conn;
    if (call->begin >= conn->handed_total) {
        conn_prune_later(conn);
    } else {
        channel->torn_end = call->end;
    }
}

/* A walk over the requests of a channel that are not handed over, as they stand in its queue. */
struct prune_walk {
    struct channel *channel;
    struct list_node *calls; /* the next of each list; its head at the end */
    struct list_node *one_ways;
    uint64_t at; /* where the next one moves to */
};

static struct list_node *prune_first(struct list *list, uint64_t handed)
{
    struct list_node *node = &list->head;
    while (node->prev != &list->head && WEFT_CONTAINER_OF(node->prev, struct call, link)->begin >= handed) {
        node = node->prev;
    }
    return node;
}

static struct call *prune_call(struct list *list, struct list_node *node)
{
    return node != &list->head ? WEFT_CONTAINER_OF(node, struct call, link) : NULL;
}

static bool prune_next(void *ctx, struct conn_range *range)
{
    struct prune_walk *walk = ctx;
    struct channel *channel = walk->channel;
    if (walk->at < channel->torn_end) { /* a request that began to go out goes out */
        *range = (struct conn_range){walk->at, channel->torn_end};
        walk->at = channel->torn_end;
        return true;
    }
    struct call *call = prune_call(&channel->calls, walk->calls);
    struct call *one_way = prune_call(&channel->one_ways, walk->one_ways);
    if (call == NULL && one_way == NULL) {
        return false;
    }
    if (one_way != NULL && (call == NULL || one_way->begin < call->begin)) {
        call = one_way;
        walk->one_ways = walk->one_ways->next;
    } else {
        walk->calls = walk->calls->next;
    }
    *range = (struct conn_range){call->begin, call->end};
    call->end = walk->at + (call->end - call->begin);
    call->begin = walk->at;
    walk->at = call->end;
    return true;
}

/* The request that is handed over in part, if its caller still waits, is torn as well. */
static void prune_note_torn(struct channel *channel, const struct list *list, struct list_node *first)
{
    if (first->prev != &list->head) {
        const struct call *call = WEFT_CONTAINER_OF(first->prev, struct call, link);
        channel->torn_end = call->end > channel->torn_end ? call->end : channel->torn_end;
    }
}

void call_prune(struct channel *channel)
{
    struct prune_walk walk = {.channel = channel, .at = channel->conn.handed_total};
    walk.calls = prune_first(&channel->calls, walk.at);
    walk.one_ways = prune_first(&channel->one_ways, walk.at);
    prune_note_torn(channel, &channel->calls, walk.calls);
    prune_note_torn(channel, &channel->one_ways, walk.one_ways);
    conn_prune(&channel->conn, prune_next, &walk);
}

static void cancel_tell(struct channel *channel, int64_t id)
{
    uint8_t payload[8];
    bytes_store64(payload, (uint64_t)id);
    const struct call_request request = {
        .verb = WIRE_VERB_CANCEL,
        .args = {payload, sizeof payload},
        .timeout_ns = CANCEL_TIMEOUT_NS,
        .one_way = true,
    };
    if (call_send(channel, &request) == WEFT_OK) {
        COUNT(channel->rpc->shard, cancels_sent);
    }
}

enum weft_err call_cancel(struct rpc *rpc, weft_call_id id)
{
    struct call *call = call_of_handle(rpc, id);
    if (call == NULL || call->cancelled) {
        return WEFT_ERR_NOT_FOUND;
    }
    struct channel *channel = call->channel;
    call->executed = call_executed(call);
    call->cancelled = true;
    if (channel != NULL) {
        call_leave(call);
    } else {
        list_remove(&call->link);
    }
    list_push_back(&rpc->cancelled, &call->link);
    shard_run_later(rpc->shard, &rpc->cancel_task);
    if (channel != NULL && channel->peer_hello && call->executed != WEFT_EXECUTED_NO && !call->one_way) {
        cancel_tell(channel, call_id(call));
    }
    return WEFT_OK;
}

static void cancel_run(struct task *task)
{
    struct rpc *rpc = WEFT_CONTAINER_OF(task, struct rpc, cancel_task);
    struct list now; /* what the callbacks cancel is for the next task */
    struct list_node *node;
    list_init(&now);
    list_splice_back(&now, &rpc->cancelled);
    while ((node = list_first(&now)) != NULL) {
        struct call *call = WEFT_CONTAINER_OF(node, struct call, link);
        struct weft_error why = {0};
        weft_error_set(&why, WEFT_ERR_CANCELLED, "cancelled by the caller");
        TALLY(call->tally, calls_cancelled);
        call_tell_failed(call, &why, call->executed);
    }
}

void call_cancel_init(struct rpc *rpc)
{
    list_init(&rpc->cancelled);
    list_node_init(&rpc->cancel_task.link);
    rpc->cancel_task.run = cancel_run;
}
