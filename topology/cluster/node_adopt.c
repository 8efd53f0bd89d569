/* SPDX-License-Identifier: Apache-2.0 */
/* One shard takes over what became of the topology: peers that came, peers that went, and what moves changed of the
 * policy's decisions.
 *
 * A shard that missed versions goes to the newest at once.  That cannot hide one peer behind another: a slot changes
 * hands only when every shard has finished with who had it. */
#include "topology/cluster/node.h"

void node_topology_lock(struct weft_node *node)
{
    while (atomic_flag_test_and_set_explicit(&node->topology_lock, memory_order_acquire)) {
    }
}

void node_topology_unlock(struct weft_node *node)
{
    atomic_flag_clear_explicit(&node->topology_lock, memory_order_release);
}

void node_greet(struct node_shard *share, uint32_t peer)
{
    const struct weft_node *node = share->node;
    const struct peer *entry = &share->topology->peers[peer];
    share->peers[peer + 1].greeted = true;
    bool own = node_listens_on(node, &entry->addresses[0]) && !node->settings.client_only;
    if (node->settings.heartbeat_ns != 0 && node_home_shard(node, peer) == share->shard->index && !own) {
        struct link *link = peer_links_control(&share->peers[peer + 1]);
        WEFT_ASSERT(link != NULL || share->draining); /* its place is kept for it */
        if (link != NULL) {
            link_start(link);
        }
    }
}

void node_adopt_first(struct node_shard *share)
{
    node_topology_lock(share->node);
    share->topology = share->node->topology;
    share->encryption = share->topology->encryption;
    atomic_store(&share->topology_seen, share->topology->version);
    node_topology_unlock(share->node);
    for (uint32_t p = 0; p < share->topology->slot_count; p++) {
        const struct peer *peer = &share->topology->peers[p];
        if (peer->removed) {
            share->peers[p + 1].finished = peer->peer_id; /* before we were there */
        } else {
            peer_links_open(&share->peers[p + 1], share, peer);
        }
    }
}

void node_adopt_end(struct node_shard *share)
{
    atomic_store(&share->topology_seen, TOPOLOGY_NONE);
}

/* Read the newest, and know who is new in it.  Calls nobody back: a call may be about to be made. */
static void adopt_newest(struct node_shard *share)
{
    node_topology_lock(share->node);
    const struct topology *newest = share->node->topology;
    node_topology_unlock(share->node); /* it stays: it is newer than what we said to have seen */
    if (newest == share->topology) {
        return;
    }
    struct link *link;
    share->topology = newest;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        link->peer = &newest->peers[link->peer_index];
    }
    for (uint32_t p = 0; p < newest->slot_count; p++) {
        const struct peer *peer = &newest->peers[p];
        if (!peer->removed && share->peers[p + 1].id.bits != peer->peer_id.bits) {
            peer_links_open(&share->peers[p + 1], share, peer);
        }
    }
}

bool node_meet(struct node_shard *share, weft_peer_id id)
{
    if (peer_slot_of(id) >= share->node->settings.peers_max || !share->begun || share->draining) {
        return false;
    }
    adopt_newest(share);
    return share->peers[peer_slot_of(id) + 1].id.bits == id.bits;
}

static void adopt_removed(struct node_shard *share, struct peer_links *links, const struct peer *peer)
{
    if (links->finished.bits == peer->peer_id.bits) {
        return;
    }
    links->finished = peer->peer_id;
    links->id = (weft_peer_id){0};
    links->removed = true;
    links->own_most = 0;
    struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        if (link->family == links) {
            link_remove(link);
        }
    }
    node_part_peer(share);
}

static void adopt_peers(struct node_shard *share)
{
    for (uint32_t p = 0; p < share->topology->slot_count; p++) {
        const struct peer *peer = &share->topology->peers[p];
        struct peer_links *links = &share->peers[p + 1];
        if (peer->removed) {
            adopt_removed(share, links, peer);
        } else if (!links->greeted) {
            node_greet(share, p);
        }
    }
}

static void adopt_decisions(struct node_shard *share)
{
    bool other_scope = share->encryption != share->topology->encryption;
    share->encryption = share->topology->encryption;
    struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        if (!link->family->removed) {
            link_review(link, other_scope ? WEFT_REASON_SCOPE_CHANGED : WEFT_REASON_LOCATION_CHANGED);
        }
    }
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        if (channel->conn.accepted && channel_is_up(channel)) {
            node_review_accepted(share, channel);
        }
    }
}

void node_adopt(struct node_shard *share)
{
    if (!share->begun) {
        return;
    }
    adopt_newest(share);
    if (atomic_load(&share->topology_seen) == share->topology->version) {
        return;
    }
    adopt_peers(share);
    adopt_decisions(share);
    node_ports_adopt(share);
    atomic_store(&share->topology_seen, share->topology->version);
}
