/* SPDX-License-Identifier: Apache-2.0 */
/* A channel pair: a conn pair whose ends speak the protocol, a dialer that calls and an acceptor that serves.  Either
 * end can be raw instead: a bare connection that sends what the test says and keeps what it receives, for everything
 * that a sane peer would not do.
 *
 * Verbs: ECHO answers the same bytes, FAIL fails with as long a text, KEEP answers when the test says so, SINK is
 * one-way, SOURCE answers a kibibyte for each byte, TAKE takes the payload over and answers it by reference. */
#ifndef TESTS_SIM_CHANNEL_PAIR_H
#define TESTS_SIM_CHANNEL_PAIR_H

#include "engine/rpc/call.h"
#include "engine/rpc/channel.h"
#include "engine/rpc/serve.h"
#include "tests/sim/conn_pair.h"

/* Of a side, in its life. */
#define CHANNELS_MAX 64u
#define KEPT_MAX 64u
#define RAW_BYTES_MAX (2u << 20)

enum { ACCEPTOR = 0, DIALER = 1 };
enum { VERB_ECHO = 2, VERB_FAIL, VERB_KEEP, VERB_SINK, VERB_SOURCE, VERB_NOBODY, VERB_TAKE };

/* How one call ended. */
struct outcome {
    uint32_t count; /* how often its callback ran */
    enum weft_err err;
    struct weft_error error;
    enum weft_executed executed;
    uint32_t handler_us;
    uint32_t bytes;
    uint32_t wrong_bytes; /* that are not pattern_byte */
    weft_call_id id;
    void (*then)(struct outcome *outcome, void *ctx);
    void *ctx;
};

/* What a side offers, decides and sees. */
struct side {
    struct conn_end *end;
    struct rpc rpc;
    struct verb_table verbs;
    /* Set before the pair opens. */
    bool raw;
    uint32_t calls_max;
    uint32_t requests_max;
    bool timeout;
    bool duration;
    bool hello;
    const char *cookie; /* NULL: none */
    bool by_reference;  /* arguments of calls go by reference, where there is memory for it */
    enum weft_reason secured_reason;
    enum weft_reason admit_reason;
    uint64_t forbidden_verb;          /* 0: every request may run, and nobody asks */
    enum weft_reason disclose_reason; /* NONE: the true one */
    /* Seen. */
    struct channel *channels[CHANNELS_MAX]; /* NULL when down */
    struct conn *raws[CHANNELS_MAX];
    uint32_t channel_count;
    uint32_t secured;  /* times asked */
    uint32_t admitted; /* times asked */
    uint32_t authorized;
    uint32_t up;
    uint32_t down;
    struct negotiation seen; /* the peer's */
    struct weft_error error; /* of the channel that ended last */
    bool refused_by_peer;
    uint64_t remaining_ns; /* of the last request */
    uint32_t sink_calls;
    uint32_t taken; /* payloads taken over by TAKE */
    weft_request *kept[KEPT_MAX];
    uint32_t kept_count;
    bool watch_aborts; /* of the kept ones */
    uint32_t aborts;
    enum weft_err abort_why; /* of the last one */
    uint8_t *raw_bytes;      /* received */
    uint32_t raw_used;
};

struct channel_pair {
    struct conn_pair conns;
    struct side sides[2];
    struct conn_pair_options options;
};

uint8_t pattern_byte(uint32_t at);
/* So many of them; to be freed. */
uint8_t *pattern_new(uint32_t bytes);

/* The counters of a side's shard, calls and requests included. */
struct weft_counters side_counters(const struct channel_pair *pair, uint32_t side);
#define COUNTER(pair, side, name) (side_counters((pair), (side)).name)

/* Everything on: timeout, duration, hello; then change what the test is about. */
void channel_pair_init(struct channel_pair *pair, uint64_t seed);
void channel_pair_open(struct channel_pair *pair);
/* Ends every connection in good order and sees that nothing is left. */
void channel_pair_close(struct channel_pair *pair);
/* Inside a turn. */
void side_dial_now(struct side *side);
/* End every channel, and connect a new one in the first place. */
void channel_pair_fresh(struct channel_pair *pair);
/* Dial, and run for a while. */
void channel_pair_dial(struct channel_pair *pair);
/* Dial, and until both sides are up. */
void channel_pair_connect(struct channel_pair *pair);

/* A call with pattern bytes as arguments.  Inside a turn. */
enum weft_err side_call(struct side *side, uint32_t channel, const struct call_request *request,
                        struct outcome *outcome);
/* The same from outside, and until it has ended. */
void channel_pair_call(struct channel_pair *pair, uint64_t verb, uint32_t bytes, uint64_t timeout_ns,
                       struct outcome *outcome);
void outcome_done(void *ctx, enum weft_err err, const struct weft_reply *reply);
/* Calls that are made in one turn. */
struct burst {
    struct side *side;
    struct call_request request;
    struct outcome *outcomes;
    uint32_t count;
    uint32_t accepted;
    enum weft_err err; /* of the first that was not */
    bool abort;        /* right behind them, in the same turn */
    bool close;
};

/* From outside: make them on the dialer's first channel; without a timeout they have 10 s. */
void channel_pair_burst(struct channel_pair *pair, struct burst *burst);
/* From outside: a raw side sends these bytes. */
void channel_pair_raw_send(struct channel_pair *pair, uint32_t side, uint32_t raw, const void *data, uint32_t bytes);
/* A raw side's half of the negotiation, from its flags. */
void channel_pair_raw_greet(struct channel_pair *pair, uint32_t side);
/* From outside: answer the kept requests. */
void channel_pair_answer_kept(struct channel_pair *pair, enum weft_err expected);

#endif
