/* SPDX-License-Identifier: Apache-2.0 */
/* Describing certificates that are parsed already. */
#ifndef TLS_OPENSSL_DESCRIBE_H
#define TLS_OPENSSL_DESCRIBE_H

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/describe.h"

/* On failure nothing needs to be released. */
WEFT_NODISCARD enum weft_err describe_certificate(struct tls_description *description, X509 *certificate,
                                                  struct weft_error *why);
void describe_fini(struct tls_description *description);

/* An alternative name, such as "IP:10.0.0.1", printable, cut at bytes. */
void describe_name(const GENERAL_NAME *name, char *text, uint32_t bytes);
/* A distinguished name as one printable line. */
void describe_distinguished_name(const X509_NAME *name, char *text, uint32_t bytes);

/* When it ends, in seconds since 1970; 0: no certificate, or not in a way that weft takes. */
int64_t describe_not_after_s(const X509 *certificate);

#endif
