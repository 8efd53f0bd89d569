/* SPDX-License-Identifier: Apache-2.0 */
/* weft-limit: what this machine can do for an echo over TCP when nothing but the kernel is in the way.
 *
 * The yardstick for `weft bench rpc`: the same bytes on the wire (a request is 28 bytes and the payload, a response 16
 * and the payload), the same closed loop, the same clock reads, the same options and result fields; but no library, no
 * deadlines, no negotiation, no queues.  Each side is one pinned process with one io_uring: single issuer, deferred
 * task work, registered ring and files, multishot receive from a ring of provided buffers, and one send for each turn
 * and connection.
 *
 * Happy path: the parent listens, forks the server, connects, and keeps the window of calls full until the time is
 * over.  Failure modes: anything that the kernel refuses, or a frame that is not the expected one, ends both processes
 * with one line. */
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/limit_load.h"
#include "bench/limit_stream.h"
#include "engine/base/assert.h"

/* Few enough to stay in the cache, which they walk through one after the other. */
#define RECV_BUF_BYTES (16u * 1024)
#define RECV_BUFS_MIN 8u
/* A window whose bytes fit any socket's buffer: a send of it ends within the call that starts it. */
#define INLINE_BYTES_MAX (32u * 1024)

enum tag { TAG_RECV = 1, TAG_SEND = 2 };

struct side {
    struct limit_load load;
    struct io_uring ring;
    struct io_uring_buf_ring *recv_ring;
    uint8_t *recv_data;
    uint32_t recv_bufs;
    uint32_t open; /* connections */
};

/* --- the ring ------------------------------------------------------------------------------------------------- */

static struct io_uring_sqe *side_sqe(struct side *side)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&side->ring);
    WEFT_ASSERT(sqe != NULL); /* two for each connection and turn, and the queue has four */
    return sqe;
}

static void sqe_finish(struct io_uring_sqe *sqe, uint32_t conn, enum tag tag)
{
    sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(sqe, (uint64_t)conn << 2 | (uint64_t)tag);
}

static void side_arm(struct side *side, uint32_t index)
{
    struct io_uring_sqe *sqe = side_sqe(side);
    io_uring_prep_recv_multishot(sqe, (int)index, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    sqe_finish(sqe, index, TAG_RECV);
}

static void side_lend(struct side *side, uint32_t buf)
{
    io_uring_buf_ring_add(side->recv_ring, side->recv_data + (uint64_t)buf * RECV_BUF_BYTES, RECV_BUF_BYTES,
                          (unsigned short)buf, io_uring_buf_ring_mask(side->recv_bufs), 0);
    io_uring_buf_ring_advance(side->recv_ring, 1);
}

static void side_open_recv(struct side *side)
{
    side->recv_bufs = RECV_BUFS_MIN;
    while (side->recv_bufs < side->load.settings->connections * 2) {
        side->recv_bufs *= 2;
    }
    side->recv_data = limit_memory((uint64_t)side->recv_bufs * RECV_BUF_BYTES);
    side->recv_ring = limit_memory(side->recv_bufs * sizeof(struct io_uring_buf));
    io_uring_buf_ring_init(side->recv_ring);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)side->recv_ring, .ring_entries = side->recv_bufs, .bgid = 0};
    int result = io_uring_register_buf_ring(&side->ring, &registration, 0);
    if (result < 0) {
        limit_die("io_uring: a ring of receive buffers: %s; it needs Linux 5.19", strerror(-result));
    }
    for (uint32_t i = 0; i < side->recv_bufs; i++) {
        side_lend(side, i);
    }
}

static void side_open(struct side *side)
{
    uint32_t connections = side->load.settings->connections;
    struct io_uring_params params;
    int *sockets = calloc(connections, sizeof *sockets);
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                   IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = connections * 16 + 64;
    int result = io_uring_queue_init_params(connections * 4 + 16, &side->ring, &params);
    if (result < 0) {
        limit_die("io_uring: %s; it needs Linux 6.1 with io_uring allowed", strerror(-result));
    }
    io_uring_register_ring_fd(&side->ring);
    for (uint32_t i = 0; i < connections && sockets != NULL; i++) {
        sockets[i] = side->load.conns[i].socket;
    }
    result = sockets != NULL ? io_uring_register_files(&side->ring, sockets, connections) : -ENOMEM;
    free(sockets);
    if (result < 0) {
        limit_die("io_uring: registering %u sockets: %s", connections, strerror(-result));
    }
    side_open_recv(side);
    for (uint32_t i = 0; i < connections; i++) {
        side_arm(side, i);
    }
    side->open = connections;
}

