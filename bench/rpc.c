/* SPDX-License-Identifier: Apache-2.0 */
/* Conducts a run: the control thread of the client's process.
 *
 * Happy path: certificates if wanted, the server process, the client's node, one probe over each connection, warm-up,
 * a snapshot of both sides, the measured time, another snapshot, the end of the load, and the sides go down.
 * Failure modes: whatever does not start is the run's error; a call that fails ends the load and is in the result; a
 * signal ends the run.  In every case the server's process and the certificates are gone afterwards. */
#include "bench/rpc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "bench/rpc_client.h"
#include "bench/rpc_server.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/io/address.h"

#define NS_PER_S 1000000000
#define WAIT_FOREVER INT64_MAX

struct rpc_run {
    const struct bench_settings *settings;
    struct bench_result *result;
    struct rpc_tls_files server_files; /* zero on plain runs */
    struct rpc_tls_files client_files;
    struct rpc_server server; /* zero where the server is somebody else's */
    struct rpc_client client;
    weft_node *node;
    int signals; /* signalfd */
};

struct rpc_costs {
    struct rpc_snapshot client;
    struct rpc_snapshot server;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Until the shard got there.  @return ok | TIMEOUT | CANCELLED */
static enum weft_err run_wait(struct rpc_run *run, enum rpc_phase phase, int64_t timeout_ns, struct weft_error *why)
{
    struct pollfd files[2] = {{.fd = run->client.event, .events = POLLIN}, {.fd = run->signals, .events = POLLIN}};
    int64_t deadline_ns = timeout_ns == WAIT_FOREVER ? WAIT_FOREVER : now_ns() + timeout_ns;
    while (!rpc_client_reached(&run->client, phase)) {
        int64_t left_ns = timeout_ns == WAIT_FOREVER ? NS_PER_S : deadline_ns - now_ns();
        if (left_ns <= 0) {
            return WEFT_ERR_TIMEOUT;
        }
        const struct timespec timeout = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
        int ready = ppoll(files, 2, &timeout, NULL);
        uint64_t count;
        if (ready > 0 && (files[0].revents & POLLIN) != 0 && read(run->client.event, &count, sizeof count) < 0) {
            continue; /* somebody read it already: look again */
        }
        if (ready > 0 && (files[1].revents & POLLIN) != 0) {
            return weft_error_set(why, WEFT_ERR_CANCELLED, "stopped by a signal");
        }
    }
    return WEFT_OK;
}

/* --- the client's node -------------------------------------------------------------------------------------- */

static enum weft_err peer_make(struct rpc_run *run, struct weft_peer_options *peer, char text[ADDRESS_TEXT_BYTES],
                               struct weft_error *why)
{
    const struct bench_settings *settings = run->settings;
    struct address address;
    *peer = (struct weft_peer_options)WEFT_PEER_OPTIONS_INIT;
    peer->connections = (uint16_t)settings->connections;
    if (settings->to == NULL) {
        WEFT_TRY(address_parse(&address, "127.0.0.1", run->server.port));
    } else if (address_parse_with_port(&address, settings->to) != WEFT_OK || address.port == 0) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "--to: \"%.100s\" is not a numeric address with its port, such as 10.0.0.2:7000 or "
                              "[fd00::2]:7000",
                              settings->to);
    }
    address_print_ip(&address, text);
    peer->addresses[0] = text;
    peer->storage_port = address.port;
    peer->ssl_storage_port = address.port;
    return WEFT_OK;
}

static enum weft_err node_make(struct rpc_run *run, struct weft_error *why)
{
    const struct bench_settings *settings = run->settings;
    struct weft_node_options options;
    struct weft_peer_options peer;
    char address[ADDRESS_TEXT_BYTES];
    char shards[32];
    WEFT_TRY(peer_make(run, &peer, address, why));
    rpc_node_options(&options, settings, settings->tls ? &run->client_files : NULL);
    snprintf(shards, sizeof shards, "%u-%u", settings->client_cpu, settings->client_cpu);
    options.client_only = true;
    run->result->memory_budget_bytes = options.memory_per_shard_bytes;
    options.shards = shards;
    /* From whatever address the route has; a local server's certificate check wants the one that it knows. */
    options.listen_address = settings->to == NULL ? "127.0.0.1" : strchr(address, ':') != NULL ? "::" : "0.0.0.0";
    WEFT_TRY(weft_node_create(&run->node, &options, why));
    WEFT_TRY(weft_node_peer_add(run->node, &peer, &run->client.peer, why));
    return weft_node_start(run->node, rpc_client_on_ready, &run->client, why);
}

