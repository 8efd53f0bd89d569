/* SPDX-License-Identifier: Apache-2.0 */
/* Sending: messages are copied once into the outbox (small ones by their writer, conn_send_place); at the end of the
 * turn everything queued goes out in one send operation, sealed first where there is a record layer.
 *
 * Failure modes: a message that does not fit is refused whole; a short send is continued; an error of the send ends
 * the connection.  If the shard runs out of send buffers in the middle of sealing, the rest waits for the next send
 * to complete. */
#include <errno.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/net/conn.h"

/* A buffer with less room than this is left as it is: a record costs the same however small it is. */
#define SEAL_ROOM_BYTES_MIN 1100u

static struct weft_shard *conn_shard(const struct conn *conn)
{
    return conn->net->shard;
}

static struct buf *list_buf(struct list_node *node)
{
    return WEFT_CONTAINER_OF(node, struct buf, link);
}

void conn_mark_dirty(struct conn *conn)
{
    shard_mark_dirty(conn_shard(conn), &conn->flush);
}

void conn_place_look(struct conn *conn)
{
    struct list_node *node = list_last(&conn->outbox);
    conn->place_room = 0;
    if (node != NULL && conn->state == CONN_OPEN && conn->outbox_bytes < SEND_QUEUE_BYTES_HIGH) {
        uint32_t most = SEND_QUEUE_BYTES_HIGH - conn->outbox_bytes;
        conn->place = list_buf(node);
        conn->place_room = buf_room(conn->place) < most ? buf_room(conn->place) : most;
    }
}

static void list_give_back(struct weft_shard *shard, struct list *list)
{
    struct list_node *node;
    while ((node = list_pop_front(list)) != NULL) {
        shard_buf_give_back(shard, list_buf(node));
    }
}

void conn_drop_outbox(struct conn *conn)
{
    list_give_back(conn_shard(conn), &conn->outbox);
    conn->outbox_bytes = 0;
    conn->place_room = 0;
}

void conn_drop_output(struct conn *conn)
{
    conn_drop_outbox(conn);
    list_give_back(conn_shard(conn), &conn->sealed);
}

bool conn_has_output(const struct conn *conn)
{
    return conn->outbox_bytes > 0 || !list_empty(&conn->sealed) || io_op_busy(&conn->send) ||
           conn->zero_copy_now != NULL;
}

/* Room is there: conn_send checked. */
static void outbox_append(struct conn *conn, struct weft_span bytes)
{
    struct list_node *node = list_last(&conn->outbox);
    struct buf *tail = node != NULL ? list_buf(node) : NULL;
    while (bytes.bytes > 0) {
        if (tail == NULL || buf_room(tail) == 0) {
            tail = buf_take(&conn_shard(conn)->send_pool, conn);
            WEFT_ASSERT(tail != NULL);
            list_push_back(&conn->outbox, &tail->link);
        }
        uint32_t part = bytes.bytes < buf_room(tail) ? bytes.bytes : buf_room(tail);
        memcpy(tail->data + tail->end, bytes.data, part);
        tail->end += part;
        bytes.data += part;
        bytes.bytes -= part;
    }
}

/* Of a message's bytes so many are copied. */
static bool outbox_fits(const struct conn *conn, uint64_t message_bytes, uint64_t bytes)
{
    if (conn->outbox_bytes > SEND_QUEUE_BYTES_HIGH && conn->outbox_bytes + message_bytes > SEND_QUEUE_BYTES_MAX) {
        return false;
    }
    const struct buf_pool *pool = &conn_shard(conn)->send_pool;
    struct list_node *node = list_last(&conn->outbox);
    uint64_t room = node != NULL ? buf_room(list_buf(node)) : 0;
    return bytes <= room ||
           (bytes - room + pool->bytes_each - 1) / pool->bytes_each + conn->send_bufs_left <= pool->free_count;
}

/* A whole message was queued. */
static void outbox_account(struct conn *conn, uint64_t bytes)
{
    conn->outbox_bytes += (uint32_t)bytes;
    conn->queued_total += bytes;
    conn->above_high |= conn->outbox_bytes > SEND_QUEUE_BYTES_HIGH;
    conn_place_look(conn);
    conn_mark_dirty(conn);
}

bool conn_has_room(const struct conn *conn, uint32_t bytes)
{
    return outbox_fits(conn, bytes, bytes);
}

