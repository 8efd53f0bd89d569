/* SPDX-License-Identifier: Apache-2.0 */
/* Describing certificates that are parsed already. */
#ifndef TLS_OPENSSL_DESCRIBE_H
#define TLS_OPENSSL_DESCRIBE_H

#include <openssl/x509.h>

#include "tls/describe.h"

/* On failure nothing needs to be released. */
WEFT_NODISCARD enum weft_err describe_certificate(struct tls_description *description, X509 *certificate,
                                                  struct weft_error *why);
void describe_fini(struct tls_description *description);

/* A distinguished name as one printable line. */
void describe_distinguished_name(const X509_NAME *name, char *text, uint32_t bytes);

#endif
