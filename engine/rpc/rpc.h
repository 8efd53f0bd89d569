/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's remote procedure calls: the slots of what is in flight, and what all its channels share. */
#ifndef ENGINE_RPC_RPC_H
#define ENGINE_RPC_RPC_H

#include "engine/base/slots.h"
#include "engine/net/net.h"
#include "engine/rpc/verb_table.h"

struct rpc_options {
    uint32_t calls_max;    /* outgoing, in flight and waiting */
    uint32_t requests_max; /* incoming, unanswered */
    const struct verb_table *verbs;
};

struct rpc {
    struct weft_shard *shard;
    struct net *net;
    struct slots calls;
    struct slots requests;
    const struct verb_table *verbs;
    struct weft_reply reply; /* the one that callbacks borrow; only its used part is reset */
};

WEFT_NODISCARD enum weft_err rpc_init(struct rpc *rpc, struct net *net, const struct rpc_options *options);
/* No call may be left; asserted.  Requests that nobody answered are dropped. */
void rpc_fini(struct rpc *rpc);

#endif
