/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and answers of foreign threads.
 *
 * Each takes a slot with room for a payload.  It goes to the shard with the arguments, or with the answer, and comes
 * back with the reply; the thread takes and gives back slots, the shard only fills the one it was lent. */
#include <stdlib.h>
#include <string.h>

#include <weft/foreign.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/base/options.h"
#include "engine/base/slots.h"
#include "engine/reactor/foreign.h"
#include "topology/cluster/node.h"

#define CALLS_DEFAULT 64u
#define PAYLOAD_BYTES_DEFAULT (16u * 1024)

/* What a foreign thread has under way. */
struct desk {
    struct slots errands;
    uint32_t payload_bytes_max;
};

struct errand {
    struct weft_foreign *foreign;
    uint32_t shard;
    weft_reply_fn *fn;
    void *ctx;
    weft_peer_id to;
    uint64_t verb;
    struct weft_call_options options;
    weft_request *request; /* of an answer */
    bool failure;          /* the answer is a text */
    enum weft_err err;
    struct weft_reply reply; /* its payload lies in bytes */
    uint32_t bytes_used;
    uint8_t bytes[];
};

_Static_assert(sizeof(struct errand) + WEFT_FOREIGN_PAYLOAD_BYTES_MAX <= SLOTS_OBJECT_BYTES_MAX, "an errand is a slot");
_Static_assert(WEFT_FOREIGN_MAX == FOREIGNS_MAX && WEFT_FOREIGN_CALLS_MAX == FOREIGN_CALLS_MAX, "as promised");

static void desk_free(void *user)
{
    struct desk *desk = user;
    const struct weft_allocator *allocator = desk->errands.allocator;
    slots_fini(&desk->errands);
    heap_drop(allocator, desk, sizeof *desk);
}

static enum weft_err desk_create(struct desk **out, const struct weft_allocator *allocator,
                                 const struct weft_foreign_options *options, struct weft_error *why)
{
    uint32_t calls_max = options->calls_max != 0 ? options->calls_max : CALLS_DEFAULT;
    uint32_t bytes_max = options->payload_bytes_max != 0 ? options->payload_bytes_max : PAYLOAD_BYTES_DEFAULT;
    if (calls_max > WEFT_FOREIGN_CALLS_MAX || bytes_max > WEFT_FOREIGN_PAYLOAD_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "foreign thread: %u calls of %u bytes; at most %d calls and %u bytes", calls_max,
                              bytes_max, WEFT_FOREIGN_CALLS_MAX, WEFT_FOREIGN_PAYLOAD_BYTES_MAX);
    }
    struct desk *desk = heap_make(allocator, sizeof *desk);
    if (desk == NULL ||
        slots_init(&desk->errands, allocator, calls_max, (uint32_t)sizeof(struct errand) + bytes_max) != WEFT_OK) {
        heap_drop(allocator, desk, sizeof *desk);
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u calls of a foreign thread", calls_max);
    }
    desk->payload_bytes_max = bytes_max;
    *out = desk;
    return WEFT_OK;
}

enum weft_err weft_foreign_create(weft_node *node, const struct weft_foreign_options *given, weft_foreign **foreign,
                                  struct weft_error *why)
{
    struct weft_foreign_options options = WEFT_FOREIGN_OPTIONS_INIT;
    struct desk *desk = NULL;
    if (why != NULL) {
        memset(why, 0, sizeof *why);
    }
    if (given != NULL) {
        WEFT_TRY(options_take(&options, sizeof options, given, "struct weft_foreign_options", why));
    }
    WEFT_TRY(node_check_control(node, "foreign thread", why));
    if (foreign == NULL) {
        return weft_error_set(why, WEFT_ERR_INVALID, "foreign thread: no place to put it; foreign is NULL");
    }
    if (node->state != NODE_STARTED) {
        return weft_error_set(why, WEFT_ERR_STATE, "foreign thread: the node does not run");
    }
    WEFT_TRY(desk_create(&desk, node->allocator, &options, why));
    enum weft_err err = foreign_create(node->engine, foreign, why);
    if (err != WEFT_OK) {
        desk_free(desk);
        return err;
    }
    (*foreign)->user = desk;
    (*foreign)->user_free = desk_free;
    return WEFT_OK;
}

void weft_foreign_destroy(weft_foreign *foreign)
{
    foreign_destroy(foreign);
}

/* A slot with this payload in it. */
static enum weft_err errand_take(struct weft_foreign *foreign, struct weft_span payload, struct errand **out)
{
    struct desk *desk = foreign->user;
    uint32_t index;
    uint32_t generation;
    if (payload.data == NULL && payload.bytes > 0) {
        return WEFT_ERR_INVALID;
    }
    if (payload.bytes > desk->payload_bytes_max) {
        return WEFT_ERR_TOO_LARGE;
    }
    struct errand *errand = slots_take(&desk->errands, &index, &generation);
    if (errand == NULL) {
        return WEFT_ERR_QUEUE_FULL;
    }
    errand->foreign = foreign;
    errand->bytes_used = payload.bytes;
    if (payload.bytes > 0) {
        memcpy(errand->bytes, payload.data, payload.bytes);
    }
    *out = errand;
    return WEFT_OK;
}

static void errand_give_back(struct errand *errand)
{
    struct desk *desk = errand->foreign->user;
    slots_give_back(&desk->errands, errand);
}

