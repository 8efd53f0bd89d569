/* SPDX-License-Identifier: Apache-2.0 */
/* The backend: one simulated io per shard.
 *
 * Happy path: wait starts the queued operations, notes when it would wake up, lets everything happen that is due, and
 * hands out what is ready, in an order drawn from the seed; events of one operation keep theirs.  A wait that a real
 * backend would sleep in returns nothing and leaves the io not runnable.
 *
 * Failure modes: closing an io with operations in flight is a bug, unless its node was killed: then they end without
 * events, as they do when a process dies. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/sim/sim_memory.h"
#include "engine/sim/sim_state.h"

/* Of zero-copy sends one in so many was copied after all. */
#define COPIED_ONE_IN 16u
/* One wait in so many hands out only some of what is ready, as a kernel does that has not finished the rest. */
#define PARTIAL_ONE_IN 8u

static struct sim_io *sim_io_of(struct io *io)
{
    WEFT_ASSERT(io->backend == &sim_backend);
    return WEFT_CONTAINER_OF(io, struct sim_io, io);
}

static const struct sim_io *sim_io_of_const(const struct io *io)
{
    WEFT_ASSERT(io->backend == &sim_backend);
    return (const struct sim_io *)(const void *)((const char *)io - offsetof(struct sim_io, io));
}

void sim_io_set_user(struct io *io, void *user)
{
    sim_io_of(io)->user = user;
}

void *sim_io_user(const struct io *io)
{
    return sim_io_of_const(io)->user;
}

uint32_t sim_io_node(const struct io *io)
{
    return sim_io_of_const(io)->node->index;
}

uint32_t sim_io_shard(const struct io *io)
{
    return sim_io_of_const(io)->shard;
}

uint32_t sim_io_lent(const struct io *io)
{
    const struct sim_io *self = sim_io_of_const(io);
    uint32_t lent = self->recv_pool.count - self->recv_pool.free_count;
    for (uint32_t i = 0; i < self->ready_count; i++) {
        lent -= self->ready[i].lent != NULL ? 1 : 0;
    }
    return lent;
}

uint32_t sim_io_operations(const struct io *io)
{
    return sim_io_of_const(io)->flight_count;
}

void sim_io_record(struct sim_io *io, const struct io_op *op, enum sim_phase phase, struct sim_record *record)
{
    memset(record, 0, sizeof *record);
    record->time_ns = io->node->world->now_ns;
    record->node = io->node->index;
    record->shard = io->shard;
    record->phase = (uint32_t)phase;
    record->kind = op->kind;
    record->socket = op->kind == IO_CONNECT ? IO_SOCKET_NONE : op->socket;
    record->generation = op->generation;
}

bool sim_io_runnable(const struct sim_io *io)
{
    return io->awake || io->ready_count > 0 || io->deadline_ns <= io->node->world->now_ns ||
           !list_empty(&io->io.queued) || !list_empty(&io->io.cancels);
}

static void io_start_queued(struct sim_io *io)
{
    struct sim_world *world = io->node->world;
    struct list_node *node;
    while ((node = list_pop_front(&io->io.queued)) != NULL) {
        sim_flight_start(io, WEFT_CONTAINER_OF(node, struct io_op, link));
    }
    while ((node = list_pop_front(&io->io.cancels)) != NULL) {
        struct io_op *op = WEFT_CONTAINER_OF(node, struct io_op, link);
        struct sim_record record;
        sim_io_record(io, op, SIM_CANCEL_ASKED, &record);
        sim_trace_add(&world->trace, &record);
        LIST_FOR_EACH(link, &io->flights)
        {
            struct sim_flight *flight = WEFT_CONTAINER_OF(link, struct sim_flight, io_link);
            if (flight->op == op) {
                uint64_t delay_ns = sim_draw(world, 0, world->options.completion_ns_max);
                sim_schedule(world, SIM_CANCEL, &flight->slot, world->now_ns + delay_ns, 0);
                break;
            }
        }
    }
}

/* Draw one of the ready events, and take it out; of its operation's events the first. */
static struct sim_ready io_draw_ready(struct sim_io *io)
{
    struct sim_world *world = io->node->world;
    uint32_t drawn = (uint32_t)prng_below(&world->prng, io->ready_count);
    uint32_t at = 0;
    while (io->ready[at].flight != io->ready[drawn].flight) {
        at++;
    }
    struct sim_ready ready = io->ready[at];
    io->ready_count--;
    memmove(&io->ready[at], &io->ready[at + 1], (io->ready_count - at) * sizeof io->ready[0]);
    return ready;
}

