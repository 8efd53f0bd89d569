/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving large payloads straight into the user's memory, and receiving in small shares.
 *
 * Happy path: the user meets a header that announces much more than has arrived, and asks for landing.  The lent
 * buffers stop flowing, and from then on each receive is armed for one result: into the user's memory while it names
 * enough of it, otherwise into one lent buffer, which brings the next header and a bounded part of what follows it.
 * After some of those without a landing the lent buffers flow again; on a polite connection they never do.
 *
 * Failure modes: those of receiving.  In any state but OPEN, and under a record layer, nothing lands: what arrives
 * comes by lent buffers, or is nobody's. */
#include "engine/net/conn.h"

/* Less than this does not land: one lent buffer holds it, and the next header as well. */
#define LAND_BYTES_MIN RECV_BUF_BYTES
/* Receives of one result without a landing, before the lent buffers flow again. */
#define ONCE_RECEIVES 16u

static void conn_land_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = WEFT_CONTAINER_OF(op, struct conn, recv);
    conn->land.state = BUF_FREE;
    if (event->result > 0) {
        COUNT_ADD(conn->net->shard, bytes_received, (uint32_t)event->result);
        COUNT_ADD(conn->net->shard, bytes_landed, (uint32_t)event->result);
        if (conn->state == CONN_OPEN) {
            conn->events->landed(conn, (uint32_t)event->result);
        }
    } else if (conn->state != CONN_CLOSING) {
        conn_recv_stopped(conn, event);
    }
    conn_recv_next(conn, event);
}

static void conn_land_into(struct conn *conn, struct landing_room room)
{
    uint32_t most = conn_share(conn);
    WEFT_ASSERT(conn->land.state == BUF_FREE);
    conn->land.data = room.data;
    conn->land.bytes_max = room.bytes < most ? room.bytes : most;
    conn->land.generation++;
    conn->land.state = BUF_OWNED;
    conn->land.owner = conn;
    conn->recv.kind = IO_LAND;
    conn->recv.done = conn_land_done;
    conn->recv.land.buf = &conn->land;
    conn->once_left = ONCE_RECEIVES;
}

void conn_land_prepare(struct conn *conn)
{
    struct landing_room room = {NULL, 0};
    if (conn->state == CONN_OPEN && conn->secure == NULL && conn->events->landing != NULL) {
        room = conn->events->landing(conn);
    }
    if (room.bytes >= LAND_BYTES_MIN) {
        conn_land_into(conn, room);
        return;
    }
    conn->once_left -= conn->polite ? 0 : 1;
    conn->recv.kind = IO_RECV;
    conn->recv.done = conn_recv_done;
    conn->recv.recv.once = conn->once_left > 0;
}

static void conn_receive_once(struct conn *conn)
{
    bool flows = conn->recv.kind == IO_RECV && io_op_busy(&conn->recv) && !conn->recv.recv.once;
    conn->once_left = ONCE_RECEIVES;
    if (flows) {
        io_cancel(conn->net->shard->io, &conn->recv);
    }
}

void conn_want_landing(struct conn *conn)
{
    if (conn->secure == NULL && conn->state == CONN_OPEN) {
        conn_receive_once(conn);
    }
}

void conn_set_polite(struct conn *conn)
{
    conn->polite = true;
    conn->flush.rank = FLUSH_BULK;
    conn_receive_once(conn);
}
