/* SPDX-License-Identifier: Apache-2.0 */
/* The host's say in who connects and what runs. */
#include <string.h>

#include <weft/guard.h>

#include "topology/cluster/node.h"

enum weft_err weft_node_admit(weft_node *node, weft_admit_fn *fn, void *ctx)
{
    WEFT_TRY(node_check_control(node, "admission", NULL));
    if (node->state != NODE_CREATED) {
        return WEFT_ERR_STATE;
    }
    node->admit = fn;
    node->admit_ctx = ctx;
    return WEFT_OK;
}

enum weft_err weft_node_authorize(weft_node *node, weft_authorize_fn *fn, void *ctx)
{
    WEFT_TRY(node_check_control(node, "authorization", NULL));
    if (node->state != NODE_CREATED) {
        return WEFT_ERR_STATE;
    }
    node->authorize = fn;
    node->authorize_ctx = ctx;
    return WEFT_OK;
}

/* A peer that a current revocation list might refuse: counted each time. */
static void guard_note_expired_list(struct node_shard *share, const char *address)
{
    COUNT(share->shard, crl_expired_admitted);
    log_event(&share->log, share->shard->now_ns, LOG_CRL_EXPIRED, 'W',
              "%s: admitted though the revocation list of its issuer has expired", address);
}

/* A certificate of our cluster that names the very id which the peer says. */
static bool guard_certifies(const struct node_shard *share, const struct secure_identity *identity,
                            const struct negotiation *theirs)
{
    const struct secure_name *name = &identity->name;
    bool ours = name->cluster[0] == '\0' || strcmp(name->cluster, share->node->settings.cluster_name) == 0;
    return identity->named && name->has_id && ours && theirs->has_hello &&
           memcmp(name->id, theirs->hello.id, UUID_BYTES) == 0;
}

enum weft_reason node_ask_admit(struct node_shard *share, struct channel *channel, const struct negotiation *theirs,
                                const struct peer *entry)
{
    static const uint8_t nobody[UUID_BYTES];
    const struct weft_node *node = share->node;
    struct secure_facts facts = {0};
    struct secure_identity identity;
    char address[ADDRESS_TEXT_BYTES];
    if (channel->conn.secure != NULL) {
        channel->conn.secure->ops->facts(channel->conn.secure, &facts);
    }
    bool fits = node_identify(share, channel, theirs, entry, &identity) == WEFT_REASON_NONE;
    channel->verified = facts.peer_verified;
    channel->certified = guard_certifies(share, &identity, theirs);
    address_print(&channel->conn.remote, address);
    if (facts.crl_expired) {
        guard_note_expired_list(share, address);
    }
    if (node->admit == NULL) {
        return WEFT_REASON_NONE;
    }
    const struct weft_admission admission = {
        .outgoing = !channel->conn.accepted,
        .encrypted = channel->conn.secure != NULL,
        .verified = facts.peer_verified,
        .hello = theirs->has_hello,
        .lane = channel->lane,
        .peer = node_peer_of(share, channel),
        .address = address,
        .dc = theirs->has_hello ? theirs->hello.dc : "",
        .rack = theirs->has_hello ? theirs->hello.rack : "",
        .id = theirs->has_hello ? theirs->hello.id : nobody,
        .incarnation = theirs->has_hello ? theirs->hello.incarnation : 0,
        .tls_version = facts.version,
        .tls_cipher = facts.cipher,
        .names = identity.shown,
        .named = identity.verified && fits,
        .certified = channel->certified,
        .certified_cluster = identity.named ? identity.name.cluster : "",
        .certified_dc = identity.named ? identity.name.dc : "",
        .certified_rack = identity.named ? identity.name.rack : "",
        .certified_id = identity.named && identity.name.has_id ? identity.name.id : nobody,
    };
    return node->admit(node->admit_ctx, share->shard, &admission) ? WEFT_REASON_NONE : WEFT_REASON_ADMIT_CALLBACK;
}

bool node_ask_authorize(struct node_shard *share, const struct channel *channel, uint64_t verb)
{
    const struct weft_node *node = share->node;
    const struct weft_access access = {
        .verb = verb,
        .lane = channel->lane,
        .encrypted = channel->conn.secure != NULL,
        .verified = channel->verified,
        .hello = channel->peer_hello,
        .peer = node_peer_of(share, channel),
    };
    return node->authorize(node->authorize_ctx, share->shard, &access);
}
