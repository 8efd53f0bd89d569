/* SPDX-License-Identifier: Apache-2.0 */
/* The life and the end of a connection.
 *
 * Happy path: dial or accept, secure, open, drain, linger, close.  The end is always the same: `conn_abort` puts the
 * connection into CLOSING and asks for the end of its operations; when the last of them is done the socket is closed,
 * and when that is done `closed` is called and the slot is free. */
#include "engine/net/conn.h"

#include <errno.h>
#include <string.h>

#include "engine/base/error.h"

/* After everything is sent and shut down, the peer gets this long to close its side. */
#define LINGER_NS UINT64_C(1000000000)
/* Pairs of source ports that a dial tries: with a tenth of the ports in use eight fail once in 10^16 dials. */
#define PORTS_TRIED_MAX 8u

static const uint8_t conn_edges[CONN_STATE_COUNT] = {
    [CONN_FREE] = 1u << CONN_CONNECTING | 1u << CONN_SECURING | 1u << CONN_OPEN,
    [CONN_CONNECTING] = 1u << CONN_SECURING | 1u << CONN_OPEN | 1u << CONN_CLOSING,
    [CONN_SECURING] = 1u << CONN_OPEN | 1u << CONN_DRAINING | 1u << CONN_CLOSING,
    [CONN_OPEN] = 1u << CONN_DRAINING | 1u << CONN_CLOSING,
    [CONN_DRAINING] = 1u << CONN_LINGERING | 1u << CONN_CLOSING,
    [CONN_LINGERING] = 1u << CONN_CLOSING,
    [CONN_CLOSING] = 1u << CONN_FREE,
};

const char *conn_state_name(enum conn_state state)
{
    static const char *const names[] = {
#define CONN_X(name) #name,
        CONN_STATES(CONN_X)
#undef CONN_X
    };
    WEFT_ASSERT(state < CONN_STATE_COUNT);
    return names[state];
}

void conn_to(struct conn *conn, enum conn_state state)
{
    WEFT_ASSERT((conn_edges[conn->state] & 1u << state) != 0);
    conn->state = state;
    conn->place_room = 0; /* messages are taken in one state only */
    if (WEFT_UNLIKELY(conn->handshaking && state != CONN_SECURING)) {
        conn_handshake_over(conn);
    }
}

static void conn_deadline_passed(struct timer *timer, void *ctx)
{
    (void)timer;
    struct conn *conn = ctx;
    if (conn->state == CONN_LINGERING) {
        conn_abort(conn, conn->error.code, conn->error.reason);
        return;
    }
    weft_error_set_reason(&conn->error, WEFT_ERR_TIMEOUT, conn->deadline_reason, "%s",
                          weft_reason_name(conn->deadline_reason));
    conn_abort(conn, WEFT_ERR_TIMEOUT, conn->deadline_reason);
}

void conn_deadline_start(struct conn *conn, uint64_t delay_ns, enum weft_reason reason)
{
    conn->deadline_reason = reason;
    shard_timer_start(conn->net->shard, &conn->deadline, delay_ns);
}

void conn_deadline_stop(struct conn *conn)
{
    timer_wheel_stop(&conn->net->shard->wheel, &conn->deadline);
}

/* An end that is no refusal, by its reason; refusals are counted by who refused. */
static void conn_count_end(struct weft_shard *shard, enum weft_reason reason)
{
    if (reason > WEFT_REASON_ENDS_BEGIN && reason < WEFT_REASON_ENDS_END) {
        uint64_t *counter = &shard->counters.ended_by_reason[reason - WEFT_REASON_ENDS_BEGIN];
        __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
    }
}

/* The slot is given back, and the user told, when nothing refers to the connection any more. */
static void conn_free(struct conn *conn)
{
    struct net *net = conn->net;
    WEFT_ASSERT(!timer_armed(&conn->deadline));
    WEFT_ASSERT(!timer_armed(&conn->watch));
    conn_drop_output(conn);
    if (conn->secure != NULL) {
        conn->secure->ops->close(conn->secure);
        conn->secure = NULL;
    }
    list_remove(&conn->flush.link);
    list_remove(&conn->handshake_link);
    list_remove(&conn->live);
    conn_to(conn, CONN_FREE);
    net->conn_count--;
    COUNT(net->shard, connections_closed);
    conn_count_end(net->shard, conn->error.reason);
    conn->events->closed(conn);
    slots_give_back(&net->conns, conn);
}

