/* SPDX-License-Identifier: Apache-2.0 */
/* Replies and exceptions: the call that each one ends, and what its caller learns. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/rpc/call.h"
#include "engine/rpc/channel_take.h"

/* An exception, as the caller sees it; false if it is cut short. */
static bool call_exception(struct weft_span payload, struct weft_error *why, enum weft_executed *executed)
{
    if (payload.bytes < WIRE_EXCEPTION_BYTES) {
        return false;
    }
    uint32_t type = bytes_load32(payload.data);
    uint32_t bytes = bytes_load32(payload.data + 4);
    const uint8_t *data = payload.data + WIRE_EXCEPTION_BYTES;
    if (bytes > payload.bytes - WIRE_EXCEPTION_BYTES) {
        return false;
    }
    *executed = WEFT_EXECUTED_NO;
    switch (type) {
    case WIRE_EXCEPTION_USER:
        *executed = WEFT_EXECUTED_YES;
        weft_error_set(why, WEFT_ERR_REMOTE, "%.*s",
                       (int)(bytes < EXCEPTION_TEXT_BYTES_MAX ? bytes : EXCEPTION_TEXT_BYTES_MAX), (const char *)data);
        return true;
    case WIRE_EXCEPTION_UNKNOWN_VERB:
        weft_error_set(why, WEFT_ERR_UNKNOWN_VERB, "the peer has no handler for this verb");
        return bytes == 8;
    case WIRE_EXCEPTION_BUSY:
        weft_error_set(why, WEFT_ERR_BUSY, "the peer has no room for this request now");
        return true;
    case WIRE_EXCEPTION_EXPIRED:
        weft_error_set(why, WEFT_ERR_EXPIRED, "the deadline passed at the peer before the handler ran");
        return true;
    case WIRE_EXCEPTION_FORBIDDEN:
        weft_error_set(why, WEFT_ERR_REFUSED, "the peer does not let this node call this verb");
        return true;
    case WIRE_EXCEPTION_OVERSIZED:
        if (bytes != 4) {
            return false;
        }
        weft_error_set(why, WEFT_ERR_TOO_LARGE,
                       "the peer can hold at most %u bytes of a request: raise its memory_per_shard, or send less",
                       bytes_load32(data));
        return true;
    default:
        *executed = WEFT_EXECUTED_MAYBE;
        weft_error_set(why, WEFT_ERR_REMOTE, "exception of unknown type %u", type);
        return true;
    }
}

static bool call_failed_remotely(struct call *call, struct weft_span payload, bool skipped, bool exception)
{
    struct weft_error why = {0};
    enum weft_executed executed = exception ? WEFT_EXECUTED_MAYBE : WEFT_EXECUTED_YES;
    if (skipped) { /* which exception it was, and with it whether the request ran, went with its bytes */
        weft_error_set(&why, WEFT_ERR_NO_MEMORY, "no memory left for an answer of %u bytes", payload.bytes);
    } else if (!call_exception(payload, &why, &executed)) {
        weft_error_set_reason(&call->channel->conn.error, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_FRAME,
                              "an exception of %u bytes that holds less than it says, or more", payload.bytes);
        return false;
    }
    call_fail(call, &why, executed);
    return true;
}

static WEFT_INLINE bool call_answered(struct channel *channel, const uint8_t *header, struct weft_span payload,
                                      bool skipped)
{
    struct rpc *rpc = channel->rpc;
    struct wire_response response = wire_response_read(header, channel->duration_negotiated);
    struct call *call = call_find(rpc, response.id);
    if (WEFT_UNLIKELY(call == NULL || call->channel != channel || call->one_way)) {
        COUNT(rpc->shard, late_replies);
        return true;
    }
    if (WEFT_UNLIKELY(response.exception || skipped)) {
        return call_failed_remotely(call, payload, skipped, response.exception);
    }
    struct weft_reply *reply = &rpc->reply;
    WEFT_DEBUG_ASSERT(reply->error.code == WEFT_OK); /* failures clean up behind themselves */
    reply->payload = payload;
    reply->executed = WEFT_EXECUTED_YES;
    reply->handler_us = response.handler_us;
    TALLY(call->tally, calls_answered);
    metric_run_add(&rpc->shard->calls_run[channel->lane], &rpc->shard->metrics.call_ns[channel->lane],
                   rpc->shard->now_ns - call->started_ns);
    call_end(call, WEFT_OK, reply);
    return true;
}

bool call_reply_received(struct channel *channel, const uint8_t *header, struct weft_span payload, bool skipped)
{
    return call_answered(channel, header, payload, skipped);
}

void call_replies_take(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns)
{
    struct rpc *rpc = channel->rpc;
    rpc->answering = channel;
    channel_take(channel, bytes, arrived_ns, call_answered);
    rpc->answering = NULL;
}

weft_buf *weft_reply_take_payload(const struct weft_reply *reply)
{
    if (reply == NULL) {
        return NULL;
    }
    return rpc_take_payload(WEFT_CONTAINER_OF(reply, struct rpc, reply), reply->payload);
}

const char *weft_executed_name(enum weft_executed executed)
{
    switch (executed) {
    case WEFT_EXECUTED_NO:
        return "no";
    case WEFT_EXECUTED_MAYBE:
        return "maybe";
    case WEFT_EXECUTED_YES:
        return "yes";
    }
    return "unknown";
}

const char *weft_lane_name(enum weft_lane lane)
{
    switch (lane) {
    case WEFT_LANE_NORMAL:
        return "normal";
    case WEFT_LANE_CONTROL:
        return "control";
    case WEFT_LANE_BULK:
        return "bulk";
    case WEFT_LANE_COUNT:
        break;
    }
    return "unknown";
}
