/* SPDX-License-Identifier: Apache-2.0 */
/* Sends without a copy: operations of their own, since they last until the peer has confirmed the bytes.
 *
 * Happy path: a large send gets an operation of the shard's pool.  Its first event says that all bytes were accepted,
 * and the next send may start; its last event, much later, that the kernel no longer reads the buffers, which go back
 * only then.  If it says that the kernel copied after all, the connection does not ask again, unless it was told to.
 *
 * Failure modes: no operation free: an ordinary send.  Fewer bytes accepted than asked: the next send waits for the
 * last event, since the rest must go first.  A kernel that cannot (-ENOMEM and its like): ordinary sends from then on.
 * A connection that ends while the kernel still reads closes its socket with a reset, which makes the kernel let go. */
#include <errno.h>
#include <string.h>

#include "engine/net/conn.h"

/* Pinning pages and being told costs more than copying less than this. */
#define ZERO_COPY_BYTES_MIN (64u * 1024)

/* Errors that are about sending without a copy, not about the connection. */
static bool zero_copy_impossible(int32_t result)
{
    return result == -ENOMEM || result == -ENOBUFS || result == -EOPNOTSUPP || result == -EINVAL;
}

/* The first of two events. */
static void zero_copy_told(struct zero_copy_send *send, int32_t result)
{
    struct conn *conn = send->conn;
    send->told = true;
    send->result = result;
    if (result == (int32_t)send->bytes) {
        conn->zero_copy_now = NULL;
        conn_sent(conn, send->bytes, result);
    } else if (conn->state == CONN_CLOSING) {
        conn_try_reap(conn);
    }
}

static void zero_copy_let_go(struct zero_copy_send *send, bool copied)
{
    struct conn *conn = send->conn;
    if (copied) {
        COUNT(conn->net->shard, zero_copy_copied);
        conn->zero_copy &= conn->net->options.zero_copy == WEFT_SEND_ZEROCOPY_ALWAYS;
    }
    conn->zero_copy_count--;
    slots_give_back(&conn->net->zero_copy_sends, send);
}

static void zero_copy_done(struct io_op *op, const struct io_event *event)
{
    struct zero_copy_send *send = WEFT_CONTAINER_OF(op, struct zero_copy_send, op);
    struct conn *conn = send->conn;
    if (event->more) {
        zero_copy_told(send, event->result);
        return;
    }
    int32_t result = send->told ? send->result : event->result;
    uint32_t accepted = result > 0 ? (uint32_t)result : 0;
    bool now = conn->zero_copy_now == send;
    conn_send_account(conn, &send->op, accepted);
    zero_copy_let_go(send, event->copied);
    if (!now) {
        conn_try_reap(conn);
        return;
    }
    conn->zero_copy_now = NULL;
    if (zero_copy_impossible(result)) {
        conn->zero_copy = false;
        result = -EAGAIN;
    }
    conn_sent(conn, accepted, result);
}

bool conn_zero_copy_start(struct conn *conn, uint32_t bytes)
{
    struct zero_copy_send *send =
        bytes >= ZERO_COPY_BYTES_MIN ? slots_take(&conn->net->zero_copy_sends, NULL, NULL) : NULL;
    if (send == NULL) {
        return false;
    }
    io_op_init(&send->op, IO_SEND, zero_copy_done);
    send->conn = conn;
    send->bytes = bytes;
    send->told = false;
    send->op.socket = conn->socket;
    send->op.send.zero_copy = true;
    send->op.send.count = conn->send.send.count;
    memcpy(send->op.send.bufs, conn->send.send.bufs, conn->send.send.count * sizeof(struct buf *));
    conn->send.send.count = 0;
    conn->zero_copy_now = send;
    conn->zero_copy_count++;
    COUNT(conn->net->shard, zero_copy_sends);
    io_submit(conn->net->shard->io, &send->op);
    conn_watch_send(conn);
    return true;
}

void conn_zero_copy_cancel(struct conn *conn)
{
    if (conn->zero_copy_now != NULL && !conn->zero_copy_now->told) {
        io_cancel(conn->net->shard->io, &conn->zero_copy_now->op);
    }
}
