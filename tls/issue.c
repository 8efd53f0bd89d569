/* SPDX-License-Identifier: Apache-2.0 */
/* Owns making certificates.  Happy path: a fresh P-256 key, a certificate with exactly the extensions that weft's
 * strictest checks demand (issue_extensions.c), signed by itself (CA) or by the CA, handed out as PEM.  Failure modes:
 * names that cannot stand in a certificate, a CA that is none, has expired or does not fit its key, a
 * password that does not open the CA's key. */
#include "tls/issue.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/base/uuid.h"
#include "tls/openssl_issue.h"
#include "tls/openssl_pem.h"

#define DAY_S (INT64_C(24) * 60 * 60)
/* Clocks of peers may be behind ours by this much and still believe a fresh certificate. */
#define BACKDATE_S (INT64_C(5) * 60)
#define CA_VALID_S (3652 * DAY_S)
#define NODE_VALID_S (730 * DAY_S)
/* Upper bound of a common name in X.520. */
#define COMMON_NAME_BYTES_MAX 64u
#define SERIAL_BYTES 16

static void issue_fini(struct issue *issue)
{
    X509_free(issue->certificate);
    EVP_PKEY_free(issue->key);
    X509_free(issue->ca);
    EVP_PKEY_free(issue->ca_key);
    library_close(&issue->library);
}

static enum weft_err issue_random(struct issue *issue, uint8_t *bytes, size_t count, struct weft_error *why)
{
    if (RAND_bytes_ex(issue->library.context, bytes, count, 0) != 1) {
        return issue_trouble(why, "random bytes");
    }
    return WEFT_OK;
}

/* 16 random bytes, positive and never shorter. */
static enum weft_err issue_set_serial(struct issue *issue, struct weft_error *why)
{
    uint8_t bytes[SERIAL_BYTES];
    WEFT_TRY(issue_random(issue, bytes, sizeof bytes, why));
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(issue->certificate)) != NULL;
    BN_free(number);
    return ok ? WEFT_OK : issue_trouble(why, "a serial number");
}

static enum weft_err issue_set_validity(struct issue *issue, struct tls_validity validity, int64_t default_s,
                                        struct weft_error *why)
{
    bool given = validity.from_s != 0 || validity.until_s != 0;
    int64_t from_s = given ? validity.from_s : -BACKDATE_S;
    int64_t until_s = given ? validity.until_s : default_s;
    if (from_s >= until_s) {
        return weft_error_set(why, WEFT_ERR_INVALID, "validity: it ends before it begins");
    }
    ASN1_TIME *after = X509_getm_notAfter(issue->certificate);
    if (X509_gmtime_adj(X509_getm_notBefore(issue->certificate), (long)from_s) == NULL ||
        X509_gmtime_adj(after, (long)until_s) == NULL) {
        return issue_trouble(why, "a validity");
    }
    if (issue->ca != NULL && ASN1_TIME_compare(after, X509_get0_notAfter(issue->ca)) > 0 &&
        X509_set1_notAfter(issue->certificate, X509_get0_notAfter(issue->ca)) != 1) {
        return issue_trouble(why, "a validity");
    }
    return WEFT_OK;
}

/* The longest start of text that fits a common name and ends between two UTF-8 characters. */
static int issue_common_name_bytes(const char *text)
{
    size_t bytes = strlen(text);
    if (bytes > COMMON_NAME_BYTES_MAX) {
        bytes = COMMON_NAME_BYTES_MAX;
        while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0) == 0x80) {
            bytes--;
        }
    }
    return (int)bytes;
}

static enum weft_err issue_set_names(struct issue *issue, const char *common_name, struct weft_error *why)
{
    X509_NAME *subject = X509_get_subject_name(issue->certificate);
    if (X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)common_name,
                                   issue_common_name_bytes(common_name), -1, 0) != 1) {
        return library_error(why, WEFT_ERR_INVALID, "%s: cannot be the name in a certificate; use UTF-8", common_name);
    }
    const X509 *issuer = issue->ca != NULL ? issue->ca : issue->certificate;
    if (X509_set_issuer_name(issue->certificate, X509_get_subject_name(issuer)) != 1) {
        return issue_trouble(why, "a certificate's issuer");
    }
    return WEFT_OK;
}

