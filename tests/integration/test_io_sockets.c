/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every real backend makes and takes sockets as engine/io/io.h promises: listening, accepting, connecting, their
 * options and their errors.
 * Method: one list of tests, run once per backend, on real TCP sockets of the loopback interface.  Each test runs in a
 * world of its own (io_world.h), whose end also finds lost buffers and descriptors.  A backend that this machine does
 * not allow is skipped, except epoll, which always works. */
#include "tests/integration/io_world.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A plain blocking socket, for what happens behind the backend's back. */
static int32_t plain_dial(const struct world *world)
{
    struct sockaddr_storage storage;
    uint32_t bytes = address_to_system(&world->address, &storage);
    int32_t plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(plain >= 0);
    assert_int_equal(connect(plain, (struct sockaddr *)&storage, bytes), 0);
    return plain;
}

static int option_of(int32_t socket, int level, int name)
{
    int value = -1;
    socklen_t bytes = sizeof value;
    assert_int_equal(getsockopt(socket, level, name, &value, &bytes), 0);
    return value;
}

static void accept__dialed__reports_peer_and_sets_options(void **state)
{
    struct world *world = *state;
    struct sockaddr_storage storage;
    struct address local;
    socklen_t bytes = sizeof storage;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    assert_true(world->acceptor.more);
    assert_int_equal(getsockname(dialed, (struct sockaddr *)&storage, &bytes), 0);
    assert_true(address_from_system(&local, &storage));
    assert_true(address_same_ip(&local, &world->acceptor.from));
    assert_int_equal(local.port, world->acceptor.from.port);
    assert_int_equal(option_of(dialed, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_true((fcntl(dialed, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(accepted, F_GETFD) & FD_CLOEXEC) != 0);
}

static void accept__nagle_and_congestion_asked__set(void **state)
{
    struct world *world = *state;
    char name[16];
    socklen_t bytes = sizeof name;
    int32_t dialed;
    int32_t accepted;
    world->options.nagle = true;
    world->options.congestion = "reno";
    pair_open(world, &dialed, &accepted);
    assert_int_equal(option_of(dialed, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_equal(getsockopt(dialed, IPPROTO_TCP, TCP_CONGESTION, name, &bytes), 0);
    assert_string_equal(name, "reno");
    bytes = sizeof name;
    assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_CONGESTION, name, &bytes), 0);
    assert_string_equal(name, "reno");
}

static void accept__many_dial_at_once__all_reported(void **state)
{
    struct world *world = *state;
    int32_t plain[40];
    for (uint32_t i = 0; i < 40; i++) {
        plain[i] = plain_dial(world);
    }
    RUN_UNTIL(world, world->acceptor.count == 40);
    for (uint32_t i = 0; i < 40; i++) {
        socket_remember(world, world->acceptor.results[i]);
        close(plain[i]);
    }
    assert_true(world->acceptor.more);
}

static void accept__no_descriptor_left__ends_and_can_be_armed_again(void **state)
{
    struct world *world = *state;
    struct rlimit limit;
    struct rlimit none;
    /* The limit that counts may be the one at arming. */
    stop(&world->acceptor);
    int32_t plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int32_t next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)next;
    struct sockaddr_storage storage;
    uint32_t bytes = address_to_system(&world->address, &storage);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int connected = connect(plain, (struct sockaddr *)&storage, bytes);
    acceptor_arm(world);
    RUN_UNTIL(world, world->acceptor.count == 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(connected, 0);
    assert_int_equal(world->acceptor.last, -EMFILE);
    assert_false(world->acceptor.more);
    /* The connection that there was no room for may be lost; a new one is not. */
    close(plain);
    acceptor_arm(world);
    plain = plain_dial(world);
    uint16_t port = socket_port(plain);
    RUN_UNTIL(world, world->acceptor.count > 0 && world->acceptor.from.port == port);
    for (uint32_t i = 0; i < world->acceptor.count; i++) {
        socket_remember(world, world->acceptor.results[i]);
    }
    close(plain);
}

static void connect__source_given__bound_to_it(void **state)
{
    struct world *world = *state;
    struct probe dial;
    dial_init(&dial, world);
    assert_int_equal(address_parse(&dial.op.connect.local, "127.0.0.2", 0), WEFT_OK);
    submit(&dial);
    RUN_UNTIL(world, !io_op_busy(&dial.op) && world->acceptor.count == 1);
    socket_remember(world, dial.last);
    socket_remember(world, world->acceptor.last);
    assert_true(address_same_ip(&dial.op.connect.local, &world->acceptor.from));
    assert_int_not_equal(world->acceptor.from.port, 0);
}

static void connect__nobody_listens__refused(void **state)
{
    struct world *world = *state;
    struct probe dial;
    struct sockaddr_storage storage;
    dial_init(&dial, world);
    dial.op.connect.remote.port = 0;
    uint32_t bytes = address_to_system(&dial.op.connect.remote, &storage);
    int32_t plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(plain, (struct sockaddr *)&storage, bytes), 0);
    dial.op.connect.remote.port = socket_port(plain);
    submit(&dial);
    run_idle(world, &dial);
    assert_int_equal(dial.count, 1);
    assert_int_equal(dial.last, -ECONNREFUSED);
    close(plain);
}

static void connect__impossible_source__error(void **state)
{
    struct world *world = *state;
    struct probe dial;
    dial_init(&dial, world);
    assert_int_equal(address_parse(&dial.op.connect.local, "192.0.2.1", 0), WEFT_OK);
    submit(&dial);
    run_idle(world, &dial);
    assert_int_equal(dial.last, -EADDRNOTAVAIL);
    assert_int_equal(address_parse(&dial.op.connect.local, "::1", 0), WEFT_OK);
    submit(&dial);
    run_idle(world, &dial);
    assert_int_equal(dial.last, -EAFNOSUPPORT);
    assert_int_equal(dial.count, 2);
}

static void listen__taken__error_names_address_and_remedy(void **state)
{
    struct world *world = *state;
    char expected[128];
    int32_t second[2];
    bool steered;
    for (uint32_t count = 1; count <= 2; count++) {
        struct weft_error why = {.code = WEFT_OK};
        assert_int_equal(world->backend->listen(NULL, &world->address, count, second, &steered, &why), WEFT_ERR_SYSTEM);
        snprintf(expected, sizeof expected, "listen 127.0.0.1:%u: address already in use", world->address.port);
        assert_non_null(strstr(why.text, expected));
        assert_non_null(strstr(why.text, "storage_port"));
        assert_int_equal(why.os_errno, EADDRINUSE);
    }
    struct address elsewhere = world->address;
    struct weft_error why = {.code = WEFT_OK};
    assert_int_equal(address_parse(&elsewhere, "192.0.2.1", 0), WEFT_OK);
    assert_int_equal(world->backend->listen(NULL, &elsewhere, 1, second, &steered, &why), WEFT_ERR_SYSTEM);
    assert_non_null(strstr(why.text, "listen 192.0.2.1:0: "));
    assert_non_null(strstr(why.text, "listen_address"));
}

/* The kernel would let one user's processes share a port; a forgotten process must be noticed all the same, and so must
 * a second group in this one. */
static void listen__group__shared_with_nobody(void **state)
{
    struct world *world = *state;
    struct address address = world->address;
    int32_t shards[3];
    int32_t stolen[3];
    bool steered = false;
    address.port = 0;
    assert_int_equal(world->backend->listen(NULL, &address, 3, shards, &steered, NULL), WEFT_OK);
    assert_true(steered);
    address.port = socket_port(shards[0]);
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(socket_port(shards[i]), address.port);
    }
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct weft_error why = {.code = WEFT_OK};
        enum weft_err err = world->backend->listen(NULL, &address, 3, stolen, &steered, &why);
        _exit(err == WEFT_ERR_SYSTEM && why.os_errno == EADDRINUSE ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(world->backend->listen(NULL, &address, 3, stolen, &steered, NULL), WEFT_ERR_SYSTEM);
    for (uint32_t i = 0; i < 3; i++) {
        world->backend->socket_close(NULL, shards[i]);
    }
    assert_int_equal(world->backend->listen(NULL, &address, 3, shards, &steered, NULL), WEFT_OK);
    for (uint32_t i = 0; i < 3; i++) {
        world->backend->socket_close(NULL, shards[i]);
    }
}

static void listen__ipv6_loopback__reports_ipv6_peer(void **state)
{
    struct world *world = *state;
    struct address address;
    bool steered;
    struct probe accepting;
    struct probe dial;
    int32_t listener;
    assert_int_equal(address_parse(&address, "::1", 0), WEFT_OK);
    if (world->backend->listen(NULL, &address, 1, &listener, &steered, NULL) != WEFT_OK) {
        return; /* a machine without IPv6 */
    }
    address.port = socket_port(listener);
    probe_init(&accepting, world, IO_ACCEPT, listener);
    accepting.op.accept.options = &world->options;
    dial_init(&dial, world);
    dial.op.connect.remote = address;
    dial.op.connect.local = address;
    dial.op.connect.local.port = 0;
    submit(&accepting);
    submit(&dial);
    RUN_UNTIL(world, !io_op_busy(&dial.op) && accepting.count == 1);
    socket_remember(world, dial.last);
    socket_remember(world, accepting.last);
    assert_true(address_same_ip(&accepting.from, &address));
    assert_int_equal(accepting.from.port, socket_port(dial.last));
    stop(&accepting);
    world->backend->socket_close(NULL, listener);
}

/* Only epoll has a table of sockets, sized by the limit at its opening. */
static void socket__beyond_the_table__emfile(void **state)
{
    struct world *world = *state;
    struct io_options options = {.recv_bufs = 4, .recv_buf_bytes = 4096, .operations_max = 16, .busy_poll = false};
    struct rlimit limit;
    struct rlimit low;
    struct io *small = NULL;
    struct io *whole = world->io;
    struct probe receiving;
    struct probe sending;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    enum weft_err err = io_epoll_backend.open(NULL, &options, &small, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(err, WEFT_OK);
    int32_t high = fcntl(accepted, F_DUPFD_CLOEXEC, 200);
    assert_true(high >= 200);
    world->io = small;
    probe_init(&receiving, world, IO_RECV, high);
    send_init(&sending, world, high, 0, 1, 10);
    submit(&receiving);
    submit(&sending);
    run_idle(world, &receiving);
    run_idle(world, &sending);
    assert_int_equal(receiving.last, -EMFILE);
    assert_int_equal(sending.last, -EMFILE);
    send_bufs_return(&sending);
    socket_shut(world, high);
    world->io = whole;
    io_epoll_backend.close(small);
}

/* A child process may hold a socket open that we closed; epoll then still reports it, under a number that may be in use
 * again.  A hanging dial must not take such a report for its own success. */
static void socket__closed_but_held_elsewhere__reports_ignored(void **state)
{
    struct world *world = *state;
    struct probe receiving;
    struct probe dials[5];
    struct address address;
    int32_t dialed;
    int32_t accepted;
    pair_open(world, &dialed, &accepted);
    probe_init(&receiving, world, IO_RECV, accepted);
    submit(&receiving);
    turn(world, 0);
    stop(&receiving);
    int32_t held = fcntl(accepted, F_DUPFD_CLOEXEC, 0);
    int32_t deaf = deaf_listen(world, &address);
    for (uint32_t i = 0; i < 5; i++) {
        if (i == 4) {
            socket_shut(world, accepted);
        }
        dial_init(&dials[i], world);
        dials[i].op.connect.remote = address;
        submit(&dials[i]);
        turn(world, 0);
        turn(world, 0);
    }
    assert_true(io_op_busy(&dials[4].op));
    assert_int_equal(dials[4].op.socket, accepted);
    socket_shut(world, dialed);
    turn(world, 0);
    assert_true(io_op_busy(&dials[4].op));
    for (uint32_t i = 0; i < 5; i++) {
        if (io_op_busy(&dials[i].op)) {
            stop(&dials[i]);
        }
        if (dials[i].last >= 0) {
            socket_remember(world, dials[i].last);
        }
    }
    close(held);
    close(deaf);
}

static void congestion__names__known_or_explained(void **state)
{
    struct weft_error why = {.code = WEFT_OK};
    (void)state;
    assert_int_equal(socket_congestion_check("reno", &why), WEFT_OK);
    assert_int_equal(socket_congestion_check("fastest", &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "tcp_congestion \"fastest\""));
    assert_non_null(strstr(why.text, "reno"));
    assert_int_equal(socket_congestion_check("", NULL), WEFT_ERR_INVALID);
    assert_int_equal(socket_congestion_check("reno0123456789abcdef", NULL), WEFT_ERR_INVALID);
}

#define BACKEND_TESTS(X)                                                                                               \
    ON(X, accept__dialed__reports_peer_and_sets_options), ON(X, accept__nagle_and_congestion_asked__set),              \
        ON(X, accept__many_dial_at_once__all_reported),                                                                \
        ON(X, accept__no_descriptor_left__ends_and_can_be_armed_again), ON(X, connect__source_given__bound_to_it),     \
        ON(X, connect__nobody_listens__refused), ON(X, connect__impossible_source__error),                             \
        ON(X, listen__taken__error_names_address_and_remedy), ON(X, listen__group__shared_with_nobody),                \
        ON(X, listen__ipv6_loopback__reports_ipv6_peer)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TESTS(epoll),
        BACKEND_TESTS(uring),
        ON(epoll, socket__beyond_the_table__emfile),
        ON(epoll, socket__closed_but_held_elsewhere__reports_ignored),
        cmocka_unit_test(congestion__names__known_or_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
