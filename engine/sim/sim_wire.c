/* SPDX-License-Identifier: Apache-2.0 */
/* What passes between the two ends of a connection: bytes, ends and resets.
 *
 * Happy path: a send copies bytes into the stream that leads to the peer, as far as the window has room; each chunk
 * arrives after a latency, in order; an armed receive gets them in buffers of its io's pool.
 *
 * Failure modes: every fault of the network (sim_faults.h).  A send to an end that is gone is accepted, lost, and
 * answered by a reset, as TCP does it.  A reset loses what has not arrived, and sometimes what has. */
#include <errno.h>
#include <string.h>

#include "engine/sim/sim_state.h"

/* A piece of a short receive: mostly tiny, since single bytes split every header. */
#define PIECE_BYTES_SMALL 8u
/* Until a receive that was cut short goes on. */
#define PIECE_PAUSE_NS_MAX UINT64_C(100000)

/* Nothing of the peer's arrives here. */
static bool wire_cut(const struct sim_world *world, const struct sim_socket *socket)
{
    return world->links[socket->peer_node][socket->node].cut;
}

static uint32_t draw_piece(struct sim_world *world, uint32_t bytes)
{
    uint32_t bound = sim_coin(world) && bytes > PIECE_BYTES_SMALL ? PIECE_BYTES_SMALL : bytes;
    return 1 + (uint32_t)prng_below(&world->prng, bound);
}

void sim_wire_send_reset(struct sim_world *world, struct sim_socket *socket)
{
    if (socket->reset || socket->reset_ahead) {
        return;
    }
    socket->reset_ahead = true;
    uint64_t due_ns = world->now_ns + sim_latency_ns(world);
    if (due_ns < socket->inbound.last_due_ns) {
        due_ns = socket->inbound.last_due_ns;
    }
    sim_schedule(world, SIM_RESET, &socket->slot, due_ns, 0);
}

void sim_wire_reset(struct sim_world *world, struct sim_socket *socket)
{
    struct sim_node *node = &world->nodes[socket->node];
    if (socket->reset) {
        return;
    }
    if (wire_cut(world, socket) && !node->killed && socket->reset_ahead) {
        socket->reset_held = true;
        return;
    }
    struct sim_socket *peer = sim_socket_peer(world, socket);
    if (peer != NULL) {
        sim_wire_send_reset(world, peer);
    }
    socket->reset = true;
    socket->peer = (struct sim_name){0, 0};
    if (sim_coin(world)) {
        sim_stream_cut(&socket->inbound, world->now_ns);
    } else {
        sim_stream_fini(&socket->inbound);
    }
    sim_wire_poke(world, socket);
}

/* Move arrived bytes into a lent buffer.  Until the event is handed out, nobody may look. */
static struct buf *recv_lend(struct sim_socket *socket, struct sim_flight *flight, uint32_t bytes)
{
    struct buf *buf = buf_take(&flight->io->recv_pool, flight->io);
    WEFT_ASSERT(buf != NULL);
    sim_stream_read(&socket->inbound, buf->data, bytes);
    buf_to_kernel(buf, BUF_KERNEL_WRITES);
    return buf;
}

/* Move arrived bytes to where they land, which our own code may not touch now. */
static void recv_land(struct sim_socket *socket, const struct io_op *op, uint32_t bytes)
{
    const struct buf *buf = op->land.buf;
    WEFT_ASSERT(buf->state == BUF_KERNEL_WRITES);
    WEFT_UNPOISON(buf->data, buf->bytes_max);
    sim_stream_read(&socket->inbound, buf->data + buf->end, bytes);
    WEFT_POISON(buf->data, buf->bytes_max);
}

static void recv_deliver(struct sim_world *world, struct sim_socket *socket, struct sim_flight *flight, uint32_t bytes)
{
    const struct io_op *op = flight->op;
    struct sim_ready ready = {.flight = flight, .result = (int32_t)bytes};
    if (op->kind == IO_LAND) {
        recv_land(socket, op, bytes);
    } else {
        ready.lent = recv_lend(socket, flight, bytes);
        ready.more = !op->recv.once && !sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_DISARM);
    }
    sim_flight_deliver(flight, &ready);
    struct sim_socket *peer = sim_socket_peer(world, socket);
    if (peer != NULL && wire_cut(world, peer)) {
        socket->inbound.unconfirmed += bytes;
    } else if (peer != NULL && peer->armed[IO_SEND] != NULL) {
        sim_schedule(world, SIM_POKE, &peer->slot, world->now_ns + sim_latency_ns(world), 0);
    }
}

