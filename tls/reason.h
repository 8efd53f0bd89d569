/* SPDX-License-Identifier: Apache-2.0 */
/* From what OpenSSL says about a failure to one of weft's reasons and a sentence that says which side complained. */
#ifndef TLS_REASON_H
#define TLS_REASON_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "engine/rpc/first_bytes.h"
#include "tls/verify.h"

/* What is known when a session fails. */
struct tls_failure {
    uint64_t code;                     /* OpenSSL's first error of the call; 0: it gave none */
    const struct tls_verdict *verdict; /* on the peer's certificate */
    bool server;                       /* we accepted */
    bool handshake_done;
    bool first_byte_known;
    uint8_t first_byte;           /* the first byte that the peer sent */
    enum first_bytes first_bytes; /* and what it begins, as far as it came along */
    bool certificate_asked;       /* the peer asked for our certificate */
    bool certificate_own;         /* we have one */
    bool certificate_own_early;   /* ours is not valid yet */
};

/* No TLS record begins with this byte, nor an old-style hello. */
bool tls_reason_is_plaintext(uint8_t first_byte);

/* Is this the code (tls_code of an error) of an alert, so that it is the peer who complained? */
bool tls_reason_is_told(uint64_t tls_code);

/* Reason and text of a verdict whose code, depth and subject are known. */
void tls_reason_explain_verdict(struct tls_verdict *verdict);

/* Fill error, if it is still empty, with code TLS, the reason, tls_code and a text. */
void tls_reason_explain(const struct tls_failure *failure, struct weft_error *error);

#endif