/* Send what was filled, unless the kernel still reads the other half.  @return whether a send was started */
static bool conn_flush(struct side *side, uint32_t index)
{
    struct limit_conn *conn = &side->load.conns[index];
    struct limit_out *out = &conn->out[conn->filling];
    if (conn->sending || conn->closed || out->bytes == 0) {
        return false;
    }
    struct io_uring_sqe *sqe = side_sqe(side);
    io_uring_prep_send(sqe, (int)index, out->data, out->bytes, MSG_NOSIGNAL | MSG_WAITALL);
    sqe_finish(sqe, index, TAG_SEND);
    conn->sending = true;
    conn->filling ^= 1;
    return true;
}

static void conn_sent(struct side *side, uint32_t index, int32_t result)
{
    struct limit_conn *conn = &side->load.conns[index];
    struct limit_out *out = &conn->out[conn->filling ^ 1];
    if (result < 0 && side->load.client) {
        limit_die("client: send: %s", strerror(-result)); /* the server's own end is seen by its receive */
    }
    out->sent += result > 0 ? (uint64_t)result : 0;
    if (out->sent < out->bytes && result >= 0) {
        struct io_uring_sqe *sqe = side_sqe(side);
        io_uring_prep_send(sqe, (int)index, out->data + out->sent, out->bytes - out->sent, MSG_NOSIGNAL | MSG_WAITALL);
        sqe_finish(sqe, index, TAG_SEND);
        return;
    }
    out->bytes = out->sent = 0;
    conn->sending = false;
}

/* The one system call of a turn.  Sends that end within it are waited for together with what comes next. */
static void side_enter(struct side *side, uint32_t inline_sends)
{
    int result = 0;
    if (!side->load.settings->busy_poll) {
        side->load.enters++;
        result = io_uring_submit_and_wait(&side->ring, 1 + inline_sends);
    } else if (io_uring_sq_ready(&side->ring) > 0 ||
               (*side->ring.sq.kflags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) {
        side->load.enters++;
        result = io_uring_submit_and_get_events(&side->ring);
    }
    if (result < 0 && result != -EINTR) {
        limit_die("io_uring_enter: %s", strerror(-result));
    }
}

static void conn_received(struct side *side, uint32_t index, const struct io_uring_cqe *cqe)
{
    struct limit_conn *conn = &side->load.conns[index];
    if (cqe->res > 0) {
        uint32_t buf = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        limit_load_input(&side->load, conn, side->recv_data + (uint64_t)buf * RECV_BUF_BYTES, (uint32_t)cqe->res);
        side_lend(side, buf);
    } else if (cqe->res != -ENOBUFS) {
        if (side->load.client) {
            limit_die("client: the server is gone: %s", cqe->res == 0 ? "end of stream" : strerror(-cqe->res));
        }
        conn->closed = true;
        side->open--;
        return;
    }
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        side_arm(side, index);
    }
}

static void side_turn(struct side *side, uint32_t inline_sends)
{
    struct io_uring_cqe *cqe;
    uint32_t head;
    uint32_t seen = 0;
    side_enter(side, inline_sends);
    io_uring_for_each_cqe(&side->ring, head, cqe)
    {
        uint32_t index = (uint32_t)(cqe->user_data >> 2);
        seen++;
        if ((cqe->user_data & 3) == TAG_RECV) {
            conn_received(side, index, cqe);
        } else {
            conn_sent(side, index, cqe->res);
        }
    }
    io_uring_cq_advance(&side->ring, seen);
}

