/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that make certificates share. */
#ifndef TLS_OPENSSL_ISSUE_H
#define TLS_OPENSSL_ISSUE_H

#include <openssl/x509.h>

#include "tls/issue.h"
#include "tls/openssl_library.h"

/* What is at hand while one certificate is made. */
struct issue {
    struct library library;
    X509 *certificate;
    EVP_PKEY *key;
    X509 *ca; /* NULL: the certificate signs itself */
    EVP_PKEY *ca_key;
};

static inline enum weft_err issue_trouble(struct weft_error *why, const char *what)
{
    return library_error(why, WEFT_ERR_TLS, "%s cannot be made", what);
}

/* The certificate has its public key already. */
WEFT_NODISCARD enum weft_err issue_add_ca_extensions(struct issue *issue, struct weft_error *why);
WEFT_NODISCARD enum weft_err issue_add_node_extensions(struct issue *issue, const char *uri,
                                                       const struct tls_node_options *options, struct weft_error *why);

#endif
