/* SPDX-License-Identifier: Apache-2.0 */
/* What the embedder is told of links: lanes of a peer that go up and down on a shard, and the peer itself, which is up
 * while its control link is. */
#include "topology/cluster/link.h"
#include "topology/cluster/node.h"

static struct weft_peer_event link_event(const struct link *link, bool up)
{
    return (struct weft_peer_event){.peer = link->peer->peer_id,
                                    .address = link->peer->text,
                                    .up = up,
                                    .reason = up ? WEFT_REASON_NONE : link->last.reason,
                                    .lane = link->lane};
}

void link_note_lane(struct link *link, bool up)
{
    struct peer_links *family = link->family;
    const struct weft_node *node = link->share->node;
    if (family->lane_up[link->lane] == up || (!up && family->up_count[link->lane] > 0)) {
        return;
    }
    family->lane_up[link->lane] = up;
    if (node->on_lane != NULL) {
        const struct weft_peer_event event = link_event(link, up);
        node->on_lane(node->on_lane_ctx, link->share->shard, &event);
    }
}

void link_note_peer(struct link *link, bool up)
{
    struct node_shard *share = link->share;
    struct weft_node *node = share->node;
    if (link->lane != WEFT_LANE_CONTROL || link->noted_up == up) {
        return;
    }
    link->noted_up = up;
    if (up) {
        COUNT(share->shard, peers_up);
        log_event(&share->log, share->shard->now_ns, LOG_PEER_UP, 'I', "peer up %s", link->peer->text);
    } else {
        COUNT(share->shard, peers_down);
        bool left = link->last.code == WEFT_ERR_DRAINING; /* by this node, which is stopping: nothing is wrong there */
        log_event(&share->log, share->shard->now_ns, LOG_PEER_DOWN, left ? 'I' : 'W', "peer %s %s: %s",
                  left ? "left" : "down", link->peer->text, weft_reason_name(link->last.reason));
    }
    if (node->on_peer != NULL) {
        const struct weft_peer_event event = link_event(link, up);
        node->on_peer(node->on_peer_ctx, share->shard, &event);
    }
}
