/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake of the record layer: bytes in, bytes out, until it is done or failed.
 *
 * A flood of connections must not take the shard away from those that are open: only so many accepted ones shake hands
 * at once, in the order they came, those first who were put first.  The others have no session yet and are not read
 * from; their time runs all the same. */
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

bool conn_handshake_may_begin(const struct net *net)
{
    return net->options.handshakes_max == 0 || net->handshake_count < net->options.handshakes_max;
}

/* An accepted connection, with its session if it was its turn at once. */
void conn_handshake_begin(struct conn *conn, struct secure_factory *factory)
{
    struct net *net = conn->net;
    if (conn->secure == NULL) {
        COUNT(net->shard, handshakes_waited);
        conn->factory = factory;
        list_push_back(&net->handshakes_waiting, &conn->handshake_link);
        return;
    }
    conn->handshaking = true;
    net->handshake_count++;
    conn_recv_start(conn);
}

bool conn_handshakes_wait(const struct net *net)
{
    return !list_empty(&net->handshakes_first) || !list_empty(&net->handshakes_waiting);
}

void conn_handshake_first(struct conn *conn)
{
    WEFT_ASSERT(conn_handshake_waits(conn));
    list_remove(&conn->handshake_link);
    list_push_back(&conn->net->handshakes_first, &conn->handshake_link);
}

/* A crowd of those who come first shuts nobody out: one in HANDSHAKES_FIRST_ROW + 1 is one of the others. */
static struct list_node *handshake_pop(struct net *net)
{
    bool others = list_empty(&net->handshakes_first) || net->handshakes_first_row >= HANDSHAKES_FIRST_ROW;
    if (others && !list_empty(&net->handshakes_waiting)) {
        net->handshakes_first_row = 0;
        return list_pop_front(&net->handshakes_waiting);
    }
    net->handshakes_first_row++;
    return list_pop_front(&net->handshakes_first);
}

void conn_handshake_next(struct task *task)
{
    struct net *net = WEFT_CONTAINER_OF(task, struct net, handshake_next);
    struct list_node *node;
    while (conn_handshake_may_begin(net) && (node = handshake_pop(net)) != NULL) {
        struct conn *conn = WEFT_CONTAINER_OF(node, struct conn, handshake_link);
        if (conn->state != CONN_SECURING) {
            continue;
        }
        if (conn->factory->make(conn->factory, true, &conn->secure, &conn->error) != WEFT_OK) {
            conn_abort(conn, conn->error.code, WEFT_REASON_TLS_FAILED);
            continue;
        }
        conn_handshake_begin(conn, conn->factory);
    }
}

void conn_handshake_over(struct conn *conn)
{
    struct net *net = conn->net;
    conn->handshaking = false;
    net->handshake_count--;
    if (conn_handshakes_wait(net)) {
        shard_run_later(net->shard, &net->handshake_next);
    }
}
