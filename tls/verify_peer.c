/* SPDX-License-Identifier: Apache-2.0 */
/* Owns whether a leaf names one peer that somebody writes down: an address, a host name, the URI of a node, or a
 * pattern of SPIFFE ids.  What the certificate says comes from where nodes get it, and so does what fits. */
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "tls/node_name.h"
#include "tls/openssl_verify.h"
#include "tls/spiffe.h"

static bool peer_is_pattern(const char *peer)
{
    return spiffe_is_one(weft_span_of(peer));
}

enum weft_err tls_verify_check_peer(const char *peer, struct weft_error *why)
{
    struct secure_name name;
    if (peer_is_pattern(peer)) {
        return spiffe_check_pattern(peer, why);
    }
    if (node_name_is_one(weft_span_of(peer)) && !node_name_parse(&name, weft_span_of(peer))) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "\"%.256s\" is no URI of a node; it is like weft://CLUSTER/DC/RACK/UUID, with - for what "
                              "is not known",
                              peer);
    }
    return peer[0] != '\0' ? WEFT_OK : weft_error_set(why, WEFT_ERR_INVALID, "an empty name names nobody");
}

enum weft_reason verify_leaf_peer(X509 *leaf, const char *peer)
{
    struct secure_name name;
    struct secure_identity identity;
    struct address address;
    struct secure_wanted wanted = {.address = NULL};
    char pattern[1][SECURE_PATTERN_BYTES];
    bool by_uri = node_name_is_one(weft_span_of(peer));
    if (peer_is_pattern(peer)) {
        snprintf(pattern[0], sizeof pattern[0], "%s", peer);
        wanted.patterns = pattern;
        wanted.pattern_count = 1;
    } else if (address_parse(&address, peer, 0) == WEFT_OK) {
        wanted.address = &address;
    } else if (!by_uri) {
        wanted.host_name = peer;
    }
    leaf_identity(leaf, &wanted, &identity);
    if (identity.names > 0 && !identity.named) {
        return WEFT_REASON_CERT_NAME_MISMATCH;
    }
    if (by_uri && identity.named && node_name_parse(&name, weft_span_of(peer))) {
        return node_name_fits(&identity.name, &name);
    }
    return identity.member || identity.address_named || identity.host_named ? WEFT_REASON_NONE
                                                                            : WEFT_REASON_CERT_NAME_MISMATCH;
}
