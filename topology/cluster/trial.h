/* SPDX-License-Identifier: Apache-2.0 */
/* One dial, as the node that the options describe would make it, and what became of it.
 *
 *     trial_run(&config->options, &trial, &result, why);
 *
 * It uses the node's credentials, policy of names, source address and time limits, and goes as far as the negotiation,
 * since only the peer's answer tells that it agrees; then it hangs up.  Nobody is called, no port is opened, and a node
 * of the same id that runs meanwhile loses nothing: the trial says hello on the normal lane, in the oldest incarnation
 * there can be. */
#ifndef TOPOLOGY_CLUSTER_TRIAL_H
#define TOPOLOGY_CLUSTER_TRIAL_H

#include <weft/node.h>

#include "engine/io/address.h"
#include "engine/net/secure.h"
#include "engine/rpc/hello.h"

struct trial {
    struct address to;
    bool tls;
};

struct trial_result {
    bool reached;
    bool told;                 /* not reached: the peer said so, and not we */
    struct weft_error error;   /* not reached: reason and text */
    struct secure_facts facts; /* of TLS, as far as its handshake came */
    bool secured;              /* it was done */
    bool has_hello;            /* reached: the peer is a weft node, and this is what it said */
    struct hello hello;
};

/* Blocks, for three times handshake_timeout and a second at most.
 * @param options as of a node; its log, listeners and shards do not matter
 * @return ok: see the result | CONFIG: TLS, but no certificate to do it with | as weft_node_create and _start */
WEFT_NODISCARD enum weft_err trial_run(const struct weft_node_options *options, const struct trial *trial,
                                       struct trial_result *result, struct weft_error *why);

#endif