static enum weft_err errand_send(struct errand *errand, weft_task_fn *run)
{
    struct weft_foreign *foreign = errand->foreign;
    atomic_fetch_add_explicit(&foreign->held, 1, memory_order_relaxed);
    enum weft_err err = weft_post(foreign, errand->shard, run, errand);
    if (err != WEFT_OK) {
        atomic_fetch_sub_explicit(&foreign->held, 1, memory_order_relaxed);
        errand_give_back(errand);
    }
    return err;
}

/* On the shard: the errand is done.  The thread may be gone as soon as nothing is held for it. */
static void errand_return(struct errand *errand, struct weft_shard *shard, weft_foreign_fn *fn)
{
    struct weft_foreign *foreign = errand->foreign;
    foreign_answer(shard, foreign, fn, errand);
    atomic_fetch_sub_explicit(&foreign->held, 1, memory_order_release);
}

/* On the foreign thread. */
static void call_came_back(void *ctx)
{
    struct errand *errand = ctx;
    if (errand->fn != NULL) {
        errand->fn(errand->ctx, errand->err, &errand->reply);
    }
    errand_give_back(errand);
}

/* On the shard: its end, with a copy of the reply. */
static void call_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct errand *errand = ctx;
    struct weft_foreign *foreign = errand->foreign;
    const struct desk *desk = foreign->user;
    struct weft_shard *shard = foreign->engine->shards[errand->shard];
    errand->err = err;
    errand->reply = *reply;
    errand->reply.payload = (struct weft_span){errand->bytes, reply->payload.bytes};
    if (reply->payload.bytes > desk->payload_bytes_max) {
        errand->err = WEFT_ERR_TOO_LARGE;
        errand->reply.payload.bytes = 0;
        weft_error_set(&errand->reply.error, WEFT_ERR_TOO_LARGE, "a reply of %u bytes; payload_bytes_max is %u",
                       reply->payload.bytes, desk->payload_bytes_max);
    } else if (reply->payload.bytes > 0) {
        memcpy(errand->bytes, reply->payload.data, reply->payload.bytes);
    }
    errand_return(errand, shard, call_came_back);
}

static void call_run(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    struct weft_span args = {errand->bytes, errand->bytes_used};
    enum weft_err err = weft_call(shard, errand->to, errand->verb, args, &errand->options, call_ended, errand);
    if (err != WEFT_OK) {
        errand->err = err;
        memset(&errand->reply, 0, sizeof errand->reply);
        errand->reply.handler_us = UINT32_MAX;
        weft_error_set(&errand->reply.error, err, "%s", weft_err_meaning(err));
        errand_return(errand, shard, call_came_back);
    }
}

enum weft_err weft_foreign_call(weft_foreign *foreign, uint32_t shard, weft_peer_id to, uint64_t verb,
                                struct weft_span args, const struct weft_call_options *given, weft_reply_fn *fn,
                                void *ctx)
{
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    struct errand *errand;
    if (foreign == NULL) {
        return WEFT_ERR_INVALID;
    }
    if (given != NULL) {
        WEFT_TRY(options_take(&options, sizeof options, given, "struct weft_call_options", NULL));
    }
    WEFT_TRY(errand_take(foreign, args, &errand));
    errand->shard = shard;
    errand->fn = fn;
    errand->ctx = ctx;
    errand->to = to;
    errand->verb = verb;
    errand->options = options;
    errand->options.id = NULL; /* it would be written on the shard, and the thread has gone on */
    return errand_send(errand, call_run);
}

static void answer_came_back(void *ctx)
{
    errand_give_back(ctx);
}

static void answer_run(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    if (errand->failure) {
        (void)weft_fail(errand->request, (const char *)errand->bytes);
    } else {
        (void)weft_reply(errand->request, (struct weft_span){errand->bytes, errand->bytes_used});
    }
    errand_return(errand, shard, answer_came_back);
}

static enum weft_err answer_send(weft_foreign *foreign, uint32_t shard, weft_request *request, struct weft_span payload,
                                 bool failure)
{
    struct errand *errand;
    if (foreign == NULL || request == NULL) {
        return WEFT_ERR_INVALID;
    }
    WEFT_TRY(errand_take(foreign, payload, &errand));
    errand->shard = shard; /* of the caller's: with its shard the request may be gone already, and not to be read */
    errand->request = request;
    errand->failure = failure;
    return errand_send(errand, answer_run);
}

enum weft_err weft_foreign_reply(weft_foreign *foreign, uint32_t shard, weft_request *request, struct weft_span payload)
{
    return answer_send(foreign, shard, request, payload, false);
}

enum weft_err weft_foreign_fail(weft_foreign *foreign, uint32_t shard, weft_request *request, const char *text)
{
    char kept[EXCEPTION_TEXT_BYTES_MAX + 1];
    struct weft_span span = weft_span_of(text != NULL ? text : "");
    span.bytes = span.bytes < EXCEPTION_TEXT_BYTES_MAX ? span.bytes : EXCEPTION_TEXT_BYTES_MAX;
    memcpy(kept, span.data, span.bytes);
    kept[span.bytes] = '\0';
    return answer_send(foreign, shard, request, (struct weft_span){(const uint8_t *)kept, span.bytes + 1}, true);
}
