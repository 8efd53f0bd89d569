/* SPDX-License-Identifier: Apache-2.0 */
/* What all backends share: the life of an operation from submission to its last event. */
#include "engine/io/io.h"

#include <string.h>

#include "engine/io/socket.h"

void io_init(struct io *io, const struct io_backend *backend)
{
    io->backend = backend;
    io->clock = (struct io_clock){.ctx = NULL};
    list_init(&io->queued);
    list_init(&io->cancels);
    memset(&io->counters, 0, sizeof io->counters);
    io->sparing = false;
    io->never_sleeps = false;
}

uint64_t io_monotonic_ns(struct io *io)
{
    return io->clock.monotonic != NULL ? io->clock.monotonic(io->clock.ctx) : socket_monotonic_ns();
}

uint64_t io_wall_ns(struct io *io)
{
    return io->clock.wall != NULL ? io->clock.wall(io->clock.ctx) : socket_wall_ns();
}

void io_op_init(struct io_op *op, enum io_kind kind, io_done_fn *done)
{
    memset(op, 0, sizeof *op);
    list_node_init(&op->link);
    op->done = done;
    op->socket = IO_SOCKET_NONE;
    op->kind = (uint8_t)kind;
    op->state = IO_IDLE;
}

void io_submit(struct io *io, struct io_op *op)
{
    WEFT_ASSERT(op->state == IO_IDLE);
    WEFT_ASSERT(!list_node_linked(&op->link));
    op->state = IO_QUEUED;
    op->cancel_asked = false;
    op->generation++;
    list_push_back(&io->queued, &op->link);
}

void io_cancel(struct io *io, struct io_op *op)
{
    if (op->state == IO_IDLE || op->cancel_asked) {
        return;
    }
    op->cancel_asked = true;
    if (op->state == IO_IN_FLIGHT) {
        list_remove(&op->link);
        list_push_back(&io->cancels, &op->link);
    }
}

uint32_t io_send_prepare(struct io_op *op)
{
    uint32_t bytes = 0;
    WEFT_ASSERT(op->kind == IO_SEND);
    WEFT_ASSERT(op->send.count > 0 && op->send.count <= SEND_BUFS_MAX);
    for (uint32_t i = 0; i < op->send.count; i++) {
        struct buf *buf = op->send.bufs[i];
        op->send.iov[i].iov_base = buf->data + buf->begin;
        op->send.iov[i].iov_len = buf_used(buf);
        bytes += buf_used(buf);
        buf_to_kernel(buf, BUF_KERNEL_READS);
    }
    memset(&op->send.message, 0, sizeof op->send.message);
    op->send.message.msg_iov = op->send.iov;
    op->send.message.msg_iovlen = op->send.count;
    return bytes;
}

uint8_t *io_land_prepare(struct io_op *op, uint32_t *bytes)
{
    struct buf *buf = op->land.buf;
    WEFT_ASSERT(op->kind == IO_LAND);
    WEFT_ASSERT(buf_room(buf) > 0);
    buf_to_kernel(buf, BUF_KERNEL_WRITES);
    *bytes = buf_room(buf);
    return buf->data + buf->end;
}

static void io_settle(struct io *io, const struct io_event *event)
{
    struct io_op *op = event->op;
    io->counters.completions++;
    if (event->more) {
        WEFT_ASSERT(op->state == IO_IN_FLIGHT);
        return;
    }
    WEFT_ASSERT(op->state != IO_IDLE);
    if (op->kind == IO_SEND && op->state == IO_IN_FLIGHT) {
        for (uint32_t i = 0; i < op->send.count; i++) {
            buf_from_kernel(op->send.bufs[i]);
        }
    } else if (op->kind == IO_LAND && op->state == IO_IN_FLIGHT) {
        buf_from_kernel(op->land.buf);
    }
    list_remove(&op->link);
    op->state = IO_IDLE;
}

void io_deliver(struct io *io, const struct io_event *event)
{
    io_settle(io, event);
    event->op->done(event->op, event);
}
