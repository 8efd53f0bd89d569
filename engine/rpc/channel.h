/* SPDX-License-Identifier: Apache-2.0 */
/* A channel: one connection that speaks the protocol.  Its role is fixed: the dialer calls, the acceptor serves.
 *
 * Split by event: channel.c (life), channel_greet.c (the negotiation), call.c, call_reply.c and call_cancel.c (calls,
 * their replies, their early ends: the dialer's half), serve.c and request.c (requests and their
 * answers: the acceptor's half).
 *
 *     GREETING -> UP -> DOWN        GREETING -> REFUSING -> DOWN */
#ifndef ENGINE_RPC_CHANNEL_H
#define ENGINE_RPC_CHANNEL_H

#include "engine/net/conn.h"
#include "engine/rpc/frame_reader.h"
#include "engine/rpc/negotiation.h"
#include "engine/rpc/rpc.h"
#include "engine/rpc/wire.h"

enum channel_state { CHANNEL_GREETING = 0, CHANNEL_UP, CHANNEL_REFUSING, CHANNEL_DOWN };

/* Why a channel does not go on: its answers pile up, there is no memory, or it had its share of the turn. */
enum channel_stall { CHANNEL_STALL_ANSWERS = 0, CHANNEL_STALL_MEMORY, CHANNEL_STALL_TURN };

struct channel;

/* What the owner of channels decides and is told. */
struct channel_events {
    /* Fill what our side offers (dialer), or answers to `offer` (acceptor). */
    void (*introduce)(struct channel *channel, const struct negotiation *offer, struct negotiation *own);
    /* May it stay, by what its certificate alone says?  Asked when the handshake is done, unless
     * the offer came along with its end: admit is asked in any case.  NULL: nobody minds. */
    enum weft_reason (*secured)(struct channel *channel);
    /* May this peer stay?  The dialer is asked with the acceptor's answer, the acceptor with the dialer's offer.
     * Anything but WEFT_REASON_NONE refuses. */
    enum weft_reason (*admit)(struct channel *channel, const struct negotiation *theirs);
    /* May this request run?  Asked on acceptors, where rpc_options.authorizes. */
    bool (*authorize)(const struct channel *channel, uint64_t verb);
    /* The code that the peer is told instead of the true reason. */
    enum weft_reason (*disclose)(struct channel *channel, enum weft_reason reason);
    void (*up)(struct channel *channel);
    /* The dialer is about to stop, and says so by this channel; of an acceptor. */
    void (*goodbye)(struct channel *channel);
    /* The end, after its calls have failed; channel->conn.error says why. */
    void (*down)(struct channel *channel);
};

struct channel_greeting; /* lives from the opening to the end of the negotiation */

struct channel {
    struct conn conn; /* first: the connection's slot holds the channel */
    struct rpc *rpc;
    struct weft_peer_counters *tally; /* the account of its calls or requests; the owner's, or else the shard's */
    const struct channel_events *events;
    void *owner;
    enum channel_state state;
    enum weft_reason decision; /* why plain or TLS, the owner's */
    enum weft_lane lane;
    bool timeout_negotiated;
    bool duration_negotiated;
    bool peer_hello;           /* the peer is a weft node */
    bool verified;             /* its certificate did; set by the owner's admit */
    bool certified;            /* the same, and it names the id that the peer says */
    bool refused_by_peer;      /* its answer was a refusal: conn.error.reason is the peer's */
    bool misdirected;          /* plaintext on a TLS listener */
    enum weft_reason unproven; /* acceptor: its certificate is somebody else's, and its offer is not here yet */
    bool said_goodbye;         /* acceptor: the peer did, by this channel */
    bool offered;              /* dialer: our half of the negotiation is on its way */
    bool stalled;              /* no more frames are taken for now; channel_hold.c */
    enum channel_stall stall;  /* why */
    bool used;                 /* a whole frame arrived */
    bool pass_over;            /* the frame at hand waited for memory until its deadline: its payload is passed over */
    uint32_t peer;             /* the owner's name for it; 0: none */
    uint8_t peer_id[UUID_BYTES];
    uint64_t peer_incarnation;
    uint64_t connection_id; /* dialer: what a Seastar server calls this connection; 0: it has no name for it */
    uint16_t peer_shards;   /* from its hello: of its node; of an acceptor, where we landed; where it wants to land */
    uint16_t peer_shard;
    uint16_t peer_wanted;
    bool counted;                 /* the owner's: an accepted connection in its peer's budget */
    enum weft_reason part_reason; /* the owner's: it closes when it is idle, for this; NONE: it stays */
    uint64_t part_deadline_ns;    /* or by then */
    bool judge;                   /* the owner's: its certificate is to be looked at again */
    uint32_t serving_shard;       /* of an acceptor: that runs its requests, where the verb does not say */
    struct channel_greeting *greeting;
    struct frame_reader reader;
    uint64_t resumed_ns; /* when reading went on after a stall */
    uint64_t freed_ns;   /* when a stall ended that was not for want of time */
    uint64_t frame_ns;   /* when the first byte of the frame at hand was read */
    uint64_t arrived_ns; /* when the last one was */
    uint64_t oldest_ns;  /* when the one was that had waited longest as the channel's turn came */
    uint64_t turn;       /* to which the next two belong */
    uint32_t turn_frames;
    uint32_t turn_bytes;
    struct task retry;           /* of a stalled channel */
    struct timer patience;       /* until the deadline of a request that waits for memory */
    struct list_node unfinished; /* while it has a block of the arena for the frame at hand */
    uint64_t unfinished_bytes;   /* of that block */
    bool over_share;             /* and gets none, since its source has enough; counted */
    struct list held;            /* struct held_bytes: arrived while stalled, in order */
    uint32_t held_bytes;
    struct list owed;       /* struct weft_request: answered, but the answer found no room yet */
    struct list calls;      /* struct call: sent, not answered */
    struct list one_ways;   /* struct call: queued, not yet handed to the network */
    struct list kept;       /* struct weft_request: unanswered when their handlers returned */
    uint64_t idle_since_ns; /* while the node stops, or it is to close; 0: not idle */
    uint32_t call_count;
    uint32_t request_count; /* unanswered by their handlers */
    uint8_t source;         /* in whose share they count; request_share.c */
    uint64_t torn_end;      /* where the last request ends that lost its caller when it was handed over in part */
};

