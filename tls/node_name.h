/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the name of a node: weft://<cluster>/<dc>/<rack>/<node id>, as tls_node_uri writes it. */
#ifndef TLS_NODE_NAME_H
#define TLS_NODE_NAME_H

#include <stdbool.h>

#include <weft/defs.h>

#include "engine/net/secure.h"

#define NODE_NAME_SCHEME "weft://"

/* Does it claim to name a node?  The scheme is compared without regard to case, as RFC 3986 demands. */
bool node_name_is_one(struct weft_span uri);
/* Only what tls_node_uri could have written is read: four parts, of which none is empty; what is unreserved stands as
 * it is, and anything else as % and two digits above 9 in upper case; UTF-8 without NUL; the id a UUID.
 * @return false: it names nobody, and name is then not valid */
bool node_name_parse(struct secure_name *name, struct weft_span uri);
/* May who is proven to be the one be the other?  What either does not say fits everything.
 * @return NONE | WRONG_CLUSTER | WRONG_NODE | LOCATION_CLAIM_MISMATCH */
enum weft_reason node_name_fits(const struct secure_name *proven, const struct secure_name *wanted);

#endif