static void conn_reap(struct task *task)
{
    conn_try_reap(WEFT_CONTAINER_OF(task, struct conn, reap));
}

void conn_try_reap(struct conn *conn)
{
    if (conn->state != CONN_CLOSING || io_op_busy(&conn->recv) || io_op_busy(&conn->send) || io_op_busy(&conn->life) ||
        list_node_linked(&conn->reap.link) || (conn->zero_copy_now != NULL && !conn->zero_copy_now->told)) {
        return;
    }
    if (conn->socket == IO_SOCKET_NONE) {
        if (conn->zero_copy_count == 0) {
            conn_free(conn);
        }
        return;
    }
    conn->life.kind = IO_CLOSE;
    conn->life.close.reset = conn->zero_copy_count > 0;
    conn->life.socket = conn->socket;
    io_submit(conn->net->shard->io, &conn->life);
}

/* Draw source ports that land on the wanted shard; any port once enough of them were taken. */
static void conn_choose_ports(struct conn *conn)
{
    const struct landing_range *ports = &conn->net->ports;
    uint32_t pairs = landing_pairs(ports, conn->target_shards, conn->target_wanted);
    conn->life.connect.source_pair = 0;
    if (pairs > 0 && conn->ports_tried < PORTS_TRIED_MAX) {
        uint32_t drawn = (uint32_t)prng_below(&conn->net->shard->prng, pairs);
        conn->life.connect.source_pair = landing_pair(ports, conn->target_shards, conn->target_wanted, drawn);
    }
}

static bool conn_ports_taken(const struct conn *conn, int32_t result)
{
    return conn->life.connect.source_pair != 0 && (result == -EADDRINUSE || result == -EADDRNOTAVAIL);
}

static void conn_connected(struct conn *conn, int32_t result)
{
    if (conn_ports_taken(conn, result)) {
        conn->ports_tried++;
        conn_choose_ports(conn);
        io_submit(conn->net->shard->io, &conn->life);
        return;
    }
    if (result < 0) {
        weft_error_set_errno(&conn->error, WEFT_ERR_UNREACHABLE, -result, "connect");
        conn_abort(conn, WEFT_ERR_UNREACHABLE, WEFT_REASON_CONNECT_FAILED);
        return;
    }
    conn->socket = result;
    conn_recv_start(conn);
    if (conn->secure == NULL) {
        conn_opened(conn);
        return;
    }
    struct secure_in nothing = {NULL, 0};
    conn_to(conn, CONN_SECURING);
    conn_deadline_start(conn, conn->net->options.handshake_timeout_ns, WEFT_REASON_HANDSHAKE_TIMEOUT);
    conn_handshake(conn, &nothing);
}

static void conn_life_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = WEFT_CONTAINER_OF(op, struct conn, life);
    if (conn->state == CONN_CONNECTING) {
        conn_connected(conn, event->result);
        return;
    }
    if (op->kind == IO_CONNECT && event->result >= 0) {
        conn->socket = event->result; /* the dial succeeded although it was being cancelled */
    }
    if (op->kind == IO_CLOSE) {
        conn->socket = IO_SOCKET_NONE;
    }
    conn_try_reap(conn);
}

