/* SPDX-License-Identifier: Apache-2.0 */
/* A node whose shards the test runs by itself. */
#ifndef WEFT_TESTS_INTEGRATION_GUEST_H
#define WEFT_TESTS_INTEGRATION_GUEST_H

#include "tests/integration/node_host.h"

#define SHARDS_MOST 4u
#define QUIET_RUNS 64u

/* One node, hosted, and its shards. */
struct guest {
    struct host host;
    weft_shard *shards[SHARDS_MOST];
    uint32_t shard_count;
    uint32_t ready; /* on_ready ran so often */
};

/* Create the node of guest->host and start it; nothing is attached. */
void guest_start(struct guest *guest);
void guest_attach(struct guest *guest);
/* Poll the shards of some nodes and run those that are readable; false if none became so in time. */
bool guests_poll(struct guest *const *guests, uint32_t count, int timeout_ms);
/* Run until nothing is readable any more, which must not take long. */
void guests_settle(struct guest *const *guests, uint32_t count);
/* Drain it, which must have nothing left to do, and take it down. */
void guest_end(struct guest *guest);
/* A clock that the test moves. */
uint64_t clock_read(void *ctx);

#endif
