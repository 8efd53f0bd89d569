/* SPDX-License-Identifier: Apache-2.0 */
/* The encryption policy.  Pure; the order of the tests below is the documented precedence of reasons.
 *
 * A scope outside the enum can only come from a caller's mistake; it is treated as `all`, the strictest. */
#include "topology/cluster/policy.h"

#include <string.h>

/* How a peer stands to us, as far as a scope cares. */
enum relation {
    RELATION_OWN_UNKNOWN,
    RELATION_PEER_UNKNOWN,
    RELATION_SAME_RACK,
    RELATION_OTHER_RACK, /* or racks that cannot be compared, under a scope that does not care */
    RELATION_OTHER_DC
};

static struct policy_decision decision(enum policy_verdict verdict, enum weft_reason reason)
{
    return (struct policy_decision){.verdict = verdict, .reason = reason};
}

/* Under `rack` a location without its rack is as good as none; under `dc` the data centre is enough. */
static bool location_suffices(enum weft_encryption scope, const struct location *location)
{
    return scope == WEFT_ENCRYPTION_DC ? location_dc_known(location) : location_known(location);
}

static enum relation relation_of(enum weft_encryption scope, const struct location *own, const struct location *peer)
{
    if (!location_suffices(scope, own)) {
        return RELATION_OWN_UNKNOWN;
    }
    if (!location_suffices(scope, peer)) {
        return RELATION_PEER_UNKNOWN;
    }
    if (!location_same_dc(own, peer)) {
        return RELATION_OTHER_DC;
    }
    return location_same_rack(own, peer) ? RELATION_SAME_RACK : RELATION_OTHER_RACK;
}

struct policy_decision policy_outgoing(enum weft_encryption scope, const struct location *own,
                                       const struct location *peer, enum weft_lane lane)
{
    if (scope == WEFT_ENCRYPTION_NONE) {
        return decision(POLICY_PLAIN, WEFT_REASON_SCOPE_NONE);
    }
    if (scope == WEFT_ENCRYPTION_TRANSITIONAL) {
        return decision(POLICY_TLS, WEFT_REASON_TRANSITIONAL);
    }
    if (!policy_uses_location(scope)) {
        return decision(POLICY_TLS, WEFT_REASON_SCOPE_ALL);
    }
    if (lane == WEFT_LANE_CONTROL) {
        return decision(POLICY_TLS, WEFT_REASON_CONTROL_LANE);
    }
    switch (relation_of(scope, own, peer)) {
    case RELATION_OWN_UNKNOWN:
        return decision(POLICY_TLS, WEFT_REASON_OWN_LOCATION_UNKNOWN);
    case RELATION_PEER_UNKNOWN:
        return decision(POLICY_TLS, WEFT_REASON_LOCATION_UNKNOWN);
    case RELATION_SAME_RACK:
        return decision(POLICY_PLAIN, WEFT_REASON_SAME_RACK);
    case RELATION_OTHER_RACK:
        if (scope == WEFT_ENCRYPTION_DC) {
            return decision(POLICY_PLAIN, WEFT_REASON_SAME_DC);
        }
        return decision(POLICY_TLS, WEFT_REASON_OTHER_RACK);
    case RELATION_OTHER_DC:
        break;
    }
    return decision(POLICY_TLS, WEFT_REASON_OTHER_DC);
}

static struct policy_decision incoming_tls(const struct policy_incoming *in)
{
    if (!policy_has_tls_listener(in->scope, in->certificate_configured)) {
        return decision(POLICY_REFUSE, WEFT_REASON_NO_LISTENER);
    }
    return decision(POLICY_TLS,
                    in->scope == WEFT_ENCRYPTION_NONE ? WEFT_REASON_PASSIVE_LISTENER : WEFT_REASON_TLS_LISTENER);
}

