/* SPDX-License-Identifier: Apache-2.0 */
/* One shard's share of a node: its connections, calls, TLS context, listeners and links. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "topology/cluster/node.h"

/* Of a peer with all shards, what a node of 64 shards needs at most: one connection per shard and lane, and some. */
#define CONNECTIONS_PER_PEER_DEFAULT 256u

uint32_t node_home_shard(const struct weft_node *node, uint32_t peer)
{
    return shard_map_home(peer, node->shard_count);
}

uint32_t node_connections_max(const struct node_shard *share, uint32_t peer)
{
    const struct weft_node *node = share->node;
    if (node->settings.connections_per_peer_max != 0) {
        return node->settings.connections_per_peer_max;
    }
    /* What was configured for the peer on purpose, and a bulk connection of each shard, must fit. */
    uint32_t configured = node->shard_count * (share->topology->peers[peer].connections + 1u) + 1;
    return configured > CONNECTIONS_PER_PEER_DEFAULT ? configured : CONNECTIONS_PER_PEER_DEFAULT;
}

struct link *node_shard_next_link(struct node_shard *share, uint32_t *index)
{
    struct link *link = slots_next_in_use(&share->links, *index);
    if (link != NULL) {
        *index = slots_index_of(&share->links, link) + 1;
    }
    return link;
}

/* A link that backs off has no connection, so there can be more links than connections: one of each lane for all. */
static uint32_t share_links_max(const struct weft_node *node)
{
    uint32_t most = node->settings.connections_max + node->settings.peers_max * WEFT_LANE_COUNT;
    return most < SLOTS_COUNT_MAX ? most : SLOTS_COUNT_MAX;
}

static enum weft_err share_open_links(struct node_shard *share, struct weft_error *why)
{
    struct weft_node *node = share->node;
    uint32_t most = share_links_max(node);
    uint32_t slots = 1;
    while (slots <= node->settings.peers_max) {
        slots *= 2;
    }
    share->peers_mask = slots - 1;
    share->peers = mapping_make(node->allocator, slots * sizeof *share->peers);
    enum weft_err err = share->peers != NULL ? slots_init(&share->links, node->allocator, most, sizeof(struct link))
                                             : WEFT_ERR_NO_MEMORY;
    if (err != WEFT_OK) {
        return weft_error_set(why, err, "no memory for %u links", most);
    }
    node_adopt_first(share);
    return WEFT_OK;
}

static enum weft_err share_open(struct node_shard *share, struct weft_error *why)
{
    const struct settings *settings = &share->node->settings;
    const struct net_options net_options = {
        .conns_max = settings->connections_max,
        .conn_object_bytes = sizeof(struct channel),
        .secure = node_uses_tls(share->node),
        .handshake_timeout_ns = settings->handshake_timeout_ns,
        .frame_timeout_ns = settings->frame_timeout_ns,
        .send_timeout_ns = settings->send_timeout_ns,
        .first_timeout_ns = settings->first_request_timeout_ns,
        .handshakes_max = HANDSHAKES_MAX,
        .socket =
            {
                .congestion = settings->tcp_congestion[0] != '\0' ? settings->tcp_congestion : NULL,
                .nagle = settings->tcp_delay,
                .unsent_bytes_max = settings->tcp_unsent_bytes_max,
                .user_timeout_ms = settings->tcp_user_timeout_ms,
                .keepalive_idle_s = settings->tcp_keepalive_idle_s,
                .keepalive_interval_s = settings->tcp_keepalive_interval_s,
                .keepalive_count = settings->tcp_keepalive_count,
            },
        .zero_copy = settings->send_zerocopy,
        .allocator = share->node->allocator,
    };
    const struct rpc_options rpc_options = {
        .calls_max = settings->calls_max,
        .requests_max = settings->requests_max,
        .verbs = &share->node->verbs,
        .tally = node_tally(share->node, share->shard->index, 0, WEFT_LANE_NORMAL),
        .authorizes = share->node->authorize != NULL,
    };
    if (net_init(&share->net, share->shard, &net_options) != WEFT_OK ||
        rpc_init(&share->rpc, &share->net, &rpc_options) != WEFT_OK) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u connections and %u calls",
                              settings->connections_max, settings->calls_max);
    }
    if (share->node->credentials != NULL) {
        struct tls_context *context;
        WEFT_TRY(node_make_context(share->node, share->node->credentials, &context, why));
        tls_contexts_open(&share->tls, context);
        share->factory = &share->tls.factory;
    }
    if (share->node->hosted && share->node->shard_count > 1) {
        share->stand_ins = heap_make(share->node->allocator, share->node->shard_count * sizeof *share->stand_ins);
        if (share->stand_ins == NULL) {
            return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u listeners", share->node->shard_count);
        }
    }
    return share_open_links(share, why);
}

void node_shard_start(void *ctx, struct weft_shard *shard)
{
    struct node_shard *share = node_shard_of(shard);
    struct weft_node *node = share->node;
    (void)ctx;
    node_ports_adopt(share);
    node_stand_in_start(share);
    node_expiry_watch(share);
    share->begun = true;
    node_adopt(share);
    for (uint32_t p = 0; p < share->topology->slot_count; p++) {
        if (share->peers[p + 1].id.bits != 0 && !share->peers[p + 1].greeted) {
            node_greet(share, p);
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
    list_init(&share->carried);
    log_init(&share->log, node->settings.log, node->settings.log_ctx, &shard->counters);
    return share_open(share, why);
}

/* Where a call that comes after the end looks for its peer: there is none. */
static const struct peer_links ended_links = {.id = {UINT64_MAX}};

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
    node_credentials_end(share);
    slots_fini(&share->links);
    node_adopt_end(share);
    mapping_drop(node->allocator, share->peers, ((uint64_t)share->peers_mask + 1) * sizeof *share->peers);
    heap_drop(node->allocator, share->stand_ins, node->shard_count * sizeof *share->stand_ins);
    share->peers = (struct peer_links *)(uintptr_t)&ended_links; /* only ever compared */
    share->peers_mask = 0;
    share->node = NULL;
}
