/* SPDX-License-Identifier: Apache-2.0 */
/* Calling a peer, and what callers can ask of peers. */
#include "engine/base/error.h"
#include "engine/base/options.h"
#include "topology/cluster/call_hop.h"
#include "topology/cluster/node.h"

#define NS_PER_MS UINT64_C(1000000)

/* By a connection of the peer's home shard: on the control lane, and when the peer's connections are used up. */
static enum weft_err share_call_at_home(struct node_shard *share, const struct peer_links *links,
                                        const struct call_route *route, const struct call_request *request,
                                        enum weft_err otherwise)
{
    uint32_t home = node_home_shard(share->node, links->peer_index);
    return home != share->shard->index ? call_hop(share, home, route, request) : otherwise;
}

/* By a connection of this shard that is not the only one it has with the peer, on the normal lane. */
static __attribute__((noinline)) enum weft_err share_call_by(struct node_shard *share, struct peer_links *links,
                                                             const struct call_route *route,
                                                             const struct call_request *request)
{
    struct link *link;
    if (links->id.bits == 0) {
        return WEFT_ERR_NOT_FOUND;
    }
    if (route->lane == WEFT_LANE_CONTROL && node_home_shard(share->node, links->peer_index) != share->shard->index) {
        return share_call_at_home(share, links, route, request, WEFT_OK);
    }
    enum weft_err err = peer_links_take(links, route->lane, route->remote_shard, &link);
    if (WEFT_LIKELY(err == WEFT_OK)) {
        return link_call(link, request);
    }
    return err == WEFT_ERR_QUEUE_FULL ? share_call_at_home(share, links, route, request, err) : err;
}

static enum weft_err share_call_unmet(struct node_shard *share, weft_peer_id to,
                                      const struct weft_call_options *options, struct call_request *request);

/* @param request the caller's part of it; what the options say is filled in here */
static enum weft_err share_call(struct node_shard *share, weft_peer_id to, const struct weft_call_options *options,
                                struct call_request *request)
{
    if (WEFT_UNLIKELY((uint32_t)options->lane >= WEFT_LANE_COUNT || request->verb >= WEFT_VERB_RESERVED)) {
        return WEFT_ERR_INVALID;
    }
    if (WEFT_UNLIKELY(request->args.bytes > WEFT_PAYLOAD_BYTES_MAX)) {
        return WEFT_ERR_TOO_LARGE;
    }
    struct peer_links *links = node_peer_links(share, to);
    if (WEFT_UNLIKELY(links == NULL)) {
        return share_call_unmet(share, to, options, request);
    }
    uint32_t timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : WEFT_CALL_TIMEOUT_MS_DEFAULT;
    request->timeout_ns = timeout_ms * NS_PER_MS;
    request->one_way = options->one_way;
    request->patient = options->wait_for_peer;
    request->id = options->id;
    struct link *sole = peer_links_sole(links);
    if (WEFT_LIKELY(options->lane == WEFT_LANE_NORMAL && options->remote_shard == 0 && sole != NULL)) {
        return link_call(sole, request);
    }
    const struct call_route route = {
        .peer = to, .lane = options->lane, .remote_shard = options->remote_shard - 1, /* 0 becomes SHARD_ANY */
    };
    return share_call_by(share, links, &route, request);
}

/* The peer may have been added a moment ago. */
static __attribute__((noinline)) enum weft_err share_call_unmet(struct node_shard *share, weft_peer_id to,
                                                                const struct weft_call_options *options,
                                                                struct call_request *request)
{
    if (share->node == NULL) { /* the shard has ended */
        return WEFT_ERR_DRAINING;
    }
    return node_meet(share, to) ? share_call(share, to, options, request) : WEFT_ERR_NOT_FOUND;
}

/* The options that were given, or the default ones; or, where they are another version's, what both know. */
static inline enum weft_err call_options(const struct weft_call_options **options, struct weft_call_options *known)
{
    static const struct weft_call_options none = WEFT_CALL_OPTIONS_INIT;
    if (*options == NULL) {
        *options = &none;
    } else if (WEFT_UNLIKELY((*options)->size != sizeof none)) {
        WEFT_TRY(options_take(known, sizeof *known, *options, "struct weft_call_options", NULL));
        *options = known;
    }
    return WEFT_OK;
}

