/* SPDX-License-Identifier: Apache-2.0 */
/* The acceptor's half of the protocol: requests as they arrive, and the sending of their answers.
 *
 * Happy path: a whole request, its verb, a slot, the handler; then, now or later (request.c), one answer.
 * Failure modes: an id below 1 is no request of a sane peer and ends the channel; an unknown verb and a full slot table
 * are answered; answers that pile up stop the reading, and what finds no room waits (serve_owed.c).  A deadline counts
 * from the first byte of the request that was read. */
#include "engine/rpc/serve.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/reactor/engine.h"
#include "engine/rpc/channel_take.h"

#define NS_PER_MS UINT64_C(1000000)
/* Longer timeouts, and 0, mean that there is no deadline: three centuries, so that the sum with a clock's nanoseconds
 * since a boot fits. */
#define TIMEOUT_MS_MAX (INT64_MAX / NS_PER_MS)

static const struct weft_span nothing = {NULL, 0};

/* What follows from how the queueing of an answer ended. */
static enum weft_err serve_sent(struct channel *channel, enum weft_err err)
{
    if (WEFT_UNLIKELY(channel->conn.above_high && !channel->stalled)) {
        channel_stall(channel, CHANNEL_STALL_ANSWERS); /* the peer does not take its answers */
    }
    return err;
}

enum weft_err serve_put(struct channel *channel, const struct wire_response *response, struct weft_span first,
                        struct weft_span payload)
{
    uint8_t apart[WIRE_RESPONSE_BYTES + WIRE_DURATION_BYTES + WIRE_EXCEPTION_BYTES];
    uint32_t bytes = wire_response_bytes(channel->duration_negotiated) + first.bytes;
    WEFT_ASSERT(bytes <= sizeof apart);
    wire_response_write(apart, channel->duration_negotiated, response, first.bytes + payload.bytes);
    bytes_copy(apart + bytes - first.bytes, first.data, first.bytes);
    return serve_sent(channel, conn_send(&channel->conn, (struct weft_span){apart, bytes}, payload));
}

enum weft_err serve_put_payload(struct channel *channel, int64_t id, uint32_t handler_us, struct weft_buf *payload)
{
    uint8_t head[WIRE_RESPONSE_BYTES + WIRE_DURATION_BYTES];
    const struct wire_response response = {.id = id, .handler_us = handler_us};
    uint32_t bytes = wire_response_write(head, channel->duration_negotiated, &response, payload->bytes);
    return serve_sent(channel, conn_send_payload(&channel->conn, (struct weft_span){head, bytes}, payload));
}

enum weft_err serve_put_exception(struct channel *channel, int64_t id, enum wire_exception type, uint32_t handler_us,
                                  struct weft_span data)
{
    uint8_t exception[WIRE_EXCEPTION_BYTES];
    bytes_store32(exception, (uint32_t)type);
    bytes_store32(exception + 4, data.bytes);
    const struct wire_response response = {.id = id, .exception = true, .handler_us = handler_us};
    return serve_put(channel, &response, (struct weft_span){exception, sizeof exception}, data);
}

/* Refuse a request that has no slot.  There is room: serve_has_room was asked before it was taken. */
static void serve_exception(struct channel *channel, int64_t id, enum wire_exception type, struct weft_span data)
{
    enum weft_err err = serve_put_exception(channel, id, type, WIRE_DURATION_NONE, data);
    WEFT_ASSERT(err != WEFT_ERR_QUEUE_FULL);
}

static __attribute__((noinline)) void serve_unknown_verb(struct channel *channel, int64_t id, uint64_t number)
{
    uint8_t verb[8];
    bytes_store64(verb, number);
    TALLY(channel->tally, requests_failed);
    serve_exception(channel, id, WIRE_EXCEPTION_UNKNOWN_VERB, (struct weft_span){verb, sizeof verb});
}

/* Only weft peers know the word; others are not read from while there is no room. */
static __attribute__((noinline)) void serve_busy(struct channel *channel, int64_t id)
{
    WEFT_ASSERT(channel->peer_hello);
    TALLY(channel->tally, requests_busy);
    serve_exception(channel, id, WIRE_EXCEPTION_BUSY, nothing);
}

/* The same, told to whoever asks. */
static void serve_busy_for(struct channel *channel, int64_t id, const char *text)
{
    if (channel->peer_hello) {
        serve_busy(channel, id);
        return;
    }
    TALLY(channel->tally, requests_busy);
    serve_exception(channel, id, WIRE_EXCEPTION_USER, weft_span_of(text));
}

