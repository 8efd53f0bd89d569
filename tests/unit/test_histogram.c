/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: percentiles, mean, maximum and count agree with the sorted data to three digits, over the whole range of
 * durations, merged or not; the ends of the range are where the header says.
 * Method: the same values go into a histogram and into a sorted array; the error allowed is one thousandth, upwards
 * only.  Values come from a fixed seed, drawn evenly by magnitude so that every doubling is met. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench/histogram.h"
#include "engine/base/prng.h"

#define VALUES 200000u

static const double percents[] = {0, 1, 10, 50, 90, 99, 99.9, 99.99, 100};

struct world {
    struct histogram histogram;
    struct histogram other;
    uint64_t values[VALUES];
};

static int world_setup(void **state)
{
    *state = calloc(1, sizeof(struct world));
    return *state == NULL ? -1 : 0;
}

static int world_teardown(void **state)
{
    free(*state);
    return 0;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Evenly over the powers of two up to 2^bits. */
static uint64_t draw(struct prng *prng, uint32_t bits)
{
    uint64_t below = UINT64_C(1) << (1 + prng_below(prng, bits));
    uint64_t value = 1 + prng_below(prng, below);
    return value < HISTOGRAM_NS_MAX ? value : HISTOGRAM_NS_MAX;
}

/* The answer by the definition: the smallest value that enough of the data do not exceed. */
static uint64_t exact_percentile(const uint64_t *sorted, uint32_t count, double percent)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((double)(i + 1) * 100.0 >= percent * (double)count) {
            return sorted[i];
        }
    }
    return sorted[count - 1];
}

static void check(const struct histogram *histogram, uint64_t *values, uint32_t count)
{
    qsort(values, count, sizeof values[0], compare);
    long double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += (long double)values[i];
    }
    assert_int_equal(histogram->count, count);
    assert_int_equal(histogram->max_ns, values[count - 1]);
    assert_true(histogram_mean(histogram) >= (double)(sum / count) * (1 - 1e-9));
    assert_true(histogram_mean(histogram) <= (double)(sum / count) * (1 + 1e-9));
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        uint64_t exact = exact_percentile(values, count, percents[i]);
        uint64_t found = histogram_percentile(histogram, percents[i]);
        assert_true(found >= exact);
        assert_true(found - exact <= exact / 1000);
    }
}

static void histogram__values_of_every_magnitude__percentiles_within_a_thousandth(void **state)
{
    struct world *world = *state;
    struct prng prng;
    prng_init(&prng, 1);
    for (uint32_t i = 0; i < VALUES; i++) {
        world->values[i] = draw(&prng, 37);
        histogram_record(&world->histogram, world->values[i]);
    }
    check(&world->histogram, world->values, VALUES);
}

static void histogram__few_values__every_count_agrees(void **state)
{
    struct world *world = *state;
    struct prng prng;
    prng_init(&prng, 2);
    uint64_t sorted[1000];
    for (uint32_t count = 1; count <= 1000; count++) {
        world->values[count - 1] = draw(&prng, 24);
        histogram_record(&world->histogram, world->values[count - 1]);
        if (count % 37 == 1 || count == 1000) {
            for (uint32_t i = 0; i < count; i++) {
                sorted[i] = world->values[i];
            }
            check(&world->histogram, sorted, count);
        }
    }
}

static void histogram__small_values__exact(void **state)
{
    struct world *world = *state;
    for (uint64_t ns = 1; ns < 2 * HISTOGRAM_HALF; ns++) {
        histogram_record(&world->histogram, ns);
    }
    for (uint64_t ns = 1; ns < 2 * HISTOGRAM_HALF; ns++) {
        double percent = (double)ns * 100.0 / (2 * HISTOGRAM_HALF - 1);
        assert_int_equal(histogram_percentile(&world->histogram, percent), ns);
    }
}

static void histogram_index__every_edge_of_a_doubling__grows_by_one(void **state)
{
    (void)state;
    uint32_t last = histogram_index(1);
    for (uint32_t bit = 0; bit < 37; bit++) {
        uint32_t width_bits = bit > HISTOGRAM_HALF_BITS ? bit - HISTOGRAM_HALF_BITS : 0;
        uint64_t edge = UINT64_C(1) << bit;
        assert_true(histogram_index(edge) >= last);
        assert_int_equal(histogram_index(edge + (UINT64_C(1) << width_bits)), histogram_index(edge) + 1);
        if (bit > 0) {
            assert_int_equal(histogram_index(edge), histogram_index(edge - 1) + 1);
        }
        last = histogram_index(edge);
    }
    assert_true(histogram_index(HISTOGRAM_NS_MAX) < HISTOGRAM_COUNTERS);
}

static void histogram__outside_the_range__counts_as_its_ends(void **state)
{
    struct world *world = *state;
    histogram_record(&world->histogram, 0);
    assert_int_equal(histogram_percentile(&world->histogram, 50), 1);
    histogram_record(&world->histogram, UINT64_MAX);
    assert_int_equal(world->histogram.max_ns, HISTOGRAM_NS_MAX);
    assert_int_equal(histogram_percentile(&world->histogram, 100), HISTOGRAM_NS_MAX);
    assert_int_equal(world->histogram.count, 2);
}

static void histogram__empty__all_zero(void **state)
{
    struct world *world = *state;
    assert_int_equal(histogram_percentile(&world->histogram, 50), 0);
    assert_true(histogram_mean(&world->histogram) <= 0);
    assert_int_equal(world->histogram.max_ns, 0);
}

static void histogram_merge__two_halves__as_if_recorded_together(void **state)
{
    struct world *world = *state;
    struct prng prng;
    prng_init(&prng, 3);
    for (uint32_t i = 0; i < VALUES; i++) {
        world->values[i] = draw(&prng, i % 3 == 0 ? 12 : 37);
        histogram_record(i % 3 == 0 ? &world->other : &world->histogram, world->values[i]);
    }
    histogram_merge(&world->histogram, &world->other);
    check(&world->histogram, world->values, VALUES);
}

static void histogram_merge__larger_maximum_in_the_other__taken(void **state)
{
    struct world *world = *state;
    histogram_record(&world->histogram, 5);
    histogram_record(&world->other, 700000);
    histogram_merge(&world->histogram, &world->other);
    assert_int_equal(world->histogram.max_ns, 700000);
    assert_int_equal(world->histogram.count, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        CASE(histogram__values_of_every_magnitude__percentiles_within_a_thousandth),
        CASE(histogram__few_values__every_count_agrees),
        CASE(histogram__small_values__exact),
        CASE(histogram_index__every_edge_of_a_doubling__grows_by_one),
        CASE(histogram__outside_the_range__counts_as_its_ends),
        CASE(histogram__empty__all_zero),
        CASE(histogram_merge__two_halves__as_if_recorded_together),
        CASE(histogram_merge__larger_maximum_in_the_other__taken),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
