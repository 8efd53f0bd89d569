/* SPDX-License-Identifier: Apache-2.0 */
/* The dialer's half of the protocol: calls, and their ends.
 *
 * Whether a call that failed can have been executed follows from where its request stands in the connection's stream
 * (call_executed); what of it was not handed over yet when it ended is not sent (call_cancel.c). */
#include "engine/rpc/call.h"

#include <string.h>

#include "engine/base/error.h"

/* What a waiting call kept to be sent. */
static void call_drop_args(struct call *call)
{
    if (call->args != NULL) {
        arena_give_back(&call->rpc->shard->arena, call->args);
        call->args = NULL;
    }
    weft_buf_unref(call->payload);
    call->payload = NULL;
}

void call_drop_apart(struct call *call)
{
    call_drop_args(call);
    call->away = NULL;
    call->lent = false;
}

void call_finish(struct call *call, enum weft_err err, const struct weft_reply *reply)
{
    call_end(call, err, reply);
}

enum weft_executed call_executed(const struct call *call)
{
    if (call->channel == NULL) {
        return call->lent ? WEFT_EXECUTED_MAYBE : WEFT_EXECUTED_NO;
    }
    const struct conn *conn = &call->channel->conn;
    if (conn->state == CONN_FREE) { /* nothing more of it will leave: without its last byte it is no request */
        return call->end > conn->left_total ? WEFT_EXECUTED_NO : WEFT_EXECUTED_MAYBE;
    }
    return call->begin >= conn->handed_total ? WEFT_EXECUTED_NO : WEFT_EXECUTED_MAYBE;
}

void call_tell_failed(struct call *call, const struct weft_error *why, enum weft_executed executed)
{
    struct weft_reply *reply = &call->rpc->reply;
    reply->payload = (struct weft_span){NULL, 0};
    reply->error = *why;
    reply->executed = executed;
    reply->handler_us = WIRE_DURATION_NONE;
    call_finish(call, why->code, reply);
    memset(&reply->error, 0, sizeof reply->error); /* what replies find */
}

void call_fail(struct call *call, const struct weft_error *why, enum weft_executed executed)
{
    TALLY(call->tally, calls_failed);
    call_tell_failed(call, why, executed);
}

void call_expire(struct call *call)
{
    struct weft_error why = {0};
    weft_error_set(&why, WEFT_ERR_TIMEOUT, "no answer before the deadline");
    TALLY(call->tally, calls_expired);
    call_tell_failed(call, &why, call_executed(call));
}

static struct call *call_make(struct rpc *rpc, struct weft_peer_counters *tally, const struct call_request *request)
{
    struct call *call = call_take(rpc, tally, request->timeout_ns, request->one_way, request->fn, request->ctx);
    if (call != NULL) {
        list_node_init(&call->link);
        call->channel = NULL;
        call->patient = request->patient;
    }
    return call;
}

/* One that is not sent at once. */
static struct call *call_make_apart(struct rpc *rpc, struct weft_peer_counters *tally,
                                    const struct call_request *request)
{
    struct call *call = call_make(rpc, tally, request);
    if (call != NULL) {
        call->apart = true;
    }
    return call;
}

/* Header and arguments, by copy. */
static enum weft_err call_put_args(struct conn *conn, bool timeout, const struct wire_request *request,
                                   struct weft_span args)
{
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    uint32_t bytes = wire_request_write(header, timeout, request, args.bytes);
    return conn_send(conn, (struct weft_span){header, bytes}, args);
}

static enum weft_err call_put_payload(struct conn *conn, bool timeout, const struct wire_request *request,
                                      struct weft_buf *payload)
{
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    uint32_t bytes = wire_request_write(header, timeout, request, payload->bytes);
    return conn_send_payload(conn, (struct weft_span){header, bytes}, payload);
}

/* Put the request of a call that is in no list on the wire.  What the peer is told of the time is what is left now,
 * since that happens in this turn. */
