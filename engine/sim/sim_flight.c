/* SPDX-License-Identifier: Apache-2.0 */
/* Operations in flight, from their start to their last event.
 *
 * Happy path: an operation is started on its socket.  What waits for something (a receive, a full window, a dial) is
 * armed there; what does not is finished at once, and its event follows after a drawn delay.
 *
 * Failure modes: an operation on a number that is no socket ends with -EBADF and is counted.  A cancellation takes
 * effect after a drawn delay, and loses against a result that came before. */
#include <errno.h>
#include <string.h>

#include "engine/sim/sim_memory.h"
#include "engine/sim/sim_state.h"

void sim_flight_ready(struct sim_flight *flight, const struct sim_ready *ready)
{
    struct sim_io *io = flight->io;
    if (io->ready_count == io->ready_room) {
        io->ready = sim_memory_grow(io->ready, &io->ready_room, sizeof *io->ready);
    }
    io->ready[io->ready_count++] = *ready;
}

/* The operation waits no longer on its socket. */
static void flight_disarm(struct sim_flight *flight)
{
    struct sim_world *world = flight->io->node->world;
    struct sim_socket *socket = sim_slots_find(&world->sockets, flight->socket);
    if (flight->waiting && socket != NULL) {
        WEFT_ASSERT(socket->armed[sim_place(flight->op)] == flight);
        socket->armed[sim_place(flight->op)] = NULL;
    }
    flight->waiting = false;
}

void sim_flight_arm(struct sim_flight *flight, struct sim_socket *socket)
{
    WEFT_ASSERT(!flight->waiting);
    /* Two operations of one kind on one socket at once: nobody could tell whose bytes come first. */
    WEFT_ASSERT(socket->armed[sim_place(flight->op)] == NULL);
    socket->armed[sim_place(flight->op)] = flight;
    flight->waiting = true;
}

void sim_flight_deliver(struct sim_flight *flight, const struct sim_ready *ready)
{
    WEFT_ASSERT(flight->waiting);
    if (!ready->more) {
        flight_disarm(flight);
    }
    sim_flight_ready(flight, ready);
}

void sim_flight_finish(struct sim_flight *flight, int32_t result)
{
    struct sim_world *world = flight->io->node->world;
    flight_disarm(flight);
    uint64_t delay_ns = sim_coin(world) ? 0 : sim_draw(world, 0, world->options.completion_ns_max);
    sim_schedule(world, SIM_DONE, &flight->slot, world->now_ns + delay_ns, result);
}

void sim_flight_accept(struct sim_flight *flight, uint32_t bytes)
{
    struct sim_world *world = flight->io->node->world;
    struct sim_socket *socket = sim_slots_find(&world->sockets, flight->socket);
    const struct sim_ready ready = {.flight = flight, .result = (int32_t)bytes, .more = true};
    flight_disarm(flight);
    socket->operations--;
    flight->socket = (struct sim_name){0, 0};
    sim_flight_ready(flight, &ready);
    uint64_t confirmed_ns = world->now_ns + sim_latency_ns(world) + sim_latency_ns(world);
    sim_schedule(world, SIM_DONE, &flight->slot, confirmed_ns, 0);
}

static void flight_release(struct sim_flight *flight)
{
    struct sim_io *io = flight->io;
    struct sim_world *world = io->node->world;
    struct sim_socket *socket = sim_slots_find(&world->sockets, flight->socket);
    if (socket != NULL) {
        WEFT_ASSERT(socket->operations > 0);
        socket->operations--;
    }
    list_remove(&flight->io_link);
    io->flight_count--;
    sim_slots_give_back(&world->flights, flight);
}

void sim_flight_end(struct sim_flight *flight)
{
    WEFT_ASSERT(!flight->waiting);
    WEFT_ASSERT(flight->op->generation == flight->op_generation);
    flight_release(flight);
}

void sim_flight_abandon(struct sim_flight *flight)
{
    struct io_op *op = flight->op;
    if (op->kind == IO_SEND) {
        for (uint32_t i = 0; i < op->send.count; i++) {
            buf_from_kernel(op->send.bufs[i]);
        }
    } else if (op->kind == IO_LAND) {
        buf_from_kernel(op->land.buf);
    }
    list_remove(&op->link);
    op->state = IO_IDLE;
    flight_disarm(flight);
    flight_release(flight);
}