/* More than this shard can ever hold: it was passed over, as every other one of its size will be. */
static void serve_oversized(struct channel *channel, int64_t id, uint32_t bytes)
{
    uint8_t most[4];
    char text[EXCEPTION_TEXT_BYTES_MAX + 1];
    uint32_t limit = (uint32_t)rpc_memory_most(channel->rpc); /* below `bytes`, so it fits */
    COUNT(channel->rpc->shard, requests_oversized);
    TALLY(channel->tally, requests_failed);
    if (channel->peer_hello) {
        bytes_store32(most, limit);
        serve_exception(channel, id, WIRE_EXCEPTION_OVERSIZED, (struct weft_span){most, sizeof most});
        return;
    }
    snprintf(text, sizeof text, "oversized: %u bytes, and by its memory_per_shard this node can hold %u of a request",
             bytes, limit);
    serve_exception(channel, id, WIRE_EXCEPTION_USER, weft_span_of(text));
}

/* Its sender may not have this verb run. */
static void serve_forbidden(struct channel *channel, const struct verb *verb, int64_t id)
{
    COUNT(channel->rpc->shard, requests_forbidden);
    if (verb->one_way) {
        TALLY(channel->tally, requests_one_way);
        return;
    }
    TALLY(channel->tally, requests_failed);
    if (channel->peer_hello) {
        serve_exception(channel, id, WIRE_EXCEPTION_FORBIDDEN, nothing);
    } else {
        serve_exception(channel, id, WIRE_EXCEPTION_USER, weft_span_of("forbidden"));
    }
}

/* Too late before its handler ran: nobody waits for it. */
static __attribute__((noinline)) void serve_expired(struct channel *channel, int64_t id)
{
    TALLY(channel->tally, requests_expired);
    if (channel->peer_hello) {
        serve_exception(channel, id, WIRE_EXCEPTION_EXPIRED, nothing);
    }
}

/* Waiting for the caller to take its answers is no waiting for us. */
static uint64_t serve_waited_ns(const struct channel *channel, uint64_t since_ns)
{
    since_ns = since_ns > channel->freed_ns ? since_ns : channel->freed_ns;
    uint64_t now_ns = channel->rpc->shard->now_ns;
    return now_ns > since_ns ? now_ns - since_ns : 0;
}

/* Beyond what the shard can do, requests wait for their turn, and the longer the queue, the more of them would be run
 * for nobody.  Who waited for half of its time is told to go elsewhere, which costs little, so that the others are
 * answered in time.  What came behind it on the same connection is younger, and gives way by as much as that one is
 * late: the longer the round of all connections takes, the less of each is run, so that the round stays shorter than
 * the time of those who are turned away. */
static bool serve_waited_too_long(const struct channel *channel, const struct wire_request *wire)
{
    const struct verb *verb = verb_table_find(channel->rpc->verbs, wire->verb);
    uint64_t waited_ns = serve_waited_ns(channel, channel->arrived_ns) + serve_waited_ns(channel, channel->oldest_ns);
    return channel->peer_hello && verb != NULL && !verb->one_way && wire->timeout_ms != 0 &&
           waited_ns / NS_PER_MS > wire->timeout_ms;
}

/* A request that no handler may run any more. */
static bool serve_turned_away(struct channel *channel, const struct wire_request *wire)
{
    if (!channel->rpc->picky) {
        return false;
    }
    if (channel->rpc->draining) {
        serve_busy_for(channel, wire->id, "busy: this node is stopping");
        return true;
    }
    if (request_over_share(channel)) {
        serve_busy_for(channel, wire->id, "busy: too many requests from this address run already");
        return true;
    }
    if (channel->rpc->late && serve_waited_too_long(channel, wire)) {
        serve_busy(channel, wire->id);
        return true;
    }
    return false;
}

static void serve_cancel(struct channel *channel, struct weft_span payload)
{
    COUNT(channel->rpc->shard, cancels_received);
    TALLY(channel->tally, requests_own);
    if (payload.bytes == 8) {
        request_cancel(channel, (int64_t)bytes_load64(payload.data));
    }
}

static void serve_goodbye(struct channel *channel)
{
    COUNT(channel->rpc->shard, goodbyes_received);
    TALLY(channel->tally, requests_own);
    if (channel->lane == WEFT_LANE_CONTROL) {
        channel->events->goodbye(channel);
    }
}

