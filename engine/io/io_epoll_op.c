/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the epoll backend, from start to last event.
 *
 * Happy path: an operation is tried at once where that can succeed (send, connect, shutdown, close), or waits in its
 * socket's entry until the socket is ready (receive, accept, and what said EAGAIN).
 *
 * The bytes of a buffer are untouchable for us while the kernel has it, and ASan also guards libc's send and recv; so
 * these two are system calls without libc's wrapper.
 *
 * Failure modes: the error of a call is the result of its operation; a connection that died before it was accepted is
 * nobody's error. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/io/io_epoll.h"
#include "engine/io/socket.h"

/* Buffers that one socket may fill per wait: 4 x 16 KiB keep a bulk stream near its full speed, and leave the turn to
 * the others. */
#define RECVS_PER_WAIT 4u
/* Connections that one listener accepts per wait. */
#define ACCEPTS_PER_WAIT 16u

static struct io_event *epoll_emit(struct io_epoll *epoll, struct io_op *op, int32_t result, bool more)
{
    WEFT_ASSERT(epoll_has_room(epoll));
    struct io_event *event = &epoll->events[epoll->events_count++];
    memset(event, 0, sizeof *event);
    event->op = op;
    event->result = result;
    event->more = more;
    return event;
}

/* Make epoll watch a socket, if it does not yet; 0 or -errno. */
static int32_t watch(struct io_epoll *epoll, struct epoll_socket *socket, int32_t number)
{
    if (socket->registered) {
        return 0;
    }
    struct epoll_event interest = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.u64 = epoll_socket_tag(socket, number),
    };
    epoll->io.counters.enters++;
    if (epoll_ctl(epoll->poller, EPOLL_CTL_ADD, number, &interest) != 0) {
        return -errno;
    }
    socket->registered = true;
    return 0;
}

/* A listener is closed behind our back, from any thread; so epoll forgets it as soon as no ACCEPT is armed. */
static void unwatch(struct io_epoll *epoll, struct epoll_socket *socket, int32_t number)
{
    epoll->io.counters.enters++;
    epoll_ctl(epoll->poller, EPOLL_CTL_DEL, number, NULL);
    epoll_socket_forget(socket);
}

static void ready_push(struct io_epoll *epoll, struct epoll_socket *socket)
{
    if (epoll_socket_runnable(socket) && !list_node_linked(&socket->ready)) {
        list_push_back(&epoll->ready, &socket->ready);
    }
}

/* RECV, LAND and ACCEPT: wait in the socket's entry. */
static void reader_start(struct io_epoll *epoll, struct io_op *op)
{
    struct epoll_socket *socket = epoll_socket_find(epoll, op->socket);
    if (op->kind == IO_LAND) {
        uint32_t bytes;
        (void)io_land_prepare(op, &bytes);
    }
    int32_t result = socket == NULL ? -EMFILE : watch(epoll, socket, op->socket);
    if (result < 0) {
        epoll_emit(epoll, op, result, false);
        return;
    }
    WEFT_ASSERT(socket->reader == NULL);
    socket->reader = op;
    ready_push(epoll, socket);
}

