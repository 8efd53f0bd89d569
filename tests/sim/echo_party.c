/* SPDX-License-Identifier: Apache-2.0 */
/* The party's own rules: an operation is submitted only after its last event came, a lent buffer goes back one turn
 * later, and every byte is compared with what belongs at its offset.
 *
 * Failure modes: whatever breaks a promise of the seam fails the running test on the spot, except wrong bytes, which
 * are counted: a test that damages one on purpose wants to see it found. */
#include "tests/sim/echo_party.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX 400000u

static const struct io_socket_options socket_options = {.congestion = NULL};

static struct address node_address(uint32_t node)
{
    struct address address = {.ip = {10, 0, 0, (uint8_t)(node + 1)}, .port = PORT, .family = 4};
    return address;
}

static uint8_t pattern(uint64_t seed, uint64_t offset)
{
    if (offset < SEED_BYTES) {
        return (uint8_t)(seed >> (8 * offset));
    }
    return (uint8_t)(((seed ^ (offset >> 3)) * UINT64_C(0x9e3779b97f4a7c15)) >> (56 - 5 * (offset & 7)));
}

static void tracked_submit(struct member *member, struct tracked *tracked)
{
    assert_int_equal(tracked->submitted, tracked->ended);
    tracked->submitted++;
    io_submit(member->io, &tracked->op);
}

static struct conn *tracked_event(struct io_op *op, const struct io_event *event)
{
    struct tracked *tracked = WEFT_CONTAINER_OF(op, struct tracked, op);
    assert_int_equal(tracked->submitted, tracked->ended + 1);
    assert_int_equal(io_op_busy(op), event->more);
    if (!event->more) {
        tracked->ended++;
    }
    return tracked->conn;
}

static void conn_connect_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = tracked_event(op, event);
    assert_false(event->more);
    if (event->result < 0) {
        conn->broken = true;
    } else {
        conn->socket = event->result;
    }
}

static void conn_check_byte(struct conn *conn, uint8_t byte)
{
    if (!conn->dialer && conn->bytes_received < SEED_BYTES) {
        conn->seed |= (uint64_t)byte << (8 * conn->bytes_received);
    }
    if (byte != pattern(conn->seed, conn->bytes_received)) {
        conn->member->party->wrong_bytes++;
    }
    conn->bytes_received++;
}

static void conn_recv_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = tracked_event(op, event);
    if (event->result > 0) {
        struct member *member = conn->member;
        assert_non_null(event->lent);
        assert_int_equal(buf_used(event->lent), event->result);
        for (uint32_t i = event->lent->begin; i < event->lent->end; i++) {
            conn_check_byte(conn, event->lent->data[i]);
        }
        member->held[member->held_count++] = event->lent;
        return;
    }
    assert_null(event->lent);
    assert_false(event->more);
    if (event->result == 0) {
        conn->ended = true;
    } else if (event->result != -ECANCELED && event->result != -ENOBUFS) {
        conn->broken = true;
    }
}

static void conn_send_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = tracked_event(op, event);
    assert_false(event->more);
    if (event->result >= 0) {
        conn->bytes_sent += (uint64_t)event->result;
    } else if (event->result != -ECANCELED) {
        conn->broken = true;
    }
    for (uint32_t i = 0; i < op->send.count; i++) {
        buf_give_back(&conn->member->pool, op->send.bufs[i]);
    }
}

static void conn_shutdown_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = tracked_event(op, event);
    conn->broken = conn->broken || (event->result < 0 && event->result != -ECANCELED);
}

static void conn_close_done(struct io_op *op, const struct io_event *event)
{
    struct conn *conn = tracked_event(op, event);
    assert_true(event->result == 0 || event->result == -EINTR || event->result == -EIO); /* closed all the same */
    conn->finished = true;
    if (conn->dialer && conn->ended && conn->bytes_received == conn->bytes_goal) {
        conn->member->party->completed++;
    }
}

static void tracked_init(struct tracked *tracked, struct conn *conn, enum io_kind kind, io_done_fn *done)
{
    io_op_init(&tracked->op, kind, done);
    tracked->conn = conn;
}

