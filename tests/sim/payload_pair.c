/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/payload_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void large_pair_open(struct channel_pair *pair, uint64_t seed)
{
    channel_pair_init(pair, seed);
    pair->options.arena_bytes = 64u << 20;
    pair->sides[DIALER].by_reference = true;
}

const struct weft_counters *counters_of(const struct channel_pair *pair, uint32_t side)
{
    return &pair->conns.ends[side].shard->counters;
}

void expect_all_back(const struct channel_pair *pair)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct payload_pool *pool = &pair->conns.ends[i].shard->payloads;
        assert_int_equal(slots_in_use(&pool->references), 0);
        assert_int_equal(slots_in_use(&pool->payloads), 0);
        assert_int_equal(pool->queued_bytes, 0);
        assert_int_equal(pool->arena_bytes, 0);
    }
}

void cut_begin(void *ctx, struct weft_shard *shard)
{
    struct cut *cut = ctx;
    const struct call_request request = {
        .verb = VERB_TAKE,
        .args = {NULL, 8 * LARGE_BYTES},
        .timeout_ns = 30 * PAIR_SECOND_NS,
    };
    (void)shard;
    assert_int_equal(side_call(&cut->pair->sides[DIALER], 0, &request, &cut->outcome), WEFT_OK);
}

void cut_now(void *ctx, struct weft_shard *shard)
{
    struct cut *cut = ctx;
    (void)shard;
    conn_abort(&cut->pair->sides[cut->side].channels[0]->conn, WEFT_ERR_CLOSED, WEFT_REASON_LOCAL_CLOSE);
}
