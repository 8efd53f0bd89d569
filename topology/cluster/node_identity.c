/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a certificate is that of the node which shows it, under require_endpoint_verification.
 *
 * A dialer wants the node that it dialed: the certificate holds the address, or the URI of a node whose id stands in
 * the entry.  An acceptor wants the node that the hello claims: the URI holds its id, or the certificate the source
 * address. Where there is a URI, everything in it must fit, whatever else the certificate names. */
#include <string.h>

#include "topology/cluster/node.h"

static bool same_id(const uint8_t a[UUID_BYTES], const uint8_t b[UUID_BYTES])
{
    return memcmp(a, b, UUID_BYTES) == 0;
}

/* The URI against our cluster, the hello and the entry. */
static enum weft_reason identity_check_name(const struct node_shard *share, const struct secure_name *name,
                                            const struct negotiation *theirs, const struct peer *entry)
{
    const struct location proven = {.dc = name->dc, .rack = name->rack};
    if (strcmp(name->cluster, share->node->settings.cluster_name) != 0) {
        return WEFT_REASON_WRONG_CLUSTER;
    }
    if ((theirs->has_hello && !same_id(theirs->hello.id, name->id)) ||
        (entry != NULL && entry->id_known && !same_id(entry->id, name->id))) {
        return WEFT_REASON_WRONG_NODE;
    }
    if (theirs->has_hello) {
        const struct location claimed = {.dc = theirs->hello.dc, .rack = theirs->hello.rack};
        if (location_contradicts(&proven, &claimed)) {
            return WEFT_REASON_LOCATION_CLAIM_MISMATCH;
        }
    }
    if (entry != NULL) {
        const struct location known = peer_location(entry);
        if (location_contradicts(&known, &proven)) {
            return WEFT_REASON_LOCATION_CLAIM_MISMATCH;
        }
    }
    return WEFT_REASON_NONE;
}

enum weft_reason node_check_identity(const struct node_shard *share, const struct channel *channel,
                                     const struct negotiation *theirs, const struct peer *entry)
{
    const struct secure *secure = channel->conn.secure;
    struct secure_identity identity;
    struct secure_facts facts;
    if (!share->node->settings.endpoint_verification || secure == NULL) {
        return WEFT_REASON_NONE;
    }
    secure->ops->facts(secure, &facts);
    if (!facts.peer_verified) {
        return WEFT_REASON_NONE; /* a client without a certificate is the business of require_client_auth */
    }
    secure->ops->identity(secure, &channel->conn.remote, &identity);
    if (identity.names > 0 && !identity.named) {
        return WEFT_REASON_CERT_NAME_MISMATCH;
    }
    if (identity.named) {
        enum weft_reason reason = identity_check_name(share, &identity.name, theirs, entry);
        if (reason != WEFT_REASON_NONE) {
            return reason;
        }
    }
    bool expected = (entry != NULL && entry->id_known) || (channel->conn.accepted && theirs->has_hello);
    bool fits = identity.address_named || (identity.named && expected);
    return fits ? WEFT_REASON_NONE : WEFT_REASON_CERT_NAME_MISMATCH;
}
