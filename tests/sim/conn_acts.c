/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/conn_acts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void open_calm(struct conn_pair *pair, int mode)
{
    struct conn_pair_options options;
    conn_pair_options_init(&options, 1 + (uint64_t)mode);
    options.secure[0] = mode == SECURE;
    options.secure[1] = mode == SECURE;
    conn_pair_open(pair, &options);
}

void do_dial(void *ctx, struct weft_shard *shard)
{
    *(struct witness **)ctx = conn_end_dial(shard->user);
}

void do_close(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    witness_close(ctx);
}

void do_abort(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    witness_abort(ctx);
}

void do_pause(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    witness_pause(ctx);
}

void do_resume(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    witness_resume(ctx);
}

void do_send(void *ctx, struct weft_shard *shard)
{
    struct order *order = ctx;
    (void)shard;
    order->err = witness_send(order->witness, order->bytes);
    if (order->close) {
        witness_close(order->witness);
    }
}

void send_now(struct witness *witness, uint32_t bytes)
{
    struct order order = {.witness = witness, .bytes = bytes};
    conn_end_do(witness->end, do_send, &order);
    assert_int_equal(order.err, WEFT_OK);
}

bool has_closed(void *ctx)
{
    return ((const struct witness *)ctx)->closed > 0;
}

struct flow {
    const struct witness *from;
    const struct witness *to;
};

static bool flow_is_complete(void *ctx)
{
    const struct flow *flow = ctx;
    return flow->to->received_bytes == flow->from->sent_bytes;
}

void until_received(struct conn_pair *pair, const struct witness *from, const struct witness *to)
{
    struct flow flow = {from, to};
    conn_pair_until(pair, flow_is_complete, &flow);
    assert_int_equal(to->wrong_bytes, 0);
}

void close_both(struct conn_pair *pair, struct witness *witness)
{
    conn_end_do(witness->end, do_close, witness);
    conn_pair_until_closed(pair);
}
