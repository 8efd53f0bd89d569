/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a timer fires never early, at most one tick late, in the order of ticks, exactly once, and not at all after it
 * was stopped; the time at which the wheel asks to be served is neither too late nor so early that the caller spins.
 * Method: a naive model (an array of deadlines, searched in full) beside the wheel, through random starts, moves,
 * stops, partial and full expiries, with distances from zero to years; the model has its own arithmetic.  Then the
 * edges by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/prng.h"
#include "engine/reactor/timer_wheel.h"

#define TICK ((uint64_t)262144)
#define HOUR_NS ((uint64_t)3600 * 1000 * 1000 * 1000)

/* ---- the model ---- */

#define MODEL_TIMERS 300u

struct model_timer {
    struct timer timer;
    uint64_t deadline_ns;
    bool armed;
    bool late_start; /* its tick had passed when it was started: it may come out of order */
};

struct model {
    struct timer_wheel wheel;
    struct prng prng;
    uint64_t now_ns;
    uint64_t tick_fired; /* of the last timer that was not a late start */
    uint32_t fired;
    struct model_timer timers[MODEL_TIMERS];
};

static uint64_t tick_of(uint64_t deadline_ns)
{
    return deadline_ns / TICK + (deadline_ns % TICK > 0 ? 1 : 0);
}

static struct model *model_make(uint64_t seed, uint64_t now_ns)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    prng_init(&model->prng, seed);
    model->now_ns = now_ns;
    timer_wheel_init(&model->wheel, now_ns);
    return model;
}

/* A duration whose magnitude is random as well: as many below a tick as above an hour. */
static uint64_t random_span(struct prng *prng, uint32_t bits_max)
{
    uint64_t bits = prng_below(prng, bits_max + 1);
    return prng_below(prng, (uint64_t)1 << bits);
}

static void model_start(struct model *model, struct model_timer *timer)
{
    uint64_t span = random_span(&model->prng, 51);
    bool past = prng_chance(&model->prng, 30000) && span <= model->now_ns;
    timer->deadline_ns = past ? model->now_ns - span : model->now_ns + span;
    timer->armed = true;
    timer->late_start = tick_of(timer->deadline_ns) <= model->now_ns / TICK;
    timer_wheel_start(&model->wheel, &timer->timer, timer->deadline_ns);
    assert_true(timer_armed(&timer->timer));
}

static void model_stop(struct model *model, struct model_timer *timer)
{
    timer->armed = false;
    timer_wheel_stop(&model->wheel, &timer->timer);
    assert_false(timer_armed(&timer->timer));
}

/* Take one expired timer from the wheel and judge it; false when there is none. */
static bool model_expire_one(struct model *model)
{
    struct timer *fired = timer_wheel_expire(&model->wheel, model->now_ns);
    if (fired == NULL) {
        return false;
    }
    struct model_timer *timer = WEFT_CONTAINER_OF(fired, struct model_timer, timer);
    assert_true(timer->armed);
    assert_false(timer_armed(fired));
    assert_true(timer->deadline_ns <= model->now_ns);
    if (!timer->late_start) {
        assert_true(tick_of(timer->deadline_ns) >= model->tick_fired);
        model->tick_fired = tick_of(timer->deadline_ns);
    }
    timer->armed = false;
    model->fired++;
    return true;
}

/* After everything expired: nothing is a tick late, and the next time of service fits what is armed. */
static void model_check_settled(const struct model *model)
{
    uint64_t tick_first = UINT64_MAX;
    for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
        const struct model_timer *timer = &model->timers[i];
        assert_int_equal(timer_armed(&timer->timer), timer->armed);
        if (timer->armed) {
            assert_true(timer->deadline_ns > model->now_ns || model->now_ns - timer->deadline_ns < TICK);
            tick_first = tick_of(timer->deadline_ns) < tick_first ? tick_of(timer->deadline_ns) : tick_first;
        }
    }
    uint64_t next_ns = timer_wheel_next_ns(&model->wheel);
    if (tick_first == UINT64_MAX) {
        assert_int_equal(next_ns, UINT64_MAX);
    } else {
        assert_true(next_ns <= tick_first * TICK);
        assert_true(next_ns > model->now_ns);
    }
}

