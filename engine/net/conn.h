/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: one socket, an optional record layer, and a bounded queue of bytes to send.
 *
 * Split by event: conn.c (life and end), conn_send.c (queue, sealing, one batched send per turn), conn_recv.c
 * (receiving, opening, pausing), conn_land.c (receiving into the user's memory), conn_secure.c (the handshake, and
 * whose turn it is), conn_watch.c (deadlines while it is open).
 *
 *     CONNECTING -> SECURING -> OPEN -> DRAINING -> LINGERING -> CLOSING -> (gone)
 *
 * CONNECTING  the dial is in flight
 * SECURING    the record layer's handshake; nothing of the user's moves
 * OPEN        bytes go both ways
 * DRAINING    no new bytes are taken; what is queued goes out, then the closing record, then shutdown
 * LINGERING   everything went out; waits for the peer's end of stream, discarding
 * CLOSING     operations are being ended; then the socket is closed and `closed` called
 *
 * Any state can go to CLOSING.  The user's object begins with a struct conn and lives in a slot of `net`; after the
 * closed event it is gone. */
#ifndef ENGINE_NET_CONN_H
#define ENGINE_NET_CONN_H

#include "engine/io/io.h"
#include "engine/net/net.h"
#include "engine/net/secure.h"

#define CONN_STATES(X) X(FREE) X(CONNECTING) X(SECURING) X(OPEN) X(DRAINING) X(LINGERING) X(CLOSING)

enum conn_state {
#define CONN_X(name) CONN_##name,
    CONN_STATES(CONN_X) CONN_STATE_COUNT
#undef CONN_X
};

struct conn;

/* Memory of the user's for bytes that arrive. */
struct landing_room {
    uint8_t *data;
    uint32_t bytes;
};

/* What happens to a connection, told to its user.  Never called from inside a call of the user's. */
struct conn_events {
    void (*opened)(struct conn *conn);
    /* Bytes arrived; all are consumed.  Borrowed until return. */
    void (*received)(struct conn *conn, struct weft_span bytes);
    /* The user asked for landing: where the very next bytes go; too few if they shall come by `received`.  May be NULL
     * for users that never ask. */
    struct landing_room (*landing)(struct conn *conn);
    /* So many bytes are where `landing` said. */
    void (*landed)(struct conn *conn, uint32_t bytes);
    /* The queue fell below half of its high mark after it had been above. */
    void (*drained)(struct conn *conn);
    /* The peer sends no more, and the connection ends right after this: now or never for bytes that arrived and were
     * put off.  May be NULL for users that put nothing off. */
    void (*ending)(struct conn *conn);
    /* More of the queue was handed to the network; called at the end of a turn. */
    void (*handed)(struct conn *conn);
    /* Something in the queue is no longer wanted, as conn_prune_later said; the moment before more of it is handed
     * over.  Call conn_prune. */
    void (*prune)(struct conn *conn);
    /* A TLS listener was spoken to in plaintext.  The record layer is gone; the bytes follow by `received`. */
    void (*misdirected)(struct conn *conn);
    /* The end; conn->error says why.  The object is freed when this returns. */
    void (*closed)(struct conn *conn);
};

/* A send that lasts until the kernel does not read its buffers any more. */
struct zero_copy_send {
    struct io_op op;
    struct conn *conn;
    uint32_t bytes;
    int32_t result;
    bool told; /* its first event came, with this result */
};

