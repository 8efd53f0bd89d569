/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that every `weft node` serves, so that any client can drive it:
 *
 * Bytes behind what a verb needs are ignored, so that callers can send more to later versions.
 *
 *   1 HELLO  empty -> empty            5 COUNT   -> u64 calls of SINK, u64 bytes
 *   2 ECHO   bytes -> the same         6 SOURCE  u32 n -> n bytes
 *   3 WRITE  bytes -> u64 how many     7 SLEEP   u64 microseconds -> empty, then
 *   4 SINK   bytes, one-way            8 FAIL    text -> a failure with that text */
#include <string.h>

#include "engine/rpc/serve.h"
#include "topology/cluster/node.h"

enum standard_verb { VERB_HELLO = 1, VERB_ECHO, VERB_WRITE, VERB_SINK, VERB_COUNT, VERB_SOURCE, VERB_SLEEP, VERB_FAIL };

#define SLEEP_US_MAX UINT64_C(3600000000)

static const struct weft_span empty = {NULL, 0};

static void verb_hello(void *ctx, weft_request *request)
{
    (void)ctx;
    (void)weft_reply(request, empty);
}

static void reply_taken(weft_request *request, weft_buf *payload)
{
    if (weft_reply_buf(request, payload) != WEFT_OK) {
        weft_buf_unref(payload);
    }
}

/* What arrived in several pieces goes back as it is; a view would be copied twice.  @return false: there is no memory
 * to do that */
static __attribute__((noinline)) bool echo_assembled(weft_request *request)
{
    weft_buf *taken = weft_request_take_payload(request);
    if (taken != NULL) {
        reply_taken(request, taken);
    }
    return taken != NULL;
}

static void verb_echo(void *ctx, weft_request *request)
{
    struct weft_span payload = weft_request_payload(request);
    (void)ctx;
    if (WEFT_LIKELY(payload.bytes <= RECV_BUF_BYTES) || !echo_assembled(request)) {
        (void)weft_reply(request, payload);
    }
}

static void verb_write(void *ctx, weft_request *request)
{
    uint8_t count[8];
    (void)ctx;
    bytes_store64(count, weft_request_payload(request).bytes);
    (void)weft_reply(request, (struct weft_span){count, sizeof count});
}

static void verb_sink(void *ctx, weft_request *request)
{
    struct weft_node *node = ctx;
    atomic_fetch_add_explicit(&node->sink_calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->sink_bytes, weft_request_payload(request).bytes, memory_order_relaxed);
    (void)weft_reply(request, empty);
}

static void verb_count(void *ctx, weft_request *request)
{
    struct weft_node *node = ctx;
    uint8_t counts[16];
    bytes_store64(counts, atomic_load_explicit(&node->sink_calls, memory_order_relaxed));
    bytes_store64(counts + 8, atomic_load_explicit(&node->sink_bytes, memory_order_relaxed));
    (void)weft_reply(request, (struct weft_span){counts, sizeof counts});
}

static void verb_source(void *ctx, weft_request *request)
{
    struct weft_span payload = weft_request_payload(request);
    struct weft_shard *shard = weft_request_shard(request);
    uint32_t bytes = payload.bytes >= 4 ? bytes_load32(payload.data) : UINT32_MAX;
    (void)ctx;
    if (bytes > WEFT_PAYLOAD_BYTES_MAX) {
        (void)weft_fail(request, "SOURCE takes a u32 of at most 16777216");
        return;
    }
    if (bytes == 0) {
        (void)weft_reply(request, empty);
        return;
    }
    if (bytes > shard->payloads.arena_bytes_max) {
        (void)weft_fail(request, "SOURCE: more bytes than this shard can ever hold");
        return;
    }
    weft_buf *answer = weft_buf_take(shard, bytes);
    if (answer == NULL) {
        (void)request_refuse_busy(request, "busy: no memory for that many bytes now");
        return;
    }
    memset(weft_buf_data(answer), 0x5a, bytes);
    reply_taken(request, answer);
}

struct sleeper {
    struct weft_timer timer;
    weft_request *request;
};

static void sleeper_woke(void *ctx, weft_shard *shard)
{
    struct sleeper *sleeper = ctx;
    weft_request *request = sleeper->request;
    arena_give_back(&shard->arena, (uint8_t *)sleeper);
    (void)weft_reply(request, empty);
}

static void verb_sleep(void *ctx, weft_request *request)
{
    struct weft_span payload = weft_request_payload(request);
    struct weft_shard *shard = weft_request_shard(request);
    uint64_t us = payload.bytes >= 8 ? bytes_load64(payload.data) : UINT64_MAX;
    (void)ctx;
    if (us > SLEEP_US_MAX) {
        (void)weft_fail(request, "SLEEP takes a u64 of at most an hour in microseconds");
        return;
    }
    struct sleeper *sleeper = (struct sleeper *)(void *)arena_take(&shard->arena, sizeof *sleeper);
    if (sleeper == NULL) {
        (void)request_refuse_busy(request, "busy: no memory for another sleeper now");
        return;
    }
    memset(sleeper, 0, sizeof *sleeper);
    sleeper->request = request;
    weft_timer_start(shard, &sleeper->timer, us * 1000, sleeper_woke, sleeper);
}

static void verb_fail(void *ctx, weft_request *request)
{
    struct weft_span payload = weft_request_payload(request);
    char text[EXCEPTION_TEXT_BYTES_MAX + 1];
    uint32_t bytes = payload.bytes < EXCEPTION_TEXT_BYTES_MAX ? payload.bytes : EXCEPTION_TEXT_BYTES_MAX;
    (void)ctx;
    if (bytes > 0) {
        memcpy(text, payload.data, bytes);
    }
    text[bytes] = '\0';
    (void)weft_fail(request, text);
}

enum weft_err weft_node_handle_standard(weft_node *node, struct weft_error *why)
{
    static const struct {
        enum standard_verb number;
        weft_handler_fn *fn;
    } verbs[] = {{VERB_HELLO, verb_hello}, {VERB_ECHO, verb_echo},     {VERB_WRITE, verb_write},
                 {VERB_COUNT, verb_count}, {VERB_SOURCE, verb_source}, {VERB_SLEEP, verb_sleep},
                 {VERB_FAIL, verb_fail}};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        WEFT_TRY(weft_node_handle(node, verbs[i].number, verbs[i].fn, node, why));
    }
    return weft_node_handle_one_way(node, VERB_SINK, verb_sink, node, why);
}
