/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/probe.h"

#include <stdlib.h>
#include <string.h>

#define PROBE_VERB 2 /* ECHO */
#define PROBE_TIMEOUT_MS 1000

enum weft_err prober_create(struct prober **out, uint64_t interval_ns, const uint8_t marker[PROBE_MARKER_BYTES])
{
    struct prober *prober = calloc(1, sizeof *prober);
    if (prober == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    prober->interval_ns = interval_ns;
    for (uint32_t i = 0; i < WEFT_PEERS_MAX; i++) {
        prober->probes[i].prober = prober;
    }
    for (uint32_t at = 0; at < PROBE_PAYLOAD_BYTES; at += PROBE_MARKER_BYTES) {
        memcpy(prober->payload + at, marker, PROBE_MARKER_BYTES);
    }
    *out = prober;
    return WEFT_OK;
}

static const struct probe *probe_find(const struct prober *prober, uint64_t peer)
{
    for (uint32_t i = 0; i < WEFT_PEERS_MAX; i++) {
        if (atomic_load(&prober->probes[i].peer) == peer) {
            return &prober->probes[i];
        }
    }
    return NULL;
}

const struct probe *prober_of(const struct prober *prober, weft_peer_id peer)
{
    return peer.bits != 0 ? probe_find(prober, peer.bits) : NULL;
}

static bool options_list(weft_node *node, const struct weft_node_options *options, uint64_t peer)
{
    for (uint32_t i = 0; i < options->peer_count; i++) {
        if (weft_node_peer_find(node, options->peers[i].addresses[0]).bits == peer) {
            return true;
        }
    }
    return false;
}

void prober_follow(struct prober *prober, weft_node *node, const struct weft_node_options *options)
{
    for (uint32_t i = 0; i < WEFT_PEERS_MAX; i++) {
        struct probe *probe = &prober->probes[i];
        uint64_t peer = atomic_load(&probe->peer);
        if (peer != 0 && !options_list(node, options, peer)) {
            atomic_store(&probe->peer, 0);
        }
    }
    for (uint32_t i = 0; i < options->peer_count; i++) {
        weft_peer_id peer = weft_node_peer_find(node, options->peers[i].addresses[0]);
        const struct probe *free_probe = prober_of(prober, peer) == NULL ? probe_find(prober, 0) : NULL;
        if (peer.bits != 0 && free_probe != NULL) {
            struct probe *probe = &prober->probes[free_probe - prober->probes];
            atomic_store(&probe->sent, 0);
            atomic_store(&probe->answered, 0);
            atomic_store(&probe->peer, peer.bits);
        }
    }
}

static void probe_answered(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct probe *probe = ctx;
    bool same = err == WEFT_OK && reply->payload.bytes == PROBE_PAYLOAD_BYTES &&
                memcmp(reply->payload.data, probe->prober->payload, PROBE_PAYLOAD_BYTES) == 0;
    if (same) {
        atomic_fetch_add_explicit(&probe->answered, 1, memory_order_relaxed);
    }
}

static void probe_send(struct probe *probe, weft_shard *shard)
{
    const weft_peer_id peer = {atomic_load(&probe->peer)};
    const struct weft_span payload = {probe->prober->payload, PROBE_PAYLOAD_BYTES};
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.timeout_ms = PROBE_TIMEOUT_MS;
    if (peer.bits != 0 && weft_call(shard, peer, PROBE_VERB, payload, &options, probe_answered, probe) == WEFT_OK) {
        atomic_fetch_add_explicit(&probe->sent, 1, memory_order_relaxed);
    }
}

static void prober_fired(void *ctx, weft_shard *shard)
{
    struct prober *prober = ctx;
    for (uint32_t i = 0; i < WEFT_PEERS_MAX; i++) {
        probe_send(&prober->probes[i], shard);
    }
    weft_timer_start(shard, &prober->timer, prober->interval_ns, prober_fired, prober);
}

void prober_start(void *ctx, weft_shard *shard)
{
    if (weft_shard_index(shard) == 0) {
        prober_fired(ctx, shard);
    }
}

void prober_destroy(struct prober *prober)
{
    free(prober);
}
