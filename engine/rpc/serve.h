/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is being served.  Names its connection by slot and generation, so that an answer that comes after the
 * connection's end finds nobody instead of somebody else. */
#ifndef ENGINE_RPC_SERVE_H
#define ENGINE_RPC_SERVE_H

#include "engine/rpc/channel.h"

struct weft_request {
    struct rpc *rpc;
    uint32_t conn_index;
    uint32_t conn_generation;
    int64_t id;
    uint64_t started_ns;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    struct weft_span payload;
    bool one_way;
};

#endif
