/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/conn_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX 20000000u
#define MESSAGE_BYTES_MAX (20u * 1024 * 1024)

/* The connection's slot: the connection, and who writes down what happens to it. */
struct talker {
    struct conn conn; /* first */
    struct witness *witness;
};

static struct witness *witness_of(struct conn *conn)
{
    struct witness *witness = WEFT_CONTAINER_OF(conn, struct talker, conn)->witness;
    assert_non_null(witness);
    assert_ptr_equal(witness->conn, conn);
    assert_false(witness->end->inside);
    assert_int_equal(witness->closed, 0);
    return witness;
}

/* The byte of a stream at this offset; the two directions of a connection differ. */
static uint8_t stream_byte(bool from_acceptor, uint64_t offset)
{
    return (uint8_t)(offset * 7 + (offset >> 8) * 3 + (offset >> 16) + (from_acceptor ? 101 : 0));
}

static void talker_opened(struct conn *conn)
{
    struct witness *witness = witness_of(conn);
    witness->opened++;
    witness->opened_ns = witness->end->shard->now_ns;
    if (witness->on_opened != NULL) {
        witness->on_opened(witness);
    }
}

static void talker_received(struct conn *conn, struct weft_span bytes)
{
    struct witness *witness = witness_of(conn);
    assert_true(bytes.bytes > 0);
    for (uint32_t i = 0; i < bytes.bytes; i++) {
        uint8_t due = stream_byte(!witness->accepted, witness->received_bytes + i);
        witness->wrong_bytes += bytes.data[i] != due;
    }
    witness->received_bytes += bytes.bytes;
    if (witness->on_received != NULL) {
        witness->on_received(witness);
    }
}

static void talker_drained(struct conn *conn)
{
    struct witness *witness = witness_of(conn);
    witness->drained++;
    assert_true(conn->outbox_bytes < SEND_QUEUE_BYTES_HIGH / 2);
    if (witness->on_drained != NULL) {
        witness->on_drained(witness);
    }
}

static void talker_handed(struct conn *conn)
{
    struct witness *witness = witness_of(conn);
    witness->handed++;
    assert_true(conn->handed_total > witness->handed_bytes);
    assert_true(conn->handed_total <= conn->queued_total);
    witness->handed_bytes = conn->handed_total;
}

static void talker_misdirected(struct conn *conn)
{
    witness_of(conn)->misdirected++;
}

static void talker_closed(struct conn *conn)
{
    struct witness *witness = witness_of(conn);
    assert_int_not_equal(conn->error.code, WEFT_OK);
    assert_int_not_equal(conn->error.reason, WEFT_REASON_NONE);
    assert_true(conn->error.text[0] != '\0');
    witness->closed++;
    witness->closed_ns = witness->end->shard->now_ns;
    witness->error = conn->error;
    witness->conn = NULL;
}

static const struct conn_events talker_events = {
    .opened = talker_opened,
    .received = talker_received,
    .drained = talker_drained,
    .handed = talker_handed,
    .misdirected = talker_misdirected,
    .closed = talker_closed,
};

static struct witness *witness_new(struct conn_end *end, bool accepted)
{
    assert_true(end->witness_count < PAIR_WITNESSES_MAX);
    struct witness *witness = &end->witnesses[end->witness_count++];
    *witness = (struct witness){.end = end, .accepted = accepted};
    return witness;
}

static struct secure_factory *end_factory(struct conn_end *end)
{
    return end->secure ? &end->toy.factory : NULL;
}

static void end_arrived(struct listener *listener, int32_t socket, const struct address *from)
{
    struct conn_end *end = listener->ctx;
    struct conn *conn = NULL;
    struct weft_error why = {0};
    end->inside = true;
    enum weft_err err = conn_accept(&end->net, socket, from, end_factory(end), &talker_events, &conn, &why);
    end->inside = false;
    if (err != WEFT_OK) {
        assert_int_equal(why.code, err);
        end->refused_count++;
        return;
    }
    struct witness *witness = witness_new(end, true);
    witness->conn = conn;
    WEFT_CONTAINER_OF(conn, struct talker, conn)->witness = witness;
}

