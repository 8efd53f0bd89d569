/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/channel_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void side_fill(const struct side *side, struct negotiation *own)
{
    own->timeout = side->timeout;
    own->handler_duration = side->duration;
    if (side->cookie != NULL) {
        own->has_cookie = true;
        own->cookie_bytes = (uint32_t)strlen(side->cookie);
        memcpy(own->cookie, side->cookie, own->cookie_bytes);
    }
    own->has_hello = side->hello;
    own->hello.version = HELLO_VERSION;
    own->hello.id[0] = (uint8_t)(side->end->index + 1);
    own->hello.incarnation = 1000 + side->end->index;
}

static void side_introduce(struct channel *channel, const struct negotiation *offer, struct negotiation *own)
{
    const struct side *side = channel->owner;
    if (offer == NULL) {
        side_fill(side, own);
        return;
    }
    own->timeout &= side->timeout;
    own->handler_duration &= side->duration;
    if (offer->has_hello && side->hello) {
        own->has_hello = true;
        own->hello.version = HELLO_VERSION;
        own->hello.id[0] = 1;
        own->hello.incarnation = 1000;
    }
}

static enum weft_reason side_secured(struct channel *channel)
{
    struct side *side = channel->owner;
    side->secured++;
    return side->secured_reason;
}

static enum weft_reason side_admit(struct channel *channel, const struct negotiation *theirs)
{
    struct side *side = channel->owner;
    side->admitted++;
    side->seen = *theirs;
    return side->admit_reason;
}

static enum weft_reason side_disclose(struct channel *channel, enum weft_reason reason)
{
    const struct side *side = channel->owner;
    return side->disclose_reason != WEFT_REASON_NONE ? side->disclose_reason : reason;
}

static void side_up(struct channel *channel)
{
    struct side *side = channel->owner;
    assert_true(channel_is_up(channel));
    side->up++;
}

static void side_down(struct channel *channel)
{
    struct side *side = channel->owner;
    side->down++;
    side->error = channel->conn.error;
    side->refused_by_peer = channel->refused_by_peer;
    assert_int_equal(channel->call_count, 0);
    for (uint32_t i = 0; i < side->channel_count; i++) {
        if (side->channels[i] == channel) {
            side->channels[i] = NULL;
        }
    }
}

static bool side_authorize(const struct channel *channel, uint64_t verb)
{
    struct side *side = channel->owner;
    side->authorized++;
    return verb != side->forbidden_verb;
}

static const struct channel_events side_events = {
    .introduce = side_introduce,
    .secured = side_secured,
    .admit = side_admit,
    .authorize = side_authorize,
    .disclose = side_disclose,
    .up = side_up,
    .down = side_down,
};

static struct side *side_of_conn(const struct conn *conn)
{
    const struct conn_end *end = WEFT_CONTAINER_OF(conn->net, struct conn_end, net);
    return end->user;
}

static void raw_opened(struct conn *conn)
{
    (void)conn;
}

static void raw_received(struct conn *conn, struct weft_span bytes)
{
    struct side *side = side_of_conn(conn);
    assert_true(side->raw_used + bytes.bytes <= RAW_BYTES_MAX);
    memcpy(side->raw_bytes + side->raw_used, bytes.data, bytes.bytes);
    side->raw_used += bytes.bytes;
}

static void raw_closed(struct conn *conn)
{
    struct side *side = side_of_conn(conn);
    side->down++;
    side->error = conn->error;
    for (uint32_t i = 0; i < side->channel_count; i++) {
        if (side->raws[i] == conn) {
            side->raws[i] = NULL;
        }
    }
}

static const struct conn_events raw_events = {
    .opened = raw_opened,
    .received = raw_received,
    .drained = raw_opened,
    .handed = raw_opened,
    .misdirected = raw_opened,
    .closed = raw_closed,
};

static struct secure_factory *side_factory(struct side *side)
{
    return side->end->secure ? &side->end->toy.factory : NULL;
}

static void side_arrived(struct listener *listener, int32_t socket, const struct address *from)
{
    struct conn_end *end = listener->ctx;
    struct side *side = end->user;
    struct weft_error why = {0};
    enum weft_err err;
    assert_true(side->channel_count < CHANNELS_MAX);
    uint32_t at = side->channel_count++;
    if (side->raw) {
        err = conn_accept(&end->net, socket, from, side_factory(side), &raw_events, &side->raws[at], &why);
    } else {
        err =
            channel_accept(&side->rpc, socket, from, side_factory(side), &side_events, side, &side->channels[at], &why);
    }
    assert_int_equal(err, WEFT_OK);
}

