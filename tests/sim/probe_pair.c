/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/probe_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX 100000u

static const struct io_socket_options socket_options = {.congestion = NULL};

struct address side_address(uint32_t side)
{
    struct address address = {.ip = {10, 0, 0, (uint8_t)(side + 1)}, .port = 7000, .family = 4};
    return address;
}

static void probe_done(struct io_op *op, const struct io_event *event)
{
    struct probe *probe = WEFT_CONTAINER_OF(op, struct probe, op);
    assert_true(probe->count < RESULTS_MAX);
    probe->results[probe->count++] = event->result;
    if (op->kind == IO_ACCEPT && event->result >= 0) {
        probe->from = event->from;
    }
    if (event->lent != NULL) {
        assert_true(probe->byte_count + buf_used(event->lent) <= BYTES_MAX);
        memcpy(probe->bytes + probe->byte_count, event->lent->data + event->lent->begin, buf_used(event->lent));
        probe->byte_count += buf_used(event->lent);
        if (probe->side->keep != NULL) {
            probe->side->keep[probe->side->kept_count++] = event->lent;
        } else {
            io_lend_return(probe->side->io, event->lent);
        }
    }
    if (!event->more) {
        probe->ended_ns = sim_world_now_ns(probe->side->world);
    }
    if (!event->more && op->kind == IO_SEND) {
        for (uint32_t i = 0; i < op->send.count; i++) {
            buf_give_back(&probe->side->pool, op->send.bufs[i]);
        }
    }
}

struct probe *probe_start(struct side *side, enum io_kind kind, int32_t socket)
{
    struct probe *probe = test_calloc(1, sizeof *probe);
    io_op_init(&probe->op, kind, probe_done);
    probe->side = side;
    probe->op.socket = socket;
    if (kind == IO_SEND) {
        struct buf *buf = buf_take(&side->pool, probe);
        assert_non_null(buf);
        for (; buf_room(buf) > 0; buf->end++) {
            buf->data[buf->end] = (uint8_t)(buf->end * 7 + (uint32_t)socket);
        }
        probe->op.send.bufs[0] = buf;
        probe->op.send.count = 1;
    }
    if (kind == IO_CONNECT) {
        probe->op.connect.remote = side_address(0);
        probe->op.connect.options = &socket_options;
    }
    if (kind == IO_ACCEPT) {
        probe->op.accept.options = &socket_options;
    }
    io_submit(side->io, &probe->op);
    return probe;
}

int32_t probe_last(const struct probe *probe)
{
    assert_true(probe->count > 0);
    return probe->results[probe->count - 1];
}

void probe_free(struct probe *probe)
{
    assert_false(io_op_busy(&probe->op));
    test_free(probe);
}

void side_open(struct pair *pair, uint32_t index)
{
    struct side *side = &pair->sides[index];
    const struct io_options options = {
        .recv_bufs = RECV_BUFS_OF_SIDE, .recv_buf_bytes = RECV_BYTES_OF_SIDE, .operations_max = 16};
    side->world = pair->world;
    side->place = sim_world_node(pair->world, index);
    assert_int_equal(side->place.backend->open(side->place.host, &options, &side->io, NULL), WEFT_OK);
    assert_int_equal(buf_pool_init(&side->pool, NULL, 64, SEND_BYTES), WEFT_OK);
    sim_io_set_user(side->io, side);
}

void side_listen(struct side *side, uint32_t index)
{
    struct address address = side_address(index);
    bool steered = false;
    assert_int_equal(side->place.backend->listen(side->place.host, &address, 1, &side->listener, &steered, NULL),
                     WEFT_OK);
    assert_true(steered);
}

void pair_open(struct pair *pair, const struct sim_options *options)
{
    memset(pair, 0, sizeof *pair);
    assert_int_equal(sim_world_create(&pair->world, options, NULL), WEFT_OK);
    side_open(pair, 0);
    side_open(pair, 1);
    side_listen(&pair->sides[0], 0);
}

void pair_run(struct pair *pair, uint64_t for_ns)
{
    uint64_t until_ns = sim_world_now_ns(pair->world) + for_ns;
    struct io *io;
    for (uint32_t step = 0; step < STEPS_MAX; step++) {
        if (sim_world_now_ns(pair->world) >= until_ns || (io = sim_world_next(pair->world)) == NULL) {
            return;
        }
        struct io_event events[8];
        uint64_t now_ns = sim_world_now_ns(pair->world);
        uint64_t timeout_ns = for_ns == UINT64_MAX / 2 || until_ns < now_ns ? IO_TIMEOUT_NEVER : until_ns - now_ns;
        uint32_t count = io->backend->wait(io, timeout_ns, events, 8);
        for (uint32_t i = 0; i < count; i++) {
            io_deliver(io, &events[i]);
        }
    }
    fail_msg("the pair does not come to rest");
}

void pair_rest(struct pair *pair)
{
    pair_run(pair, UINT64_MAX / 2);
}

void pair_connect(struct pair *pair)
{
    pair->accept = probe_start(&pair->sides[0], IO_ACCEPT, pair->sides[0].listener);
    pair->connect = probe_start(&pair->sides[1], IO_CONNECT, IO_SOCKET_NONE);
    pair_rest(pair);
    assert_true(probe_last(pair->accept) >= 0);
    assert_true(probe_last(pair->connect) >= 0);
}

int32_t pair_accepted(const struct pair *pair)
{
    return probe_last(pair->accept);
}

int32_t pair_dialed(const struct pair *pair)
{
    return probe_last(pair->connect);
}

int32_t side_close_socket(struct pair *pair, uint32_t side, int32_t socket)
{
    struct probe *probe = probe_start(&pair->sides[side], IO_CLOSE, socket);
    pair_rest(pair);
    int32_t result = probe_last(probe);
    probe_free(probe);
    return result;
}

void pair_close(struct pair *pair)
{
    if (pair->accept != NULL) {
        io_cancel(pair->sides[0].io, &pair->accept->op);
        pair_rest(pair);
        probe_free(pair->accept);
    }
    if (pair->connect != NULL) {
        probe_free(pair->connect);
    }
    pair->sides[0].place.backend->socket_close(pair->sides[0].place.host, pair->sides[0].listener);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(sim_world_sockets(pair->world, i), 0);
        pair->sides[i].place.backend->close(pair->sides[i].io);
        buf_pool_fini(&pair->sides[i].pool);
    }
    assert_int_equal(sim_world_bad_sockets(pair->world), 0);
    sim_world_destroy(pair->world);
}

void pair_close_sockets(struct pair *pair)
{
    assert_int_equal(side_close_socket(pair, 0, pair_accepted(pair)), 0);
    assert_int_equal(side_close_socket(pair, 1, pair_dialed(pair)), 0);
    pair_close(pair);
}
