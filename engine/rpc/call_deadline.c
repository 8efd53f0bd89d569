/* SPDX-License-Identifier: Apache-2.0 */
/* The deadlines of calls: one timer for each slot, which outlives its call.
 *
 * A call whose slot has a timer that fires early enough uses it as it is, and leaves it armed when it ends; nearly all
 * do, since a slot is used again at once and deadlines only move on.  When such a timer fires it looks who has the slot
 * now: nobody, or a call that has time left, for which it is armed again.  So a call costs one comparison, and a slot
 * one timer event for each timeout's length.
 *
 * The timers lie apart from the calls: they are touched while the slot is free. */
#include "engine/base/mapping.h"
#include "engine/rpc/call.h"

enum weft_err call_deadlines_init(struct rpc *rpc)
{
    rpc->deadlines = mapping_make(rpc->net->options.allocator, (uint64_t)rpc->calls.count * sizeof *rpc->deadlines);
    return rpc->deadlines != NULL ? WEFT_OK : WEFT_ERR_NO_MEMORY;
}

void call_deadlines_stop(struct rpc *rpc)
{
    for (uint32_t i = 0; i < rpc->calls.count_touched; i++) {
        timer_wheel_stop(&rpc->shard->wheel, &rpc->deadlines[i]);
    }
}

void call_deadlines_fini(struct rpc *rpc)
{
    if (rpc->deadlines != NULL) {
        call_deadlines_stop(rpc);
        mapping_drop(rpc->net->options.allocator, rpc->deadlines, (uint64_t)rpc->calls.count * sizeof *rpc->deadlines);
        rpc->deadlines = NULL;
    }
}

static void call_deadline_came(struct timer *timer, void *ctx)
{
    struct rpc *rpc = ctx;
    struct call *call = slots_in_use_at(&rpc->calls, (uint32_t)(timer - rpc->deadlines));
    if (call == NULL || call->cancelled) {
        return;
    }
    if (rpc->shard->now_ns < call->deadline_ns) {
        timer_wheel_start(&rpc->shard->wheel, timer, call->deadline_ns);
        return;
    }
    call_expire(call);
}

void call_deadline_arm(struct call *call)
{
    struct rpc *rpc = call->rpc;
    struct timer *timer = &rpc->deadlines[call->index];
    timer_wheel_stop(&rpc->shard->wheel, timer);
    timer->fn = call_deadline_came;
    timer->ctx = rpc;
    timer_wheel_start(&rpc->shard->wheel, timer, call->deadline_ns);
}
