/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: their numbers, their addresses, and how they are closed.
 *
 * Happy path: a node listens, which makes the address its own; a dial to that address finds the listener, or one of
 * those that share its port.  Numbers are the lowest free ones, so that they are used again soon, as descriptors are.
 *
 * Failure modes: an address in use, or owned by another node, is an error with the address in its text; a node out of
 * numbers gets -EMFILE. */
#include <errno.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/sim/sim_memory.h"
#include "engine/sim/sim_state.h"

/* The range that Linux draws the ports of dials from. */
#define PORT_DRAWN_MIN 32768u
#define PORT_DRAWN_MAX 60999u
/* Draws before the range counts as used up. */
#define PORT_TRIES 64u

struct sim_socket *sim_socket_new(struct sim_world *world, uint32_t node)
{
    struct sim_socket *socket = sim_slots_take(&world->sockets);
    socket->node = node;
    socket->peer_node = node;
    socket->number = IO_SOCKET_NONE;
    list_node_init(&socket->listeners_link);
    list_node_init(&socket->backlog_link);
    list_init(&socket->backlog);
    sim_stream_init(&socket->inbound);
    return socket;
}

int32_t sim_socket_number(struct sim_world *world, struct sim_socket *socket)
{
    struct sim_node *node = &world->nodes[socket->node];
    WEFT_ASSERT(socket->number == IO_SOCKET_NONE);
    if (node->socket_count >= world->options.sockets_max) {
        return -EMFILE;
    }
    uint32_t index = 0;
    while (index < node->numbers_room && node->numbers[index] != NULL) {
        index++;
    }
    if (index == node->numbers_room) {
        node->numbers = sim_memory_grow(node->numbers, &node->numbers_room, sizeof(struct sim_socket *));
    }
    node->numbers[index] = socket;
    node->socket_count++;
    socket->number = (int32_t)index + SIM_NUMBER_FIRST;
    return socket->number;
}

struct sim_socket *sim_socket_find(struct sim_world *world, uint32_t node, int32_t number)
{
    const struct sim_node *owner = &world->nodes[node];
    if (number < SIM_NUMBER_FIRST || (uint32_t)number - SIM_NUMBER_FIRST >= owner->numbers_room) {
        return NULL;
    }
    return owner->numbers[number - SIM_NUMBER_FIRST];
}

struct sim_socket *sim_socket_peer(struct sim_world *world, const struct sim_socket *socket)
{
    return sim_slots_find(&world->sockets, socket->peer);
}

static void socket_release(struct sim_world *world, struct sim_socket *socket)
{
    struct sim_node *node = &world->nodes[socket->node];
    for (uint32_t kind = 0; kind < IO_KIND_COUNT; kind++) {
        WEFT_ASSERT(socket->armed[kind] == NULL);
    }
    if (socket->number != IO_SOCKET_NONE) {
        node->numbers[socket->number - SIM_NUMBER_FIRST] = NULL;
        node->socket_count--;
    }
    list_remove(&socket->backlog_link);
    list_remove(&socket->listeners_link);
    sim_stream_fini(&socket->inbound);
    sim_slots_give_back(&world->sockets, socket);
}

void sim_socket_close(struct sim_world *world, struct sim_socket *socket)
{
    struct list_node *link;
    while ((link = list_pop_front(&socket->backlog)) != NULL) {
        struct sim_socket *waiting = WEFT_CONTAINER_OF(link, struct sim_socket, backlog_link);
        sim_wire_reset(world, waiting);
        socket_release(world, waiting);
    }
    struct sim_socket *peer = sim_socket_peer(world, socket);
    if (peer != NULL && !socket->reset) {
        /* As TCP does: who closes without having read everything takes back what the peer believes was received. */
        if (socket->inbound.bytes > 0) {
            sim_wire_send_reset(world, peer);
        } else {
            sim_wire_end(world, socket);
        }
    }
    socket_release(world, socket);
}

static struct sim_node *address_owner(struct sim_world *world, const struct address *address)
{
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        struct sim_node *node = &world->nodes[i];
        for (uint32_t j = 0; j < node->address_count; j++) {
            if (address_same_ip(&node->addresses[j], address)) {
                return node;
            }
        }
    }
    return NULL;
}

