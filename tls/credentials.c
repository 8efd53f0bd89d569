/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the files of a credential set in memory, and how contexts take them over.  Happy path: read up to four PEM
 * files and a password, check the set as a whole (credentials_check.c), keep the text; each context parses it into
 * objects of its own, because objects of one OpenSSL library context do not work in another.  Failure modes: unreadable
 * or damaged files, half a set (certificate without key), no system trust store. */
#include "tls/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/openssl_credentials.h"
#include "tls/openssl_describe.h"
#include "tls/openssl_library.h"

/* Where the system keeps its bundle, if neither SSL_CERT_FILE nor OpenSSL's own default names a file that is there:
 * Debian, Fedora, Alpine, openSUSE. */
static const char *const system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
};

static const char *credentials_system_bundle(void)
{
    const char *named = secure_getenv(X509_get_default_cert_file_env());
    if (named != NULL && named[0] != '\0') {
        return named;
    }
    const char *built_in = X509_get_default_cert_file();
    if (access(built_in, R_OK) == 0) {
        return built_in;
    }
    for (size_t i = 0; i < sizeof system_bundles / sizeof system_bundles[0]; i++) {
        if (access(system_bundles[i], R_OK) == 0) {
            return system_bundles[i];
        }
    }
    return NULL;
}

enum weft_err credentials_read_trust(struct tls_credentials *credentials, const char *truststore,
                                     struct weft_error *why)
{
    credentials->trust_explicit = truststore != NULL;
    credentials->trust_system = truststore == NULL || strcmp(truststore, "system") == 0;
    const char *path = credentials->trust_system ? credentials_system_bundle() : truststore;
    if (path == NULL) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "truststore: this system has no trust store; set truststore to the PEM file of your CA");
    }
    return pem_file_read(&credentials->trust, "truststore", path, PEM_TRUST_BYTES_MAX, why);
}

static enum weft_err credentials_read_own(struct tls_credentials *credentials, const struct weft_tls_options *options,
                                          const char *password, struct weft_error *why)
{
    if (options->certificate != NULL && options->keyfile == NULL) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "keyfile: missing; certificate %s needs its key",
                              options->certificate);
    }
    if (options->certificate == NULL && options->keyfile != NULL) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "certificate: missing; keyfile %s needs its certificate",
                              options->keyfile);
    }
    if (options->certificate == NULL && password != NULL) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "keyfile: missing; keyfile_password_file %s needs its keyfile",
                              password);
    }
    if (options->certificate == NULL) {
        return WEFT_OK;
    }
    WEFT_TRY(pem_file_read(&credentials->certificate, "certificate", options->certificate, PEM_FILE_BYTES_MAX, why));
    WEFT_TRY(pem_file_read(&credentials->key, "keyfile", options->keyfile, PEM_FILE_BYTES_MAX, why));
    return password == NULL ? WEFT_OK
                            : pem_password_read(&credentials->password, "keyfile_password_file", password, why);
}

static enum weft_err credentials_read(struct tls_credentials *credentials, const struct weft_node_options *options,
                                      struct weft_error *why)
{
    const char *lists = options->certificate_revocation_list;
    credentials->rules.strict = options->require_endpoint_verification;
    credentials->rules.crl_expired_ok = options->crl_expired == WEFT_CRL_EXPIRED_WARN;
    WEFT_TRY(credentials_read_own(credentials, &options->tls, options->keyfile_password_file, why));
    WEFT_TRY(credentials_read_trust(credentials, options->tls.truststore, why));
    return lists == NULL ? WEFT_OK
                         : pem_file_read(&credentials->revocation, "certificate_revocation_list", lists,
                                         REVOCATION_BYTES_MAX, why);
}

enum weft_err tls_credentials_load(struct tls_credentials **credentials, const struct weft_node_options *options,
                                   struct weft_error *why)
{
    *credentials = NULL;
    struct tls_credentials *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for TLS credentials");
    }
    enum weft_err err = credentials_read(made, options, why);
    if (err == WEFT_OK) {
        err = credentials_check(made, options->priority_string, why);
    }
    if (err != WEFT_OK) {
        tls_credentials_destroy(made);
        return err;
    }
    *credentials = made;
    return WEFT_OK;
}

void tls_credentials_destroy(struct tls_credentials *credentials)
{
    if (credentials == NULL) {
        return;
    }
    pem_file_fini(&credentials->password);
    pem_file_fini(&credentials->key);
    pem_file_fini(&credentials->certificate);
    pem_file_fini(&credentials->trust);
    pem_file_fini(&credentials->revocation);
    describe_fini(&credentials->leaf);
    free(credentials);
}

static enum weft_err credentials_install_parsed(const struct tls_credentials *credentials, SSL_CTX *context,
                                                STACK_OF(X509) * chain, EVP_PKEY *key, struct weft_error *why)
{
    const char *path = credentials->certificate.path;
    if (SSL_CTX_use_certificate(context, sk_X509_value(chain, 0)) != 1) {
        return library_error(why, WEFT_ERR_CONFIG, "certificate %s: cannot be used; make one with a P-256 key", path);
    }
    for (int i = 1; i < sk_X509_num(chain); i++) {
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(chain, i)) != 1) {
            return library_error(why, WEFT_ERR_CONFIG, "certificate %s: certificate %d of the chain cannot be used",
                                 path, i + 1);
        }
    }
    if (SSL_CTX_use_PrivateKey(context, key) != 1) {
        return library_error(why, WEFT_ERR_CONFIG, "keyfile %s: cannot be used with certificate %s",
                             credentials->key.path, path);
    }
    return WEFT_OK;
}

