/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what a certificate says of who shows it.  Happy path: one pass over its alternative names; the subject names
 * nobody.  Failure modes: a name that cannot be read is no name; whether what is found is enough is the asker's
 * business. */
#include <stdio.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "tls/node_name.h"
#include "tls/openssl_describe.h"
#include "tls/openssl_verify.h"
#include "tls/spiffe.h"

static bool identity_match(const struct secure_wanted *wanted, struct weft_span uri, struct secure_name *name)
{
    for (uint32_t i = 0; i < wanted->pattern_count; i++) {
        if (spiffe_match(wanted->patterns[i], uri, name)) {
            return true;
        }
    }
    return false;
}

static void identity_take_uri(struct secure_identity *identity, const struct secure_wanted *wanted,
                              struct weft_span uri)
{
    bool first = identity->names == 0;
    if (node_name_is_one(uri)) {
        identity->named = node_name_parse(&identity->name, uri) && first;
        identity->names++;
    } else if (wanted->pattern_count > 0 && spiffe_is_one(uri)) {
        identity->member = identity_match(wanted, uri, &identity->name) && first;
        identity->named = identity->member;
        identity->names++;
    }
}

static void identity_show(struct secure_identity *identity, const GENERAL_NAME *name)
{
    size_t used = strlen(identity->shown);
    int more = snprintf(identity->shown + used, sizeof identity->shown - used, "%s", used > 0 ? " " : "");
    used += (size_t)more;
    if (used < sizeof identity->shown) {
        describe_name(name, identity->shown + used, (uint32_t)(sizeof identity->shown - used));
    }
}

void leaf_identity(X509 *leaf, const struct secure_wanted *wanted, struct secure_identity *identity)
{
    uint32_t uris = 0;
    *identity = (struct secure_identity){.verified = true};
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        identity_show(identity, name);
        if (name->type == GEN_URI) {
            const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
            const struct weft_span text = {ASN1_STRING_get0_data(uri), (uint32_t)ASN1_STRING_length(uri)};
            identity_take_uri(identity, wanted, text);
            uris++;
        }
    }
    GENERAL_NAMES_free(names);
    if (identity->member && uris > 1) { /* a certificate with a SPIFFE id has no other URI */
        identity->member = identity->named = false;
    }
    if (wanted->address != NULL) {
        char text[ADDRESS_TEXT_BYTES];
        address_print_ip(wanted->address, text);
        identity->address_named = verify_leaf_names(leaf, text);
    }
    identity->host_named = wanted->host_name != NULL && verify_leaf_names(leaf, wanted->host_name);
}
