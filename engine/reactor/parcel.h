/* SPDX-License-Identifier: Apache-2.0 */
/* Parcels: blocks of one shard's arena that go to another shard, there and back.
 *
 * Whoever has a parcel may read and write it, and only that one.  Sending one for the first time can be refused; on its
 * way back it always arrives, for what finds the mailbox full waits for the next turn.  A parcel may also be dropped
 * where it is: its memory then goes home by itself.
 *
 * The user's struct begins with a struct parcel, and the block lives in the arena of the shard that made it. */
#ifndef ENGINE_REACTOR_PARCEL_H
#define ENGINE_REACTOR_PARCEL_H

#include "engine/reactor/shard.h"

struct parcel {
    struct weft_shard *home;      /* whose arena the block is of */
    struct list_node link;        /* of the sender's waiting ones */
    struct parcel *next_returned; /* of those that were dropped elsewhere */
    struct weft_shard *to;        /* while it waits */
    weft_task_fn *open;
};

/* Make a parcel of a block that was just taken from the shard's arena. */
void parcel_init(struct weft_shard *home, struct parcel *parcel);
/* Run open(parcel, to) on the other shard.  @return ok: it is theirs | QUEUE_FULL */
WEFT_NODISCARD enum weft_err parcel_send(struct weft_shard *from, struct parcel *parcel, struct weft_shard *to,
                                         weft_task_fn *open);
/* The same, now or as soon as there is room. */
void parcel_send_surely(struct weft_shard *from, struct parcel *parcel, struct weft_shard *to, weft_task_fn *open);
/* End a parcel on whichever shard has it. */
void parcel_drop(struct weft_shard *here, struct parcel *parcel);
/* Take back the memory of those that were dropped elsewhere; the turn does. */
void parcel_collect(struct weft_shard *shard);

#endif
