/* SPDX-License-Identifier: Apache-2.0 */
/* The io_uring backend: one ring per shard, one io_uring_enter per turn.
 *
 * Happy path: wait() turns the queued operations into SQEs, enters the kernel once to submit them and to wait, and
 * translates CQEs into events.  Receiving is multishot from a ring of provided buffers, accepting is multishot.
 *
 * user_data is the operation's address with the low 16 bits of its generation on top; 0 marks our own housekeeping
 * (cancels, the wake-up read), whose results nobody waits for.
 *
 * Failure modes: a full submission queue is submitted on the spot and refilled; an operation that cannot even be
 * prepared (a dial without a socket) becomes an event at once, by way of the `stillborn` list. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/io/io.h"
#include "engine/io/io_pollable.h"
#include "engine/io/io_uring_probe.h"
#include "engine/io/socket.h"

#define GENERATION_SHIFT 48
#define RECV_GROUP 0
#define WAKE_TAG 2u
/* Of kernels after liburing 2.3: say of each send without a copy whether it was one (Linux 6.2), and a feature by which
 * such kernels are known (6.3). */
#define SEND_ZC_REPORT_USAGE (1u << 3)
#define NOTIF_USAGE_ZC_COPIED (1u << 31)
#define FEAT_REG_REG_RING (1u << 13)
#define SUBMISSIONS_MIN 64u
#define SUBMISSIONS_MAX 1024u

struct io_ring {
    struct io io;
    struct io_uring ring;
    struct buf_pool recv_pool;
    struct io_uring_buf_ring *recv_ring;
    uint64_t recv_ring_bytes;
    bool open;
    struct list stillborn; /* operations that failed before the kernel saw them */
    int wake_socket;       /* eventfd */
    uint64_t wake_value;   /* read target of the eventfd */
    bool wake_armed;
    bool busy_poll;
    bool zero_copy;      /* the kernel sends without a copy, and says whether it did */
    uint8_t *registered; /* memory that the kernel knows as buffer 0; NULL: none */
    uint64_t registered_bytes;
    struct io_pollable pollable; /* set < 0: this shard sleeps in the kernel's queue */
};

static struct io_ring *ring_of(struct io *io)
{
    return WEFT_CONTAINER_OF(io, struct io_ring, io);
}

static bool ring_is_pollable(const struct io_ring *ring)
{
    return ring->pollable.set >= 0;
}

static uint64_t tag_of(const struct io_op *op)
{
    return (uint64_t)(uintptr_t)op | (uint64_t)(op->generation & 0xffffu) << GENERATION_SHIFT;
}

static struct io_op *op_of(uint64_t tag)
{
    struct io_op *op = (struct io_op *)(uintptr_t)(tag & ((UINT64_C(1) << GENERATION_SHIFT) - 1));
    WEFT_ASSERT((uint16_t)op->generation == (uint16_t)(tag >> GENERATION_SHIFT));
    return op;
}

static struct io_uring_sqe *ring_sqe(struct io_ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
    if (sqe == NULL) {
        ring->io.counters.enters++;
        io_uring_submit(&ring->ring);
        sqe = io_uring_get_sqe(&ring->ring);
        WEFT_ASSERT(sqe != NULL);
    }
    return sqe;
}

/* Fails an operation that the kernel will never see; the event follows from wait, and cancelling has nothing to do. */
static void ring_stillborn(struct io_ring *ring, struct io_op *op, int32_t result)
{
    op->state = IO_QUEUED;
    op->socket = result;
    list_push_back(&ring->stillborn, &op->link);
}

/* The kernel must wait for this socket, not tell us to: O_NONBLOCK would turn "not yet" into -EAGAIN. */
static void ring_make_waiting(int32_t socket)
{
    int flags = fcntl(socket, F_GETFL);
    fcntl(socket, F_SETFL, flags & ~O_NONBLOCK);
}

