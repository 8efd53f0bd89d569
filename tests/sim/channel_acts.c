/* SPDX-License-Identifier: Apache-2.0 */
/* What tests do with a channel pair that is open: calls, bursts, raw frames, answers that were kept. */
#include "tests/sim/channel_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint8_t pattern_byte(uint32_t at)
{
    return (uint8_t)(at * 13 + (at >> 8) * 5 + (at >> 16));
}

uint8_t *pattern_new(uint32_t bytes)
{
    uint8_t *pattern = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(pattern);
    for (uint32_t i = 0; i < bytes; i++) {
        pattern[i] = pattern_byte(i);
    }
    return pattern;
}

struct weft_counters side_counters(const struct channel_pair *pair, uint32_t side)
{
    struct weft_counters counters = pair->conns.ends[side].shard->counters;
    tally_add_to_counters(&counters, pair->sides[side].rpc.tally);
    return counters;
}

void outcome_done(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct outcome *outcome = ctx;
    assert_int_equal(reply->error.code, err);
    assert_int_equal(err == WEFT_OK, reply->error.text[0] == '\0');
    if (err == WEFT_OK) {
        assert_int_equal(reply->error.os_errno, 0);
        assert_int_equal(reply->error.tls_code, 0);
    }
    outcome->count++;
    outcome->err = err;
    outcome->error = reply->error;
    outcome->executed = reply->executed;
    outcome->handler_us = reply->handler_us;
    outcome->bytes = reply->payload.bytes;
    for (uint32_t i = 0; i < reply->payload.bytes; i++) {
        outcome->wrong_bytes += reply->payload.data[i] != pattern_byte(i);
    }
    if (outcome->then != NULL) {
        outcome->then(outcome, outcome->ctx);
    }
}

enum weft_err side_call(struct side *side, uint32_t channel, const struct call_request *request,
                        struct outcome *outcome)
{
    struct call_request own = *request;
    uint8_t *args = pattern_new(request->args.bytes);
    uint32_t count = outcome->count;
    own.args.data = args;
    own.fn = outcome_done;
    own.ctx = outcome;
    if (side->by_reference) {
        own.payload = weft_buf_take(side->end->shard, request->args.bytes);
    }
    if (own.payload != NULL) {
        memcpy(weft_buf_data(own.payload), args, request->args.bytes);
    }
    own.id = &outcome->id;
    enum weft_err err = call_send(side->channels[channel], &own);
    assert_int_equal(outcome->count, count); /* never from inside */
    weft_buf_unref(own.payload);
    free(args);
    return err;
}

struct call_errand {
    struct side *side;
    struct call_request request;
    struct outcome *outcome;
};

static void call_errand_run(void *ctx, struct weft_shard *shard)
{
    struct call_errand *errand = ctx;
    (void)shard;
    assert_int_equal(side_call(errand->side, 0, &errand->request, errand->outcome), WEFT_OK);
}

static bool outcome_is_there(void *ctx)
{
    return ((const struct outcome *)ctx)->count > 0;
}

void channel_pair_call(struct channel_pair *pair, uint64_t verb, uint32_t bytes, uint64_t timeout_ns,
                       struct outcome *outcome)
{
    struct call_errand errand = {
        .side = &pair->sides[DIALER],
        .request = {.verb = verb, .args = {NULL, bytes}, .timeout_ns = timeout_ns},
        .outcome = outcome,
    };
    memset(outcome, 0, sizeof *outcome);
    conn_end_do(&pair->conns.ends[DIALER], call_errand_run, &errand);
    conn_pair_until(&pair->conns, outcome_is_there, outcome);
    assert_int_equal(outcome->count, 1);
}

struct raw_errand {
    struct conn *conn;
    struct weft_span bytes;
};

static void raw_errand_run(void *ctx, struct weft_shard *shard)
{
    struct raw_errand *errand = ctx;
    (void)shard;
    assert_int_equal(conn_send(errand->conn, errand->bytes, (struct weft_span){NULL, 0}), WEFT_OK);
}

void channel_pair_raw_send(struct channel_pair *pair, uint32_t side, uint32_t raw, const void *data, uint32_t bytes)
{
    struct raw_errand errand = {.conn = pair->sides[side].raws[raw], .bytes = {data, bytes}};
    assert_non_null(errand.conn);
    conn_end_do(&pair->conns.ends[side], raw_errand_run, &errand);
    conn_pair_run(&pair->conns, PAIR_SECOND_NS / 10);
}

struct kept_errand {
    struct side *side;
    enum weft_err expected;
};

static void kept_errand_run(void *ctx, struct weft_shard *shard)
{
    struct kept_errand *errand = ctx;
    uint8_t *answer = pattern_new(100);
    (void)shard;
    for (uint32_t i = 0; i < errand->side->kept_count; i++) {
        assert_int_equal(weft_reply(errand->side->kept[i], (struct weft_span){answer, 100}), errand->expected);
    }
    errand->side->kept_count = 0;
    free(answer);
}

void channel_pair_answer_kept(struct channel_pair *pair, enum weft_err expected)
{
    struct kept_errand errand = {.side = &pair->sides[ACCEPTOR], .expected = expected};
    conn_end_do(&pair->conns.ends[ACCEPTOR], kept_errand_run, &errand);
    conn_pair_run(&pair->conns, PAIR_SECOND_NS / 10);
}

static void burst_run(void *ctx, struct weft_shard *shard)
{
    struct burst *burst = ctx;
    (void)shard;
    for (uint32_t i = 0; i < burst->count; i++) {
        enum weft_err err = side_call(burst->side, 0, &burst->request, &burst->outcomes[i]);
        burst->accepted += err == WEFT_OK;
        burst->err = burst->err == WEFT_OK ? err : burst->err;
    }
    if (burst->abort) {
        conn_abort(&burst->side->channels[0]->conn, WEFT_ERR_CANCELLED, WEFT_REASON_LOCAL_CLOSE);
    }
    if (burst->close) {
        conn_close(&burst->side->channels[0]->conn, WEFT_REASON_LOCAL_CLOSE);
    }
}

void channel_pair_burst(struct channel_pair *pair, struct burst *burst)
{
    burst->side = &pair->sides[DIALER];
    burst->request.timeout_ns = burst->request.timeout_ns != 0 ? burst->request.timeout_ns : 10 * PAIR_SECOND_NS;
    conn_end_do(&pair->conns.ends[DIALER], burst_run, burst);
}