static struct policy_decision incoming_plain(const struct policy_incoming *in)
{
    if (!policy_has_plain_listener(in->scope)) {
        return decision(POLICY_REFUSE, WEFT_REASON_NO_LISTENER);
    }
    if (in->scope == WEFT_ENCRYPTION_NONE) {
        return decision(POLICY_PLAIN, WEFT_REASON_SCOPE_NONE);
    }
    if (in->scope == WEFT_ENCRYPTION_TRANSITIONAL) {
        return decision(POLICY_PLAIN, WEFT_REASON_TRANSITIONAL);
    }
    enum relation relation = relation_of(in->scope, in->own, in->peer);
    if (relation == RELATION_OWN_UNKNOWN || relation == RELATION_PEER_UNKNOWN) {
        return decision(POLICY_REFUSE, WEFT_REASON_PLAINTEXT_UNKNOWN_LOCATION);
    }
    if (in->lane == WEFT_LANE_CONTROL) {
        return decision(POLICY_REFUSE, WEFT_REASON_PLAINTEXT_FORBIDDEN);
    }
    if (relation == RELATION_SAME_RACK) {
        return decision(POLICY_PLAIN, WEFT_REASON_SAME_RACK);
    }
    if (relation == RELATION_OTHER_RACK && in->scope == WEFT_ENCRYPTION_DC) {
        return decision(POLICY_PLAIN, WEFT_REASON_SAME_DC);
    }
    return decision(POLICY_REFUSE, WEFT_REASON_PLAINTEXT_FORBIDDEN);
}

struct policy_decision policy_incoming(const struct policy_incoming *in)
{
    return in->tls ? incoming_tls(in) : incoming_plain(in);
}

uint16_t policy_port(enum policy_verdict verdict, uint16_t storage_port, uint16_t ssl_storage_port)
{
    switch (verdict) {
    case POLICY_PLAIN:
        return storage_port;
    case POLICY_TLS:
        return ssl_storage_port;
    case POLICY_REFUSE:
        break;
    }
    return 0;
}

bool policy_uses_location(enum weft_encryption scope)
{
    return scope == WEFT_ENCRYPTION_RACK || scope == WEFT_ENCRYPTION_DC;
}

bool policy_own_location_missing(enum weft_encryption scope, const struct location *own)
{
    return policy_uses_location(scope) && !location_suffices(scope, own);
}

bool policy_has_plain_listener(enum weft_encryption scope)
{
    return scope == WEFT_ENCRYPTION_NONE || scope == WEFT_ENCRYPTION_TRANSITIONAL || policy_uses_location(scope);
}

bool policy_has_tls_listener(enum weft_encryption scope, bool certificate_in_block)
{
    return scope != WEFT_ENCRYPTION_NONE || certificate_in_block;
}

bool policy_dials_tls(enum weft_encryption scope)
{
    return scope != WEFT_ENCRYPTION_NONE;
}

bool policy_dials_plain(enum weft_encryption scope)
{
    return scope == WEFT_ENCRYPTION_NONE || policy_uses_location(scope);
}

bool policy_needs_certificate(enum weft_encryption scope)
{
    return scope != WEFT_ENCRYPTION_NONE;
}

const char *weft_encryption_name(enum weft_encryption encryption)
{
    switch (encryption) {
    case WEFT_ENCRYPTION_NONE:
        return "none";
    case WEFT_ENCRYPTION_RACK:
        return "rack";
    case WEFT_ENCRYPTION_DC:
        return "dc";
    case WEFT_ENCRYPTION_ALL:
        return "all";
    case WEFT_ENCRYPTION_TRANSITIONAL:
        return "transitional";
    }
    return "unknown";
}

bool policy_encryption_parse(const char *text, enum weft_encryption *out)
{
    static const enum weft_encryption scopes[] = {WEFT_ENCRYPTION_NONE, WEFT_ENCRYPTION_RACK, WEFT_ENCRYPTION_DC,
                                                  WEFT_ENCRYPTION_ALL, WEFT_ENCRYPTION_TRANSITIONAL};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        if (strcmp(text, weft_encryption_name(scopes[i])) == 0) {
            *out = scopes[i];
            return true;
        }
    }
    return false;
}

const char *policy_verdict_name(enum policy_verdict verdict)
{
    switch (verdict) {
    case POLICY_PLAIN:
        return "plain";
    case POLICY_TLS:
        return "tls";
    case POLICY_REFUSE:
        return "refuse";
    }
    return "unknown";
}
