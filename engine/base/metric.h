/* SPDX-License-Identifier: Apache-2.0 */
/* Recording in a histogram: one owner writes, anybody reads, relaxed.
 *
 * Values below 8 have a bucket each; above, every doubling has 8, found by the leading bit and the three behind it. */
#ifndef ENGINE_BASE_METRIC_H
#define ENGINE_BASE_METRIC_H

#include <weft/metrics.h>

#define METRIC_STEP_BITS 3u

_Static_assert(WEFT_HISTOGRAM_STEPS == 1 << METRIC_STEP_BITS, "steps are a power of two");

static inline uint32_t metric_bucket(uint64_t value)
{
    /* Halvings until the value has four bits, of which the leading one counts as one more halving. */
    uint32_t shift = 60u - (uint32_t)__builtin_clzll(value | WEFT_HISTOGRAM_STEPS);
    uint32_t bucket = (shift << METRIC_STEP_BITS) + (uint32_t)(value >> shift);
    return bucket < WEFT_HISTOGRAM_BUCKETS ? bucket : WEFT_HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static inline uint64_t metric_bucket_most(uint32_t bucket)
{
    if (bucket < 2 * WEFT_HISTOGRAM_STEPS) {
        return bucket;
    }
    uint32_t shift = (bucket >> METRIC_STEP_BITS) - 1;
    uint64_t step = (bucket & (WEFT_HISTOGRAM_STEPS - 1)) + WEFT_HISTOGRAM_STEPS;
    return ((step + 1) << shift) - 1;
}

/* A value that was seen so many times. */
static inline void metric_record_times(struct weft_histogram *histogram, uint64_t value, uint64_t times)
{
    uint64_t *bucket = &histogram->buckets[metric_bucket(value)];
    __atomic_store_n(bucket, *bucket + times, __ATOMIC_RELAXED);
    __atomic_store_n(&histogram->sum, histogram->sum + value * times, __ATOMIC_RELAXED);
}

static inline void metric_record(struct weft_histogram *histogram, uint64_t value)
{
    metric_record_times(histogram, value, 1);
}

/* Times are those of turns, so that what is answered together took equally long: equal values in a row are counted, and
 * recorded in one go. */
struct metric_run {
    uint64_t value;
    uint64_t times;
};

/* Record what was counted. */
void metric_run_end(struct metric_run *run, struct weft_histogram *histogram);

/* Value `value` once more.  The run belongs to this histogram. */
static inline void metric_run_add(struct metric_run *run, struct weft_histogram *histogram, uint64_t value)
{
    if (__builtin_expect(run->value != value, 0)) {
        metric_run_end(run, histogram);
        run->value = value;
    }
    run->times++;
}

#endif
