/* SPDX-License-Identifier: Apache-2.0 */
/* Where a node listens: up to four ports, each a group of sockets, one of each shard's.  Which of them are open is the
 * scope's to say; node_ports.c opens and closes them while the node runs. */
#ifndef TOPOLOGY_CLUSTER_NODE_LISTEN_H
#define TOPOLOGY_CLUSTER_NODE_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>
#include <weft/node.h>

struct log;
struct node_shard;
struct listener;
struct topology;

/* Plain and TLS, on the listening address and on the second one. */
enum node_port { NODE_PORT_PLAIN = 0, NODE_PORT_SECURE, NODE_PORT_PLAIN_SECOND, NODE_PORT_SECURE_SECOND, NODE_PORTS };

/* CLOSED -> OPEN -> UNWANTED -> CLOSING -> CLOSED, and UNWANTED -> OPEN.  The control thread opens; who is the last to
 * leave an unwanted group closes it. */
enum port_state { PORT_CLOSED = 0, PORT_OPEN, PORT_UNWANTED, PORT_CLOSING };

struct port_group {
    int32_t *sockets; /* by shard; NULL: no port that this node could come to have */
    /* Both under the lock of the topology. */
    enum port_state state;
    uint32_t holders; /* shards that may accept from it */
};

/* Does the policy of this version want the port to be open? */
bool node_wants_port(const struct weft_node *node, const struct topology *topology, enum node_port port);
/* Ports that it may have open at once, by whatever scope. */
uint32_t node_ports_most(const struct weft_node *node);

/* Open what the newest topology wants; of what was opened before an error, node_close_listeners rids. */
WEFT_NODISCARD enum weft_err node_open_listeners(struct weft_node *node, struct weft_error *why);
/* When no shard accepts any longer. */
void node_close_listeners(struct weft_node *node);
/* Forget the groups, whatever became of their sockets. */
void node_drop_groups(struct weft_node *node);
/* Have the whole group listen, or none of it; it is PORT_OPEN then. */
WEFT_NODISCARD enum weft_err node_port_listen(struct weft_node *node, enum node_port port, struct weft_error *why);
/* Close a group of which this thread made the state PORT_CLOSING. */
void node_port_close(struct weft_node *node, enum node_port port, struct log *log, uint64_t now_ns);

/* Accept on this shard what the kernel gives to a socket of that one. */
void node_accept_from(struct node_shard *share, uint32_t index, enum node_port port, struct listener *listener);
/* Accept no more; what is on its way is still taken. */
void node_accept_release(struct listener listeners[NODE_PORTS]);
bool node_accept_rests(const struct listener listeners[NODE_PORTS]);

/* node_ports.c, the control thread's half: have everything open that the draft wants, or nothing more than now; the
 * version that became the newest wants no more than this. */
WEFT_NODISCARD enum weft_err node_ports_want(struct weft_node *node, const struct topology *draft,
                                             struct weft_error *why);
void node_ports_unwant(struct weft_node *node);
/* A shard's half: accept where its topology wants it, and begin to leave the other ports. */
void node_ports_adopt(struct node_shard *share);
/* The shard stands in for that one from now on: accept what the ports in use give to it, too. */
void node_ports_stand_in(struct node_shard *share, uint32_t index);
/* It accepts whatever comes until the end, and changes nothing any more. */
void node_ports_freeze(struct node_shard *share);

#endif
