/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the io backends share: one opened backend with a listener, probes that write down their events,
 * and helpers that run turns until something happened.  Nothing here waits for time to pass: every wait ends with an
 * event, and a limit only ends a test that failed. */
#ifndef TESTS_INTEGRATION_IO_WORLD_H
#define TESTS_INTEGRATION_IO_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/buf.h"
#include "engine/io/io.h"
#include "engine/io/io_uring_probe.h"
#include "engine/io/socket.h"

#define LIMIT_NS UINT64_C(20000000000)
#define RESULTS_MAX 512u
#define SOCKETS_OPEN_MAX 64u
#define EVENTS_MAX 64u
#define SEND_BUFS 64u
#define TEST_RECV_BUFS 16u
#define TEST_RECV_BUF_BYTES 4096u

/* One operation and everything that it reported. */
struct probe {
    struct io_op op;
    struct world *world;
    uint32_t count;
    int32_t results[RESULTS_MAX];
    int32_t last;
    bool more;
    bool copied; /* the last event of a zero-copy send */
    struct address from;
    uint64_t bytes; /* received, and checked against the pattern */
};

/* A test and the backend it runs on. */
struct world_case {
    const struct io_backend *backend;
    CMUnitTestFunction test;
};

struct world {
    const struct io_backend *backend;
    CMUnitTestFunction test;
    bool passed;   /* false: operations of the failed test's stack are still in the backend, which is left alone */
    struct io *io; /* NULL: this backend is not available here */
    int32_t listener;
    struct address address;
    struct io_socket_options options;
    struct probe acceptor;
    struct buf_pool send_pool;
    struct buf *kept[TEST_RECV_BUFS];
    uint32_t kept_count;
    bool keeps; /* lent buffers are kept until kept_return */
    uint32_t events_max;
    int32_t sockets[SOCKETS_OPEN_MAX];
    uint32_t sockets_count;
    uint32_t descriptors; /* of the process, before the test */
};

/* The stream that every test sends: a byte follows from its offset, with a period that no buffer size divides. */
static inline uint8_t pattern(uint64_t offset)
{
    return (uint8_t)(offset % 251 + offset / 4099);
}