enum weft_err conn_send(struct conn *conn, struct weft_span head, struct weft_span body)
{
    if (WEFT_UNLIKELY(conn->state != CONN_OPEN)) {
        return WEFT_ERR_CLOSED;
    }
    uint64_t bytes = (uint64_t)head.bytes + body.bytes;
    if (WEFT_UNLIKELY(conn->room_promised || !outbox_fits(conn, bytes, bytes))) {
        return WEFT_ERR_QUEUE_FULL;
    }
    outbox_append(conn, head);
    outbox_append(conn, body);
    outbox_account(conn, bytes);
    return WEFT_OK;
}

enum weft_err conn_send_payload(struct conn *conn, struct weft_span head, struct weft_buf *body)
{
    if (conn->state != CONN_OPEN) {
        return WEFT_ERR_CLOSED;
    }
    uint64_t bytes = (uint64_t)head.bytes + body->bytes;
    bool fits = !conn->room_promised && outbox_fits(conn, bytes, head.bytes);
    struct buf *reference = fits ? payload_refer(body, conn) : NULL;
    if (reference == NULL) {
        return WEFT_ERR_QUEUE_FULL;
    }
    outbox_append(conn, head);
    list_push_back(&conn->outbox, &reference->link);
    COUNT_ADD(conn_shard(conn), bytes_referenced, body->bytes);
    outbox_account(conn, bytes);
    return WEFT_OK;
}

struct buf *conn_sealed_room(struct conn *conn)
{
    struct list_node *node = list_last(&conn->sealed);
    if (node != NULL && buf_room(list_buf(node)) >= SEAL_ROOM_BYTES_MIN) {
        return list_buf(node);
    }
    struct buf *buf = buf_take(&conn_shard(conn)->send_pool, conn);
    if (buf != NULL) {
        list_push_back(&conn->sealed, &buf->link);
    }
    return buf;
}

void conn_sealed_trim(struct conn *conn)
{
    struct list_node *node = list_last(&conn->sealed);
    if (node != NULL && buf_used(list_buf(node)) == 0) {
        list_remove(node);
        buf_give_back(&conn_shard(conn)->send_pool, list_buf(node));
    }
}

bool conn_sealed_append(struct conn *conn, struct weft_span bytes)
{
    struct buf *room = conn_sealed_room(conn);
    if (room != NULL && buf_room(room) < bytes.bytes) {
        room = buf_take(&conn_shard(conn)->send_pool, conn);
        if (room != NULL) {
            list_push_back(&conn->sealed, &room->link);
        }
    }
    if (room == NULL) {
        conn_abort(conn, WEFT_ERR_NO_MEMORY, WEFT_REASON_OUT_OF_BUFFERS);
        return false;
    }
    memcpy(room->data + room->end, bytes.data, bytes.bytes);
    room->end += bytes.bytes;
    conn_mark_dirty(conn);
    return true;
}

void conn_prune_later(struct conn *conn)
{
    conn->prune_due = true;
}

/* Keep of a buffer that begins at position `at` what the ranges say; the rest closes up. */
static void buf_prune(struct buf *buf, uint64_t at, struct conn_range *range, bool *more, conn_range_fn *next,
                      void *ctx)
{
    uint64_t end = at + buf_used(buf);
    const uint8_t *source = buf->data + buf->begin;
    uint8_t *target = buf->data + buf->begin;
    while (*more && range->begin < end) {
        uint64_t from = range->begin > at ? range->begin : at;
        uint64_t to = range->end < end ? range->end : end;
        WEFT_ASSERT(from <= to);
        if (target != source + (from - at)) {
            memmove(target, source + (from - at), to - from);
        }
        target += to - from;
        if (range->end > end) {
            break; /* it goes on in the next buffer */
        }
        *more = next(ctx, range);
    }
    buf->end = (uint32_t)(target - buf->data);
}

void conn_prune(struct conn *conn, conn_range_fn *next, void *ctx)
{
    struct list bufs;
    struct list_node *node;
    struct conn_range range;
    uint64_t at = conn->handed_total;
    bool more = next(ctx, &range);
    list_init(&bufs);
    list_splice_back(&bufs, &conn->outbox);
    conn->outbox_bytes = 0;
    while ((node = list_pop_front(&bufs)) != NULL) {
        struct buf *buf = list_buf(node);
        uint32_t bytes = buf_used(buf);
        buf_prune(buf, at, &range, &more, next, ctx);
        at += bytes;
        conn->outbox_bytes += buf_used(buf);
        if (buf_used(buf) > 0) {
            list_push_back(&conn->outbox, node);
        } else {
            shard_buf_give_back(conn_shard(conn), buf);
        }
    }
    WEFT_ASSERT(at == conn->queued_total);
    conn->queued_total = conn->handed_total + conn->outbox_bytes;
}

