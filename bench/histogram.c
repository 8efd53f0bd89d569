/* SPDX-License-Identifier: Apache-2.0 */
/* Reading histograms.  Counters are walked once for each question: rare, after the measurement. */
#include "bench/histogram.h"

#include <math.h>

#include "engine/base/assert.h"

/* The largest value that the counter stands for. */
static uint64_t histogram_value(uint32_t index)
{
    if (index < 2 * HISTOGRAM_HALF) {
        return index;
    }
    uint32_t shift = (index >> HISTOGRAM_HALF_BITS) - 1;
    uint64_t leading = index - (shift << HISTOGRAM_HALF_BITS);
    return ((leading + 1) << shift) - 1;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        into->counters[i] += from->counters[i];
    }
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    if (from->max_ns > into->max_ns) {
        into->max_ns = from->max_ns;
    }
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    WEFT_ASSERT(percent >= 0 && percent <= 100);
    if (histogram->count == 0) {
        return 0;
    }
    /* A hair less before rounding up: 99.9 % of 1000 is 999, not the 1000 that binary fractions make of it. */
    double exact = percent / 100.0 * (double)histogram->count;
    uint64_t wanted = (uint64_t)ceil(exact - exact * 1e-12);
    if (wanted == 0) {
        wanted = 1;
    }
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        seen += histogram->counters[i];
        if (seen >= wanted) {
            uint64_t value = histogram_value(i);
            return value < histogram->max_ns ? value : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0 : (double)histogram->sum_ns / (double)histogram->count;
}
