/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the generator is the published one, repeats from its seed, and its derived draws are in range and even.
 * Method: published vectors of splitmix64 and xoshiro256**; counts over many draws with generous bounds (a fixed seed
 * makes each run the same, so the bounds never flake). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/prng.h"

static void prng__seed_zero__state_is_splitmix_vector(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 0);
    assert_int_equal(prng.state[0], 0xe220a8397b1dcdafu);
    assert_int_equal(prng.state[1], 0x6e789e6aa1b965f4u);
    assert_int_equal(prng.state[2], 0x06c45d188009454fu);
    assert_int_equal(prng.state[3], 0xf88bb8a8724c81ecu);
}

static void prng__known_state__gives_published_sequence(void **state)
{
    (void)state;
    static const uint64_t published[] = {11520, 0, 1509978240, 1215971899390074240u, 1216172134540287360u};
    struct prng prng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        assert_int_equal(prng_next(&prng), published[i]);
    }
}

static void prng__same_seed__same_sequence(void **state)
{
    (void)state;
    struct prng one;
    struct prng two;
    struct prng other;
    prng_init(&one, 71823);
    prng_init(&two, 71823);
    prng_init(&other, 71824);
    unsigned differing = 0;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t drawn = prng_next(&one);
        assert_int_equal(drawn, prng_next(&two));
        differing += drawn != prng_next(&other);
    }
    assert_int_equal(differing, 100);
}

static void prng_below__small_bound__every_value_about_equally_often(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    unsigned counts[7] = {0};
    for (unsigned i = 0; i < 70000; i++) {
        uint64_t drawn = prng_below(&prng, 7);
        assert_true(drawn < 7);
        counts[drawn]++;
    }
    for (unsigned i = 0; i < 7; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
}

/* Two thirds of 2^64: by plain modulo, half of the range would come twice as often as the other half. */
static void prng_below__huge_bound__no_bias_to_low_values(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    uint64_t bound = UINT64_MAX / 3 * 2;
    unsigned low = 0;
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t drawn = prng_below(&prng, bound);
        assert_true(drawn < bound);
        low += drawn < bound / 2;
    }
    assert_in_range(low, 4800, 5200);
}

static void prng_below__bound_one__zero(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    assert_int_equal(prng_below(&prng, 1), 0);
}

static void prng_chance__never_always_and_between__as_often_as_asked(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 4);
    unsigned hits = 0;
    for (unsigned i = 0; i < 100000; i++) {
        assert_false(prng_chance(&prng, 0));
        assert_true(prng_chance(&prng, 1000000));
        hits += prng_chance(&prng, 100000) != 0;
    }
    assert_in_range(hits, 9500, 10500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prng__seed_zero__state_is_splitmix_vector),
        cmocka_unit_test(prng__known_state__gives_published_sequence),
        cmocka_unit_test(prng__same_seed__same_sequence),
        cmocka_unit_test(prng_below__small_bound__every_value_about_equally_often),
        cmocka_unit_test(prng_below__huge_bound__no_bias_to_low_values),
        cmocka_unit_test(prng_below__bound_one__zero),
        cmocka_unit_test(prng_chance__never_always_and_between__as_often_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