static void side_run(struct side *side)
{
    const struct bench_settings *settings = side->load.settings;
    uint64_t window_bytes = (uint64_t)settings->in_flight * (LIMIT_REQUEST_HEADER_BYTES + (uint64_t)settings->size);
    bool sends_inline = window_bytes <= INLINE_BYTES_MAX;
    uint32_t inline_sends = 0;
    while (side->open > 0 && !side->load.done) {
        side_turn(side, inline_sends);
        inline_sends = 0;
        for (uint32_t i = 0; i < settings->connections; i++) {
            inline_sends += conn_flush(side, i) && sends_inline ? 1 : 0;
        }
        if (!side->load.client) {
            limit_load_publish(&side->load);
        }
    }
}

/* --- the two processes ---------------------------------------------------------------------------------------- */

static void process_pin(uint32_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        limit_die("CPU %u: %s", cpu, strerror(errno));
    }
}

static void socket_tune(int socket, const char *congestion)
{
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (congestion != NULL &&
        setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, congestion, (socklen_t)strlen(congestion)) != 0) {
        limit_die("--congestion %.32s: %s", congestion, strerror(errno));
    }
}

static int listener_open(const char *congestion, struct sockaddr_in *address)
{
    socklen_t bytes = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (listener < 0 || bind(listener, (struct sockaddr *)address, sizeof *address) != 0 ||
        listen(listener, SOMAXCONN) != 0 || getsockname(listener, (struct sockaddr *)address, &bytes) != 0) {
        limit_die("listening on 127.0.0.1: %s", strerror(errno));
    }
    socket_tune(listener, congestion);
    return listener;
}

static _Noreturn void server_run(struct side *side, int listener)
{
    process_pin(side->load.settings->server_cpu);
    limit_load_init(&side->load);
    for (uint32_t i = 0; i < side->load.settings->connections; i++) {
        side->load.conns[i].socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (side->load.conns[i].socket < 0) {
            limit_die("server: accept: %s", strerror(errno));
        }
        socket_tune(side->load.conns[i].socket, side->load.settings->congestion);
    }
    close(listener);
    if (side->load.settings->one_way) {
        limit_stream_receive(side->load.conns[0].socket, &side->load.shared->bytes);
        _exit(0);
    }
    side_open(side);
    side_run(side);
    _exit(0);
}

static void client_echo(struct side *side)
{
    side_open(side);
    limit_load_start(&side->load);
    for (uint32_t i = 0; i < side->load.settings->connections; i++) {
        conn_flush(side, i);
    }
    side_run(side);
    io_uring_queue_exit(&side->ring);
}

static void client_run(struct side *side, const struct sockaddr_in *address)
{
    const struct bench_settings *settings = side->load.settings;
    process_pin(settings->client_cpu);
    limit_load_init(&side->load);
    for (uint32_t i = 0; i < settings->connections; i++) {
        int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socket_tune(connection, settings->congestion);
        if (connection < 0 || connect(connection, (const struct sockaddr *)address, sizeof *address) != 0) {
            limit_die("client: connect: %s", strerror(errno));
        }
        side->load.conns[i].socket = connection;
    }
    if (settings->one_way) {
        limit_stream_send(side->load.conns[0].socket, settings, &side->load.shared->bytes, side->load.result);
    } else {
        client_echo(side);
    }
    for (uint32_t i = 0; i < settings->connections; i++) {
        close(side->load.conns[i].socket);
    }
    limit_load_fini(&side->load);
}

