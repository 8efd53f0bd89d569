/* SPDX-License-Identifier: Apache-2.0 */
/* Owns one shard's OpenSSL: library context, trust store, the SSL_CTX of accepted and of dialed connections.  Happy
 * path: all of it is built before the shard's first connection, from credentials that were checked already.  Fails
 * when memory is out or this OpenSSL lacks what weft demands (a cipher, a group). */
#include "tls/context.h"

#include <stdlib.h>

#include <openssl/err.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "tls/aes.h"
#include "tls/openssl_context.h"
#include "tls/openssl_credentials.h"
#include "tls/openssl_crypto.h"
#include "tls/openssl_priority.h"

/* AES-GCM allows about 2^24.5 full records under one key. */
#define RECORDS_PER_KEY_DEFAULT (UINT64_C(1) << 24)

static enum weft_err context_make(struct secure_factory *factory, bool server, struct secure **session,
                                  struct weft_error *why)
{
    struct tls_context *context = WEFT_CONTAINER_OF(factory, struct tls_context, factory);
    return session_create(context, server, session, why);
}

static int context_server_verify(enum weft_client_auth client_auth)
{
    switch (client_auth) {
    case WEFT_CLIENT_AUTH_OPTIONAL:
        return SSL_VERIFY_PEER;
    case WEFT_CLIENT_AUTH_REQUIRED:
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    case WEFT_CLIENT_AUTH_NONE:
        break;
    }
    return SSL_VERIFY_NONE;
}

/* What accepted and dialed connections have in common. */
struct context_rules {
    struct priority priority;
    const struct tls_context_options *options;
    X509_STORE *store;
};

static bool context_set_rules(SSL_CTX *ssl_context, const struct context_rules *rules)
{
    SSL_CTX_set_options(ssl_context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    /* The chain that is sent is the certificate file's, never one that was completed from the trust store. */
    SSL_CTX_set_mode(ssl_context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ssl_context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify_depth(ssl_context, TLS_VERIFY_DEPTH_MAX);
    SSL_CTX_set_security_level(ssl_context, TLS_SECURITY_LEVEL);
    SSL_CTX_set_msg_callback(ssl_context, session_message);
    SSL_CTX_set1_cert_store(ssl_context, rules->store);
    return SSL_CTX_set_num_tickets(ssl_context, 0) == 1 &&
           priority_apply(&rules->priority, ssl_context, rules->options->version_min, rules->options->version_max);
}

static enum weft_err context_build(struct tls_context *context, SSL_CTX **given, bool server,
                                   const struct tls_credentials *credentials, const struct context_rules *rules,
                                   struct weft_error *why)
{
    SSL_CTX *made = SSL_CTX_new_ex(context->library.context, context->library.properties,
                                   server ? TLS_server_method() : TLS_client_method());
    if (made == NULL) {
        return library_error(why, WEFT_ERR_TLS, "OpenSSL gives no TLS context");
    }
    *given = made;
    if (!context_set_rules(made, rules)) {
        return library_error(why, WEFT_ERR_TLS, "this OpenSSL lacks a version, suite, group or signature algorithm");
    }
    SSL_CTX_set_cert_verify_callback(made, session_verify, context);
    if (server) {
        SSL_CTX_set_verify(made, context_server_verify(rules->options->client_auth), NULL);
    } else {
        SSL_CTX_set_verify(made, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_cb(made, session_certificate_asked, NULL);
    }
    if (!credentials_have_certificate(credentials)) {
        return WEFT_OK;
    }
    return credentials_install(credentials, context->library.context, made, why);
}

static enum weft_err context_fill(struct tls_context *context, const struct tls_credentials *credentials,
                                  const struct tls_context_options *options, struct weft_error *why)
{
    struct context_rules rules = {.options = options};
    WEFT_TRY(tls_context_priority(&rules.priority, options->priority_string, why));
    WEFT_TRY(crypto_open(&context->library, options->crypto, why));
    context->method = session_method_new();
    if (context->method == NULL) {
        return library_error(why, WEFT_ERR_NO_MEMORY, "no memory for a TLS context");
    }
    WEFT_TRY(credentials_trust(credentials, context->library.context, &rules.store, why));
    context->rules = credentials->rules;
    enum weft_err err =
        credentials_revocation(credentials, context->library.context, rules.store, &context->revocation, why);
    if (err == WEFT_OK) {
        err = context_build(context, &context->client, false, credentials, &rules, why);
    }
    if (err == WEFT_OK && credentials_have_certificate(credentials)) {
        err = context_build(context, &context->server, true, credentials, &rules, why);
    }
    X509_STORE_free(rules.store);
    return err;
}

enum weft_err tls_context_create(struct tls_context **context, const struct tls_credentials *credentials,
                                 const struct tls_context_options *options, struct weft_error *why)
{
    *context = NULL;
    struct tls_context *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a TLS context");
    }
    made->factory.make = context_make;
    made->records_per_key = options->records_per_key > 0 ? options->records_per_key : RECORDS_PER_KEY_DEFAULT;
    ERR_clear_error();
    enum weft_err err = context_fill(made, credentials, options, why);
    if (err != WEFT_OK) {
        tls_context_destroy(made);
        return err;
    }
    *context = made;
    return WEFT_OK;
}

void tls_context_leave(struct tls_context *context)
{
    OPENSSL_thread_stop_ex(context->library.context);
}

void tls_context_destroy(struct tls_context *context)
{
    if (context == NULL) {
        return;
    }
    WEFT_ASSERT(context->session_count == 0);
    SSL_CTX_free(context->server);
    SSL_CTX_free(context->client);
    revocation_fini(&context->revocation);
    BIO_meth_free(context->method);
    library_close(&context->library);
    free(context);
}

struct secure_factory *tls_context_factory(struct tls_context *context)
{
    return &context->factory;
}

enum weft_err tls_context_priority(struct priority *priority, const char *priority_string, struct weft_error *why)
{
    struct weft_error fault = {.code = WEFT_OK};
    if (priority_string == NULL) {
        priority_default(priority, tls_aes_is_fast());
        return WEFT_OK;
    }
    if (priority_parse(priority, priority_string, &fault) == WEFT_OK) {
        return WEFT_OK;
    }
    return weft_error_set(why, fault.code, "priority_string: %s", fault.text);
}