static void model_run(uint64_t seed, uint64_t now_ns, uint32_t rounds)
{
    struct model *model = model_make(seed, now_ns);
    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t operations = prng_below(&model->prng, 20);
        for (uint64_t i = 0; i < operations; i++) {
            struct model_timer *timer = &model->timers[prng_below(&model->prng, MODEL_TIMERS)];
            if (prng_chance(&model->prng, 700000)) {
                model_start(model, timer);
            } else {
                model_stop(model, timer);
            }
        }
        model->now_ns += random_span(&model->prng, prng_chance(&model->prng, 900000) ? 34 : 50);
        if (prng_chance(&model->prng, 300000)) {
            /* A turn whose budget ends early; the next operations then meet timers that are due. */
            for (uint64_t budget = prng_below(&model->prng, 4); budget > 0 && model_expire_one(model); budget--) {
            }
            continue;
        }
        while (model_expire_one(model)) {
        }
        model_check_settled(model);
    }
    assert_true(model->fired > rounds / 2);
    free(model);
}

static void timer_wheel__random_operations__same_as_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        model_run(seed, 0, 3000);
        model_run(seed + 100, seed * 7919 * HOUR_NS + seed, 3000);
        /* Close below a turn of each level and of all. */
        model_run(seed + 200, ((uint64_t)1 << (18 + 6 * (seed % 6))) * 5 - 3 * TICK, 3000);
    }
}

/* A caller that sleeps until the wheel asks for it wakes in time for every timer, and rarely in vain. */
static void timer_wheel__served_only_when_asked__on_time_with_few_wakeups(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model *model = model_make(seed, seed * 1234567891);
        for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
            model_start(model, &model->timers[i]);
        }
        uint32_t wakeups = 0;
        uint64_t next_ns;
        while (model_expire_one(model)) {
        }
        while ((next_ns = timer_wheel_next_ns(&model->wheel)) != UINT64_MAX) {
            assert_true(next_ns > model->now_ns);
            model->now_ns = next_ns;
            wakeups++;
            while (model_expire_one(model)) {
            }
            model_check_settled(model);
        }
        assert_int_equal(model->fired, MODEL_TIMERS);
        /* Each timer may move once per level; far ones wait for at most 2^51 / 2^48 turns of the highest. */
        assert_true(wakeups <= MODEL_TIMERS * 5 + 9);
        free(model);
    }
}

/* ---- edges ---- */

static void timer_wheel__zeroed_timer__not_armed_and_stop_is_harmless(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer zeroed;
    struct timer made;
    memset(&zeroed, 0, sizeof zeroed);
    memset(&made, 0x55, sizeof made);
    timer_wheel_init(&wheel, 12345);
    timer_init(&made);
    assert_false(timer_armed(&zeroed));
    assert_false(timer_armed(&made));
    timer_wheel_stop(&wheel, &zeroed);
    timer_wheel_stop(&wheel, &made);
    assert_null(timer_wheel_expire(&wheel, UINT64_MAX));
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_MAX);
}

static void timer_wheel__one_ns_before_and_at_the_tick__not_yet_and_then(void **state)
{
    (void)state;
    static const uint64_t ticks[] = {1,
                                     2,
                                     63,
                                     64,
                                     65,
                                     4095,
                                     4096,
                                     262144,
                                     ~0u,
                                     1u << 24,
                                     (1u << 30) - 1,
                                     1u << 30,
                                     (1u << 30) + 1,
                                     (uint64_t)7 << 30};
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        struct timer_wheel wheel;
        struct timer timer = {.slot_plus_one = 0};
        timer_wheel_init(&wheel, 0);
        timer_wheel_start(&wheel, &timer, ticks[i] * TICK);
        assert_null(timer_wheel_expire(&wheel, ticks[i] * TICK - 1));
        assert_true(timer_armed(&timer));
        assert_ptr_equal(timer_wheel_expire(&wheel, ticks[i] * TICK), &timer);
        assert_false(timer_armed(&timer));
        assert_null(timer_wheel_expire(&wheel, ticks[i] * TICK));
        assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_MAX);
    }
}

