/* SPDX-License-Identifier: Apache-2.0 */
/* One shard's TLS: an OpenSSL of its own and the rules for its connections, which come out of a secure_factory.
 * TLS 1.2 (ECDHE with AEAD only) and 1.3, or what a priority string says; no renegotiation, compression, tickets or
 * session cache. */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <stdint.h>

#include <weft/error.h>
#include <weft/node.h>

#include "engine/net/secure.h"
#include "tls/credentials.h"
#include "tls/priority.h"

/* Zero means the default. */
struct tls_context_options {
    enum weft_client_auth client_auth; /* of accepted connections */
    enum tls_version version_min;      /* 1.2 */
    enum tls_version version_max;      /* 1.3 */
    uint64_t records_per_key;          /* sealed before the key is changed; 2^24 */
    enum weft_crypto crypto;
    const char *priority_string; /* as priority_parse takes it; NULL: priority_default */
};

struct tls_context;

/* Build a context; nothing of credentials is kept.  @param context given
 * @return ok | CONFIG | TLS | NO_MEMORY */
WEFT_NODISCARD enum weft_err tls_context_create(struct tls_context **context, const struct tls_credentials *credentials,
                                                const struct tls_context_options *options, struct weft_error *why);
/* The thread that made a context for another one has done with it. */
void tls_context_leave(struct tls_context *context);
/* On the thread that used it, after its last session was closed.  NULL is fine. */
void tls_context_destroy(struct tls_context *context);

/* Makes the connections' sessions; lives as long as the context.  Without a certificate it makes only client ones;
 * server ones fail with CONFIG. */
struct secure_factory *tls_context_factory(struct tls_context *context);

/* What a context made with this priority string offers and takes; NULL: with none.
 * @return ok | CONFIG (why begins with "priority_string: ") */
WEFT_NODISCARD enum weft_err tls_context_priority(struct priority *priority, const char *priority_string,
                                                  struct weft_error *why);

#endif
