/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk load beside the measured one: a window of WRITE calls on the bulk lane of the same peer, kept full for as long
 * as the run is loaded.  It is not measured but counted, so that a result says how much it was measured beside. */
#ifndef BENCH_RPC_BULK_H
#define BENCH_RPC_BULK_H

#include <weft/node.h>

#include "bench/report.h"

struct rpc_client;

struct rpc_bulk {
    weft_buf *payload;
    uint32_t outstanding;
    uint32_t parked; /* calls that found a full queue */
    uint64_t calls;  /* answered within the measured interval */
};

/* Fill the window; nothing happens if the run has no bulk load. */
void rpc_bulk_start(struct rpc_client *client);
/* Try again what found a full queue. */
void rpc_bulk_go_on(struct rpc_client *client);
/* No call is on its way any more: the payload goes back. */
void rpc_bulk_end(struct rpc_client *client);

#endif