static uint32_t list_count_max(const struct list *list, uint32_t most)
{
    uint32_t count = 0;
    LIST_FOR_EACH(node, list)
    {
        if (count == most) {
            break;
        }
        count++;
    }
    return count;
}

/* Seal the outbox into at most one send's share of buffers.  Records are cut so that they fit the buffer. */
static void conn_seal(struct conn *conn)
{
    uint32_t most = conn_share(conn) / SEND_BUF_BYTES;
    uint32_t buffers = list_count_max(&conn->sealed, most);
    while (conn->outbox_bytes > 0 && conn->state != CONN_CLOSING) {
        struct buf *source = list_buf(list_first(&conn->outbox));
        struct list_node *last = list_last(&conn->sealed);
        struct buf *room = last != NULL ? list_buf(last) : NULL;
        if (room == NULL || buf_room(room) < SEAL_ROOM_BYTES_MIN) {
            room = buffers < most ? conn_sealed_room(conn) : NULL;
            if (room == NULL) {
                break;
            }
            buffers++;
        }
        uint32_t record = buf_room(room) - SECURE_RECORD_OVERHEAD;
        uint32_t part = buf_used(source) < record ? buf_used(source) : record;
        struct secure_in in = {source->data + source->begin, part};
        struct secure_out out = {room->data + room->end, buf_room(room), 0};
        if (source->payload != NULL) {
            payload_read(source);
        }
        enum secure_step step = conn->secure->ops->seal(conn->secure, &in, &out);
        if (source->payload != NULL) {
            payload_settle(source->payload);
        }
        room->end += out.used;
        uint32_t taken = part - in.bytes;
        WEFT_ASSERT(taken > 0 || step == SECURE_FAILED);
        source->begin += taken;
        conn->outbox_bytes -= taken;
        conn->handed_total += taken;
        conn->left_total = conn->handed_total;
        if (buf_used(source) == 0) {
            list_remove(&source->link);
            shard_buf_give_back(conn_shard(conn), source);
        }
        if (step == SECURE_FAILED) {
            if (conn->error.code == WEFT_OK) {
                conn->error = conn->secure->error;
            }
            conn_abort(conn, WEFT_ERR_TLS, WEFT_REASON_TLS_FAILED);
        }
    }
    if (conn->outbox_bytes > 0 && list_empty(&conn->sealed)) {
        conn_abort(conn, WEFT_ERR_NO_MEMORY, WEFT_REASON_OUT_OF_BUFFERS);
    }
}

static void conn_seal_shut(struct conn *conn)
{
    struct buf *room = conn_sealed_room(conn);
    conn->shut_sealed = true;
    if (room == NULL) {
        return; /* the peer will see a truncated stream, which is what a shard without buffers can offer */
    }
    struct secure_out out = {room->data + room->end, buf_room(room), 0};
    (void)conn->secure->ops->shut(conn->secure, &out);
    room->end += out.used;
    conn_sealed_trim(conn);
}

/* The first bytes of a buffer that is too large for one send: only references are.  Without another reference the whole
 * of it goes at once. */
static struct buf *send_front(struct buf *buf, uint32_t bytes)
{
    struct buf *front = buf->payload != NULL ? payload_split(buf, bytes) : NULL;
    return front != NULL ? front : buf;
}

