/* SPDX-License-Identifier: Apache-2.0 */
/* The epoll backend: io.h's completions where io_uring is forbidden.
 *
 * Happy path: wait() ends what was cancelled, starts what was queued (a send usually ends right there), asks epoll
 * once, and lets ready sockets go on.  Each socket is registered once, edge-triggered, for reading and writing; what
 * epoll reported is remembered per socket until a call says EAGAIN, so a turn costs one epoll_wait and one call per
 * piece of data.  Nothing is allocated after open.
 *
 * An operation makes an event only while the caller has room for one: what does not fit stays as it is (queued, asked
 * to end, or ready), and makes the next wait not sleep.  The last event of an operation never shares a wait with an
 * earlier one of the same operation: it is idle from then on, and its owner, still at the earlier event, could free it.
 *
 * Failure modes: a socket whose number is beyond the table ends its operations with -EMFILE; a socket that epoll does
 * not take ends them with epoll's error; a kernel without epoll_pwait2 rounds timeouts up to milliseconds. */
#include "engine/io/io_epoll.h"

#include <errno.h>
#include <limits.h>
#include <linux/time_types.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/io/socket.h"

/* Table entries at most: 3 MiB of address space, touched as far as used; a node has at most some thousands of
 * connections. */
#define SOCKETS_MAX 65536u
/* The tags of the eventfd and of the timer; no socket has these numbers. */
#define WAKE_TAG UINT64_MAX
#define TIMER_TAG (UINT64_MAX - 1)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

static struct io_epoll *epoll_of(struct io *io)
{
    return WEFT_CONTAINER_OF(io, struct io_epoll, io);
}

struct epoll_socket *epoll_socket_find(struct io_epoll *epoll, int32_t number)
{
    if (number < 0 || (uint32_t)number >= epoll->sockets_count) {
        return NULL;
    }
    struct epoll_socket *socket = &epoll->sockets[number];
    if (socket->ready.next == NULL) {
        list_node_init(&socket->ready);
    }
    return socket;
}

void epoll_socket_forget(struct epoll_socket *socket)
{
    WEFT_ASSERT(socket->reader == NULL);
    WEFT_ASSERT(socket->writer == NULL);
    list_remove(&socket->ready);
    socket->generation++;
    socket->error = 0;
    socket->registered = false;
    socket->readable = false;
    socket->writable = false;
    socket->hung = false;
}

/* One system call; the number of reports, or -errno. */
static int32_t poller_ask(struct io_epoll *epoll, uint64_t timeout_ns)
{
    epoll->io.counters.enters++;
#if defined(SYS_epoll_pwait2)
    if (!epoll->coarse) {
        struct __kernel_timespec timeout = {
            .tv_sec = (long long)(timeout_ns / NS_PER_SECOND),
            .tv_nsec = (long long)(timeout_ns % NS_PER_SECOND),
        };
        long count = syscall(SYS_epoll_pwait2, epoll->poller, epoll->polled, (int)POLLED_MAX,
                             timeout_ns == IO_TIMEOUT_NEVER ? NULL : &timeout, NULL, (size_t)0);
        /* EPERM is how older seccomp profiles say that they do not know it. */
        if (count >= 0 || (errno != ENOSYS && errno != EPERM)) {
            return count >= 0 ? (int32_t)count : -errno;
        }
        epoll->coarse = true;
    }
#else
    epoll->coarse = true;
#endif
    int timeout_ms = -1;
    if (timeout_ns != IO_TIMEOUT_NEVER) {
        uint64_t rounded = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
        timeout_ms = rounded > INT_MAX ? INT_MAX : (int)rounded;
    }
    int count = epoll_wait(epoll->poller, epoll->polled, (int)POLLED_MAX, timeout_ms);
    return count >= 0 ? count : -errno;
}

