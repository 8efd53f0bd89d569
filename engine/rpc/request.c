/* SPDX-License-Identifier: Apache-2.0 */
/* A request in its handler's hands: what can be asked of it, its one answer, and the news that nobody waits for that
 * any more.
 *
 * A request that is not answered when its handler returns is kept: listed by its channel, whose end aborts it, and
 * found by connection and id, for CANCEL.  Requests that are answered at once pay for none of that.
 *
 * Failure modes: an answer that its caller no longer waits for is dropped; an answer over the frame limit becomes a
 * failure. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/rpc/serve.h"

#define NS_PER_US UINT64_C(1000)
/* What may fit the place of small messages: a send buffer. */
#define ANSWER_AT_ONCE_BYTES_MAX SEND_BUF_BYTES

static const struct weft_span nothing = {NULL, 0};
static const char text_too_large[] = "the answer is over the frame limit";

enum weft_err requests_init(struct rpc *rpc)
{
    rpc->kept_bits = 1;
    while ((1u << rpc->kept_bits) < rpc->requests.count) {
        rpc->kept_bits++;
    }
    rpc->kept_salt = prng_next(&rpc->shard->prng); /* peers choose the ids */
    rpc->kept = mapping_make(rpc->net->options.allocator, sizeof *rpc->kept << rpc->kept_bits);
    return rpc->kept != NULL ? WEFT_OK : WEFT_ERR_NO_MEMORY;
}

void requests_fini(struct rpc *rpc)
{
    if (rpc->kept != NULL) {
        mapping_drop(rpc->net->options.allocator, rpc->kept, sizeof *rpc->kept << rpc->kept_bits);
        rpc->kept = NULL;
    }
}

