/* SPDX-License-Identifier: Apache-2.0 */
/* The load of a run: one shard that keeps a window of calls full, or makes them by a schedule, and measures.
 *
 * Two threads share this struct.  The control thread orders phases, one after the other; the shard follows and says
 * when it has got there, on an eventfd.  Everything that the data path needs is allocated before it starts.
 *
 *     PROBE     one small call over each connection: it opens with the call, which fails with the reason if it cannot
 *     LOAD      the window is full, or the schedule runs
 *     MEASURE   latencies and calls count; one-way: from the receiver's own count on
 *     STOP      no new calls; done when the last one ended */
#ifndef BENCH_RPC_CLIENT_H
#define BENCH_RPC_CLIENT_H

#include <stdatomic.h>

#include <weft/node.h>

#include "bench/report.h"
#include "bench/rpc_bulk.h"
#include "bench/rpc_open.h"

enum rpc_phase { RPC_PROBE = 0, RPC_LOAD, RPC_MEASURE, RPC_STOP };

struct rpc_client;

/* One place of the window. */
struct rpc_slot {
    struct rpc_client *client;
    uint64_t issued_ns;
    uint32_t next_parked; /* of a slot that found a full queue: index + 1 of the next one */
};

struct rpc_client {
    /* Before start. */
    const struct bench_settings *settings;
    struct bench_result *result; /* the shard fills interval, calls, errors and latency */
    weft_peer_id peer;
    uint8_t *payload;
    struct rpc_slot *slots;
    int event; /* eventfd: the shard reached the phase, or failed */

    atomic_int ordered; /* enum rpc_phase; written by the control thread */
    atomic_int reached; /* enum rpc_phase; written by the shard */

    /* The shard's own. */
    weft_shard *shard;
    weft_buf *payload_buf; /* the payload by reference; NULL: it is too small */
    struct rpc_bulk bulk;
    struct rpc_open open;
    struct weft_timer timer;
    struct weft_call_options options;
    uint64_t verb;
    enum rpc_phase phase;
    uint32_t outstanding;   /* calls of the window, and the counts */
    uint32_t parked;        /* index + 1 of the first slot that waits for room in a queue */
    uint32_t counts_unsent; /* COUNT calls that wait for room in a queue */
    uint32_t counts_left;   /* COUNT calls that were not answered yet, sent or not */
    bool count_at_end;      /* one-way: the closing count is still to come */
    uint64_t counted;       /* the largest answer of this round */
    uint64_t counted_at_begin;
};

/* @return ok | NO_MEMORY | SYSTEM */
WEFT_NODISCARD enum weft_err rpc_client_init(struct rpc_client *client, const struct bench_settings *settings,
                                             struct bench_result *result, struct weft_error *why);
/* Its shard must have ended. */
void rpc_client_fini(struct rpc_client *client);
/* For weft_node_start: ctx is the client. */
void rpc_client_on_ready(void *ctx, weft_shard *shard);
/* Control thread. */
void rpc_client_order(struct rpc_client *client, enum rpc_phase phase);
bool rpc_client_reached(const struct rpc_client *client, enum rpc_phase phase);

/* For the files of the client: the first error ends the load. */
void rpc_client_fail(struct rpc_client *client, enum weft_err err, const char *what, const char *text);
/* After STOP: when nothing is on its way any more, it is over. */
void rpc_client_check_done(struct rpc_client *client);

#endif
