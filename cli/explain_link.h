/* SPDX-License-Identifier: Apache-2.0 */
/* One link that `weft explain` is asked about: the question to the policy, its answer, and the port. */
#ifndef CLI_EXPLAIN_LINK_H
#define CLI_EXPLAIN_LINK_H

#include "config/config.h"
#include "topology/cluster/peer.h"
#include "topology/cluster/policy.h"

enum explain_direction { DIRECTION_OUT = 0, DIRECTION_IN_PLAIN, DIRECTION_IN_TLS };
#define EXPLAIN_DIRECTIONS 3

struct explain_link {
    enum explain_direction direction;
    enum weft_lane lane;
    struct location own;
    struct location peer;
    bool self;                /* the peer is this node, by its address */
    const struct peer *entry; /* of the topology, with ports of its own; NULL: none, or not just one */
};

struct explain_answer {
    struct policy_decision decision;
    uint16_t port; /* the one that is dialed, or that the peer has dialed here; 0 if refused */
};

/* "out", "in-plain" or "in-tls". */
const char *explain_direction_name(enum explain_direction direction);
/* @return false: none of these */
bool explain_direction_parse(const char *text, enum explain_direction *direction);

struct explain_answer explain_link_ask(const struct config *config, const struct explain_link *link);

#endif