enum weft_err credentials_install(const struct tls_credentials *credentials, OSSL_LIB_CTX *library, SSL_CTX *context,
                                  struct weft_error *why)
{
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *key = NULL;
    ERR_clear_error();
    enum weft_err err = pem_certificates(&credentials->certificate, library, PEM_CHAIN_MAX, &chain, why);
    if (err == WEFT_OK) {
        err = pem_key(&credentials->key, library, &key, why);
    }
    if (err == WEFT_OK) {
        err = credentials_install_parsed(credentials, context, chain, key, why);
    }
    pem_certificates_free(chain);
    EVP_PKEY_free(key);
    return err;
}

enum weft_err credentials_trust(const struct tls_credentials *credentials, OSSL_LIB_CTX *library, X509_STORE **store,
                                struct weft_error *why)
{
    *store = NULL;
    STACK_OF(X509) *trusted = NULL;
    enum weft_err err = pem_certificates(&credentials->trust, library, PEM_TRUST_MAX, &trusted, why);
    if (err != WEFT_OK) {
        return err;
    }
    X509_STORE *made = X509_STORE_new();
    /* Whatever stands in the trust store is trusted: an intermediate CA or a leaf as much as a root. */
    bool ok = made != NULL && X509_STORE_set_flags(made, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    for (int i = 0; ok && i < sk_X509_num(trusted); i++) {
        ok = X509_STORE_add_cert(made, sk_X509_value(trusted, i)) == 1;
    }
    pem_certificates_free(trusted);
    if (!ok) {
        X509_STORE_free(made);
        return library_error(why, WEFT_ERR_TLS, "truststore %s: cannot be loaded", credentials->trust.path);
    }
    *store = made;
    return WEFT_OK;
}

enum weft_err credentials_revocation(const struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                     X509_STORE *store, struct revocation *revocation, struct weft_error *why)
{
    memset(revocation, 0, sizeof *revocation);
    if (credentials->revocation.text == NULL) {
        return WEFT_OK;
    }
    WEFT_TRY(revocation_parse(revocation, &credentials->revocation, library, why));
    if (!revocation_install(revocation, store)) {
        revocation_fini(revocation);
        return library_error(why, WEFT_ERR_TLS, "%s %s: cannot be used", credentials->revocation.what,
                             credentials->revocation.path);
    }
    return WEFT_OK;
}

static bool files_same(const struct pem_file *a, const struct pem_file *b)
{
    return a->bytes == b->bytes && (a->text == NULL) == (b->text == NULL) &&
           (a->text == NULL || CRYPTO_memcmp(a->text, b->text, a->bytes) == 0);
}

bool tls_credentials_same(const struct tls_credentials *a, const struct tls_credentials *b)
{
    return files_same(&a->certificate, &b->certificate) && files_same(&a->key, &b->key) &&
           files_same(&a->trust, &b->trust) && files_same(&a->revocation, &b->revocation) &&
           a->rules.crl_expired_ok == b->rules.crl_expired_ok;
}

enum weft_err tls_credentials_check_replacement(const struct tls_credentials *credentials,
                                                const struct tls_credentials *in_use, struct weft_error *why)
{
    const struct tls_description *leaf = tls_credentials_leaf(credentials);
    if (leaf == NULL) {
        return tls_credentials_leaf(in_use) == NULL
                   ? WEFT_OK
                   : weft_error_set(why, WEFT_ERR_CONFIG,
                                    "certificate: missing; this node was started with one, so "
                                    "give its certificate and keyfile, or restart it without");
    }
    if (leaf->expired) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "certificate %s: expired at %s; give a newer one",
                              credentials->certificate.path, leaf->not_after);
    }
    if (leaf->not_yet_valid) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "certificate %s: not valid before %s; give it then",
                              credentials->certificate.path, leaf->not_before);
    }
    return WEFT_OK;
}

const struct tls_description *tls_credentials_leaf(const struct tls_credentials *credentials)
{
    return credentials_have_certificate(credentials) ? &credentials->leaf : NULL;
}

const char *tls_credentials_path(const struct tls_credentials *credentials)
{
    WEFT_ASSERT(credentials_have_certificate(credentials));
    return credentials->certificate.path;
}

bool tls_credentials_trust_system(const struct tls_credentials *credentials)
{
    return credentials->trust_system;
}

void tls_credentials_describe(const struct tls_credentials *credentials, char *text, uint32_t bytes)
{
    char leaf[2048] = "no certificate";
    if (credentials_have_certificate(credentials)) {
        tls_description_print_line(&credentials->leaf, leaf, sizeof leaf);
    }
    char lists[64] = "";
    if (credentials->revocation_count > 0) {
        snprintf(lists, sizeof lists, "; revocation lists of %u issuers", credentials->revocation_count);
    }
    snprintf(text, bytes, "%s; trust store %s%s, %u certificates%s", leaf, credentials->trust.path,
             credentials->trust_system ? " (the system's)" : "", credentials->trust_count, lists);
}

uint32_t tls_credentials_warning_count(const struct tls_credentials *credentials)
{
    return credentials->warning_count;
}

const char *tls_credentials_warning(const struct tls_credentials *credentials, uint32_t index)
{
    return index < credentials->warning_count ? credentials->warnings[index] : "";
}
