/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that come and go while the node runs, as the scope wants them.
 *
 * Happy path, opening: the control thread has the whole group listen before the new version of the topology is out, so
 * that nobody accepts before all of it is there; a shard accepts when it takes the version over.  Closing: a shard goes
 * on accepting on a port that its version does not want, where the policy refuses everybody by name, for as long as
 * accepted connections have to part; then it stops, and leaves.  The last shard to leave closes the group as a whole:
 * one socket closed alone would move the places of the others.
 *
 * Who may use a group is counted under the lock of the topology: a shard enters only a group that is open, and a group
 * that is wanted again is not closed.  A shard that does not run never leaves, and its ports stay.
 *
 * Failure modes: a port that cannot be had is one line, and everything is as before, the other ports too. */
#include "engine/base/error.h"
#include "topology/cluster/node.h"

/* How often a shard looks whether its accepts have ended. */
#define LEAVE_LOOK_NS UINT64_C(2000000)

/* Make it open if it only was about to be left.  @return what it was */
static enum port_state port_claim(struct weft_node *node, enum node_port port)
{
    struct port_group *group = &node->groups[port];
    enum port_state before;
    do { /* whoever closes it is about to be done: that is a few calls */
        node_topology_lock(node);
        before = group->state;
        group->state = before == PORT_UNWANTED ? PORT_OPEN : before;
        node_topology_unlock(node);
    } while (before == PORT_CLOSING);
    return before;
}

/* Under the lock: nobody uses it, and nobody will.  @return whether it is the caller's to close */
static bool port_is_left(struct port_group *group)
{
    bool left = group->state == PORT_UNWANTED && group->holders == 0;
    group->state = left ? PORT_CLOSING : group->state;
    return left;
}

static void port_unwant(struct weft_node *node, enum node_port port)
{
    struct port_group *group = &node->groups[port];
    node_topology_lock(node);
    group->state = group->state == PORT_OPEN ? PORT_UNWANTED : group->state;
    bool left = port_is_left(group);
    node_topology_unlock(node);
    if (left) {
        node_port_close(node, port, &node->log, LOG_UNLIMITED);
    }
}

enum weft_err node_ports_want(struct weft_node *node, const struct topology *draft, struct weft_error *why)
{
    bool claimed[NODE_PORTS] = {false};
    enum weft_err err = WEFT_OK;
    for (int port = 0; err == WEFT_OK && port < NODE_PORTS; port++) {
        if (node_wants_port(node, draft, (enum node_port)port)) {
            enum port_state before = port_claim(node, (enum node_port)port);
            err = before == PORT_CLOSED ? node_port_listen(node, (enum node_port)port, why) : WEFT_OK;
            claimed[port] = err == WEFT_OK && before != PORT_OPEN;
        }
    }
    for (int port = 0; err != WEFT_OK && port < NODE_PORTS; port++) {
        if (claimed[port]) {
            port_unwant(node, (enum node_port)port);
        }
    }
    return err;
}

void node_ports_unwant(struct weft_node *node)
{
    for (int port = 0; port < NODE_PORTS; port++) {
        if (!node_wants_port(node, node->topology, (enum node_port)port)) {
            port_unwant(node, (enum node_port)port);
        }
    }
}

static bool listener_runs(const struct listener *listener)
{
    return listener->net != NULL && !listener->released;
}

/* @return false: its last accept has not ended yet */
static bool listener_begin(struct node_shard *share, uint32_t index, enum node_port port, struct listener *listener)
{
    if (!listener_runs(listener)) {
        if (!listener_idle(listener)) {
            return false;
        }
        node_accept_from(share, index, port, listener);
    }
    return true;
}

static bool port_begin(struct node_shard *share, enum node_port port)
{
    bool begun = listener_begin(share, share->shard->index, port, &share->listeners[port]);
    for (uint32_t i = 0; share->stand_ins != NULL && i < share->node->shard_count; i++) {
        struct stand_in *stand_in = &share->stand_ins[i];
        begun = (!stand_in->standing || listener_begin(share, i, port, &stand_in->listeners[port])) && begun;
    }
    return begun;
}

/* @return whether nothing of the shard's uses the port any more */
static bool port_end(struct node_shard *share, enum node_port port)
{
    listener_release(&share->listeners[port]);
    bool ended = listener_idle(&share->listeners[port]);
    for (uint32_t i = 0; share->stand_ins != NULL && i < share->node->shard_count; i++) {
        listener_release(&share->stand_ins[i].listeners[port]);
        ended = listener_idle(&share->stand_ins[i].listeners[port]) && ended;
    }
    return ended;
}

/* Unless a newer version than the shard's has given it up already. */
static void port_enter(struct node_shard *share, enum node_port port)
{
    struct weft_node *node = share->node;
    node_topology_lock(node);
    share->holds[port] = node->groups[port].state == PORT_OPEN;
    node->groups[port].holders += share->holds[port];
    node_topology_unlock(node);
}

static void port_leave(struct node_shard *share, enum node_port port)
{
    struct weft_node *node = share->node;
    struct port_group *group = &node->groups[port];
    share->holds[port] = false;
    node_topology_lock(node);
    group->holders--;
    bool left = port_is_left(group);
    node_topology_unlock(node);
    if (left) {
        node_port_close(node, port, &share->log, share->shard->now_ns);
    }
}

/* @return how long until there is something to do; UINT64_MAX: nothing */
static uint64_t port_adopt(struct node_shard *share, enum node_port port)
{
    uint64_t now_ns = share->shard->now_ns;
    if (node_wants_port(share->node, share->topology, port)) {
        share->leave_ns[port] = 0;
        if (!share->holds[port]) {
            port_enter(share, port);
        }
        return !share->holds[port] || port_begin(share, port) ? UINT64_MAX : LEAVE_LOOK_NS;
    }
    if (!share->holds[port]) {
        return UINT64_MAX;
    }
    if (share->leave_ns[port] == 0) {
        share->leave_ns[port] = now_ns + share->node->settings.drain_timeout_ns;
    }
    if (now_ns < share->leave_ns[port]) {
        return share->leave_ns[port] - now_ns;
    }
    if (!port_end(share, port)) {
        return LEAVE_LOOK_NS;
    }
    port_leave(share, port);
    return UINT64_MAX;
}

static void ports_look(struct timer *timer, void *ctx)
{
    (void)timer;
    node_ports_adopt(ctx);
}

void node_ports_adopt(struct node_shard *share)
{
    uint64_t soonest_ns = UINT64_MAX;
    for (int port = 0; port < NODE_PORTS; port++) {
        uint64_t wait_ns = port_adopt(share, (enum node_port)port);
        soonest_ns = wait_ns < soonest_ns ? wait_ns : soonest_ns;
    }
    timer_wheel_stop(&share->shard->wheel, &share->ports_timer);
    if (soonest_ns != UINT64_MAX) {
        share->ports_timer = (struct timer){.fn = ports_look, .ctx = share};
        shard_timer_start(share->shard, &share->ports_timer, soonest_ns);
    }
}

void node_ports_stand_in(struct node_shard *share, uint32_t index)
{
    for (int port = 0; port < NODE_PORTS; port++) {
        if (share->holds[port] && listener_runs(&share->listeners[port])) {
            node_accept_from(share, index, (enum node_port)port, &share->stand_ins[index].listeners[port]);
        }
    }
}

void node_ports_freeze(struct node_shard *share)
{
    timer_wheel_stop(&share->shard->wheel, &share->ports_timer);
}
