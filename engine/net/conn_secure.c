/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake of the record layer: bytes in, bytes out, until it is done or failed. */
#include "engine/base/error.h"
#include "engine/net/conn.h"

void conn_secure_failed(struct conn *conn)
{
    if (conn->state == CONN_CLOSING) {
        return;
    }
    if (conn->error.code == WEFT_OK) {
        conn->error = conn->secure->error;
    }
    WEFT_ASSERT(conn->error.code != WEFT_OK);
    conn_drop_outbox(conn);               /* a session that failed seals nothing more */
    conn->shut_sealed = true;             /* there is no closing record after a failure */
    conn_close(conn, conn->error.reason); /* lets the alert out */
}

void conn_handshake(struct conn *conn, struct secure_in *in)
{
    enum secure_step step = SECURE_ROOM;
    while (step == SECURE_ROOM) {
        struct buf *room = conn_sealed_room(conn);
        if (room == NULL) {
            conn_abort(conn, WEFT_ERR_NO_MEMORY, WEFT_REASON_OUT_OF_BUFFERS);
            return;
        }
        struct secure_out out = {room->data + room->end, buf_room(room), 0};
        step = conn->secure->ops->handshake(conn->secure, in, &out);
        room->end += out.used;
        conn_sealed_trim(conn);
    }
    conn_mark_dirty(conn);
    if (step == SECURE_FAILED) {
        conn_secure_failed(conn);
    } else if (step == SECURE_DONE) {
        conn_opened(conn);
    }
}