struct conn {
    struct net *net;
    const struct conn_events *events;
    struct list_node live;
    uint32_t index;      /* slot */
    uint32_t generation; /* of the slot */
    enum conn_state state;
    bool accepted;
    bool paused;      /* reading is off */
    bool above_high;  /* the queue passed its high mark */
    bool peer_ended;  /* the peer's end of stream was seen */
    bool shut_sealed; /* the closing record was produced */
    bool first_byte_seen;
    uint8_t ports_tried; /* of a dial: pairs of source ports that were taken */
    bool prune_due;      /* the user wants to be asked what to keep before more is handed over */
    int32_t socket;
    struct address remote;
    uint32_t target_shards; /* of a dial: as in its target */
    uint32_t target_wanted;
    struct io_op life; /* connect, shutdown, close: one after the other */
    struct io_op recv;
    struct io_op send;
    struct flush_hook flush;
    struct task reap;
    struct timer deadline; /* of what must be over once: dialing, securing, the negotiation, closing */
    enum weft_reason deadline_reason;
    struct timer watch;       /* of what goes on while it is open; conn_watch.c */
    uint64_t behind_ns;       /* since when its bytes can have waited in the kernel, as nobody read; 0: all were read */
    uint64_t behind_until_ns; /* after reading went on: what comes later was not there before */
    uint64_t sending_ns;      /* when the send in flight was started */
    uint64_t owed_ns;         /* since when the peer owes something */
    uint64_t owed_limit_ns;   /* 0: it owes nothing */
    enum weft_reason owed_reason;
    bool room_promised;             /* the next room in the queue is theirs who wait for it: no new buffer for others */
    bool handshaking;               /* counts as one of the handshakes in flight */
    struct secure_factory *factory; /* of an accepted connection that waits for its turn to shake hands */
    struct list_node handshake_link; /* of net->handshakes_waiting or _first */
    struct list outbox;              /* struct buf: bytes of the user, not sealed yet */
    struct list sealed;              /* struct buf: wire bytes, ready to send */
    uint32_t outbox_bytes;
    uint32_t place_room;     /* bytes that small messages may add to the place; 0: there is none */
    struct buf *place;       /* the last of the outbox */
    uint32_t send_bufs_left; /* of the shard's: what messages on this connection leave to others */
    uint64_t queued_total;   /* bytes ever taken from the user */
    uint64_t handed_total;   /* of these, handed to the record layer or the kernel: they can have reached the peer */
    uint64_t left_total; /* of these, sealed or taken by the kernel: once the connection has ended, none behind went */
    struct secure *secure; /* NULL: plain */
    struct weft_error error;
    bool zero_copy; /* large sends ask for it; conn_zero_copy.c */
    uint32_t zero_copy_count;
    struct zero_copy_send *zero_copy_now; /* no other send may start before it is accepted */
    bool polite;                          /* leaves the turn to connections that are not */
    uint32_t once_left; /* receives of one result each until the lent buffers flow again; conn_land.c */
    struct buf land;    /* the part of the user's memory that is received into */
};

/* Where to dial. */
struct conn_target {
    struct address remote;
    struct address local; /* family 0: any */
    uint32_t shards;      /* of the peer, as it said; 0: not known, so that it does not matter where to land */
    uint32_t wanted;      /* below shards: the one to land on */
};

/* Dial.  @param factory NULL for plain   @return ok: the object is given, zeroed behind its conn; its events follow.
 *  QUEUE_FULL: too many connections.  NO_MEMORY, TLS: no session. */
WEFT_NODISCARD enum weft_err conn_dial(struct net *net, const struct conn_target *target,
                                       struct secure_factory *factory, const struct conn_events *events,
                                       struct conn **conn, struct weft_error *why);

/* Take over an accepted socket.  On error the socket is closed. */
WEFT_NODISCARD enum weft_err conn_accept(struct net *net, int32_t socket, const struct address *remote,
                                         struct secure_factory *factory, const struct conn_events *events,
                                         struct conn **conn, struct weft_error *why);

/* Accepted, and its turn to shake hands has not come. */
static inline bool conn_handshake_waits(const struct conn *conn)
{
    return list_node_linked(&conn->handshake_link);
}

/* It waits for its turn: let it come before all others but those that were put first already. */
void conn_handshake_first(struct conn *conn);

/* Queue a message of two parts, both copied, as a whole or not at all.
 *  @return ok | QUEUE_FULL (over the connection's bound, or the shard is out of send buffers) | CLOSED */
WEFT_NODISCARD enum weft_err conn_send(struct conn *conn, struct weft_span head, struct weft_span body);

/* The buffer where a small message can be written at once, from its end on: behind what is queued already, in one
 * piece, and the queue stays below its high mark.  NULL where there is none, which is no error: conn_send knows more.
 * Fill all of it, then say conn_send_placed. */
static inline struct buf *conn_send_place(const struct conn *conn, uint32_t bytes)
{
    return WEFT_LIKELY(bytes <= conn->place_room) ? conn->place : NULL;
}

/* Where something is queued already, the connection is dirty, or will be when its send is done. */
static inline void conn_send_placed(struct conn *conn, uint32_t bytes)
{
    conn->place_room -= bytes;
    conn->place->end += bytes;
    conn->outbox_bytes += bytes;
    conn->queued_total += bytes;
}

/* The same as conn_send, with a body by reference, which gets one reference more. */
WEFT_NODISCARD enum weft_err conn_send_payload(struct conn *conn, struct weft_span head, struct weft_buf *body);
/* Part of a connection's queue: positions as in queued_total. */
struct conn_range {
    uint64_t begin;
    uint64_t end;
};
/* The next range to keep, in ascending order; false: no more.  The kept ones move up to where the last one ended. */
typedef bool conn_range_fn(void *ctx, struct conn_range *range);

/* Have the prune event come before more of the queue is handed over. */
void conn_prune_later(struct conn *conn);
/* Of what was not handed over, drop all but these ranges.  Inside the prune event. */
void conn_prune(struct conn *conn, conn_range_fn *next, void *ctx);