static void serve_ping(struct channel *channel, int64_t id, struct weft_span payload)
{
    if (payload.bytes != 8) {
        TALLY(channel->tally, requests_failed);
        serve_exception(channel, id, WIRE_EXCEPTION_USER, weft_span_of("a ping carries 8 bytes"));
        return;
    }
    const struct wire_response response = {.id = id};
    COUNT(channel->rpc->shard, heartbeats_answered);
    TALLY(channel->tally, requests_own);
    enum weft_err err = serve_put(channel, &response, nothing, payload);
    WEFT_ASSERT(err != WEFT_ERR_QUEUE_FULL); /* serve_has_room */
}

/* weft's own verbs, for peers that said hello. */
static void serve_own_verb(struct channel *channel, int64_t id, uint64_t number, struct weft_span payload)
{
    if (channel->peer_hello && number == WIRE_VERB_PING) {
        serve_ping(channel, id, payload);
    } else if (channel->peer_hello && number == WIRE_VERB_CANCEL) {
        serve_cancel(channel, payload);
    } else if (channel->peer_hello && number == WIRE_VERB_GOODBYE) {
        serve_goodbye(channel);
    } else {
        serve_unknown_verb(channel, id, number);
    }
}

static inline uint64_t serve_deadline(uint64_t now_ns, uint64_t timeout_ms)
{
    return timeout_ms - 1 < TIMEOUT_MS_MAX ? now_ns + timeout_ms * NS_PER_MS : UINT64_MAX;
}

bool serve_must_wait(struct channel *channel, uint32_t bytes)
{
    struct weft_shard *shard = channel->rpc->shard;
    if (channel->peer_hello || !rpc_memory_possible(channel->rpc, bytes)) {
        return false; /* it will be told */
    }
    const struct wire_request request = wire_request_read(channel->reader.header, channel->timeout_negotiated);
    uint64_t deadline_ns = serve_deadline(channel->frame_ns, request.timeout_ms);
    if (shard->now_ns >= deadline_ns) {
        channel->pass_over = true;
        return false;
    }
    if (deadline_ns != UINT64_MAX && !timer_armed(&channel->patience)) {
        timer_wheel_start(&shard->wheel, &channel->patience, deadline_ns);
    }
    return true;
}

/* The shard that is to run it: the verb's word comes first, then that of the peer, which wanted to land there. */
static uint32_t serve_owner(const struct channel *channel, const struct verb *verb, struct weft_span payload)
{
    if (WEFT_UNLIKELY(verb->shard_of != NULL)) {
        return verb->shard_of(verb->shard_of_ctx, payload) % channel->rpc->shard->engine->options.shard_count;
    }
    return channel->serving_shard;
}

/* The shard that owns it could not be told. */
static void serve_no_way(struct channel *channel, int64_t id)
{
    serve_busy_for(channel, id, "busy: no way to the shard of this request");
}

/* The slot for the next request.  One that is answered by its handler leaves it to the next, and those of a channel
 * have much in common. */
static struct weft_request *serve_take_hand(struct channel *channel)
{
    uint32_t index;
    struct rpc *rpc = channel->rpc;
    struct weft_request *request = slots_take(&rpc->requests, &index, NULL);
    if (request != NULL) {
        request->rpc = rpc;
        request->tally = channel->tally;
        request->hop = NULL;
        request->on_abort = NULL;
        request->conn_index = channel->conn.index;
        request->conn_generation = channel->conn.generation;
        request->index = index;
        request->aborted = WEFT_OK;
        request->answered = false;
        request->kept = 0;
    }
    rpc->hand = request;
    rpc->serving = channel;
    return request;
}

static void serve_put_hand_back(struct rpc *rpc)
{
    WEFT_ASSERT(rpc->handling == NULL);
    if (rpc->hand != NULL) {
        slots_give_back_at(&rpc->requests, rpc->hand, rpc->hand->index);
        rpc->hand = NULL;
    }
}

/* Its handler did not end it: its answer comes later, or has been given and waits for room. */
static __attribute__((noinline)) void serve_handled_later(struct channel *channel, struct weft_request *request)
{
    channel->rpc->handling = NULL;
    channel->rpc->hand = NULL;
    if (!request->answered) {
        request_keep(channel, request);
    }
}

static __attribute__((noinline)) void serve_elsewhere(struct channel *channel, const struct verb *verb,
                                                      struct weft_request *request, uint32_t owner)
{
    if (serve_hop(channel, verb, request, owner)) {
        channel->rpc->hand = NULL;
    } else {
        serve_no_way(channel, request->id);
    }
}

