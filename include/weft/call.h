/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  Calls between nodes: asking a peer, and answering one.
 *
 *  A call ends exactly once if it was started: with a reply, or with an error that says whether the
 *  peer can have run it.  Callbacks run on the shard that made the call, never from inside it.
 */
#ifndef WEFT_CALL_H
#define WEFT_CALL_H

#include <weft/buf.h>
#include <weft/defs.h>
#include <weft/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest payload of a call or a reply, in bytes. */
#define WEFT_PAYLOAD_BYTES_MAX (16u * 1024 * 1024)
/** Verbs from here up belong to weft itself. */
#define WEFT_VERB_RESERVED (UINT64_C(1) << 63)
/** Timeout of a call that names none, in milliseconds. */
#define WEFT_CALL_TIMEOUT_MS_DEFAULT 10000u

/** Traffic classes: each has connections of its own, so that none delays another. */
enum weft_lane { WEFT_LANE_NORMAL = 0, WEFT_LANE_CONTROL = 1, WEFT_LANE_BULK = 2, WEFT_LANE_COUNT = 3 };

/** Whether the peer can have run a call that failed. */
enum weft_executed {
    WEFT_EXECUTED_NO = 0,    /**< certainly not: it never left, or the peer said so; a retry is safe */
    WEFT_EXECUTED_MAYBE = 1, /**< it was handed to the network and the answer is lost */
    WEFT_EXECUTED_YES = 2    /**< the peer answered */
};

/** How a call ended.  In C++ it is always `struct weft_reply`, since weft_reply alone is the function. */
struct weft_reply {
    struct weft_span payload; /**< borrowed: valid until the callback returns */
    struct weft_error error;  /**< code 0 on success */
    enum weft_executed executed;
    uint32_t handler_us; /**< what the peer measured, microseconds; UINT32_MAX: it did not */
};

/** Receives the end of a call.  @param reply borrowed until return */
typedef void weft_reply_fn(void *ctx, enum weft_err err, const struct weft_reply *reply);

/** Options of one call.  Zero means the default. */
struct weft_call_options {
    size_t size;           /**< sizeof this struct; set by WEFT_CALL_OPTIONS_INIT */
    uint32_t timeout_ms;   /**< 0: WEFT_CALL_TIMEOUT_MS_DEFAULT */
    enum weft_lane lane;   /**< 0: normal */
    bool one_way;          /**< no reply is expected; the callback says whether it was handed to the network */
    bool wait_for_peer;    /**< while the peer is down, wait for it until the timeout instead of failing at once */
    uint32_t remote_shard; /**< the shard of the peer that is to serve it, plus 1; 0: any.  Of use on the normal lane,
                                once the peer has said how many shards it has (weft_peer_shards) */
    weft_call_id *id;      /**< given iff the call was started; what weft_cancel takes; NULL: not wanted.  Not given to
                                foreign threads */
};
#define WEFT_CALL_OPTIONS_INIT WEFT_INIT(struct weft_call_options)

/** Call a verb of a peer.
 *  @param to       from weft_peer_find or weft_node_peer_add
 *  @param args     0..WEFT_PAYLOAD_BYTES_MAX bytes; borrowed and copied
 *  @param options  borrowed; NULL for defaults
 *  @param fn       called exactly once if this returned ok, never if it failed; NULL: nobody is told
 *  @return ok | QUEUE_FULL (wait for replies; also where a call that must wait for its connection finds no memory, and
 *          where every connection that the peer may have is in use) | UNREACHABLE (the peer is down; see wait_for_peer)
 * | TOO_LARGE (the callback may say so too: what the peer can never hold) | NOT_FOUND (no such peer, or it has no such
 * shard) | INVALID (a reserved verb, a foreign size, NULL) | TOO_NEW | DRAINING
 *  @shard owner (asserted)   @allocates never   @calls_back never from inside */
WEFT_API WEFT_NODISCARD enum weft_err weft_call(weft_shard *shard, weft_peer_id to, uint64_t verb,
                                                struct weft_span args, const struct weft_call_options *options,
                                                weft_reply_fn *fn, void *ctx);

/** The same with arguments by reference: from WEFT_BUF_REFERENCE_BYTES_MIN bytes on they are not copied.
 *  @param args     taken if this returned ok, still the caller's if not; of the same shard
 *  @return as weft_call; INVALID also for a buffer of another shard; QUEUE_FULL also when the shard has as many bytes
 * by reference under way as it may
 *  @shard owner (asserted)   @allocates never   @calls_back never from inside, but args may be released */
WEFT_API WEFT_NODISCARD enum weft_err weft_call_buf(weft_shard *shard, weft_peer_id to, uint64_t verb,
                                                    WEFT_TAKE weft_buf *args, const struct weft_call_options *options,
                                                    weft_reply_fn *fn, void *ctx);

/** Take over the payload of a reply, to keep it beyond the callback.  A payload that was received in several pieces
 *  is handed over as it is, any other is copied.
 *  @param reply the one that the callback was given, not a copy of it
 *  @return given; NULL: no memory for it now, nothing in it, or NULL   @shard owner   @allocates never */
