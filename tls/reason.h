/* SPDX-License-Identifier: Apache-2.0 */
/* From what OpenSSL says about a failure to one of weft's reasons and a sentence that says which side complained. */
#ifndef TLS_REASON_H
#define TLS_REASON_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

/* What is known when a session fails. */
struct tls_failure {
    uint64_t code;              /* OpenSSL's first error of the call; 0: it gave none */
    long verify_result;         /* X509_V_*: how verifying the peer's certificate ended */
    int verify_depth;           /* 0: the peer's own certificate failed; above: one of its CAs */
    const char *verify_subject; /* of the certificate that failed; "" if none did */
    bool server;                /* we accepted */
    bool handshake_done;
    bool first_byte_known;
    uint8_t first_byte;         /* the first byte that the peer sent */
    bool certificate_asked;     /* the peer asked for our certificate */
    bool certificate_own;       /* we have one */
    bool certificate_own_early; /* ours is not valid yet */
};

/* No TLS record begins with this byte, nor an old-style hello. */
bool tls_reason_is_plaintext(uint8_t first_byte);

/* Fill error, if it is still empty, with code TLS, the reason, tls_code and a text. */
void tls_reason_explain(const struct tls_failure *failure, struct weft_error *error);

#endif