static void timer_wheel__deadline_inside_a_tick__fires_at_the_tick_behind_it(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer timer = {.slot_plus_one = 0};
    timer_wheel_init(&wheel, 10 * TICK);
    timer_wheel_start(&wheel, &timer, 11 * TICK + 1);
    assert_int_equal(timer_wheel_next_ns(&wheel), 12 * TICK);
    assert_null(timer_wheel_expire(&wheel, 12 * TICK - 1));
    assert_ptr_equal(timer_wheel_expire(&wheel, 12 * TICK), &timer);
}

static void timer_wheel__deadline_now_or_past__due_at_once(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer now = {.slot_plus_one = 0};
    struct timer past = {.slot_plus_one = 0};
    timer_wheel_init(&wheel, 100 * TICK);
    timer_wheel_start(&wheel, &now, 100 * TICK);
    timer_wheel_start(&wheel, &past, 0);
    assert_true(timer_wheel_next_ns(&wheel) <= 100 * TICK);
    assert_ptr_equal(timer_wheel_expire(&wheel, 100 * TICK), &now);
    assert_ptr_equal(timer_wheel_expire(&wheel, 100 * TICK), &past);
    assert_null(timer_wheel_expire(&wheel, 100 * TICK));
}

static void timer_wheel__start_when_armed__moves(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer timer = {.slot_plus_one = 0};
    timer_wheel_init(&wheel, 0);
    timer_wheel_start(&wheel, &timer, 5 * TICK);
    timer_wheel_start(&wheel, &timer, 5000 * TICK);
    assert_null(timer_wheel_expire(&wheel, 4999 * TICK));
    timer_wheel_start(&wheel, &timer, 5001 * TICK);
    assert_null(timer_wheel_expire(&wheel, 5000 * TICK));
    assert_ptr_equal(timer_wheel_expire(&wheel, 5001 * TICK), &timer);
    assert_null(timer_wheel_expire(&wheel, 10000 * TICK));
}

static void timer_wheel__stopped_when_due__does_not_fire(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer timers[3] = {{.slot_plus_one = 0}};
    timer_wheel_init(&wheel, 0);
    for (uint32_t i = 0; i < 3; i++) {
        timer_wheel_start(&wheel, &timers[i], 3 * TICK);
    }
    assert_ptr_equal(timer_wheel_expire(&wheel, 3 * TICK), &timers[0]);
    timer_wheel_stop(&wheel, &timers[1]);
    assert_ptr_equal(timer_wheel_expire(&wheel, 3 * TICK), &timers[2]);
    assert_null(timer_wheel_expire(&wheel, 3 * TICK));
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_MAX);
}

static void timer_wheel__last_of_a_slot_stopped__slot_asks_for_no_service(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer one = {.slot_plus_one = 0};
    struct timer two = {.slot_plus_one = 0};
    timer_wheel_init(&wheel, 0);
    timer_wheel_start(&wheel, &one, 7 * TICK);
    timer_wheel_start(&wheel, &two, 7 * TICK);
    timer_wheel_stop(&wheel, &one);
    assert_int_equal(timer_wheel_next_ns(&wheel), 7 * TICK);
    timer_wheel_stop(&wheel, &two);
    timer_wheel_stop(&wheel, &two);
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_MAX);
}

static void timer_wheel__same_tick__fires_in_order_of_start(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer timers[100];
    memset(timers, 0, sizeof timers);
    timer_wheel_init(&wheel, 0);
    for (uint32_t i = 0; i < 100; i++) {
        timer_wheel_start(&wheel, &timers[i], 70000 * TICK - i);
    }
    for (uint32_t i = 0; i < 100; i++) {
        assert_ptr_equal(timer_wheel_expire(&wheel, 70000 * TICK), &timers[i]);
    }
}

/* A wheel that walked through 200 years tick by tick would not come back. */
static void timer_wheel__jump_of_years__all_fire_in_order(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer timers[200];
    memset(timers, 0, sizeof timers);
    timer_wheel_init(&wheel, 1);
    for (uint32_t i = 0; i < 200; i++) {
        timer_wheel_start(&wheel, &timers[i], (uint64_t)(200 - i) * 365 * 24 * HOUR_NS);
    }
    for (uint32_t i = 200; i > 0; i--) {
        assert_ptr_equal(timer_wheel_expire(&wheel, 200 * 365 * 24 * HOUR_NS), &timers[i - 1]);
    }
    assert_null(timer_wheel_expire(&wheel, 200 * 365 * 24 * HOUR_NS));
}

