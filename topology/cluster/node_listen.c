/* SPDX-License-Identifier: Apache-2.0 */
/* Listening: the groups of sockets that the control thread opens, and the listeners of a shard on them.
 *
 * Failure modes: a port that cannot be opened is one line, and none of its sockets stays open. */
#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "topology/cluster/node.h"

static bool port_is_secure(enum node_port port)
{
    return port == NODE_PORT_SECURE || port == NODE_PORT_SECURE_SECOND;
}

static bool port_is_second(enum node_port port)
{
    return port == NODE_PORT_PLAIN_SECOND || port == NODE_PORT_SECURE_SECOND;
}

/* Could the node come to have it, by whatever scope? */
static bool port_is_possible(const struct weft_node *node, enum node_port port)
{
    const struct settings *settings = &node->settings;
    bool there = !port_is_second(port) || settings->second_listen_address.family != 0;
    return !settings->client_only && there && (!port_is_secure(port) || node_uses_tls(node));
}

bool node_wants_port(const struct weft_node *node, const struct topology *topology, enum node_port port)
{
    return port_is_possible(node, port) &&
           (port_is_secure(port) ? policy_has_tls_listener(topology->encryption, topology->certificate)
                                 : policy_has_plain_listener(topology->encryption));
}

uint32_t node_ports_most(const struct weft_node *node)
{
    uint32_t count = 0;
    for (int port = 0; port < NODE_PORTS; port++) {
        count += port_is_possible(node, (enum node_port)port);
    }
    return count;
}

static const char *port_kind(enum node_port port)
{
    return port_is_secure(port) ? "tls" : "plain";
}

static struct address port_address(const struct weft_node *node, enum node_port port)
{
    const struct settings *settings = &node->settings;
    struct address address = port_is_second(port) ? settings->second_listen_address : settings->listen_address;
    address.port = port_is_secure(port) ? settings->ssl_storage_port : settings->storage_port;
    return address;
}

static void port_set(struct weft_node *node, enum node_port port, enum port_state state)
{
    node_topology_lock(node);
    node->groups[port].state = state;
    node_topology_unlock(node);
}

/* No socket is in it. */
static void group_clear(struct weft_node *node, enum node_port port)
{
    for (uint32_t i = 0; i < node->shard_count; i++) {
        node->groups[port].sockets[i] = IO_SOCKET_NONE;
    }
}

enum weft_err node_port_listen(struct weft_node *node, enum node_port port, struct weft_error *why)
{
    const struct address address = port_address(node, port);
    char text[ADDRESS_TEXT_BYTES];
    bool steered = true;
    WEFT_ASSERT(node->groups[port].state == PORT_CLOSED && node->groups[port].holders == 0);
    address_print(&address, text);
    enum weft_err err = node->place.backend->listen(node->place.host, &address, node->shard_count,
                                                    node->groups[port].sockets, &steered, why);
    if (err != WEFT_OK) {
        group_clear(node, port);
        return err;
    }
    if (!steered) {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W',
                  "%s: this kernel takes no program for its listeners: connections land on any shard", text);
    }
    log_event(&node->log, LOG_UNLIMITED, LOG_LISTENING, 'I', "listening %s %s", port_kind(port), text);
    port_set(node, port, PORT_OPEN);
    return WEFT_OK;
}

void node_port_close(struct weft_node *node, enum node_port port, struct log *log, uint64_t now_ns)
{
    const struct address address = port_address(node, port);
    char text[ADDRESS_TEXT_BYTES];
    WEFT_ASSERT(node->groups[port].state == PORT_CLOSING && node->groups[port].holders == 0);
    address_print(&address, text);
    listener_group_close(&node->place, node->shard_count, node->groups[port].sockets);
    log_event(log, now_ns, LOG_LISTENING, 'I', "no longer listening %s %s", port_kind(port), text);
    port_set(node, port, PORT_CLOSED);
}

enum weft_err node_open_listeners(struct weft_node *node, struct weft_error *why)
{
    for (int port = 0; port < NODE_PORTS; port++) {
        struct port_group *group = &node->groups[port];
        if (!port_is_possible(node, (enum node_port)port)) {
            continue;
        }
        group->sockets = heap_make(node->allocator, node->shard_count * sizeof *group->sockets);
        if (group->sockets == NULL) {
            return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u listeners", node->shard_count);
        }
        group_clear(node, (enum node_port)port);
        if (node_wants_port(node, node->topology, (enum node_port)port)) {
            WEFT_TRY(node_port_listen(node, (enum node_port)port, why));
        }
    }
    return WEFT_OK;
}

void node_drop_groups(struct weft_node *node)
{
    for (int port = 0; port < NODE_PORTS; port++) {
        heap_drop(node->allocator, node->groups[port].sockets, node->shard_count * sizeof *node->groups[port].sockets);
        node->groups[port] = (struct port_group){.sockets = NULL};
    }
}

void node_close_listeners(struct weft_node *node)
{
    for (int port = 0; port < NODE_PORTS; port++) {
        if (node->groups[port].state != PORT_CLOSED) {
            listener_group_close(&node->place, node->shard_count, node->groups[port].sockets);
        }
    }
    node_drop_groups(node);
}

static void accept_paused(struct listener *listener, int32_t os_errno)
{
    struct node_shard *share = listener->ctx;
    struct weft_error why = {0};
    weft_error_set_errno(&why, WEFT_ERR_SYSTEM, os_errno, "no connection can be accepted now, trying again");
    log_event(&share->log, share->shard->now_ns, LOG_ACCEPT_PAUSED, 'W', "%s", why.text);
}

void node_accept_from(struct node_shard *share, uint32_t index, enum node_port port, struct listener *listener)
{
    listener_start(listener, &share->net, share->node->groups[port].sockets[index], node_arrived, share);
    listener->secure = port_is_secure(port);
    listener->paused = accept_paused;
}

void node_accept_release(struct listener listeners[NODE_PORTS])
{
    for (int port = 0; port < NODE_PORTS; port++) {
        listener_release(&listeners[port]);
    }
}

bool node_accept_rests(const struct listener listeners[NODE_PORTS])
{
    bool rests = true;
    for (int port = 0; port < NODE_PORTS; port++) {
        rests = rests && listener_idle(&listeners[port]);
    }
    return rests;
}

bool node_listens_on(const struct weft_node *node, const struct address *address)
{
    const struct settings *settings = &node->settings;
    return address_same_ip(address, &settings->listen_address) ||
           (settings->second_listen_address.family != 0 && address_same_ip(address, &settings->second_listen_address));
}
