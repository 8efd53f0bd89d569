/* SPDX-License-Identifier: Apache-2.0 */
/* The world: its clock, its heap of happenings, its nodes, and who may run next.
 *
 * Happy path: sim_world_next lets everything happen that is due, draws one io among those that can run, and moves the
 * clock a little, since running takes time.  If none can run, the clock jumps to the next happening or wake-up.
 *
 * Failure modes: none of its own.  What goes wrong in a world is drawn (sim_faults.h) or done by its owner (partition,
 * kill).  Happenings whose target is gone are dropped: they name it by index and generation. */
#include "engine/sim/sim_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/sim/sim_state.h"

#define MICROSECOND UINT64_C(1000)
#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

/* The clock starts here and not at 0, so that "an hour ago" is a time. */
#define CLOCK_START_NS (UINT64_C(3600) * SECOND)
/* 2026-01-01 00:00 UTC. */
#define WALL_START_NS (UINT64_C(1767225600) * SECOND)
/* The rate up to which a drawn fault goes: one in ten. */
#define FAULT_PER_MILLION_MAX 100000u
/* Resets and half-closes end connections: more than one in 200 sends, and nothing ever gets done. */
#define ENDING_PER_MILLION_MAX 5000u

void sim_options_init(struct sim_options *options, uint64_t seed)
{
    memset(options, 0, sizeof *options);
    options->seed = seed;
    options->latency_ns_min = 50 * MICROSECOND;
    options->latency_ns_max = 500 * MICROSECOND;
    options->late_ns_max = 100 * MILLISECOND;
    options->stall_ns_max = 300 * MILLISECOND;
    options->reset_ns_max = 20 * MILLISECOND;
    options->completion_ns_max = 20 * MICROSECOND;
    options->step_ns_max = 2 * MICROSECOND;
    options->connect_timeout_ns = 127 * SECOND; /* Linux: six retries of a SYN */
    options->wall_start_ns = WALL_START_NS;
    options->window_bytes = 256u * 1024;
    options->backlog_max = 128;
    options->sockets_max = 16384;
}

void sim_options_draw_faults(struct sim_options *options)
{
    struct prng prng;
    prng_init(&prng, ~options->seed);
    for (uint32_t fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        bool ending = fault == SIM_FAULT_RESET || fault == SIM_FAULT_HALF_CLOSE || fault == SIM_FAULT_OP_ERROR;
        uint32_t rate_max = ending ? ENDING_PER_MILLION_MAX : FAULT_PER_MILLION_MAX;
        /* Half of the kinds are absent: what every world has hides what only some provoke. */
        bool present = prng_below(&prng, 2) == 0;
        uint32_t rate = (uint32_t)prng_below(&prng, rate_max) + 1;
        options->fault_per_million[fault] = present ? rate : 0;
    }
    options->fault_per_million[SIM_FAULT_START_ERROR] = 0;
}

static enum weft_err options_check(const struct sim_options *options, struct weft_error *why)
{
    if (options->latency_ns_min > options->latency_ns_max) {
        return weft_error_set(why, WEFT_ERR_INVALID, "simulation: latency_ns_min %llu is above latency_ns_max %llu",
                              (unsigned long long)options->latency_ns_min, (unsigned long long)options->latency_ns_max);
    }
    if (options->window_bytes == 0 || options->backlog_max == 0 || options->sockets_max == 0) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "simulation: window_bytes, backlog_max and sockets_max must be at least 1");
    }
    for (uint32_t fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        if (options->fault_per_million[fault] > 1000000) {
            return weft_error_set(why, WEFT_ERR_INVALID, "simulation: the rate of %s is %u, more than a million",
                                  sim_fault_name((enum sim_fault)fault), options->fault_per_million[fault]);
        }
    }
    const struct sim_aim *aim = &options->aim;
    if (aim->nth != 0 &&
        (aim->call >= SIM_CALL_COUNT || sim_error_place(aim->call, aim->code) == SIM_ERROR_CODES_MAX)) {
        return weft_error_set(why, WEFT_ERR_INVALID, "simulation: %s cannot fail with errno %d",
                              sim_call_name(aim->call), aim->code);
    }
    return WEFT_OK;
}

