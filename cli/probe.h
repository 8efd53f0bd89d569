/* SPDX-License-Identifier: Apache-2.0 */
/* Probing: an ECHO with a recognisable payload to every peer at an interval, so that each link of a cluster carries
 * traffic that can be found again in a capture. */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include <stdatomic.h>

#include <weft/weft.h>

#define PROBE_MARKER_BYTES 16u
#define PROBE_PAYLOAD_BYTES 1024u

struct prober;

/* One peer's probes.  Counters are written by the probing shard and read by anybody. */
struct probe {
    struct prober *prober;
    weft_peer_id peer;
    weft_shard *shard;
    struct weft_timer timer;
    atomic_uint_fast64_t sent;
    atomic_uint_fast64_t answered;
};

struct prober {
    uint64_t interval_ns;
    uint32_t count;
    struct probe *probes; /* one per peer, in the order of the configuration */
    uint8_t payload[PROBE_PAYLOAD_BYTES];
};

/* @param marker 16 bytes; the payload is the marker over and over */
WEFT_NODISCARD enum weft_err prober_create(struct prober **prober, uint32_t peer_count, uint64_t interval_ns,
                                           const uint8_t marker[PROBE_MARKER_BYTES]);
/* The peer at this place of the configuration. */
void prober_set_peer(struct prober *prober, uint32_t index, weft_peer_id peer);
/* To be given to weft_node_start: probes from the node's first shard. */
void prober_start(void *prober, weft_shard *shard);
void prober_destroy(struct prober *prober);

#endif
