/* SPDX-License-Identifier: Apache-2.0 */
/* The server process of a local run.
 *
 * Happy path: the child makes and starts the node, says so over a socket pair, then answers each byte it is asked with
 * a snapshot, until the socket ends.
 * Failure modes: a node that does not start is reported as the parent's own error; a port that somebody else took
 * between choosing and listening is tried again with another; if either process dies, the other notices at once. */
#include "bench/rpc_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

#define ADDRESS "127.0.0.1"
#define STATUS_TEXT_BYTES 4096u /* of some 1,500 */
#define PORT_TRIES 8u
#define DRAIN_TIMEOUT_MS 1000u
/* A shard's memory: a quarter each goes to the send pool and to frames that are assembled, of which one connection
 * may have one, rounded up to a power of two. */
#define MEMORY_BYTES_MIN (UINT64_C(256) << 20)
#define MEMORY_SHARES 4u
#define MEMORY_ROUNDING 2u
/* Calls beside the window: one probe or count for each connection, and then some. */
#define CALLS_BESIDE 16u

/* The child's first message. */
struct server_hello {
    enum weft_err err;
    struct weft_error error;
    uint16_t port;
};

/* The run reports what it needs to know itself; connections that end are no news here. */
static void log_errors(void *ctx, char level, const char *line)
{
    (void)ctx;
    if (level == 'E') {
        fprintf(stderr, "weft bench: %s\n", line);
    }
}

void rpc_node_options(struct weft_node_options *options, const struct bench_settings *settings,
                      const struct rpc_tls_files *files)
{
    uint64_t frames_bytes = (uint64_t)settings->size * settings->connections * MEMORY_ROUNDING * MEMORY_SHARES;
    frames_bytes += (uint64_t)settings->beside_size * MEMORY_ROUNDING * MEMORY_SHARES;
    *options = (struct weft_node_options)WEFT_NODE_OPTIONS_INIT;
    options->cluster_name = settings->to == NULL ? RPC_CLUSTER : settings->cluster;
    options->memory_per_shard_bytes = MEMORY_BYTES_MIN + frames_bytes;
    options->connections_max = settings->connections * 2 + CALLS_BESIDE;
    options->calls_max = settings->in_flight + settings->beside_count + settings->connections + CALLS_BESIDE;
    options->requests_max = options->calls_max;
    options->heartbeat_ms = UINT32_MAX;
    options->drain_timeout_ms = DRAIN_TIMEOUT_MS;
    options->tcp_congestion = settings->congestion;
    options->busy_poll = settings->busy_poll;
    options->crypto = settings->crypto;
    options->send_zerocopy = settings->zerocopy;
    options->backend = settings->backend;
    options->log = log_errors;
    if (files != NULL) {
        options->encryption = WEFT_ENCRYPTION_ALL;
        options->tls.certificate = files->certificate;
        options->tls.keyfile = files->keyfile;
        options->tls.truststore = files->truststore;
        options->tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
    }
}

/* "VmHWM:   1234 kB" of this process; 0 where the kernel does not say.  Read without stdio, whose buffer would be an
 * allocation in the middle of a measurement. */
static uint64_t status_bytes(const char *name)
{
    char text[STATUS_TEXT_BYTES];
    uint64_t kib = 0;
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) {
        close(file);
    }
    if (got < 0) {
        return 0;
    }
    text[got] = '\0';
    const char *line = strstr(text, name);
    return line != NULL && sscanf(line + strlen(name), ": %" SCNu64, &kib) == 1 ? kib * 1024 : 0;
}

void rpc_snapshot_take(struct rpc_snapshot *snapshot, const weft_node *node)
{
    struct timespec time;
    weft_node_counters(node, &snapshot->counters);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    snapshot->cpu_ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    snapshot->resident_bytes = status_bytes("VmRSS");
    snapshot->resident_bytes_max = status_bytes("VmHWM");
}

/* A port that was free a moment ago. */
static enum weft_err port_choose(uint16_t *port, struct weft_error *why)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0 || bind(probe, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(probe, (struct sockaddr *)&address, &bytes) != 0) {
        enum weft_err err = weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "no free port on " ADDRESS);
        if (probe >= 0) {
            close(probe);
        }
        return err;
    }
    close(probe);
    *port = ntohs(address.sin_port);
    return WEFT_OK;
}

/* A handler with work to do: so much CPU of its shard, whatever others take of it meanwhile, then the answer. */
static void on_burn(void *ctx, weft_request *request)
{
    const struct bench_settings *settings = ctx;
    struct timespec begin;
    struct timespec now;
    int64_t burnt_ns;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        burnt_ns = (int64_t)(now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec;
    } while (burnt_ns < (int64_t)settings->handler_us * 1000);
    weft_reply(request, weft_request_payload(request));
}

