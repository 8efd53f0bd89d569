/* SPDX-License-Identifier: Apache-2.0 */
/* How a context takes a set of credentials into its own library context. */
#ifndef TLS_OPENSSL_CREDENTIALS_H
#define TLS_OPENSSL_CREDENTIALS_H

#include <openssl/ssl.h>

#include "tls/credentials.h"
#include "tls/openssl_pem.h"
#include "tls/openssl_revocation.h"
#include "tls/verify.h"

/* Warnings of one set: at most one per check. */
#define CREDENTIALS_WARNINGS_MAX 13u

struct tls_credentials {
    struct pem_file certificate; /* text NULL: none */
    struct pem_file key;         /* its text is the plain key once the set is checked */
    struct pem_file password;    /* text NULL: none; wiped once the set is checked */
    struct pem_file trust;
    struct pem_file revocation;    /* text NULL: none */
    struct tls_verify_rules rules; /* for the chains of peers */
    struct tls_description leaf;
    uint32_t trust_count;
    uint32_t revocation_count;
    bool trust_system;   /* the system's trust store */
    bool trust_explicit; /* truststore was written out */
    uint32_t warning_count;
    char warnings[CREDENTIALS_WARNINGS_MAX][WEFT_ERROR_TEXT_BYTES];
};

static inline bool credentials_have_certificate(const struct tls_credentials *credentials)
{
    return credentials->certificate.text != NULL;
}

/* Read the trust store alone; NULL or "system": the system's. */
WEFT_NODISCARD enum weft_err credentials_read_trust(struct tls_credentials *credentials, const char *truststore,
                                                    struct weft_error *why);
/* Give an SSL_CTX the certificate chain and the key. */
WEFT_NODISCARD enum weft_err credentials_install(const struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                                 SSL_CTX *context, struct weft_error *why);
/* The trust store, with the rules that every verification uses.  @param store given */
WEFT_NODISCARD enum weft_err credentials_trust(const struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                               X509_STORE **store, struct weft_error *why);

/* The revocation lists, which the store looks into from then on; none is fine.  @param revocation given */
WEFT_NODISCARD enum weft_err credentials_revocation(const struct tls_credentials *credentials, OSSL_LIB_CTX *library,
                                                    X509_STORE *store, struct revocation *revocation,
                                                    struct weft_error *why);
void credentials_warn(struct tls_credentials *credentials, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Revocation lists that may be used, and what is odd about them. */
WEFT_NODISCARD enum weft_err credentials_check_revocation(struct tls_credentials *credentials,
                                                          const struct revocation *revocation, X509_STORE *store,
                                                          STACK_OF(X509) * chain, struct weft_error *why);
/* The own certificate in a handshake between two sides that have this priority string (NULL: weft's own choice).
 * @return ok | CONFIG (nobody could shake hands with it) | TLS | NO_MEMORY */
WEFT_NODISCARD enum weft_err credentials_check_handshake(const struct tls_credentials *credentials,
                                                         OSSL_LIB_CTX *library, const char *priority_string,
                                                         struct weft_error *why);
/* What only some peers will refuse. */
void credentials_warn_of_peers(struct tls_credentials *credentials, OSSL_LIB_CTX *library, X509_STORE *store,
                               STACK_OF(X509) * chain);
/* Everything that can be checked without a peer; fills leaf and warnings. */
WEFT_NODISCARD enum weft_err credentials_check(struct tls_credentials *credentials, const char *priority_string,
                                               struct weft_error *why);

#endif
