/* SPDX-License-Identifier: Apache-2.0 */
/* Calling a peer, and what callers can ask of peers. */
#include "engine/base/error.h"
#include "engine/base/options.h"
#include "topology/cluster/call_hop.h"
#include "topology/cluster/node.h"

#define NS_PER_MS UINT64_C(1000000)

static enum weft_err call_check(const struct weft_call_options *options, uint64_t verb, struct weft_span args)
{
    if ((uint32_t)options->lane >= WEFT_LANE_COUNT) {
        return WEFT_ERR_INVALID;
    }
    if (verb >= WEFT_VERB_RESERVED) {
        return WEFT_ERR_INVALID;
    }
    if (args.bytes > WEFT_PAYLOAD_BYTES_MAX) {
        return WEFT_ERR_TOO_LARGE;
    }
    return WEFT_OK;
}

/* By a connection of this shard; by the home shard's where this one has none: on the control lane, and when the peer's
 * connections are used up. */
static inline enum weft_err share_call_by(struct node_shard *share, const struct call_route *route,
                                          const struct call_request *request)
{
    struct link *link;
    uint32_t home = node_home_shard(share->node, route->peer_index);
    bool at_home = home == share->shard->index;
    if (WEFT_UNLIKELY(route->lane == WEFT_LANE_CONTROL && !at_home)) {
        return call_hop(share, home, route, request);
    }
    enum weft_err err = peer_links_take(share->peers[route->peer_index], route->lane, route->remote_shard, &link);
    if (WEFT_LIKELY(err == WEFT_OK)) {
        return link_call(link, request);
    }
    return err == WEFT_ERR_QUEUE_FULL && !at_home ? call_hop(share, home, route, request) : err;
}

/* args, or by reference payload if that is not NULL. */
static inline enum weft_err share_call(struct node_shard *share, weft_peer_id to, uint64_t verb, struct weft_span args,
                                       struct weft_buf *payload, const struct weft_call_options *options,
                                       weft_reply_fn *fn, void *ctx)
{
    struct weft_call_options known = WEFT_CALL_OPTIONS_INIT;
    if (options == NULL) {
        options = &known;
    } else if (WEFT_UNLIKELY(options->size != sizeof known)) { /* another version's: copy what both know */
        WEFT_TRY(options_take(&known, sizeof known, options, "struct weft_call_options", NULL));
        options = &known;
    }
    WEFT_TRY(call_check(options, verb, args));
    if (to.bits == 0 || to.bits > share->node->peer_count) {
        return WEFT_ERR_NOT_FOUND;
    }
    const struct call_request request = {
        .verb = verb,
        .args = args,
        .payload = payload,
        .timeout_ns = (options->timeout_ms != 0 ? options->timeout_ms : WEFT_CALL_TIMEOUT_MS_DEFAULT) * NS_PER_MS,
        .one_way = options->one_way,
        .patient = options->wait_for_peer,
        .fn = fn,
        .ctx = ctx,
        .id = options->id,
    };
    const struct call_route route = {
        .peer_index = (uint32_t)to.bits - 1,
        .lane = options->lane,
        .remote_shard = options->remote_shard - 1, /* 0 becomes SHARD_ANY */
    };
    return share_call_by(share, &route, &request);
}

enum weft_err weft_call(weft_shard *shard, weft_peer_id to, uint64_t verb, struct weft_span args,
                        const struct weft_call_options *options, weft_reply_fn *fn, void *ctx)
{
    return share_call(node_shard_of(shard), to, verb, args, NULL, options, fn, ctx);
}

enum weft_err weft_call_buf(weft_shard *shard, weft_peer_id to, uint64_t verb, weft_buf *args,
                            const struct weft_call_options *options, weft_reply_fn *fn, void *ctx)
{
    const struct weft_span bytes = {args->data, args->bytes};
    struct weft_buf *payload = args->bytes >= WEFT_BUF_REFERENCE_BYTES_MIN ? args : NULL;
    WEFT_ASSERT(args->pool == &shard->payloads);
    WEFT_TRY(share_call(node_shard_of(shard), to, verb, bytes, payload, options, fn, ctx));
    weft_buf_unref(args);
    return WEFT_OK;
}

weft_peer_id weft_peer_find(const weft_shard *shard, const char *text)
{
    const struct node_shard *share = shard->user;
    struct address address;
    if (address_parse(&address, text, 0) == WEFT_OK) {
        for (uint32_t p = 0; p < share->node->peer_count; p++) {
            if (peer_has_address(&share->node->peers[p], &address)) {
                return (weft_peer_id){p + 1};
            }
        }
    }
    return (weft_peer_id){0};
}

uint32_t weft_peer_shards(const weft_shard *shard, weft_peer_id peer)
{
    const struct node_shard *share = shard->user;
    if (peer.bits == 0 || peer.bits > share->node->peer_count) {
        return 0;
    }
    return atomic_load_explicit(&share->node->shared[peer.bits - 1].shards, memory_order_relaxed);
}

enum weft_err weft_cancel(weft_shard *shard, weft_call_id id)
{
    struct node_shard *share = node_shard_of(shard);
    void *hop = call_lent_to(&share->rpc, id);
    if (hop != NULL) {
        call_hop_cancel(share, hop);
    }
    return call_cancel(&share->rpc, id);
}