static void limit_run(const struct bench_settings *settings, struct bench_result *result)
{
    struct sockaddr_in address;
    struct limit_shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct side side = {.load = {.settings = settings, .shared = shared, .result = result}};
    pid_t parent = getpid();
    if (shared == MAP_FAILED) {
        limit_die("no shared memory");
    }
    int listener = listener_open(settings->congestion, &address);
    result->program = "weft-limit";
    result->backend = settings->one_way ? "blocking" : "io_uring";
    result->latency_known = !settings->one_way;
    side.load.server = fork();
    if (side.load.server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        server_run(&side, listener);
    }
    if (side.load.server < 0) {
        limit_die("fork: %s", strerror(errno));
    }
    close(listener);
    side.load.client = true;
    client_run(&side, &address);
    while (waitpid(side.load.server, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* --- the command line ----------------------------------------------------------------------------------------- */

enum {
    KEY_SIZE = 256,
    KEY_IN_FLIGHT,
    KEY_CONNECTIONS,
    KEY_SECONDS,
    KEY_CPUS,
    KEY_ONE_WAY,
    KEY_BUSY_POLL,
    KEY_CONGESTION
};

struct limit_arguments {
    struct bench_settings settings;
    bool json;
};

static const struct argp_option limit_options[] = {
    {"size", KEY_SIZE, "BYTES", 0, "Payload of a call, and of its reply, with K or M if wanted (default 64)", 0},
    {"in-flight", KEY_IN_FLIGHT, "N", 0, "Calls under way at any time, in total (default 128)", 0},
    {"connections", KEY_CONNECTIONS, "N", 0, "Connections (default 1)", 0},
    {"oneway", KEY_ONE_WAY, NULL, 0,
     "Send only, over one connection: a blocking loop on each side, 256 KiB for each system call, whatever the size of "
     "the messages that are counted",
     0},
    {"seconds", KEY_SECONDS, "S", 0, "How long to measure, after 0.3 s of warm-up (default 3)", 0},
    {"cpus", KEY_CPUS, "SERVER,CLIENT", 0, "CPU of each side (default: the first two that there are)", 0},
    {"busy-poll", KEY_BUSY_POLL, NULL, 0, "Never sleep", 0},
    {"congestion", KEY_CONGESTION, "NAME", 0, "TCP congestion control, such as cubic (default: the system's)", 0},
    {"json", 'j', NULL, 0, "Print one JSON object, with the fields of `weft bench rpc --json`", 0},
    {0},
};

static error_t limit_parse(int key, char *text, struct argp_state *state)
{
    struct limit_arguments *arguments = state->input;
    struct bench_settings *settings = &arguments->settings;
    struct weft_error why = {0};
    enum weft_err err = WEFT_OK;
    switch (key) {
    case KEY_SIZE:
        err = bench_settings_size(settings, text, &why);
        break;
    case KEY_IN_FLIGHT:
        err = bench_settings_number(&settings->in_flight, "--in-flight", text, 1, BENCH_IN_FLIGHT_MAX, &why);
        break;
    case KEY_CONNECTIONS:
        err = bench_settings_number(&settings->connections, "--connections", text, 1, BENCH_CONNECTIONS_MAX, &why);
        break;
    case KEY_SECONDS:
        err = bench_settings_seconds(&settings->seconds, text, &why);
        break;
    case KEY_CPUS:
        err = bench_settings_cpus(settings, text, &why);
        break;
    case KEY_ONE_WAY:
        settings->one_way = true;
        break;
    case KEY_BUSY_POLL:
        settings->busy_poll = true;
        break;
    case KEY_CONGESTION:
        settings->congestion = text;
        break;
    case 'j':
        arguments->json = true;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%.64s\" is too much: everything is an option", text);
        return EINVAL;
    case ARGP_KEY_END:
        err = bench_settings_check(settings, &why);
        if (settings->one_way && (settings->connections > 1 || settings->size == 0)) {
            argp_error(state, "--oneway: one connection, and messages of a byte or more");
        }
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (err != WEFT_OK) {
        argp_error(state, "%s", why.text);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = limit_options,
        .parser = limit_parse,
        .doc = "Measure what this machine can do for an echo over TCP with io_uring alone: the limit that `weft bench "
               "rpc` is compared with.\v"
               "The bytes on the wire, the closed loop and the result are those of `weft bench rpc --local`.\n"
               "\n"
               "For example:  weft-limit --size 64 --in-flight 128 --json\n"
               "\n"
               "Exit codes: 0 measured, 1 it failed, 2 usage.",
    };
    struct limit_arguments arguments = {.json = false};
    bench_settings_init(&arguments.settings);
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    struct bench_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        limit_die("not enough memory");
    }
    limit_run(&arguments.settings, result);
    bool written = arguments.json ? bench_report_json(&arguments.settings, result)
                                  : bench_report_print(&arguments.settings, result);
    free(result);
    if (!written) {
        fprintf(stderr, "weft-limit: the result could not be written to stdout\n");
    }
    return written ? 0 : 1;
}