enum weft_err sim_world_create(struct sim_world **out, const struct sim_options *options, struct weft_error *why)
{
    WEFT_TRY(options_check(options, why));
    struct sim_world *world = calloc(1, sizeof *world);
    if (world == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a simulated world");
    }
    world->options = *options;
    world->faults.on = true;
    memcpy(world->faults.per_million, options->fault_per_million, sizeof world->faults.per_million);
    world->errors.aim = options->aim;
    world->start_ns = CLOCK_START_NS;
    world->now_ns = CLOCK_START_NS;
    prng_init(&world->prng, options->seed);
    sim_trace_init(&world->trace, options->seed, options->record, options->record_ctx);
    sim_slots_init(&world->sockets, sizeof(struct sim_socket));
    sim_slots_init(&world->flights, sizeof(struct sim_flight));
    list_init(&world->listeners);
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        world->nodes[i].world = world;
        world->nodes[i].index = i;
    }
    *out = world;
    return WEFT_OK;
}

void sim_world_destroy(struct sim_world *world)
{
    if (world == NULL) {
        return;
    }
    for (uint32_t i = 0; i < world->sockets.count; i++) {
        struct sim_socket *socket = (struct sim_socket *)world->sockets.slots[i];
        if (socket->slot.used) {
            sim_stream_fini(&socket->inbound);
        }
    }
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        WEFT_ASSERT(world->nodes[i].io_open == 0);
        free(world->nodes[i].numbers);
    }
    sim_heap_fini(&world->heap);
    sim_slots_fini(&world->sockets);
    sim_slots_fini(&world->flights);
    free(world);
}

struct io_place sim_world_node(struct sim_world *world, uint32_t node)
{
    WEFT_ASSERT(node < SIM_NODES_MAX);
    return (struct io_place){&sim_backend, &world->nodes[node]};
}

enum weft_err sim_world_add_address(struct sim_world *world, uint32_t node, const struct address *address,
                                    struct weft_error *why)
{
    WEFT_ASSERT(node < SIM_NODES_MAX);
    return sim_node_own(&world->nodes[node], address, why);
}

uint64_t sim_draw(struct sim_world *world, uint64_t min, uint64_t max)
{
    return min + prng_below(&world->prng, max - min + 1);
}

bool sim_coin(struct sim_world *world)
{
    return prng_below(&world->prng, 2) == 0;
}

int32_t sim_world_error(struct sim_world *world, uint32_t call, enum sim_fault fault)
{
    const int32_t *codes;
    uint32_t count = sim_error_codes(call, &codes);
    uint32_t place = sim_error_aimed(&world->errors, call);
    if (place == SIM_ERROR_CODES_MAX && sim_fault_bites(&world->faults, &world->prng, fault)) {
        place = (uint32_t)prng_below(&world->prng, count);
    }
    if (place == SIM_ERROR_CODES_MAX) {
        return 0;
    }
    world->errors.struck[call][place]++;
    return -codes[place];
}

uint64_t sim_latency_ns(struct sim_world *world)
{
    return sim_draw(world, world->options.latency_ns_min, world->options.latency_ns_max);
}

void sim_schedule(struct sim_world *world, enum sim_happening_kind kind, const struct sim_slot *target, uint64_t due_ns,
                  int32_t result)
{
    struct sim_happening happening = {
        .due_ns = due_ns,
        .kind = kind,
        .index = target->index,
        .generation = target->generation,
        .result = result,
    };
    sim_heap_push(&world->heap, happening);
}

static void world_happen_to_flight(struct sim_world *world, const struct sim_happening *happening,
                                   struct sim_flight *flight)
{
    if (happening->kind == SIM_CANCEL) {
        sim_flight_cancel(world, flight);
        return;
    }
    struct sim_ready ready = {.flight = flight, .result = happening->result};
    sim_flight_ready(flight, &ready);
}

static void world_happen_to_socket(struct sim_world *world, const struct sim_happening *happening,
                                   struct sim_socket *socket)
{
    switch (happening->kind) {
    case SIM_POKE:
        sim_wire_poke(world, socket);
        break;
    case SIM_RESET:
        /* result 1 marks one that was drawn as a fault: healing takes it back. */
        if (happening->result == 0) {
            sim_wire_reset(world, socket);
        } else if (world->faults.on && !socket->reset) {
            world->faults.bitten[SIM_FAULT_RESET]++;
            sim_wire_reset(world, socket);
        }
        break;
    case SIM_DIAL:
        sim_dial_arrive(world, socket);
        break;
    case SIM_DIALED:
        sim_dial_answered(world, socket, happening->result);
        break;
    default:
        WEFT_ASSERT(false);
    }
}

