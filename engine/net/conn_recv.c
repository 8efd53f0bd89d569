/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving: a lent buffer arrives, is opened where there is a record layer, is consumed by the user, and goes back to
 * the kernel before this returns.  Pausing is cancelling the armed receive, and taking what still arrives. */
#include <errno.h>

#include "engine/base/error.h"
#include "engine/net/conn.h"

/* So long after reading went on, bytes can have waited in the kernel since before. */
#define BEHIND_NS (4 * TURN_FRAMES_NS)
/* First byte of a TLS handshake record. */
#define TLS_HANDSHAKE_RECORD 0x16

void conn_recv_start(struct conn *conn)
{
    if (io_op_busy(&conn->recv) || conn->peer_ended || conn->socket == IO_SOCKET_NONE) {
        return;
    }
    conn->recv.socket = conn->socket;
    if (WEFT_UNLIKELY(conn->once_left > 0)) {
        conn_land_prepare(conn);
    }
    io_submit(conn->net->shard->io, &conn->recv);
}

void conn_pause(struct conn *conn)
{
    conn->paused = true;
    io_cancel(conn->net->shard->io, &conn->recv);
}

void conn_fall_behind(struct conn *conn)
{
    if (conn->behind_ns == 0) {
        conn->behind_ns = conn->net->shard->turn_ns;
    }
    conn_pause(conn);
}

/* Bytes that were there when reading went on are given within a few turns. */
static void conn_look_behind(struct conn *conn)
{
    if (!conn->paused && conn->net->shard->turn_ns > conn->behind_until_ns) {
        conn->behind_ns = 0;
    }
}

/* A buffer that was not filled held the last bytes that were there. */
static void conn_catch_up(struct conn *conn, const struct buf *buf)
{
    if (!conn->paused && buf_room(buf) > 0) {
        conn->behind_ns = 0;
    }
}

void conn_resume(struct conn *conn)
{
    conn->paused = false;
    conn->behind_until_ns = conn->net->shard->turn_ns + BEHIND_NS;
    if (conn->state != CONN_CLOSING && conn->state != CONN_FREE) {
        conn_recv_start(conn);
    }
}

static void conn_recv_failed(struct conn *conn, enum weft_reason reason)
{
    weft_error_set_reason(&conn->error, WEFT_ERR_CLOSED, reason, "%s", weft_reason_name(reason));
    conn_abort(conn, WEFT_ERR_CLOSED, reason);
}

static void conn_tell_ending(struct conn *conn)
{
    if (conn->state == CONN_OPEN && conn->events->ending != NULL) {
        conn->events->ending(conn);
    }
}

static void conn_recv_ended(struct conn *conn)
{
    conn->peer_ended = true;
    if (conn->state == CONN_DRAINING) {
        return; /* the rest still goes out */
    }
    enum weft_reason reason =
        conn->secure != NULL && conn->state == CONN_OPEN ? WEFT_REASON_TRUNCATED : WEFT_REASON_CLOSED_BY_PEER;
    conn_tell_ending(conn);
    conn_recv_failed(conn, reason);
}

/* What the record layer may answer by itself to one call: alerts and key updates, a few dozen bytes each. */
#define OPEN_ANSWER_BYTES 512u

/* Records in, application bytes out, one record at a time through the shard's scratch. */
static void conn_open_records(struct conn *conn, struct secure_in *in)
{
    bool more = true;
    while (more && conn->state == CONN_OPEN) {
        uint8_t answer[OPEN_ANSWER_BYTES];
        struct secure_out plain = {conn->net->plaintext, SECURE_RECORD_BYTES, 0};
        struct secure_out out = {answer, sizeof answer, 0};
        enum secure_step step = conn->secure->ops->open(conn->secure, in, &plain, &out);
        if (out.used > 0 && !conn_sealed_append(conn, (struct weft_span){answer, out.used})) {
            return;
        }
        if (plain.used > 0) {
            conn->events->received(conn, (struct weft_span){plain.data, plain.used});
        }
        if (step == SECURE_FAILED) {
            conn_secure_failed(conn);
        } else if (step == SECURE_CLOSED) {
            conn->peer_ended = true;
            conn_tell_ending(conn);
            conn_recv_failed(conn, WEFT_REASON_CLOSED_BY_PEER);
        }
        more = step == SECURE_ROOM || (step == SECURE_MORE && in->bytes > 0);
    }
}

static bool conn_spoken_to_in_plain(struct conn *conn, const struct secure_in *in)
{
    bool first = !conn->first_byte_seen;
    conn->first_byte_seen = true;
    return first && conn->accepted && in->bytes > 0 && in->data[0] != TLS_HANDSHAKE_RECORD;
}

static void conn_recv_bytes(struct conn *conn, struct weft_span bytes)
{
    struct secure_in in = {bytes.data, bytes.bytes};
    if (conn->state == CONN_SECURING && conn_spoken_to_in_plain(conn, &in)) {
        conn->secure->ops->close(conn->secure);
        conn->secure = NULL;
        conn_deadline_stop(conn);
        conn_to(conn, CONN_OPEN);
        conn->events->misdirected(conn);
    }
    if (conn->state == CONN_SECURING) {
        conn_handshake(conn, &in);
    }
    if (conn->state != CONN_OPEN) {
        return; /* draining, lingering or closing: what still arrives is nobody's */
    }
    if (conn->secure != NULL) {
        if (in.bytes > 0) {
            conn_open_records(conn, &in);
        }
    } else {
        conn->events->received(conn, (struct weft_span){in.data, in.bytes});
    }
}

void conn_recv_stopped(struct conn *conn, const struct io_event *event)
{
    if (event->result == 0) {
        conn_recv_ended(conn);
    } else if (event->result < 0 && event->result != -ENOBUFS && event->result != -ECANCELED &&
               event->result != -EINTR && event->result != -EAGAIN) {
        weft_error_set_errno(&conn->error, WEFT_ERR_CLOSED, -event->result, "receive");
        conn_recv_failed(conn, conn_reason_of(-event->result));
    }
}

void conn_recv_next(struct conn *conn, const struct io_event *event)
{
    if (conn->state == CONN_CLOSING) {
        conn_try_reap(conn);
    } else if (!event->more && !conn->paused) {
        conn_recv_start(conn);
    }
}

void conn_recv_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = WEFT_CONTAINER_OF(op, struct conn, recv);
    struct io *io = conn->net->shard->io;
    if (event->lent != NULL) {
        const struct buf *buf = event->lent;
        COUNT_ADD(conn->net->shard, bytes_received, buf_used(buf));
        if (WEFT_UNLIKELY(conn->behind_ns != 0)) {
            conn_look_behind(conn);
        }
        conn_recv_bytes(conn, (struct weft_span){buf->data + buf->begin, buf_used(buf)});
        if (WEFT_UNLIKELY(conn->behind_ns != 0)) {
            conn_catch_up(conn, buf);
        }
        io_lend_return(io, event->lent);
    } else if (conn->state != CONN_CLOSING) {
        conn_recv_stopped(conn, event);
    }
    conn_recv_next(conn, event);
}
