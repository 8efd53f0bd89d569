/* SPDX-License-Identifier: Apache-2.0 */
/* The encryption policy: which connections are plain, which are TLS, and which are refused.
 *
 * Pure functions from what is configured and known to a decision and its reason.  Dialers, acceptors, the table
 * that is logged at start, `weft check` and `weft explain` all ask here; nothing else decides.
 *
 *   scope         same rack   same DC   other DC   unknown   control lane
 *   none          plain       plain     plain      plain     plain
 *   rack          plain       TLS       TLS        TLS       TLS
 *   dc            plain       plain     TLS        TLS       TLS
 *   all           TLS         TLS       TLS        TLS       TLS
 *   transitional  TLS         TLS       TLS        TLS       TLS          (and plain is still admitted)
 *
 * Doubt never lowers protection: an unknown location, ours or the peer's, is treated as another data centre.  A
 * location that names only its data centre is enough where racks do not matter (dc). */
#ifndef TOPOLOGY_CLUSTER_POLICY_H
#define TOPOLOGY_CLUSTER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/node.h>

#include "topology/cluster/location.h"

enum policy_verdict { POLICY_PLAIN = 0, POLICY_TLS, POLICY_REFUSE };

struct policy_decision {
    enum policy_verdict verdict;
    enum weft_reason reason; /* POLICY_REFUSE: a refusal; else one of the reasons of positive decisions */
};

/* A connection that arrived. */
struct policy_incoming {
    enum weft_encryption scope;
    const struct location *own;
    const struct location *peer; /* what the topology says of the source address, never what the peer says */
    enum weft_lane lane;
    bool tls;                    /* it came to the TLS listener */
    bool certificate_configured; /* the certificate was named in the block: a listener even under none */
};

/* How to dial a peer; never POLICY_REFUSE. */
struct policy_decision policy_outgoing(enum weft_encryption scope, const struct location *own,
                                       const struct location *peer, enum weft_lane lane);

/* Whether to admit a connection; PLAIN and TLS say that it is admitted the way it came. */
struct policy_decision policy_incoming(const struct policy_incoming *in);

/* Where a connection of this verdict goes, on either side: the plain port, the TLS port, or 0 where it is refused. */
uint16_t policy_port(enum policy_verdict verdict, uint16_t storage_port, uint16_t ssl_storage_port);

/* The listeners that a scope opens. */
bool policy_has_plain_listener(enum weft_encryption scope);
bool policy_has_tls_listener(enum weft_encryption scope, bool certificate_in_block);
/* Some peer could be dialed over TLS. */
bool policy_dials_tls(enum weft_encryption scope);
/* Some peer could be dialed in plaintext. */
bool policy_dials_plain(enum weft_encryption scope);
/* The scope cannot start without a certificate and its key. */
bool policy_needs_certificate(enum weft_encryption scope);
/* Decisions depend on where nodes are, so that an unknown own location deserves a warning. */
bool policy_uses_location(enum weft_encryption scope);
/* With what is known of `own`, locations cannot be compared as the scope wants: everything is TLS. */
bool policy_own_location_missing(enum weft_encryption scope, const struct location *own);

/* The scope of a word, exactly as written in a configuration.  @return false: not one of the five words */
bool policy_encryption_parse(const char *text, enum weft_encryption *out);
/* "plain", "tls" or "refuse". */
const char *policy_verdict_name(enum policy_verdict verdict);

#endif