/* @param factory NULL for plain, and for an accepted connection that has to wait before it shakes hands */
static enum weft_err conn_make(struct net *net, struct secure_factory *factory, bool accepted,
                               const struct conn_events *events, struct conn **out, struct weft_error *why)
{
    uint32_t index;
    uint32_t generation;
    struct secure *secure = NULL;
    WEFT_ASSERT(factory == NULL || net->options.secure);
    if (factory != NULL) {
        WEFT_TRY(factory->make(factory, accepted, &secure, why));
    }
    struct conn *conn = slots_take(&net->conns, &index, &generation);
    if (conn == NULL) {
        if (secure != NULL) {
            secure->ops->close(secure);
        }
        return weft_error_set_reason(why, WEFT_ERR_QUEUE_FULL, WEFT_REASON_TOO_MANY_CONNECTIONS,
                                     "all %u connections of the shard are in use: raise connections_max",
                                     net->options.conns_max);
    }
    memset(conn, 0, net->options.conn_object_bytes);
    conn->net = net;
    conn->events = events;
    conn->index = index;
    conn->generation = generation;
    conn->accepted = accepted;
    conn->secure = secure;
    conn->zero_copy = secure == NULL && net->options.zero_copy != WEFT_SEND_ZEROCOPY_OFF;
    conn->socket = IO_SOCKET_NONE;
    io_op_init(&conn->life, IO_CONNECT, conn_life_done);
    io_op_init(&conn->recv, IO_RECV, conn_recv_done);
    io_op_init(&conn->send, IO_SEND, conn_send_done);
    list_node_init(&conn->flush.link);
    conn->flush.flush = conn_flush;
    list_node_init(&conn->reap.link);
    conn->reap.run = conn_reap;
    conn->deadline = (struct timer){.fn = conn_deadline_passed, .ctx = conn};
    list_node_init(&conn->handshake_link);
    list_init(&conn->outbox);
    list_init(&conn->sealed);
    list_node_init(&conn->live);
    list_push_back(&net->live, &conn->live);
    net->conn_count++;
    *out = conn;
    return WEFT_OK;
}

enum weft_err conn_dial(struct net *net, const struct conn_target *target, struct secure_factory *factory,
                        const struct conn_events *events, struct conn **out, struct weft_error *why)
{
    struct conn *conn;
    WEFT_TRY(conn_make(net, factory, false, events, &conn, why));
    conn->remote = target->remote;
    conn->target_shards = target->shards;
    conn->target_wanted = target->wanted;
    conn_to(conn, CONN_CONNECTING);
    conn->life.connect.remote = target->remote;
    conn->life.connect.local = target->local;
    conn->life.connect.options = &net->options.socket;
    conn_choose_ports(conn);
    COUNT(net->shard, dialed);
    io_submit(net->shard->io, &conn->life);
    conn_deadline_start(conn, net->options.handshake_timeout_ns, WEFT_REASON_CONNECT_TIMEOUT);
    *out = conn;
    return WEFT_OK;
}

static void conn_refuse_socket(struct net *net, int32_t socket)
{
    net->shard->place.backend->socket_close(net->shard->place.host, socket);
}

enum weft_err conn_accept(struct net *net, int32_t socket, const struct address *remote, struct secure_factory *factory,
                          const struct conn_events *events, struct conn **out, struct weft_error *why)
{
    struct conn *conn;
    bool turn = conn_handshake_may_begin(net) && !conn_handshakes_wait(net); /* a newcomer does not push in */
    enum weft_err err = conn_make(net, turn ? factory : NULL, true, events, &conn, why);
    if (err != WEFT_OK) {
        conn_refuse_socket(net, socket);
        return err;
    }
    conn->socket = socket;
    conn->remote = *remote;
    COUNT(net->shard, accepted);
    if (factory == NULL) {
        conn_recv_start(conn);
        conn_opened(conn);
    } else {
        conn_to(conn, CONN_SECURING);
        conn_deadline_start(conn, net->options.handshake_timeout_ns, WEFT_REASON_HANDSHAKE_TIMEOUT);
        conn_handshake_begin(conn, factory);
    }
    *out = conn;
    return WEFT_OK;
}

/* Tell the user from a task: accepting and dialing must return first. */
static void conn_tell_opened(struct task *task)
{
    struct conn *conn = WEFT_CONTAINER_OF(task, struct conn, reap);
    conn->reap.run = conn_reap;
    if (conn->state == CONN_OPEN) {
        conn->events->opened(conn);
    }
    conn_try_reap(conn);
}

