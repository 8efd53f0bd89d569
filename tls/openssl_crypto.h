/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of who encrypts, made in a library context. */
#ifndef TLS_OPENSSL_CRYPTO_H
#define TLS_OPENSSL_CRYPTO_H

#include "tls/crypto.h"
#include "tls/openssl_library.h"

/* A library context with the providers of that choice.  Its algorithms come by library->properties, its choice is
 * library->crypto.  @return ok | TLS | NO_MEMORY */
WEFT_NODISCARD enum weft_err crypto_open(struct library *library, enum weft_crypto wanted, struct weft_error *why);
/* Why it became that one. */
void crypto_explain(const struct library *library, enum weft_crypto wanted, char text[TLS_CRYPTO_TEXT_BYTES]);

#endif
