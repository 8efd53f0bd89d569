/* SPDX-License-Identifier: Apache-2.0 */
/* One TLS session, as its files share it. */
#ifndef TLS_OPENSSL_SESSION_H
#define TLS_OPENSSL_SESSION_H

#include "engine/base/assert.h"
#include "engine/rpc/first_bytes.h"
#include "tls/openssl_context.h"
#include "tls/verify.h"

struct session {
    struct secure secure;
    struct tls_context *context;
    SSL *ssl;
    struct secure_in *in;   /* the caller's, while a call runs; else NULL */
    struct secure_out *out; /* likewise */
    bool server;
    bool handshake_done;
    bool failed;
    bool closed;        /* the peer's close_notify arrived */
    bool flush_pending; /* libssl waits for room to write something of its own */
    bool first_byte_known;
    uint8_t first_byte;
    enum first_bytes first_bytes;
    bool certificate_asked;
    uint32_t seal_bytes;        /* of the record that libssl has begun to write; 0: none */
    uint64_t seal_records;      /* under the current key */
    uint64_t open_records;      /* of the peer's data */
    uint64_t messages;          /* of the peer's beside its data, since the handshake */
    bool flooded;               /* they were too many: nothing is read any more */
    struct tls_verdict verdict; /* on the peer's certificate */
    uint32_t judged;            /* serial of the context that it was last judged by */
};

static inline uint32_t out_room(const struct secure_out *out)
{
    WEFT_ASSERT(out->used <= out->bytes_max);
    return out->bytes_max - out->used;
}

#endif