static struct conn *conn_new(struct member *member, bool dialer, int32_t socket)
{
    struct conn *conn = test_calloc(1, sizeof *conn);
    assert_true(member->conn_count < PARTY_CONNS_MAX);
    member->conns[member->conn_count++] = conn;
    conn->member = member;
    conn->dialer = dialer;
    conn->socket = socket;
    tracked_init(&conn->connect, conn, IO_CONNECT, conn_connect_done);
    tracked_init(&conn->recv, conn, IO_RECV, conn_recv_done);
    tracked_init(&conn->send, conn, IO_SEND, conn_send_done);
    tracked_init(&conn->shutdown, conn, IO_SHUTDOWN, conn_shutdown_done);
    tracked_init(&conn->close, conn, IO_CLOSE, conn_close_done);
    return conn;
}

static struct conn *member_dial(struct member *member, uint32_t to_node, uint64_t bytes_goal)
{
    struct conn *conn = conn_new(member, true, IO_SOCKET_NONE);
    conn->seed = prng_next(&member->party->prng);
    conn->bytes_goal = bytes_goal;
    conn->must_finish = member->party->calm;
    conn->connect.op.connect.remote = node_address(to_node);
    conn->connect.op.connect.options = &socket_options;
    if (prng_below(&member->party->prng, 2) == 0) {
        conn->connect.op.connect.local = node_address(member->node);
        conn->connect.op.connect.local.port = 0;
    }
    if (prng_below(&member->party->prng, 2) == 0) {
        conn->connect.op.connect.source_pair = (uint16_t)(40000 + 2 * prng_below(&member->party->prng, 10000));
    }
    tracked_submit(member, &conn->connect);
    return conn;
}

static void member_accept_done(struct io_op *op, const struct io_event *event)
{
    tracked_event(op, event);
    struct member *member = WEFT_CONTAINER_OF(op, struct member, accept.op);
    if (event->result < 0) {
        assert_false(event->more);
        assert_true(sim_error_place(IO_ACCEPT, -event->result) < SIM_ERROR_CODES_MAX);
        return;
    }
    assert_int_equal(event->from.family, 4);
    assert_true(event->from.port != 0);
    assert_true(event->from.ip[3] >= 1 && event->from.ip[3] <= PARTY_NODES);
    member->accepted++;
    conn_new(member, false, event->result);
}

static bool conn_quiet(const struct conn *conn)
{
    return !io_op_busy(&conn->recv.op) && !io_op_busy(&conn->send.op) && !io_op_busy(&conn->shutdown.op);
}

static void conn_end(struct conn *conn)
{
    struct io *io = conn->member->io;
    if (conn->socket == IO_SOCKET_NONE) {
        io_cancel(io, &conn->connect.op);
        conn->finished = !io_op_busy(&conn->connect.op);
        return;
    }
    io_cancel(io, &conn->recv.op);
    io_cancel(io, &conn->send.op);
    if (conn_quiet(conn) && !io_op_busy(&conn->close.op)) {
        conn->close.op.socket = conn->socket;
        tracked_submit(conn->member, &conn->close);
    }
}

static void conn_send_more(struct conn *conn, uint64_t goal)
{
    struct member *member = conn->member;
    struct io_op *op = &conn->send.op;
    uint64_t offset = conn->bytes_sent;
    uint64_t count_max = 1 + prng_below(&member->party->prng, 4);
    op->send.count = 0;
    while (op->send.count < count_max && offset < goal) {
        struct buf *buf = buf_take(&member->pool, conn);
        if (buf == NULL) {
            break;
        }
        while (buf_room(buf) > 0 && offset < goal) {
            buf->data[buf->end++] = pattern(conn->seed, offset++);
        }
        op->send.bufs[op->send.count++] = buf;
    }
    if (op->send.count > 0) {
        op->socket = conn->socket;
        tracked_submit(member, &conn->send);
    }
}

