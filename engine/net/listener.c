/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/net/listener.h"

#include <errno.h>

/* How long a shard stops accepting when accepting failed, as it does when descriptors ran out: long enough for some to
 * come back, short enough to stay below a second. */
#define ACCEPT_PAUSE_NS UINT64_C(100000000)

void listener_group_close(const struct io_place *place, uint32_t count, int32_t *sockets)
{
    for (uint32_t i = 0; i < count; i++) {
        place->backend->socket_close(place->host, sockets[i]);
        sockets[i] = IO_SOCKET_NONE;
    }
}

/* After so many accepts in one turn, those who are connected go first. */
#define ACCEPT_BREATH_NS UINT64_C(1000000)

static void listener_arm(struct listener *listener)
{
    listener->accept.socket = listener->socket;
    listener->accept.accept.options = &listener->net->options.socket;
    io_submit(listener->net->shard->io, &listener->accept);
}

static void listener_pause_over(struct timer *timer, void *ctx)
{
    (void)timer;
    listener_arm(ctx);
}

/* It concerned one attempt or one peer; every other error would meet the next attempt too. */
static bool listener_error_passes(int32_t result)
{
    return result == -EAGAIN || result == -EINTR || result == -ECANCELED || result == -ECONNABORTED;
}

static void listener_pause(struct listener *listener, int32_t os_errno)
{
    COUNT(listener->net->shard, accept_pauses);
    shard_timer_start(listener->net->shard, &listener->pause, ACCEPT_PAUSE_NS);
    if (!listener->pausing && listener->paused != NULL) {
        listener->paused(listener, os_errno);
    }
    listener->pausing = true;
}

/* Accept nothing for so long; what is on its way still arrives. */
static void listener_rest(struct listener *listener, uint64_t rest_ns)
{
    if (!listener->resting && !listener->released && io_op_busy(&listener->accept)) {
        listener->resting = true;
        listener->rest_ns = rest_ns;
        io_cancel(listener->net->shard->io, &listener->accept);
    }
}

void listener_full(struct listener *listener)
{
    if (!listener->resting) {
        COUNT(listener->net->shard, accept_pauses);
        listener_rest(listener, ACCEPT_PAUSE_NS);
    }
}

static void listener_count_accept(struct listener *listener)
{
    const struct weft_shard *shard = listener->net->shard;
    listener->turn_accepts = listener->turn == shard->turn_number ? listener->turn_accepts + 1 : 1;
    listener->turn = shard->turn_number;
    if (listener->turn_accepts == TURN_ACCEPTS_MAX) {
        listener_rest(listener, ACCEPT_BREATH_NS);
    }
}

static void listener_accept_done(struct io_op *op, const struct io_event *event)
{
    struct listener *listener = WEFT_CONTAINER_OF(op, struct listener, accept);
    if (event->result >= 0) {
        listener->pausing = false;
        listener_count_accept(listener);
        listener->accepted(listener, event->result, &event->from);
    }
    if (event->result == -ECONNABORTED) {
        COUNT(listener->net->shard, accepts_gone); /* the peer had ended it before it was taken */
    }
    if (event->more || listener->released) {
        return;
    }
    if (listener->resting) {
        listener->resting = false;
        shard_timer_start(listener->net->shard, &listener->pause, listener->rest_ns);
    } else if (event->result >= 0 || listener_error_passes(event->result)) {
        listener_arm(listener);
    } else {
        listener_pause(listener, -event->result);
    }
}

void listener_start(struct listener *listener, struct net *net, int32_t socket, listener_accepted_fn *accepted,
                    void *ctx)
{
    *listener = (struct listener){.net = net, .accepted = accepted, .ctx = ctx, .socket = socket};
    io_op_init(&listener->accept, IO_ACCEPT, listener_accept_done);
    listener->pause = (struct timer){.fn = listener_pause_over, .ctx = listener};
    listener_arm(listener);
}

void listener_release(struct listener *listener)
{
    if (listener->net == NULL || listener->released) {
        return;
    }
    listener->released = true;
    timer_wheel_stop(&listener->net->shard->wheel, &listener->pause);
    if (io_op_busy(&listener->accept)) {
        io_cancel(listener->net->shard->io, &listener->accept);
    }
}

bool listener_idle(const struct listener *listener)
{
    return listener->net == NULL || !io_op_busy(&listener->accept);
}
