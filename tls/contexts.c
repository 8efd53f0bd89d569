/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/contexts.h"

#include "engine/base/assert.h"
#include "tls/openssl_context.h"

static enum weft_err contexts_make(struct secure_factory *factory, bool server, struct secure **session,
                                   struct weft_error *why)
{
    const struct tls_contexts *contexts = WEFT_CONTAINER_OF(factory, struct tls_contexts, factory);
    struct secure_factory *current = tls_context_factory(contexts->current);
    return current->make(current, server, session, why);
}

void tls_contexts_open(struct tls_contexts *contexts, struct tls_context *first)
{
    WEFT_ASSERT(contexts->current == NULL);
    contexts->factory.make = contexts_make;
    contexts->current = first;
    first->serial = 1;
}

/* The last session of a former context has ended. */
static void contexts_unused(struct tls_context *context)
{
    struct tls_contexts *contexts = context->contexts;
    uint32_t count = atomic_load(&contexts->former_count);
    uint32_t index = 0;
    while (index < count && contexts->former[index] != context) {
        index++;
    }
    WEFT_ASSERT(index < count);
    contexts->former[index] = contexts->former[count - 1];
    atomic_store(&contexts->former_count, count - 1);
    tls_context_destroy(context);
}

void tls_contexts_replace(struct tls_contexts *contexts, struct tls_context *next)
{
    struct tls_context *before = contexts->current;
    uint32_t count = atomic_load(&contexts->former_count);
    next->serial = before->serial + 1;
    contexts->current = next;
    if (before->session_count == 0) {
        tls_context_destroy(before);
        return;
    }
    WEFT_ASSERT(count < TLS_CONTEXTS_FORMER_MAX);
    before->contexts = contexts;
    before->unused = contexts_unused;
    contexts->former[count] = before;
    atomic_store(&contexts->former_count, count + 1);
}

void tls_contexts_close(struct tls_contexts *contexts)
{
    WEFT_ASSERT(atomic_load(&contexts->former_count) == 0);
    tls_context_destroy(contexts->current);
    contexts->current = NULL;
}
