/* SPDX-License-Identifier: Apache-2.0 */
/* One shard's share of a node: its connections, calls, TLS context, listeners and links; and calling a peer. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/options.h"
#include "topology/cluster/node.h"

#define NS_PER_MS UINT64_C(1000000)

/* Links of one peer on one shard: control, bulk, then the connections of the normal lane. */
enum { LINK_CONTROL = 0, LINK_BULK = 1, LINK_NORMAL = 2 };

uint32_t node_home_shard(const struct weft_node *node, uint32_t peer)
{
    return (uint32_t)(((uint64_t)peer * UINT64_C(0x9e3779b97f4a7c15)) >> 33) % node->shard_count;
}

static enum weft_err share_open_links(struct node_shard *share, struct weft_error *why)
{
    struct weft_node *node = share->node;
    share->link_begin = calloc(node->peer_count + 1, sizeof *share->link_begin);
    for (uint32_t p = 0; p < node->peer_count; p++) {
        share->link_count += LINK_NORMAL + node->peers[p].connections;
    }
    share->links = calloc(share->link_count + 1, sizeof *share->links);
    if (share->links == NULL || share->link_begin == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u links", share->link_count);
    }
    uint32_t at = 0;
    for (uint32_t p = 0; p < node->peer_count; p++) {
        share->link_begin[p] = at;
        link_init(&share->links[at++], share, p, WEFT_LANE_CONTROL);
        link_init(&share->links[at++], share, p, WEFT_LANE_BULK);
        for (uint32_t i = 0; i < node->peers[p].connections; i++) {
            link_init(&share->links[at++], share, p, WEFT_LANE_NORMAL);
        }
    }
    share->link_begin[node->peer_count] = at;
    return WEFT_OK;
}

static enum weft_err share_open(struct node_shard *share, struct weft_error *why)
{
    const struct settings *settings = &share->node->settings;
    const struct net_options net_options = {
        .conns_max = settings->connections_max,
        .conn_object_bytes = sizeof(struct channel),
        .handshake_timeout_ns = settings->handshake_timeout_ns,
        .socket = {.congestion = settings->tcp_congestion[0] != '\0' ? settings->tcp_congestion : NULL,
                   .nagle = settings->tcp_delay},
    };
    const struct rpc_options rpc_options = {
        .calls_max = settings->calls_max,
        .requests_max = settings->requests_max,
        .verbs = &share->node->verbs,
    };
    if (net_init(&share->net, share->shard, &net_options) != WEFT_OK ||
        rpc_init(&share->rpc, &share->net, &rpc_options) != WEFT_OK) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u connections and %u calls",
                              settings->connections_max, settings->calls_max);
    }
    if (share->node->credentials != NULL) {
        const struct tls_context_options tls_options = {.client_auth = settings->client_auth};
        WEFT_TRY(tls_context_create(&share->tls, share->node->credentials, &tls_options, why));
    }
    return share_open_links(share, why);
}

void node_shard_start(void *ctx, struct weft_shard *shard)
{
    struct node_shard *share = node_shard_of(shard);
    struct weft_node *node = share->node;
    (void)ctx;
    node_accept_start(share);
    for (uint32_t p = 0; p < node->peer_count && node->settings.heartbeat_ns != 0; p++) {
        bool own = address_same_ip(&node->peers[p].addresses[0], &node->settings.listen_address) &&
                   !node->settings.client_only;
        if (node_home_shard(node, p) == shard->index && !own) {
            link_start(&share->links[share->link_begin[p] + LINK_CONTROL]);
        }
    }
    if (node->on_ready != NULL) {
        node->on_ready(node->on_ready_ctx, shard);
    }
}

enum weft_err node_shard_open(void *ctx, struct weft_shard *shard, struct weft_error *why)
{
    struct weft_node *node = ctx;
    struct node_shard *share = &node->shards[shard->index];
    shard->user = share;
    share->node = node;
    share->shard = shard;
    log_init(&share->log, node->settings.log, node->settings.log_ctx, &shard->counters);
    return share_open(share, why);
}

void node_shard_close(void *ctx, struct weft_shard *shard)
{
    struct weft_node *node = ctx;
    struct node_shard *share = &node->shards[shard->index];
    if (share->node == NULL) {
        return;
    }
    if (share->rpc.shard != NULL) {
        rpc_fini(&share->rpc);
    }
    if (share->net.shard != NULL) {
        net_fini(&share->net);
    }
    tls_context_destroy(share->tls);
    free(share->links);
    free(share->link_begin);
    share->node = NULL;
}

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

/* The normal lane takes its connections in turn.  But a call made by the callback of a reply stays on that reply's
 * connection unless the next in turn has less to do: what was answered together is then asked together again, in one
 * send and not in one for each call. */
static struct link *share_link_normal(struct node_shard *share, struct link *links, uint32_t connections)
{
    struct link *next = &links[LINK_NORMAL + share->next_connection++ % connections];
    const struct channel *answering = share->rpc.answering;
    struct link *last = answering != NULL ? answering->owner : NULL;
    if (last == NULL || last->peer_index != next->peer_index || last->lane != WEFT_LANE_NORMAL) {
        return next;
    }
    bool sooner =
        next->state == LINK_IDLE || (next->state == LINK_UP && next->channel->call_count < answering->call_count);
    return sooner ? next : last;
}

/* The link that a call takes. */
static struct link *share_link(struct node_shard *share, uint32_t peer, enum weft_lane lane)
{
    struct link *links = &share->links[share->link_begin[peer]];
    switch (lane) {
    case WEFT_LANE_CONTROL:
        return &links[LINK_CONTROL];
    case WEFT_LANE_BULK:
        return &links[LINK_BULK];
    case WEFT_LANE_NORMAL:
    case WEFT_LANE_COUNT:
        break;
    }
    uint32_t connections = share->node->peers[peer].connections;
    return connections > 1 ? share_link_normal(share, links, connections) : &links[LINK_NORMAL];
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
        .fn = fn,
        .ctx = ctx,
    };
    struct link *link = share_link(share, (uint32_t)to.bits - 1, options->lane);
    return link_call(link, &request, options->wait_for_peer);
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
