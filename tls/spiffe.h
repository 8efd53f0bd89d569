/* SPDX-License-Identifier: Apache-2.0 */
/* SPIFFE ids, as the URI of a certificate names a workload, and patterns that say which of them are nodes of ours.
 *
 *     spiffe://<trust domain>/<segment>/...     a pattern is an id; a segment of it may be * or one of
 *                                               {cluster} {dc} {rack} {id}
 *
 * A * stands for any one segment.  What stands in the place of a word in braces is said of the node by whoever issued
 * the certificate. */
#ifndef TLS_SPIFFE_H
#define TLS_SPIFFE_H

#include <stdbool.h>

#include <weft/error.h>

#include "engine/net/secure.h"

#define SPIFFE_SCHEME "spiffe://"
/* The longest that the standard has every program accept, and of a trust domain. */
#define SPIFFE_ID_BYTES_MAX 2048u
#define SPIFFE_DOMAIN_BYTES_MAX 255u

/* Does the URI claim to be a SPIFFE id?  The scheme is compared without regard to case. */
bool spiffe_is_one(struct weft_span uri);
/* Only the standard's form: lower-case scheme and trust domain, no port, query, fragment or escape, no empty segment,
 * none of dots alone, no slash at the end. */
bool spiffe_is_valid(struct weft_span uri);
/* @return ok | INVALID: why says what is wrong with the pattern */
WEFT_NODISCARD enum weft_err spiffe_check_pattern(const char *pattern, struct weft_error *why);
/* @param pattern one that was checked   @param name what the id says of the node, if it matches */
bool spiffe_match(const char *pattern, struct weft_span uri, struct secure_name *name);

#endif
