/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody speaks who does not speak this protocol, told by the first bytes of the connection, so that a log can
 * say what to put right.  Recognising admits nobody: whoever is recognised is refused with better words. */
#ifndef ENGINE_RPC_FIRST_BYTES_H
#define ENGINE_RPC_FIRST_BYTES_H

#include <stdbool.h>

#include <weft/buf.h>

enum first_bytes {
    FIRST_BYTES_UNKNOWN = 0,
    FIRST_BYTES_RPC,           /* a negotiation of ours, in plaintext */
    FIRST_BYTES_TLS_HANDSHAKE, /* of TLS, or of SSL 3.0 */
    FIRST_BYTES_TLS_ALERT,
    FIRST_BYTES_SSL2, /* a hello of SSL 2.0, or in its framing */
    FIRST_BYTES_HTTP,
    FIRST_BYTES_SSH,
    FIRST_BYTES_PROXY, /* a PROXY protocol header, version 1 or 2 */
    FIRST_BYTES_COUNT
};

/* Too few bytes are UNKNOWN: whoever sends its first bytes one by one gets plainer words. */
enum first_bytes first_bytes_tell(struct weft_span bytes);

/* As in "the peer sends ..."; never NULL. */
const char *first_bytes_words(enum first_bytes kind);

static inline bool first_bytes_are_tls(enum first_bytes kind)
{
    return kind == FIRST_BYTES_TLS_HANDSHAKE || kind == FIRST_BYTES_TLS_ALERT || kind == FIRST_BYTES_SSL2;
}

#endif
