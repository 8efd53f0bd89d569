/* SPDX-License-Identifier: Apache-2.0 */
/* The server of a local run: a process of its own with the very node that `weft node` starts, on 127.0.0.1 and a free
 * port, pinned to its CPU.  It answers questions about its cost, and ends with the socket to its parent. */
#ifndef BENCH_RPC_SERVER_H
#define BENCH_RPC_SERVER_H

#include <sys/types.h>

#include <weft/node.h>

#include "bench/rpc_tls.h"
#include "bench/settings.h"

/* A process's counters and CPU time, at one moment. */
struct rpc_snapshot {
    struct weft_counters counters;
    uint64_t cpu_ns;
    uint64_t resident_bytes;
    uint64_t resident_bytes_max; /* since the process began */
};

/* Of the local server alone: burns CPU, then answers with what it got. */
#define RPC_VERB_BURN 1000u

struct rpc_server {
    pid_t pid;
    int socket;
    uint16_t port; /* of the listener that the client dials */
};

/* Fork, and wait until it listens.  @param files NULL on plain runs; read before this returns
 * @return ok | SYSTEM | whatever the node's start failed with */
WEFT_NODISCARD enum weft_err rpc_server_start(struct rpc_server *server, const struct bench_settings *settings,
                                              const struct rpc_tls_files *files, struct weft_error *why);
WEFT_NODISCARD enum weft_err rpc_server_snapshot(struct rpc_server *server, struct rpc_snapshot *snapshot,
                                                 struct weft_error *why);
/* Ends the process and waits for it.  A zeroed one is fine. */
void rpc_server_stop(struct rpc_server *server);

/* What both sides of a run tell their node: threads, memory and queues for its window. */
void rpc_node_options(struct weft_node_options *options, const struct bench_settings *settings,
                      const struct rpc_tls_files *files);
/* This process's. */
void rpc_snapshot_take(struct rpc_snapshot *snapshot, const weft_node *node);

#endif
