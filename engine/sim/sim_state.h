/* SPDX-License-Identifier: Apache-2.0 */
/* The insides of the world, shared by the files of the simulator and nobody else. */
#ifndef ENGINE_SIM_SIM_STATE_H
#define ENGINE_SIM_SIM_STATE_H

#include "engine/sim/sim_heap.h"
#include "engine/sim/sim_slots.h"
#include "engine/sim/sim_stream.h"
#include "engine/sim/sim_world.h"

struct sim_flight;

/* A listening socket, or one end of a connection. */
struct sim_socket {
    struct sim_slot slot;
    uint32_t node;
    int32_t number; /* IO_SOCKET_NONE while nobody accepted it */
    bool listener;
    struct address local;
    struct address remote;
    struct sim_flight *armed[IO_KIND_COUNT]; /* operations that wait for something to happen here, by sim_place */
    uint32_t operations;                     /* operations whose last event was not handed out */

    /* A listener: */
    struct list_node listeners_link;
    uint32_t group_index; /* in the order of listening */
    uint32_t group_count;
    struct list backlog;
    uint32_t backlog_count;

    /* An end of a connection: */
    struct list_node backlog_link;
    struct sim_name peer; /* generation 0: gone */
    uint32_t peer_node;
    struct sim_stream inbound;
    bool reset;       /* a reset arrived, or the node died */
    bool reset_told;  /* a send has reported it */
    bool reset_ahead; /* a reset is on its way here */
    bool reset_held;  /* and waits for the end of a partition */
    bool end_sent;
};

/* An operation from its start to its last event. */
struct sim_flight {
    struct sim_slot slot;
    struct list_node io_link;
    struct sim_io *io;
    struct io_op *op;
    uint32_t op_generation;
    struct sim_name socket; /* generation 0: none, or not one that the operation counts on */
    bool waiting;           /* armed on its socket; otherwise its end is decided */
    bool lost;              /* a dial that nobody will answer before the faults end */
    uint32_t tries;         /* of a dial */
    uint64_t give_up_ns;    /* of a dial */
};

/* An event that can be handed out. */
struct sim_ready {
    struct sim_flight *flight;
    int32_t result;
    bool more;
    struct buf *lent;
    struct address from;
};

/* One direction between two nodes. */
struct sim_link {
    bool cut;
    uint64_t bytes_per_second; /* 0: no limit */
    uint64_t free_ns;          /* what was sent before has left by then */
};

struct sim_node {
    struct sim_world *world;
    uint32_t index;
    bool killed; /* until its last io is closed */
    bool frozen;
    struct sim_io *ios[SHARDS_MAX];
    uint32_t io_count; /* one past the highest that was ever open */
    uint32_t io_open;
    struct sim_socket **numbers; /* by socket number minus SIM_NUMBER_FIRST */
    uint32_t numbers_room;
    uint32_t socket_count;
    struct address addresses[SIM_ADDRESSES_MAX];
    uint32_t address_count;
};

struct sim_io {
    struct io io;
    struct sim_node *node;
    uint32_t shard;
    void *user;
    struct buf_pool recv_pool;
    struct list flights;
    uint32_t flight_count;
    struct sim_ready *ready;
    uint32_t ready_count;
    uint32_t ready_room;
    uint64_t deadline_ns;
    bool awake; /* the last wait did not block, or there was none yet, or wake was called */
    bool woken; /* wake was called since the last wait */
    struct prng entropy;
};

struct sim_world {
    struct sim_options options;
    struct sim_faults faults;
    struct sim_errors errors;
    struct sim_trace trace;
    struct prng prng;
    struct sim_heap heap;
    struct sim_slots sockets;
    struct sim_slots flights;
    struct list listeners;
    uint64_t start_ns;
    uint64_t now_ns;
    uint64_t swap_pairs; /* counted for test_swap_event */
    uint64_t receives;   /* counted for test_flip_byte */
    uint64_t bad_sockets;
    struct sim_link links[SIM_NODES_MAX][SIM_NODES_MAX]; /* by sender and receiver */
    struct sim_node nodes[SIM_NODES_MAX];
};

/* Numbers 0 to 2 are never sockets of a sane process. */
#define SIM_NUMBER_FIRST 3