static void report_note(struct io_epoll *epoll, const struct epoll_event *report)
{
    struct epoll_socket *socket = epoll_socket_find(epoll, (int32_t)(uint32_t)report->data.u64);
    WEFT_ASSERT(socket != NULL);
    if (socket->generation != (uint32_t)(report->data.u64 >> 32)) {
        return; /* of an earlier socket with this number */
    }
    bool hung = (report->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    socket->hung = socket->hung || hung;
    socket->readable = socket->readable || hung || (report->events & EPOLLIN) != 0;
    socket->writable = socket->writable || (report->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    if (epoll_socket_runnable(socket) && !list_node_linked(&socket->ready)) {
        list_push_back(&epoll->ready, &socket->ready);
    }
}

/* Take epoll's reports; true if wake was called, a signal came, or the time for which the host would have slept is
 * over. */
static bool poller_collect(struct io_epoll *epoll, uint64_t timeout_ns)
{
    bool woken = false;
    int32_t count = poller_ask(epoll, timeout_ns);
    if (count < 0) {
        WEFT_ASSERT(count == -EINTR);
        return true;
    }
    for (int32_t i = 0; i < count; i++) {
        if (epoll->polled[i].data.u64 >= TIMER_TAG) {
            woken = true;
        } else {
            report_note(epoll, &epoll->polled[i]);
        }
    }
    return woken;
}

static void cancels_end(struct io_epoll *epoll)
{
    struct list_node *node;
    while (epoll_has_room(epoll) && (node = list_pop_front(&epoll->io.cancels)) != NULL) {
        epoll_op_cancel(epoll, WEFT_CONTAINER_OF(node, struct io_op, link));
    }
}

/* Start queued operations until `events` events were made. */
static void queued_start(struct io_epoll *epoll, uint32_t events)
{
    struct list_node *node;
    while (epoll->events_count < events && (node = list_pop_front(&epoll->io.queued)) != NULL) {
        struct io_op *op = WEFT_CONTAINER_OF(node, struct io_op, link);
        if (op->cancel_asked) {
            epoll_op_cancel(epoll, op);
        } else {
            epoll_op_start(epoll, op);
        }
    }
}

/* Every ready socket gets one share; who did not get its turn comes first in the next one. */
static void ready_drive(struct io_epoll *epoll)
{
    struct list turn;
    struct list_node *node;
    list_init(&turn);
    list_splice_back(&turn, &epoll->ready);
    while (epoll_has_room(epoll) && (node = list_pop_front(&turn)) != NULL) {
        struct epoll_socket *socket = WEFT_CONTAINER_OF(node, struct epoll_socket, ready);
        epoll_socket_drive(epoll, socket);
        if (epoll_socket_runnable(socket)) {
            list_push_back(&epoll->ready, node);
        }
    }
    list_splice_back(&turn, &epoll->ready);
    list_splice_back(&epoll->ready, &turn);
}

static bool has_work(const struct io_epoll *epoll)
{
    return epoll->events_count > 0 || !list_empty(&epoll->io.queued) || !list_empty(&epoll->io.cancels) ||
           !list_empty(&epoll->ready);
}

/* Collect and drive until there is an event or a reason to return without one. */
static void epoll_look(struct io_epoll *epoll, uint64_t timeout_ns)
{
    uint64_t deadline_ns = IO_TIMEOUT_NEVER;
    bool sleeps = timeout_ns != 0 && !epoll->busy_poll;
    if (sleeps && timeout_ns != IO_TIMEOUT_NEVER && !has_work(epoll)) {
        uint64_t now_ns = socket_monotonic_ns();
        deadline_ns = timeout_ns < IO_TIMEOUT_NEVER - now_ns ? now_ns + timeout_ns : IO_TIMEOUT_NEVER;
    }
    for (;;) {
        bool woken = poller_collect(epoll, sleeps && !has_work(epoll) ? timeout_ns : 0);
        ready_drive(epoll);
        if (woken || !sleeps || has_work(epoll)) {
            return;
        }
        /* A report may turn out to be nothing; the rest of the time is still to be slept. */
        if (deadline_ns != IO_TIMEOUT_NEVER) {
            uint64_t now_ns = socket_monotonic_ns();
            if (now_ns >= deadline_ns) {
                return;
            }
            timeout_ns = deadline_ns - now_ns;
        }
    }
}

static uint32_t epoll_backend_wait(struct io *io, uint64_t timeout_ns, struct io_event *events, uint32_t events_max)
{
    struct io_epoll *epoll = epoll_of(io);
    WEFT_ASSERT(events_max > 0);
    epoll->events = events;
    epoll->events_count = 0;
    epoll->events_max = events_max;
    cancels_end(epoll);
    /* Half of the room is for what came in: sends that are queued again and again must not starve the receives. */
    queued_start(epoll, events_max - events_max / 2);
    if (epoll_has_room(epoll)) {
        epoll_look(epoll, timeout_ns);
        queued_start(epoll, events_max);
    }
    return epoll->events_count;
}

static void epoll_lend_return(struct io *io, struct buf *buf)
{
    buf_give_back(&epoll_of(io)->recv_pool, buf);
}

static void epoll_wake(struct io *io)
{
    /* Every write is an edge, so nobody has to read the counter; 2^64 wakes do not happen. */
    uint64_t one = 1;
    ssize_t written = write(epoll_of(io)->wake_socket, &one, sizeof one);
    WEFT_ASSERT(written == (ssize_t)sizeof one);
}

static int32_t epoll_pollable(struct io *io)
{
    return epoll_of(io)->pollable.set;
}

static void epoll_rest(struct io *io, uint64_t deadline_ns)
{
    struct io_epoll *epoll = epoll_of(io);
    bool idle = list_empty(&io->queued) && list_empty(&io->cancels) && list_empty(&epoll->ready);
    io_pollable_arm(&epoll->pollable, io->backend->now_ns(io), idle ? deadline_ns : 0);
}

static enum weft_err table_open(struct io_epoll *epoll, struct weft_error *why)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "epoll: asking for the limit of file descriptors");
    }
    uint32_t count = limit.rlim_cur < SOCKETS_MAX ? (uint32_t)limit.rlim_cur : SOCKETS_MAX;
    void *memory = mapping_make(epoll->allocator, count * sizeof(struct epoll_socket));
    if (memory == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "epoll: no memory for a table of %u sockets", count);
    }
    epoll->sockets = memory;
    epoll->sockets_count = count;
    return WEFT_OK;
}