static void ring_start_connect(struct io_ring *ring, struct io_op *op)
{
    const struct socket_dial dial = {&op->connect.remote, &op->connect.local, op->connect.options,
                                     op->connect.source_pair};
    int32_t socket = socket_dial(&dial);
    if (socket < 0) {
        ring_stillborn(ring, op, socket);
        return;
    }
    op->socket = socket;
    ring_make_waiting(socket);
    uint32_t bytes = address_to_system(&op->connect.remote, &op->connect.storage);
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_connect(sqe, socket, (struct sockaddr *)&op->connect.storage, bytes);
    io_uring_sqe_set_data64(sqe, tag_of(op));
}

static bool ring_is_registered(const struct io_ring *ring, const struct iovec *iov)
{
    uint64_t offset = (uint64_t)((uintptr_t)iov->iov_base - (uintptr_t)ring->registered);
    return offset < ring->registered_bytes && iov->iov_len <= ring->registered_bytes - offset;
}

static void ring_start_zero_copy(struct io_ring *ring, struct io_op *op, struct io_uring_sqe *sqe)
{
    const struct iovec *iov = op->send.iov;
    if (op->send.count == 1 && ring_is_registered(ring, iov)) {
        ring->io.counters.registered++;
        io_uring_prep_send_zc_fixed(sqe, op->socket, iov->iov_base, iov->iov_len, MSG_NOSIGNAL | MSG_WAITALL, 0, 0);
    } else {
        io_uring_prep_sendmsg_zc(sqe, op->socket, &op->send.message, MSG_NOSIGNAL | MSG_WAITALL);
    }
    sqe->ioprio |= SEND_ZC_REPORT_USAGE;
}

static void ring_start_send(struct io_ring *ring, struct io_op *op)
{
    io_send_prepare(op);
    struct io_uring_sqe *sqe = ring_sqe(ring);
    if (WEFT_UNLIKELY(op->send.zero_copy && ring->zero_copy)) {
        ring_start_zero_copy(ring, op, sqe);
    } else if (op->send.count == 1) {
        io_uring_prep_send(sqe, op->socket, op->send.iov[0].iov_base, op->send.iov[0].iov_len,
                           MSG_NOSIGNAL | MSG_WAITALL);
    } else {
        io_uring_prep_sendmsg(sqe, op->socket, &op->send.message, MSG_NOSIGNAL | MSG_WAITALL);
    }
    io_uring_sqe_set_data64(sqe, tag_of(op));
}

static void ring_start_recv(struct io_ring *ring, struct io_op *op)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    if (op->recv.once) {
        io_uring_prep_recv(sqe, op->socket, NULL, ring->recv_pool.bufs[0].bytes_max, 0);
    } else {
        io_uring_prep_recv_multishot(sqe, op->socket, NULL, 0, 0);
    }
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = RECV_GROUP;
    io_uring_sqe_set_data64(sqe, tag_of(op));
}

static void ring_start_land(struct io_ring *ring, struct io_op *op)
{
    uint32_t bytes;
    uint8_t *to = io_land_prepare(op, &bytes);
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_recv(sqe, op->socket, to, bytes, 0);
    io_uring_sqe_set_data64(sqe, tag_of(op));
}

static void ring_start(struct io_ring *ring, struct io_op *op)
{
    struct io_uring_sqe *sqe;
    op->state = IO_IN_FLIGHT;
    ring->io.counters.operations++;
    switch ((enum io_kind)op->kind) {
    case IO_CONNECT:
        ring_start_connect(ring, op);
        return;
    case IO_SEND:
        ring_start_send(ring, op);
        return;
    case IO_ACCEPT:
        sqe = ring_sqe(ring);
        io_uring_prep_multishot_accept(sqe, op->socket, NULL, NULL, SOCK_CLOEXEC);
        break;
    case IO_RECV:
        ring_start_recv(ring, op);
        return;
    case IO_LAND:
        ring_start_land(ring, op);
        return;
    case IO_SHUTDOWN:
        sqe = ring_sqe(ring);
        io_uring_prep_shutdown(sqe, op->socket, SHUT_WR);
        break;
    case IO_CLOSE:
        if (op->close.reset) {
            socket_reset_at_close(op->socket);
        }
        sqe = ring_sqe(ring);
        io_uring_prep_close(sqe, op->socket);
        break;
    case IO_KIND_COUNT:
    default:
        WEFT_ASSERT(false);
        return;
    }
    io_uring_sqe_set_data64(sqe, tag_of(op));
}

