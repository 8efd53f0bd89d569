/* SPDX-License-Identifier: Apache-2.0 */
/* A shard of the host's that is not run accepts nothing, and the kernel goes on giving connections to its listeners.
 * Others accept them until it is run again.
 *
 * Happy path: every now and then a shard asks another whether it is there, by mail; one question at a time.  Who has
 * not answered for a second is away, and the next shard that is not accepts from its sockets beside it.  That is the
 * kernel's business alone: each connection is taken by one of them.  With the answer it ends, and what was taken
 * meanwhile stays where it is.
 *
 * Failure modes: nobody stands in when all are away; two may for a moment, which harms nothing. */
#include "engine/base/error.h"
#include "engine/reactor/engine.h"
#include "engine/reactor/mailbox.h"
#include "topology/cluster/node.h"

#define ASK_EVERY_NS UINT64_C(250000000)
#define AWAY_AFTER_NS UINT64_C(1000000000)

static bool shard_is_away(const struct weft_node *node, uint32_t index, uint64_t now_ns)
{
    uint64_t asked_ns = atomic_load(&node->shards[index].asked_ns);
    return asked_ns != 0 && now_ns >= asked_ns + AWAY_AFTER_NS;
}

static void stand_in_answer(void *ctx, struct weft_shard *shard)
{
    (void)ctx;
    atomic_store(&node_shard_of(shard)->asked_ns, 0);
}

static void stand_in_ask(struct node_shard *share, struct node_shard *other)
{
    uint_fast64_t nobody = 0;
    uint64_t now_ns = share->shard->now_ns + 1; /* not 0 */
    if (atomic_compare_exchange_strong(&other->asked_ns, &nobody, now_ns) &&
        mailbox_send(other->shard, share->shard->index, stand_in_answer, NULL) != WEFT_OK) {
        atomic_store(&other->asked_ns, 0); /* its mailbox is full: next time */
    }
}

/* Is it this shard that stands in for one that is away? */
static bool stand_in_is_due(const struct node_shard *share, uint32_t index)
{
    const struct weft_node *node = share->node;
    uint64_t now_ns = share->shard->now_ns;
    if (!shard_is_away(node, index, now_ns)) {
        return false;
    }
    uint32_t next = (index + 1) % node->shard_count;
    while (next != share->shard->index && shard_is_away(node, next, now_ns)) {
        next = (next + 1) % node->shard_count;
    }
    return next == share->shard->index;
}

static bool stand_in_idle(const struct stand_in *stand_in)
{
    return node_accept_rests(stand_in->listeners);
}

static void stand_in_begin(struct node_shard *share, uint32_t index)
{
    struct stand_in *stand_in = &share->stand_ins[index];
    log_event(&share->log, share->shard->now_ns, LOG_ACCEPT_PAUSED, 'W',
              "shard %u has not been run for a second: shard %u accepts for it", index, share->shard->index);
    stand_in->standing = true;
    node_ports_stand_in(share, index);
}

static void stand_in_end(struct node_shard *share, uint32_t index)
{
    struct stand_in *stand_in = &share->stand_ins[index];
    log_event(&share->log, share->shard->now_ns, LOG_ACCEPT_PAUSED, 'I', "shard %u is run again", index);
    stand_in->standing = false;
    node_accept_release(stand_in->listeners);
}

static void stand_in_look(struct timer *timer, void *ctx)
{
    struct node_shard *share = ctx;
    for (uint32_t i = 0; i < share->node->shard_count; i++) {
        struct stand_in *stand_in = &share->stand_ins[i];
        if (i == share->shard->index) {
            continue;
        }
        stand_in_ask(share, &share->node->shards[i]);
        bool due = stand_in_is_due(share, i);
        if (due && !stand_in->standing && stand_in_idle(stand_in)) {
            stand_in_begin(share, i);
        } else if (!due && stand_in->standing) {
            stand_in_end(share, i);
        }
    }
    shard_timer_start(share->shard, timer, ASK_EVERY_NS);
}

void node_stand_in_start(struct node_shard *share)
{
    if (share->stand_ins != NULL) {
        share->stand_in_timer = (struct timer){.fn = stand_in_look, .ctx = share};
        shard_timer_start(share->shard, &share->stand_in_timer, ASK_EVERY_NS);
    }
}

void node_stand_in_stop(struct node_shard *share)
{
    if (share->stand_ins == NULL) {
        return;
    }
    timer_wheel_stop(&share->shard->wheel, &share->stand_in_timer);
    for (uint32_t i = 0; i < share->node->shard_count; i++) {
        node_accept_release(share->stand_ins[i].listeners);
    }
}

bool node_stand_in_rests(const struct node_shard *share)
{
    bool rests = true;
    for (uint32_t i = 0; share->stand_ins != NULL && i < share->node->shard_count; i++) {
        rests = rests && stand_in_idle(&share->stand_ins[i]);
    }
    return rests;
}
