/* SPDX-License-Identifier: Apache-2.0 */
/* The io_uring backend: one ring per shard, one io_uring_enter per turn.
 *
 * Happy path: wait() turns the queued operations into SQEs (io_uring_op.c), enters the kernel once to submit them and
 * to wait, and translates CQEs into events.  Receiving is multishot from a ring of provided buffers (recv_ring.c),
 * accepting is multishot.  user_data 0 marks our own housekeeping (cancels), whose results nobody waits for.
 *
 * Failure modes: a queue for which no memory can be locked is halved until it can. */
#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/io/io_uring.h"
#include "engine/io/io_uring_kernel.h"
#include "engine/io/io_uring_probe.h"
#include "engine/io/socket.h"

#define WAKE_TAG 2u /* no operation has this address */
#define SUBMISSIONS_MIN 64u
#define SUBMISSIONS_MAX 1024u

static void ring_arm_wake(struct io_ring *ring)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_read(sqe, ring->wake_socket, &ring->wake_value, sizeof ring->wake_value, 0);
    io_uring_sqe_set_data64(sqe, WAKE_TAG);
    ring->wake_armed = true;
}

/* Who found no buffer comes before who had one, so that few go round. */
static void ring_start_hungry(struct io_ring *ring)
{
    LIST_FOR_EACH_SAFE(node, following, &ring->io.queued)
    {
        struct io_op *op = WEFT_CONTAINER_OF(node, struct io_op, link);
        if (op->kind == IO_RECV && op->recv.hungry && !op->cancel_asked) {
            list_remove(node);
            ring_start(ring, op);
        }
    }
}

static void ring_prepare_turn(struct io_ring *ring)
{
    struct list_node *node;
    if (WEFT_UNLIKELY(ring->recv.sparing)) {
        ring_start_hungry(ring);
    }
    while ((node = list_pop_front(&ring->io.queued)) != NULL) {
        struct io_op *op = WEFT_CONTAINER_OF(node, struct io_op, link);
        if (op->cancel_asked) {
            ring_stillborn(ring, op, -ECANCELED);
        } else {
            ring_start(ring, op);
        }
    }
    while ((node = list_pop_front(&ring->io.cancels)) != NULL) {
        ring_start_cancel(ring, WEFT_CONTAINER_OF(node, struct io_op, link));
    }
    if (!ring->wake_armed && !ring_is_pollable(ring)) {
        ring_arm_wake(ring);
    }
}

static uint32_t ring_take_stillborn(struct io_ring *ring, struct io_event *events, uint32_t events_max)
{
    uint32_t count = 0;
    struct list_node *node;
    while (count < events_max && (node = list_pop_front(&ring->stillborn)) != NULL) {
        struct io_op *op = WEFT_CONTAINER_OF(node, struct io_op, link);
        struct io_event *event = &events[count++];
        memset(event, 0, sizeof *event);
        event->op = op;
        event->result = op->socket;
    }
    return count;
}

/* The rest of a receive that is told in several events.  @return how many */
static uint32_t ring_take_rest(struct io_ring *ring, struct io_event *events, uint32_t events_max)
{
    uint32_t count = 0;
    while (recv_ring_has_rest(&ring->recv) && count < events_max) {
        recv_ring_next(&ring->recv, &events[count++]);
    }
    return count;
}

static uint32_t ring_take_completions(struct io_ring *ring, struct io_event *events, uint32_t events_max)
{
    struct io_uring_cqe *cqe;
    uint32_t head;
    uint32_t seen = 0;
    uint32_t count = ring_take_rest(ring, events, events_max);
    io_uring_for_each_cqe(&ring->ring, head, cqe)
    {
        if (count == events_max) {
            break;
        }
        seen++;
        if (cqe->user_data == WAKE_TAG) {
            ring->wake_armed = false;
        } else if (cqe->user_data != 0) {
            ring_translate(ring, cqe, &events[count++]);
            count += ring_take_rest(ring, events + count, events_max - count);
        }
    }
    io_uring_cq_advance(&ring->ring, seen);
    recv_ring_settle(&ring->recv);
    return count;
}