static void ring_arm_wake(struct io_ring *ring)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_read(sqe, ring->wake_socket, &ring->wake_value, sizeof ring->wake_value, 0);
    io_uring_sqe_set_data64(sqe, WAKE_TAG);
    ring->wake_armed = true;
}

static void ring_prepare_turn(struct io_ring *ring)
{
    struct list_node *node;
    while ((node = list_pop_front(&ring->io.queued)) != NULL) {
        struct io_op *op = WEFT_CONTAINER_OF(node, struct io_op, link);
        if (op->cancel_asked) {
            ring_stillborn(ring, op, -ECANCELED);
        } else {
            ring_start(ring, op);
        }
    }
    while ((node = list_pop_front(&ring->io.cancels)) != NULL) {
        struct io_op *op = WEFT_CONTAINER_OF(node, struct io_op, link);
        struct io_uring_sqe *sqe = ring_sqe(ring);
        io_uring_prep_cancel64(sqe, tag_of(op), 0);
        io_uring_sqe_set_data64(sqe, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
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

static void ring_finish_connect(struct io_event *event)
{
    struct io_op *op = event->op;
    if (event->result == 0) {
        event->result = op->socket;
    } else {
        close(op->socket);
    }
}

static void ring_finish_accept(struct io_event *event)
{
    if (event->result >= 0 && !socket_accepted(event->result, event->op->accept.options, &event->from)) {
        close(event->result);
        event->result = -ECONNABORTED;
    }
}

static void ring_translate(struct io_ring *ring, const struct io_uring_cqe *cqe, struct io_event *event)
{
    struct io_op *op = op_of(cqe->user_data);
    event->op = op;
    event->result = cqe->res;
    event->more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    event->copied = false;
    event->lent = NULL;
    if (op->kind == IO_RECV) {
        if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
            struct buf *buf = &ring->recv_pool.bufs[cqe->flags >> IORING_CQE_BUFFER_SHIFT];
            buf_from_kernel(buf);
            buf->begin = 0;
            buf->end = cqe->res > 0 ? (uint32_t)cqe->res : 0;
            event->lent = buf;
            if (cqe->res <= 0) {
                io_lend_return(&ring->io, buf);
                event->lent = NULL;
            }
        }
    } else if (op->kind == IO_CONNECT) {
        ring_finish_connect(event);
    } else if (op->kind == IO_ACCEPT) {
        ring_finish_accept(event);
    } else if (WEFT_UNLIKELY((cqe->flags & IORING_CQE_F_NOTIF) != 0)) {
        event->result = 0;
        event->copied = ((uint32_t)cqe->res & NOTIF_USAGE_ZC_COPIED) != 0;
    }
}

static uint32_t ring_take_completions(struct io_ring *ring, struct io_event *events, uint32_t events_max)
{
    struct io_uring_cqe *cqe;
    uint32_t head;
    uint32_t seen = 0;
    uint32_t count = 0;
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
        }
    }
    io_uring_cq_advance(&ring->ring, seen);
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
           list_empty(&io->queued) && list_empty(&io->cancels);
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
    ring_prepare_turn(ring);
    timeout_ns = list_empty(&ring->stillborn) ? timeout_ns : 0;
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
    struct io_ring *ring = ring_of(io);
    buf_to_kernel(buf, BUF_KERNEL_WRITES);
    io_uring_buf_ring_add(ring->recv_ring, buf->data, buf->bytes_max, (unsigned short)buf->index,
                          io_uring_buf_ring_mask(ring->recv_pool.count), 0);
    io_uring_buf_ring_advance(ring->recv_ring, 1);
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

static enum weft_err ring_open_memory(struct io_ring *ring, const struct io_options *options, struct weft_error *why)
{
    if (buf_pool_init(&ring->recv_pool, options->recv_bufs, options->recv_buf_bytes) != WEFT_OK) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u receive buffers", options->recv_bufs);
    }
    ring->recv_ring_bytes = options->recv_bufs * sizeof(struct io_uring_buf);
    void *memory = mmap(NULL, ring->recv_ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return weft_error_set_errno(why, WEFT_ERR_NO_MEMORY, errno, "receive buffer ring");
    }
    ring->recv_ring = memory;
    io_uring_buf_ring_init(ring->recv_ring);
    return WEFT_OK;
}