static enum weft_err node_listen(weft_node **node, const struct weft_node_options *options,
                                 struct bench_settings *settings, struct weft_error *why)
{
    WEFT_TRY(weft_node_create(node, options, why));
    enum weft_err err = weft_node_handle_standard(*node, why);
    if (err == WEFT_OK) {
        err = weft_node_handle(*node, RPC_VERB_BURN, on_burn, settings, why);
    }
    if (err == WEFT_OK) {
        err = weft_node_start(*node, NULL, NULL, why);
    }
    if (err != WEFT_OK) {
        weft_node_destroy(*node);
        *node = NULL;
    }
    return err;
}

static enum weft_err child_start(weft_node **node, struct bench_settings *settings, const struct rpc_tls_files *files,
                                 struct server_hello *hello)
{
    struct weft_node_options options;
    char shards[32];
    enum weft_err err = WEFT_ERR_STATE;
    snprintf(shards, sizeof shards, "%u-%u", settings->server_cpu, settings->server_cpu);
    rpc_node_options(&options, settings, files);
    options.listen_address = ADDRESS;
    options.shards = shards;
    for (uint32_t i = 0; i < PORT_TRIES && err != WEFT_OK; i++) {
        memset(&hello->error, 0, sizeof hello->error);
        WEFT_TRY(port_choose(&options.storage_port, &hello->error));
        WEFT_TRY(port_choose(&options.ssl_storage_port, &hello->error));
        hello->port = files != NULL ? options.ssl_storage_port : options.storage_port;
        err = node_listen(node, &options, settings, &hello->error);
        if (hello->error.os_errno != EADDRINUSE) {
            return err;
        }
    }
    return err;
}

/* Everything the child does; it never returns to the caller's code. */
static _Noreturn void child_run(int socket, const struct bench_settings *settings, const struct rpc_tls_files *files)
{
    struct server_hello hello;
    struct bench_settings own = *settings; /* the handlers' context */
    weft_node *node = NULL;
    char question;
    memset(&hello, 0, sizeof hello);
    prctl(PR_SET_NAME, "weft-server");
    hello.err = child_start(&node, &own, files, &hello);
    bool told = send(socket, &hello, sizeof hello, MSG_NOSIGNAL) == (ssize_t)sizeof hello;
    while (told && hello.err == WEFT_OK && recv(socket, &question, sizeof question, 0) == (ssize_t)sizeof question) {
        struct rpc_snapshot snapshot;
        rpc_snapshot_take(&snapshot, node);
        told = send(socket, &snapshot, sizeof snapshot, MSG_NOSIGNAL) == (ssize_t)sizeof snapshot;
    }
    weft_node_destroy(node);
    _exit(hello.err == WEFT_OK ? 0 : 1);
}

static enum weft_err server_fork(struct rpc_server *server, const struct bench_settings *settings,
                                 const struct rpc_tls_files *files, struct weft_error *why)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "a socket to the server process");
    }
    fflush(NULL); /* or the child would have the unwritten text too */
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        child_run(pair[1], settings, files);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "a server process");
    }
    server->pid = pid;
    server->socket = pair[0];
    return WEFT_OK;
}

enum weft_err rpc_server_start(struct rpc_server *server, const struct bench_settings *settings,
                               const struct rpc_tls_files *files, struct weft_error *why)
{
    struct server_hello hello;
    WEFT_TRY(server_fork(server, settings, files, why));
    ssize_t bytes = recv(server->socket, &hello, sizeof hello, 0);
    if (bytes != (ssize_t)sizeof hello) {
        rpc_server_stop(server);
        return weft_error_set(why, WEFT_ERR_SYSTEM, "the server process ended before it listened");
    }
    if (hello.err != WEFT_OK) {
        rpc_server_stop(server);
        return weft_error_set(why, hello.err, "server: %s", hello.error.text);
    }
    server->port = hello.port;
    return WEFT_OK;
}

enum weft_err rpc_server_snapshot(struct rpc_server *server, struct rpc_snapshot *snapshot, struct weft_error *why)
{
    if (send(server->socket, "?", 1, MSG_NOSIGNAL) != 1 ||
        recv(server->socket, snapshot, sizeof *snapshot, 0) != (ssize_t)sizeof *snapshot) {
        return weft_error_set(why, WEFT_ERR_SYSTEM, "the server process ended during the run");
    }
    return WEFT_OK;
}

void rpc_server_stop(struct rpc_server *server)
{
    if (server->pid > 0) {
        close(server->socket);
        while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        memset(server, 0, sizeof *server);
    }
}
