/* SPDX-License-Identifier: Apache-2.0 */
/* Receive buffers that the kernel takes in order.
 *
 * Happy path: few buffers are offered, so that the kernel fills ones that are still in the cache; what is given back
 * beyond that stays in the pool.  Where the kernel can, one receive fills as many as there are bytes for: a bundle,
 * whose buffers are those that were offered one after the other, each full but the last.  One that took the last buffer
 * ends the receiving without saying so; its owner is told -ENOBUFS, as of any receive that finds none.
 * Who has no place for what arrives says so (`sparing`), and gets little at a time until that is over.
 * Failure modes: a turn with more results than a quarter of what is offered makes it twice as many, up to all; receives
 * that found none end with -ENOBUFS and are armed again by their owners.  When for a while no turn had more than a
 * sixteenth, it becomes half as many. */
#include "engine/io/recv_ring.h"

#include <errno.h>
#include <sys/mman.h>

#include "engine/base/error.h"
#include "engine/io/io_uring_kernel.h"

#define RECV_GROUP 0
/* Offered at first and at least: 256 KiB of 16 KiB each, a part of any second-level cache. */
#define OFFERED_MIN 16u
/* Turns with results between two looks at whether fewer would do. */
#define SETTLED_LOOK 16384u

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void recv_ring_offer(struct recv_ring *recv, struct buf *buf)
{
    uint32_t mask = recv->pool.count - 1;
    buf_to_kernel(buf, BUF_KERNEL_WRITES);
    io_uring_buf_ring_add(recv->ring, buf->data, buf->bytes_max, (unsigned short)buf->index, (int)mask, 0);
    io_uring_buf_ring_advance(recv->ring, 1);
    recv->order[recv->tail & mask] = (uint16_t)buf->index;
    recv->place[buf->index] = (uint16_t)(recv->tail & mask);
    recv->tail++;
    recv->offered++;
}

/* How many buffers the kernel shall have now.  Each turn can bring as many results as that, of whatever sizes. */
static uint32_t recv_ring_most(const struct recv_ring *recv)
{
    return WEFT_UNLIKELY(recv->sparing) ? smaller(recv->wanted, OFFERED_MIN) : recv->wanted;
}

static void recv_ring_offer_wanted(struct recv_ring *recv)
{
    while (recv->offered < recv_ring_most(recv) && recv->pool.free_count > 0) {
        recv_ring_offer(recv, buf_take(&recv->pool, recv));
    }
}

enum weft_err recv_ring_init(struct recv_ring *recv, const struct weft_allocator *allocator, uint32_t bufs,
                             uint32_t buf_bytes, struct weft_error *why)
{
    WEFT_ASSERT(bufs <= UINT16_MAX / 2 + 1);
    if (buf_pool_init(&recv->pool, allocator, bufs, buf_bytes) != WEFT_OK) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u receive buffers", bufs);
    }
    recv->bytes = bufs * (sizeof(struct io_uring_buf) + sizeof *recv->order + sizeof *recv->place);
    void *memory = mmap(NULL, recv->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return weft_error_set_errno(why, WEFT_ERR_NO_MEMORY, errno, "receive buffer ring");
    }
    recv->ring = memory;
    recv->order = (uint16_t *)(void *)((uint8_t *)memory + bufs * sizeof(struct io_uring_buf));
    recv->place = recv->order + bufs;
    recv->wanted = smaller(bufs, OFFERED_MIN);
    io_uring_buf_ring_init(recv->ring);
    recv_ring_offer_wanted(recv);
    return WEFT_OK;
}

void recv_ring_fini(struct recv_ring *recv)
{
    if (recv->ring != NULL) {
        munmap(recv->ring, recv->bytes);
    }
    for (uint32_t i = 0; i < recv->pool.count; i++) {
        struct buf *buf = &recv->pool.bufs[i];
        if (buf->state == BUF_KERNEL_WRITES) {
            buf_from_kernel(buf);
            buf_give_back(&recv->pool, buf);
        }
    }
    buf_pool_fini(&recv->pool);
}