static inline void serve_run(struct channel *channel, const struct verb *verb, int64_t id, struct weft_span payload,
                             uint64_t deadline_ns)
{
    struct rpc *rpc = channel->rpc;
    struct weft_request *request = rpc->hand;
    if (WEFT_UNLIKELY(request == NULL) && (request = serve_take_hand(channel)) == NULL) {
        serve_busy(channel, id);
        return;
    }
    request->id = id;
    request->started_ns = rpc->shard->now_ns;
    request->deadline_ns = deadline_ns;
    request->payload = payload;
    request->one_way = verb->one_way;
    uint32_t owner = serve_owner(channel, verb, payload);
    if (WEFT_UNLIKELY(owner != rpc->shard->index)) {
        serve_elsewhere(channel, verb, request, owner);
        return;
    }
    rpc->handling = request;
    verb->fn(verb->ctx, request);
    if (WEFT_UNLIKELY(rpc->handling != NULL)) {
        serve_handled_later(channel, request);
    }
}

/* Requests in a row are mostly of one verb. */
static inline const struct verb *serve_verb(struct rpc *rpc, uint64_t number)
{
    if (WEFT_UNLIKELY(rpc->verb_at_hand == NULL || rpc->verb_at_hand->number != number)) {
        rpc->verb_at_hand = verb_table_find(rpc->verbs, number);
    }
    return rpc->verb_at_hand;
}

/* A request that may not be for a handler.  @return false: it is for one */
static __attribute__((noinline)) bool serve_odd(struct channel *channel, const uint8_t *header,
                                                struct weft_span payload, bool skipped)
{
    const struct wire_request wire = wire_request_read(header, channel->timeout_negotiated);
    if (skipped && rpc_memory_possible(channel->rpc, payload.bytes)) { /* at some other time */
        serve_busy(channel, wire.id);
        return true;
    }
    if (skipped) { /* who knows no BUSY comes here only with what this shard can never hold */
        serve_oversized(channel, wire.id, payload.bytes);
        return true;
    }
    if (wire.verb >= WEFT_VERB_RESERVED) {
        serve_own_verb(channel, wire.id, wire.verb, payload);
        return true;
    }
    return serve_turned_away(channel, &wire);
}

static __attribute__((noinline)) bool serve_bad_id(struct channel *channel, int64_t id)
{
    weft_error_set_reason(&channel->conn.error, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_FRAME,
                          "a request with the id %lld; ids are from 1 up", (long long)id);
    return false;
}

/* Its sender may have it run?  If not, it has been told. */
static __attribute__((noinline)) bool serve_authorized(struct channel *channel, const struct verb *verb, int64_t id)
{
    if (channel->events->authorize(channel, verb->number)) {
        return true;
    }
    serve_forbidden(channel, verb, id);
    return false;
}

static WEFT_INLINE bool serve_request(struct channel *channel, const uint8_t *header, struct weft_span payload,
                                      bool skipped)
{
    const struct wire_request wire = wire_request_read(header, channel->timeout_negotiated);
    struct rpc *rpc = channel->rpc;
    if (WEFT_UNLIKELY(wire.id <= 0)) {
        return serve_bad_id(channel, wire.id);
    }
    TALLY(channel->tally, requests_received);
    uint64_t deadline_ns = serve_deadline(channel->frame_ns, wire.timeout_ms);
    if (WEFT_UNLIKELY(rpc->shard->now_ns >= deadline_ns)) {
        serve_expired(channel, wire.id);
        return true;
    }
    if (WEFT_UNLIKELY(skipped || wire.verb >= WEFT_VERB_RESERVED || rpc->picky) &&
        serve_odd(channel, header, payload, skipped)) {
        return true;
    }
    const struct verb *verb = serve_verb(rpc, wire.verb);
    if (WEFT_UNLIKELY(verb == NULL)) {
        serve_unknown_verb(channel, wire.id, wire.verb);
    } else if (WEFT_LIKELY(!rpc->authorizes || serve_authorized(channel, verb, wire.id))) {
        serve_run(channel, verb, wire.id, payload, deadline_ns);
    }
    return true;
}

bool serve_request_received(struct channel *channel, const uint8_t *header, struct weft_span payload, bool skipped)
{
    return serve_request(channel, header, payload, skipped);
}

void serve_requests_take(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns)
{
    struct rpc *rpc = channel->rpc;
    channel_take(channel, bytes, arrived_ns, serve_request);
    serve_put_hand_back(rpc);
}
