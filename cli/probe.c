/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/probe.h"

#include <stdlib.h>
#include <string.h>

#define PROBE_VERB 2 /* ECHO */
#define PROBE_TIMEOUT_MS 1000

enum weft_err prober_create(struct prober **out, uint32_t peer_count, uint64_t interval_ns,
                            const uint8_t marker[PROBE_MARKER_BYTES])
{
    struct prober *prober = calloc(1, sizeof *prober);
    if (prober == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    prober->interval_ns = interval_ns;
    prober->count = peer_count;
    prober->probes = calloc(peer_count + 1, sizeof *prober->probes);
    if (prober->probes == NULL) {
        free(prober);
        return WEFT_ERR_NO_MEMORY;
    }
    for (uint32_t at = 0; at < PROBE_PAYLOAD_BYTES; at += PROBE_MARKER_BYTES) {
        memcpy(prober->payload + at, marker, PROBE_MARKER_BYTES);
    }
    *out = prober;
    return WEFT_OK;
}

void prober_set_peer(struct prober *prober, uint32_t index, weft_peer_id peer)
{
    prober->probes[index].prober = prober;
    prober->probes[index].peer = peer;
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

static void probe_send(void *ctx, weft_shard *shard)
{
    struct probe *probe = ctx;
    struct prober *prober = probe->prober;
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.timeout_ms = PROBE_TIMEOUT_MS;
    enum weft_err err =
        weft_call(shard, probe->peer, PROBE_VERB, (struct weft_span){prober->payload, PROBE_PAYLOAD_BYTES}, &options,
                  probe_answered, probe);
    if (err == WEFT_OK) {
        atomic_fetch_add_explicit(&probe->sent, 1, memory_order_relaxed);
    }
    weft_timer_start(shard, &probe->timer, prober->interval_ns, probe_send, probe);
}

void prober_start(void *ctx, weft_shard *shard)
{
    struct prober *prober = ctx;
    if (weft_shard_index(shard) != 0) {
        return;
    }
    for (uint32_t i = 0; i < prober->count; i++) {
        if (prober->probes[i].peer.bits != 0) {
            probe_send(&prober->probes[i], shard);
        }
    }
}

void prober_destroy(struct prober *prober)
{
    if (prober != NULL) {
        free(prober->probes);
        free(prober);
    }
}