WEFT_API WEFT_NODISCARD WEFT_GIVE weft_buf *weft_reply_take_payload(const struct weft_reply *reply);
/** End a call before its time.  Its callback runs soon, once, with CANCELLED and `executed` no or maybe; a request
 *  that has not left yet never leaves, and a peer that speaks weft is told to stop (see weft_request_on_abort).
 *  @param id from weft_call_options
 *  @return ok | NOT_FOUND (it has ended or was cancelled already, or is another shard's) | INVALID (NULL)
 *  @shard owner   @allocates never   @calls_back never from inside */
WEFT_API WEFT_NODISCARD enum weft_err weft_cancel(weft_shard *shard, weft_call_id id);

/** Runs for each request of a verb, on the shard that owns it: the one where it landed, unless weft_node_shard_of or
 * the caller's remote_shard says otherwise.  Answer with weft_reply or weft_fail: exactly once, now or in a later turn
 * of the same shard.  A one-way request is answered too, which ends it and sends nothing. */
typedef void weft_handler_fn(void *ctx, weft_request *request);

/** Says which shard owns a request: any number, of which the remainder by the number of shards counts.  Runs on the
 *  shard where the request landed, on several at a time: it reads the payload and what never changes. */
typedef uint32_t weft_shard_of_fn(void *ctx, struct weft_span payload);

/** The payload of a request.  @return borrowed: valid until the handler returns   @param request not NULL
 *  @shard owner */
WEFT_API struct weft_span weft_request_payload(const weft_request *request);

/** Take over the payload of a request, to keep it beyond the handler.  A payload that was received in several pieces is
 *  handed over as it is, any other is copied.  Only before the handler returns.
 *  @return given; NULL: no memory for it now, or nothing in it   @shard owner   @allocates never */
WEFT_API WEFT_NODISCARD WEFT_GIVE weft_buf *weft_request_take_payload(weft_request *request);

/** The shard that runs a request.  @return borrowed; NULL for NULL   @shard owner */
WEFT_API weft_shard *weft_request_shard(const weft_request *request);

/** Nanoseconds left until the caller gives up, UINT64_MAX if it named no timeout; 0 for NULL.  @shard owner */
WEFT_API uint64_t weft_request_remaining_ns(const weft_request *request);

/** Runs once when nobody waits for an answer any more: the caller's connection ended (CLOSED), the caller
 *  cancelled (CANCELLED), or its deadline passed (EXPIRED).  The request is still to be ended. */
typedef void weft_abort_fn(void *ctx, weft_request *request, enum weft_err why);

/** Be told when work on a request became useless.  Once at most, and never after its end.
 *  @param fn runs on the owner shard; replaces an earlier one; NULL: none
 *  @return ok | CLOSED, CANCELLED or EXPIRED: nobody waits already, and fn will not run | INVALID (NULL)
 *  @shard owner   @allocates never   @calls_back never from inside */
WEFT_API WEFT_NODISCARD enum weft_err weft_request_on_abort(weft_request *request, weft_abort_fn *fn, void *ctx);

/** Whether anybody still waits for the answer.  @return ok: yes | CLOSED, CANCELLED or EXPIRED: no | INVALID (NULL)
 *  @shard owner */
WEFT_API WEFT_NODISCARD enum weft_err weft_request_aborted(const weft_request *request);

/** Answer a request and end it.  An answer for which the connection's queue has no room waits for it.
 *  @param request taken in every case but INVALID   @param payload borrowed and copied
 *  @return ok | INVALID (NULL) | CLOSED (the connection is gone) | CANCELLED or EXPIRED (the caller gave up; nothing is
 * sent) | TOO_LARGE (the caller gets a failure) | NO_MEMORY (none to wait in; the caller gets a failure)
 *  @shard owner   @allocates never */
WEFT_API enum weft_err weft_reply(WEFT_TAKE weft_request *request, struct weft_span payload);

/** Answer a request by reference: from WEFT_BUF_REFERENCE_BYTES_MIN bytes on they are not copied.
 *  @param request taken in every case but INVALID   @param payload taken if this returned ok, still the caller's if not
 *  @return as weft_reply; INVALID also for a buffer of another shard   @shard owner   @allocates never */
WEFT_API WEFT_NODISCARD enum weft_err weft_reply_buf(WEFT_TAKE weft_request *request, WEFT_TAKE weft_buf *payload);

/** Fail a request and end it; the caller gets WEFT_ERR_REMOTE with this text.
 *  @param request taken in every case but INVALID   @param text borrowed, cut at 255 bytes; NULL: ""
 *  @return as weft_reply   @shard owner   @allocates never */
WEFT_API enum weft_err weft_fail(WEFT_TAKE weft_request *request, const char *text);

/** "no", "maybe" or "yes".  @return a constant string   @shard any */
WEFT_API const char *weft_executed_name(enum weft_executed executed);

/** "normal", "control" or "bulk".  @return a constant string   @shard any */
WEFT_API const char *weft_lane_name(enum weft_lane lane);

#ifdef __cplusplus
}
#endif

#endif
