/* SPDX-License-Identifier: Apache-2.0 */
/* A peer as the topology knows it: addresses, location, identity. */
#ifndef TOPOLOGY_CLUSTER_PEER_H
#define TOPOLOGY_CLUSTER_PEER_H

#include <weft/node.h>

#include "engine/base/uuid.h"
#include "engine/io/address.h"
#include "topology/cluster/location.h"

/* Most connections per shard on the normal lane of one peer. */
#define PEER_CONNECTIONS_MAX 1024u

struct peer {
    weft_peer_id peer_id;                              /* as entry of a topology */
    bool removed;                                      /* from the topology: of no address any more */
    struct address addresses[WEFT_PEER_ADDRESSES_MAX]; /* the first is dialed; the port is the plain one */
    uint32_t address_count;
    uint16_t storage_port;
    uint16_t ssl_storage_port;
    uint16_t connections;
    bool id_known;
    uint8_t id[UUID_BYTES];
    char dc[WEFT_NAME_BYTES_MAX + 1];
    char rack[WEFT_NAME_BYTES_MAX + 1];
    char host_name[WEFT_NAME_BYTES_MAX + 1]; /* that the first address was found by; "": none */
    char text[ADDRESS_TEXT_BYTES];           /* the first address, for people */
};

/* Check and copy what an embedder or a file says of a peer. */
WEFT_NODISCARD enum weft_err peer_init(struct peer *peer, const struct weft_peer_options *options,
                                       uint16_t storage_port, uint16_t ssl_storage_port, struct weft_error *why);
/* @return ok | INVALID: there are peers by their count, but no array of them */
WEFT_NODISCARD enum weft_err peer_array_check(const struct weft_peer_options *peers, uint32_t count,
                                              struct weft_error *why);
/* Where a peer's entry stands, if it is there; the zero id gives what no slot is. */
static inline uint32_t peer_slot_of(weft_peer_id id)
{
    return (uint32_t)id.bits - 1;
}
/* Whether two entries differ in their locations at most. */
bool peer_same_but_location(const struct peer *a, const struct peer *b);
bool peer_has_address(const struct peer *peer, const struct address *address);
struct location peer_location(const struct peer *peer);

/* The topology's verdict on a source address: what all entries that hold it agree on. */
struct peer_match {
    uint32_t entries;
    struct location location; /* unknown where they differ */
    const struct peer *only;  /* the entry, if there is exactly one */
};
struct peer_match peer_match_address(const struct peer *peers, uint32_t count, const struct address *address);

#endif
