/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated world: nodes, the network between them, and one virtual clock, all on the caller's thread.
 *
 * The world is one more io backend.  The caller opens shards on the places of its nodes and owns the stepping: it asks
 * sim_world_next which io may run now and lets that shard do one turn.  io->wait never blocks; where a real one would,
 * it notes the wake-up time and returns nothing, and the clock jumps when nobody can run.
 *
 * The same seed and the same shards give the same run, to the last bit of sim_world_trace_hash.  The seed decides who
 * runs next, the order of completions, every latency and every fault.
 *
 *     while (!done && (io = sim_world_next(world)) != NULL) {
 *         shard_turn(sim_io_user(io));
 *     }
 *
 * A shard's wait that returned nothing is as good as asleep: whoever gives it work from outside has to wake it.
 *
 * Nobody listens on port 0: io.h has no way to ask which port that became, so it is refused. */
#ifndef ENGINE_SIM_SIM_WORLD_H
#define ENGINE_SIM_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "engine/io/io.h"
#include "engine/sim/sim_error.h"
#include "engine/sim/sim_faults.h"
#include "engine/sim/sim_trace.h"

#define SIM_NODES_MAX 64u
/* Addresses of one node. */
#define SIM_ADDRESSES_MAX 16u

struct sim_world;

struct sim_options {
    uint64_t seed;
    uint32_t fault_per_million[SIM_FAULT_COUNT];
    struct sim_aim aim;      /* one call that fails, whatever the rates */
    uint64_t latency_ns_min; /* one way, of a chunk or a dial */
    uint64_t latency_ns_max;
    uint64_t late_ns_max;       /* how much longer under LATE */
    uint64_t stall_ns_max;      /* how long a STALL lasts */
    uint64_t reset_ns_max;      /* a RESET follows the send that drew it within this time */
    uint64_t completion_ns_max; /* from a result to its event */
    uint64_t step_ns_max;       /* what one turn of a shard takes */
    uint64_t connect_timeout_ns;
    uint64_t wall_start_ns;  /* wall time when the world begins, since 1970 */
    uint32_t window_bytes;   /* sent and not yet received, per direction */
    uint32_t recv_bufs;      /* at most so many per io; 0: as many as it asks for */
    uint32_t recv_buf_bytes; /* at most so large; 0: as large as it asks for */
    uint32_t backlog_max;    /* connections waiting for accept */
    uint32_t sockets_max;    /* of a node */
    /* Deliberate damage, to prove that the trace hash notices.  0 is none. */
    uint64_t test_swap_event; /* swap the nth pair of neighbouring events of one wait */
    uint64_t test_flip_byte;  /* flip a bit in the nth receive */
    sim_record_fn *record;    /* may be NULL */
    void *record_ctx;
};

/* Defaults: no faults, 50 to 500 us latency. */
void sim_options_init(struct sim_options *options, uint64_t seed);
/* Draw from the seed which faults this world has and how often, so that a set of seeds covers many mixes.
 * START_ERROR stays out: whoever opens shards has to be ready for it. */
void sim_options_draw_faults(struct sim_options *options);

WEFT_NODISCARD enum weft_err sim_world_create(struct sim_world **world, const struct sim_options *options,
                                              struct weft_error *why);
/* Every io must be closed. */
void sim_world_destroy(struct sim_world *world);

/* Where the shards of a node open their io; the first to open is shard 0. */
struct io_place sim_world_node(struct sim_world *world, uint32_t node);
/* Give a node an address besides those it listens on, for dials to its wildcard listeners.  The first address of a
 * family is the source of dials that name none. */
WEFT_NODISCARD enum weft_err sim_world_add_address(struct sim_world *world, uint32_t node,
                                                   const struct address *address, struct weft_error *why);

/* The io to run now, or NULL if nothing will ever happen again. */
struct io *sim_world_next(struct sim_world *world);
uint64_t sim_world_now_ns(const struct sim_world *world);
/* The code that runs at the moment takes so long: a handler with work to do. */
void sim_world_spend(struct sim_world *world, uint64_t ns);

void sim_io_set_user(struct io *io, void *user);
void *sim_io_user(const struct io *io);
uint32_t sim_io_node(const struct io *io);
uint32_t sim_io_shard(const struct io *io);
/* Receive buffers that are lent out. */
uint32_t sim_io_lent(const struct io *io);
/* Operations whose last event was not handed out yet. */
uint32_t sim_io_operations(const struct io *io);

/* Between two nodes nothing passes, in both directions; what was sent arrives after the cut. */
void sim_world_partition(struct sim_world *world, uint32_t node_a, uint32_t node_b, bool cut);
/* The same in one direction.  The other way bytes arrive, as far as the window goes: nothing confirms them. */
void sim_world_cut(struct sim_world *world, uint32_t from, uint32_t to, bool cut);
/* What one direction carries; its connections share it.  0: no limit.  Chunks that were sent before keep their time. */
void sim_world_limit(struct sim_world *world, uint32_t from, uint32_t to, uint64_t bytes_per_second);
/* The process of a node stands still, as under SIGSTOP: its sockets live, nobody reads them. */
void sim_world_freeze(struct sim_world *world, uint32_t node, bool frozen);
/* All faults off: cuts, limits, stalls, frozen nodes, lost dials, and resets that were drawn and did not strike yet. */
void sim_world_heal(struct sim_world *world);
/* The process of a node dies: its peers see resets, its operations end.  The caller then closes its ios, whether or not
 * their operations ended.  After the last, every socket of the node is gone and the node can start again. */
void sim_world_kill_node(struct sim_world *world, uint32_t node);

uint64_t sim_world_trace_hash(const struct sim_world *world);
uint64_t sim_world_records(const struct sim_world *world);
uint64_t sim_faults_bitten(const struct sim_world *world, enum sim_fault fault);
/* How often a kind of call failed with a code, and how many of them there were (as an aim counts them). */
uint64_t sim_world_errors(const struct sim_world *world, uint32_t call, int32_t code);
uint64_t sim_world_calls(const struct sim_world *world, uint32_t call);
/* Sockets of a node that were not closed, listening ones too. */
uint32_t sim_world_sockets(const struct sim_world *world, uint32_t node);
/* Operations on a number that was no socket: each is a bug in the simulated program. */
uint64_t sim_world_bad_sockets(const struct sim_world *world);

extern const struct io_backend sim_backend;

#endif
