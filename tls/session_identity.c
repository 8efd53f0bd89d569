/* SPDX-License-Identifier: Apache-2.0 */
/* What the peer's certificate says of who it is.  The chain was verified in the handshake; a session without a peer's
 * certificate names nobody. */
#include <openssl/x509v3.h>

#include "engine/base/assert.h"
#include "tls/node_name.h"
#include "tls/openssl_session.h"

static void identity_take_uri(struct secure_identity *identity, const ASN1_IA5STRING *uri)
{
    const struct weft_span text = {ASN1_STRING_get0_data(uri), (uint32_t)ASN1_STRING_length(uri)};
    if (node_name_is_one(text)) {
        identity->named = node_name_parse(&identity->name, text) && identity->names == 0;
        identity->names++;
    }
}

void session_identity(const struct secure *secure, const struct address *address, struct secure_identity *identity)
{
    const struct session *session = WEFT_CONTAINER_OF(secure, const struct session, secure);
    X509 *leaf = SSL_get0_peer_certificate(session->ssl);
    char text[ADDRESS_TEXT_BYTES];
    *identity = (struct secure_identity){0};
    if (leaf == NULL || SSL_get_verify_result(session->ssl) != X509_V_OK) {
        return;
    }
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            identity_take_uri(identity, name->d.uniformResourceIdentifier);
        }
    }
    GENERAL_NAMES_free(names);
    address_print_ip(address, text);
    identity->address_named = verify_leaf_names(leaf, text);
}