/* It fails before it did anything; only a close has done its work. */
static void flight_fail(struct sim_world *world, struct sim_flight *flight, struct sim_socket *socket, int32_t error)
{
    sim_flight_finish(flight, error);
    if (flight->op->kind == IO_CLOSE && socket != NULL) {
        WEFT_ASSERT(socket->operations == 1);
        sim_socket_close(world, socket);
    }
}

static void flight_start_on(struct sim_world *world, struct sim_flight *flight, struct sim_socket *socket)
{
    switch ((enum io_kind)flight->op->kind) {
    case IO_ACCEPT:
        if (!socket->listener) {
            sim_flight_finish(flight, -EINVAL);
            return;
        }
        sim_flight_arm(flight, socket);
        sim_dial_accept(world, socket);
        return;
    case IO_RECV:
    case IO_LAND:
        sim_flight_arm(flight, socket);
        sim_wire_recv(world, socket);
        return;
    case IO_SEND:
        sim_flight_arm(flight, socket);
        sim_wire_send(world, socket);
        return;
    case IO_SHUTDOWN:
        if (socket->listener || socket->reset) {
            sim_flight_finish(flight, -ENOTCONN);
            return;
        }
        sim_wire_end(world, socket);
        sim_flight_finish(flight, 0);
        return;
    case IO_CLOSE:
        /* Closing under an operation is a bug: its event would speak of a number that may be another socket. */
        WEFT_ASSERT(socket->operations == 1);
        sim_flight_finish(flight, 0);
        sim_socket_close(world, socket);
        return;
    case IO_CONNECT:
    case IO_KIND_COUNT:
    default:
        WEFT_ASSERT(false);
    }
}

static void flight_start(struct sim_world *world, struct sim_flight *flight)
{
    struct io_op *op = flight->op;
    struct sim_socket *socket = NULL;
    if (op->kind != IO_CONNECT) {
        socket = sim_socket_find(world, flight->io->node->index, op->socket);
    }
    if (socket != NULL) {
        flight->socket = sim_slot_name(&socket->slot);
        socket->operations++;
    }
    if (op->cancel_asked && op->kind != IO_CLOSE) {
        sim_flight_finish(flight, -ECANCELED);
        return;
    }
    if (socket == NULL && op->kind != IO_CONNECT) {
        world->bad_sockets += flight->io->node->killed ? 0 : 1;
        sim_flight_finish(flight, -EBADF);
        return;
    }
    int32_t error = sim_world_error(world, op->kind, SIM_FAULT_OP_ERROR);
    if (error != 0) {
        flight_fail(world, flight, socket, error);
    } else if (op->kind == IO_CONNECT) {
        sim_dial_start(world, flight);
    } else {
        flight_start_on(world, flight, socket);
    }
}

void sim_flight_start(struct sim_io *io, struct io_op *op)
{
    struct sim_world *world = io->node->world;
    struct sim_record record;
    struct sim_flight *flight = sim_slots_take(&world->flights);
    flight->io = io;
    flight->op = op;
    flight->op_generation = op->generation;
    list_node_init(&flight->io_link);
    list_push_back(&io->flights, &flight->io_link);
    io->flight_count++;
    io->io.counters.operations++;
    op->state = IO_IN_FLIGHT;
    sim_io_record(io, op, SIM_STARTED, &record);
    if (op->kind == IO_SEND) {
        record.bytes = io_send_prepare(op);
    } else if (op->kind == IO_LAND) {
        (void)io_land_prepare(op, &record.bytes);
    }
    sim_trace_add(&world->trace, &record);
    flight_start(world, flight);
}

void sim_flight_cancel(struct sim_world *world, struct sim_flight *flight)
{
    if (!flight->waiting) {
        return; /* its end was decided before */
    }
    struct sim_socket *socket = sim_slots_find(&world->sockets, flight->socket);
    /* The kernel may get to the data before it gets to the cancellation. */
    bool once_more = sim_coin(world);
    switch ((enum io_kind)flight->op->kind) {
    case IO_CONNECT:
        sim_dial_cancel(world, flight, -ECANCELED);
        return;
    case IO_ACCEPT:
        if (once_more) {
            sim_dial_accept(world, socket);
        }
        break;
    case IO_RECV:
    case IO_LAND:
        if (once_more) {
            sim_wire_recv(world, socket);
        }
        break;
    case IO_SEND:
        if (once_more) {
            sim_wire_send(world, socket);
        }
        break;
    case IO_SHUTDOWN:
    case IO_CLOSE:
    case IO_KIND_COUNT:
    default:
        WEFT_ASSERT(false);
    }
    if (flight->waiting) {
        sim_flight_finish(flight, -ECANCELED);
    }
}