struct link_look {
    struct bench_result *result;
    uint32_t up;
};

static void link_look(void *ctx, const struct weft_link *link)
{
    struct link_look *look = ctx;
    if (link->outgoing && link->up && link->lane == WEFT_LANE_NORMAL) {
        look->up++;
        memcpy(look->result->tls_version, link->tls_version, sizeof look->result->tls_version);
        memcpy(look->result->tls_cipher, link->tls_cipher, sizeof look->result->tls_cipher);
    }
}

static enum weft_err links_check(struct rpc_run *run, struct weft_error *why)
{
    struct link_look look = {.result = run->result};
    weft_node_links(run->node, link_look, &look);
    if (look.up != run->settings->connections) {
        return weft_error_set(why, WEFT_ERR_STATE, "%u connections are up, not %u", look.up,
                              run->settings->connections);
    }
    if (run->settings->tls && run->result->tls_cipher[0] == '\0') {
        return weft_error_set(why, WEFT_ERR_STATE, "the connection is not encrypted");
    }
    run->result->backend = weft_node_backend(run->node);
    return WEFT_OK;
}

/* --- measuring ---------------------------------------------------------------------------------------------- */

static enum weft_err costs_take(struct rpc_run *run, struct rpc_costs *costs, struct weft_error *why)
{
    if (run->server.pid != 0) {
        WEFT_TRY(rpc_server_snapshot(&run->server, &costs->server, why));
    }
    rpc_snapshot_take(&costs->client, run->node);
    return WEFT_OK;
}

static void cost_compute(struct bench_cost *cost, const struct rpc_snapshot *begin, const struct rpc_snapshot *end,
                         uint64_t calls)
{
    cost->known = calls > 0;
    if (cost->known) {
        cost->enters_per_call = (double)(end->counters.enters - begin->counters.enters) / (double)calls;
        cost->cpu_ns_per_call = (double)(end->cpu_ns - begin->cpu_ns) / (double)calls;
    }
}

/* Each side by its own count of calls, which belongs to the same moments as its costs. */
static void costs_compute(struct rpc_run *run, const struct rpc_costs *begin, const struct rpc_costs *end)
{
    const struct weft_counters *from = &begin->client.counters;
    const struct weft_counters *until = &end->client.counters;
    bool one_way = run->settings->one_way;
    run->result->zero_copy_sends = until->zero_copy_sends - from->zero_copy_sends;
    run->result->zero_copy_copied = until->zero_copy_copied - from->zero_copy_copied;
    run->result->zero_copy_registered = until->zero_copy_registered - from->zero_copy_registered;
    cost_compute(&run->result->client, &begin->client, &end->client,
                 one_way ? until->one_way_sent - from->one_way_sent : until->calls_answered - from->calls_answered);
    if (run->server.pid != 0) {
        from = &begin->server.counters;
        until = &end->server.counters;
        cost_compute(&run->result->server, &begin->server, &end->server,
                     one_way ? until->one_way_received - from->one_way_received
                             : until->requests_answered - from->requests_answered);
    }
}

/* Both sides' sums of the whole load, when nothing of it is on its way any more. */
static void sums_take(struct rpc_run *run, const struct rpc_costs *begin, const struct rpc_costs *end)
{
    struct bench_result *result = run->result;
    const struct weft_counters *from = &begin->server.counters;
    const struct weft_counters *until = &end->server.counters;
    uint64_t fences = run->settings->connections;
    result->client_memory = (struct bench_memory){begin->client.resident_bytes, end->client.resident_bytes_max};
    result->server_memory = (struct bench_memory){begin->server.resident_bytes, end->server.resident_bytes_max};
    if (run->settings->rate > 0 && run->server.pid != 0) {
        result->served = (struct bench_served){
            .received = until->requests_received - from->requests_received - fences,
            .answered = until->requests_answered - from->requests_answered - fences,
            .busy = until->requests_busy - from->requests_busy,
            .expired = until->requests_expired - from->requests_expired,
            .failed = until->requests_failed - from->requests_failed - (until->requests_busy - from->requests_busy),
            .aborted = until->requests_aborted - from->requests_aborted,
        };
    }
}

