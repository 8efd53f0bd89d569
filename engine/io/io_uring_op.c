/* SPDX-License-Identifier: Apache-2.0 */
/* Operations as submissions, and completions as events.
 *
 * user_data is the operation's address with the low 16 bits of its generation on top, so that a completion that names
 * another submission than the last is a bug that shows.
 *
 * Failure modes: a full submission queue is submitted on the spot and refilled; an operation that cannot even be
 * prepared (a dial without a socket) becomes an event at once, by way of the `stillborn` list. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include "engine/io/io_uring.h"
#include "engine/io/io_uring_kernel.h"
#include "engine/io/socket.h"

#define GENERATION_SHIFT 48

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

struct io_uring_sqe *ring_sqe(struct io_ring *ring)
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
void ring_stillborn(struct io_ring *ring, struct io_op *op, int32_t result)
{
    op->state = IO_QUEUED;
    op->socket = result;
    list_push_back(&ring->stillborn, &op->link);
}

/* The kernel must wait for this socket, not tell us to: O_NONBLOCK would turn "not yet" into -EAGAIN. */
void ring_make_waiting(int32_t socket)
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
    recv_ring_prepare(&ring->recv, sqe, op);
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

void ring_start(struct io_ring *ring, struct io_op *op)
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

void ring_start_cancel(struct io_ring *ring, struct io_op *op)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_cancel64(sqe, tag_of(op), 0);
    io_uring_sqe_set_data64(sqe, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
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

void ring_translate(struct io_ring *ring, const struct io_uring_cqe *cqe, struct io_event *event)
{
    struct io_op *op = op_of(cqe->user_data);
    event->op = op;
    event->result = cqe->res;
    event->more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    event->copied = false;
    event->lent = NULL;
    if (op->kind == IO_RECV) {
        op->recv.hungry = cqe->res == -ENOBUFS;
        if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
            recv_ring_filled(&ring->recv, op, cqe, event);
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