/* Is there nothing that entering the kernel, or a look at the completions, would bring? */
static bool ring_quiet(const struct io_ring *ring)
{
    return io_uring_sq_ready(&ring->ring) == 0 &&
           (IO_URING_READ_ONCE(*ring->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0;
}

static bool ring_idle(const struct io *io)
{
    const struct io_ring *ring = WEFT_CONTAINER_OF(io, const struct io_ring, io);
    return ring_quiet(ring) && io_uring_cq_ready(&ring->ring) == 0 && list_empty(&ring->stillborn) &&
           !recv_ring_has_rest(&ring->recv) && list_empty(&io->queued) && list_empty(&io->cancels);
}

static void ring_look(struct io_ring *ring)
{
    if (!ring_quiet(ring)) {
        ring->io.counters.enters++;
        io_uring_submit_and_get_events(&ring->ring);
    }
}

/* Forget the wakes so far.  What they were for is looked at afterwards. */
static void ring_clear_wakes(struct io_ring *ring)
{
    ssize_t got = read(ring->wake_socket, &ring->wake_value, sizeof ring->wake_value);
    (void)got; /* nothing there is fine */
}

/* A pollable ring sleeps where its host would: completions and wakes both make the set readable. */
static void ring_enter_pollable(struct io_ring *ring, uint64_t timeout_ns)
{
    ring_look(ring);
    if (!ring->busy_poll && timeout_ns > 0 && io_uring_cq_ready(&ring->ring) == 0) {
        ring->io.counters.enters++;
        io_pollable_sleep(&ring->pollable, timeout_ns);
        ring_clear_wakes(ring);
        ring_look(ring);
    }
}

/* The one system call of a turn. */
static void ring_enter(struct io_ring *ring, uint64_t timeout_ns)
{
    struct io_uring_cqe *first;
    if (ring->busy_poll || timeout_ns == 0 || io_uring_cq_ready(&ring->ring) > 0) {
        ring_look(ring);
        return;
    }
    ring->io.counters.enters++;
    if (timeout_ns == IO_TIMEOUT_NEVER) {
        io_uring_submit_and_wait(&ring->ring, 1);
        return;
    }
    struct __kernel_timespec timeout = {
        .tv_sec = (long long)(timeout_ns / 1000000000u),
        .tv_nsec = (long long)(timeout_ns % 1000000000u),
    };
    io_uring_submit_and_wait_timeout(&ring->ring, &first, 1, &timeout, NULL);
}

static uint32_t ring_wait(struct io *io, uint64_t timeout_ns, struct io_event *events, uint32_t events_max)
{
    struct io_ring *ring = ring_of(io);
    ring->recv.sparing = io->sparing;
    ring_prepare_turn(ring);
    timeout_ns = list_empty(&ring->stillborn) && !recv_ring_has_rest(&ring->recv) ? timeout_ns : 0;
    if (ring_is_pollable(ring)) {
        ring_enter_pollable(ring, timeout_ns);
    } else {
        ring_enter(ring, timeout_ns);
    }
    uint32_t count = ring_take_stillborn(ring, events, events_max);
    return count + ring_take_completions(ring, events + count, events_max - count);
}

static void ring_lend_return(struct io *io, struct buf *buf)
{
    recv_ring_return(&ring_of(io)->recv, buf);
}

static bool ring_memory_register(struct io *io, void *memory, uint64_t bytes)
{
    struct io_ring *ring = ring_of(io);
    const struct iovec whole = {.iov_base = memory, .iov_len = bytes};
    WEFT_ASSERT(ring->registered == NULL);
    if (!ring->zero_copy || io_uring_register_buffers(&ring->ring, &whole, 1) != 0) {
        return false;
    }
    ring->registered = memory;
    ring->registered_bytes = bytes;
    return true;
}

static void ring_wake(struct io *io)
{
    uint64_t one = 1;
    ssize_t written = write(ring_of(io)->wake_socket, &one, sizeof one);
    (void)written; /* a full counter means that a wake is pending already */
}

static int32_t ring_pollable(struct io *io)
{
    return ring_of(io)->pollable.set;
}

static void ring_rest(struct io *io, uint64_t deadline_ns)
{
    struct io_ring *ring = ring_of(io);
    ring_clear_wakes(ring);
    atomic_thread_fence(memory_order_seq_cst); /* a completion that comes from here on makes the set readable again */
    io_pollable_arm(&ring->pollable, io->backend->now_ns(io), ring_idle(io) ? deadline_ns : 0);
}

/* Completions and wakes make one eventfd readable, and that, or the timer, the set. */
static enum weft_err ring_open_pollable(struct io_ring *ring, struct weft_error *why)
{
    int result = io_uring_register_eventfd(&ring->ring, ring->wake_socket);
    if (result < 0) {
        return weft_error_set_errno(why, WEFT_ERR_UNSUPPORTED, -result, "io_uring: registering the eventfd");
    }
    int set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "epoll_create1");
    }
    struct epoll_event interest = {.events = EPOLLIN};
    enum weft_err err = WEFT_OK;
    if (epoll_ctl(set, EPOLL_CTL_ADD, ring->wake_socket, &interest) != 0) {
        err = weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "epoll: watching the eventfd");
    }
    if (err == WEFT_OK) {
        err = io_pollable_open(&ring->pollable, set, 0, why);
    }
    if (err != WEFT_OK) {
        close(set);
    }
    return err;
}

static int ring_init(struct io_ring *ring, uint32_t entries, uint32_t *features)
{
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                   IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = entries * 4;
    int result = io_uring_queue_init_params(entries, &ring->ring, &params);
    *features = params.features;
    return result;
}

