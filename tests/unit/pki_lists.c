/* SPDX-License-Identifier: Apache-2.0 */
/* Makes what weft itself never issues: CAs with CAs below them, and revocation lists. */
#include "pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define AUTHORITY_S (INT64_C(3650) * PKI_DAY_S)

static FILE *pki_stream(const struct pki *pki, const char *name, const char *suffix, const char *mode)
{
    char file[64];
    char path[PKI_PATH_BYTES];
    snprintf(file, sizeof file, "%s%s", name, suffix);
    FILE *stream = fopen(pki_path(pki, file, path), mode);
    assert_non_null(stream);
    return stream;
}

static X509 *pki_read_certificate(const struct pki *pki, const char *name, const char *suffix)
{
    FILE *stream = pki_stream(pki, name, suffix, "r");
    X509 *certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    assert_non_null(certificate);
    fclose(stream);
    return certificate;
}

static EVP_PKEY *pki_read_key(const struct pki *pki, const char *name)
{
    FILE *stream = pki_stream(pki, name, ".key", "r");
    EVP_PKEY *key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
    assert_non_null(key);
    fclose(stream);
    return key;
}

static void pki_extend(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

void pki_authority(const struct pki *pki, const char *name, const char *parent)
{
    X509 *made = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *issuer = parent == NULL ? made : pki_read_certificate(pki, parent, ".crt");
    EVP_PKEY *issuer_key = parent == NULL ? key : pki_read_key(pki, parent);
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), parent == NULL ? 1 : 77);
    X509_gmtime_adj(X509_getm_notBefore(made), -PKI_DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(made), AUTHORITY_S);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(made, X509_get_subject_name(issuer));
    pki_extend(made, issuer, NID_basic_constraints, "critical,CA:TRUE");
    pki_extend(made, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    pki_extend(made, issuer, NID_subject_key_identifier, "hash");
    assert_true(X509_sign(made, issuer_key, EVP_sha256()) > 0);
    FILE *stream = pki_stream(pki, name, ".crt", "w");
    assert_int_equal(PEM_write_X509(stream, made), 1);
    fclose(stream);
    stream = pki_stream(pki, name, ".key", "w");
    assert_int_equal(PEM_write_PKCS8PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(stream);
    if (parent != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(issuer_key);
    }
    X509_free(made);
    EVP_PKEY_free(key);
}

static void list_add(X509_CRL *list, const X509 *certificate)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *when = X509_gmtime_adj(NULL, -PKI_DAY_S);
    assert_int_equal(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber((X509 *)certificate)), 1);
    assert_int_equal(X509_REVOKED_set_revocationDate(entry, when), 1);
    assert_int_equal(X509_CRL_add0_revoked(list, entry), 1);
    ASN1_TIME_free(when);
}

void pki_list(const struct pki *pki, const char *file, const char *ca, const char *revoked, int64_t from_s,
              int64_t until_s)
{
    X509 *issuer = pki_read_certificate(pki, ca, ".crt");
    EVP_PKEY *key = pki_read_key(pki, ca);
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *last = X509_gmtime_adj(NULL, from_s);
    ASN1_TIME *next = X509_gmtime_adj(NULL, until_s);
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer));
    X509_CRL_set1_lastUpdate(list, last);
    X509_CRL_set1_nextUpdate(list, next);
    if (revoked != NULL) {
        X509 *certificate = pki_read_certificate(pki, revoked, "");
        list_add(list, certificate);
        X509_free(certificate);
    }
    assert_true(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    FILE *stream = pki_stream(pki, file, "", "w");
    assert_int_equal(PEM_write_X509_CRL(stream, list), 1);
    fclose(stream);
    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    X509_CRL_free(list);
    X509_free(issuer);
    EVP_PKEY_free(key);
}
