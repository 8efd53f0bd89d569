/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what peers will make of the own certificate.  Happy path: a server and a client that both have this priority
 * string shake hands with it in memory, and its chain would pass a peer's verification by the clock.  What stops the
 * node: a key that no suite or signature algorithm of the priority string takes, since every handshake would fail.
 * What only warns: what some peers refuse, because it depends on their side of the connection, or on their rules. */
#include <stdio.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/context.h"
#include "tls/openssl_credentials.h"
#include "tls/openssl_describe.h"
#include "tls/openssl_library.h"
#include "tls/openssl_priority.h"
#include "tls/openssl_verify.h"

/* Flights of a handshake, and some; TLS 1.2 has the most: two of each side. */
#define HANDSHAKE_TURNS_MAX 16

/* Two sides over one pair of buffers. */
struct handshake {
    SSL_CTX *contexts[2]; /* the server's first */
    SSL *sides[2];
};

static void handshake_fini(struct handshake *handshake)
{
    for (int i = 0; i < 2; i++) {
        SSL_free(handshake->sides[i]);
        SSL_CTX_free(handshake->contexts[i]);
    }
}

/* False when memory is out or this OpenSSL lacks what the priority names. */
static bool handshake_init(struct handshake *handshake, OSSL_LIB_CTX *library, const struct priority *priority)
{
    for (int i = 0; i < 2; i++) {
        SSL_CTX *context = SSL_CTX_new_ex(library, NULL, i == 0 ? TLS_server_method() : TLS_client_method());
        handshake->contexts[i] = context;
        if (context == NULL || !priority_apply(priority, context, TLS_VERSION_DEFAULT, TLS_VERSION_DEFAULT)) {
            return false;
        }
        SSL_CTX_set_security_level(context, TLS_SECURITY_LEVEL);
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    }
    return true;
}

static bool handshake_connect(struct handshake *handshake)
{
    BIO *ends[2];
    for (int i = 0; i < 2; i++) {
        handshake->sides[i] = SSL_new(handshake->contexts[i]);
    }
    if (handshake->sides[0] == NULL || handshake->sides[1] == NULL || BIO_new_bio_pair(&ends[0], 0, &ends[1], 0) != 1) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        SSL_set_bio(handshake->sides[i], ends[i], ends[i]);
    }
    SSL_set_accept_state(handshake->sides[0]);
    SSL_set_connect_state(handshake->sides[1]);
    return true;
}

/* Until both have finished, or one has failed. */
static bool handshake_run(struct handshake *handshake)
{
    bool finished = false;
    for (int turn = 0; turn < HANDSHAKE_TURNS_MAX && !finished; turn++) {
        SSL *side = handshake->sides[(turn + 1) % 2];
        int result = SSL_do_handshake(side);
        if (result != 1 && SSL_get_error(side, result) != SSL_ERROR_WANT_READ) {
            return false;
        }
        finished = SSL_is_init_finished(handshake->sides[0]) == 1 && SSL_is_init_finished(handshake->sides[1]) == 1;
    }
    return finished;
}

enum weft_err credentials_check_handshake(const struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                          const char *priority_string, struct weft_error *why)
{
    struct priority priority;
    struct handshake handshake = {.contexts = {NULL}};
    WEFT_TRY(tls_context_priority(&priority, priority_string, why));
    enum weft_err err = WEFT_OK;
    if (!handshake_init(&handshake, library, &priority)) {
        err = library_error(why, WEFT_ERR_TLS, "this OpenSSL lacks a version, suite, group or signature algorithm");
    }
    if (err == WEFT_OK) {
        err = credentials_install(credentials, library, handshake.contexts[0], why);
    }
    if (err == WEFT_OK && !handshake_connect(&handshake)) {
        err = library_error(why, WEFT_ERR_NO_MEMORY, "no memory for a handshake");
    }
    if (err == WEFT_OK && !handshake_run(&handshake)) {
        err = weft_error_set(
            why, WEFT_ERR_CONFIG,
            "certificate %s: no cipher suite and signature algorithm of %s takes its key (%s), so that "
            "every handshake would fail; make one with %s",
            credentials->certificate.path, priority_string == NULL ? "weft's own choice" : "priority_string",
            credentials->leaf.key, priority_string == NULL ? "a P-256 key" : "another key, or change priority_string");
    }
    handshake_fini(&handshake);
    ERR_clear_error();
    return err;
}

/* By the clock, which the check of the chain leaves out: the leaf's own dates have a line of their own. */
static void credentials_warn_of_issuers(struct tls_credentials *credentials, OSSL_LIB_CTX *library, X509_STORE *store,
                                        STACK_OF(X509) * chain)
{
    X509_STORE_CTX *verification = X509_STORE_CTX_new_ex(library, NULL);
    if (verification != NULL && X509_STORE_CTX_init(verification, store, sk_X509_value(chain, 0), chain) == 1 &&
        X509_verify_cert(verification) != 1 && X509_STORE_CTX_get_error_depth(verification) > 0) {
        X509 *issuer = X509_STORE_CTX_get_current_cert(verification);
        int code = X509_STORE_CTX_get_error(verification);
        char name[160] = "";
        if (issuer != NULL && (code == X509_V_ERR_CERT_HAS_EXPIRED || code == X509_V_ERR_CERT_NOT_YET_VALID)) {
            describe_distinguished_name(X509_get_subject_name(issuer), name, sizeof name);
            credentials_warn(credentials, "certificate %s: its issuer (%s) %s; peers will refuse it",
                             credentials->certificate.path, name,
                             code == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not valid yet");
        }
    }
    X509_STORE_CTX_free(verification);
    ERR_clear_error();
}

void credentials_warn_of_peers(struct tls_credentials *credentials, OSSL_LIB_CTX *library, X509_STORE *store,
                               STACK_OF(X509) * chain)
{
    X509 *leaf = sk_X509_value(chain, 0);
    const char *path = credentials->certificate.path;
    bool server = X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0) == 1;
    bool client = X509_check_purpose(leaf, X509_PURPOSE_SSL_CLIENT, 0) == 1;
    if (!server) {
        credentials_warn(credentials,
                         "certificate %s: may not be used by a server (key usage); peers that dial this node "
                         "will refuse it",
                         path);
    }
    if (!client) {
        credentials_warn(credentials,
                         "certificate %s: may not be used by a client (key usage); peers with "
                         "require_client_auth will refuse it",
                         path);
    }
    const char *fault = credentials->rules.strict && server ? verify_leaf_strictly(leaf, false) : NULL;
    if (fault != NULL) {
        credentials_warn(credentials, "certificate %s: it %s; peers with require_endpoint_verification will refuse it",
                         path, fault);
    }
    if (!credentials->leaf.expired && !credentials->leaf.not_yet_valid) {
        credentials_warn_of_issuers(credentials, library, store, chain);
    }
    ERR_clear_error();
}
