/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is being served.  Names its connection by slot and generation, so that an answer that comes after the
 * connection's end finds nobody instead of somebody else. */
#ifndef ENGINE_RPC_SERVE_H
#define ENGINE_RPC_SERVE_H

#include "engine/rpc/channel.h"

/* An answer that found no room yet; serve_owed.c. */
struct owed_answer {
    struct weft_buf *payload; /* referred to; NULL: copied */
    uint8_t *bytes;           /* of the arena; NULL: there was no memory, and that is the answer */
    uint32_t byte_count;
    uint32_t handler_us;
    bool exception;
};

struct serve_hop;

/* Flags of a kept request. */
#define REQUEST_LISTED 1u  /* by its channel, and found by its id */
#define REQUEST_SHARED 2u  /* counts in the share of its source, until its slot is free */
#define REQUEST_COUNTED 4u /* in its channel's request_count, until it is answered */

struct weft_request {
    struct rpc *rpc;
    struct weft_peer_counters *tally;
    struct serve_hop *hop; /* of a guest, on the shard that owns it; else NULL */
    weft_abort_fn *on_abort;
    uint32_t conn_index;
    uint32_t conn_generation;
    int64_t id;
    uint64_t started_ns;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    struct weft_span payload;
    uint32_t index;        /* slot */
    enum weft_err aborted; /* ok: somebody waits for the answer */
    bool answered;         /* and the answer waits for room */
    uint8_t kept;          /* flags: it was not answered when its handler returned */
    uint8_t source;        /* in whose share it counts */
    bool one_way;
    uint32_t chain; /* the next kept one of its hash: index plus one, 0 for none */
    void *abort_ctx;
    struct list_node link; /* of the channel's kept ones, or of its owed ones while the answer waits */
    struct owed_answer owed;
    struct timer deadline; /* armed while there is an on_abort and a deadline */
};

/* Put an answer into the connection's queue.  @return ok | QUEUE_FULL (nothing was put) | CLOSED */
WEFT_NODISCARD enum weft_err serve_put(struct channel *channel, const struct wire_response *response,
                                       struct weft_span first, struct weft_span payload);
WEFT_NODISCARD enum weft_err serve_put_exception(struct channel *channel, int64_t id, enum wire_exception type,
                                                 uint32_t handler_us, struct weft_span data);
WEFT_NODISCARD enum weft_err serve_put_payload(struct channel *channel, int64_t id, uint32_t handler_us,
                                               struct weft_buf *payload);
/* An answer went out, in the account in which its request began. */
void serve_count_answer(struct channel *channel, struct weft_peer_counters *tally, const struct owed_answer *answer);
static inline void serve_measure(struct channel *channel, uint32_t handler_us)
{
    struct weft_shard *shard = channel->rpc->shard;
    metric_run_add(&shard->requests_run[channel->lane], &shard->metrics.handler_us[channel->lane], handler_us);
}
/* The same for an answer that is no failure. */
static inline void serve_count_answered(struct channel *channel, struct weft_peer_counters *tally, uint32_t handler_us)
{
    serve_measure(channel, handler_us);
    TALLY(tally, requests_answered);
}
/* Keep an answer until there is room; the request's end is then its own.  @return ok | NO_MEMORY (it became a failure)
 */
enum weft_err serve_owe(struct channel *channel, struct weft_request *request, const struct owed_answer *answer,
                        struct weft_span payload);
enum weft_err requests_init(struct rpc *rpc);
void requests_fini(struct rpc *rpc);
/* Its handler returned without an answer. */
void request_keep(struct channel *channel, struct weft_request *request);
/* request_share.c: in whose share an address counts; a request begins and ends to count there; has a channel's source
 * all that it may have now?  That is counted. */
uint8_t request_source(const struct rpc *rpc, const struct address *remote);
void request_share_take(struct weft_request *request, uint8_t source);
void request_share_drop(struct weft_request *request);
bool request_over_share(const struct channel *channel);
/* The channel that still waits for this answer; NULL with the reason in err. */
struct channel *request_channel(struct weft_request *request, enum weft_err *err);
enum weft_err request_answer(struct channel *channel, struct weft_request *request, bool exception,
                             struct weft_span payload);
enum weft_err request_end(struct weft_request *request, enum weft_err err);
/* Its handler has no room for it now and did nothing: BUSY, or a failure whose text says so to those that do not know
 * the word.  Ends it. */
enum weft_err request_refuse_busy(struct weft_request *request, const char *text);
/* Have a request that landed here run by the shard that owns it.  @return false: no memory, or the way is full */
bool serve_hop(struct channel *channel, const struct verb *verb, struct weft_request *local, uint32_t owner);
/* There: its answer, or failure. */
enum weft_err serve_guest_answer(weft_request *guest, bool exception, struct weft_span payload);
/* Its caller does not want it any more. */
void request_cancel(struct channel *channel, int64_t id);

#endif
