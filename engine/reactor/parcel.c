/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/reactor/parcel.h"

#include "engine/reactor/engine.h"
#include "engine/reactor/mailbox.h"

void parcel_init(struct weft_shard *home, struct parcel *parcel)
{
    *parcel = (struct parcel){.home = home};
    list_node_init(&parcel->link);
    home->parcels.out++;
}

enum weft_err parcel_send(struct weft_shard *from, struct parcel *parcel, struct weft_shard *to, weft_task_fn *open)
{
    WEFT_ASSERT(from != to);
    if (!list_empty(&from->parcels.waiting)) {
        return WEFT_ERR_QUEUE_FULL; /* those come first */
    }
    return mailbox_send(to, from->index, open, parcel);
}

static void parcel_send_waiting(struct task *task)
{
    struct weft_shard *shard = WEFT_CONTAINER_OF(task, struct weft_shard, parcels.retry);
    struct list waiting;
    struct list_node *node;
    list_init(&waiting);
    list_splice_back(&waiting, &shard->parcels.waiting);
    while ((node = list_pop_front(&waiting)) != NULL) {
        struct parcel *parcel = WEFT_CONTAINER_OF(node, struct parcel, link);
        parcel_send_surely(shard, parcel, parcel->to, parcel->open);
    }
}

void parcel_send_surely(struct weft_shard *from, struct parcel *parcel, struct weft_shard *to, weft_task_fn *open)
{
    if (parcel_send(from, parcel, to, open) == WEFT_OK) {
        return;
    }
    parcel->to = to;
    parcel->open = open;
    list_push_back(&from->parcels.waiting, &parcel->link);
    from->parcels.retry.run = parcel_send_waiting;
    shard_run_when_fed(from, &from->parcels.retry);
}

static void parcel_free(struct weft_shard *home, struct parcel *parcel)
{
    WEFT_ASSERT(home->parcels.out > 0);
    home->parcels.out--;
    arena_give_back(&home->arena, (uint8_t *)parcel);
}

void parcel_drop(struct weft_shard *here, struct parcel *parcel)
{
    struct weft_shard *home = parcel->home;
    if (home == here) {
        parcel_free(home, parcel);
        return;
    }
    struct parcel *first = atomic_load_explicit(&home->parcels.returned, memory_order_relaxed);
    do {
        parcel->next_returned = first;
    } while (!atomic_compare_exchange_weak_explicit(&home->parcels.returned, &first, parcel, memory_order_release,
                                                    memory_order_relaxed));
}

void parcel_collect(struct weft_shard *shard)
{
    if (WEFT_LIKELY(atomic_load_explicit(&shard->parcels.returned, memory_order_relaxed) == NULL)) {
        return;
    }
    struct parcel *parcel = atomic_exchange_explicit(&shard->parcels.returned, NULL, memory_order_acquire);
    while (parcel != NULL) {
        struct parcel *next = parcel->next_returned;
        parcel_free(shard, parcel);
        parcel = next;
    }
}