enum weft_err sim_node_own(struct sim_node *node, const struct address *address, struct weft_error *why)
{
    char text[ADDRESS_TEXT_BYTES];
    address_print_ip(address, text);
    struct sim_node *owner = address_owner(node->world, address);
    if (owner == node) {
        return WEFT_OK;
    }
    if (owner != NULL) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, EADDRNOTAVAIL,
                                    "simulation: %s belongs to node %u, so node %u cannot use it", text, owner->index,
                                    node->index);
    }
    if (node->address_count == SIM_ADDRESSES_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID, "simulation: %s is more than the %u addresses of a node", text,
                              SIM_ADDRESSES_MAX);
    }
    node->addresses[node->address_count++] = *address;
    return WEFT_OK;
}

static struct sim_socket *listener_of(struct list_node *node)
{
    return WEFT_CONTAINER_OF(node, struct sim_socket, listeners_link);
}

/* Whether a listener takes dials to an address.  The IPv6 wildcard takes IPv4 too. */
static bool listener_takes(const struct sim_socket *listener, const struct address *remote, bool wildcard)
{
    const struct address *local = &listener->local;
    if (local->port != remote->port) {
        return false;
    }
    if (!wildcard) {
        return address_same_ip(local, remote);
    }
    return address_is_any(local) && (local->family == remote->family || local->family == 6);
}

/* The listener of a node that takes a dial, of a group the one at this place. */
static struct sim_socket *listener_find(struct sim_world *world, uint32_t node, const struct sim_socket *dialer,
                                        bool wildcard)
{
    LIST_FOR_EACH(link, &world->listeners)
    {
        struct sim_socket *listener = listener_of(link);
        if (listener->node == node && listener_takes(listener, &dialer->remote, wildcard) &&
            listener->group_index == landing_shard(dialer->local.port, listener->group_count)) {
            return listener;
        }
    }
    return NULL;
}

struct sim_socket *sim_socket_listener(struct sim_world *world, const struct sim_socket *dialer)
{
    const struct sim_node *owner = address_owner(world, &dialer->remote);
    if (owner == NULL && address_is_loopback(&dialer->remote)) {
        owner = &world->nodes[dialer->node];
    }
    if (owner == NULL) {
        return NULL;
    }
    struct sim_socket *found = listener_find(world, owner->index, dialer, false);
    return found != NULL ? found : listener_find(world, owner->index, dialer, true);
}

static void source_choose(const struct sim_node *node, const struct address *remote, struct address *local)
{
    for (uint32_t i = 0; i < node->address_count; i++) {
        if (node->addresses[i].family == remote->family) {
            *local = node->addresses[i];
            local->port = 0;
            return;
        }
    }
    /* A node that never listened dials from an address that nobody else has. */
    memset(local, 0, sizeof *local);
    local->family = remote->family;
    local->ip[0] = remote->family == 4 ? 10 : 0xfd;
    local->ip[1] = 254;
    local->ip[remote->family == 4 ? 3 : 15] = (uint8_t)(node->index + 1);
}

/* Whether a dial may not have this source: a listener has it, or a connection to the same place. */
static bool source_taken(struct sim_world *world, const struct sim_socket *socket)
{
    const struct sim_node *node = &world->nodes[socket->node];
    for (uint32_t i = 0; i < node->numbers_room; i++) {
        const struct sim_socket *other = node->numbers[i];
        if (other == NULL || other == socket || other->local.port != socket->local.port ||
            !address_same_ip(&other->local, &socket->local)) {
            continue;
        }
        if (other->listener ||
            (other->remote.port == socket->remote.port && address_same_ip(&other->remote, &socket->remote))) {
            return true;
        }
    }
    return false;
}

/* One of a pair of ports, unless both are taken or a fault says so. */
static int32_t source_bind_pair(struct sim_world *world, struct sim_socket *socket, uint16_t pair)
{
    if (sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_PORT_TAKEN)) {
        return -EADDRNOTAVAIL;
    }
    for (socket->local.port = pair; socket->local.port <= pair + 1; socket->local.port++) {
        if (!source_taken(world, socket)) {
            return 0;
        }
    }
    return -EADDRNOTAVAIL;
}

