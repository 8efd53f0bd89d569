/* SPDX-License-Identifier: Apache-2.0 */
/* A call: from the moment it was accepted until its callback ran, exactly once.
 *
 * It waits in an owner's list until a channel is up, is then sent, and ends by a reply, an exception, its deadline, a
 * cancellation or the end of the channel.  The id on the wire names slot and generation, so a late or foreign reply
 * finds nobody. */
#ifndef ENGINE_RPC_CALL_H
#define ENGINE_RPC_CALL_H

#include "engine/rpc/channel.h"

#define NS_PER_MS UINT64_C(1000000)

struct call {
    struct list_node link; /* of the waiting list, or of the channel's calls or one-ways */
    struct rpc *rpc;
    struct weft_peer_counters *tally;
    struct channel *channel; /* NULL while waiting */
    weft_reply_fn *fn;       /* NULL: nobody wants to know */
    void *ctx;
    uint64_t begin; /* where in the connection's stream the request stands */
    uint64_t end;
    uint64_t started_ns;
    uint64_t deadline_ns;
    uint32_t index;
    uint32_t generation;
    bool one_way;
    bool patient;
    bool cancelled; /* it has ended, and its callback comes from a task */
    bool apart;     /* not sent at once by the shard that it was made on: what follows holds */
    bool lent;      /* another shard carries it out, or did; false in a free slot, as the next three are NULL */
    void *away;     /* what it was lent to, while another shard has that; else NULL */
    uint8_t *args;  /* of a waiting call */
    struct weft_buf *payload; /* of a waiting call: its arguments, instead of args */
    uint32_t args_bytes;
    enum weft_executed executed; /* of a cancelled call */
    uint64_t verb;               /* of a waiting call */
};

struct call_request {
    uint64_t verb;
    struct weft_span args;
    struct weft_buf *payload; /* not NULL: the arguments, by reference; on success it has one reference more */
    uint64_t timeout_ns;
    bool one_way;
    bool patient; /* while it waits, it outlives attempts to reach the peer */
    weft_reply_fn *fn;
    void *ctx;
    weft_call_id *id; /* given iff the call is started; may be NULL */
};

/* Send a call with small arguments on a channel that is up, where there is a place for it; call_send knows more.
 *  @return false: it is not as simple as that, and nothing happened */
static WEFT_INLINE bool call_send_at_once(struct channel *channel, uint64_t verb, struct weft_span args,
                                          uint32_t timeout_ms, bool one_way, weft_reply_fn *fn, void *ctx,
                                          weft_call_id *id);
/* Send on a channel that is up.
 *  @return ok | QUEUE_FULL (slots or send queue) | CLOSED | TIMEOUT (under a millisecond: the wire cannot say it) */
WEFT_NODISCARD enum weft_err call_send(struct channel *channel, const struct call_request *request);
/* Keep until call_send_waiting.  @return ok | QUEUE_FULL | NO_MEMORY (no room for the arguments) */
WEFT_NODISCARD enum weft_err call_wait(struct rpc *rpc, struct weft_peer_counters *tally, struct list *waiting,
                                       const struct call_request *request);
/* Send what waits, in order.  @return false if one found no room: it and those behind it go on waiting */
WEFT_NODISCARD bool call_send_waiting(struct list *waiting, struct channel *channel);
/* Fail what waits: none of it was executed. */
void call_fail_waiting(struct list *waiting, const struct weft_error *why);
/* The same, but for the patient ones. */
void call_fail_impatient(struct list *waiting, const struct weft_error *why);
/* A call that another shard carries out, by its slot and generation.  @return ok | QUEUE_FULL */
WEFT_NODISCARD enum weft_err call_lend(struct rpc *rpc, const struct call_request *request, void *to, uint32_t *index,
                                       uint32_t *generation);
/* What it was lent to; NULL: there is no such call, or it is not away, or was cancelled. */
void *call_lent_to(struct rpc *rpc, weft_call_id id);
/* It was not sent there after all: it was never made. */
void call_lend_undo(struct rpc *rpc, uint32_t index, uint32_t generation);
/* What it was lent to is back without an end, since the deadline passed there: it will pass here too. */
void call_lend_back(struct rpc *rpc, uint32_t index, uint32_t generation);
/* The end that the other shard brought about, which is copied; too late if the call has ended by its deadline. */
void call_lend_end(struct rpc *rpc, uint32_t index, uint32_t generation, const struct weft_reply *reply);
/* Bytes were handed to the network: one-ways that were among them are done. */
void call_handed(struct channel *channel);

/* End a call before its time.  Its callback runs from a task.  @return ok | NOT_FOUND: it has ended, or never was */
WEFT_NODISCARD enum weft_err call_cancel(struct rpc *rpc, weft_call_id id);
void call_cancel_init(struct rpc *rpc);
/* Of the requests that are queued and not handed over, keep those whose calls still wait. */
void call_prune(struct channel *channel);

/* Between the files of the call. */
/* The id on the wire: generation above, slot below. */
#define CALL_INDEX_BITS 20u

static inline int64_t call_id(const struct call *call)
{
    return (int64_t)((uint64_t)call->generation << CALL_INDEX_BITS | call->index);
}