/* A ring with its receive buffers registered; or -errno, and there is none. */
static int ring_try(struct io_ring *ring, uint32_t entries)
{
    uint32_t features;
    int result = ring_init(ring, entries, &features);
    if (result < 0) {
        return result;
    }
    ring->zero_copy = (features & FEAT_REG_REG_RING) != 0;
    result = recv_ring_register(&ring->recv, &ring->ring, (features & FEAT_RECVSEND_BUNDLE) != 0);
    if (result < 0) {
        io_uring_queue_exit(&ring->ring);
    }
    return result;
}

static enum weft_err ring_open_queue(struct io_ring *ring, const struct io_options *options, struct weft_error *why)
{
    uint32_t entries = SUBMISSIONS_MIN;
    while (entries < options->operations_max && entries < SUBMISSIONS_MAX) {
        entries *= 2;
    }
    ring->io.queue_wanted = entries;
    int result = ring_try(ring, entries);
    while (result == -ENOMEM && entries > SUBMISSIONS_MIN) {
        entries /= 2; /* little memory may be locked here: a smaller queue is only submitted more often */
        result = ring_try(ring, entries);
    }
    if (result < 0) {
        char text[256];
        enum weft_err err = io_uring_probe(text, sizeof text);
        return weft_error_set_errno(why, WEFT_ERR_UNSUPPORTED, -result, "io_uring: %s",
                                    err != WEFT_OK ? text : "opening the ring");
    }
    ring->io.queue_entries = entries;
    ring->open = true;
    io_uring_ring_dontfork(&ring->ring);
    io_uring_register_ring_fd(&ring->ring); /* saves a lookup per enter; nothing is lost if it fails */
    return WEFT_OK;
}

static void ring_close(struct io *io)
{
    struct io_ring *ring = ring_of(io);
    WEFT_ASSERT(list_empty(&ring->io.queued));
    if (ring->open) {
        io_uring_queue_exit(&ring->ring); /* ends the wake-up read; nothing writes to the receive buffers any more */
    }
    recv_ring_fini(&ring->recv);
    if (ring_is_pollable(ring)) {
        close(ring->pollable.set);
    }
    io_pollable_close(&ring->pollable);
    close(ring->wake_socket);
    heap_drop(ring->allocator, ring, sizeof *ring);
}

static enum weft_err ring_open(void *host, const struct io_options *options, struct io **io, struct weft_error *why)
{
    (void)host;
    struct io_ring *ring = heap_make(options->allocator, sizeof *ring);
    if (ring == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a ring");
    }
    io_init(&ring->io, &io_uring_backend);
    ring->allocator = options->allocator;
    ring->io.clock = options->clock;
    list_init(&ring->stillborn);
    ring->busy_poll = options->busy_poll;
    ring->io.never_sleeps = options->busy_poll && !options->pollable;
    io_pollable_init(&ring->pollable);
    ring->wake_socket = eventfd(0, EFD_CLOEXEC | (options->pollable ? EFD_NONBLOCK : 0));
    if (ring->wake_socket < 0) {
        enum weft_err err = weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "eventfd");
        heap_drop(options->allocator, ring, sizeof *ring);
        return err;
    }
    enum weft_err err =
        recv_ring_init(&ring->recv, options->allocator, options->recv_bufs, options->recv_buf_bytes, why);
    if (err == WEFT_OK) {
        err = ring_open_queue(ring, options, why);
    }
    if (err == WEFT_OK && options->pollable) {
        err = ring_open_pollable(ring, why);
    }
    if (err != WEFT_OK) {
        ring_close(&ring->io);
        return err;
    }
    *io = &ring->io;
    return WEFT_OK;
}

static void ring_entropy(struct io *io, void *to, uint32_t bytes)
{
    (void)io;
    socket_entropy(to, bytes);
}

static enum weft_err ring_listen(void *host, const struct address *address, uint32_t count, int32_t *sockets,
                                 bool *steered, struct weft_error *why)
{
    (void)host;
    WEFT_TRY(socket_listen(address, count, sockets, steered, why));
    for (uint32_t i = 0; i < count; i++) {
        ring_make_waiting(sockets[i]);
    }
    return WEFT_OK;
}

static void ring_port_range(void *host, struct landing_range *range)
{
    (void)host;
    socket_port_range(range);
}

static void ring_socket_close(void *host, int32_t socket)
{
    (void)host;
    close(socket);
}

const struct io_backend io_uring_backend = {
    .name = "io_uring",
    .listen = ring_listen,
    .port_range = ring_port_range,
    .socket_close = ring_socket_close,
    .open = ring_open,
    .close = ring_close,
    .wait = ring_wait,
    .idle = ring_idle,
    .lend_return = ring_lend_return,
    .memory_register = ring_memory_register,
    .wake = ring_wake,
    .pollable = ring_pollable,
    .rest = ring_rest,
    .now_ns = io_monotonic_ns,
    .wall_ns = io_wall_ns,
    .entropy = ring_entropy,
};