struct address conn_end_address(uint32_t index)
{
    return (struct address){.ip = {10, 0, 0, (uint8_t)(index + 1)}, .port = PAIR_PORT, .family = 4};
}

struct witness *conn_end_dial(struct conn_end *end)
{
    struct conn *conn;
    struct weft_error why = {0};
    struct conn_target target = {.remote = conn_end_address(1 - end->index)};
    target.shards = end->pair->options.target_shards;
    target.wanted = end->pair->options.target_wanted;
    end->inside = true;
    enum weft_err err = conn_dial(&end->net, &target, end_factory(end), &talker_events, &conn, &why);
    end->inside = false;
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
    struct witness *witness = witness_new(end, false);
    witness->conn = conn;
    WEFT_CONTAINER_OF(conn, struct talker, conn)->witness = witness;
    return witness;
}

static enum weft_err end_open(void *ctx, struct weft_shard *shard, struct weft_error *why)
{
    struct conn_end *end = ctx;
    const struct conn_pair_options *options = &end->pair->options;
    const struct net_options net_options = {
        .conns_max = options->conns_max,
        .conn_object_bytes = options->object_bytes,
        .handshake_timeout_ns = 2 * PAIR_SECOND_NS,
        .secure = true,
        .frame_timeout_ns = options->frame_timeout_ns,
        .send_timeout_ns = options->send_timeout_ns,
        .first_timeout_ns = options->first_timeout_ns,
        .handshakes_max = options->handshakes_max,
        .zero_copy = options->zero_copy,
    };
    (void)why;
    end->shard = shard;
    shard->user = end;
    sim_io_set_user(shard->io, shard);
    assert_int_equal(net_init(&end->net, shard, &net_options), WEFT_OK);
    if (options->on_open != NULL) {
        options->on_open(end);
    }
    return WEFT_OK;
}

static void end_closed(void *ctx, struct weft_shard *shard)
{
    struct conn_end *end = ctx;
    if (end->pair->options.on_close != NULL) {
        end->pair->options.on_close(end);
    }
    net_fini(&end->net);
    assert_int_equal(arena_used(&shard->arena), 0);
    assert_int_equal(shard->send_pool.free_count, shard->send_pool.count);
    assert_int_equal(timer_wheel_next_ns(&shard->wheel), UINT64_MAX);
}

static void end_start(struct conn_pair *pair, uint32_t index)
{
    struct conn_end *end = &pair->ends[index];
    const struct engine_options options = {
        .place = sim_world_node(pair->world, index),
        .shard_count = 1,
        .thread_name = "pair",
        .on_open = end_open,
        .on_close = end_closed,
        .ctx = end,
        .driven = true,
        .shard = {.recv_bufs = pair->options.recv_bufs != 0 ? pair->options.recv_bufs : 64,
                  .send_bufs = pair->options.send_bufs,
                  .arena_bytes = pair->options.arena_bytes,
                  .operations_max = 64},
    };
    struct weft_error why = {0};
    end->pair = pair;
    end->index = index;
    end->secure = pair->options.secure[index];
    end->user = pair->options.user[index];
    end->listener_socket = IO_SOCKET_NONE;
    toy_factory_init(&end->toy, &pair->options.toy[index]);
    assert_int_equal(engine_create(&end->engine, &options, &why), WEFT_OK);
    assert_int_equal(engine_start(end->engine, &why), WEFT_OK);
}

static void end_listen(void *ctx, struct weft_shard *shard)
{
    struct conn_end *end = ctx;
    (void)shard;
    listener_start(&end->listener, &end->net, end->listener_socket,
                   end->pair->options.arrived != NULL ? end->pair->options.arrived : end_arrived, end);
}

void conn_pair_options_init(struct conn_pair_options *options, uint64_t seed)
{
    memset(options, 0, sizeof *options);
    sim_options_init(&options->sim, seed);
}

