/* SPDX-License-Identifier: Apache-2.0 */
/* An open loop: calls by a schedule that waits for no answer, as users do.
 *
 * A latency counts from the time that the schedule names, however late the call was made: a server that stands still
 * makes every call of that time slow, and none of them is left out.  Each call is counted once, by how it ended, so
 * that the sums of both sides can be compared when nothing is on its way any more. */
#ifndef BENCH_RPC_OPEN_H
#define BENCH_RPC_OPEN_H

#include <weft/node.h>

struct rpc_client;

/* One call under way. */
struct rpc_arrival {
    struct rpc_client *client;
    uint64_t scheduled_ns;
    uint32_t next_free; /* index + 1 */
};

struct rpc_open {
    struct rpc_arrival *arrivals; /* NULL: the loop is closed */
    struct weft_timer timer;
    uint64_t begin_ns;
    uint64_t count; /* of calls that were due */
    uint32_t free;  /* index + 1 of the first arrival that is not under way */
    bool fence_due; /* the load began, and its last calls are still to come */
};

/* Nothing happens where the settings name no rate.  @return ok | NO_MEMORY */
WEFT_NODISCARD enum weft_err rpc_open_init(struct rpc_client *client, struct weft_error *why);
void rpc_open_fini(struct rpc_client *client);
/* The schedule begins. */
void rpc_open_start(struct rpc_client *client, uint64_t now_ns);
/* After the last call has ended: one more on each connection, so that their answers say that the server has seen all
 * that came before. */
void rpc_open_fence(struct rpc_client *client);

#endif