/* Nothing to deliver: an end, a reset, or later. */
static void recv_finish(struct sim_world *world, struct sim_socket *socket, struct sim_flight *flight)
{
    if (socket->reset) {
        sim_flight_finish(flight, -ECONNRESET);
    } else if (sim_stream_at_end(&socket->inbound, world->now_ns)) {
        sim_flight_finish(flight, 0);
    }
}

void sim_wire_recv(struct sim_world *world, struct sim_socket *socket)
{
    struct sim_flight *flight;
    while ((flight = socket->armed[IO_RECV]) != NULL) {
        const struct buf_pool *pool = &flight->io->recv_pool;
        if (socket->listener) {
            sim_flight_finish(flight, -ENOTCONN);
            return;
        }
        if (!socket->reset && (socket->inbound.stalled_until_ns > world->now_ns || wire_cut(world, socket))) {
            return; /* a poke follows */
        }
        bool lands = flight->op->kind == IO_LAND;
        uint32_t room = lands ? buf_room(flight->op->land.buf) : pool->bytes_each;
        uint32_t bytes = sim_stream_arrived(&socket->inbound, world->now_ns, room);
        if (bytes == 0) {
            recv_finish(world, socket, flight);
            return;
        }
        if (!lands && (pool->free_count == 0 || sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_ENOBUFS))) {
            sim_flight_finish(flight, -ENOBUFS);
            return;
        }
        int32_t error = sim_world_error(world, flight->op->kind, SIM_FAULT_OP_ERROR);
        if (error != 0) {
            sim_flight_finish(flight, error);
            return;
        }
        bool piece = bytes > 1 && sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_SHORT_RECV);
        recv_deliver(world, socket, flight, piece ? draw_piece(world, bytes) : bytes);
        if (piece && !socket->reset && sim_coin(world)) {
            sim_schedule(world, SIM_POKE, &socket->slot, world->now_ns + sim_draw(world, 1, PIECE_PAUSE_NS_MAX), 0);
            return;
        }
    }
}

/* Copy the first bytes of the gathered buffers, which our own code may not touch now. */
static void send_gather(const struct io_op *op, uint8_t *to, uint32_t bytes)
{
    for (uint32_t i = 0; i < op->send.count && bytes > 0; i++) {
        const struct buf *buf = op->send.bufs[i];
        uint32_t part = buf_used(buf) < bytes ? buf_used(buf) : bytes;
        WEFT_ASSERT(buf->state == BUF_KERNEL_READS);
        WEFT_UNPOISON(buf->data, buf->bytes_max);
        memcpy(to, buf->data + buf->begin, part);
        WEFT_POISON(buf->data, buf->bytes_max);
        to += part;
        bytes -= part;
    }
    WEFT_ASSERT(bytes == 0);
}

static uint32_t send_bytes(const struct io_op *op)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < op->send.count; i++) {
        bytes += buf_used(op->send.bufs[i]);
    }
    return bytes;
}

/* When a chunk has left its node: a link that is limited sends one after the other. */
static uint64_t wire_left_ns(struct sim_world *world, const struct sim_socket *socket, uint32_t bytes)
{
    struct sim_link *link = &world->links[socket->node][socket->peer_node];
    if (link->bytes_per_second == 0) {
        return world->now_ns;
    }
    if (link->free_ns < world->now_ns) {
        link->free_ns = world->now_ns;
    }
    link->free_ns += bytes * UINT64_C(1000000000) / link->bytes_per_second;
    return link->free_ns;
}