/* The event of what is ready, with its buffer back in our hands. */
static void io_hand_out(struct sim_io *io, const struct sim_ready *ready, struct io_event *event)
{
    struct sim_world *world = io->node->world;
    memset(event, 0, sizeof *event);
    event->op = ready->flight->op;
    event->result = ready->result;
    event->more = ready->more;
    event->lent = ready->lent;
    event->from = ready->from;
    if (event->lent != NULL) {
        buf_from_kernel(event->lent);
        event->lent->begin = 0;
        event->lent->end = (uint32_t)event->result;
        world->receives++;
        if (world->receives == world->options.test_flip_byte) {
            event->lent->data[event->lent->end / 2] ^= 1;
        }
    }
    if (!event->more && event->op->kind == IO_SEND && event->op->send.zero_copy) {
        event->copied = prng_below(&world->prng, COPIED_ONE_IN) == 0;
    }
    if (!event->more) {
        sim_flight_end(ready->flight);
    }
}

/* Of each pair of neighbours that belong to two operations, the nth of the run is swapped if the test asks for it. */
static void io_swap(struct sim_io *io, struct io_event *events, uint32_t count)
{
    struct sim_world *world = io->node->world;
    for (uint32_t i = 1; i < count; i++) {
        if (events[i].op == events[i - 1].op) {
            continue;
        }
        world->swap_pairs++;
        if (world->swap_pairs == world->options.test_swap_event) {
            struct io_event first = events[i - 1];
            events[i - 1] = events[i];
            events[i] = first;
        }
    }
}

static void io_record_event(struct sim_io *io, const struct io_event *event)
{
    struct sim_record record;
    sim_io_record(io, event->op, SIM_ENDED, &record);
    record.result = event->result;
    record.more = event->more;
    if (event->lent != NULL) {
        record.bytes = (uint32_t)event->result;
        record.content = sim_trace_content(event->lent->data, record.bytes);
    }
    if (event->op->kind == IO_LAND && event->result > 0) {
        record.bytes = (uint32_t)event->result;
    }
    if (event->op->kind == IO_ACCEPT && event->result >= 0) {
        record.content = sim_trace_content(event->from.ip, sizeof event->from.ip);
        record.bytes = event->from.port;
    }
    sim_trace_add(&io->node->world->trace, &record);
}

static uint32_t sim_wait(struct io *io, uint64_t timeout_ns, struct io_event *events, uint32_t events_max)
{
    struct sim_io *self = sim_io_of(io);
    struct sim_world *world = self->node->world;
    bool woken = self->woken;
    WEFT_ASSERT(events_max > 0);
    io->counters.enters++;
    io_start_queued(self);
    sim_world_advance(world);
    uint32_t limit = self->ready_count < events_max ? self->ready_count : events_max;
    if (limit > 1 && prng_below(&world->prng, PARTIAL_ONE_IN) == 0) {
        limit = 1 + (uint32_t)prng_below(&world->prng, limit);
    }
    for (uint32_t i = 0; i < limit; i++) {
        struct sim_ready ready = io_draw_ready(self);
        io_hand_out(self, &ready, &events[i]);
    }
    io_swap(self, events, limit);
    for (uint32_t i = 0; i < limit; i++) {
        io_record_event(self, &events[i]);
    }
    self->deadline_ns = timeout_ns >= UINT64_MAX - world->now_ns ? UINT64_MAX : world->now_ns + timeout_ns;
    self->awake = limit > 0 || woken || timeout_ns == 0;
    self->woken = false;
    return limit;
}

static void sim_lend_return(struct io *io, struct buf *buf)
{
    buf_give_back(&sim_io_of(io)->recv_pool, buf);
}

static void sim_wake(struct io *io)
{
    struct sim_io *self = sim_io_of(io);
    self->awake = true;
    self->woken = true;
}

static uint64_t sim_now_ns(struct io *io)
{
    return sim_io_of(io)->node->world->now_ns;
}

static uint64_t sim_wall_ns(struct io *io)
{
    const struct sim_world *world = sim_io_of(io)->node->world;
    return world->options.wall_start_ns + (world->now_ns - world->start_ns);
}

