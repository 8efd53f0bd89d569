/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a payload that goes out by reference is read from where it lies until nobody needs it any more, and no longer,
 * whether it waits for a connection, for the queue or for the kernel.
 *
 * Method: a channel pair in calm worlds, for each rule of what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/payload_pair.h"

#define SECOND PAIR_SECOND_NS

/* --- sends without a copy --- */

static void zero_copy__kernel_copies__asks_again_only_when_told_to(void **state)
{
    (void)state;
    for (uint32_t always = 0; always < 2; always++) {
        struct channel_pair pair;
        struct outcome outcome;
        large_pair_open(&pair, 80);
        pair.options.zero_copy = always == 1 ? WEFT_SEND_ZEROCOPY_ALWAYS : WEFT_SEND_ZEROCOPY_AUTO;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        for (uint32_t i = 0; i < 40; i++) {
            channel_pair_call(&pair, VERB_TAKE, LARGE_BYTES / 4, 30 * SECOND, &outcome);
            assert_int_equal(outcome.err, WEFT_OK);
            assert_int_equal(outcome.wrong_bytes, 0);
        }
        conn_pair_run(&pair.conns, SECOND);
        for (uint32_t i = 0; i < 2; i++) {
            const struct weft_counters *counters = counters_of(&pair, i);
            const struct conn *conn = &pair.sides[i].channels[0]->conn;
            assert_int_equal(conn->zero_copy_count, 0);
            assert_int_equal(slots_in_use(&conn->net->zero_copy_sends), 0);
            if (always == 1) {
                assert_true(counters->zero_copy_sends >= 40);
                assert_true(counters->zero_copy_copied > 1);
                assert_true(conn->zero_copy);
            } else {
                assert_true(counters->zero_copy_sends > 0);
                assert_int_equal(counters->zero_copy_copied > 0, !conn->zero_copy);
            }
        }
        expect_all_back(&pair);
        channel_pair_close(&pair);
    }
}

static bool payload_is_read(void *ctx)
{
    const struct cut *cut = ctx;
    const struct channel *channel = cut->pair->sides[DIALER].channels[0];
    return channel->conn.zero_copy_count > 1;
}

/* The connection ends while the kernel still reads: what it reads stays until it says that it does not any more. */
static void zero_copy__cut_off_while_the_kernel_reads__freed_after_the_last_event(void **state)
{
    (void)state;
    for (uint32_t side = 0; side < 2; side++) {
        struct channel_pair pair;
        struct cut cut = {.pair = &pair, .side = side};
        large_pair_open(&pair, 90 + side);
        pair.options.zero_copy = WEFT_SEND_ZEROCOPY_ALWAYS;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        conn_end_do(&pair.conns.ends[DIALER], cut_begin, &cut);
        conn_pair_until(&pair.conns, payload_is_read, &cut);
        assert_true(slots_in_use(&pair.conns.ends[DIALER].shard->payloads.references) > 1);
        conn_end_do(&pair.conns.ends[side], cut_now, &cut);
        conn_pair_until_closed(&pair.conns);
        assert_int_equal(cut.outcome.count, 1);
        expect_all_back(&pair);
        channel_pair_close(&pair);
    }
}

/* --- calls that wait for a connection --- */

struct waiting {
    struct side *side;
    struct list list;
    struct outcome outcome;
    uint32_t released;
    uint8_t bytes[100000];
};

static void waiting_released(void *ctx, void *data, uint32_t bytes)
{
    struct waiting *waiting = ctx;
    assert_ptr_equal(data, waiting->bytes);
    assert_int_equal(bytes, sizeof waiting->bytes);
    waiting->released++;
}

static void waiting_begin(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    weft_buf *buf = weft_buf_wrap(shard, waiting->bytes, sizeof waiting->bytes, waiting_released, waiting);
    const struct call_request request = {
        .verb = VERB_ECHO, .payload = buf, .timeout_ns = SECOND, .fn = outcome_done, .ctx = &waiting->outcome};
    list_init(&waiting->list);
    assert_int_equal(call_wait(&waiting->side->rpc, waiting->side->rpc.tally, &waiting->list, &request), WEFT_OK);
    weft_buf_unref(buf);
    assert_int_equal(waiting->released, 0);
}

static void waiting_send(void *ctx, struct weft_shard *shard)
{
    struct waiting *waiting = ctx;
    (void)shard;
    assert_true(call_send_waiting(&waiting->list, waiting->side->channels[0]));
    assert_int_equal(waiting->released, 0);
}

static void call__waits_for_a_connection__keeps_its_reference(void **state)
{
    (void)state;
    for (uint32_t sent = 0; sent < 2; sent++) {
        struct channel_pair pair;
        struct waiting *waiting = test_calloc(1, sizeof *waiting);
        channel_pair_init(&pair, 30);
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        waiting->side = &pair.sides[DIALER];
        for (uint32_t i = 0; i < sizeof waiting->bytes; i++) {
            waiting->bytes[i] = pattern_byte(i);
        }
        conn_end_do(&pair.conns.ends[DIALER], waiting_begin, waiting);
        if (sent == 1) {
            conn_end_do(&pair.conns.ends[DIALER], waiting_send, waiting);
        }
        conn_pair_run(&pair.conns, 2 * SECOND);
        assert_int_equal(waiting->outcome.count, 1);
        assert_int_equal(waiting->outcome.err, sent == 1 ? WEFT_OK : WEFT_ERR_TIMEOUT);
        assert_int_equal(waiting->outcome.wrong_bytes, 0);
        assert_int_equal(waiting->released, 1);
        expect_all_back(&pair);
        channel_pair_close(&pair);
        test_free(waiting);
    }
}

/* --- bounds --- */

struct filling {
    struct side *side;
    struct outcome outcomes[64];
    uint32_t accepted;
};

static void filling_run(void *ctx, struct weft_shard *shard)
{
    struct filling *filling = ctx;
    const struct call_request request = {.verb = VERB_SINK, .args = {NULL, 1 << 20}, .timeout_ns = SECOND};
    (void)shard;
    while (filling->accepted < 64) {
        enum weft_err err = side_call(filling->side, 0, &request, &filling->outcomes[filling->accepted]);
        if (err != WEFT_OK) {
            assert_int_equal(err, WEFT_ERR_QUEUE_FULL);
            return;
        }
        filling->accepted++;
    }
}

static void conn__references_queued__counted_in_bytes(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct filling filling = {0};
    channel_pair_init(&pair, 40);
    pair.options.arena_bytes = 64u << 20;
    pair.sides[DIALER].by_reference = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    filling.side = &pair.sides[DIALER];
    conn_end_do(&pair.conns.ends[DIALER], filling_run, &filling);
    /* A message that goes over the bound is let in behind less than SEND_QUEUE_BYTES_HIGH only. */
    assert_in_range(filling.accepted, SEND_QUEUE_BYTES_MAX / (1 << 20) - 1, SEND_QUEUE_BYTES_MAX / (1 << 20));
    channel_pair_fresh(&pair); /* ends the channels in order: what was queued is sent */
    expect_all_back(&pair);
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_copy__kernel_copies__asks_again_only_when_told_to),
        cmocka_unit_test(zero_copy__cut_off_while_the_kernel_reads__freed_after_the_last_event),
        cmocka_unit_test(call__waits_for_a_connection__keeps_its_reference),
        cmocka_unit_test(conn__references_queued__counted_in_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