static void conn_cancel_something(struct conn *conn)
{
    struct prng *prng = &conn->member->party->prng;
    struct io *io = conn->member->io;
    if (prng_below(prng, 40) == 0) {
        io_cancel(io, &conn->recv.op);
    }
    if (prng_below(prng, 40) == 0) {
        io_cancel(io, &conn->send.op);
    }
    if (!conn->must_finish && prng_below(prng, 200) == 0) {
        io_cancel(io, &conn->connect.op);
    }
}

static void conn_step(struct conn *conn)
{
    uint64_t goal = conn->dialer ? conn->bytes_goal : conn->bytes_received;
    if (conn->finished) {
        return;
    }
    bool all_back = conn->ended && conn->bytes_sent == goal;
    if (conn->broken || all_back || (conn->dialer && conn->ended)) {
        conn_end(conn);
        return;
    }
    conn_cancel_something(conn);
    if (conn->socket == IO_SOCKET_NONE) {
        return;
    }
    if (!io_op_busy(&conn->recv.op) && !conn->ended) {
        conn->recv.op.socket = conn->socket;
        tracked_submit(conn->member, &conn->recv);
    }
    bool seed_known = conn->dialer || conn->bytes_received >= SEED_BYTES;
    if (!io_op_busy(&conn->send.op) && seed_known && conn->bytes_sent < goal) {
        conn_send_more(conn, goal);
    }
    if (conn->dialer && conn->bytes_sent == goal && conn->shutdown.submitted == 0) {
        conn->shutdown.op.socket = conn->socket;
        tracked_submit(conn->member, &conn->shutdown);
    }
}

static bool member_idle(const struct member *member)
{
    for (uint32_t i = 0; i < member->conn_count; i++) {
        if (!member->conns[i]->finished) {
            return false;
        }
    }
    return member->dials_left == 0;
}

static void member_step(struct member *member)
{
    struct io_event events[EVENTS_MAX];
    struct prng *prng = &member->party->prng;
    uint64_t timeout_ns = prng_below(prng, 4) == 0 ? prng_below(prng, SECOND_NS) : IO_TIMEOUT_NEVER;
    /* A deadline per wait would keep an idle world going for ever. */
    timeout_ns = member->closing ? IO_TIMEOUT_NEVER : timeout_ns;
    struct buf *returns[EVENTS_MAX];
    uint32_t return_count = member->held_count;
    memcpy(returns, member->held, sizeof returns);
    member->held_count = 0;
    uint32_t count = member->io->backend->wait(member->io, timeout_ns, events, EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        io_deliver(member->io, &events[i]);
    }
    for (uint32_t i = 0; i < return_count; i++) {
        io_lend_return(member->io, returns[i]);
    }
    if (member->closing) {
        io_cancel(member->io, &member->accept.op);
    } else if (!io_op_busy(&member->accept.op)) {
        tracked_submit(member, &member->accept);
    }
    if (member->dials_left > 0) {
        member->dials_left--;
        uint32_t to = (member->node + 1 + (uint32_t)prng_below(prng, PARTY_NODES - 1)) % PARTY_NODES;
        member_dial(member, to, SEED_BYTES + prng_below(prng, 20000));
    }
    for (uint32_t i = 0; i < member->conn_count; i++) {
        conn_step(member->conns[i]);
    }
}

static void member_open(struct party *party, uint32_t index, uint32_t node, int32_t listener)
{
    struct member *member = &party->members[index];
    const struct io_options options = {.recv_bufs = 64, .recv_buf_bytes = 4096, .operations_max = 64};
    member->party = party;
    member->node = node;
    member->place = sim_world_node(party->world, node);
    member->listener = listener;
    assert_int_equal(member->place.backend->open(member->place.host, &options, &member->io, NULL), WEFT_OK);
    assert_int_equal(buf_pool_init(&member->pool, NULL, SEND_BUFS_TEST, SEND_BUF_TEST_BYTES), WEFT_OK);
    sim_io_set_user(member->io, member);
    tracked_init(&member->accept, NULL, IO_ACCEPT, member_accept_done);
    member->accept.op.socket = member->listener;
    member->accept.op.accept.options = &socket_options;
}

