/* SPDX-License-Identifier: Apache-2.0 */
/* A private OpenSSL: its own library context with the default provider.  Whoever embeds weft keeps the process-wide
 * OpenSSL for itself, and shards share no locks inside it. */
#ifndef TLS_OPENSSL_LIBRARY_H
#define TLS_OPENSSL_LIBRARY_H

#include <openssl/provider.h>
#include <openssl/types.h>

#include <weft/error.h>
#include <weft/node.h>

struct library {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
    OSSL_PROVIDER *second;   /* beside it, by the choice of who encrypts (openssl_crypto.h); NULL: none */
    const char *properties;  /* of the algorithms to fetch; a constant; NULL: any */
    enum weft_crypto crypto; /* who encrypts; never AUTO */
    const char *obstacle;    /* why it is not libipsec-mb, though that was tried; a constant */
};

WEFT_NODISCARD enum weft_err library_open(struct library *library, struct weft_error *why);
/* Also forgets what OpenSSL keeps for the calling thread in this context.  A zeroed library is fine. */
void library_close(struct library *library);

/* Fill why with a text and, behind it, OpenSSL's own first cause; the thread's OpenSSL error queue ends empty. */
enum weft_err library_error(struct weft_error *why, enum weft_err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
