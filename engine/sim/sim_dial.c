/* SPDX-License-Identifier: Apache-2.0 */
/* From dial to accept.
 *
 * Happy path: the dial reaches the listener's node after a latency; there the other end of the connection is made and
 * waits in the backlog; the answer reaches the dialer after another latency.
 *
 * Failure modes: nobody listens (-ECONNREFUSED); a cut, a lost dial or a full backlog: the dial is repeated, each time
 * after twice the pause, until it gives up (-ETIMEDOUT).  A cancelled dial whose other end exists resets it. */
#include <errno.h>

#include "engine/sim/sim_state.h"

/* The first repetition, as Linux repeats a SYN. */
#define DIAL_PAUSE_NS UINT64_C(1000000000)
/* Doublings of the pause. */
#define DIAL_DOUBLINGS_MAX 6u

void sim_dial_start(struct sim_world *world, struct sim_flight *flight)
{
    struct io_op *op = flight->op;
    struct sim_node *node = flight->io->node;
    if (node->killed) {
        sim_flight_finish(flight, -ENETDOWN);
        return;
    }
    struct sim_socket *dialer = sim_socket_new(world, node->index);
    int32_t result = sim_socket_number(world, dialer);
    dialer->remote = op->connect.remote;
    if (result >= 0) {
        result = sim_socket_bind(world, dialer, &op->connect.local, op->connect.source_pair);
    }
    if (result < 0) {
        sim_socket_close(world, dialer);
        sim_flight_finish(flight, result);
        return;
    }
    flight->socket = sim_slot_name(&dialer->slot);
    flight->give_up_ns = world->now_ns + world->options.connect_timeout_ns;
    flight->lost = sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_CONNECT_LOST);
    dialer->operations++;
    sim_flight_arm(flight, dialer);
    sim_schedule(world, SIM_DIAL, &dialer->slot, world->now_ns + sim_latency_ns(world), 0);
}

/* The dial or its answer got lost: again later, or not at all. */
static void dial_retry(struct sim_world *world, struct sim_socket *dialer, enum sim_happening_kind what, int32_t result)
{
    struct sim_flight *flight = dialer->armed[IO_CONNECT];
    uint32_t doublings = flight->tries < DIAL_DOUBLINGS_MAX ? flight->tries : DIAL_DOUBLINGS_MAX;
    uint64_t due_ns = world->now_ns + (DIAL_PAUSE_NS << doublings);
    flight->tries++;
    if (due_ns < flight->give_up_ns) {
        sim_schedule(world, what, &dialer->slot, due_ns, result);
    } else {
        sim_schedule(world, SIM_DIALED, &dialer->slot, flight->give_up_ns, -ETIMEDOUT);
    }
}

void sim_dial_arrive(struct sim_world *world, struct sim_socket *dialer)
{
    struct sim_flight *flight = dialer->armed[IO_CONNECT];
    WEFT_ASSERT(flight != NULL);
    if (flight->lost && world->faults.on) {
        dial_retry(world, dialer, SIM_DIAL, 0);
        return;
    }
    struct sim_socket *listener = sim_socket_listener(world, dialer);
    if (listener != NULL) {
        dialer->peer_node = listener->node;
    }
    if (listener != NULL &&
        (world->links[dialer->node][listener->node].cut || listener->backlog_count >= world->options.backlog_max)) {
        dial_retry(world, dialer, SIM_DIAL, 0);
        return;
    }
    uint64_t answer_ns = world->now_ns + sim_latency_ns(world);
    if (listener == NULL || sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_CONNECT_REFUSED)) {
        sim_schedule(world, SIM_DIALED, &dialer->slot, answer_ns, -ECONNREFUSED);
        return;
    }
    struct sim_socket *other = sim_socket_new(world, listener->node);
    other->local = dialer->remote;
    other->remote = dialer->local;
    other->peer = sim_slot_name(&dialer->slot);
    other->peer_node = dialer->node;
    dialer->peer = sim_slot_name(&other->slot);
    list_push_back(&listener->backlog, &other->backlog_link);
    listener->backlog_count++;
    sim_schedule(world, SIM_DIALED, &dialer->slot, answer_ns, 0);
    sim_dial_accept(world, listener);
}

void sim_dial_answered(struct sim_world *world, struct sim_socket *dialer, int32_t result)
{
    struct sim_flight *flight = dialer->armed[IO_CONNECT];
    WEFT_ASSERT(flight != NULL);
    bool cut = world->links[dialer->peer_node][dialer->node].cut;
    if (cut && result != -ETIMEDOUT) {
        dial_retry(world, dialer, SIM_DIALED, result);
    } else if (result < 0) {
        sim_dial_cancel(world, flight, result);
    } else {
        sim_flight_finish(flight, dialer->number);
    }
}

void sim_dial_cancel(struct sim_world *world, struct sim_flight *flight, int32_t result)
{
    struct sim_socket *dialer = sim_slots_find(&world->sockets, flight->socket);
    WEFT_ASSERT(dialer != NULL);
    sim_flight_finish(flight, result);
    sim_wire_reset(world, dialer);
    sim_socket_close(world, dialer);
}

void sim_dial_accept(struct sim_world *world, struct sim_socket *listener)
{
    struct sim_flight *flight;
    while ((flight = listener->armed[IO_ACCEPT]) != NULL && !list_empty(&listener->backlog)) {
        struct sim_socket *socket = WEFT_CONTAINER_OF(list_first(&listener->backlog), struct sim_socket, backlog_link);
        bool full = sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_EMFILE);
        int32_t error = full ? -EMFILE : sim_world_error(world, IO_ACCEPT, SIM_FAULT_OP_ERROR);
        int32_t number = error != 0 ? error : sim_socket_number(world, socket);
        if (number < 0) {
            sim_flight_finish(flight, number);
            return;
        }
        list_remove(&socket->backlog_link);
        listener->backlog_count--;
        struct sim_ready ready = {
            .flight = flight,
            .result = number,
            .more = !sim_fault_bites(&world->faults, &world->prng, SIM_FAULT_DISARM),
            .from = socket->remote,
        };
        sim_flight_deliver(flight, &ready);
    }
}