/* The call that has this id; NULL: nobody any more. */
static inline struct call *call_find(const struct rpc *rpc, int64_t id)
{
    uint64_t bits = (uint64_t)id;
    if (WEFT_UNLIKELY(bits >> CALL_INDEX_BITS > UINT32_MAX)) {
        return NULL;
    }
    return slots_find(&rpc->calls, (uint32_t)(bits & ((1u << CALL_INDEX_BITS) - 1)),
                      (uint32_t)(bits >> CALL_INDEX_BITS));
}

/* The call has ended, and not all of its request was handed over. */
void call_leave_queued(struct call *call);
/* The call has ended: the channel that it was sent on forgets it. */
static inline void call_leave(struct call *call)
{
    struct channel *channel = call->channel;
    list_remove(&call->link);
    channel->call_count--;
    if (WEFT_UNLIKELY(call->end > channel->conn.handed_total)) {
        call_leave_queued(call);
    }
    call->channel = NULL;
}

/* Whether the peer can have run it if it ends now. */
enum weft_executed call_executed(const struct call *call);
weft_call_id call_handle(const struct call *call);
/* What calls hold that were not sent at once, so that the slot is as those are. */
void call_drop_apart(struct call *call);
/* call_end, out of line. */
void call_finish(struct call *call, enum weft_err err, const struct weft_reply *reply);
void call_fail(struct call *call, const struct weft_error *why, enum weft_executed executed);
/* The same for an end that is counted otherwise. */
void call_tell_failed(struct call *call, const struct weft_error *why, enum weft_executed executed);
void call_expire(struct call *call);
void call_deadline_arm(struct call *call);

/* Have the call expire at its deadline_ns: by the timer that its slot has, if that fires early enough. */
static inline void call_deadline_start(struct call *call)
{
    const struct timer *timer = &call->rpc->deadlines[call->index];
    if (WEFT_UNLIKELY(!timer_armed(timer) || timer->deadline_ns > call->deadline_ns)) {
        call_deadline_arm(call);
    }
}

/* A slot for a call that begins now; NULL: all are in use. */
static WEFT_INLINE struct call *call_take(struct rpc *rpc, struct weft_peer_counters *tally, uint64_t timeout_ns,
                                          bool one_way, weft_reply_fn *fn, void *ctx)
{
    uint32_t index;
    uint32_t generation;
    struct call *call = slots_take(&rpc->calls, &index, &generation);
    if (WEFT_UNLIKELY(call == NULL)) {
        return NULL;
    }
    call->rpc = rpc;
    call->tally = tally;
    call->fn = fn;
    call->ctx = ctx;
    call->started_ns = rpc->shard->now_ns;
    call->deadline_ns = call->started_ns + timeout_ns;
    call->index = index;
    call->generation = generation;
    call->one_way = one_way;
    call->cancelled = false;
    call->apart = false;
    call_deadline_start(call);
    TALLY(tally, calls_started);
    return call;
}

/* Its request stands in the channel's stream, from `begin` on. */
static inline void call_sent(struct call *call, struct channel *channel, uint64_t begin)
{
    call->begin = begin;
    call->end = channel->conn.queued_total;
    call->channel = channel;
    channel->call_count++;
    list_push_back(call->one_way ? &channel->one_ways : &channel->calls, &call->link);
}

static WEFT_INLINE bool call_send_at_once(struct channel *channel, uint64_t verb, struct weft_span args,
                                          uint32_t timeout_ms, bool one_way, weft_reply_fn *fn, void *ctx,
                                          weft_call_id *id)
{
    struct conn *conn = &channel->conn;
    uint32_t bytes = wire_request_bytes(channel->timeout_negotiated);
    struct buf *place = args.bytes <= SEND_BUF_BYTES ? conn_send_place(conn, bytes + args.bytes) : NULL;
    if (WEFT_UNLIKELY(place == NULL)) {
        return false;
    }
    struct call *call = call_take(channel->rpc, channel->tally, timeout_ms * NS_PER_MS, one_way, fn, ctx);
    if (WEFT_UNLIKELY(call == NULL)) {
        return false;
    }
    const struct wire_request wire = {timeout_ms, verb, call_id(call)};
    uint8_t *to = place->data + place->end;
    wire_request_write(to, channel->timeout_negotiated, &wire, args.bytes);
    bytes_copy(to + bytes, args.data, args.bytes);
    uint64_t begin = conn->queued_total;
    conn_send_placed(conn, bytes + args.bytes);
    list_node_init(&call->link);
    call_sent(call, channel, begin);
    if (WEFT_UNLIKELY(id != NULL)) {
        *id = call_handle(call);
    }
    return true;
}

/* Ends the call: its slot is free before the callback runs, so that the callback can call again. */
static WEFT_INLINE void call_end(struct call *call, enum weft_err err, const struct weft_reply *reply)
{
    weft_reply_fn *fn = call->fn;
    void *ctx = call->ctx;
    if (WEFT_UNLIKELY(call->apart)) {
        call_drop_apart(call);
    }
    if (WEFT_LIKELY(call->channel != NULL)) {
        call_leave(call);
    } else {
        list_remove(&call->link);
    }
    slots_give_back_at(&call->rpc->calls, call, call->index);
    if (WEFT_LIKELY(fn != NULL)) {
        fn(ctx, err, reply);
    }
}

#endif
