/* SPDX-License-Identifier: Apache-2.0 */
/* A party: three simulated nodes with four shards, used through io.h alone.  Every shard accepts, echoes, and dials the
 * other nodes; both ends know from a connection's seed which byte belongs at which offset.  Receives, sends and dials
 * are cancelled at random moments and go on afterwards. */
#ifndef TESTS_SIM_ECHO_PARTY_H
#define TESTS_SIM_ECHO_PARTY_H

#include "engine/base/prng.h"
#include "engine/sim/sim_world.h"

#define SECOND_NS UINT64_C(1000000000)
#define PORT 7000
#define PARTY_NODES 3u
#define PARTY_SHARDS 4u
#define PARTY_CONNS_MAX 256u
#define SEED_BYTES 8u
#define SEND_BUF_TEST_BYTES 700u
#define SEND_BUFS_TEST 96u
#define EVENTS_MAX 16u

struct conn;
struct party;

/* An operation, and how often it was submitted and how often it ended. */
struct tracked {
    struct io_op op;
    struct conn *conn;
    uint32_t submitted;
    uint32_t ended;
};

struct member {
    struct party *party;
    struct io *io;
    struct io_place place;
    uint32_t node;
    struct buf_pool pool;
    int32_t listener;
    struct tracked accept;
    uint32_t accepted;
    struct conn *conns[PARTY_CONNS_MAX];
    uint32_t conn_count;
    struct buf *held[EVENTS_MAX]; /* lent buffers, returned one turn later */
    uint32_t held_count;
    uint32_t dials_left;
    bool closing;
};

struct conn {
    struct member *member;
    bool dialer;
    bool must_finish;
    int32_t socket;
    struct tracked connect;
    struct tracked recv;
    struct tracked send;
    struct tracked shutdown;
    struct tracked close;
    uint64_t seed;
    uint64_t bytes_goal; /* what a dialer sends */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    bool ended; /* by the peer */
    bool broken;
    bool finished;
};

struct party {
    struct sim_world *world;
    struct prng prng;
    struct member members[PARTY_SHARDS];
    uint64_t wrong_bytes;
    uint32_t completed; /* dialed connections that got everything back */
    bool calm;
    bool cuts;
};

void party_open(struct party *party, const struct sim_options *options);
/* Have every shard dial so many connections. */
void party_dial(struct party *party, uint32_t dials);
/* Every connection is closed and no dial is left. */
bool party_idle(const struct party *party);
/* Step until everybody is idle or the time has come. */
void party_run(struct party *party, uint64_t until_ns);
/* Let the world come to its end, see that nothing is left of it, and return the trace hash. */
uint64_t party_close(struct party *party);

#endif
