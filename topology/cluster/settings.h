/* SPDX-License-Identifier: Apache-2.0 */
/* What a node was told, checked and copied, with every default filled in. */
#ifndef TOPOLOGY_CLUSTER_SETTINGS_H
#define TOPOLOGY_CLUSTER_SETTINGS_H

#include <weft/node.h>

#include "engine/base/uuid.h"
#include "engine/io/address.h"
#include "engine/io/io.h"
#include "engine/net/secure.h"
#include "tls/priority.h"
#include "topology/cluster/location.h"

#define SETTINGS_SHARDS_TEXT_BYTES 256u
#define SETTINGS_CONGESTION_BYTES 16u

struct settings {
    char cluster_name[WEFT_NAME_BYTES_MAX + 1];
    char dc[WEFT_NAME_BYTES_MAX + 1];
    char rack[WEFT_NAME_BYTES_MAX + 1];
    uint8_t node_id[UUID_BYTES];
    bool node_id_known;   /* false: drawn at start */
    uint64_t incarnation; /* 0: the time of the start */
    struct address listen_address;
    struct address second_listen_address; /* family 0: none */
    struct address dial_address;          /* family 0: any */
    uint16_t storage_port;
    uint16_t ssl_storage_port;
    bool client_only;
    enum weft_encryption encryption; /* at the start; struct topology has the one that counts */
    enum weft_client_auth client_auth;
    bool certificate_in_block;
    bool endpoint_verification;
    uint32_t spiffe_id_count;
    char spiffe_ids[WEFT_SPIFFE_IDS_MAX][SECURE_PATTERN_BYTES];
    enum weft_require_hello require_hello;
    char shards[SETTINGS_SHARDS_TEXT_BYTES];
    bool smt;
    uint64_t memory_per_shard_bytes;
    uint32_t peers_max;
    uint32_t connections_max;
    bool connections_given;            /* on purpose: fewer will not do */
    uint32_t connections_per_peer_max; /* 0: as many as the peer needs; node_connections_max */
    uint64_t idle_timeout_ns;          /* 0: never */
    uint32_t calls_max;
    uint32_t requests_max;
    uint64_t handshake_timeout_ns;
    uint64_t heartbeat_ns; /* 0: no control connections */
    uint64_t drain_timeout_ns;
    uint64_t frame_timeout_ns; /* 0: none, as for the next two */
    uint64_t send_timeout_ns;
    uint64_t first_request_timeout_ns;
    uint32_t tcp_unsent_bytes_max; /* 0: the system's, as for the next two */
    uint32_t tcp_user_timeout_ms;
    uint32_t tcp_keepalive_idle_s;
    uint32_t tcp_keepalive_interval_s;
    uint32_t tcp_keepalive_count;
    char tcp_congestion[SETTINGS_CONGESTION_BYTES]; /* "": the system's */
    bool tcp_delay;
    bool busy_poll;
    enum weft_crypto crypto;
    enum weft_send_zerocopy send_zerocopy;
    struct io_clock clock;
    char backend[16];
    bool priority_given;
    char priority_string[PRIORITY_TEXT_BYTES_MAX + 1];
    weft_log_fn *log;
    void *log_ctx;
};

/* Check and copy options of our own size.  The text of an error names the option. */
WEFT_NODISCARD enum weft_err settings_init(struct settings *settings, const struct weft_node_options *options,
                                           struct weft_error *why);
struct location settings_location(const struct settings *settings);

/* An address of one node, or one to listen on, as text.
 * @return ok | code: why names `what`; the text is no numeric address, or a group's */
WEFT_NODISCARD enum weft_err settings_address(struct address *to, const char *text, uint16_t port, const char *what,
                                              enum weft_err code, struct weft_error *why);
/* NULL becomes "". */
WEFT_NODISCARD enum weft_err settings_copy_name(char to[WEFT_NAME_BYTES_MAX + 1], const char *from, const char *what,
                                                struct weft_error *why);

#endif