int recv_ring_register(struct recv_ring *recv, struct io_uring *ring, bool bundles)
{
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)recv->ring, .ring_entries = recv->pool.count, .bgid = RECV_GROUP};
    int result = io_uring_register_buf_ring(ring, &registration, 0);
    recv->bundles = result >= 0 && bundles;
    return result;
}

void recv_ring_prepare(const struct recv_ring *recv, struct io_uring_sqe *sqe, struct io_op *op)
{
    op->recv.single = op->recv.once || recv->sparing; /* few buffers must do for many sockets */
    if (op->recv.single) {
        io_uring_prep_recv(sqe, op->socket, NULL, recv->pool.bytes_each, 0);
    } else {
        io_uring_prep_recv_multishot(sqe, op->socket, NULL, 0, 0);
        sqe->ioprio |= recv->bundles ? RECVSEND_BUNDLE : 0;
    }
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = RECV_GROUP;
}

/* The buffer in a place was taken by the kernel, which left so many bytes in it. */
static struct buf *recv_ring_take(struct recv_ring *recv, uint32_t place, uint32_t bytes)
{
    struct buf *buf = &recv->pool.bufs[recv->order[place & (recv->pool.count - 1)]];
    WEFT_ASSERT(recv->offered > 0);
    WEFT_ASSERT(bytes <= buf->bytes_max);
    recv->offered--;
    buf_from_kernel(buf);
    buf->begin = 0;
    buf->end = bytes;
    return buf;
}

void recv_ring_next(struct recv_ring *recv, struct io_event *event)
{
    event->op = recv->rest.op;
    event->copied = false;
    if (WEFT_UNLIKELY(recv->rest.bytes == 0)) {
        event->result = -ENOBUFS;
        event->more = false;
        event->lent = NULL;
        recv->rest.dry = false;
        return;
    }
    uint32_t part = smaller(recv->rest.bytes, recv->pool.bytes_each);
    event->result = (int32_t)part;
    event->lent = recv_ring_take(recv, recv->rest.place, part);
    recv->rest.place++;
    recv->rest.bytes -= part;
    event->more = recv->rest.bytes > 0 || recv->rest.more || recv->rest.dry;
}

void recv_ring_filled(struct recv_ring *recv, struct io_op *op, const struct io_uring_cqe *cqe, struct io_event *event)
{
    uint32_t place = recv->place[cqe->flags >> IORING_CQE_BUFFER_SHIFT];
    recv->taken++;
    if (WEFT_UNLIKELY(cqe->res <= 0)) {
        recv_ring_return(recv, recv_ring_take(recv, place, 0));
        return;
    }
    recv->rest.op = op;
    recv->rest.place = place;
    recv->rest.bytes = (uint32_t)cqe->res;
    recv->rest.more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    recv->rest.dry = !recv->rest.more && !op->recv.single;
    recv_ring_next(recv, event);
}

void recv_ring_return(struct recv_ring *recv, struct buf *buf)
{
    if (WEFT_LIKELY(recv->offered < recv_ring_most(recv))) {
        recv_ring_offer(recv, buf);
    } else {
        buf_give_back(&recv->pool, buf);
    }
}

void recv_ring_settle(struct recv_ring *recv)
{
    if (recv->taken == 0) {
        return;
    }
    recv->most = recv->most > recv->taken ? recv->most : recv->taken;
    if (WEFT_UNLIKELY(recv->taken > recv->wanted / 4 && recv->wanted < recv->pool.count && !recv->sparing)) {
        recv->wanted *= 2;
    } else if (WEFT_UNLIKELY(++recv->settled >= SETTLED_LOOK)) {
        recv->wanted = recv->wanted > OFFERED_MIN && recv->most < recv->wanted / 16 ? recv->wanted / 2 : recv->wanted;
        recv->most = 0;
        recv->settled = 0;
    }
    recv->taken = 0;
    recv_ring_offer_wanted(recv);
}
