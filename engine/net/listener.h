/* SPDX-License-Identifier: Apache-2.0 */
/* Listening: one socket per shard on the same address (a group), each accepted from by its own shard.
 *
 * The group is opened by the thread that starts the node (io_backend.listen), in shard order and before anybody
 * accepts, so that either all of it listens or nothing does.  Accepting that ends for lack of descriptors is armed
 * again after a pause. */
#ifndef ENGINE_NET_LISTENER_H
#define ENGINE_NET_LISTENER_H

#include "engine/net/net.h"

struct listener;

/* A socket arrived; taken. */
typedef void listener_accepted_fn(struct listener *listener, int32_t socket, const struct address *from);

/* Accepting pauses, for this errno; told once until a socket arrives again. */
typedef void listener_paused_fn(struct listener *listener, int32_t os_errno);

struct listener {
    struct net *net;
    struct io_op accept;
    struct timer pause;
    listener_accepted_fn *accepted;
    listener_paused_fn *paused; /* set after the start; NULL: nobody wants to know */
    void *ctx;
    int32_t socket;
    bool secure; /* the owner's */
    bool released;
    bool pausing; /* since the last socket that arrived */
    bool resting; /* its operation ends, to be armed again after a while */
    uint64_t rest_ns;
    uint64_t turn; /* to which the next belongs */
    uint32_t turn_accepts;
};

/* Close all sockets of a group: one alone would move the places of the others. */
void listener_group_close(const struct io_place *place, uint32_t count, int32_t *sockets);

/* Start accepting on this shard.  The socket stays the group's. */
void listener_start(struct listener *listener, struct net *net, int32_t socket, listener_accepted_fn *accepted,
                    void *ctx);
/* There is no room for more connections: accept nothing for a tenth of a second. */
void listener_full(struct listener *listener);
/* Accept no more; what is on its way is still taken.  listener_idle tells when it may be started again, and when the
 * socket may be closed. */
void listener_release(struct listener *listener);
bool listener_idle(const struct listener *listener);

#endif
