/* SPDX-License-Identifier: Apache-2.0 */
/* Who encrypts: OpenSSL itself, libipsec-mb, or OpenSSL's FIPS module. */
#ifndef TLS_CRYPTO_H
#define TLS_CRYPTO_H

#include <stdint.h>

#include <weft/error.h>
#include <weft/node.h>

#define TLS_CRYPTO_TEXT_BYTES 160u

/* "auto", "openssl", "vaes" or "fips". */
const char *tls_crypto_name(enum weft_crypto crypto);
/* Which one it is with that choice on this machine, and why.  The same check that a shard makes as it starts.
 * @return ok | TLS (why says what is missing) */
WEFT_NODISCARD enum weft_err tls_crypto_describe(enum weft_crypto wanted, enum weft_crypto *used,
                                                 char text[TLS_CRYPTO_TEXT_BYTES], struct weft_error *why);

#endif