static inline uint32_t descriptors_count(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static inline void probe_done(struct io_op *op, const struct io_event *event)
{
    struct probe *probe = WEFT_CONTAINER_OF(op, struct probe, op);
    assert_true(probe->count < RESULTS_MAX);
    assert_true(event->more == io_op_busy(op));
    probe->results[probe->count++] = event->result;
    probe->last = event->result;
    probe->more = event->more;
    probe->copied = event->copied;
    probe->from = event->from;
    if (event->lent != NULL) {
        struct buf *buf = event->lent;
        assert_int_equal(op->kind, IO_RECV);
        assert_int_equal(buf->state, BUF_OWNED);
        assert_int_equal(buf_used(buf), event->result);
        for (uint32_t i = buf->begin; i < buf->end; i++) {
            if (buf->data[i] != pattern(probe->bytes)) {
                fail_msg("byte %llu of the stream is wrong", (unsigned long long)probe->bytes);
            }
            probe->bytes++;
        }
        if (probe->world->keeps) {
            probe->world->kept[probe->world->kept_count++] = buf;
        } else {
            io_lend_return(probe->world->io, buf);
        }
    }
    /* A turn that used up the pool has given everything back by now. */
    if (event->result == -ENOBUFS && !probe->world->keeps) {
        io_submit(probe->world->io, op);
    }
}

static inline void probe_init(struct probe *probe, struct world *world, enum io_kind kind, int32_t socket)
{
    memset(probe, 0, sizeof *probe);
    io_op_init(&probe->op, kind, probe_done);
    probe->op.socket = socket;
    probe->world = world;
}

/* One wait; the events are written down.  The room behind events_max must stay untouched. */
static inline uint32_t turn(struct world *world, uint64_t timeout_ns)
{
    struct io_event events[EVENTS_MAX + 1];
    memset(events, 0x5a, sizeof events);
    struct io_event guard = events[world->events_max];
    uint32_t count = world->backend->wait(world->io, timeout_ns, events, world->events_max);
    assert_true(count <= world->events_max);
    assert_memory_equal(&guard, &events[world->events_max], sizeof guard);
    for (uint32_t i = 0; i < count; i++) {
        io_deliver(world->io, &events[i]);
    }
    return count;
}

#define RUN_UNTIL(world_, condition_)                                                                                  \
    do {                                                                                                               \
        uint64_t run_limit_ns = (world_)->backend->now_ns((world_)->io) + LIMIT_NS;                                    \
        while (!(condition_)) {                                                                                        \
            turn((world_), LIMIT_NS);                                                                                  \
            if ((world_)->backend->now_ns((world_)->io) >= run_limit_ns) {                                             \
                fail_msg("did not happen: %s", #condition_);                                                           \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

static inline void run_idle(struct world *world, struct probe *probe)
{
    RUN_UNTIL(world, !io_op_busy(&probe->op));
}

static inline void submit(struct probe *probe)
{
    io_submit(probe->world->io, &probe->op);
}

static inline void stop(struct probe *probe)
{
    io_cancel(probe->world->io, &probe->op);
    run_idle(probe->world, probe);
}

static inline void kept_return(struct world *world)
{
    while (world->kept_count > 0) {
        io_lend_return(world->io, world->kept[--world->kept_count]);
    }
}

static inline int32_t socket_remember(struct world *world, int32_t socket)
{
    assert_true(socket >= 0);
    assert_true(world->sockets_count < SOCKETS_OPEN_MAX);
    world->sockets[world->sockets_count++] = socket;
    return socket;
}

/* It is closed. */
static inline void socket_forget(struct world *world, int32_t socket)
{
    for (uint32_t i = 0; i < world->sockets_count; i++) {
        if (world->sockets[i] == socket) {
            world->sockets[i] = world->sockets[--world->sockets_count];
            break;
        }
    }
}

/* Close by the backend, and check that it is closed. */
static inline void socket_shut(struct world *world, int32_t socket)
{
    struct probe closing;
    probe_init(&closing, world, IO_CLOSE, socket);
    submit(&closing);
    run_idle(world, &closing);
    assert_int_equal(closing.last, 0);
    socket_forget(world, socket);
}

static inline void acceptor_arm(struct world *world)
{
    probe_init(&world->acceptor, world, IO_ACCEPT, world->listener);
    world->acceptor.op.accept.options = &world->options;
    submit(&world->acceptor);
}

static inline void dial_init(struct probe *dial, struct world *world)
{
    probe_init(dial, world, IO_CONNECT, IO_SOCKET_NONE);
    dial->op.connect.remote = world->address;
    dial->op.connect.options = &world->options;
}

/* A connection between two sockets of this world. */
static inline void pair_open(struct world *world, int32_t *dialed, int32_t *accepted)
{
    struct probe dial;
    uint32_t before = world->acceptor.count;
    dial_init(&dial, world);
    submit(&dial);
    RUN_UNTIL(world, !io_op_busy(&dial.op) && world->acceptor.count == before + 1);
    *dialed = socket_remember(world, dial.last);
    *accepted = socket_remember(world, world->acceptor.last);
}

static inline struct buf *buf_filled(struct world *world, uint64_t offset, uint32_t bytes)
{
    struct buf *buf = buf_take(&world->send_pool, world);
    assert_non_null(buf);
    for (uint32_t i = 0; i < bytes; i++) {
        buf->data[i] = pattern(offset + i);
    }
    buf->end = bytes;
    return buf;
}

/* A send of `count` buffers of `bytes_each`, that continues the stream at offset. */
static inline void send_init(struct probe *probe, struct world *world, int32_t socket, uint64_t offset, uint32_t count,
                             uint32_t bytes_each)
{
    probe_init(probe, world, IO_SEND, socket);
    for (uint32_t i = 0; i < count; i++) {
        probe->op.send.bufs[i] = buf_filled(world, offset + (uint64_t)i * bytes_each, bytes_each);
    }
    probe->op.send.count = count;
}

static inline void send_bufs_return(struct probe *probe)
{
    for (uint32_t i = 0; i < probe->op.send.count; i++) {
        assert_int_equal(probe->op.send.bufs[i]->state, BUF_OWNED);
        buf_give_back(&probe->world->send_pool, probe->op.send.bufs[i]);
    }
    probe->op.send.count = 0;
}

/* Send the stream's bytes [begin, end), as often as it needs; what comes in meanwhile is received. */
static inline void send_range(struct world *world, int32_t socket, uint64_t begin, uint64_t end, uint32_t bytes_each)
{
    while (begin < end) {
        struct probe probe;
        uint32_t bytes = end - begin < bytes_each ? (uint32_t)(end - begin) : bytes_each;
        send_init(&probe, world, socket, begin, 1, bytes);
        submit(&probe);
        run_idle(world, &probe);
        assert_in_range(probe.last, 1, bytes);
        begin += (uint64_t)probe.last;
        send_bufs_return(&probe);
    }
}

static inline void world_listen(struct world *world)
{
    bool steered = false;
    assert_int_equal(address_parse(&world->address, "127.0.0.1", 0), WEFT_OK);
    assert_int_equal(world->backend->listen(NULL, &world->address, 1, &world->listener, &steered, NULL), WEFT_OK);
    assert_true(steered);
    world->address.port = socket_port(world->listener);
    assert_int_not_equal(world->address.port, 0);
}

/* A world whose listener accepts.  The state is the case before, and the world after. */
static inline int world_setup(void **state)
{
    const struct world_case *unit = *state;
    const struct io_backend *backend = unit->backend;
    struct io_options options = {
        .recv_bufs = TEST_RECV_BUFS, .recv_buf_bytes = TEST_RECV_BUF_BYTES, .operations_max = 128, .busy_poll = false};
    struct weft_error why = {.code = WEFT_OK};
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->backend = backend;
    world->test = unit->test;
    world->descriptors = descriptors_count();
    world->events_max = EVENTS_MAX;
    world->listener = IO_SOCKET_NONE;
    *state = world;
    enum weft_err err = backend->open(NULL, &options, &world->io, &why);
    if (err == WEFT_ERR_UNSUPPORTED && backend == &io_uring_backend) {
        char text[256];
        /* Skipped only where the machine has none: a ring of ours that does not open is a failure. */
        assert_int_not_equal(io_uring_probe(text, sizeof text), WEFT_OK);
        printf("io_uring is not available here: %s\n", text);
        world->io = NULL;
        return 0;
    }
    assert_int_equal(err, WEFT_OK);
    assert_int_equal(buf_pool_init(&world->send_pool, NULL, SEND_BUFS, SEND_BUF_BYTES), WEFT_OK);
    world_listen(world);
    acceptor_arm(world);
    return 0;
}

/* Ends everything, and finds buffers and descriptors that were left behind. */
static inline int world_teardown(void **state)
{
    struct world *world = *state;
    if (world->io != NULL && !world->passed) {
        return 0;
    }
    if (world->io != NULL) {
        world->events_max = EVENTS_MAX;
        stop(&world->acceptor);
        while (world->sockets_count > 0) {
            socket_shut(world, world->sockets[0]);
        }
        world->backend->socket_close(NULL, world->listener);
        world->backend->close(world->io);
        buf_pool_fini(&world->send_pool);
        assert_int_equal(descriptors_count(), world->descriptors);
    }
    free(world);
    return 0;
}

static inline void world_run(void **state)
{
    struct world *world = *state;
    if (world->io == NULL) {
        skip();
    }
    world->test(state);
    world->passed = true;
}

/* A listener with the shortest queue, that nobody accepts from: dials that do not fit hang. */
static inline int32_t deaf_listen(struct world *world, struct address *address)
{
    struct sockaddr_storage storage;
    *address = world->address;
    address->port = 0;
    uint32_t bytes = address_to_system(address, &storage);
    int32_t deaf = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(deaf, (struct sockaddr *)&storage, bytes), 0);
    assert_int_equal(listen(deaf, 0), 0);
    address->port = socket_port(deaf);
    return deaf;
}

/* A test of a list that runs once per backend. */
#define ON(backend_, test_)                                                                                            \
    {                                                                                                                  \
#backend_ ": " #test_, world_run, world_setup, world_teardown, &(struct world_case)                            \
        {                                                                                                              \
            &io_##backend_##_backend, test_                                                                            \
        }                                                                                                              \
    }

#endif
