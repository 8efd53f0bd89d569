/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/reactor/mailbox.h"

#include "engine/reactor/foreign.h"

_Static_assert(sizeof(weft_task_fn *) <= sizeof(uint64_t), "a function pointer fits a mail");

void mailbox_wake(struct weft_shard *target)
{
    atomic_thread_fence(memory_order_seq_cst);
    bool asleep = atomic_exchange_explicit(&target->sleeping, false, memory_order_seq_cst);
    if (asleep || target->engine->options.driven) { /* a driven shard sleeps between its turns */
        target->io->backend->wake(target->io);
    }
}

enum weft_err mailbox_send(struct weft_shard *target, uint32_t from, weft_task_fn *fn, void *ctx)
{
    WEFT_ASSERT(from < target->inbox_count);
    struct spsc_entry mail = {{(uint64_t)(uintptr_t)fn, (uint64_t)(uintptr_t)ctx, 0, 0}};
    if (!spsc_push(&target->inboxes[from], &mail)) {
        return WEFT_ERR_QUEUE_FULL;
    }
    mailbox_wake(target);
    return WEFT_OK;
}

bool mailbox_pending(const struct weft_shard *shard)
{
    for (uint32_t i = 0; i < shard->inbox_count; i++) {
        if (!spsc_empty(&shard->inboxes[i])) {
            return true;
        }
    }
    return foreign_pending(shard);
}

uint32_t mailbox_deliver(struct weft_shard *shard, uint32_t budget)
{
    uint32_t delivered = 0;
    for (uint32_t visited = 0; visited < shard->inbox_count && delivered < budget; visited++) {
        struct spsc_entry mail;
        struct spsc *inbox = &shard->inboxes[shard->inbox_next];
        while (delivered < budget && spsc_pop(inbox, &mail)) {
            weft_task_fn *fn = (weft_task_fn *)(uintptr_t)mail.words[0];
            fn((void *)(uintptr_t)mail.words[1], shard);
            delivered++;
        }
        shard->inbox_next = (shard->inbox_next + 1) % shard->inbox_count;
    }
    return delivered + foreign_deliver(shard, budget);
}
