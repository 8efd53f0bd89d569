/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a run: one number over everything that happened, equal exactly if the runs were. */
#ifndef ENGINE_SIM_SIM_TRACE_H
#define ENGINE_SIM_SIM_TRACE_H

#include <stdint.h>

enum sim_phase { SIM_STARTED = 0, SIM_ACCEPTED_BYTES, SIM_ENDED, SIM_CANCEL_ASKED, SIM_CONTROL };

/* One entry; no pointers, and every field is hashed on its own, so that padding does not count. */
struct sim_record {
    uint64_t time_ns;
    uint64_t content; /* hash of the bytes sent or received */
    uint32_t node;
    uint32_t shard;
    uint32_t phase; /* enum sim_phase */
    uint32_t kind;  /* enum io_kind, or what the control was */
    uint32_t bytes;
    int32_t socket;
    int32_t result;
    uint32_t generation; /* of the operation */
    uint32_t more;
};

/* Sees every entry as it is made: for printing two runs that should be equal and are not. */
typedef void sim_record_fn(void *ctx, const struct sim_record *record);

struct sim_trace {
    uint64_t hash;
    uint64_t records;
    sim_record_fn *fn;
    void *ctx;
};

void sim_trace_init(struct sim_trace *trace, uint64_t seed, sim_record_fn *fn, void *ctx);
void sim_trace_add(struct sim_trace *trace, const struct sim_record *record);
uint64_t sim_trace_content(const uint8_t *data, uint32_t bytes);

#endif