/* Key, serial, validity and names: what CA and node certificates have in common. */
static enum weft_err issue_begin(struct issue *issue, const char *common_name, struct tls_validity validity,
                                 int64_t default_s, struct weft_error *why)
{
    issue->key = EVP_PKEY_Q_keygen(issue->library.context, NULL, "EC", "P-256");
    issue->certificate = X509_new_ex(issue->library.context, NULL);
    if (issue->key == NULL || issue->certificate == NULL || X509_set_version(issue->certificate, X509_VERSION_3) != 1 ||
        X509_set_pubkey(issue->certificate, issue->key) != 1) {
        return issue_trouble(why, "a P-256 key");
    }
    WEFT_TRY(issue_set_serial(issue, why));
    WEFT_TRY(issue_set_validity(issue, validity, default_s, why));
    return issue_set_names(issue, common_name, why);
}

static char *issue_take_text(BIO *bio, uint32_t *bytes)
{
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    WEFT_ASSERT(length > 0 && length < INT_MAX);
    char *text = calloc(1, (size_t)length + 1);
    if (text != NULL) {
        memcpy(text, data, (size_t)length);
        *bytes = (uint32_t)length;
    }
    OPENSSL_cleanse(data, (size_t)length);
    return text;
}

/* Sign, and hand out as PEM. */
static enum weft_err issue_print(struct issue *issue, struct tls_material *material, const struct pem_file *password,
                                 struct weft_error *why)
{
    EVP_PKEY *signer = issue->ca_key != NULL ? issue->ca_key : issue->key;
    EVP_MD *digest = EVP_MD_fetch(issue->library.context, "SHA256", NULL);
    bool ok = digest != NULL && X509_sign(issue->certificate, signer, digest) > 0;
    EVP_MD_free(digest);
    BIO *certificate = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_mem());
    ok = ok && certificate != NULL && key != NULL && PEM_write_bio_X509(certificate, issue->certificate) == 1 &&
         pem_key_print(issue->key, password, issue->library.context, key);
    if (ok) {
        material->certificate = issue_take_text(certificate, &material->certificate_bytes);
        material->key = issue_take_text(key, &material->key_bytes);
        ok = material->certificate != NULL && material->key != NULL;
    }
    BIO_free(certificate);
    BIO_free(key);
    return ok ? WEFT_OK : issue_trouble(why, "a certificate");
}

static enum weft_err issue_end(struct issue *issue, struct tls_material *material, const char *password_file,
                               struct weft_error *why)
{
    struct pem_file password = {0};
    if (password_file != NULL) {
        WEFT_TRY(pem_password_read(&password, "password file", password_file, why));
    }
    enum weft_err err = issue_print(issue, material, &password, why);
    pem_file_fini(&password);
    return err;
}

static enum weft_err issue_ca(struct issue *issue, struct tls_material *material, const struct tls_ca_options *options,
                              struct weft_error *why)
{
    char common_name[WEFT_NAME_BYTES_MAX + 16];
    snprintf(common_name, sizeof common_name, "weft CA %s", options->cluster);
    WEFT_TRY(library_open(&issue->library, why));
    WEFT_TRY(issue_begin(issue, common_name, options->validity, CA_VALID_S, why));
    WEFT_TRY(issue_add_ca_extensions(issue, why));
    return issue_end(issue, material, options->password_file, why);
}

enum weft_err tls_issue_ca(struct tls_material *material, const struct tls_ca_options *options, struct weft_error *why)
{
    *material = (struct tls_material){0};
    size_t bytes = options->cluster == NULL ? 0 : strlen(options->cluster);
    if (bytes == 0 || bytes > WEFT_NAME_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID, "cluster: a name of 1 to %d bytes is needed", WEFT_NAME_BYTES_MAX);
    }
    struct issue issue = {0};
    enum weft_err err = issue_ca(&issue, material, options, why);
    issue_fini(&issue);
    if (err != WEFT_OK) {
        tls_material_fini(material);
    }
    return err;
}

static enum weft_err issue_check_ca(const struct issue *issue, const char *path, struct weft_error *why)
{
    if (X509_check_ca(issue->ca) != 1) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "CA certificate %s: is not a CA's; give the ca.crt of the cluster",
                              path);
    }
    if (X509_check_private_key(issue->ca, issue->ca_key) != 1) {
        ERR_clear_error();
        return weft_error_set(why, WEFT_ERR_CONFIG, "CA certificate %s: does not fit the CA's key beside it", path);
    }
    if (X509_cmp_current_time(X509_get0_notAfter(issue->ca)) < 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "CA certificate %s: has expired; make a new CA", path);
    }
    return WEFT_OK;
}

