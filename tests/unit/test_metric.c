/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a histogram puts every value where it belongs, and tells its quantiles with the promised error.
 * Method: all buckets are walked over their edges; random values of every size against a sorted copy of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/metric.h"
#include "engine/base/prng.h"

#define VALUES 10000u

static void bucket__every_edge__next_one_begins_where_it_ends(void **state)
{
    (void)state;
    uint64_t first = 0;
    for (uint32_t bucket = 0; bucket < WEFT_HISTOGRAM_BUCKETS - 1; bucket++) {
        uint64_t last = metric_bucket_most(bucket);
        assert_int_equal(metric_bucket(first), bucket);
        assert_int_equal(metric_bucket(last), bucket);
        assert_true(last - first <= first / WEFT_HISTOGRAM_STEPS);
        first = last + 1;
    }
    assert_int_equal(metric_bucket(UINT64_MAX), WEFT_HISTOGRAM_BUCKETS - 1);
    assert_true(first > UINT64_C(120) * 1000 * 1000 * 1000);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void quantile__random_values__an_eighth_too_high_at_most(void **state)
{
    (void)state;
    static struct weft_histogram histogram;
    static uint64_t values[VALUES];
    static const double shares[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.9999, 1};
    struct prng prng;
    uint64_t sum = 0;
    prng_init(&prng, 7);
    memset(&histogram, 0, sizeof histogram);
    for (uint32_t i = 0; i < VALUES; i++) {
        values[i] = prng_next(&prng) >> (28 + prng_next(&prng) % 36);
        sum += values[i];
        metric_record(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof values[0], compare);
    assert_int_equal(weft_histogram_count(&histogram), VALUES);
    assert_int_equal(histogram.sum, sum);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        uint32_t rank = (uint32_t)(shares[i] * VALUES + 0.999);
        uint64_t exact = values[rank > 0 ? rank - 1 : 0];
        uint64_t told = weft_histogram_quantile(&histogram, shares[i]);
        assert_true(told >= exact);
        assert_true(told - exact <= exact / WEFT_HISTOGRAM_STEPS);
    }
    assert_int_equal(weft_histogram_quantile(&histogram, -1), weft_histogram_quantile(&histogram, 0));
    assert_int_equal(weft_histogram_quantile(&histogram, 2), weft_histogram_quantile(&histogram, 1));
}

static void histogram__empty__zero(void **state)
{
    (void)state;
    static const struct weft_histogram histogram;
    assert_int_equal(weft_histogram_count(&histogram), 0);
    assert_int_equal(weft_histogram_quantile(&histogram, 0.5), 0);
}

static void run__equal_and_other_values__as_if_each_was_recorded(void **state)
{
    (void)state;
    static struct weft_histogram each;
    static struct weft_histogram by_run;
    struct metric_run run = {0};
    struct prng prng;
    prng_init(&prng, 11);
    for (uint32_t i = 0; i < VALUES; i++) {
        uint64_t value = (prng_next(&prng) % 3) * 1000;
        metric_record(&each, value);
        metric_run_add(&run, &by_run, value);
        if (prng_next(&prng) % 16 == 0) {
            metric_run_end(&run, &by_run);
        }
    }
    metric_run_end(&run, &by_run);
    metric_run_end(&run, &by_run);
    assert_memory_equal(&each, &by_run, sizeof each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket__every_edge__next_one_begins_where_it_ends),
        cmocka_unit_test(quantile__random_values__an_eighth_too_high_at_most),
        cmocka_unit_test(histogram__empty__zero),
        cmocka_unit_test(run__equal_and_other_values__as_if_each_was_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
