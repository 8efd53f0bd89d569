/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the io_uring backend: its state, shared by the files io_uring*.c and nobody else. */
#ifndef ENGINE_IO_IO_URING_H
#define ENGINE_IO_IO_URING_H

#include <liburing.h>

#include "engine/io/io.h"
#include "engine/io/io_pollable.h"
#include "engine/io/recv_ring.h"

struct io_ring {
    struct io io;
    struct io_uring ring;
    struct recv_ring recv;
    bool open;
    struct list stillborn; /* operations that failed before the kernel saw them */
    int wake_socket;       /* eventfd */
    uint64_t wake_value;   /* read target of the eventfd */
    bool wake_armed;
    bool busy_poll;
    bool zero_copy;      /* the kernel sends without a copy, and says whether it did */
    uint8_t *registered; /* memory that the kernel knows as buffer 0; NULL: none */
    uint64_t registered_bytes;
    const struct weft_allocator *allocator; /* of this struct */
    struct io_pollable pollable;            /* set < 0: this shard sleeps in the kernel's queue */
};

static inline struct io_ring *ring_of(struct io *io)
{
    return WEFT_CONTAINER_OF(io, struct io_ring, io);
}

static inline bool ring_is_pollable(const struct io_ring *ring)
{
    return ring->pollable.set >= 0;
}

/* Room for one more; a full queue is submitted on the spot. */
struct io_uring_sqe *ring_sqe(struct io_ring *ring);
/* Fails an operation that the kernel will never see; the event follows from wait. */
void ring_stillborn(struct io_ring *ring, struct io_op *op, int32_t result);
/* Queue what starts an operation, or asks for its end. */
void ring_start(struct io_ring *ring, struct io_op *op);
void ring_start_cancel(struct io_ring *ring, struct io_op *op);
/* The event that a completion of an operation means; of a receive into several buffers the first, and the rest is with
 * recv_ring.h. */
void ring_translate(struct io_ring *ring, const struct io_uring_cqe *cqe, struct io_event *event);
/* The kernel must wait for this socket, not tell us to. */
void ring_make_waiting(int32_t socket);

#endif
