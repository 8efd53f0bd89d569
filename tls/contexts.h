/* SPDX-License-Identifier: Apache-2.0 */
/* One shard's contexts: that of new connections, and former ones, whose credentials were replaced, until their last
 * sessions end.  With its last session a former context goes, and the keys in it are wiped. */
#ifndef TLS_CONTEXTS_H
#define TLS_CONTEXTS_H

#include <stdatomic.h>

#include "tls/context.h"

#define TLS_CONTEXTS_FORMER_MAX 10u

struct tls_contexts {
    struct secure_factory factory; /* of sessions, always by the current context */
    struct tls_context *current;   /* NULL: no TLS */
    struct tls_context *former[TLS_CONTEXTS_FORMER_MAX];
    atomic_uint former_count; /* any thread may look */
};

/* @param first taken */
void tls_contexts_open(struct tls_contexts *contexts, struct tls_context *first);
/* There is room for another former one.  @param next taken: what new connections get from now on */
void tls_contexts_replace(struct tls_contexts *contexts, struct tls_context *next);
/* No session is left.  Zeroed is fine. */
void tls_contexts_close(struct tls_contexts *contexts);

#endif
