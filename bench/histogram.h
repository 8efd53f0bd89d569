/* SPDX-License-Identifier: Apache-2.0 */
/* A histogram of durations from 1 ns to 100 s that keeps three significant digits at every size.
 *
 * Memory is fixed, and recording costs a shift and an add: values below 2048 have a counter each, and every doubling
 * above has 1024 counters, so that a counter's width is under a thousandth of its values.  Smaller values count as
 * 1 ns, larger ones as 100 s.  Zeroed memory is an empty histogram. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_NS_MIN UINT64_C(1)
#define HISTOGRAM_NS_MAX (UINT64_C(100) * 1000 * 1000 * 1000)
/* 2^10 counters for each doubling: the first power of two with three digits. */
#define HISTOGRAM_HALF_BITS 10u
#define HISTOGRAM_HALF (1u << HISTOGRAM_HALF_BITS)
/* 100 s are below 2^37 ns: doublings above the first 2^11 values. */
#define HISTOGRAM_DOUBLINGS 26u
#define HISTOGRAM_COUNTERS ((HISTOGRAM_DOUBLINGS + 2u) * HISTOGRAM_HALF)

struct histogram {
    uint64_t count;
    uint64_t sum_ns; /* enough for 584 years of waiting in total */
    uint64_t max_ns;
    uint64_t counters[HISTOGRAM_COUNTERS];
};

_Static_assert(HISTOGRAM_NS_MAX >> (HISTOGRAM_HALF_BITS + 1 + HISTOGRAM_DOUBLINGS) == 0, "the largest value fits");

static inline uint32_t histogram_index(uint64_t ns)
{
    /* Halvings until the value has eleven bits; its leading bit then selects the upper half of the counters. */
    uint32_t shift = 63u - HISTOGRAM_HALF_BITS - (uint32_t)__builtin_clzll(ns | ((HISTOGRAM_HALF << 1) - 1));
    return (shift << HISTOGRAM_HALF_BITS) + (uint32_t)(ns >> shift);
}

static inline void histogram_record(struct histogram *histogram, uint64_t ns)
{
    if (ns < HISTOGRAM_NS_MIN) {
        ns = HISTOGRAM_NS_MIN;
    }
    if (ns > HISTOGRAM_NS_MAX) {
        ns = HISTOGRAM_NS_MAX;
    }
    histogram->counters[histogram_index(ns)]++;
    histogram->count++;
    histogram->sum_ns += ns;
    if (ns > histogram->max_ns) {
        histogram->max_ns = ns;
    }
}

/* Add what another one counted. */
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The smallest duration that at least `percent` of the recorded ones do not exceed, up to a thousandth too large,
 * never above the largest recorded.  0 if nothing was recorded.  @param percent 0..100 */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);
/* Exact. */
double histogram_mean(const struct histogram *histogram);

#endif
