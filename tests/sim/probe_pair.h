/* SPDX-License-Identifier: Apache-2.0 */
/* A pair: two simulated nodes with one shard each, and bare operations whose results are written down. */
#ifndef TESTS_SIM_PROBE_PAIR_H
#define TESTS_SIM_PROBE_PAIR_H

#include "engine/sim/sim_world.h"

#define SECOND_NS UINT64_C(1000000000)
#define RESULTS_MAX 64u
#define BYTES_MAX 65536u
#define SEND_BYTES 1000u
#define RECV_BUFS_OF_SIDE 4u
#define RECV_BYTES_OF_SIDE 512u

struct probe {
    struct io_op op;
    struct side *side;
    int32_t results[RESULTS_MAX];
    uint32_t count;
    uint8_t bytes[BYTES_MAX];
    uint32_t byte_count;
    struct address from;
    uint64_t ended_ns;
};

struct side {
    struct sim_world *world;
    struct io_place place;
    struct io *io;
    struct buf_pool pool;
    int32_t listener;
    struct buf **keep; /* lent buffers go here and not back */
    uint32_t kept_count;
};

struct pair {
    struct sim_world *world;
    struct side sides[2];
    struct probe *accept;
    struct probe *connect;
};

struct address side_address(uint32_t side);
/* Submit an operation; a send carries SEND_BYTES, a dial goes to the first side. */
struct probe *probe_start(struct side *side, enum io_kind kind, int32_t socket);
/* The result of its latest event. */
int32_t probe_last(const struct probe *probe);
/* The operation has ended; it is not looked at again. */
void probe_free(struct probe *probe);
void side_open(struct pair *pair, uint32_t index);
void side_listen(struct side *side, uint32_t index);
/* Two nodes; the first listens. */
void pair_open(struct pair *pair, const struct sim_options *options);
/* Run until nothing happens any more, or for so long. */
void pair_run(struct pair *pair, uint64_t for_ns);
void pair_rest(struct pair *pair);
/* Accept on the first side, dial from the second. */
void pair_connect(struct pair *pair);
int32_t pair_accepted(const struct pair *pair);
int32_t pair_dialed(const struct pair *pair);
/* Close and rest; the result. */
int32_t side_close_socket(struct pair *pair, uint32_t side, int32_t socket);
/* Everything must be closed and given back by now, except the accept and the dial. */
void pair_close(struct pair *pair);
void pair_close_sockets(struct pair *pair);

#endif
