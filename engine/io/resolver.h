/* SPDX-License-Identifier: Apache-2.0 */
/* Host names, asked for on a thread of their own, so that a resolver that does not answer costs a bounded time.
 *
 *     resolver_create(&resolver, RESOLVER_LIMIT_NS, NULL, why);
 *     resolver_ask(resolver, "node1.example", &address, why);
 *     resolver_destroy(resolver);
 */
#ifndef ENGINE_IO_RESOLVER_H
#define ENGINE_IO_RESOLVER_H

#include <stdint.h>

#include <weft/error.h>

#include "engine/io/address.h"

/* Longest host name, by RFC 1035. */
#define RESOLVER_NAME_BYTES_MAX 253u
/* For all names of a configuration together: twice what glibc gives one server that is silent. */
#define RESOLVER_LIMIT_NS UINT64_C(10000000000)

struct resolver;

/* The address of a name, IPv4 first; may block. */
typedef enum weft_err resolver_lookup_fn(const char *name, struct address *address, struct weft_error *why);

/* @param limit_ns for all questions together, until resolver_renew   @param lookup NULL: the system's */
WEFT_NODISCARD enum weft_err resolver_create(struct resolver **resolver, uint64_t limit_ns, resolver_lookup_fn *lookup,
                                             struct weft_error *why);
/* Wait for the answer, or for the end of the limit.  One thread at a time.
 * @return ok | NOT_FOUND | INVALID (too long) | TIMEOUT | SYSTEM: no thread */
WEFT_NODISCARD enum weft_err resolver_ask(struct resolver *resolver, const char *name, struct address *address,
                                          struct weft_error *why);
/* The limit anew. */
void resolver_renew(struct resolver *resolver);
/* Questions that were given up. */
uint64_t resolver_late_count(struct resolver *resolver);
/* A lookup that is still under way ends by itself, and then its thread.  NULL is fine. */
void resolver_destroy(struct resolver *resolver);

#endif
