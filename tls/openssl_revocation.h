/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation lists: of each issuer the newest one, and no other. */
#ifndef TLS_OPENSSL_REVOCATION_H
#define TLS_OPENSSL_REVOCATION_H

#include <stdbool.h>

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <weft/error.h>

#include "tls/openssl_pem.h"

/* A list of a million entries has some 40 MB. */
#define REVOCATION_BYTES_MAX (64u * 1024 * 1024)
#define REVOCATION_LISTS_MAX 64u

struct revocation {
    X509_CRL *lists[REVOCATION_LISTS_MAX];
    uint32_t count;
};

/* Parse a file of one list or more.  Of several lists of one issuer the one with the highest number counts, or with the
 * latest lastUpdate where they have no numbers; two that differ and cannot be told apart are an error.
 * @return ok | CONFIG | NO_MEMORY */
WEFT_NODISCARD enum weft_err revocation_parse(struct revocation *revocation, const struct pem_file *file,
                                              OSSL_LIB_CTX *library, struct weft_error *why);
/* Zeroed is fine. */
void revocation_fini(struct revocation *revocation);

/* Is there a list of this issuer? */
bool revocation_covers(const struct revocation *revocation, const X509_NAME *issuer);
/* Make a trust store look into the lists. */
bool revocation_install(const struct revocation *revocation, X509_STORE *store);

#endif