/* Start one send with everything that is ready. */
static void conn_send_start(struct conn *conn, struct list *source)
{
    struct io_op *op = &conn->send;
    op->send.count = 0;
    uint32_t most = conn_share(conn);
    uint32_t bytes = 0;
    while (op->send.count < SEND_BUFS_MAX && bytes < most) {
        struct list_node *node = list_first(source);
        if (node == NULL) {
            break;
        }
        struct buf *buf = list_buf(node);
        if (WEFT_UNLIKELY(buf_used(buf) > most - bytes)) {
            buf = send_front(buf, most - bytes);
        }
        list_remove(&buf->link);
        bytes += buf_used(buf);
        op->send.bufs[op->send.count++] = buf;
        if (source == &conn->outbox) {
            conn->outbox_bytes -= buf_used(buf);
            conn->handed_total += buf_used(buf);
        }
    }
    if (WEFT_UNLIKELY(conn->zero_copy) && source == &conn->outbox && conn_zero_copy_start(conn, bytes)) {
        return;
    }
    if (op->send.count > 0) {
        op->socket = conn->socket;
        io_submit(conn_shard(conn)->io, op);
        conn_watch_send(conn);
    }
}

static void conn_flush_open(struct conn *conn)
{
    if (io_op_busy(&conn->send) || conn->zero_copy_now != NULL) {
        return;
    }
    if (WEFT_UNLIKELY(conn->prune_due && conn->outbox_bytes > 0)) {
        conn->prune_due = false;
        conn->events->prune(conn);
    }
    if (conn->secure == NULL || conn->state == CONN_SECURING) {
        conn_send_start(conn, list_empty(&conn->sealed) ? &conn->outbox : &conn->sealed);
        return;
    }
    conn_seal(conn);
    if (conn->state == CONN_CLOSING) {
        return;
    }
    if (conn->state == CONN_DRAINING && conn->outbox_bytes == 0 && !conn->shut_sealed) {
        conn_seal_shut(conn);
    }
    conn_send_start(conn, &conn->sealed);
}

void conn_flush(struct flush_hook *hook)
{
    struct conn *conn = WEFT_CONTAINER_OF(hook, struct conn, flush);
    if (conn->state == CONN_SECURING || conn->state == CONN_OPEN || conn->state == CONN_DRAINING) {
        uint64_t handed = conn->handed_total;
        METRIC(conn_shard(conn), send_queue_bytes, conn->queued_total - handed);
        conn_flush_open(conn);
        conn_place_look(conn);
        if (conn->handed_total != handed) {
            conn->events->handed(conn);
        }
    }
    if (conn->state == CONN_DRAINING && !conn_has_output(conn)) {
        conn_linger(conn);
    }
}

void conn_send_account(struct conn *conn, struct io_op *op, uint32_t accepted)
{
    struct list rest;
    list_init(&rest);
    for (uint32_t i = 0; i < op->send.count; i++) {
        struct buf *buf = op->send.bufs[i];
        uint32_t part = accepted < buf_used(buf) ? accepted : buf_used(buf);
        buf->begin += part;
        accepted -= part;
        if (buf_used(buf) == 0) {
            shard_buf_give_back(conn_shard(conn), buf);
        } else {
            list_push_back(&rest, &buf->link);
        }
    }
    op->send.count = 0;
    list_splice_back(&rest, &conn->sealed);
    list_splice_back(&conn->sealed, &rest);
}

static void conn_tell_drained(struct conn *conn)
{
    if (conn->above_high && conn->outbox_bytes < SEND_QUEUE_BYTES_HIGH / 2) {
        conn->above_high = false;
        if (conn->state == CONN_OPEN) {
            conn->events->drained(conn);
        }
    }
}

void conn_send_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = WEFT_CONTAINER_OF(op, struct conn, send);
    uint32_t accepted = event->result > 0 ? (uint32_t)event->result : 0;
    conn_send_account(conn, op, accepted);
    conn_sent(conn, accepted, event->result);
}

void conn_sent(struct conn *conn, uint32_t accepted, int32_t result)
{
    COUNT_ADD(conn_shard(conn), bytes_sent, accepted);
    if (conn->secure == NULL) {
        COUNT_ADD(conn_shard(conn), plain_bytes_sent, accepted);
        conn->left_total += accepted;
    } else {
        COUNT_ADD(conn_shard(conn), tls_bytes_sent, accepted);
    }
    if (conn->state == CONN_CLOSING) {
        conn_try_reap(conn);
        return;
    }
    if (result < 0 && result != -EAGAIN && result != -EINTR) {
        weft_error_set_errno(&conn->error, WEFT_ERR_CLOSED, -result, "send");
        conn_abort(conn, WEFT_ERR_CLOSED, conn_reason_of(-result));
        return;
    }
    conn_tell_drained(conn);
    if (conn_has_output(conn) || conn->state == CONN_DRAINING) {
        conn_mark_dirty(conn);
    }
}
