/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a certificate is that of the node which shows it, under require_endpoint_verification.
 *
 * A dialer wants the node that it dialed: the certificate holds the address, or the URI of a node whose id stands in
 * the entry.  An acceptor wants the node that the hello claims: the URI holds its id, or the certificate the source
 * address.  A peer that is configured by a host name must be named by it instead of the address, since whoever answers
 * for the name says what that is.  A SPIFFE id that matches a pattern is a node's of ours, whichever that is.  Where
 * there is a URI or such an id, everything in it must fit, whatever else the certificate names.
 *
 * It is looked at twice: when the handshake is done, without a hello, since most certificates are right or wrong
 * whatever it says; and with the hello.  And again when the topology changed (node_adopt.c). */
#include <string.h>

#include "engine/base/error.h"
#include "tls/node_name.h"
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

static enum weft_reason identity_refuse(const struct identity_check *check, enum weft_reason reason, const char *wanted)
{
    const struct secure_identity *identity = check->identity;
    weft_error_set_reason(check->why, WEFT_ERR_REFUSED, reason, "the certificate names %s; %s",
                          identity->shown[0] != '\0' ? identity->shown : "nobody", wanted);
    return reason;
}

/* What the hello claims of the node. */
static void name_of_hello(const struct hello *hello, struct secure_name *name)
{
    memcpy(name->cluster, hello->cluster, sizeof name->cluster);
    memcpy(name->dc, hello->dc, sizeof name->dc);
    memcpy(name->rack, hello->rack, sizeof name->rack);
    memcpy(name->id, hello->id, sizeof name->id);
    name->has_id = true;
}

/* What the topology knows of it. */
static void name_of_entry(const struct peer *entry, struct secure_name *name)
{
    if (entry != NULL) {
        memcpy(name->dc, entry->dc, sizeof name->dc);
        memcpy(name->rack, entry->rack, sizeof name->rack);
        memcpy(name->id, entry->id, sizeof name->id);
        name->has_id = entry->id_known;
    }
}

/* What the certificate says of the node against our cluster and the entry, then against the hello. */
static enum weft_reason identity_check_name(const struct identity_check *check)
{
    struct secure_name known = {.has_id = false};
    struct secure_name claimed = {.has_id = false};
    memcpy(known.cluster, check->share->node->settings.cluster_name, sizeof known.cluster);
    name_of_entry(check->entry, &known);
    enum weft_reason reason = node_name_fits(&check->identity->name, &known);
    if (reason != WEFT_REASON_NONE) {
        return identity_refuse(check, reason,
                               reason == WEFT_REASON_WRONG_CLUSTER ? "its cluster is not cluster_name"
                               : reason == WEFT_REASON_WRONG_NODE  ? "its id is not that of the peer's entry"
                                                                   : "the peer's entry has another dc or rack");
    }
    if (check->theirs != NULL && check->theirs->has_hello) {
        name_of_hello(&check->theirs->hello, &claimed);
        reason = node_name_fits(&check->identity->name, &claimed);
    }
    return reason == WEFT_REASON_NONE ? reason : identity_refuse(check, reason, "the node's hello says otherwise");
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
        return identity_refuse(check, WEFT_REASON_CERT_NAME_MISMATCH,
                               "that is not one well-formed URI of a node, or one SPIFFE id of spiffe_ids");
    }
    if (identity->named) {
        enum weft_reason reason = identity_check_name(check);
        if (reason != WEFT_REASON_NONE) {
            return reason;
        }
    }
    bool by_name = check->entry != NULL && check->entry->host_name[0] != '\0';
    bool by_id = identity->named && identity->name.has_id && identity_expects_id(check);
    if (identity->member || by_id || (by_name ? identity->host_named : identity->address_named)) {
        return WEFT_REASON_NONE;
    }
    return identity_refuse(check, WEFT_REASON_CERT_NAME_MISMATCH,
                           by_name ? "the host name by which the peer is configured is not there"
                                   : "the address is not there");
}

static enum weft_reason identity_judge(const struct node_shard *share, const struct channel *channel,
                                       const struct negotiation *theirs, const struct peer *entry,
                                       struct secure_identity *identity, struct weft_error *why)
{
    const struct secure *secure = channel->conn.secure;
    const struct settings *settings = &share->node->settings;
    const struct secure_wanted wanted = {
        .address = &channel->conn.remote,
        .host_name = entry != NULL && entry->host_name[0] != '\0' ? entry->host_name : NULL,
        .patterns = settings->spiffe_ids,
        .pattern_count = settings->spiffe_id_count,
    };
    secure->ops->identity(secure, &wanted, identity);
    if (!identity->verified) {
        return WEFT_REASON_NONE; /* a client without a certificate is the business of require_client_auth */
    }
    const struct identity_check check = {
        .share = share, .channel = channel, .theirs = theirs, .entry = entry, .identity = identity, .why = why};
    return identity_check(&check);
}

enum weft_reason node_check_identity(const struct node_shard *share, const struct channel *channel,
                                     const struct negotiation *theirs, const struct peer *entry, struct weft_error *why)
{
    struct secure_identity identity;
    bool asked = share->node->settings.endpoint_verification && channel->conn.secure != NULL;
    return asked ? identity_judge(share, channel, theirs, entry, &identity, why) : WEFT_REASON_NONE;
}

enum weft_reason node_identify(const struct node_shard *share, const struct channel *channel,
                               const struct negotiation *theirs, const struct peer *entry,
                               struct secure_identity *identity)
{
    *identity = (struct secure_identity){.verified = false};
    return channel->conn.secure == NULL ? WEFT_REASON_NONE
                                        : identity_judge(share, channel, theirs, entry, identity, NULL);
}