void side_dial_now(struct side *side)
{
    const struct conn_target target = {.remote = conn_end_address(ACCEPTOR)};
    struct weft_error why = {0};
    enum weft_err err;
    assert_true(side->channel_count < CHANNELS_MAX);
    uint32_t at = side->channel_count++;
    if (side->raw) {
        err = conn_dial(&side->end->net, &target, side_factory(side), &raw_events, &side->raws[at], &why);
    } else {
        err = channel_dial(&side->rpc, &target, side_factory(side), &side_events, side, &side->channels[at], &why);
    }
    assert_int_equal(err, WEFT_OK);
}

static void side_dial(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    side_dial_now(ctx);
}

static struct side *request_side(void *ctx, const weft_request *request)
{
    struct side *side = ctx;
    assert_ptr_equal(weft_request_shard(request), side->end->shard);
    side->remaining_ns = weft_request_remaining_ns(request);
    return side;
}

static void verb_echo(void *ctx, weft_request *request)
{
    (void)request_side(ctx, request);
    enum weft_err err = weft_reply(request, weft_request_payload(request));
    assert_true(err == WEFT_OK || err == WEFT_ERR_CLOSED || err == WEFT_ERR_QUEUE_FULL || err == WEFT_ERR_EXPIRED);
}

static void verb_fail(void *ctx, weft_request *request)
{
    char text[1024];
    struct weft_span payload = weft_request_payload(request);
    (void)request_side(ctx, request);
    assert_true(payload.bytes < sizeof text);
    memset(text, 'f', payload.bytes);
    text[payload.bytes] = '\0';
    assert_int_equal(weft_fail(request, text), WEFT_OK);
}

static void kept_aborted(void *ctx, weft_request *request, enum weft_err why)
{
    struct side *side = ctx;
    assert_int_equal(weft_request_aborted(request), why);
    assert_int_equal(weft_request_on_abort(request, kept_aborted, side), why); /* too late */
    side->aborts++;
    side->abort_why = why;
}

static void verb_keep(void *ctx, weft_request *request)
{
    struct side *side = request_side(ctx, request);
    assert_int_equal(weft_request_aborted(request), WEFT_OK);
    if (side->watch_aborts) {
        assert_int_equal(weft_request_on_abort(request, kept_aborted, side), WEFT_OK);
    }
    assert_true(side->kept_count < KEPT_MAX);
    side->kept[side->kept_count++] = request;
}

static void verb_sink(void *ctx, weft_request *request)
{
    request_side(ctx, request)->sink_calls++;
    assert_int_equal(weft_reply(request, weft_request_payload(request)), WEFT_OK); /* sends nothing */
}

static void verb_source(void *ctx, weft_request *request)
{
    struct weft_span payload = weft_request_payload(request);
    (void)request_side(ctx, request);
    uint8_t *answer = pattern_new(payload.bytes * 1024);
    (void)weft_reply(request, (struct weft_span){answer, payload.bytes * 1024});
    free(answer);
}

static void verb_take(void *ctx, weft_request *request)
{
    struct side *side = request_side(ctx, request);
    struct weft_span payload = weft_request_payload(request);
    weft_buf *taken = weft_request_take_payload(request);
    if (taken == NULL) {
        (void)weft_reply(request, payload);
        return;
    }
    side->taken++;
    assert_int_equal(weft_buf_bytes(taken), payload.bytes);
    if (weft_reply_buf(request, taken) != WEFT_OK) {
        weft_buf_unref(taken);
    }
}

static void side_open(struct conn_end *end)
{
    struct side *side = end->user;
    const struct verb verbs[] = {
        {.number = VERB_ECHO, .fn = verb_echo, .ctx = side},
        {.number = VERB_FAIL, .fn = verb_fail, .ctx = side},
        {.number = VERB_KEEP, .fn = verb_keep, .ctx = side},
        {.number = VERB_SINK, .fn = verb_sink, .ctx = side, .one_way = true},
        {.number = VERB_SOURCE, .fn = verb_source, .ctx = side},
        {.number = VERB_TAKE, .fn = verb_take, .ctx = side},
    };
    side->end = end;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        assert_int_equal(verb_table_add(&side->verbs, &verbs[i]), WEFT_OK);
    }
    const struct rpc_options options = {.calls_max = side->calls_max,
                                        .requests_max = side->requests_max,
                                        .verbs = &side->verbs,
                                        .authorizes = side->forbidden_verb != 0};
    assert_int_equal(rpc_init(&side->rpc, &end->net, &options), WEFT_OK);
}

