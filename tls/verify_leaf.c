/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the strict form of a node's certificate, which OpenSSL alone does not demand: what a careful CA would never
 * issue is refused.  Happy path: a chain of rules, the first that is broken is the answer. */
#include "tls/openssl_verify.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

/* RFC 5280, 4.1.2.2. */
#define SERIAL_BYTES_MAX 20
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 /* more costs a handshake a tenth of a second */
#define ELLIPTIC_BITS_MIN 224

static const char *check_version(X509 *leaf, bool client)
{
    (void)client;
    return X509_get_version(leaf) == X509_VERSION_3 ? NULL : "is not of version 3";
}

static const char *check_serial(X509 *leaf, bool client)
{
    (void)client;
    const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    const char *fault = NULL;
    if (number == NULL || BN_is_zero(number) || BN_is_negative(number)) {
        fault = "has a serial number that is not above zero";
    } else if (BN_num_bytes(number) > SERIAL_BYTES_MAX ||
               (BN_num_bytes(number) == SERIAL_BYTES_MAX && BN_num_bits(number) % 8 == 0)) {
        fault = "has a serial number of more than 20 bytes";
    }
    BN_free(number);
    return fault;
}

static const char *check_key(X509 *leaf, bool client)
{
    (void)client;
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    int bits = key == NULL ? 0 : EVP_PKEY_get_bits(key);
    if (key == NULL) {
        return "has a key that cannot be read";
    }
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) {
        if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
            return "has an RSA key that is not of 2048 to 8192 bits";
        }
        return bits % 8 == 0 ? NULL : "has an RSA key of an odd size";
    }
    if (EVP_PKEY_is_a(key, "EC")) {
        return bits >= ELLIPTIC_BITS_MIN ? NULL : "has an elliptic curve that is too small";
    }
    return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL
                                                                        : "has a key that is not RSA, EC or Ed25519";
}

static const char *check_not_a_ca(X509 *leaf, bool client)
{
    (void)client;
    if ((X509_get_extension_flags(leaf) & EXFLAG_INVALID) != 0) {
        return "has an extension that cannot be read";
    }
    return X509_check_ca(leaf) == 0 && (X509_get_extension_flags(leaf) & EXFLAG_CA) == 0
               ? NULL
               : "is a CA's, and no node may show that";
}

static const char *check_usage(X509 *leaf, bool client)
{
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(leaf, NID_ext_key_usage, NULL, NULL);
    const char *fault = NULL;
    bool fits = usages == NULL; /* without the extension any use is allowed */
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
        int usage = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));
        fits = fits || usage == (client ? NID_client_auth : NID_server_auth);
        if (usage == NID_anyExtendedKeyUsage) {
            fault = "may be used for anything (anyExtendedKeyUsage)";
        }
    }
    sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
    if (fault == NULL && !fits) {
        fault = client ? "may not be used by a client (extended key usage)"
                       : "may not be used by a server (extended key usage)";
    }
    return fault;
}

/* A name that holds a zero byte, or is empty, is made to be misread. */
static bool name_is_sane(const GENERAL_NAME *name)
{
    if (name->type == GEN_IPADD) {
        int bytes = ASN1_STRING_length(name->d.iPAddress);
        return bytes == 4 || bytes == 16;
    }
    if (name->type != GEN_DNS && name->type != GEN_URI && name->type != GEN_EMAIL) {
        return true;
    }
    int bytes = ASN1_STRING_length(name->d.ia5);
    return bytes > 0 && memchr(ASN1_STRING_get0_data(name->d.ia5), 0, (size_t)bytes) == NULL;
}

static const char *check_names(X509 *leaf, bool client)
{
    (void)client;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    const char *fault = NULL;
    bool useful = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        useful = useful || name->type == GEN_DNS || name->type == GEN_IPADD || name->type == GEN_URI;
        if (!name_is_sane(name)) {
            fault = "has a name that is malformed";
        }
    }
    GENERAL_NAMES_free(names);
    return fault == NULL && !useful ? "names no node (subject alternative name); the common name does not count"
                                    : fault;
}

const char *verify_leaf_strictly(X509 *leaf, bool client)
{
    static const char *(*const checks[])(X509 * leaf, bool client) = {check_version,  check_serial, check_key,
                                                                      check_not_a_ca, check_usage,  check_names};
    const char *fault = NULL;
    for (size_t i = 0; fault == NULL && i < sizeof checks / sizeof checks[0]; i++) {
        fault = checks[i](leaf, client);
    }
    return fault;
}

bool verify_leaf_names(X509 *leaf, const char *peer)
{
    if (peer[0] == '.') { /* which OpenSSL would take for every name below */
        return false;
    }
    uint8_t binary[16];
    if (inet_pton(AF_INET, peer, binary) == 1) {
        return X509_check_ip(leaf, binary, 4, 0) == 1;
    }
    if (inet_pton(AF_INET6, peer, binary) == 1) {
        return X509_check_ip(leaf, binary, 16, 0) == 1;
    }
    return X509_check_host(leaf, peer, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                           NULL) == 1;
}
