/* SPDX-License-Identifier: Apache-2.0 */
/* A conn pair: two simulated nodes with one driven shard each, connections between them, and a witness per connection
 * that writes down what its user was told.  The first end listens; whatever arrives is accepted.
 *
 * What a test does to a connection it does inside a turn of the shard, as a user would: conn_end_do.  A witness sends
 * bytes that follow from their offset, and checks the bytes that it receives.  It fails the test when an event comes
 * from inside a call of its own. */
#ifndef TESTS_SIM_CONN_PAIR_H
#define TESTS_SIM_CONN_PAIR_H

#include "engine/net/conn.h"
#include "engine/net/listener.h"
#include "engine/reactor/engine.h"
#include "engine/sim/sim_world.h"
#include "tests/sim/toy_secure.h"

#define PAIR_MS UINT64_C(1000000)
#define PAIR_SECOND_NS UINT64_C(1000000000)
#define PAIR_PORT 7000
#define PAIR_WITNESSES_MAX 64u

struct conn_pair;
struct conn_end;

struct witness {
    struct conn_end *end;
    struct conn *conn; /* NULL before and after its life */
    bool accepted;
    uint32_t opened;
    uint32_t drained;
    uint32_t handed;
    uint32_t misdirected;
    uint32_t closed;
    uint64_t sent_bytes; /* accepted by conn_send */
    uint64_t received_bytes;
    uint64_t wrong_bytes;
    uint64_t handed_bytes; /* at the last handed event */
    uint64_t opened_ns;
    uint64_t closed_ns;
    struct weft_error error; /* at the end */
    /* Called by the events, if set. */
    void (*on_opened)(struct witness *witness);
    void (*on_received)(struct witness *witness);
    void (*on_drained)(struct witness *witness);
};

struct conn_end {
    struct conn_pair *pair;
    uint32_t index;
    struct engine *engine;
    struct weft_shard *shard;
    struct net net;
    struct listener listener;
    int32_t listener_socket;
    struct toy_factory toy;
    bool secure; /* connections of this end use the toy */
    bool inside; /* a call of the user's is running */
    struct witness witnesses[PAIR_WITNESSES_MAX];
    uint32_t witness_count;
    uint32_t refused_count; /* arrived, and could not be accepted */
    void *user;
};

struct conn_pair_options {
    struct sim_options sim;
    bool secure[2];
    struct toy_options toy[2];
    uint32_t send_bufs; /* 0: 2048 */
    uint32_t recv_bufs; /* 0: 64 */
    uint32_t conns_max; /* 0: 16 */
    uint64_t arena_bytes;
    uint64_t frame_timeout_ns; /* 0: none, as for the next three */
    uint64_t send_timeout_ns;
    uint64_t first_timeout_ns;
    uint32_t handshakes_max;
    enum weft_send_zerocopy zero_copy;
    uint32_t object_bytes;  /* 0: a struct conn and its witness */
    bool no_listener;       /* nobody listens */
    uint32_t target_shards; /* of dials: where to land */
    uint32_t target_wanted;
    listener_accepted_fn *arrived; /* NULL: accept, with a witness */
    /* Inside the opening and closing of each shard; may be NULL. */
    void (*on_open)(struct conn_end *end);
    void (*on_close)(struct conn_end *end);
    void *user[2];
};

struct conn_pair {
    struct sim_world *world;
    struct conn_end ends[2];
    struct conn_pair_options options;
};

/* Calm, plain, 50 to 500 us of latency. */
void conn_pair_options_init(struct conn_pair_options *options, uint64_t seed);
void conn_pair_open(struct conn_pair *pair, const struct conn_pair_options *options);
/* Every connection must have ended; sees that nothing is left: sockets, buffers, memory, sessions. */
void conn_pair_close(struct conn_pair *pair);

/* Let so much time pass. */
void conn_pair_run(struct conn_pair *pair, uint64_t for_ns);
/* Until done says so; fails after a minute of virtual time. */
void conn_pair_until(struct conn_pair *pair, bool (*done)(void *ctx), void *ctx);
/* Until no connection is left at either end. */
void conn_pair_until_closed(struct conn_pair *pair);
/* Run fn in a turn of this end's shard, and return when it ran. */
void conn_end_do(struct conn_end *end, weft_task_fn *fn, void *ctx);

struct address conn_end_address(uint32_t index);
/* Dial from this end to the other one.  Inside a turn. */
struct witness *conn_end_dial(struct conn_end *end);
/* The same from outside, and until both sides are open.  @param accepted given; may be NULL */
struct witness *conn_pair_connect(struct conn_pair *pair, struct witness **accepted);

/* Inside a turn: conn_send of so many bytes of the witness' stream, cut in two. */
enum weft_err witness_send(struct witness *witness, uint32_t bytes);
void witness_close(struct witness *witness);
void witness_abort(struct witness *witness);
void witness_pause(struct witness *witness);
void witness_resume(struct witness *witness);

#endif