void conn_opened(struct conn *conn)
{
    conn_to(conn, CONN_OPEN);
    conn_deadline_stop(conn);
    conn->reap.run = conn_tell_opened;
    shard_run_later(conn->net->shard, &conn->reap);
}

void conn_abort(struct conn *conn, enum weft_err code, enum weft_reason reason)
{
    if (conn->state == CONN_CLOSING) {
        return;
    }
    struct io *io = conn->net->shard->io;
    weft_error_set_reason(&conn->error, code, reason, "%s", weft_reason_name(reason));
    if (conn->error.reason == WEFT_REASON_NONE) {
        conn->error.reason = reason;
    }
    conn_to(conn, CONN_CLOSING);
    conn_deadline_stop(conn);
    timer_wheel_stop(&conn->net->shard->wheel, &conn->watch);
    io_cancel(io, &conn->recv);
    io_cancel(io, &conn->send);
    conn_zero_copy_cancel(conn);
    if (conn->life.kind == IO_CONNECT) {
        io_cancel(io, &conn->life);
    }
    shard_run_later(conn->net->shard, &conn->reap); /* never from inside: the user is told later */
}

void conn_close(struct conn *conn, enum weft_reason reason)
{
    if (conn->state == CONN_OPEN || conn->state == CONN_SECURING) {
        weft_error_set_reason(&conn->error, WEFT_ERR_CLOSED, reason, "%s", weft_reason_name(reason));
        conn_to(conn, CONN_DRAINING);
        conn_deadline_start(conn, conn->net->options.handshake_timeout_ns, reason);
        conn_mark_dirty(conn);
    } else if (conn->state == CONN_CONNECTING) {
        conn_abort(conn, WEFT_ERR_CLOSED, reason);
    }
}

/* Everything went out: end our direction, and wait for the peer's. */
void conn_linger(struct conn *conn)
{
    conn_to(conn, CONN_LINGERING);
    conn_resume(conn); /* the peer's end must be seen, whatever was paused */
    conn_deadline_start(conn, LINGER_NS, conn->error.reason);
    conn->life.kind = IO_SHUTDOWN;
    conn->life.socket = conn->socket;
    io_submit(conn->net->shard->io, &conn->life);
    if (conn->peer_ended) {
        conn_abort(conn, conn->error.code, conn->error.reason);
    }
}

enum weft_err net_init(struct net *net, struct weft_shard *shard, const struct net_options *options)
{
    memset(net, 0, sizeof *net);
    net->shard = shard;
    net->options = *options;
    list_init(&net->live);
    list_init(&net->handshakes_waiting);
    list_init(&net->handshakes_first);
    list_node_init(&net->handshake_next.link);
    net->handshake_next.run = conn_handshake_next;
    WEFT_ASSERT(options->conn_object_bytes >= sizeof(struct conn));
    WEFT_TRY(slots_init(&net->conns, options->allocator, options->conns_max, options->conn_object_bytes));
    if (options->zero_copy != WEFT_SEND_ZEROCOPY_OFF) {
        WEFT_TRY(
            slots_init(&net->zero_copy_sends, options->allocator, ZERO_COPY_SENDS_MAX, sizeof(struct zero_copy_send)));
    }
    shard->held.connections = &net->conn_count;
    shard->place.backend->port_range(shard->place.host, &net->ports);
    if (options->secure) {
        net->plaintext = arena_take(&shard->arena, SECURE_RECORD_BYTES);
    }
    return net->plaintext != NULL || !options->secure ? WEFT_OK : WEFT_ERR_NO_MEMORY;
}

void net_fini(struct net *net)
{
    WEFT_ASSERT(net->conn_count == 0);
    WEFT_ASSERT(net->handshake_count == 0);
    list_remove(&net->handshake_next.link);
    net->shard->held.connections = NULL;
    if (net->plaintext != NULL) {
        arena_give_back(&net->shard->arena, net->plaintext);
    }
    slots_fini(&net->conns);
    slots_fini(&net->zero_copy_sends);
    memset(net, 0, sizeof *net);
}
