/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM with VAES for OpenSSLs that have none (before 3.1), as a provider of two ciphers: everything else of TLS
 * stays libssl's and the default provider's.
 *
 * Load it behind the default provider, into a library context of weft's own, and ask for it with VAES_PROPERTIES, which
 * falls back to the default provider for all that it does not have. */
#ifndef TLS_OPENSSL_VAES_H
#define TLS_OPENSSL_VAES_H

#include <stdbool.h>

#include <openssl/core_dispatch.h>
#include <openssl/types.h>

#define VAES_PROVIDER "vaesgcm"
#define VAES_PROPERTIES "?provider=" VAES_PROVIDER

/* Why it cannot be used, as the end of a sentence; NULL if this machine and this build can. */
const char *vaes_obstacle(void);

/* For OSSL_PROVIDER_add_builtin; fails where there is an obstacle. */
OSSL_provider_init_fn vaes_provider_init;

/* Known answers of both ciphers, through the interface that libssl uses. */
bool vaes_self_test(OSSL_LIB_CTX *context);

#endif
