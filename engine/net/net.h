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
    bool secure;                /* connections may have a record layer */
    uint64_t handshake_timeout_ns;
    /* 0 is no limit. */
    uint64_t frame_timeout_ns; /* from the first byte of a frame to its last */
    uint64_t send_timeout_ns;  /* until the peer took what one send operation carries */
    uint64_t first_timeout_ns; /* until an accepted connection brings its first frame */
    uint32_t handshakes_max;   /* of accepted connections at once; the others wait */
    struct io_socket_options socket;
    enum weft_send_zerocopy zero_copy;
    const struct weft_allocator *allocator; /* outlives the connections; NULL: the system's */
};

struct net {
    struct weft_shard *shard;
    struct net_options options;
    struct slots conns;
    struct list live; /* every connection, by conn.live */
    uint32_t conn_count;
    struct slots zero_copy_sends;   /* struct zero_copy_send; only where zero_copy is not OFF */
    struct landing_range ports;     /* that dials get */
    uint32_t handshake_count;       /* of accepted connections, in flight */
    struct list handshakes_waiting; /* struct conn, by handshake_link */
    struct list handshakes_first;   /* the same: who does not wait behind the others */
    uint32_t handshakes_first_row;  /* of those, begun since one of the others */
    struct task handshake_next;
    uint8_t *plaintext; /* scratch for opened records, one record long; NULL unless secure */
};

WEFT_NODISCARD enum weft_err net_init(struct net *net, struct weft_shard *shard, const struct net_options *options);
/* No connection may be left; asserted. */
void net_fini(struct net *net);

#endif
