/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's connections: their slots, their number, and what they share. */
#ifndef ENGINE_NET_NET_H
#define ENGINE_NET_NET_H

#include <weft/node.h>

#include "engine/base/slots.h"
#include "engine/reactor/shard.h"

struct net_options {
    uint32_t conns_max;
    uint32_t conn_object_bytes; /* the user's object that begins with a struct conn */
    uint64_t handshake_timeout_ns;
    struct io_socket_options socket;
    enum weft_send_zerocopy zero_copy;
};

struct net {
    struct weft_shard *shard;
    struct net_options options;
    struct slots conns;
    struct list live; /* every connection, by conn.live */
    uint32_t conn_count;
    struct slots zero_copy_sends; /* struct zero_copy_send; only where zero_copy is not OFF */
    struct landing_range ports;   /* that dials get */
    uint8_t *plaintext;           /* scratch for opened records, one record long */
};

WEFT_NODISCARD enum weft_err net_init(struct net *net, struct weft_shard *shard, const struct net_options *options);
/* No connection may be left; asserted. */
void net_fini(struct net *net);

#endif