void sim_world_advance(struct sim_world *world)
{
    struct sim_happening happening;
    while (sim_heap_pop(&world->heap, world->now_ns, &happening)) {
        struct sim_name name = {happening.index, happening.generation};
        if (happening.kind == SIM_DONE || happening.kind == SIM_CANCEL) {
            struct sim_flight *flight = sim_slots_find(&world->flights, name);
            if (flight != NULL) {
                world_happen_to_flight(world, &happening, flight);
            }
        } else {
            struct sim_socket *socket = sim_slots_find(&world->sockets, name);
            if (socket != NULL) {
                world_happen_to_socket(world, &happening, socket);
            }
        }
    }
}

/* Visit every open io, in the order of nodes and shards.  Returns the one at `wanted` among those that can run, and
 * counts them; notes the earliest wake-up. */
static struct sim_io *world_runnable(struct sim_world *world, uint64_t wanted, uint64_t *count, uint64_t *wake_ns)
{
    struct sim_io *found = NULL;
    *count = 0;
    *wake_ns = UINT64_MAX;
    for (uint32_t node = 0; node < SIM_NODES_MAX; node++) {
        for (uint32_t shard = 0; shard < world->nodes[node].io_count; shard++) {
            struct sim_io *io = world->nodes[node].ios[shard];
            if (io == NULL || world->nodes[node].frozen) {
                continue;
            }
            if (io->deadline_ns < *wake_ns) {
                *wake_ns = io->deadline_ns;
            }
            if (sim_io_runnable(io)) {
                if (*count == wanted) {
                    found = io;
                }
                (*count)++;
            }
        }
    }
    return found;
}

struct io *sim_world_next(struct sim_world *world)
{
    for (;;) {
        uint64_t count;
        uint64_t wake_ns;
        sim_world_advance(world);
        struct sim_io *only = world_runnable(world, 0, &count, &wake_ns);
        if (count > 0) {
            uint64_t drawn = prng_below(&world->prng, count);
            struct sim_io *io = drawn == 0 ? only : world_runnable(world, drawn, &count, &wake_ns);
            world->now_ns += sim_draw(world, 0, world->options.step_ns_max);
            return &io->io;
        }
        uint64_t next_ns = sim_heap_next_ns(&world->heap);
        if (wake_ns < next_ns) {
            next_ns = wake_ns;
        }
        if (next_ns == UINT64_MAX) {
            return NULL;
        }
        WEFT_ASSERT(next_ns > world->now_ns);
        world->now_ns = next_ns;
    }
}

void sim_world_spend(struct sim_world *world, uint64_t ns)
{
    world->now_ns += ns;
}

uint64_t sim_world_now_ns(const struct sim_world *world)
{
    return world->now_ns;
}

void sim_world_record_control(struct sim_world *world, uint32_t what, uint32_t node_a, uint32_t node_b)
{
    struct sim_record record = {
        .time_ns = world->now_ns,
        .node = node_a,
        .shard = node_b,
        .phase = SIM_CONTROL,
        .kind = what,
        .socket = IO_SOCKET_NONE,
    };
    sim_trace_add(&world->trace, &record);
}

/* What a cut or a stall held back may move again. */
static void world_poke_all(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->sockets.count; i++) {
        struct sim_socket *socket = (struct sim_socket *)world->sockets.slots[i];
        if (!socket->slot.used || socket->listener) {
            continue;
        }
        uint64_t due_ns = world->now_ns + sim_latency_ns(world);
        sim_schedule(world, SIM_POKE, &socket->slot, due_ns, 0);
        if (!world->links[socket->node][socket->peer_node].cut) {
            socket->inbound.unconfirmed = 0;
        }
        if (socket->reset_held && !world->links[socket->peer_node][socket->node].cut) {
            socket->reset_held = false;
            sim_schedule(world, SIM_RESET, &socket->slot, due_ns, 0);
        }
    }
}