static void timer_wheel__deadline_at_the_end_of_time__never_comes(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer never = {.slot_plus_one = 0};
    struct timer almost = {.slot_plus_one = 0};
    timer_wheel_init(&wheel, HOUR_NS);
    timer_wheel_start(&wheel, &never, UINT64_MAX);
    timer_wheel_start(&wheel, &almost, UINT64_MAX - TICK + 1);
    assert_true(timer_wheel_next_ns(&wheel) > HOUR_NS);
    assert_ptr_equal(timer_wheel_expire(&wheel, UINT64_MAX), &almost);
    assert_null(timer_wheel_expire(&wheel, UINT64_MAX));
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_MAX);
    assert_true(timer_armed(&never));
}

static void timer_wheel__time_goes_back__nothing_fires_twice_or_is_lost(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct timer timer = {.slot_plus_one = 0};
    timer_wheel_init(&wheel, 1000 * TICK);
    timer_wheel_start(&wheel, &timer, 1100 * TICK);
    assert_null(timer_wheel_expire(&wheel, 1050 * TICK));
    assert_null(timer_wheel_expire(&wheel, 10 * TICK));
    assert_null(timer_wheel_expire(&wheel, 1099 * TICK));
    assert_ptr_equal(timer_wheel_expire(&wheel, 1100 * TICK), &timer);
    /* The wheel remembers how far time was: what lies before is due. */
    assert_null(timer_wheel_expire(&wheel, 10 * TICK));
    timer_wheel_start(&wheel, &timer, 1099 * TICK);
    assert_ptr_equal(timer_wheel_expire(&wheel, 10 * TICK), &timer);
    timer_wheel_start(&wheel, &timer, 5000 * TICK);
    assert_null(timer_wheel_expire(&wheel, 4000 * TICK));
    timer_wheel_stop(&wheel, &timer);
    timer_wheel_start(&wheel, &timer, 3000 * TICK);
    assert_ptr_equal(timer_wheel_expire(&wheel, 10 * TICK), &timer);
}

static void count_call(struct timer *timer, void *ctx)
{
    (void)timer;
    ++*(uint32_t *)ctx;
}

static void timer_wheel__restarted_after_firing__function_and_context_stay(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    uint32_t calls = 0;
    struct timer timer;
    timer_init(&timer);
    timer.fn = count_call;
    timer.ctx = &calls;
    timer_wheel_init(&wheel, 0);
    timer_wheel_start(&wheel, &timer, TICK);
    for (uint64_t tick = 1; tick <= 200; tick++) {
        struct timer *fired;
        while ((fired = timer_wheel_expire(&wheel, tick * TICK)) != NULL) {
            fired->fn(fired, fired->ctx);
            timer_wheel_start(&wheel, fired, (tick + 1) * TICK);
        }
    }
    assert_int_equal(calls, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_wheel__random_operations__same_as_model),
        cmocka_unit_test(timer_wheel__served_only_when_asked__on_time_with_few_wakeups),
        cmocka_unit_test(timer_wheel__zeroed_timer__not_armed_and_stop_is_harmless),
        cmocka_unit_test(timer_wheel__one_ns_before_and_at_the_tick__not_yet_and_then),
        cmocka_unit_test(timer_wheel__deadline_inside_a_tick__fires_at_the_tick_behind_it),
        cmocka_unit_test(timer_wheel__deadline_now_or_past__due_at_once),
        cmocka_unit_test(timer_wheel__start_when_armed__moves),
        cmocka_unit_test(timer_wheel__stopped_when_due__does_not_fire),
        cmocka_unit_test(timer_wheel__last_of_a_slot_stopped__slot_asks_for_no_service),
        cmocka_unit_test(timer_wheel__same_tick__fires_in_order_of_start),
        cmocka_unit_test(timer_wheel__jump_of_years__all_fire_in_order),
        cmocka_unit_test(timer_wheel__deadline_at_the_end_of_time__never_comes),
        cmocka_unit_test(timer_wheel__time_goes_back__nothing_fires_twice_or_is_lost),
        cmocka_unit_test(timer_wheel__restarted_after_firing__function_and_context_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