void conn_pair_open(struct conn_pair *pair, const struct conn_pair_options *options)
{
    struct weft_error why = {0};
    memset(pair, 0, sizeof *pair);
    pair->options = *options;
    pair->options.send_bufs = options->send_bufs != 0 ? options->send_bufs : 2048;
    pair->options.conns_max = options->conns_max != 0 ? options->conns_max : 16;
    pair->options.arena_bytes = options->arena_bytes != 0 ? options->arena_bytes : 1u << 20;
    pair->options.object_bytes = options->object_bytes != 0 ? options->object_bytes : (uint32_t)sizeof(struct talker);
    assert_int_equal(sim_world_create(&pair->world, &options->sim, &why), WEFT_OK);
    end_start(pair, 0);
    end_start(pair, 1);
    if (!options->no_listener) {
        struct conn_end *end = &pair->ends[0];
        struct address address = conn_end_address(0);
        bool steered = false;
        assert_int_equal(end->shard->place.backend->listen(end->shard->place.host, &address, 1, &end->listener_socket,
                                                           &steered, &why),
                         WEFT_OK);
        assert_true(steered);
        conn_end_do(end, end_listen, end);
    }
}

static bool pair_step(struct conn_pair *pair)
{
    struct io *io = sim_world_next(pair->world);
    if (io == NULL) {
        return false;
    }
    shard_turn(sim_io_user(io));
    return true;
}

void conn_pair_until(struct conn_pair *pair, bool (*done)(void *ctx), void *ctx)
{
    uint64_t until_ns = sim_world_now_ns(pair->world) + 60 * PAIR_SECOND_NS;
    for (uint32_t step = 0; step < STEPS_MAX && !done(ctx); step++) {
        if (!pair_step(pair) || sim_world_now_ns(pair->world) > until_ns) {
            fail_msg("waited in vain");
        }
    }
    assert_true(done(ctx));
}

static bool pair_has_no_conn(void *ctx)
{
    const struct conn_pair *pair = ctx;
    return pair->ends[0].net.conn_count == 0 && pair->ends[1].net.conn_count == 0;
}

void conn_pair_until_closed(struct conn_pair *pair)
{
    conn_pair_until(pair, pair_has_no_conn, pair);
}

struct errand {
    weft_task_fn *fn;
    void *ctx;
    bool done;
};

static void errand_run(void *ctx, struct weft_shard *shard)
{
    struct errand *errand = ctx;
    errand->fn(errand->ctx, shard);
    errand->done = true;
}

static bool errand_is_done(void *ctx)
{
    return ((const struct errand *)ctx)->done;
}

void conn_end_do(struct conn_end *end, weft_task_fn *fn, void *ctx)
{
    struct errand errand = {.fn = fn, .ctx = ctx};
    assert_int_equal(engine_post(end->engine, 0, errand_run, &errand), WEFT_OK);
    conn_pair_until(end->pair, errand_is_done, &errand);
}

/* A timer keeps the world from jumping past the time that was asked for. */
struct alarm {
    struct timer timer;
    uint64_t delay_ns;
    bool rang;
};

static void alarm_ring(struct timer *timer, void *ctx)
{
    (void)timer;
    ((struct alarm *)ctx)->rang = true;
}

static void alarm_set(void *ctx, struct weft_shard *shard)
{
    struct alarm *alarm = ctx;
    alarm->timer = (struct timer){.fn = alarm_ring, .ctx = alarm};
    shard_timer_start(shard, &alarm->timer, alarm->delay_ns);
}

static bool alarm_rang(void *ctx)
{
    return ((const struct alarm *)ctx)->rang;
}

void conn_pair_run(struct conn_pair *pair, uint64_t for_ns)
{
    struct alarm alarm = {.delay_ns = for_ns};
    conn_end_do(&pair->ends[1], alarm_set, &alarm);
    conn_pair_until(pair, alarm_rang, &alarm);
}