int32_t sim_socket_bind(struct sim_world *world, struct sim_socket *socket, const struct address *local,
                        uint16_t source_pair)
{
    struct sim_node *node = &world->nodes[socket->node];
    if (local->family != 0 && local->family != socket->remote.family) {
        return -EINVAL;
    }
    if (local->family == 0 || address_is_any(local)) {
        source_choose(node, &socket->remote, &socket->local);
        socket->local.port = local->family == 0 ? 0 : local->port;
    } else {
        const struct sim_node *owner = address_owner(world, local);
        if (owner != NULL && owner != node) {
            return -EADDRNOTAVAIL;
        }
        socket->local = *local;
    }
    if (source_pair != 0) {
        return source_bind_pair(world, socket, source_pair);
    }
    if (socket->local.port != 0) {
        return source_taken(world, socket) ? -EADDRINUSE : 0;
    }
    for (uint32_t tries = 0; tries < PORT_TRIES; tries++) {
        socket->local.port = (uint16_t)sim_draw(world, PORT_DRAWN_MIN, PORT_DRAWN_MAX);
        if (!source_taken(world, socket)) {
            return 0;
        }
    }
    return -EADDRNOTAVAIL;
}

static bool listen_conflicts(struct sim_world *world, uint32_t node, const struct address *address)
{
    LIST_FOR_EACH(link, &world->listeners)
    {
        const struct sim_socket *other = listener_of(link);
        bool overlap =
            other->node == node && other->local.port == address->port &&
            (address_same_ip(&other->local, address) || address_is_any(&other->local) || address_is_any(address));
        if (overlap) {
            return true;
        }
    }
    return false;
}

static enum weft_err listen_check(struct sim_node *node, const struct address *address, const char *text,
                                  struct weft_error *why)
{
    if (node->killed) {
        return weft_error_set(why, WEFT_ERR_STATE, "simulation: node %u was killed: close its shards first",
                              node->index);
    }
    if (address->port == 0) {
        return weft_error_set(why, WEFT_ERR_INVALID, "simulation: cannot listen on %s: a port must be given", text);
    }
    if (listen_conflicts(node->world, node->index, address)) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, EADDRINUSE, "cannot listen on %s", text);
    }
    return address_is_any(address) ? WEFT_OK : sim_node_own(node, address, why);
}

enum weft_err sim_listen(void *host, const struct address *address, uint32_t count, int32_t *sockets, bool *steered,
                         struct weft_error *why)
{
    struct sim_node *node = host;
    struct sim_world *world = node->world;
    char text[ADDRESS_TEXT_BYTES];
    address_print(address, text);
    WEFT_TRY(listen_check(node, address, text, why));
    for (uint32_t i = 0; i < count; i++) {
        struct sim_socket *socket = sim_socket_new(world, node->index);
        int32_t result = sim_world_error(world, SIM_CALL_LISTEN, SIM_FAULT_START_ERROR);
        sockets[i] = result = result != 0 ? result : sim_socket_number(world, socket);
        if (result < 0) {
            socket_release(world, socket);
            while (i > 0) {
                sim_close_socket(host, sockets[--i]);
            }
            return weft_error_set_errno(why, WEFT_ERR_SYSTEM, -result, "cannot listen on %s", text);
        }
        socket->listener = true;
        socket->local = *address;
        socket->group_index = i;
        socket->group_count = count;
        list_push_back(&world->listeners, &socket->listeners_link);
    }
    *steered = true;
    return WEFT_OK;
}

void sim_port_range(void *host, struct landing_range *range)
{
    (void)host;
    *range = (struct landing_range){PORT_DRAWN_MIN, PORT_DRAWN_MAX};
}

void sim_close_socket(void *host, int32_t number)
{
    struct sim_node *node = host;
    struct sim_socket *socket = sim_socket_find(node->world, node->index, number);
    if (socket == NULL) {
        return; /* gone with its node */
    }
    WEFT_ASSERT(socket->operations == 0);
    sim_socket_close(node->world, socket);
}
