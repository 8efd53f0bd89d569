/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/metric.h"

/* Rare, and out of line, so that the paths that count stay short. */
void metric_run_end(struct metric_run *run, struct weft_histogram *histogram)
{
    if (run->times > 0) {
        metric_record_times(histogram, run->value, run->times);
        run->times = 0;
    }
}

uint64_t weft_histogram_count(const struct weft_histogram *histogram)
{
    uint64_t count = 0;
    for (uint32_t i = 0; histogram != NULL && i < WEFT_HISTOGRAM_BUCKETS; i++) {
        count += histogram->buckets[i];
    }
    return count;
}

uint64_t weft_histogram_quantile(const struct weft_histogram *histogram, double share)
{
    uint64_t count = weft_histogram_count(histogram);
    if (count == 0) {
        return 0;
    }
    double wanted = (double)count * (share < 0 ? 0 : share > 1 ? 1 : share);
    uint64_t below = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < WEFT_HISTOGRAM_BUCKETS && (below == 0 || (double)below < wanted); i++) {
        if (histogram->buckets[i] > 0) {
            below += histogram->buckets[i];
            last = i;
        }
    }
    return metric_bucket_most(last);
}
