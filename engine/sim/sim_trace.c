/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim/sim_trace.h"

#include <string.h>

#include "engine/base/bytes.h"

/* One word into the sum: two odd multipliers with bits in every byte and a rotation between them, so that a change of
 * any bit, or of the order of two words, reaches every bit of the sum within two more words. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum ^= word * UINT64_C(0xd6e8feb86659fd93);
    sum = (sum << 27) | (sum >> 37);
    sum *= UINT64_C(0xa0761d6478bd642f);
    return sum ^ (sum >> 29);
}

void sim_trace_init(struct sim_trace *trace, uint64_t seed, sim_record_fn *fn, void *ctx)
{
    trace->hash = mix(1, seed);
    trace->records = 0;
    trace->fn = fn;
    trace->ctx = ctx;
}

void sim_trace_add(struct sim_trace *trace, const struct sim_record *record)
{
    uint64_t sum = trace->hash;
    sum = mix(sum, record->time_ns);
    sum = mix(sum, record->content);
    sum = mix(sum, (uint64_t)record->node << 32 | record->shard);
    sum = mix(sum, (uint64_t)record->phase << 32 | record->kind);
    sum = mix(sum, (uint64_t)record->bytes << 32 | (uint32_t)record->socket);
    sum = mix(sum, (uint64_t)(uint32_t)record->result << 32 | record->generation);
    sum = mix(sum, record->more);
    trace->hash = sum;
    trace->records++;
    if (trace->fn != NULL) {
        trace->fn(trace->ctx, record);
    }
}

uint64_t sim_trace_content(const uint8_t *data, uint32_t bytes)
{
    uint64_t sum = mix(2, bytes);
    uint32_t at = 0;
    for (; bytes - at >= 8; at += 8) {
        sum = mix(sum, bytes_load64(data + at));
    }
    if (at < bytes) {
        uint8_t rest[8] = {0};
        memcpy(rest, data + at, bytes - at);
        sum = mix(sum, bytes_load64(rest));
    }
    return sum;
}