/* The shards of a node: members from `first` on. */
static void node_open(struct party *party, uint32_t first, uint32_t node, uint32_t shards)
{
    struct io_place place = sim_world_node(party->world, node);
    struct address address = node_address(node);
    int32_t listeners[PARTY_SHARDS];
    bool steered = false;
    assert_int_equal(place.backend->listen(place.host, &address, shards, listeners, &steered, NULL), WEFT_OK);
    assert_true(steered);
    for (uint32_t i = 0; i < shards; i++) {
        member_open(party, first + i, node, listeners[i]);
    }
}

void party_open(struct party *party, const struct sim_options *options)
{
    memset(party, 0, sizeof *party);
    assert_int_equal(sim_world_create(&party->world, options, NULL), WEFT_OK);
    prng_init(&party->prng, options->seed + 1);
    node_open(party, 0, 0, 2);
    node_open(party, 2, 1, 1);
    node_open(party, 3, 2, 1);
}

bool party_idle(const struct party *party)
{
    for (uint32_t i = 0; i < PARTY_SHARDS; i++) {
        if (!member_idle(&party->members[i])) {
            return false;
        }
    }
    return true;
}

void party_run(struct party *party, uint64_t until_ns)
{
    for (uint32_t step = 0; step < STEPS_MAX; step++) {
        if (party_idle(party) || sim_world_now_ns(party->world) > until_ns) {
            return;
        }
        struct io *io = sim_world_next(party->world);
        if (io == NULL) {
            return;
        }
        member_step(sim_io_user(io));
        if (party->cuts && prng_below(&party->prng, 500) == 0) {
            uint32_t node = (uint32_t)prng_below(&party->prng, PARTY_NODES);
            sim_world_partition(party->world, node, (node + 1) % PARTY_NODES, prng_below(&party->prng, 2) == 0);
        }
    }
    fail_msg("the party does not end");
}

void party_dial(struct party *party, uint32_t dials)
{
    for (uint32_t i = 0; i < PARTY_SHARDS; i++) {
        party->members[i].dials_left = dials;
        party->members[i].io->backend->wake(party->members[i].io);
    }
}

static void tracked_check(const struct tracked *tracked)
{
    assert_int_equal(tracked->submitted, tracked->ended);
    assert_false(io_op_busy(&tracked->op));
}

static void member_close(struct member *member)
{
    for (uint32_t i = 0; i < member->conn_count; i++) {
        struct conn *conn = member->conns[i];
        assert_true(conn->finished);
        tracked_check(&conn->connect);
        tracked_check(&conn->recv);
        tracked_check(&conn->send);
        tracked_check(&conn->shutdown);
        tracked_check(&conn->close);
        test_free(conn);
    }
    tracked_check(&member->accept);
    member->place.backend->socket_close(member->place.host, member->listener);
    assert_int_equal(sim_io_operations(member->io), 0);
    assert_int_equal(sim_io_lent(member->io), member->held_count);
    for (uint32_t i = 0; i < member->held_count; i++) {
        io_lend_return(member->io, member->held[i]);
    }
    member->place.backend->close(member->io);
    assert_int_equal(member->pool.free_count, member->pool.count);
    buf_pool_fini(&member->pool);
}

uint64_t party_close(struct party *party)
{
    struct io *io;
    for (uint32_t i = 0; i < PARTY_SHARDS; i++) {
        party->members[i].closing = true;
        party->members[i].io->backend->wake(party->members[i].io);
    }
    for (uint32_t step = 0; step < STEPS_MAX && (io = sim_world_next(party->world)) != NULL; step++) {
        member_step(sim_io_user(io));
    }
    assert_null(sim_world_next(party->world));
    uint64_t hash = sim_world_trace_hash(party->world);
    for (uint32_t i = 0; i < PARTY_SHARDS; i++) {
        member_close(&party->members[i]);
    }
    for (uint32_t node = 0; node < PARTY_NODES; node++) {
        assert_int_equal(sim_world_sockets(party->world, node), 0);
    }
    assert_int_equal(sim_world_bad_sockets(party->world), 0);
    sim_world_destroy(party->world);
    return hash;
}
