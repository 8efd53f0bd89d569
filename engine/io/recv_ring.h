/* SPDX-License-Identifier: Apache-2.0 */
/* The receive buffers of an io_uring: lent to the kernel as a ring, which it takes from in order, and by events to
 * whoever receives. */
#ifndef ENGINE_IO_RECV_RING_H
#define ENGINE_IO_RECV_RING_H

#include <liburing.h>

#include "engine/io/io.h"

struct recv_ring {
    struct buf_pool pool;
    struct io_uring_buf_ring *ring;
    uint16_t *order;  /* behind the ring: which buffer stands in each of its places */
    uint16_t *place;  /* of each buffer, the place where it was put last */
    uint64_t bytes;   /* of the mapping */
    uint32_t tail;    /* the next place */
    uint32_t offered; /* buffers that the kernel has, or filled without anybody having been told */
    uint32_t wanted;  /* so many it shall have */
    uint32_t taken;   /* results since the last recv_ring_settle */
    uint32_t most;    /* of them in one turn, since the wish was looked at */
    uint32_t settled; /* how often, since then */
    bool bundles;     /* one receive may fill several buffers */
    bool sparing;     /* it has as few as at first, whatever is wanted; as the io's */
    struct {
        struct io_op *op;
        uint32_t place; /* the next buffer of it */
        uint32_t bytes; /* left */
        bool more;      /* the operation stays armed */
        bool dry;       /* it does not, for want of buffers: that is told last */
    } rest;             /* of a receive that filled several buffers: they are told one by one */
};

WEFT_NODISCARD enum weft_err recv_ring_init(struct recv_ring *recv, const struct weft_allocator *allocator,
                                            uint32_t bufs, uint32_t buf_bytes, struct weft_error *why);
/* The kernel must not know the ring any more. */
void recv_ring_fini(struct recv_ring *recv);
/* Have the kernel receive into them.  @return 0, or -errno */
int recv_ring_register(struct recv_ring *recv, struct io_uring *ring, bool bundles);
/* The receive that takes buffers from here. */
void recv_ring_prepare(const struct recv_ring *recv, struct io_uring_sqe *sqe, struct io_op *op);
/* A completion with a buffer, or several.  With more than one there is a rest; take all of that before anything else.
 */
void recv_ring_filled(struct recv_ring *recv, struct io_op *op, const struct io_uring_cqe *cqe, struct io_event *event);
/* The next buffer of the rest. */
void recv_ring_next(struct recv_ring *recv, struct io_event *event);
void recv_ring_return(struct recv_ring *recv, struct buf *buf);
/* After the completions of a turn: see whether the kernel has buffers enough. */
void recv_ring_settle(struct recv_ring *recv);

static inline bool recv_ring_has_rest(const struct recv_ring *recv)
{
    return recv->rest.bytes > 0 || recv->rest.dry;
}

#endif
