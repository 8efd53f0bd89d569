/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the epoll backend: its state, shared by the files io_epoll*.c and nobody else. */
#ifndef ENGINE_IO_IO_EPOLL_H
#define ENGINE_IO_IO_EPOLL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "engine/base/buf.h"
#include "engine/base/list.h"
#include "engine/io/io.h"
#include "engine/io/io_pollable.h"

/* Readiness reports taken per wait: as many as a turn takes completions. */
#define POLLED_MAX TURN_COMPLETIONS_MAX

/* What is known about one socket; the table's index is the socket.  Zeroed memory is an unknown socket. */
struct epoll_socket {
    struct list_node ready; /* in io_epoll.ready while an operation could go on */
    struct io_op *reader;   /* the armed RECV or ACCEPT */
    struct io_op *writer;   /* the SEND or CONNECT that waits for room */
    uint32_t generation;    /* counts uses of the socket's number: older readiness reports are not for us */
    int32_t error;          /* -errno that ended the receiving, and waits for the next wait to be told */
    bool registered;        /* epoll watches it, edge-triggered, for everything: once in a socket's life */
    bool readable;          /* reported, and not used up yet */
    bool writable;
    bool hung; /* end or error was reported: there is no further report, so reading goes on to the end */
};

struct io_epoll {
    struct io io;
    struct buf_pool recv_pool;
    struct list ready;
    const struct weft_allocator *allocator; /* of this struct and the sockets */
    struct epoll_socket *sockets;           /* a lazily touched mapping */
    uint32_t sockets_count;
    int32_t poller;
    int32_t wake_socket; /* eventfd */
    bool busy_poll;
    struct io_pollable pollable; /* its set is the poller; set < 0: this shard sleeps in wait */
    bool coarse;                 /* the kernel has no epoll_pwait2: milliseconds must do */
    /* Where the running wait puts its events. */
    struct io_event *events;
    uint32_t events_count;
    uint32_t events_max;
    struct epoll_event polled[POLLED_MAX];
};

static inline bool epoll_has_room(const struct io_epoll *epoll)
{
    return epoll->events_count < epoll->events_max;
}

static inline uint64_t epoll_socket_tag(const struct epoll_socket *socket, int32_t number)
{
    return (uint64_t)socket->generation << 32 | (uint32_t)number;
}

static inline bool epoll_socket_runnable(const struct epoll_socket *socket)
{
    return (socket->readable && socket->reader != NULL) || (socket->writable && socket->writer != NULL);
}

/* The table's entry; NULL for a number outside of it. */
struct epoll_socket *epoll_socket_find(struct io_epoll *epoll, int32_t number);
/* Forget everything about a number that is, or was, another socket.  No operation may use it. */
void epoll_socket_forget(struct epoll_socket *socket);

/* Start a queued operation that was taken from its list.  There is room for one event. */
void epoll_op_start(struct io_epoll *epoll, struct io_op *op);
/* End an operation because it was asked.  There is room for one event. */
void epoll_op_cancel(struct io_epoll *epoll, struct io_op *op);
/* Let a ready socket's operations go on, within their share of a turn and the room for events. */
void epoll_socket_drive(struct io_epoll *epoll, struct epoll_socket *socket);

#endif
