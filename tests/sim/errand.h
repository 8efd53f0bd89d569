/* SPDX-License-Identifier: Apache-2.0 */
/* A call to be started, or cancelled, inside a turn of a channel pair's dialer. */
#ifndef WEFT_TESTS_SIM_ERRAND_H
#define WEFT_TESTS_SIM_ERRAND_H

#include "tests/sim/channel_pair.h"

struct errand {
    struct channel_pair *pair;
    struct outcome *outcome;
    uint64_t verb;
    uint32_t bytes;
    uint64_t timeout_ns; /* 0: 10 s */
    bool one_way;
    enum weft_err expected; /* of the cancellation */
};

/* Start the call; for conn_end_do, with a struct errand. */
void errand_call(void *ctx, struct weft_shard *shard);
/* Start a call in a turn of the dialer, and do not wait for it. */
void errand_begin(struct channel_pair *pair, uint64_t verb, uint32_t bytes, struct outcome *outcome);

#endif