static enum weft_err call_put(struct call *call, struct channel *channel, const struct wire_request *request,
                              struct weft_span args, struct weft_buf *payload)
{
    if (WEFT_UNLIKELY(request->timeout_ms == 0)) {
        return WEFT_ERR_TIMEOUT; /* on the wire 0 would mean none at all */
    }
    uint64_t begin = channel->conn.queued_total;
    if (WEFT_LIKELY(payload == NULL)) {
        WEFT_TRY(call_put_args(&channel->conn, channel->timeout_negotiated, request, args));
    } else {
        WEFT_TRY(call_put_payload(&channel->conn, channel->timeout_negotiated, request, payload));
    }
    call_sent(call, channel, begin);
    return WEFT_OK;
}

/* Undo call_make for a call that was never accepted: its callback does not run. */
static void call_unmake(struct call *call)
{
    call->fn = NULL;
    TALLY_ADD(call->tally, calls_started, UINT64_MAX); /* one less */
    call_finish(call, WEFT_OK, NULL);
}

enum weft_err call_send(struct channel *channel, const struct call_request *request)
{
    struct call *call = call_make(channel->rpc, channel->tally, request);
    if (WEFT_UNLIKELY(call == NULL)) {
        return WEFT_ERR_QUEUE_FULL;
    }
    const struct wire_request wire = {request->timeout_ns / NS_PER_MS, request->verb, call_id(call)};
    enum weft_err err = call_put(call, channel, &wire, request->args, request->payload);
    if (WEFT_UNLIKELY(err != WEFT_OK)) {
        call_unmake(call);
    } else if (request->id != NULL) {
        *request->id = call_handle(call);
    }
    return err;
}

enum weft_err call_wait(struct rpc *rpc, struct weft_peer_counters *tally, struct list *waiting,
                        const struct call_request *request)
{
    struct call *call = call_make_apart(rpc, tally, request);
    if (call == NULL) {
        return WEFT_ERR_QUEUE_FULL;
    }
    call->verb = request->verb;
    if (request->payload != NULL) {
        call->payload = weft_buf_ref(request->payload);
    } else if (request->args.bytes > 0) {
        call->args = rpc_memory_take(rpc, request->args.bytes);
        if (call->args == NULL) {
            call_unmake(call);
            return WEFT_ERR_QUEUE_FULL;
        }
        memcpy(call->args, request->args.data, request->args.bytes);
        call->args_bytes = request->args.bytes;
    }
    list_push_back(waiting, &call->link);
    if (request->id != NULL) {
        *request->id = call_handle(call);
    }
    return WEFT_OK;
}

enum weft_err call_lend(struct rpc *rpc, const struct call_request *request, void *to, uint32_t *index,
                        uint32_t *generation)
{
    struct call *call = call_make_apart(rpc, rpc->tally, request);
    if (call == NULL) {
        return WEFT_ERR_QUEUE_FULL;
    }
    call->away = to;
    call->lent = true;
    *index = call->index;
    *generation = call->generation;
    list_push_back(&rpc->away, &call->link);
    if (request->id != NULL) {
        *request->id = call_handle(call);
    }
    return WEFT_OK;
}

void call_lend_undo(struct rpc *rpc, uint32_t index, uint32_t generation)
{
    struct call *call = slots_find(&rpc->calls, index, generation);
    WEFT_ASSERT(call != NULL);
    call_unmake(call);
}

void call_lend_back(struct rpc *rpc, uint32_t index, uint32_t generation)
{
    struct call *call = slots_find(&rpc->calls, index, generation);
    if (call != NULL) {
        call->away = NULL;
    }
}

