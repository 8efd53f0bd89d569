/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a certificate is that of the node which shows it, under require_endpoint_verification.
 *
 * A dialer wants the node that it dialed: the certificate holds the address, or the URI of a node whose id stands in
 * the entry.  An acceptor wants the node that the hello claims: the URI holds its id, or the certificate the source
 * address.  Where there is a URI, everything in it must fit, whatever else the certificate names.
 *
 * It is looked at twice: when the handshake is done, without a hello, since most certificates are right or wrong
 * whatever it says; and with the hello.  And again when the topology changed (node_adopt.c). */
#include <string.h>

#include "engine/base/error.h"
#include "topology/cluster/node.h"

/* What a certificate is compared with. */
struct identity_check {
    const struct node_shard *share;
    const struct channel *channel;
    const struct negotiation *theirs; /* NULL: not here yet, or looked at before */
    const struct peer *entry;         /* NULL: the topology has none, or several, for the address */
    const struct secure_identity *identity;
    struct weft_error *why;
};

static bool same_id(const uint8_t a[UUID_BYTES], const uint8_t b[UUID_BYTES])
{
    return memcmp(a, b, UUID_BYTES) == 0;
}

static enum weft_reason identity_refuse(const struct identity_check *check, enum weft_reason reason, const char *wanted)
{
    const struct secure_identity *identity = check->identity;
    weft_error_set_reason(check->why, WEFT_ERR_REFUSED, reason, "the certificate names %s; %s",
                          identity->shown[0] != '\0' ? identity->shown : "nobody", wanted);
    return reason;
}

static bool identity_contradicts_hello(const struct identity_check *check, const struct location *proven)
{
    const struct location claimed = {.dc = check->theirs->hello.dc, .rack = check->theirs->hello.rack};
    return location_contradicts(proven, &claimed);
}

static bool identity_contradicts_entry(const struct identity_check *check, const struct location *proven)
{
    const struct location known = peer_location(check->entry);
    return location_contradicts(&known, proven);
}

/* The URI against our cluster, the hello and the entry. */
static enum weft_reason identity_check_name(const struct identity_check *check)
{
    const struct secure_name *name = &check->identity->name;
    const struct location proven = {.dc = name->dc, .rack = name->rack};
    bool hello = check->theirs != NULL && check->theirs->has_hello;
    if (strcmp(name->cluster, check->share->node->settings.cluster_name) != 0) {
        return identity_refuse(check, WEFT_REASON_WRONG_CLUSTER, "its cluster is not cluster_name");
    }
    if (hello && !same_id(check->theirs->hello.id, name->id)) {
        return identity_refuse(check, WEFT_REASON_WRONG_NODE, "its id is not the node's own");
    }
    if (check->entry != NULL && check->entry->id_known && !same_id(check->entry->id, name->id)) {
        return identity_refuse(check, WEFT_REASON_WRONG_NODE, "its id is not that of the peer's entry");
    }
    if (hello && identity_contradicts_hello(check, &proven)) {
        return identity_refuse(check, WEFT_REASON_LOCATION_CLAIM_MISMATCH, "the node says another dc or rack");
    }
    if (check->entry != NULL && identity_contradicts_entry(check, &proven)) {
        return identity_refuse(check, WEFT_REASON_LOCATION_CLAIM_MISMATCH, "the peer's entry has another dc or rack");
    }
    return WEFT_REASON_NONE;
}

/* Is there somebody with whom an id can be compared?  A dialer knows the id of its entry or none; who dials says one,
 * or will, or did. */
static bool identity_expects_id(const struct identity_check *check)
{
    bool claimed = check->channel->conn.accepted && (check->theirs == NULL || check->theirs->has_hello);
    return claimed || (check->entry != NULL && check->entry->id_known);
}

static enum weft_reason identity_check(const struct identity_check *check)
{
    const struct secure_identity *identity = check->identity;
    if (identity->names > 0 && !identity->named) {
        return identity_refuse(check, WEFT_REASON_CERT_NAME_MISMATCH, "that is not one well-formed weft URI");
    }
    if (identity->named) {
        enum weft_reason reason = identity_check_name(check);
        if (reason != WEFT_REASON_NONE) {
            return reason;
        }
    }
    if (identity->address_named || (identity->named && identity_expects_id(check))) {
        return WEFT_REASON_NONE;
    }
    return identity_refuse(check, WEFT_REASON_CERT_NAME_MISMATCH,
                           identity->named ? "the address is not there, and no id of the peer is known"
                                           : "the address is not there");
}

enum weft_reason node_check_identity(const struct node_shard *share, const struct channel *channel,
                                     const struct negotiation *theirs, const struct peer *entry, struct weft_error *why)
{
    const struct secure *secure = channel->conn.secure;
    const struct secure_wanted wanted = {.address = &channel->conn.remote};
    struct secure_identity identity;
    if (!share->node->settings.endpoint_verification || secure == NULL) {
        return WEFT_REASON_NONE;
    }
    secure->ops->identity(secure, &wanted, &identity);
    if (!identity.verified) {
        return WEFT_REASON_NONE; /* a client without a certificate is the business of require_client_auth */
    }
    const struct identity_check check = {
        .share = share, .channel = channel, .theirs = theirs, .entry = entry, .identity = &identity, .why = why};
    return identity_check(&check);
}
