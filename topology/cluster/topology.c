/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/topology.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/mapping.h"

/* An id is the slot plus one, and above it how many peers the slot had before. */
#define PEER_ID_USE (UINT64_C(1) << 32)

static uint64_t topology_bytes(uint32_t slots_max)
{
    return sizeof(struct topology) + slots_max * sizeof(struct peer);
}

struct topology *topology_new(const struct weft_allocator *allocator, const struct topology *from, uint32_t slots_max)
{
    struct topology *topology = mapping_make(allocator, topology_bytes(slots_max));
    if (topology == NULL) {
        return NULL;
    }
    topology->version = 1;
    topology->slots_max = slots_max;
    if (from != NULL) {
        topology->version = from->version + 1;
        memcpy(topology->dc, from->dc, sizeof topology->dc);
        memcpy(topology->rack, from->rack, sizeof topology->rack);
        topology->encryption = from->encryption;
        topology->certificate = from->certificate;
        topology->slot_count = from->slot_count;
        topology->peer_count = from->peer_count;
        memcpy(topology->peers, from->peers, from->slot_count * sizeof *from->peers);
    }
    return topology;
}

void topology_drop(const struct weft_allocator *allocator, struct topology *topology)
{
    mapping_drop(allocator, topology, topology_bytes(topology->slots_max));
}

struct location topology_own_location(const struct topology *topology)
{
    return (struct location){.dc = topology->dc, .rack = topology->rack};
}

uint32_t topology_slot_of(const struct topology *topology, weft_peer_id id)
{
    uint32_t slot = peer_slot_of(id);
    bool there =
        slot < topology->slot_count && !topology->peers[slot].removed && topology->peers[slot].peer_id.bits == id.bits;
    return there ? slot : UINT32_MAX;
}

struct peer *topology_dialed_as(struct topology *topology, const struct peer *listed)
{
    for (uint32_t p = 0; p < topology->slot_count; p++) {
        struct peer *peer = &topology->peers[p];
        if (!peer->removed && peer->storage_port == listed->storage_port &&
            address_same_ip(&peer->addresses[0], &listed->addresses[0])) {
            return peer;
        }
    }
    return NULL;
}

void topology_put(struct topology *topology, uint32_t slot, const struct peer *peer)
{
    struct peer *entry = &topology->peers[slot];
    WEFT_ASSERT(slot < topology->slots_max && slot <= topology->slot_count);
    weft_peer_id id = {slot + 1};
    if (slot == topology->slot_count) {
        topology->slot_count++;
    } else {
        WEFT_ASSERT(entry->removed);
        id.bits = entry->peer_id.bits + PEER_ID_USE;
    }
    *entry = *peer;
    entry->peer_id = id;
    topology->peer_count++;
}

void topology_remove(struct topology *topology, uint32_t slot)
{
    WEFT_ASSERT(slot < topology->slot_count && !topology->peers[slot].removed);
    topology->peers[slot].removed = true;
    topology->peer_count--;
}
