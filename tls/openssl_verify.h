/* SPDX-License-Identifier: Apache-2.0 */
/* Judging the peer's chain, in a handshake or out of one. */
#ifndef TLS_OPENSSL_VERIFY_H
#define TLS_OPENSSL_VERIFY_H

#include <openssl/x509_vfy.h>

#include "engine/net/secure.h"
#include "tls/openssl_revocation.h"
#include "tls/verify.h"

/* A chain of leaf, a few intermediates and root; also bounds the work of verifying. */
#define TLS_VERIFY_DEPTH_MAX 10
/* Keys of at least 112 bits, no SHA-1: what Debian's libssl demands, whatever another one was built with. */
#define TLS_SECURITY_LEVEL 2

/* Verify what the context holds.  Its error is set, too, so that libssl sends the alert that fits.
 * @param revocation NULL or empty: nothing is revoked   @param verdict filled */
void verify_chain(X509_STORE_CTX *context, const struct tls_verify_rules *rules, bool client,
                  const struct revocation *revocation, struct tls_verdict *verdict);

/* The strict form of a leaf.  @return what is wrong with it, a constant; NULL: nothing */
const char *verify_leaf_strictly(X509 *leaf, bool client);
/* Does the certificate hold this numeric address or host name?  Its subject counts for nothing. */
bool verify_leaf_names(X509 *leaf, const char *peer);
/* Does the certificate name this peer, as tls_verify_rules has it?  @return NONE or the reason why not */
enum weft_reason verify_leaf_peer(X509 *leaf, const char *peer);
/* Whom a certificate names that verified.  @param identity filled */
void leaf_identity(X509 *leaf, const struct secure_wanted *wanted, struct secure_identity *identity);

#endif
