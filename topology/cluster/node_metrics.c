/* SPDX-License-Identifier: Apache-2.0 */
/* What the shards measured, summed by whoever asks. */
#include <string.h>

#include <weft/metrics.h>

#include "engine/base/options.h"
#include "topology/cluster/node.h"

/* Every field is a number of the same size that one shard writes, so that the sum goes over them as an array. */
_Static_assert(sizeof(struct weft_metrics) % sizeof(uint64_t) == 0, "metrics are numbers of 64 bits only");

static void metrics_add(struct weft_metrics *to, const struct weft_metrics *from)
{
    uint64_t *sums = (uint64_t *)(void *)to;
    const uint64_t *values = (const uint64_t *)(const void *)from;
    for (size_t i = 0; i < sizeof *to / sizeof(uint64_t); i++) {
        sums[i] += __atomic_load_n(&values[i], __ATOMIC_RELAXED);
    }
}

void weft_metrics_snapshot(const weft_node *node, struct weft_metrics *out, size_t bytes)
{
    struct weft_metrics sums;
    memset(&sums, 0, sizeof sums);
    for (uint32_t i = 0; node != NULL && node->engine != NULL && i < node->shard_count; i++) {
        metrics_add(&sums, &node->engine->shards[i]->metrics);
    }
    options_give(out, bytes, &sums, sizeof sums);
}
