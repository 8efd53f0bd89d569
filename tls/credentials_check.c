/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the checks of a credential set that need no peer.  Happy path: parse all of it in a library context that is
 * thrown away, compare key and leaf, verify the own chain as a peer with the same trust store would, try the set in a
 * handshake (which also applies OpenSSL's minimum key sizes).  What stops the node: damaged contents, a key that does
 * not fit, a chain that the configured trust store does not verify.  What only warns: dates, a key file that others
 * may read, a certificate without CA, a chain that the system's trust store does not know, what some peers refuse. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/openssl_credentials.h"
#include "tls/openssl_describe.h"
#include "tls/openssl_library.h"

void credentials_warn(struct tls_credentials *credentials, const char *format, ...)
{
    WEFT_ASSERT(credentials->warning_count < CREDENTIALS_WARNINGS_MAX);
    char raw[WEFT_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    char *text = credentials->warnings[credentials->warning_count++];
    weft_text_escape(text, WEFT_ERROR_TEXT_BYTES, raw, (uint32_t)strlen(raw));
}

static enum weft_err credentials_check_key(const struct tls_credentials *credentials, STACK_OF(X509) * chain,
                                           EVP_PKEY *key, struct weft_error *why)
{
    if (X509_check_private_key(sk_X509_value(chain, 0), key) == 1) {
        return WEFT_OK;
    }
    for (int i = 1; i < sk_X509_num(chain); i++) {
        if (X509_check_private_key(sk_X509_value(chain, i), key) == 1) {
            ERR_clear_error();
            return weft_error_set(why, WEFT_ERR_CONFIG,
                                  "certificate %s: keyfile %s belongs to certificate %d of it; put the node's own "
                                  "certificate first",
                                  credentials->certificate.path, credentials->key.path, i + 1);
        }
    }
    ERR_clear_error();
    return weft_error_set(why, WEFT_ERR_CONFIG,
                          "keyfile %s: does not fit certificate %s; give the key that the certificate was made with",
                          credentials->key.path, credentials->certificate.path);
}

static void credentials_check_dates(struct tls_credentials *credentials)
{
    const struct tls_description *leaf = &credentials->leaf;
    const char *path = credentials->certificate.path;
    if (leaf->expired) {
        credentials_warn(credentials, "certificate %s: expired at %s; peers will refuse it", path, leaf->not_after);
    } else if (leaf->not_yet_valid) {
        credentials_warn(credentials, "certificate %s: not valid before %s; peers will refuse it until then", path,
                         leaf->not_before);
    } else if (leaf->days_left < TLS_EXPIRY_WARNING_DAYS) {
        credentials_warn(credentials, "certificate %s: expires at %s, in %d days", path, leaf->not_after,
                         leaf->days_left);
    }
}

/* X509_V_OK if a peer with our trust store would believe us, dates aside; else why not. */
static int credentials_verify(OSSL_LIB_CTX *library, X509_STORE *store, STACK_OF(X509) * chain)
{
    X509_STORE_CTX *verification = X509_STORE_CTX_new_ex(library, NULL);
    int result = X509_V_ERR_OUT_OF_MEM;
    if (verification != NULL && X509_STORE_CTX_init(verification, store, sk_X509_value(chain, 0), chain) == 1) {
        X509_STORE_CTX_set_flags(verification, X509_V_FLAG_NO_CHECK_TIME);
        if (X509_verify_cert(verification) == 1) {
            result = X509_V_OK;
        } else {
            result = X509_STORE_CTX_get_error(verification);
        }
    }
    X509_STORE_CTX_free(verification);
    ERR_clear_error();
    return result;
}

static enum weft_err credentials_check_chain(struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                             X509_STORE *store, STACK_OF(X509) * chain, struct weft_error *why)
{
    const char *path = credentials->certificate.path;
    int result = credentials_verify(library, store, chain);
    if (credentials->leaf.is_self_signed) {
        credentials_warn(credentials,
                         "certificate %s: self-signed, it has no CA; each peer needs it in its trust "
                         "store",
                         path);
        return WEFT_OK;
    }
    if (result == X509_V_OK) {
        return WEFT_OK;
    }
    const char *cause = X509_verify_cert_error_string(result);
    if (credentials->trust_system) {
        credentials_warn(credentials,
                         "certificate %s: the system's trust store does not verify it (%s); peers need "
                         "its CA in their truststore",
                         path, cause);
        return WEFT_OK;
    }
    return weft_error_set(why, WEFT_ERR_CONFIG,
                          "certificate %s: truststore %s does not verify it (%s); add its CA there, or append missing "
                          "intermediate certificates to the certificate file",
                          path, credentials->trust.path, cause);
}

static enum weft_err credentials_check_own(struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                           const char *priority_string, X509_STORE *store, STACK_OF(X509) * chain,
                                           EVP_PKEY *key, struct weft_error *why)
{
    WEFT_TRY(describe_certificate(&credentials->leaf, sk_X509_value(chain, 0), why));
    WEFT_TRY(credentials_check_key(credentials, chain, key, why));
    WEFT_TRY(credentials_check_handshake(credentials, library, priority_string, why));
    if ((credentials->key.mode & 077) != 0) {
        credentials_warn(credentials, "keyfile %s: mode %04o lets others than its owner use it; chmod 600 it",
                         credentials->key.path, (unsigned)credentials->key.mode);
    }
    if ((credentials->password.mode & 077) != 0) {
        credentials_warn(credentials,
                         "keyfile_password_file %s: mode %04o lets others than its owner use it; chmod 600 it",
                         credentials->password.path, (unsigned)credentials->password.mode);
    }
    credentials_check_dates(credentials);
    WEFT_TRY(credentials_check_chain(credentials, library, store, chain, why));
    credentials_warn_of_peers(credentials, library, store, chain);
    return WEFT_OK;
}

/* After the own chain was verified: that a list revokes it is another matter. */
static enum weft_err credentials_check_lists(struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                             X509_STORE *store, STACK_OF(X509) * chain, struct weft_error *why)
{
    struct revocation revocation;
    WEFT_TRY(credentials_revocation(credentials, library, store, &revocation, why));
    enum weft_err err = credentials_check_revocation(credentials, &revocation, store, chain, why);
    credentials->revocation_count = revocation.count;
    revocation_fini(&revocation);
    return err;
}

static enum weft_err credentials_check_in(struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                          const char *priority_string, struct weft_error *why)
{
    X509_STORE *store = NULL;
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *key = NULL;
    enum weft_err err = credentials_trust(credentials, library, &store, why);
    if (err == WEFT_OK) {
        STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
        credentials->trust_count = (uint32_t)sk_X509_OBJECT_num(objects);
    }
    if (err == WEFT_OK && credentials_have_certificate(credentials)) {
        err = pem_certificates(&credentials->certificate, library, PEM_CHAIN_MAX, &chain, why);
        if (err == WEFT_OK) {
            err = pem_key_unlock(&credentials->key, "keyfile_password_file", &credentials->password, library, why);
        }
        if (err == WEFT_OK) {
            err = pem_key(&credentials->key, library, &key, why);
        }
        if (err == WEFT_OK) {
            err = credentials_check_own(credentials, library, priority_string, store, chain, key, why);
        }
    }
    if (err == WEFT_OK) {
        err = credentials_check_lists(credentials, library, store, chain, why);
    }
    EVP_PKEY_free(key);
    pem_certificates_free(chain);
    X509_STORE_free(store);
    return err;
}

enum weft_err credentials_check(struct tls_credentials *credentials, const char *priority_string,
                                struct weft_error *why)
{
    struct library library;
    WEFT_TRY(library_open(&library, why));
    enum weft_err err = credentials_check_in(credentials, library.context, priority_string, why);
    pem_file_fini(&credentials->password);
    library_close(&library);
    return err;
}