static enum weft_err issue_load_ca_key(struct issue *issue, const char *path, const char *password_file,
                                       struct weft_error *why)
{
    struct pem_file key = {0};
    struct pem_file password = {0};
    enum weft_err err = pem_file_read(&key, "CA key", path, PEM_FILE_BYTES_MAX, why);
    if (err == WEFT_OK && password_file != NULL) {
        err = pem_password_read(&password, "password file", password_file, why);
    }
    if (err == WEFT_OK) {
        err = pem_key_unlock(&key, "--ca-password-file", &password, issue->library.context, why);
    }
    if (err == WEFT_OK) {
        err = pem_key(&key, issue->library.context, &issue->ca_key, why);
    }
    pem_file_fini(&password);
    pem_file_fini(&key);
    return err;
}

static enum weft_err issue_load_ca(struct issue *issue, const char *certificate_path, const char *key_path,
                                   const char *password_file, struct weft_error *why)
{
    struct pem_file certificate = {0};
    STACK_OF(X509) *certificates = NULL;
    enum weft_err err = pem_file_read(&certificate, "CA certificate", certificate_path, PEM_FILE_BYTES_MAX, why);
    if (err == WEFT_OK) {
        err = pem_certificates(&certificate, issue->library.context, PEM_CHAIN_MAX, &certificates, why);
    }
    if (err == WEFT_OK) {
        err = issue_load_ca_key(issue, key_path, password_file, why);
    }
    if (err == WEFT_OK) {
        issue->ca = sk_X509_shift(certificates);
        err = issue_check_ca(issue, certificate_path, why);
    }
    pem_certificates_free(certificates);
    pem_file_fini(&certificate);
    return err;
}

/* The id in lower case, or a random one (version 4, variant 1 of RFC 9562). */
static enum weft_err issue_set_id(struct issue *issue, struct tls_material *material, const char *id,
                                  struct weft_error *why)
{
    uint8_t bytes[UUID_BYTES];
    if (id != NULL) {
        if (!uuid_parse(bytes, id)) {
            return weft_error_set(why, WEFT_ERR_INVALID,
                                  "id: %s is no UUID such as 6f1c0c5e-8f3b-4a51-9d0e-2b7a4c9e1f00", id);
        }
    } else {
        WEFT_TRY(issue_random(issue, bytes, sizeof bytes, why));
        bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
        bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    }
    uuid_print(bytes, material->id);
    return WEFT_OK;
}

static enum weft_err issue_node(struct issue *issue, struct tls_material *material,
                                const struct tls_node_options *options, const char *ca_certificate, const char *ca_key,
                                struct weft_error *why)
{
    WEFT_TRY(library_open(&issue->library, why));
    WEFT_TRY(issue_set_id(issue, material, options->id, why));
    WEFT_TRY(tls_node_uri(&material->uri, options->cluster, options->dc, options->rack, material->id, why));
    WEFT_TRY(issue_load_ca(issue, ca_certificate, ca_key, options->ca_password_file, why));
    WEFT_TRY(issue_begin(issue, options->name, options->validity, NODE_VALID_S, why));
    WEFT_TRY(issue_add_node_extensions(issue, material->uri, options, why));
    return issue_end(issue, material, options->password_file, why);
}

enum weft_err tls_issue_node(struct tls_material *material, const struct tls_node_options *options,
                             const char *ca_certificate, const char *ca_key, struct weft_error *why)
{
    *material = (struct tls_material){0};
    if (options->name == NULL || !tls_node_name_is_valid(options->name)) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "name: 1 to 64 of A-Z a-z 0-9 . _ - (not a leading dot, no path) are needed");
    }
    WEFT_ASSERT(options->address_count <= TLS_ISSUE_NAMES_MAX);
    WEFT_ASSERT(options->dns_count <= TLS_ISSUE_NAMES_MAX);
    struct issue issue = {0};
    enum weft_err err = issue_node(&issue, material, options, ca_certificate, ca_key, why);
    issue_fini(&issue);
    if (err != WEFT_OK) {
        tls_material_fini(material);
    }
    return err;
}

void tls_material_fini(struct tls_material *material)
{
    if (material->key != NULL) {
        OPENSSL_cleanse(material->key, material->key_bytes);
    }
    free(material->key);
    free(material->certificate);
    free(material->uri);
    *material = (struct tls_material){0};
}
