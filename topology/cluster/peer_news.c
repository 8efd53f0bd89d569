/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/peer_news.h"

#include "topology/cluster/node.h"

static void news_tell(struct node_shard *share)
{
    engine_signal(share->node->engine);
}

void peer_news_leaving(struct node_shard *share, struct channel *channel)
{
    if (channel->peer == 0 || channel->said_goodbye) {
        return; /* of whom we do not know who it is, no other connection is affected */
    }
    channel->said_goodbye = true;
    atomic_fetch_add(&share->node->shared[channel->peer - 1].leaving, 1);
    news_tell(share);
}

void peer_news_gone(struct node_shard *share, struct channel *channel)
{
    if (channel->said_goodbye) {
        atomic_fetch_sub(&share->node->shared[channel->peer - 1].leaving, 1);
        news_tell(share);
    }
}

void peer_news_silent(struct node_shard *share, uint32_t peer_index)
{
    COUNT(share->shard, peers_silent);
    atomic_fetch_add(&share->node->shared[peer_index].silences, 1);
    news_tell(share);
}

/* Connections in both directions: whoever is told that a peer is down must not go on serving it. */
static void news_silence(struct node_shard *share, struct peer_links *links)
{
    struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        if (link->family == links && link->channel != NULL) {
            conn_abort(&link->channel->conn, WEFT_ERR_TIMEOUT, WEFT_REASON_HEARTBEAT_MISSED);
        }
    }
    LIST_FOR_EACH_SAFE(node, following, &share->net.live)
    {
        struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        if (channel->conn.accepted && channel->peer == links->peer_index + 1) {
            conn_abort(&channel->conn, WEFT_ERR_TIMEOUT, WEFT_REASON_HEARTBEAT_MISSED);
        }
    }
}

static void news_leave(struct node_shard *share, struct peer_links *links, bool leaving)
{
    struct link *link;
    links->leaving = leaving;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        if (link->family == links && leaving) {
            link_leave(link);
        } else if (link->family == links) {
            link_return(link);
        }
    }
}

void peer_news_deliver(struct node_shard *share)
{
    for (uint32_t p = 0; p < share->topology->slot_count; p++) {
        struct peer_links *links = &share->peers[p + 1];
        if (links->id.bits == 0) {
            continue;
        }
        struct peer_shared *shared = &share->node->shared[p];
        uint32_t silences = atomic_load(&shared->silences);
        bool leaving = atomic_load(&shared->leaving) > 0;
        if (silences != links->silences_seen) {
            links->silences_seen = silences;
            news_silence(share, links);
        }
        if (leaving != links->leaving) {
            news_leave(share, links, leaving);
        }
    }
}
