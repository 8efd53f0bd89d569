/* SPDX-License-Identifier: Apache-2.0 */
/* Where a node listens: up to four ports, each a group of sockets, one of each shard's. */
#ifndef TOPOLOGY_CLUSTER_NODE_LISTEN_H
#define TOPOLOGY_CLUSTER_NODE_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>
#include <weft/node.h>

struct node_shard;
struct listener;

/* Plain and TLS, on the listening address and on the second one. */
enum node_port { NODE_PORT_PLAIN = 0, NODE_PORT_SECURE, NODE_PORT_PLAIN_SECOND, NODE_PORT_SECURE_SECOND, NODE_PORTS };

/* Does the policy want this port to be open? */
bool node_listens(const struct weft_node *node, enum node_port port);
uint32_t node_port_count(const struct weft_node *node);

/* Open what the policy wants; of what was opened before an error, node_close_listeners rids. */
WEFT_NODISCARD enum weft_err node_open_listeners(struct weft_node *node, struct weft_error *why);
/* When no shard accepts any longer. */
void node_close_listeners(struct weft_node *node);

/* Accept on this shard what the kernel gives to the sockets of that one. */
void node_accept_from(struct node_shard *share, uint32_t index, struct listener listeners[NODE_PORTS]);
/* Accept no more; what is on its way is still taken. */
void node_accept_release(struct listener listeners[NODE_PORTS]);
bool node_accept_rests(const struct listener listeners[NODE_PORTS]);

#endif
