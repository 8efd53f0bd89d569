/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  How long things took: histograms that every shard keeps and any thread may read.
 *
 *  Times are those of turns: a call is measured from the turn that made it to the turn that received its reply, a
 *  request from the turn that received it to the turn that answered it, which is 0 for most.  Recording costs a few
 *  instructions and no lock; reading disturbs nobody, and may see one value in a bucket that is not in the sum yet.
 */
#ifndef WEFT_METRICS_H
#define WEFT_METRICS_H

#include <weft/call.h>
#include <weft/defs.h>
#include <weft/node.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Buckets for each doubling of the value: a bucket is at most an eighth of its values wide. */
#define WEFT_HISTOGRAM_STEPS 8
/** The last bucket begins near 2^37: 129 seconds, if the unit is nanoseconds. */
#define WEFT_HISTOGRAM_BUCKETS 280

/** How often which value was seen.  Only ever growing. */
struct weft_histogram {
    uint64_t sum; /**< of all values */
    uint64_t buckets[WEFT_HISTOGRAM_BUCKETS];
};

/** What the shards of a node measured, summed.  Grows at its end only. */
struct weft_metrics {
    struct weft_histogram call_ns[WEFT_LANE_COUNT];    /**< calls that got a reply and no error, nanoseconds, by lane */
    struct weft_histogram handler_us[WEFT_LANE_COUNT]; /**< requests that were answered, microseconds, by lane */
    struct weft_histogram turn_ns;                     /**< turns of a shard, without their sleep, nanoseconds; where it
                                                            never sleeps, with the starting of what they send */
    struct weft_histogram turn_events;                 /**< completions handled in one turn */
    struct weft_histogram send_queue_bytes;            /**< unsent bytes of a connection as a turn comes to send */
};

/** Read what was measured since the start, without stopping anybody.
 *  @param out 20 KiB   @param bytes sizeof *out; what this library does not measure is 0   @shard any */
WEFT_API void weft_metrics_snapshot(const weft_node *node, struct weft_metrics *out, size_t bytes);

/** How many values a histogram holds; 0 for NULL.  @shard any */
WEFT_API uint64_t weft_histogram_count(const struct weft_histogram *histogram);

/** The value below or at which a share of the values lie, such as 0.99; an eighth too high at most.
 *  @param share from 0 to 1   @return the largest value of the bucket it lies in; 0 for an empty histogram, or NULL
 * @shard any
 */
WEFT_API uint64_t weft_histogram_quantile(const struct weft_histogram *histogram, double share);

#ifdef __cplusplus
}
#endif

#endif
