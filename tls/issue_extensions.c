/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the extensions of certificates.  They are built as objects, never from strings in OpenSSL's configuration
 * language, so that no name can smuggle one in.  Fails on addresses and host names that are none. */
#include <arpa/inet.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/openssl_issue.h"

static bool issue_add(struct issue *issue, int kind, void *value, bool critical)
{
    return value != NULL &&
           X509_add1_ext_i2d(issue->certificate, kind, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

static bool issue_add_constraints(struct issue *issue, bool is_ca)
{
    BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
    bool ok = constraints != NULL;
    if (ok && is_ca) {
        constraints->ca = 0xff;
        constraints->pathlen = ASN1_INTEGER_new();
        ok = constraints->pathlen != NULL && ASN1_INTEGER_set(constraints->pathlen, 0) == 1;
    }
    ok = ok && issue_add(issue, NID_basic_constraints, constraints, true);
    BASIC_CONSTRAINTS_free(constraints);
    return ok;
}

static bool issue_add_usage(struct issue *issue, bool is_ca)
{
    /* Bits of RFC 5280: digitalSignature 0, keyCertSign 5, cRLSign 6. */
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
    bool ok = usage != NULL;
    if (is_ca) {
        ok = ok && ASN1_BIT_STRING_set_bit(usage, 5, 1) == 1 && ASN1_BIT_STRING_set_bit(usage, 6, 1) == 1;
    } else {
        ok = ok && ASN1_BIT_STRING_set_bit(usage, 0, 1) == 1;
    }
    ok = ok && issue_add(issue, NID_key_usage, usage, true);
    ASN1_BIT_STRING_free(usage);
    return ok;
}

static bool issue_add_purposes(struct issue *issue)
{
    EXTENDED_KEY_USAGE *purposes = sk_ASN1_OBJECT_new_null();
    bool ok = purposes != NULL && sk_ASN1_OBJECT_push(purposes, OBJ_nid2obj(NID_server_auth)) > 0 &&
              sk_ASN1_OBJECT_push(purposes, OBJ_nid2obj(NID_client_auth)) > 0 &&
              issue_add(issue, NID_ext_key_usage, purposes, false);
    sk_ASN1_OBJECT_pop_free(purposes, ASN1_OBJECT_free);
    return ok;
}

static bool issue_add_key_ids(struct issue *issue)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int bytes = 0;
    ASN1_OCTET_STRING *subject = ASN1_OCTET_STRING_new();
    AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    bool ok = subject != NULL && authority != NULL &&
              X509_pubkey_digest(issue->certificate, EVP_sha1(), digest, &bytes) == 1 &&
              ASN1_OCTET_STRING_set(subject, digest, (int)bytes) == 1 &&
              issue_add(issue, NID_subject_key_identifier, subject, false);
    const ASN1_OCTET_STRING *issuer = issue->ca == NULL ? subject : X509_get0_subject_key_id(issue->ca);
    if (ok && issuer != NULL) {
        authority->keyid = ASN1_OCTET_STRING_dup(issuer);
        ok = authority->keyid != NULL && issue_add(issue, NID_authority_key_identifier, authority, false);
    }
    ASN1_OCTET_STRING_free(subject);
    AUTHORITY_KEYID_free(authority);
    return ok;
}

static bool issue_push_name(GENERAL_NAMES *names, int kind, const void *data, int bytes)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *string = ASN1_STRING_type_new(kind == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    if (name == NULL || string == NULL || ASN1_STRING_set(string, data, bytes) != 1) {
        ASN1_STRING_free(string);
        GENERAL_NAME_free(name);
        return false;
    }
    GENERAL_NAME_set0_value(name, kind, string);
    if (sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        return false;
    }
    return true;
}

static enum weft_err issue_push_address(GENERAL_NAMES *names, const char *address, struct weft_error *why)
{
    uint8_t bytes[16];
    int count = inet_pton(AF_INET, address, bytes) == 1 ? 4 : inet_pton(AF_INET6, address, bytes) == 1 ? 16 : 0;
    if (count == 0) {
        return weft_error_set(why, WEFT_ERR_INVALID, "address: %s is no numeric address such as 10.0.0.1 or fd00::1",
                              address);
    }
    return issue_push_name(names, GEN_IPADD, bytes, count) ? WEFT_OK : issue_trouble(why, "an address");
}

static bool issue_dns_is_valid(const char *name)
{
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > 253 || name[0] == '.' || name[0] == '-') {
        return false;
    }
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._") == bytes;
}

static enum weft_err issue_push_dns(GENERAL_NAMES *names, const char *name, struct weft_error *why)
{
    if (!issue_dns_is_valid(name)) {
        return weft_error_set(why, WEFT_ERR_INVALID, "dns: %s is no host name such as node1.example.org", name);
    }
    return issue_push_name(names, GEN_DNS, name, (int)strlen(name)) ? WEFT_OK : issue_trouble(why, "a DNS name");
}

static enum weft_err issue_fill_names(GENERAL_NAMES *names, const char *uri, const struct tls_node_options *options,
                                      struct weft_error *why)
{
    for (uint32_t i = 0; i < options->address_count; i++) {
        WEFT_TRY(issue_push_address(names, options->addresses[i], why));
    }
    for (uint32_t i = 0; i < options->dns_count; i++) {
        WEFT_TRY(issue_push_dns(names, options->dns_names[i], why));
    }
    if (!issue_push_name(names, GEN_URI, uri, (int)strlen(uri))) {
        return issue_trouble(why, "a URI");
    }
    return WEFT_OK;
}

static enum weft_err issue_add_names(struct issue *issue, const char *uri, const struct tls_node_options *options,
                                     struct weft_error *why)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    if (names == NULL) {
        return issue_trouble(why, "alternative names");
    }
    enum weft_err err = issue_fill_names(names, uri, options, why);
    if (err == WEFT_OK && !issue_add(issue, NID_subject_alt_name, names, false)) {
        err = issue_trouble(why, "alternative names");
    }
    GENERAL_NAMES_free(names);
    return err;
}

enum weft_err issue_add_ca_extensions(struct issue *issue, struct weft_error *why)
{
    bool ok = issue_add_constraints(issue, true) && issue_add_usage(issue, true) && issue_add_key_ids(issue);
    return ok ? WEFT_OK : issue_trouble(why, "a CA certificate");
}

enum weft_err issue_add_node_extensions(struct issue *issue, const char *uri, const struct tls_node_options *options,
                                        struct weft_error *why)
{
    if (!issue_add_constraints(issue, false) || !issue_add_usage(issue, false) || !issue_add_purposes(issue) ||
        !issue_add_key_ids(issue)) {
        return issue_trouble(why, "a node certificate");
    }
    return issue_add_names(issue, uri, options, why);
}