/* Would conn_send take a message of so many bytes? */
bool conn_has_room(const struct conn *conn, uint32_t bytes);

/* Stop and resume reading; bytes that are on their way still arrive. */
void conn_pause(struct conn *conn);
/* The same, by somebody who is too slow: what arrives from now on can be as old as this. */
void conn_fall_behind(struct conn *conn);
void conn_resume(struct conn *conn);

/* From now on, receive straight into the memory that `landing` names, whenever it names enough.  Plain connections. */
void conn_want_landing(struct conn *conn);
/* Leave the turn to connections that are not polite: move only a small share of bytes per turn while those are active,
 * and flush behind them. */
void conn_set_polite(struct conn *conn);

/* What an error of the system's in the middle of a connection means: the peer reset it, the network lost it, this
 * machine has no memory for it, or something else that only the errno says. */
enum weft_reason conn_reason_of(int32_t os_errno);

/* End in good order: send what is queued, then close.  The first reason stays. */
void conn_close(struct conn *conn, enum weft_reason reason);
/* End now; unsent bytes are lost. */
void conn_abort(struct conn *conn, enum weft_err code, enum weft_reason reason);

/* Abort with this reason unless stopped in time. */
void conn_deadline_start(struct conn *conn, uint64_t delay_ns, enum weft_reason reason);
void conn_deadline_stop(struct conn *conn);

/* The peer must bring something within a time, counted from then; or this end for that reason.  0 is no limit. */
void conn_owed_start(struct conn *conn, uint64_t since_ns, uint64_t limit_ns, enum weft_reason reason);
static inline void conn_owed_stop(struct conn *conn)
{
    conn->owed_limit_ns = 0;
}

const char *conn_state_name(enum conn_state state);

/* Bytes that one operation may move: what a plain loop moves at once, or little enough not to be noticed beside. */
static inline uint32_t conn_share(const struct conn *conn)
{
    const struct weft_shard *shard = conn->net->shard;
    bool beside = conn->polite && shard->now_ns < shard->lively_until_ns;
    return beside ? SHARE_BYTES_BESIDE : SEND_BYTES_MAX;
}

static inline bool conn_is_open(const struct conn *conn)
{
    return conn->state == CONN_OPEN;
}

/* Between the files of the connection. */
void conn_to(struct conn *conn, enum conn_state state);
void conn_opened(struct conn *conn);
void conn_mark_dirty(struct conn *conn);
/* See where small messages can be written from now on. */
void conn_place_look(struct conn *conn);
/* A send was started. */
void conn_watch_send(struct conn *conn);
void conn_flush(struct flush_hook *hook);
void conn_send_done(struct io_op *op, const struct io_event *event);
/* Put what was not accepted of an operation's buffers back to the front of the wire queue, and free the rest. */
void conn_send_account(struct conn *conn, struct io_op *op, uint32_t accepted);
/* So many bytes were accepted: go on sending, or end. */
void conn_sent(struct conn *conn, uint32_t accepted, int32_t result);
/* Send what conn->send holds without a copy; false: it must go in the ordinary way. */
bool conn_zero_copy_start(struct conn *conn, uint32_t bytes);
void conn_zero_copy_cancel(struct conn *conn);
void conn_recv_start(struct conn *conn);
void conn_recv_done(struct io_op *op, const struct io_event *event);
/* A receive ended, or failed. */
void conn_recv_stopped(struct conn *conn, const struct io_event *event);
/* After any event of a receive: arm the next one, or see whether this was the last thing to wait for. */
void conn_recv_next(struct conn *conn, const struct io_event *event);
/* Choose what the next receive is, while once_left is not 0. */
void conn_land_prepare(struct conn *conn);
void conn_handshake(struct conn *conn, struct secure_in *in);
/* Turns of accepted connections to shake hands. */
bool conn_handshake_may_begin(const struct net *net);
bool conn_handshakes_wait(const struct net *net);
void conn_handshake_begin(struct conn *conn, struct secure_factory *factory);
void conn_handshake_next(struct task *task);
void conn_handshake_over(struct conn *conn);
void conn_secure_failed(struct conn *conn);
/* The buffer at the end of `sealed` that has room, or a fresh one; NULL: the shard is out of buffers. */
struct buf *conn_sealed_room(struct conn *conn);
/* Give the last buffer back if nothing was written to it. */
void conn_sealed_trim(struct conn *conn);
/* Queue wire bytes; false: aborted for lack of buffers. */
bool conn_sealed_append(struct conn *conn, struct weft_span bytes);
/* Forget what the user queued and nobody sealed yet. */
void conn_drop_outbox(struct conn *conn);
void conn_drop_output(struct conn *conn);
bool conn_has_output(const struct conn *conn);
void conn_try_reap(struct conn *conn);
void conn_linger(struct conn *conn);

#endif