static int32_t send_try(struct io_epoll *epoll, struct io_op *op)
{
    long sent;
    do {
        epoll->io.counters.enters++;
        if (op->send.count == 1) {
            sent = syscall(SYS_sendto, op->socket, op->send.iov[0].iov_base, op->send.iov[0].iov_len,
                           MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
        } else {
            sent = syscall(SYS_sendmsg, op->socket, &op->send.message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? (int32_t)sent : -errno;
}

static void send_start(struct io_epoll *epoll, struct io_op *op)
{
    struct epoll_socket *socket = epoll_socket_find(epoll, op->socket);
    (void)io_send_prepare(op);
    int32_t result = socket == NULL ? -EMFILE : send_try(epoll, op);
    if (result == -EAGAIN) {
        WEFT_ASSERT(socket != NULL);
        WEFT_ASSERT(socket->writer == NULL);
        /* An edge that was reported before is used up; one that comes between the call and here is still to be
         * reported. */
        socket->writable = false;
        int32_t watched = watch(epoll, socket, op->socket);
        if (watched == 0) {
            socket->writer = op;
            return;
        }
        result = watched;
    }
    epoll_emit(epoll, op, result, false);
}

static void connect_end(struct io_epoll *epoll, struct io_op *op, int32_t result)
{
    if (result < 0 && op->socket >= 0) {
        struct epoll_socket *socket = epoll_socket_find(epoll, op->socket);
        close(op->socket);
        op->socket = IO_SOCKET_NONE;
        if (socket != NULL) {
            epoll_socket_forget(socket);
        }
    }
    epoll_emit(epoll, op, result, false);
}

static void connect_start(struct io_epoll *epoll, struct io_op *op)
{
    const struct socket_dial dial = {&op->connect.remote, &op->connect.local, op->connect.options,
                                     op->connect.source_pair};
    op->socket = socket_dial(&dial);
    epoll->io.counters.enters++;
    if (op->socket < 0) {
        int32_t result = op->socket;
        op->socket = IO_SOCKET_NONE;
        connect_end(epoll, op, result);
        return;
    }
    struct epoll_socket *socket = epoll_socket_find(epoll, op->socket);
    if (socket == NULL) {
        connect_end(epoll, op, -EMFILE);
        return;
    }
    epoll_socket_forget(socket);
    uint32_t bytes = address_to_system(&op->connect.remote, &op->connect.storage);
    epoll->io.counters.enters++;
    if (connect(op->socket, (const struct sockaddr *)&op->connect.storage, bytes) == 0) {
        connect_end(epoll, op, op->socket);
        return;
    }
    int32_t result = -errno;
    /* A signal does not end the attempt either. */
    if (result == -EINPROGRESS || result == -EINTR) {
        result = watch(epoll, socket, op->socket);
    }
    if (result < 0) {
        connect_end(epoll, op, result);
        return;
    }
    socket->writer = op;
}

static void shutdown_start(struct io_epoll *epoll, struct io_op *op)
{
    epoll->io.counters.enters++;
    int32_t result = shutdown(op->socket, SHUT_WR) == 0 ? 0 : -errno;
    epoll_emit(epoll, op, result, false);
}

static void close_start(struct io_epoll *epoll, struct io_op *op)
{
    struct epoll_socket *socket = epoll_socket_find(epoll, op->socket);
    if (socket != NULL) {
        epoll_socket_forget(socket);
    }
    if (op->close.reset) {
        socket_reset_at_close(op->socket);
    }
    epoll->io.counters.enters++;
    /* Linux has closed it when it reports EINTR. */
    int32_t result = close(op->socket) == 0 || errno == EINTR ? 0 : -errno;
    epoll_emit(epoll, op, result, false);
}

void epoll_op_start(struct io_epoll *epoll, struct io_op *op)
{
    WEFT_ASSERT(op->state == IO_QUEUED);
    op->state = IO_IN_FLIGHT;
    epoll->io.counters.operations++;
    switch ((enum io_kind)op->kind) {
    case IO_ACCEPT:
    case IO_RECV:
    case IO_LAND:
        reader_start(epoll, op);
        break;
    case IO_CONNECT:
        connect_start(epoll, op);
        break;
    case IO_SEND:
        send_start(epoll, op);
        break;
    case IO_SHUTDOWN:
        shutdown_start(epoll, op);
        break;
    case IO_CLOSE:
        close_start(epoll, op);
        break;
    case IO_KIND_COUNT:
    default:
        WEFT_ASSERT(false);
        break;
    }
}

void epoll_op_cancel(struct io_epoll *epoll, struct io_op *op)
{
    WEFT_ASSERT(op->cancel_asked);
    if (op->state == IO_QUEUED) {
        epoll_emit(epoll, op, -ECANCELED, false);
        return;
    }
    /* Whatever is in flight waits in its socket's entry: the rest ended when it started. */
    struct epoll_socket *socket = epoll_socket_find(epoll, op->socket);
    WEFT_ASSERT(socket != NULL);
    WEFT_ASSERT(socket->reader == op || socket->writer == op);
    if (socket->reader == op) {
        socket->reader = NULL;
    } else {
        socket->writer = NULL;
    }
    if (!epoll_socket_runnable(socket)) {
        list_remove(&socket->ready);
    }
    if (op->kind == IO_CONNECT) {
        connect_end(epoll, op, -ECANCELED);
        return;
    }
    if (op->kind == IO_ACCEPT) {
        unwatch(epoll, socket, op->socket);
    }
    epoll_emit(epoll, op, -ECANCELED, false);
}

static int32_t recv_call(struct io_epoll *epoll, int32_t number, uint8_t *to, uint32_t bytes)
{
    long got;
    do {
        epoll->io.counters.enters++;
        got = syscall(SYS_recvfrom, number, to, (size_t)bytes, MSG_DONTWAIT, NULL, NULL);
    } while (got < 0 && errno == EINTR);
    return got >= 0 ? (int32_t)got : -errno;
}

static int32_t recv_try(struct io_epoll *epoll, int32_t number, struct buf *buf)
{
    buf_to_kernel(buf, BUF_KERNEL_WRITES);
    int32_t result = recv_call(epoll, number, buf->data, buf->bytes_max);
    buf_from_kernel(buf);
    return result;
}

static void recv_end(struct io_epoll *epoll, struct epoll_socket *socket, int32_t result)
{
    struct io_op *op = socket->reader;
    socket->reader = NULL;
    epoll_emit(epoll, op, result, false);
}

/* What is not data.  If data was handed out in this wait, the end follows in the next one, for which the socket stays
 * ready: end of stream and want of buffers show again by themselves, an error is told by the kernel only once. */
static void recv_stopped(struct io_epoll *epoll, struct epoll_socket *socket, int32_t result, bool after_data)
{
    if (result == -EAGAIN) {
        socket->readable = false;
    } else if (!after_data) {
        recv_end(epoll, socket, result);
    } else if (result != -ENOBUFS) {
        socket->error = result;
    }
}

static void recv_drive(struct io_epoll *epoll, struct epoll_socket *socket)
{
    struct io_op *op = socket->reader;
    bool more = !op->recv.once;
    for (uint32_t i = 0; i < (more ? RECVS_PER_WAIT : 1) && epoll_has_room(epoll); i++) {
        struct buf *buf = buf_take(&epoll->recv_pool, op);
        if (buf == NULL) {
            recv_stopped(epoll, socket, -ENOBUFS, i > 0);
            return;
        }
        int32_t result = recv_try(epoll, op->socket, buf);
        if (result <= 0) {
            buf_give_back(&epoll->recv_pool, buf);
            recv_stopped(epoll, socket, result, i > 0);
            return;
        }
        bool full = (uint32_t)result == buf->bytes_max;
        buf->end = (uint32_t)result;
        epoll_emit(epoll, op, result, more)->lent = buf;
        socket->reader = more ? op : NULL;
        /* What comes after a read that was not filled is a new edge, unless the end was announced already. */
        if (!full && !socket->hung) {
            socket->readable = false;
            return;
        }
    }
}

/* The buffer is the kernel's as long as the operation is in flight. */
static void land_drive(struct io_epoll *epoll, struct epoll_socket *socket)
{
    struct io_op *op = socket->reader;
    const struct buf *buf = op->land.buf;
    uint32_t room = buf_room(buf);
    int32_t result = recv_call(epoll, op->socket, buf->data + buf->end, room);
    if (result == -EAGAIN) {
        socket->readable = false;
        return;
    }
    if (result > 0 && (uint32_t)result < room && !socket->hung) {
        socket->readable = false; /* what comes now is a new edge */
    }
    recv_end(epoll, socket, result);
}

/* Errors of a connection that died while it waited to be accepted; the listener is fine. */
static bool accept_error_passes(int os_errno)
{
    switch (os_errno) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
        return true;
    default:
        return false;
    }
}

static void accept_end(struct io_epoll *epoll, struct epoll_socket *socket, int32_t result)
{
    struct io_op *op = socket->reader;
    socket->reader = NULL;
    unwatch(epoll, socket, op->socket);
    epoll_emit(epoll, op, result, false);
}

static void accept_drive(struct io_epoll *epoll, struct epoll_socket *socket)
{
    struct io_op *op = socket->reader;
    uint32_t count_before = epoll->events_count;
    for (uint32_t i = 0; i < ACCEPTS_PER_WAIT && epoll_has_room(epoll); i++) {
        struct sockaddr_storage storage;
        struct address from;
        socklen_t bytes = sizeof storage;
        epoll->io.counters.enters++;
        int32_t number = accept4(op->socket, (struct sockaddr *)&storage, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (number < 0) {
            if (errno == EAGAIN) {
                socket->readable = false;
                return;
            }
            if (accept_error_passes(errno)) {
                continue;
            }
            /* The next wait runs into the same error, and tells it alone. */
            if (epoll->events_count == count_before) {
                accept_end(epoll, socket, -errno);
            }
            return;
        }
        struct epoll_socket *accepted = epoll_socket_find(epoll, number);
        if (accepted == NULL) {
            close(number);
            if (epoll->events_count == count_before) {
                accept_end(epoll, socket, -EMFILE);
            }
            return;
        }
        if (!address_from_system(&from, &storage)) {
            close(number);
            continue;
        }
        epoll_socket_forget(accepted);
        socket_options_set(number, op->accept.options);
        epoll_emit(epoll, op, number, true)->from = from;
    }
}

static void writer_drive(struct io_epoll *epoll, struct epoll_socket *socket)
{
    struct io_op *op = socket->writer;
    if (op->kind == IO_CONNECT) {
        int os_errno = 0;
        socklen_t bytes = sizeof os_errno;
        socket->writer = NULL;
        epoll->io.counters.enters++;
        if (getsockopt(op->socket, SOL_SOCKET, SO_ERROR, &os_errno, &bytes) != 0) {
            os_errno = errno;
        }
        connect_end(epoll, op, os_errno == 0 ? op->socket : -os_errno);
        return;
    }
    int32_t result = send_try(epoll, op);
    if (result == -EAGAIN) {
        socket->writable = false;
        return;
    }
    socket->writer = NULL;
    epoll_emit(epoll, op, result, false);
}

void epoll_socket_drive(struct io_epoll *epoll, struct epoll_socket *socket)
{
    if (socket->writable && socket->writer != NULL) {
        writer_drive(epoll, socket);
    }
    if (socket->readable && socket->reader != NULL && epoll_has_room(epoll)) {
        if (socket->reader->kind == IO_ACCEPT) {
            accept_drive(epoll, socket);
        } else if (socket->error != 0) {
            int32_t error = socket->error;
            socket->error = 0;
            recv_end(epoll, socket, error);
        } else if (socket->reader->kind == IO_LAND) {
            land_drive(epoll, socket);
        } else {
            recv_drive(epoll, socket);
        }
    }
}