/* Dial.  The channel is given; its events follow. */
WEFT_NODISCARD enum weft_err channel_dial(struct rpc *rpc, const struct conn_target *target,
                                          struct secure_factory *factory, const struct channel_events *events,
                                          void *owner, struct channel **channel, struct weft_error *why);
/* Take over an accepted socket. */
WEFT_NODISCARD enum weft_err channel_accept(struct rpc *rpc, int32_t socket, const struct address *remote,
                                            struct secure_factory *factory, const struct channel_events *events,
                                            void *owner, struct channel **channel, struct weft_error *why);

/* The lane, and with it how far the channel may use up the shard's send buffers. */
void channel_set_lane(struct channel *channel, enum weft_lane lane);

static inline bool channel_is_up(const struct channel *channel)
{
    return channel->state == CHANNEL_UP && conn_is_open(&channel->conn);
}

static inline struct channel *channel_of(struct conn *conn)
{
    return WEFT_CONTAINER_OF(conn, struct channel, conn);
}

/* Between the files of the channel. */
void channel_greet_opened(struct channel *channel);
void channel_greet_received(struct channel *channel, struct weft_span *bytes);
void channel_greet_end(struct channel *channel);
/* Take replies from what arrived, until the channel must not go on. */
void call_replies_take(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns);
/* A whole reply, skipped where there was no memory for its payload; false: the channel must end for bad_frame. */
bool call_reply_received(struct channel *channel, const uint8_t *header, struct weft_span payload, bool skipped);
void call_fail_all(struct channel *channel);
void request_abort_all(struct channel *channel);
/* The same for requests. */
void serve_requests_take(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns);
bool serve_request_received(struct channel *channel, const uint8_t *header, struct weft_span payload, bool skipped);
/* Is there room for whatever the next request may need at once? */
static inline bool serve_has_room(const struct channel *channel)
{
    const struct slots *requests = &channel->rpc->requests;
    return (WEFT_LIKELY(conn_send_place(&channel->conn, ANSWER_BYTES_MIN) != NULL) ||
            conn_has_room(&channel->conn, ANSWER_BYTES_MIN)) &&
           (channel->peer_hello || slots_in_use(requests) < requests->count);
}
/* There is no memory now for the bytes of a request's payload: true if the channel must wait for it, false if it is to
 * be passed over. */
bool serve_must_wait(struct channel *channel, uint32_t bytes);
void serve_send_owed(struct channel *channel);
void serve_drop_owed(struct channel *channel);
/* For channel_take.h.  May another frame be taken, in the rare cases: the channel has ended, is stalled, or must be
 * asked more. */
bool channel_may_go_on_after_all(struct channel *channel);
/* A frame that does not lie whole in what arrived: a step towards it, or the whole of it.  @return whether to go on */
bool channel_part_received(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns);
/* Cut frames and act on them, until the channel stalls or ends or the bytes are used up. */
void channel_frames_received(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns);
/* channel_share.c: may its source have another block for a frame; it has one; it has none any more. */
bool channel_may_hold(const struct channel *channel, uint32_t bytes);
void channel_hold_frame(struct channel *channel, uint32_t bytes);
void channel_frame_ended(struct channel *channel);
/* channel_hold.c. */
void channel_hold(struct channel *channel, struct weft_span bytes, uint64_t arrived_ns);
void channel_stall(struct channel *channel, enum channel_stall why);
void channel_go_on(struct channel *channel);
/* Bytes of all channels that may wait for their turn before reading stops. */
static inline uint64_t channel_held_most(const struct channel *channel)
{
    return channel->rpc->shard->arena.bytes / ARENA_RESERVE_PARTS / HELD_RESERVE_PARTS;
}

/* See to the deadline of what the peer owes, after frames were taken or reading went on. */
void channel_watch(struct channel *channel);
/* All that is held, whatever this turn has seen: the connection is about to end. */
void channel_take_held(struct channel *channel);
void channel_retry(struct task *task);
void channel_hold_end(struct channel *channel);

#endif