static enum weft_err poller_open(struct io_epoll *epoll, struct weft_error *why)
{
    epoll->poller = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->poller < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "epoll_create1");
    }
    epoll->wake_socket = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (epoll->wake_socket < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "eventfd");
    }
    struct epoll_event interest = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_TAG};
    if (epoll_ctl(epoll->poller, EPOLL_CTL_ADD, epoll->wake_socket, &interest) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "epoll: watching the eventfd");
    }
    return WEFT_OK;
}

/* Also takes back what a failed open left. */
static void epoll_close(struct io *io)
{
    struct io_epoll *epoll = epoll_of(io);
    WEFT_ASSERT(list_empty(&io->queued));
    WEFT_ASSERT(list_empty(&io->cancels));
    WEFT_ASSERT(list_empty(&epoll->ready));
    io_pollable_close(&epoll->pollable);
    if (epoll->wake_socket >= 0) {
        close(epoll->wake_socket);
    }
    if (epoll->poller >= 0) {
        close(epoll->poller);
    }
    if (epoll->sockets != NULL) {
        mapping_drop(epoll->allocator, epoll->sockets, epoll->sockets_count * sizeof(struct epoll_socket));
    }
    buf_pool_fini(&epoll->recv_pool);
    heap_drop(epoll->allocator, epoll, sizeof *epoll);
}

static enum weft_err epoll_open(void *host, const struct io_options *options, struct io **io, struct weft_error *why)
{
    (void)host;
    struct io_epoll *epoll = heap_make(options->allocator, sizeof *epoll);
    if (epoll == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "epoll: no memory for its state");
    }
    io_init(&epoll->io, &io_epoll_backend);
    epoll->allocator = options->allocator;
    epoll->io.clock = options->clock;
    list_init(&epoll->ready);
    epoll->busy_poll = options->busy_poll;
    epoll->poller = IO_SOCKET_NONE;
    epoll->wake_socket = IO_SOCKET_NONE;
    io_pollable_init(&epoll->pollable);
    enum weft_err err = poller_open(epoll, why);
    if (err == WEFT_OK && options->pollable) {
        err = io_pollable_open(&epoll->pollable, epoll->poller, TIMER_TAG, why);
    }
    if (err == WEFT_OK) {
        err = table_open(epoll, why);
    }
    if (err == WEFT_OK) {
        err = buf_pool_init(&epoll->recv_pool, options->allocator, options->recv_bufs, options->recv_buf_bytes);
        if (err != WEFT_OK) {
            weft_error_set(why, err, "epoll: no memory for %u receive buffers of %u bytes", options->recv_bufs,
                           options->recv_buf_bytes);
        }
    }
    if (err != WEFT_OK) {
        epoll_close(&epoll->io);
        return err;
    }
    *io = &epoll->io;
    return WEFT_OK;
}

static void epoll_entropy(struct io *io, void *to, uint32_t bytes)
{
    (void)io;
    socket_entropy(to, bytes);
}

static enum weft_err epoll_listen(void *host, const struct address *address, uint32_t count, int32_t *sockets,
                                  bool *steered, struct weft_error *why)
{
    (void)host;
    return socket_listen(address, count, sockets, steered, why);
}

static void epoll_port_range(void *host, struct landing_range *range)
{
    (void)host;
    socket_port_range(range);
}

static void epoll_socket_close(void *host, int32_t socket)
{
    (void)host;
    close(socket);
}

const struct io_backend io_epoll_backend = {
    .name = "epoll",
    .listen = epoll_listen,
    .port_range = epoll_port_range,
    .socket_close = epoll_socket_close,
    .open = epoll_open,
    .close = epoll_close,
    .wait = epoll_backend_wait,
    .lend_return = epoll_lend_return,
    .wake = epoll_wake,
    .pollable = epoll_pollable,
    .rest = epoll_rest,
    .now_ns = io_monotonic_ns,
    .wall_ns = io_wall_ns,
    .entropy = epoll_entropy,
};