static int ring_init(struct io_ring *ring, uint32_t entries)
{
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                   IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = entries * 4;
    int result = io_uring_queue_init_params(entries, &ring->ring, &params);
    ring->zero_copy = result >= 0 && (params.features & FEAT_REG_REG_RING) != 0;
    return result;
}

/* A ring with its receive buffers registered; or -errno, and there is none. */
static int ring_try(struct io_ring *ring, uint32_t entries, uint32_t recv_bufs)
{
    int result = ring_init(ring, entries);
    if (result < 0) {
        return result;
    }
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)ring->recv_ring, .ring_entries = recv_bufs, .bgid = RECV_GROUP};
    result = io_uring_register_buf_ring(&ring->ring, &registration, 0);
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
    int result = ring_try(ring, entries, options->recv_bufs);
    while (result == -ENOMEM && entries > SUBMISSIONS_MIN) {
        entries /= 2; /* little memory may be locked here: a smaller queue is only submitted more often */
        result = ring_try(ring, entries, options->recv_bufs);
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
    for (uint32_t i = 0; i < options->recv_bufs; i++) {
        ring_lend_return(&ring->io, buf_take(&ring->recv_pool, ring));
    }
    return WEFT_OK;
}

static void ring_close(struct io *io)
{
    struct io_ring *ring = ring_of(io);
    WEFT_ASSERT(list_empty(&ring->io.queued));
    if (ring->open) {
        io_uring_queue_exit(&ring->ring); /* ends the wake-up read; nothing writes to the receive buffers any more */
    }
    if (ring->recv_ring != NULL) {
        munmap(ring->recv_ring, ring->recv_ring_bytes);
    }
    for (uint32_t i = 0; i < ring->recv_pool.count; i++) {
        struct buf *buf = &ring->recv_pool.bufs[i];
        if (buf->state == BUF_KERNEL_WRITES) {
            buf_from_kernel(buf);
            buf_give_back(&ring->recv_pool, buf);
        }
    }
    buf_pool_fini(&ring->recv_pool);
    if (ring_is_pollable(ring)) {
        close(ring->pollable.set);
    }
    io_pollable_close(&ring->pollable);
    close(ring->wake_socket);
    free(ring);
}

static enum weft_err ring_open(void *host, const struct io_options *options, struct io **io, struct weft_error *why)
{
    (void)host;
    struct io_ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a ring");
    }
    io_init(&ring->io, &io_uring_backend);
    ring->io.clock = options->clock;
    list_init(&ring->stillborn);
    ring->busy_poll = options->busy_poll;
    ring->io.never_sleeps = options->busy_poll && !options->pollable;
    io_pollable_init(&ring->pollable);
    ring->wake_socket = eventfd(0, EFD_CLOEXEC | (options->pollable ? EFD_NONBLOCK : 0));
    if (ring->wake_socket < 0) {
        enum weft_err err = weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "eventfd");
        free(ring);
        return err;
    }
    enum weft_err err = ring_open_memory(ring, options, why);
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