/* sim_world.c */
uint64_t sim_draw(struct sim_world *world, uint64_t min, uint64_t max);
bool sim_coin(struct sim_world *world);
uint64_t sim_latency_ns(struct sim_world *world);
void sim_schedule(struct sim_world *world, enum sim_happening_kind kind, const struct sim_slot *target, uint64_t due_ns,
                  int32_t result);
/* The error that the next call of this kind has, as -errno; 0: none. */
int32_t sim_world_error(struct sim_world *world, uint32_t call, enum sim_fault fault);
/* Let everything happen that is due. */
void sim_world_advance(struct sim_world *world);
/* Trace what the world's owner did. */
void sim_world_record_control(struct sim_world *world, uint32_t what, uint32_t node_a, uint32_t node_b);

/* sim_socket.c: sockets, their numbers and their addresses. */
struct sim_socket *sim_socket_new(struct sim_world *world, uint32_t node);
/* The lowest free number, or -EMFILE. */
int32_t sim_socket_number(struct sim_world *world, struct sim_socket *socket);
struct sim_socket *sim_socket_find(struct sim_world *world, uint32_t node, int32_t number);
struct sim_socket *sim_socket_peer(struct sim_world *world, const struct sim_socket *socket);
/* The peer learns of it as TCP tells it; the number is free at once. */
void sim_socket_close(struct sim_world *world, struct sim_socket *socket);
/* Who answers a dial: of those that share a port, the one where its source port lands. */
struct sim_socket *sim_socket_listener(struct sim_world *world, const struct sim_socket *dialer);
/* Fill in the source of a dial: 0 or -errno. */
int32_t sim_socket_bind(struct sim_world *world, struct sim_socket *socket, const struct address *local,
                        uint16_t source_pair);
enum weft_err sim_node_own(struct sim_node *node, const struct address *address, struct weft_error *why);
enum weft_err sim_listen(void *host, const struct address *address, uint32_t count, int32_t *sockets, bool *steered,
                         struct weft_error *why);
void sim_port_range(void *host, struct landing_range *range);
void sim_close_socket(void *host, int32_t number);

/* The place of an operation in sim_socket.armed: the two that receive share one. */
static inline uint32_t sim_place(const struct io_op *op)
{
    return op->kind == IO_LAND ? IO_RECV : op->kind;
}

/* sim_wire.c: what passes between two sockets. */
void sim_wire_recv(struct sim_world *world, struct sim_socket *socket);
void sim_wire_send(struct sim_world *world, struct sim_socket *socket);
void sim_wire_end(struct sim_world *world, struct sim_socket *socket);
void sim_wire_poke(struct sim_world *world, struct sim_socket *socket);
/* A reset arrived. */
void sim_wire_reset(struct sim_world *world, struct sim_socket *socket);
/* Send a reset to this socket, behind what is on its way already. */
void sim_wire_send_reset(struct sim_world *world, struct sim_socket *socket);

/* sim_dial.c */
void sim_dial_start(struct sim_world *world, struct sim_flight *flight);
void sim_dial_arrive(struct sim_world *world, struct sim_socket *dialer);
void sim_dial_answered(struct sim_world *world, struct sim_socket *dialer, int32_t result);
void sim_dial_cancel(struct sim_world *world, struct sim_flight *flight, int32_t result);
void sim_dial_accept(struct sim_world *world, struct sim_socket *listener);

/* sim_flight.c: operations. */
void sim_flight_start(struct sim_io *io, struct io_op *op);
void sim_flight_cancel(struct sim_world *world, struct sim_flight *flight);
void sim_flight_arm(struct sim_flight *flight, struct sim_socket *socket);
/* One result; more may follow. */
void sim_flight_deliver(struct sim_flight *flight, const struct sim_ready *ready);
/* All bytes of a zero-copy send were accepted; the buffers are read until the last event, some latencies later. */
void sim_flight_accept(struct sim_flight *flight, uint32_t bytes);
/* The last result, visible after a drawn delay. */
void sim_flight_finish(struct sim_flight *flight, int32_t result);
void sim_flight_ready(struct sim_flight *flight, const struct sim_ready *ready);
/* The last event is handed out. */
void sim_flight_end(struct sim_flight *flight);
/* The program died: the operation ends without an event. */
void sim_flight_abandon(struct sim_flight *flight);

/* sim_io.c */
void sim_io_record(struct sim_io *io, const struct io_op *op, enum sim_phase phase, struct sim_record *record);
bool sim_io_runnable(const struct sim_io *io);

#endif
