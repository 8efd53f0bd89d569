/* SPDX-License-Identifier: Apache-2.0 */
/* Listening: the groups of sockets that the control thread opens, and the listeners of a shard on them.
 *
 * Failure modes: a port that cannot be opened is one line, and the node does not start. */
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

bool node_listens(const struct weft_node *node, enum node_port port)
{
    const struct settings *settings = &node->settings;
    if (settings->client_only || (port_is_second(port) && settings->second_listen_address.family == 0)) {
        return false;
    }
    return port_is_secure(port) ? policy_has_tls_listener(settings->encryption, settings->certificate_in_block)
                                : policy_has_plain_listener(settings->encryption);
}

uint32_t node_port_count(const struct weft_node *node)
{
    uint32_t count = 0;
    for (int port = 0; port < NODE_PORTS; port++) {
        count += node_listens(node, (enum node_port)port);
    }
    return count;
}

static enum weft_err port_open(struct weft_node *node, enum node_port port, struct weft_error *why)
{
    const struct settings *settings = &node->settings;
    struct address address = port_is_second(port) ? settings->second_listen_address : settings->listen_address;
    char text[ADDRESS_TEXT_BYTES];
    address.port = port_is_secure(port) ? settings->ssl_storage_port : settings->storage_port;
    address_print(&address, text);
    int32_t *sockets = heap_make(node->allocator, node->shard_count * sizeof *sockets);
    if (sockets == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u listeners", node->shard_count);
    }
    bool steered = true;
    enum weft_err err =
        node->place.backend->listen(node->place.host, &address, node->shard_count, sockets, &steered, why);
    if (err != WEFT_OK) {
        heap_drop(node->allocator, sockets, node->shard_count * sizeof *sockets);
        return err;
    }
    node->sockets[port] = sockets;
    if (!steered) {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W',
                  "%s: this kernel takes no program for its listeners: connections land on any shard", text);
    }
    log_event(&node->log, LOG_UNLIMITED, LOG_LISTENING, 'I', "listening %s %s", port_is_secure(port) ? "tls" : "plain",
              text);
    return WEFT_OK;
}

enum weft_err node_open_listeners(struct weft_node *node, struct weft_error *why)
{
    for (int port = 0; port < NODE_PORTS; port++) {
        if (node_listens(node, (enum node_port)port)) {
            WEFT_TRY(port_open(node, (enum node_port)port, why));
        }
    }
    return WEFT_OK;
}

void node_close_listeners(struct weft_node *node)
{
    for (int port = 0; port < NODE_PORTS; port++) {
        if (node->sockets[port] != NULL) {
            listener_group_close(&node->place, node->shard_count, node->sockets[port]);
            heap_drop(node->allocator, node->sockets[port], node->shard_count * sizeof *node->sockets[port]);
            node->sockets[port] = NULL;
        }
    }
}

static void accept_paused(struct listener *listener, int32_t os_errno)
{
    struct node_shard *share = listener->ctx;
    struct weft_error why = {0};
    weft_error_set_errno(&why, WEFT_ERR_SYSTEM, os_errno, "no connection can be accepted now, trying again");
    log_event(&share->log, share->shard->now_ns, LOG_ACCEPT_PAUSED, 'W', "%s", why.text);
}

void node_accept_from(struct node_shard *share, uint32_t index, struct listener listeners[NODE_PORTS])
{
    for (int port = 0; port < NODE_PORTS; port++) {
        const int32_t *sockets = share->node->sockets[port];
        if (sockets != NULL) {
            listener_start(&listeners[port], &share->net, sockets[index], node_arrived, share);
            listeners[port].secure = port_is_secure((enum node_port)port);
            listeners[port].paused = accept_paused;
        }
    }
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
