/* SPDX-License-Identifier: Apache-2.0 */
/* What contexts and their sessions share. */
#ifndef TLS_OPENSSL_CONTEXT_H
#define TLS_OPENSSL_CONTEXT_H

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "tls/context.h"
#include "tls/openssl_library.h"
#include "tls/openssl_verify.h"

struct tls_context {
    struct secure_factory factory;
    struct library library;
    BIO_METHOD *method;
    SSL_CTX *server; /* NULL without a certificate */
    SSL_CTX *client;
    struct tls_verify_rules rules; /* of every chain that peers show */
    struct revocation revocation;
    uint64_t records_per_key;
    uint32_t session_count; /* open sessions; none may outlive the context */
    uint32_t serial;        /* of its kind on its shard; contexts.c */
    struct tls_contexts *contexts;
    void (*unused)(struct tls_context *context); /* of a former one: its last session ended; it may go */
};

/* How sessions reach the caller's buffers.  @return NULL when memory is out */
BIO_METHOD *session_method_new(void);
/* Judges the peer's chain, and notes why it was refused.  @param ctx the tls_context */
int session_verify(X509_STORE_CTX *verification, void *ctx);
/* Notes that the peer asked for our certificate. */
int session_certificate_asked(SSL *ssl, void *ctx);
/* Counts what the peer sends beside its data. */
void session_message(int written, int version, int type, const void *message, size_t bytes, SSL *ssl, void *ctx);
WEFT_NODISCARD enum weft_err session_create(struct tls_context *context, bool server, struct secure **session,
                                            struct weft_error *why);

/* session_review.c; as in secure_ops. */
enum secure_review session_review(struct secure *secure, struct secure_factory *factory, struct weft_error *why);
uint32_t session_age(const struct secure *secure, const struct secure_factory *factory);

#endif
