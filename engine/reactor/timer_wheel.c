/* SPDX-License-Identifier: Apache-2.0 */
/* Time passing on a timer wheel.
 *
 * Happy path: nothing is due and the next occupied slot lies in the future: two loads and a comparison.  Otherwise the
 * wheel steps from one occupied slot to the next; empty ones cost nothing, so a jump of hours takes as many steps as
 * there are timers, not ticks.
 * Failure modes: none.  A deadline within the last tick that 64 bits of nanoseconds can say never comes.
 */
#include "engine/reactor/timer_wheel.h"

#include <weft/shard.h>

_Static_assert(sizeof(struct timer) <= sizeof(struct weft_timer), "a public timer holds one of ours");
_Static_assert(TIMER_LEVEL_SLOTS == 64, "a level's slots are the bits of one word");
_Static_assert(TIMER_SLOTS < UINT16_MAX, "a timer keeps its slot in 16 bits");

#define FAR_BIT ((uint64_t)1 << (TIMER_SLOT_FAR % TIMER_LEVEL_SLOTS))
#define DUE_BIT ((uint64_t)1 << (TIMER_SLOT_DUE % TIMER_LEVEL_SLOTS))

/* Later than any tick that time can reach. */
#define TICK_NEVER UINT64_MAX

/* A slot, and the tick at which its turn comes. */
struct wheel_step {
    uint64_t tick;
    uint32_t slot;
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns)
{
    *wheel = (struct timer_wheel){.tick = now_ns >> TIMER_TICK_SHIFT};
    for (uint32_t i = 0; i < TIMER_SLOTS; i++) {
        list_init(&wheel->slots[i]);
    }
}

/* The tick with its lowest digits cleared. */
static uint64_t tick_floor(uint64_t tick, uint32_t digits)
{
    uint32_t bits = digits * TIMER_LEVEL_BITS;
    return tick >> bits << bits;
}

/* The first occupied slot behind the current tick; TICK_NEVER when there is none. */
static struct wheel_step wheel_next_step(const struct timer_wheel *wheel)
{
    for (uint32_t level = 0; level < TIMER_LEVELS; level++) {
        uint64_t occupied = wheel->occupied[level];
        if (occupied != 0) {
            uint32_t digit = (uint32_t)__builtin_ctzll(occupied);
            uint64_t start = tick_floor(wheel->tick, level + 1) + ((uint64_t)digit << (level * TIMER_LEVEL_BITS));
            WEFT_DEBUG_ASSERT(start > wheel->tick);
            return (struct wheel_step){start, level * TIMER_LEVEL_SLOTS + digit};
        }
    }
    if ((wheel->occupied[TIMER_LEVELS] & FAR_BIT) != 0) {
        uint64_t turned = tick_floor(wheel->tick, TIMER_LEVELS) + ((uint64_t)1 << (TIMER_LEVELS * TIMER_LEVEL_BITS));
        return (struct wheel_step){turned, TIMER_SLOT_FAR};
    }
    return (struct wheel_step){TICK_NEVER, TIMER_SLOT_DUE};
}

/* Make the step's tick the current one and put its timers where they belong now: among the due, on a lower level, or
 * among the far ones again. */
static void wheel_take_step(struct timer_wheel *wheel, struct wheel_step step)
{
    struct list moving;
    list_init(&moving);
    list_splice_back(&moving, &wheel->slots[step.slot]);
    wheel->occupied[step.slot / TIMER_LEVEL_SLOTS] &= ~((uint64_t)1 << (step.slot % TIMER_LEVEL_SLOTS));
    wheel->tick = step.tick;
    struct list_node *node;
    while ((node = list_pop_front(&moving)) != NULL) {
        timer_wheel_place(wheel, WEFT_CONTAINER_OF(node, struct timer, link));
    }
}

struct timer *timer_wheel_expire(struct timer_wheel *wheel, uint64_t now_ns)
{
    uint64_t now = now_ns >> TIMER_TICK_SHIFT;
    while ((wheel->occupied[TIMER_LEVELS] & DUE_BIT) == 0) {
        if (now <= wheel->tick) {
            return NULL;
        }
        struct wheel_step step = wheel_next_step(wheel);
        if (step.tick > now) {
            /* No slot is passed over, so every timer keeps its level. */
            wheel->tick = now;
            return NULL;
        }
        wheel_take_step(wheel, step);
    }
    struct timer *timer = WEFT_CONTAINER_OF(list_first(&wheel->slots[TIMER_SLOT_DUE]), struct timer, link);
    timer_wheel_stop(wheel, timer);
    WEFT_DEBUG_ASSERT(timer_deadline_tick(timer->deadline_ns) <= wheel->tick);
    return timer;
}

uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
    if ((wheel->occupied[TIMER_LEVELS] & DUE_BIT) != 0) {
        return wheel->tick << TIMER_TICK_SHIFT;
    }
    uint64_t tick = wheel_next_step(wheel).tick;
    return tick > (UINT64_MAX >> TIMER_TICK_SHIFT) ? UINT64_MAX : tick << TIMER_TICK_SHIFT;
}
