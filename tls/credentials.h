/* SPDX-License-Identifier: Apache-2.0 */
/* What a node proves itself with and whom it believes: certificate chain, key, trust store and revocation lists.  Read
 * and checked once, then immutable, so that all shards share one set without locks. */
#ifndef TLS_CREDENTIALS_H
#define TLS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>
#include <weft/node.h>

#include "tls/describe.h"

struct tls_credentials;

/* Read and check the files of options (tls, certificate_revocation_list), and take its demands on peers (crl_expired,
 * require_endpoint_verification).  No certificate and no keyfile is fine: such a node only dials.  No truststore, or
 * "system", reads the system's trust store.
 * @param credentials given
 * @return ok | CONFIG (why: which key, which path, what is wrong, what would be right) | NO_MEMORY | TLS */
WEFT_NODISCARD enum weft_err tls_credentials_load(struct tls_credentials **credentials,
                                                  const struct weft_node_options *options, struct weft_error *why);
/* Wipes the key.  NULL is fine.  Contexts keep nothing of it. */
void tls_credentials_destroy(struct tls_credentials *credentials);

/* Are both sets made of the same files' contents? */
bool tls_credentials_same(const struct tls_credentials *a, const struct tls_credentials *b);
/* May this set replace one that is in use?  More is demanded than at a start: somebody looks at a start.
 * @return ok | CONFIG */
WEFT_NODISCARD enum weft_err tls_credentials_check_replacement(const struct tls_credentials *credentials,
                                                               const struct tls_credentials *in_use,
                                                               struct weft_error *why);

/* The days before its end in which the own certificate is warned of. */
#define TLS_EXPIRY_WARNING_DAYS 30

/* The own certificate, NULL if there is none. */
const struct tls_description *tls_credentials_leaf(const struct tls_credentials *credentials);
/* The file that it came from; there is one. */
const char *tls_credentials_path(const struct tls_credentials *credentials);
/* One line for the start table: the certificate (subject, issuer, names, notAfter), the trust store, and how many
 * revocation lists there are. */
void tls_credentials_describe(const struct tls_credentials *credentials, char *text, uint32_t bytes);
bool tls_credentials_trust_system(const struct tls_credentials *credentials);

/* What is not wrong enough to refuse; one line each. */
uint32_t tls_credentials_warning_count(const struct tls_credentials *credentials);
const char *tls_credentials_warning(const struct tls_credentials *credentials, uint32_t index);

#endif
