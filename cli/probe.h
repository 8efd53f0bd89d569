/* SPDX-License-Identifier: Apache-2.0 */
/* Probing: an ECHO with a recognisable payload to every peer at an interval, so that each link of a cluster carries
 * traffic that can be found again in a capture.  Who is probed can change meanwhile. */
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
    atomic_uint_fast64_t peer; /* its id; 0: nobody is probed by this one */
    atomic_uint_fast64_t sent;
    atomic_uint_fast64_t answered;
};

struct prober {
    uint64_t interval_ns;
    struct weft_timer timer;
    struct probe probes[WEFT_PEERS_MAX];
    uint8_t payload[PROBE_PAYLOAD_BYTES];
};

/* @param marker 16 bytes; the payload is the marker over and over */
WEFT_NODISCARD enum weft_err prober_create(struct prober **prober, uint64_t interval_ns,
                                           const uint8_t marker[PROBE_MARKER_BYTES]);
/* From now on, probe the peers of these options, and nobody else.  By the control thread. */
void prober_follow(struct prober *prober, weft_node *node, const struct weft_node_options *options);
/* The probes of a peer; NULL: it has none. */
const struct probe *prober_of(const struct prober *prober, weft_peer_id peer);
/* To be given to weft_node_start: probes from the node's first shard. */
void prober_start(void *prober, weft_shard *shard);
void prober_destroy(struct prober *prober);

#endif