static void sim_entropy(struct io *io, void *to, uint32_t bytes)
{
    struct sim_io *self = sim_io_of(io);
    uint8_t *out = to;
    sim_world_record_control(self->node->world, 'e', self->node->index, bytes);
    for (uint32_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(prng_next(&self->entropy) >> 32);
    }
}

static uint32_t bound(uint32_t asked, uint32_t limit)
{
    return limit != 0 && limit < asked ? limit : asked;
}

static enum weft_err sim_open(void *host, const struct io_options *options, struct io **out, struct weft_error *why)
{
    struct sim_node *node = host;
    const struct sim_options *limits = &node->world->options;
    uint32_t shard = 0;
    while (shard < SHARDS_MAX && node->ios[shard] != NULL) {
        shard++;
    }
    if (shard == SHARDS_MAX || node->killed) {
        return weft_error_set(why, WEFT_ERR_STATE, "simulation: node %u %s", node->index,
                              node->killed ? "was killed: close its shards first" : "has no room for another shard");
    }
    int32_t error = sim_world_error(node->world, SIM_CALL_OPEN, SIM_FAULT_START_ERROR);
    if (error != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, -error, "simulation: opening shard %u of node %u", shard,
                                    node->index);
    }
    struct sim_io *io = calloc(1, sizeof *io);
    if (io == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a simulated shard");
    }
    io_init(&io->io, &sim_backend);
    enum weft_err err = buf_pool_init(&io->recv_pool, options->allocator, bound(options->recv_bufs, limits->recv_bufs),
                                      bound(options->recv_buf_bytes, limits->recv_buf_bytes));
    if (err != WEFT_OK) {
        free(io);
        return weft_error_set(why, err, "no memory for %u receive buffers", options->recv_bufs);
    }
    io->node = node;
    io->shard = shard;
    io->deadline_ns = UINT64_MAX;
    io->awake = true;
    list_init(&io->flights);
    prng_init(&io->entropy, prng_next(&node->world->prng));
    node->ios[shard] = io;
    node->io_open++;
    if (shard >= node->io_count) {
        node->io_count = shard + 1;
    }
    *out = &io->io;
    return WEFT_OK;
}

/* The process is gone: what it had in flight, what it was about to learn, what it had open. */
static void io_abandon(struct sim_io *io)
{
    for (uint32_t i = 0; i < io->ready_count; i++) {
        if (io->ready[i].lent != NULL) {
            buf_from_kernel(io->ready[i].lent);
            buf_give_back(&io->recv_pool, io->ready[i].lent);
        }
    }
    while (!list_empty(&io->flights)) {
        sim_flight_abandon(WEFT_CONTAINER_OF(list_first(&io->flights), struct sim_flight, io_link));
    }
    struct list_node *node;
    while ((node = list_pop_front(&io->io.queued)) != NULL) {
        WEFT_CONTAINER_OF(node, struct io_op, link)->state = IO_IDLE;
    }
}

static void node_bury(struct sim_node *node)
{
    struct sim_world *world = node->world;
    for (uint32_t i = 0; i < node->numbers_room; i++) {
        if (node->numbers[i] != NULL) {
            sim_socket_close(world, node->numbers[i]);
        }
    }
    node->killed = false;
}

static void sim_close(struct io *io)
{
    struct sim_io *self = sim_io_of(io);
    struct sim_node *node = self->node;
    if (node->killed) {
        io_abandon(self);
    }
    WEFT_ASSERT(self->flight_count == 0);
    WEFT_ASSERT(list_empty(&io->queued));
    node->ios[self->shard] = NULL;
    node->io_open--;
    if (node->io_open == 0 && node->killed) {
        node_bury(node);
    }
    buf_pool_fini(&self->recv_pool);
    free(self->ready);
    free(self);
}

/* The world steps its shards when their time has come; no host sleeps for them. */
static int32_t sim_pollable(struct io *io)
{
    (void)io;
    return IO_SOCKET_NONE;
}

static void sim_rest(struct io *io, uint64_t deadline_ns)
{
    (void)io;
    (void)deadline_ns;
}

const struct io_backend sim_backend = {
    .name = "sim",
    .listen = sim_listen,
    .port_range = sim_port_range,
    .socket_close = sim_close_socket,
    .open = sim_open,
    .close = sim_close,
    .wait = sim_wait,
    .lend_return = sim_lend_return,
    .wake = sim_wake,
    .pollable = sim_pollable,
    .rest = sim_rest,
    .now_ns = sim_now_ns,
    .wall_ns = sim_wall_ns,
    .entropy = sim_entropy,
};