void call_lend_end(struct rpc *rpc, uint32_t index, uint32_t generation, const struct weft_reply *reply)
{
    struct call *call = slots_find(&rpc->calls, index, generation);
    if (call == NULL || call->cancelled) {
        COUNT(rpc->shard, late_replies);
    } else if (reply->error.code != WEFT_OK) {
        call_fail(call, &reply->error, reply->executed);
    } else {
        if (call->one_way) {
            TALLY(call->tally, calls_one_way);
        } else {
            TALLY(call->tally, calls_answered);
        }
        rpc->reply = *reply; /* the one whose payload can be taken over */
        call_finish(call, WEFT_OK, &rpc->reply);
    }
}

static enum weft_err call_put_waiting(struct call *call, struct channel *channel)
{
    uint64_t now_ns = call->rpc->shard->now_ns;
    uint64_t left_ns = call->deadline_ns > now_ns ? call->deadline_ns - now_ns : 0;
    const struct wire_request wire = {left_ns / NS_PER_MS, call->verb, call_id(call)};
    const struct weft_span args = {call->args, call->args != NULL ? call->args_bytes : 0};
    return call_put(call, channel, &wire, args, call->payload);
}

bool call_send_waiting(struct list *waiting, struct channel *channel)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, waiting);
    channel->conn.room_promised = false;
    struct list_node *node;
    while ((node = list_pop_front(&now)) != NULL) {
        struct call *call = WEFT_CONTAINER_OF(node, struct call, link);
        enum weft_err err = call_put_waiting(call, channel);
        if (err == WEFT_ERR_TIMEOUT) { /* its deadline is less than a millisecond away: let it come */
            list_push_back(waiting, node);
        } else if (err == WEFT_ERR_QUEUE_FULL) { /* it and those behind it go when there is room */
            list_push_front(&now, node);
            list_splice_back(&now, waiting);
            list_splice_back(waiting, &now);
            channel->conn.room_promised = true;
            return false;
        } else if (err != WEFT_OK) {
            struct weft_error why = {0};
            weft_error_set(&why, err, "the connection could not take a call that waited for it");
            call_fail(call, &why, WEFT_EXECUTED_NO);
        } else {
            call_drop_args(call);
        }
    }
    return true;
}

void call_fail_waiting(struct list *waiting, const struct weft_error *why)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, waiting);
    struct list_node *node;
    while ((node = list_first(&now)) != NULL) {
        call_fail(WEFT_CONTAINER_OF(node, struct call, link), why, WEFT_EXECUTED_NO);
    }
}

void call_fail_impatient(struct list *waiting, const struct weft_error *why)
{
    struct list ending;
    list_init(&ending);
    LIST_FOR_EACH_SAFE(node, following, waiting)
    {
        if (!WEFT_CONTAINER_OF(node, struct call, link)->patient) {
            list_remove(node);
            list_push_back(&ending, node);
        }
    }
    call_fail_waiting(&ending, why);
}

static void call_fail_list(struct list *calls, const struct weft_error *why)
{
    struct list_node *node;
    while ((node = list_first(calls)) != NULL) {
        struct call *call = WEFT_CONTAINER_OF(node, struct call, link);
        call_fail(call, why, call_executed(call));
    }
}

void call_fail_all(struct channel *channel)
{
    struct weft_error why = channel->conn.error;
    why.code = WEFT_ERR_CLOSED;
    call_fail_list(&channel->calls, &why);
    call_fail_list(&channel->one_ways, &why);
    WEFT_ASSERT(channel->call_count == 0);
}

void call_handed(struct channel *channel)
{
    struct list_node *node;
    while ((node = list_first(&channel->one_ways)) != NULL) {
        struct call *call = WEFT_CONTAINER_OF(node, struct call, link);
        if (call->end > channel->conn.handed_total) {
            return;
        }
        struct weft_reply *reply = &call->rpc->reply;
        reply->payload = (struct weft_span){NULL, 0};
        WEFT_DEBUG_ASSERT(reply->error.code == WEFT_OK);
        reply->executed = WEFT_EXECUTED_MAYBE;
        reply->handler_us = WIRE_DURATION_NONE;
        TALLY(call->tally, calls_one_way);
        call_finish(call, WEFT_OK, reply);
    }
}
