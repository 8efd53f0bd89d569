/* SPDX-License-Identifier: Apache-2.0 */
/* A priority as settings of an SSL_CTX. */
#ifndef TLS_OPENSSL_PRIORITY_H
#define TLS_OPENSSL_PRIORITY_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "tls/priority.h"

/* Versions are those that the priority and the two bounds allow (TLS_VERSION_DEFAULT: no bound).
 * @return false if OpenSSL has not what it takes; its error queue may say what */
bool priority_apply(const struct priority *priority, SSL_CTX *context, enum tls_version version_min,
                    enum tls_version version_max);

#endif
