/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of an open connection: the peer must take what is sent, and bring what it owes.
 *
 * One timer for both, which runs while something is due.  Progress does not touch it: when it fires too early, it is
 * started again for what is left.
 * Failure modes: a deadline that passed ends the connection by its name. */
#include <errno.h>

#include "engine/base/error.h"
#include "engine/net/conn.h"

enum weft_reason conn_reason_of(int32_t os_errno)
{
    switch (os_errno) {
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
        return WEFT_REASON_CONNECTION_RESET;
    case ENOBUFS:
    case ENOMEM:
        return WEFT_REASON_KERNEL_OUT_OF_MEMORY;
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
        return WEFT_REASON_NETWORK_FAILED;
    default:
        return WEFT_REASON_SYSTEM_FAILED;
    }
}

static void watch_failed(struct conn *conn, enum weft_reason reason)
{
    weft_error_set_reason(&conn->error, WEFT_ERR_TIMEOUT, reason, "%s", weft_reason_name(reason));
    conn_abort(conn, WEFT_ERR_TIMEOUT, reason);
}

static void watch_fired(struct timer *timer, void *ctx)
{
    struct conn *conn = ctx;
    struct weft_shard *shard = conn->net->shard;
    uint64_t due_ns = UINT64_MAX;
    if (conn->net->options.send_timeout_ns != 0 && (io_op_busy(&conn->send) || conn->zero_copy_now != NULL)) {
        due_ns = conn->sending_ns + conn->net->options.send_timeout_ns;
        if (shard->now_ns >= due_ns) {
            watch_failed(conn, WEFT_REASON_SEND_TIMEOUT);
            return;
        }
    }
    if (conn->owed_limit_ns != 0) {
        uint64_t owed_ns = conn->owed_ns + conn->owed_limit_ns;
        if (shard->now_ns >= owed_ns) {
            watch_failed(conn, conn->owed_reason);
            return;
        }
        due_ns = owed_ns < due_ns ? owed_ns : due_ns;
    }
    if (due_ns != UINT64_MAX) {
        timer_wheel_start(&shard->wheel, timer, due_ns);
    }
}

/* Fire at this time, or earlier. */
static void watch_start(struct conn *conn, uint64_t due_ns)
{
    struct timer_wheel *wheel = &conn->net->shard->wheel;
    if (!timer_armed(&conn->watch) || conn->watch.deadline_ns > due_ns) {
        conn->watch.fn = watch_fired;
        conn->watch.ctx = conn;
        timer_wheel_start(wheel, &conn->watch, due_ns);
    }
}

void conn_watch_send(struct conn *conn)
{
    conn->sending_ns = conn->net->shard->now_ns;
    if (conn->net->options.send_timeout_ns != 0) {
        watch_start(conn, conn->sending_ns + conn->net->options.send_timeout_ns);
    }
}

void conn_owed_start(struct conn *conn, uint64_t since_ns, uint64_t limit_ns, enum weft_reason reason)
{
    conn->owed_ns = since_ns;
    conn->owed_limit_ns = limit_ns;
    conn->owed_reason = reason;
    if (limit_ns != 0) {
        watch_start(conn, since_ns + limit_ns);
    }
}
