/* SPDX-License-Identifier: Apache-2.0 */
/* What one shard learns of a peer and every shard must know: it is leaving, it is back, it is silent.
 *
 * The truth stands in struct peer_shared; a signal has every shard compare it with what it acted upon last.  So nothing
 * can be lost for want of room, and news that no longer hold when a shard comes to look are none to it. */
#ifndef TOPOLOGY_CLUSTER_PEER_NEWS_H
#define TOPOLOGY_CLUSTER_PEER_NEWS_H

#include <stdint.h>

struct channel;
struct node_shard;

/* The peer said goodbye on this connection of its own; and that connection has ended. */
void peer_news_leaving(struct node_shard *share, struct channel *channel);
void peer_news_gone(struct node_shard *share, struct channel *channel);
/* The peer does not answer: everything with it ends, on every shard. */
void peer_news_silent(struct node_shard *share, uint32_t peer_index);

/* Act upon what is new. */
void peer_news_deliver(struct node_shard *share);

#endif
