/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/errand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void errand_call(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    const struct call_request request = {
        .verb = errand->verb,
        .args = {NULL, errand->bytes},
        .timeout_ns = errand->timeout_ns != 0 ? errand->timeout_ns : 10 * PAIR_SECOND_NS,
        .one_way = errand->one_way,
    };
    (void)shard;
    assert_int_equal(side_call(&errand->pair->sides[DIALER], 0, &request, errand->outcome), WEFT_OK);
}

void errand_begin(struct channel_pair *pair, uint64_t verb, uint32_t bytes, struct outcome *outcome)
{
    struct errand errand = {.pair = pair, .outcome = outcome, .verb = verb, .bytes = bytes};
    conn_end_do(&pair->conns.ends[DIALER], errand_call, &errand);
}