/* Put bytes on the way to the peer. */
static void send_chunk(struct sim_world *world, struct sim_flight *flight, const struct sim_socket *socket,
                       struct sim_socket *peer, uint32_t bytes)
{
    struct sim_stream *stream = &peer->inbound;
    struct sim_record record;
    uint64_t due_ns = wire_left_ns(world, socket, bytes) + sim_latency_ns(world);
    if (sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_LATE)) {
        due_ns += sim_draw(world, 0, world->options.late_ns_max);
    }
    if (sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_STALL)) {
        stream->stalled_until_ns = world->now_ns + sim_draw(world, 0, world->options.stall_ns_max);
        sim_schedule(world, SIM_POKE, &peer->slot, stream->stalled_until_ns, 0);
    }
    uint8_t *data = sim_stream_append(stream, bytes, due_ns);
    send_gather(flight->op, data, bytes);
    sim_schedule(world, SIM_POKE, &peer->slot, stream->last_due_ns, 0);
    sim_io_record(flight->io, flight->op, SIM_ACCEPTED_BYTES, &record);
    record.bytes = bytes;
    record.content = sim_trace_content(data, bytes);
    sim_trace_add(&world->trace, &record);
}

/* The faults that a send may bring about. */
static void send_aftermath(struct sim_world *world, struct sim_socket *socket, struct sim_socket *peer)
{
    const struct sim_faults *faults = &world->faults;
    if (faults->on && prng_chance(&world->prng, faults->per_million[SIM_FAULT_RESET])) {
        struct sim_socket *first = sim_coin(world) ? socket : peer;
        uint64_t due_ns = world->now_ns + sim_draw(world, 0, world->options.reset_ns_max);
        sim_schedule(world, SIM_RESET, &first->slot, due_ns, 1);
    }
    if (sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_HALF_CLOSE)) {
        sim_wire_end(world, socket);
    }
}

/* Why nothing can be sent any more; 0 if it can. */
static int32_t send_error(struct sim_socket *socket)
{
    if (socket->listener) {
        return -ENOTCONN;
    }
    if (socket->reset && !socket->reset_told) {
        socket->reset_told = true;
        return -ECONNRESET;
    }
    return socket->reset || socket->end_sent ? -EPIPE : 0;
}

void sim_wire_send(struct sim_world *world, struct sim_socket *socket)
{
    struct sim_flight *flight = socket->armed[IO_SEND];
    if (flight == NULL) {
        return;
    }
    int32_t error = send_error(socket);
    if (error != 0) {
        sim_flight_finish(flight, error);
        return;
    }
    uint32_t bytes = send_bytes(flight->op);
    struct sim_socket *peer = sim_socket_peer(world, socket);
    if (peer == NULL || peer->reset || bytes == 0) {
        sim_flight_finish(flight, (int32_t)bytes);
        if (bytes > 0) {
            sim_wire_send_reset(world, socket);
        }
        return;
    }
    uint64_t window = world->options.window_bytes;
    uint64_t sent = peer->inbound.bytes + peer->inbound.unconfirmed;
    if (sent >= window) {
        return; /* a poke follows when the peer has received something, and could say so */
    }
    if (bytes > window - sent) {
        bytes = (uint32_t)(window - sent);
    }
    if (bytes > 1 && sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_SHORT_SEND)) {
        bytes = draw_piece(world, bytes - 1);
    }
    send_chunk(world, flight, socket, peer, bytes);
    if (flight->op->send.zero_copy && bytes == send_bytes(flight->op)) {
        sim_flight_accept(flight, bytes);
    } else {
        sim_flight_finish(flight, (int32_t)bytes);
    }
    send_aftermath(world, socket, peer);
}

void sim_wire_end(struct sim_world *world, struct sim_socket *socket)
{
    if (socket->end_sent) {
        return;
    }
    socket->end_sent = true;
    struct sim_socket *peer = sim_socket_peer(world, socket);
    if (peer != NULL && !peer->reset) {
        sim_stream_append_end(&peer->inbound, world->now_ns + sim_latency_ns(world));
        sim_schedule(world, SIM_POKE, &peer->slot, peer->inbound.last_due_ns, 0);
    }
    if (socket->armed[IO_SEND] != NULL) {
        sim_flight_finish(socket->armed[IO_SEND], -EPIPE);
    }
}

void sim_wire_poke(struct sim_world *world, struct sim_socket *socket)
{
    sim_wire_recv(world, socket);
    sim_wire_send(world, socket);
}