static void end_dial_errand(void *ctx, struct weft_shard *shard)
{
    *(struct witness **)ctx = conn_end_dial(shard->user);
}

static bool pair_is_connected(void *ctx)
{
    struct witness **both = ctx;
    const struct conn_end *acceptor = &both[0]->end->pair->ends[1 - both[0]->end->index];
    for (uint32_t i = 0; i < acceptor->witness_count; i++) {
        if (acceptor->witnesses[i].accepted && acceptor->witnesses[i].opened == 1 &&
            acceptor->witnesses[i].closed == 0) {
            both[1] = (struct witness *)&acceptor->witnesses[i];
        }
    }
    return both[0]->opened == 1 && both[1] != NULL;
}

struct witness *conn_pair_connect(struct conn_pair *pair, struct witness **accepted)
{
    struct witness *both[2] = {NULL, NULL};
    conn_end_do(&pair->ends[1], end_dial_errand, &both[0]);
    conn_pair_until(pair, pair_is_connected, both);
    if (accepted != NULL) {
        *accepted = both[1];
    }
    return both[0];
}

enum weft_err witness_send(struct witness *witness, uint32_t bytes)
{
    assert_true(bytes <= MESSAGE_BYTES_MAX);
    uint8_t *message = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(message);
    for (uint32_t i = 0; i < bytes; i++) {
        message[i] = stream_byte(witness->accepted, witness->sent_bytes + i);
    }
    uint32_t head = bytes / 3;
    uint64_t queued = witness->conn->queued_total;
    witness->end->inside = true;
    enum weft_err err =
        conn_send(witness->conn, (struct weft_span){message, head}, (struct weft_span){message + head, bytes - head});
    witness->end->inside = false;
    free(message);
    witness->sent_bytes += err == WEFT_OK ? bytes : 0;
    assert_int_equal(witness->conn->queued_total - queued, err == WEFT_OK ? bytes : 0);
    return err;
}

void witness_close(struct witness *witness)
{
    witness->end->inside = true;
    conn_close(witness->conn, WEFT_REASON_LOCAL_CLOSE);
    witness->end->inside = false;
}

void witness_abort(struct witness *witness)
{
    witness->end->inside = true;
    conn_abort(witness->conn, WEFT_ERR_CANCELLED, WEFT_REASON_LOCAL_CLOSE);
    witness->end->inside = false;
}

void witness_pause(struct witness *witness)
{
    witness->end->inside = true;
    conn_pause(witness->conn);
    witness->end->inside = false;
}

void witness_resume(struct witness *witness)
{
    witness->end->inside = true;
    conn_resume(witness->conn);
    witness->end->inside = false;
}

static void end_stop_listening(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    listener_release(&((struct conn_end *)ctx)->listener);
}

static bool end_listens_no_more(void *ctx)
{
    return listener_idle(&((struct conn_end *)ctx)->listener);
}

void conn_pair_close(struct conn_pair *pair)
{
    if (pair->ends[0].listener_socket != IO_SOCKET_NONE) {
        conn_end_do(&pair->ends[0], end_stop_listening, &pair->ends[0]);
        conn_pair_until(pair, end_listens_no_more, &pair->ends[0]);
        listener_group_close(&pair->ends[0].shard->place, 1, &pair->ends[0].listener_socket);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct conn_end *end = &pair->ends[i];
        for (uint32_t w = 0; w < end->witness_count; w++) {
            assert_int_equal(end->witnesses[w].closed, 1);
            assert_int_equal(end->witnesses[w].wrong_bytes, 0);
        }
        assert_int_equal(end->net.conn_count, 0);
        assert_int_equal(end->toy.live, 0);
        assert_int_equal(sim_io_lent(end->shard->io), 0);
        assert_int_equal(sim_io_operations(end->shard->io), 0);
        assert_int_equal(sim_world_sockets(pair->world, i), 0);
        engine_destroy(end->engine);
    }
    assert_int_equal(sim_world_bad_sockets(pair->world), 0);
    sim_world_destroy(pair->world);
}