static __attribute__((noinline)) enum weft_err call_in_general(weft_shard *shard, weft_peer_id to, uint64_t verb,
                                                               struct weft_span args,
                                                               const struct weft_call_options *options,
                                                               weft_reply_fn *fn, void *ctx)
{
    struct weft_call_options known;
    struct call_request request = {.verb = verb, .args = args, .fn = fn, .ctx = ctx};
    if (shard == NULL) {
        return WEFT_ERR_INVALID;
    }
    WEFT_TRY(call_options(&options, &known));
    return share_call(node_shard_of(shard), to, options, &request);
}

/* A small call on the normal lane, by a connection that is up and the only one to ask.  @return false: it is none */
static WEFT_INLINE bool call_at_once(struct node_shard *share, weft_peer_id to, uint64_t verb, struct weft_span args,
                                     const struct weft_call_options *options, weft_reply_fn *fn, void *ctx)
{
    struct peer_links *links = node_peer_links(share, to);
    struct link *sole = WEFT_LIKELY(links != NULL) ? peer_links_sole(links) : NULL;
    if (WEFT_UNLIKELY(sole == NULL || sole->state != LINK_UP || verb >= WEFT_VERB_RESERVED)) {
        return false;
    }
    sole->used = true;
    if (options == NULL) {
        return call_send_at_once(sole->channel, verb, args, WEFT_CALL_TIMEOUT_MS_DEFAULT, false, fn, ctx, NULL);
    }
    if (WEFT_UNLIKELY(options->size != sizeof *options || options->lane != WEFT_LANE_NORMAL ||
                      options->remote_shard != 0)) {
        return false;
    }
    uint32_t timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : WEFT_CALL_TIMEOUT_MS_DEFAULT;
    return call_send_at_once(sole->channel, verb, args, timeout_ms, options->one_way, fn, ctx, options->id);
}

enum weft_err weft_call(weft_shard *shard, weft_peer_id to, uint64_t verb, struct weft_span args,
                        const struct weft_call_options *options, weft_reply_fn *fn, void *ctx)
{
    if (WEFT_LIKELY(shard != NULL && call_at_once(node_shard_of(shard), to, verb, args, options, fn, ctx))) {
        return WEFT_OK;
    }
    return call_in_general(shard, to, verb, args, options, fn, ctx);
}

enum weft_err weft_call_buf(weft_shard *shard, weft_peer_id to, uint64_t verb, weft_buf *args,
                            const struct weft_call_options *options, weft_reply_fn *fn, void *ctx)
{
    struct weft_call_options known;
    if (shard == NULL || args == NULL || args->pool != &shard->payloads) {
        return WEFT_ERR_INVALID;
    }
    struct call_request request = {
        .verb = verb,
        .args = {args->data, args->bytes},
        .payload = args->bytes >= WEFT_BUF_REFERENCE_BYTES_MIN ? args : NULL,
        .fn = fn,
        .ctx = ctx,
    };
    WEFT_TRY(call_options(&options, &known));
    WEFT_TRY(share_call(node_shard_of(shard), to, options, &request));
    weft_buf_unref(args);
    return WEFT_OK;
}

weft_peer_id weft_peer_find(const weft_shard *shard, const char *text)
{
    const struct node_shard *share = shard != NULL ? shard->user : NULL;
    return weft_node_peer_find(share != NULL ? share->node : NULL, text);
}

uint32_t weft_peer_shards(const weft_shard *shard, weft_peer_id peer)
{
    const struct node_shard *share = shard != NULL ? shard->user : NULL;
    uint32_t slot = peer_slot_of(peer);
    if (share == NULL || share->node == NULL || slot >= share->node->settings.peers_max ||
        atomic_load(&share->node->shared[slot].id) != peer.bits) {
        return 0;
    }
    return atomic_load_explicit(&share->node->shared[slot].shards, memory_order_relaxed);
}

enum weft_err weft_cancel(weft_shard *shard, weft_call_id id)
{
    struct node_shard *share = shard != NULL ? node_shard_of(shard) : NULL;
    if (share == NULL) {
        return WEFT_ERR_INVALID;
    }
    shard_check_thread(shard);
    if (share->node == NULL) { /* the shard has ended, and every call with it */
        return WEFT_ERR_NOT_FOUND;
    }
    void *hop = call_lent_to(&share->rpc, id);
    if (hop != NULL) {
        call_hop_cancel(share, hop);
    }
    return call_cancel(&share->rpc, id);
}
