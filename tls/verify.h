/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict over a chain of certificates, outside of a handshake: the very function that handshakes call. */
#ifndef TLS_VERIFY_H
#define TLS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#define TLS_VERDICT_TEXT_BYTES WEFT_ERROR_TEXT_BYTES

/* What a chain must be, beyond trusted. */
struct tls_verify_rules {
    bool strict;         /* the leaf has the strict form (endpoint verification) */
    bool crl_expired_ok; /* a revocation list whose time has passed still counts, and is warned of */
    const char *peer;    /* whom the leaf must name: a numeric address, a host name, the URI of a node, or a pattern of
                            SPIFFE ids; NULL: any */
    int64_t time_s;      /* since 1970; 0: now */
};

struct tls_verdict {
    enum weft_reason reason; /* NONE: the chain is good */
    int code;                /* OpenSSL's X509_V_* */
    int depth;               /* of the certificate that failed: 0 is the leaf */
    char subject[160];       /* of that certificate */
    char text[TLS_VERDICT_TEXT_BYTES];
    bool crl_expired; /* accepted beside a revocation list whose time has passed */
};

struct tls_verify_files {
    const char *truststore; /* PEM; NULL: the system's */
    const char *chain;      /* PEM, the leaf first */
    const char *crl;        /* PEM; NULL: none */
};

/* May this be the peer of rules?  @return ok | INVALID */
WEFT_NODISCARD enum weft_err tls_verify_check_peer(const char *peer, struct weft_error *why);

/* @param client  the leaf is shown by a client, else by a server
 * @return ok (the verdict says the rest) | CONFIG (a file cannot be read) | NO_MEMORY | TLS */
WEFT_NODISCARD enum weft_err tls_verify_chain(const struct tls_verify_files *files,
                                              const struct tls_verify_rules *rules, bool client,
                                              struct tls_verdict *verdict, struct weft_error *why);

#endif
