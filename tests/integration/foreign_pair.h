/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes, and what foreign threads do with the first of them. */
#ifndef WEFT_TESTS_INTEGRATION_FOREIGN_PAIR_H
#define WEFT_TESTS_INTEGRATION_FOREIGN_PAIR_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/integration/node_host.h"

#define POLL_MS 30000

struct foreign_pair {
    struct host a;
    struct host b;
};

/* How calls ended, and where. */
struct endings {
    uint32_t ended;
    uint32_t ok;
    enum weft_err last;
    struct weft_error error;
    enum weft_executed executed;
    uint32_t bytes;
    uint8_t first;
    pthread_t thread;
};

/* A shard that is held up in a task until it is let go. */
struct gate {
    atomic_bool closed;
    atomic_bool reached;
    uint32_t ran;
};

void foreign_pair_start(struct foreign_pair *pair, const char *backend, const char *shards);
void foreign_pair_end(struct foreign_pair *pair);

weft_foreign *foreign_make(weft_node *node, uint32_t calls_max, uint32_t payload_bytes_max);
/* Wait for the descriptor, then run; must come. */
uint32_t foreign_wait(weft_foreign *foreign);
/* Call the second node. */
enum weft_err foreign_ask(weft_foreign *foreign, uint32_t shard, uint64_t verb, uint32_t bytes, struct endings *tally);
void endings_note(void *ctx, enum weft_err err, const struct weft_reply *reply);

void gate_count(void *ctx, weft_shard *shard);
/* Hold the first shard up. */
void gate_shut(struct gate *gate, weft_foreign *foreign);

#endif