void sim_world_partition(struct sim_world *world, uint32_t node_a, uint32_t node_b, bool cut)
{
    WEFT_ASSERT(node_a < SIM_NODES_MAX);
    WEFT_ASSERT(node_b < SIM_NODES_MAX);
    if (node_a == node_b) {
        return;
    }
    sim_world_record_control(world, cut ? 'c' : 'u', node_a, node_b);
    world->links[node_a][node_b].cut = cut;
    world->links[node_b][node_a].cut = cut;
    if (!cut) {
        world_poke_all(world);
    }
}

void sim_world_cut(struct sim_world *world, uint32_t from, uint32_t to, bool cut)
{
    WEFT_ASSERT(from < SIM_NODES_MAX);
    WEFT_ASSERT(to < SIM_NODES_MAX);
    if (from == to) {
        return;
    }
    sim_world_record_control(world, cut ? 'o' : 'n', from, to);
    world->links[from][to].cut = cut;
    if (!cut) {
        world_poke_all(world);
    }
}

void sim_world_limit(struct sim_world *world, uint32_t from, uint32_t to, uint64_t bytes_per_second)
{
    WEFT_ASSERT(from < SIM_NODES_MAX);
    WEFT_ASSERT(to < SIM_NODES_MAX);
    sim_world_record_control(world, 'l', from, to);
    world->links[from][to].bytes_per_second = bytes_per_second;
}

void sim_world_freeze(struct sim_world *world, uint32_t node, bool frozen)
{
    WEFT_ASSERT(node < SIM_NODES_MAX);
    sim_world_record_control(world, frozen ? 'f' : 't', node, 0);
    world->nodes[node].frozen = frozen;
}

void sim_world_heal(struct sim_world *world)
{
    sim_world_record_control(world, 'h', 0, 0);
    world->faults.on = false;
    memset(world->links, 0, sizeof world->links);
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        world->nodes[i].frozen = false;
    }
    for (uint32_t i = 0; i < world->sockets.count; i++) {
        struct sim_socket *socket = (struct sim_socket *)world->sockets.slots[i];
        if (socket->slot.used) {
            socket->inbound.stalled_until_ns = 0;
        }
    }
    world_poke_all(world);
}

void sim_world_kill_node(struct sim_world *world, uint32_t index)
{
    WEFT_ASSERT(index < SIM_NODES_MAX);
    struct sim_node *node = &world->nodes[index];
    if (node->killed || node->io_open == 0) {
        return;
    }
    sim_world_record_control(world, 'k', index, 0);
    node->killed = true;
    node->frozen = false;
    for (uint32_t i = 0; i < world->sockets.count; i++) {
        struct sim_socket *socket = (struct sim_socket *)world->sockets.slots[i];
        if (!socket->slot.used || socket->node != index) {
            continue;
        }
        if (socket->armed[IO_CONNECT] != NULL) {
            sim_dial_cancel(world, socket->armed[IO_CONNECT], -ENETDOWN);
        } else if (socket->listener) {
            if (socket->armed[IO_ACCEPT] != NULL) {
                sim_flight_finish(socket->armed[IO_ACCEPT], -ECANCELED);
            }
            sim_socket_close(world, socket);
        } else {
            sim_wire_reset(world, socket);
        }
    }
}

uint64_t sim_world_trace_hash(const struct sim_world *world)
{
    return world->trace.hash;
}

uint64_t sim_world_records(const struct sim_world *world)
{
    return world->trace.records;
}

uint64_t sim_faults_bitten(const struct sim_world *world, enum sim_fault fault)
{
    return world->faults.bitten[fault];
}

uint64_t sim_world_errors(const struct sim_world *world, uint32_t call, int32_t code)
{
    WEFT_ASSERT(call < SIM_CALL_COUNT);
    uint32_t place = sim_error_place(call, code);
    return place < SIM_ERROR_CODES_MAX ? world->errors.struck[call][place] : 0;
}

uint64_t sim_world_calls(const struct sim_world *world, uint32_t call)
{
    WEFT_ASSERT(call < SIM_CALL_COUNT);
    return world->errors.calls[call];
}

uint32_t sim_world_sockets(const struct sim_world *world, uint32_t node)
{
    WEFT_ASSERT(node < SIM_NODES_MAX);
    return world->nodes[node].socket_count;
}

uint64_t sim_world_bad_sockets(const struct sim_world *world)
{
    return world->bad_sockets;
}