static enum weft_err run_measure(struct rpc_run *run, struct weft_error *why)
{
    struct rpc_costs before;
    struct rpc_costs begin;
    struct rpc_costs end;
    struct rpc_costs after;
    struct rpc_client *client = &run->client;
    WEFT_TRY(costs_take(run, &before, why));
    rpc_client_order(client, RPC_LOAD);
    WEFT_TRY(run_wait(run, RPC_LOAD, WAIT_FOREVER, why));
    enum weft_err err = run_wait(run, RPC_STOP, (int64_t)(run->settings->warmup_seconds * NS_PER_S), why);
    if (err == WEFT_ERR_TIMEOUT) {
        rpc_client_order(client, RPC_MEASURE);
        err = run_wait(run, RPC_MEASURE, WAIT_FOREVER, why);
    }
    WEFT_TRY(err);
    if (run->result->begin_ns == 0) {
        return WEFT_OK; /* a call failed before there was anything to measure */
    }
    fprintf(stderr, "weft bench: measuring for %g s\n", run->settings->seconds);
    WEFT_TRY(costs_take(run, &begin, why));
    err = run_wait(run, RPC_STOP, (int64_t)(run->settings->seconds * NS_PER_S), why);
    if (err == WEFT_ERR_TIMEOUT) {
        err = costs_take(run, &end, why);
        rpc_client_order(client, RPC_STOP);
        if (err == WEFT_OK) {
            err = run_wait(run, RPC_STOP, WAIT_FOREVER, why);
        }
        if (err == WEFT_OK) {
            err = costs_take(run, &after, why);
        }
        if (err == WEFT_OK) {
            costs_compute(run, &begin, &end);
            sums_take(run, &before, &after);
        }
    }
    return err;
}

static enum weft_err run_sides(struct rpc_run *run, struct weft_error *why)
{
    const struct bench_settings *settings = run->settings;
    if (settings->tls) {
        WEFT_TRY(rpc_tls_create(&run->server_files, &run->client_files, why));
    }
    if (settings->to == NULL) {
        WEFT_TRY(rpc_server_start(&run->server, settings, settings->tls ? &run->server_files : NULL, why));
        fprintf(stderr, "weft bench: server process %d listens on 127.0.0.1:%u, CPU %u\n", (int)run->server.pid,
                run->server.port, settings->server_cpu);
    }
    WEFT_TRY(node_make(run, why));
    WEFT_TRY(run_wait(run, RPC_PROBE, WAIT_FOREVER, why));
    rpc_tls_remove(&run->server_files);
    if (run->result->errors > 0) {
        return WEFT_OK;
    }
    WEFT_TRY(links_check(run, why));
    return run_measure(run, why);
}

static enum weft_err signals_open(struct rpc_run *run, sigset_t *before, struct weft_error *why)
{
    sigset_t stopping;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGINT);
    sigaddset(&stopping, SIGTERM);
    sigprocmask(SIG_BLOCK, &stopping, before);
    run->signals = signalfd(-1, &stopping, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signals < 0) {
        sigprocmask(SIG_SETMASK, before, NULL);
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "signalfd");
    }
    return WEFT_OK;
}

/* Takes the signal that ended the run, so that it does not end the report as well. */
static void signals_close(struct rpc_run *run, const sigset_t *before)
{
    struct signalfd_siginfo taken;
    while (read(run->signals, &taken, sizeof taken) > 0) {
    }
    close(run->signals);
    sigprocmask(SIG_SETMASK, before, NULL);
}

enum weft_err bench_rpc_run(const struct bench_settings *settings, struct bench_result *result, struct weft_error *why)
{
    struct rpc_run run = {.settings = settings, .result = result};
    sigset_t before;
    memset(result, 0, sizeof *result);
    result->program = "weft bench rpc";
    result->latency_known = !settings->one_way;
    if (settings->tls && settings->to != NULL) {
        return weft_error_set(why, WEFT_ERR_INVALID, "--security tls makes its own certificates: use it with --local");
    }
    WEFT_TRY(bench_settings_check(settings, why));
    WEFT_TRY(signals_open(&run, &before, why));
    enum weft_err err = rpc_client_init(&run.client, settings, result, why);
    if (err == WEFT_OK) {
        err = run_sides(&run, why);
        weft_node_destroy(run.node);
        rpc_server_stop(&run.server);
        rpc_tls_remove(&run.server_files);
        rpc_client_fini(&run.client);
    }
    signals_close(&run, &before);
    return err;
}