static void side_close(struct conn_end *end)
{
    struct side *side = end->user;
    assert_int_equal(slots_in_use(&side->rpc.calls), 0);
    rpc_fini(&side->rpc);
}

void channel_pair_init(struct channel_pair *pair, uint64_t seed)
{
    memset(pair, 0, sizeof *pair);
    conn_pair_options_init(&pair->options, seed);
    pair->options.object_bytes = sizeof(struct channel);
    pair->options.arrived = side_arrived;
    pair->options.on_open = side_open;
    pair->options.on_close = side_close;
    for (uint32_t i = 0; i < 2; i++) {
        pair->options.user[i] = &pair->sides[i];
        pair->sides[i] =
            (struct side){.calls_max = 64, .requests_max = 64, .timeout = true, .duration = true, .hello = true};
    }
}

void channel_pair_open(struct channel_pair *pair)
{
    for (uint32_t i = 0; i < 2; i++) {
        pair->sides[i].raw_bytes = pair->sides[i].raw ? malloc(RAW_BYTES_MAX) : NULL;
    }
    conn_pair_open(&pair->conns, &pair->options);
}

static void side_end_all(void *ctx, struct weft_shard *shard)
{
    struct side *side = ctx;
    (void)shard;
    for (uint32_t i = 0; i < side->channel_count; i++) {
        if (side->channels[i] != NULL) {
            conn_close(&side->channels[i]->conn, WEFT_REASON_LOCAL_CLOSE);
        }
        if (side->raws[i] != NULL) {
            conn_close(side->raws[i], WEFT_REASON_LOCAL_CLOSE);
        }
    }
}

void channel_pair_close(struct channel_pair *pair)
{
    for (uint32_t i = 0; i < 2; i++) {
        conn_end_do(&pair->conns.ends[i], side_end_all, &pair->sides[i]);
    }
    conn_pair_until_closed(&pair->conns);
    for (uint32_t i = 0; i < 2; i++) {
        struct side *side = &pair->sides[i];
        assert_int_equal(side->down, side->channel_count);
        for (uint32_t k = 0; k < side->kept_count; k++) {
            enum weft_err aborted = weft_request_aborted(side->kept[k]);
            assert_int_not_equal(aborted, WEFT_OK);
            enum weft_err err = weft_reply(side->kept[k], (struct weft_span){NULL, 0});
            assert_true(err == aborted || err == WEFT_ERR_CLOSED);
        }
        assert_int_equal(slots_in_use(&side->rpc.requests), 0);
        free(side->raw_bytes);
    }
    conn_pair_close(&pair->conns);
}

void channel_pair_dial(struct channel_pair *pair)
{
    conn_end_do(&pair->conns.ends[DIALER], side_dial, &pair->sides[DIALER]);
    conn_pair_run(&pair->conns, PAIR_SECOND_NS / 10);
}

static bool sides_are_up(void *ctx)
{
    const struct channel_pair *pair = ctx;
    return pair->sides[0].up == pair->sides[0].channel_count && pair->sides[1].up == pair->sides[1].channel_count &&
           pair->sides[0].channel_count == pair->sides[1].channel_count;
}

void channel_pair_connect(struct channel_pair *pair)
{
    conn_end_do(&pair->conns.ends[DIALER], side_dial, &pair->sides[DIALER]);
    conn_pair_until(&pair->conns, sides_are_up, pair);
}

void channel_pair_fresh(struct channel_pair *pair)
{
    for (uint32_t i = 0; i < 2; i++) {
        conn_end_do(&pair->conns.ends[i], side_end_all, &pair->sides[i]);
    }
    conn_pair_until_closed(&pair->conns);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pair->sides[i].down, pair->sides[i].channel_count);
        pair->sides[i].channel_count = 0;
        pair->sides[i].up = 0;
        pair->sides[i].down = 0;
    }
    channel_pair_connect(pair);
}

void channel_pair_raw_greet(struct channel_pair *pair, uint32_t side)
{
    uint8_t frame[NEGOTIATION_WRITE_BYTES_MAX];
    struct negotiation own;
    memset(&own, 0, sizeof own);
    side_fill(&pair->sides[side], &own);
    uint32_t bytes = negotiation_write(&own, frame, sizeof frame);
    assert_true(bytes > 0);
    channel_pair_raw_send(pair, side, pair->sides[side].channel_count - 1, frame, bytes);
}