static uint32_t *kept_head(struct rpc *rpc, uint32_t conn_index, int64_t id)
{
    uint64_t key = ((uint64_t)id ^ rpc->kept_salt) + conn_index;
    key = (key ^ key >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return &rpc->kept[key >> (64 - rpc->kept_bits)];
}

void request_keep(struct channel *channel, struct weft_request *request)
{
    uint32_t *head = kept_head(request->rpc, request->conn_index, request->id);
    request->kept = REQUEST_LISTED | REQUEST_COUNTED;
    request_share_take(request, channel->source);
    channel->request_count++;
    request->chain = *head;
    *head = request->index + 1;
    list_node_init(&request->link);
    list_push_back(&channel->kept, &request->link);
}

static void request_unkeep(struct weft_request *request)
{
    struct rpc *rpc = request->rpc;
    uint32_t *at = kept_head(rpc, request->conn_index, request->id);
    while (*at != request->index + 1) {
        WEFT_ASSERT(*at != 0);
        at = &((struct weft_request *)slots_at(&rpc->requests, *at - 1))->chain;
    }
    *at = request->chain;
    request->kept &= (uint8_t)~REQUEST_LISTED;
    list_remove(&request->link);
}

/* It is answered, or nobody waits for it any more: no notice comes from here on. */
static void request_let_go(struct weft_request *request)
{
    if ((request->kept & REQUEST_LISTED) != 0) {
        request_unkeep(request);
    }
    if (request->on_abort != NULL && request->deadline_ns != UINT64_MAX) {
        timer_wheel_stop(&request->rpc->shard->wheel, &request->deadline);
    }
    request->on_abort = NULL;
}

/* Nobody waits for it any more; the notice comes now, and not again. */
static void request_abort(struct weft_request *request, enum weft_err why)
{
    weft_abort_fn *fn = request->on_abort;
    request_let_go(request);
    request->aborted = why;
    if (fn != NULL) {
        fn(request->abort_ctx, request, why);
    }
}

void request_abort_all(struct channel *channel)
{
    struct list_node *node;
    while ((node = list_first(&channel->kept)) != NULL) {
        request_abort(WEFT_CONTAINER_OF(node, struct weft_request, link), WEFT_ERR_CLOSED);
        WEFT_ASSERT(list_first(&channel->kept) != node);
    }
}

void request_cancel(struct channel *channel, int64_t id)
{
    struct rpc *rpc = channel->rpc;
    uint32_t at = *kept_head(rpc, channel->conn.index, id);
    while (at != 0) {
        struct weft_request *request = slots_at(&rpc->requests, at - 1);
        if (request->id == id && request->conn_index == channel->conn.index) {
            request_abort(request, WEFT_ERR_CANCELLED);
            return;
        }
        at = request->chain;
    }
}

static void request_deadline_passed(struct timer *timer, void *ctx)
{
    (void)timer;
    request_abort(ctx, WEFT_ERR_EXPIRED);
}

enum weft_err weft_request_aborted(const weft_request *request)
{
    if (request == NULL) {
        return WEFT_ERR_INVALID;
    }
    struct rpc *rpc = request->rpc;
    if (request->aborted != WEFT_OK) {
        return request->aborted;
    }
    if (request->hop != NULL) { /* where it landed they know */
        return rpc->shard->now_ns >= request->deadline_ns ? WEFT_ERR_EXPIRED : WEFT_OK;
    }
    const struct channel *channel = slots_find(&rpc->net->conns, request->conn_index, request->conn_generation);
    if (channel == NULL || !channel_is_up(channel)) {
        return WEFT_ERR_CLOSED;
    }
    return rpc->shard->now_ns >= request->deadline_ns ? WEFT_ERR_EXPIRED : WEFT_OK;
}

enum weft_err weft_request_on_abort(weft_request *request, weft_abort_fn *fn, void *ctx)
{
    enum weft_err err = weft_request_aborted(request);
    if (err != WEFT_OK) {
        return err;
    }
    if (request->hop != NULL) {
        WEFT_ASSERT(request->deadline.slot_plus_one == 0); /* the deadline is kept where it landed */
    } else if (request->deadline_ns != UINT64_MAX && request->on_abort != NULL && fn == NULL) {
        timer_wheel_stop(&request->rpc->shard->wheel, &request->deadline);
    } else if (request->deadline_ns != UINT64_MAX && request->on_abort == NULL && fn != NULL) {
        request->deadline = (struct timer){.fn = request_deadline_passed, .ctx = request};
        timer_wheel_start(&request->rpc->shard->wheel, &request->deadline, request->deadline_ns);
    }
    request->on_abort = fn;
    request->abort_ctx = ctx;
    return WEFT_OK;
}

struct weft_span weft_request_payload(const weft_request *request)
{
    return request->payload;
}

weft_buf *weft_request_take_payload(weft_request *request)
{
    return request != NULL ? rpc_take_payload(request->rpc, request->payload) : NULL;
}

weft_shard *weft_request_shard(const weft_request *request)
{
    return request != NULL ? request->rpc->shard : NULL;
}

uint64_t weft_request_remaining_ns(const weft_request *request)
{
    if (request == NULL) {
        return 0;
    }
    uint64_t now_ns = request->rpc->shard->now_ns;
    if (request->deadline_ns == UINT64_MAX) {
        return UINT64_MAX;
    }
    return request->deadline_ns > now_ns ? request->deadline_ns - now_ns : 0;
}

struct channel *request_channel(struct weft_request *request, enum weft_err *err)
{
    struct rpc *rpc = request->rpc;
    struct channel *channel = slots_find(&rpc->net->conns, request->conn_index, request->conn_generation);
    *err = WEFT_OK;
    if (channel != NULL && (request->kept & REQUEST_COUNTED) != 0) {
        channel->request_count--;
        request->kept &= (uint8_t)~REQUEST_COUNTED;
    }
    if (request->one_way) {
        TALLY(request->tally, requests_one_way);
        return NULL;
    }
    if (request->aborted == WEFT_ERR_CANCELLED || channel == NULL || !channel_is_up(channel)) {
        TALLY(request->tally, requests_aborted);
        *err = request->aborted == WEFT_ERR_CANCELLED ? WEFT_ERR_CANCELLED : WEFT_ERR_CLOSED;
        return NULL;
    }
    if (rpc->shard->now_ns >= request->deadline_ns) {
        TALLY(request->tally, requests_expired);
        *err = WEFT_ERR_EXPIRED;
        return NULL;
    }
    return channel;
}

static inline uint32_t request_handler_us(const struct weft_request *request)
{
    uint64_t ns = request->rpc->shard->now_ns - request->started_ns;
    if (WEFT_LIKELY(ns < NS_PER_US)) { /* answered in the turn that brought it */
        return 0;
    }
    uint64_t us = ns / NS_PER_US;
    return us < WIRE_DURATION_NONE ? (uint32_t)us : WIRE_DURATION_NONE;
}

enum weft_err request_end(struct weft_request *request, enum weft_err err)
{
    struct rpc *rpc = request->rpc;
    request_let_go(request);
    request_share_drop(request);
    if (request == rpc->handling) {
        rpc->handling = NULL; /* the slot is the next one's */
    } else {
        WEFT_ASSERT(request != rpc->hand);
        slots_give_back_at(&rpc->requests, request, request->index);
    }
    return err;
}

/* The answer to a request found a place in the queue, or it waits for one. */
static enum weft_err request_answered(struct channel *channel, struct weft_request *request,
                                      const struct owed_answer *answer, struct weft_span payload, enum weft_err err)
{
    if (WEFT_UNLIKELY(err == WEFT_ERR_QUEUE_FULL)) {
        request_let_go(request);
        request->answered = true;
        return serve_owe(channel, request, answer, payload);
    }
    serve_count_answer(channel, request->tally, answer);
    return request_end(request, err);
}

enum weft_err request_answer(struct channel *channel, struct weft_request *request, bool exception,
                             struct weft_span payload)
{
    const struct owed_answer answer = {.handler_us = request_handler_us(request), .exception = exception};
    const struct wire_response response = {.id = request->id, .handler_us = answer.handler_us};
    enum weft_err err = WEFT_ERR_QUEUE_FULL;
    if (WEFT_LIKELY(list_empty(&channel->owed))) {
        err = exception ? serve_put_exception(channel, request->id, WIRE_EXCEPTION_USER, answer.handler_us, payload)
                        : serve_put(channel, &response, nothing, payload);
    }
    return request_answered(channel, request, &answer, payload, err);
}

enum weft_err request_refuse_busy(struct weft_request *request, const char *text)
{
    enum weft_err err;
    if (request->hop != NULL) {
        return serve_guest_answer(request, true, weft_span_of(text));
    }
    struct channel *channel = request_channel(request, &err);
    if (channel == NULL) {
        return request_end(request, err);
    }
    err = WEFT_ERR_QUEUE_FULL;
    if (channel->peer_hello && list_empty(&channel->owed)) {
        err = serve_put_exception(channel, request->id, WIRE_EXCEPTION_BUSY, WIRE_DURATION_NONE, nothing);
    }
    if (err != WEFT_OK) {
        return request_answer(channel, request, true, weft_span_of(text));
    }
    TALLY(request->tally, requests_busy);
    return request_end(request, WEFT_OK);
}

static enum weft_err guest_reply(weft_request *request, struct weft_span payload)
{
    if (payload.bytes > FRAME_BYTES_MAX) {
        enum weft_err err = serve_guest_answer(request, true, weft_span_of(text_too_large));
        return err == WEFT_OK ? WEFT_ERR_TOO_LARGE : err;
    }
    return serve_guest_answer(request, false, payload);
}

/* The answer of a request whose handler runs: by the channel at hand, in no time, and to a place behind what is queued
 * already.  @return false: it is not as simple as that */
static inline bool request_answer_at_once(struct weft_request *request, struct weft_span payload)
{
    struct rpc *rpc = request->rpc;
    struct channel *channel = rpc->serving;
    if (WEFT_UNLIKELY(request != rpc->handling || request->one_way || request->on_abort != NULL ||
                      payload.bytes > ANSWER_AT_ONCE_BYTES_MAX || !list_empty(&channel->owed))) {
        return false;
    }
    const struct wire_response response = {.id = request->id, .handler_us = 0};
    uint32_t bytes = wire_response_bytes(channel->duration_negotiated);
    struct buf *place = conn_send_place(&channel->conn, bytes + payload.bytes);
    if (WEFT_UNLIKELY(place == NULL)) {
        return false;
    }
    uint8_t *to = place->data + place->end;
    wire_response_write(to, channel->duration_negotiated, &response, payload.bytes);
    bytes_copy(to + bytes, payload.data, payload.bytes);
    conn_send_placed(&channel->conn, bytes + payload.bytes);
    serve_count_answered(channel, request->tally, response.handler_us);
    rpc->handling = NULL;
    return true;
}

enum weft_err weft_reply(weft_request *request, struct weft_span payload)
{
    enum weft_err err;
    if (WEFT_LIKELY(request != NULL && request_answer_at_once(request, payload))) {
        return WEFT_OK;
    }
    if (request == NULL) {
        return WEFT_ERR_INVALID;
    }
    if (request->hop != NULL) {
        return guest_reply(request, payload);
    }
    struct channel *channel = request_channel(request, &err);
    if (channel == NULL) {
        return request_end(request, err);
    }
    if (payload.bytes > FRAME_BYTES_MAX) {
        err = request_answer(channel, request, true, weft_span_of(text_too_large));
        return err == WEFT_OK ? WEFT_ERR_TOO_LARGE : err;
    }
    return request_answer(channel, request, false, payload);
}

static enum weft_err request_answer_buf(struct channel *channel, struct weft_request *request, weft_buf *payload)
{
    const struct owed_answer answer = {.handler_us = request_handler_us(request), .payload = payload};
    enum weft_err err = list_empty(&channel->owed) ? serve_put_payload(channel, request->id, answer.handler_us, payload)
                                                   : WEFT_ERR_QUEUE_FULL;
    return request_answered(channel, request, &answer, nothing, err);
}

enum weft_err weft_reply_buf(weft_request *request, weft_buf *payload)
{
    enum weft_err err;
    if (request == NULL || payload == NULL || payload->pool != &request->rpc->shard->payloads) {
        return WEFT_ERR_INVALID;
    }
    if (payload->bytes < WEFT_BUF_REFERENCE_BYTES_MIN || request->hop != NULL) {
        err = weft_reply(request, (struct weft_span){payload->data, payload->bytes});
    } else {
        struct channel *channel = request_channel(request, &err);
        err = channel != NULL ? request_answer_buf(channel, request, payload) : request_end(request, err);
    }
    if (err == WEFT_OK) {
        weft_buf_unref(payload);
    }
    return err;
}

enum weft_err weft_fail(weft_request *request, const char *text)
{
    enum weft_err err;
    if (request == NULL) {
        return WEFT_ERR_INVALID;
    }
    struct weft_span span = weft_span_of(text != NULL ? text : "");
    span.bytes = span.bytes < EXCEPTION_TEXT_BYTES_MAX ? span.bytes : EXCEPTION_TEXT_BYTES_MAX;
    if (request->hop != NULL) {
        return serve_guest_answer(request, true, span);
    }
    struct channel *channel = request_channel(request, &err);
    if (channel == NULL) {
        return request_end(request, err);
    }
    return request_answer(channel, request, true, span);
}
