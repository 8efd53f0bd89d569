/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of a shard: any number of them, each started and stopped in a few instructions.
 *
 * Time is counted in ticks of 2^18 ns.  A deadline is rounded up to its tick and the current time down, so a timer
 * never fires early and at most one tick late.  A timer lies in one of 64 slots on one of 5 levels; a slot of level n
 * spans 64^n ticks.  The level is that of the highest base-64 digit in which deadline and current tick differ, the slot
 * that digit of the deadline.  From this follows what makes the rest simple: within a level all occupied slots lie
 * above the current digit, and all timers of a lower level come before all of a higher one.  The next slot to serve is
 * therefore the lowest set bit of the lowest level that has one, however far away it is.
 *
 * When a slot's time comes, timers of level 0 are due, and those of a higher level move to a lower one; a timer thus
 * moves at most once per level, and most move once or never.  What lies beyond the levels (78 hours) waits in one list,
 * which is looked at whenever the highest level has turned once.
 *
 * The caller runs timer->fn(timer, timer->ctx) for what timer_wheel_expire gives; the wheel calls nobody.
 */
#ifndef ENGINE_REACTOR_TIMER_WHEEL_H
#define ENGINE_REACTOR_TIMER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/assert.h"
#include "engine/base/list.h"

/* A tick is 262 us: deadlines are milliseconds and more, and fewer ticks mean fewer wake-ups. */
#define TIMER_TICK_SHIFT 18
#define TIMER_TICK_NS ((uint64_t)1 << TIMER_TICK_SHIFT)

#define TIMER_LEVELS 5u
#define TIMER_LEVEL_BITS 6u
#define TIMER_LEVEL_SLOTS (1u << TIMER_LEVEL_BITS)
/* Two lists beside the levels, numbered as if they were the first slots of one level more. */
#define TIMER_SLOT_DUE (TIMER_LEVELS * TIMER_LEVEL_SLOTS)
#define TIMER_SLOT_FAR (TIMER_SLOT_DUE + 1)
#define TIMER_SLOTS (TIMER_SLOT_FAR + 1)

/* Zeroed means not armed.  Must stay where it is, and alive, while it is armed. */
struct timer {
    struct list_node link; /* of its slot; meaningful while armed */
    uint64_t deadline_ns;
    void (*fn)(struct timer *timer, void *ctx);
    void *ctx;
    uint16_t slot_plus_one; /* 0: not armed */
};

struct timer_wheel {
    uint64_t tick;                       /* every timer up to this tick is due or gone */
    uint32_t armed;                      /* timers in any slot */
    uint64_t occupied[TIMER_LEVELS + 1]; /* a bit per slot that is not empty; the last word is for due and far */
    struct list slots[TIMER_SLOTS];
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns);

/* The next timer whose deadline has passed, in the order of ticks, no longer armed; NULL when there is none.  A timer
 * that was started with a deadline in the past queues behind those already due.  A now_ns below an earlier one counts
 * as that one.  Call it in a loop with a limit: a timer that restarts itself in the past comes again at once. */
struct timer *timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns);

/* When the wheel must be served next: not later than the first tick at which a timer fires, and at times earlier, when
 * timers move to a lower level.  Not after now when a timer is due already; UINT64_MAX when no timer is armed. */
uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel);

static inline void timer_init(struct timer *timer)
{
    *timer = (struct timer){.slot_plus_one = 0};
}

static inline bool timer_armed(const struct timer *timer)
{
    return timer->slot_plus_one != 0;
}

/* First tick that is not before the deadline. */
static inline uint64_t timer_deadline_tick(uint64_t deadline_ns)
{
    return (deadline_ns >> TIMER_TICK_SHIFT) + ((deadline_ns & (TIMER_TICK_NS - 1)) != 0);
}

static inline uint32_t timer_wheel_slot_for(const struct timer_wheel *wheel, uint64_t tick)
{
    if (tick <= wheel->tick) {
        return TIMER_SLOT_DUE;
    }
    uint64_t differing = tick ^ wheel->tick;
    if (WEFT_UNLIKELY(differing >> (TIMER_LEVELS * TIMER_LEVEL_BITS) != 0)) {
        return TIMER_SLOT_FAR;
    }
    /* A sixth, by multiplication: 43 / 256 is exact enough below 64. */
    uint32_t level = ((63u - (uint32_t)__builtin_clzll(differing)) * 43u) >> 8;
    uint32_t digit = (uint32_t)(tick >> (TIMER_LEVEL_BITS * level)) & (TIMER_LEVEL_SLOTS - 1);
    return level * TIMER_LEVEL_SLOTS + digit;
}

/* Put a timer that is in no slot where its deadline says. */
static inline void timer_wheel_place(struct timer_wheel *wheel, struct timer *timer)
{
    uint32_t slot = timer_wheel_slot_for(wheel, timer_deadline_tick(timer->deadline_ns));
    list_node_init(&timer->link);
    list_push_back(&wheel->slots[slot], &timer->link);
    wheel->occupied[slot / TIMER_LEVEL_SLOTS] |= (uint64_t)1 << (slot % TIMER_LEVEL_SLOTS);
    timer->slot_plus_one = (uint16_t)(slot + 1);
}

/* Disarm; nothing happens if it is not armed. */
static inline void timer_wheel_stop(struct timer_wheel *wheel, struct timer *timer)
{
    if (!timer_armed(timer)) {
        return;
    }
    uint32_t slot = timer->slot_plus_one - 1u;
    WEFT_DEBUG_ASSERT(slot < TIMER_SLOTS);
    list_remove(&timer->link);
    timer->slot_plus_one = 0;
    wheel->armed--;
    if (list_empty(&wheel->slots[slot])) {
        wheel->occupied[slot / TIMER_LEVEL_SLOTS] &= ~((uint64_t)1 << (slot % TIMER_LEVEL_SLOTS));
    }
}

/* Arm, or move if armed.  The caller has set fn and ctx. */
static inline void timer_wheel_start(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ns)
{
    timer_wheel_stop(wheel, timer);
    timer->deadline_ns = deadline_ns;
    wheel->armed++;
    timer_wheel_place(wheel, timer);
}

#endif
