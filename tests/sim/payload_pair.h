/* SPDX-License-Identifier: Apache-2.0 */
/* A channel pair for large payloads: the dialer calls by reference, and the arena has room for them. */
#ifndef WEFT_TESTS_SIM_PAYLOAD_PAIR_H
#define WEFT_TESTS_SIM_PAYLOAD_PAIR_H

#include "tests/sim/channel_pair.h"

#define LARGE_BYTES (1u << 20)

/* A call that lasts, and the end of its connection from one side. */
struct cut {
    struct channel_pair *pair;
    uint32_t side; /* the one that cuts */
    struct outcome outcome;
};

void large_pair_open(struct channel_pair *pair, uint64_t seed);
const struct weft_counters *counters_of(const struct channel_pair *pair, uint32_t side);
/* No reference and no block is in use, on either side. */
void expect_all_back(const struct channel_pair *pair);

/* For conn_end_do, with a struct cut. */
void cut_begin(void *ctx, struct weft_shard *shard);
void cut_now(void *ctx, struct weft_shard *shard);

#endif
