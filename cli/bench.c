/* SPDX-License-Identifier: Apache-2.0 */
/* `weft bench rpc`: the command line of the benchmark; bench/rpc.h does the work.
 *
 * Failure modes: a wrong command line (2); a side that does not start, or calls that fail (1), with one line on stderr
 * that says what. */
#include "cli/bench.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rpc.h"

enum {
    KEY_LOCAL = 256,
    KEY_TO,
    KEY_CLUSTER,
    KEY_SIZE,
    KEY_IN_FLIGHT,
    KEY_CONNECTIONS,
    KEY_RATE,
    KEY_HANDLER,
    KEY_TIMEOUT,
    KEY_SECONDS,
    KEY_CPUS,
    KEY_SECURITY,
    KEY_CRYPTO,
    KEY_ONE_WAY,
    KEY_BESIDE,
    KEY_BUSY_POLL,
    KEY_ZEROCOPY,
    KEY_CONGESTION,
    KEY_BACKEND
};

struct bench_arguments {
    struct bench_settings settings;
    bool local;
    bool json;
    bool in_flight_given;
};

static const struct argp_option rpc_options[] = {
    {NULL, 0, NULL, 0, "Where the server is:", 1},
    {"local", KEY_LOCAL, NULL, 0, "Start one here, on 127.0.0.1 and a free port (default)", 1},
    {"to", KEY_TO, "HOST:PORT", 0, "Use a `weft node` that runs, by its numeric address and plain port", 1},
    {"cluster", KEY_CLUSTER, "NAME", 0, "With --to: the cluster that the node is of (default \"Test Cluster\")", 1},
    {NULL, 0, NULL, 0, "The load:", 2},
    {"size", KEY_SIZE, "BYTES", 0, "Payload of a call, and of its reply: 0 to 16M, with K or M if wanted (default 64)",
     2},
    {"in-flight", KEY_IN_FLIGHT, "N", 0,
     "Calls under way at any time, in total, spread evenly over the connections, as far as a connection has room: "
     "for 4 MiB that are not sent yet (default 128)",
     2},
    {"connections", KEY_CONNECTIONS, "N", 0, "Connections (default 1)", 2},
    {"oneway", KEY_ONE_WAY, NULL, 0,
     "Send messages that are not answered; the receiver counts them, and N in flight are "
     "those that were not handed to the network yet",
     2},
    {"beside-bulk", KEY_BESIDE, "NxBYTES", 0,
     "Keep N writes of BYTES (with K or M) under way on the bulk lane meanwhile, such as 4x1M: what is measured are "
     "the calls beside them",
     2},
    {"rate", KEY_RATE, "N", 0,
     "Make N calls a second by a schedule that waits for no answer (an open loop); N of --in-flight is then the most "
     "that are under way (default 16384), and a latency counts from the scheduled time",
     2},
    {"handler-us", KEY_HANDLER, "US", 0, "The handler burns US microseconds of the local server's CPU (default 0)", 2},
    {"timeout-ms", KEY_TIMEOUT, "MS", 0, "Timeout of a call (default 10000)", 2},
    {"seconds", KEY_SECONDS, "S", 0, "How long to measure, after 0.3 s of warm-up (default 3)", 2},
    {NULL, 0, NULL, 0, "The sides, both alike:", 3},
    {"cpus", KEY_CPUS, "SERVER,CLIENT", 0, "CPU of each side (default: the first two that there are)", 3},
    {"security", KEY_SECURITY, "plain|tls", 0,
     "tls: a throw-away CA, certificates verified on both sides (default plain)", 3},
    {"crypto", KEY_CRYPTO, "auto|openssl|vaes|fips", 0,
     "What encrypts: OpenSSL, libipsec-mb on CPUs with VAES, or OpenSSL's FIPS module (default auto: whichever is "
     "fastest here)",
     3},
    {"busy-poll", KEY_BUSY_POLL, NULL, 0, "Never sleep: lower latency for a whole CPU on each side", 3},
    {"zerocopy", KEY_ZEROCOPY, "off|auto|always", 0,
     "Send large payloads without copying them into the kernel: always, or until it reports that it had to copy "
     "(default off)",
     3},
    {"congestion", KEY_CONGESTION, "NAME", 0, "TCP congestion control, such as cubic (default: the system's)", 3},
    {"backend", KEY_BACKEND, "auto|io_uring|epoll", 0, "How shards talk to the kernel (default auto)", 3},
    {NULL, 0, NULL, 0, "The result:", 4},
    {"json", 'j', NULL, 0, "Print one JSON object on stdout; progress stays on stderr", 4},
    {0},
};

static const char rpc_doc[] =
    "Measure calls between two nodes: rate, latency, and what a call costs each side.\v"
    "The client keeps a window of calls full: each reply starts the next call (a closed loop). A latency is the time "
    "from making a call to its reply, so it grows with the window; --in-flight 1 shows what one call takes alone.\n"
    "\n"
    "With --rate calls are made by a schedule that waits for nobody (an open loop): beyond what the server can do, "
    "calls end busy or expired, and the result says how each of them ended, by the count of either side.\n"
    "\n"
    "Examples:\n"
    "  weft bench rpc --local\n"
    "  weft bench rpc --local --in-flight 1 --busy-poll\n"
    "  weft bench rpc --local --security tls --size 1024 --json\n"
    "  weft bench rpc --local --in-flight 1 --beside-bulk 4x1M\n"
    "  weft bench rpc --oneway --size 1048576 --in-flight 8 --congestion cubic\n"
    "  weft bench rpc --rate 80000 --handler-us 20 --timeout-ms 100 --seconds 10\n"
    "  weft bench rpc --connections 1000 --in-flight 2000\n"
    "  weft bench rpc --to 10.0.0.2:7000 --connections 4 --seconds 10\n"
    "\n"
    "JSON: loop (closed, or open with --rate), rate_per_s, bytes_per_s (payload, one way), latency_ns {p50 p90 p99 "
    "p999 max mean} (null for --oneway), beside_bulk {in_flight size calls bytes_per_s} (null without), "
    "zero_copy {sends copied registered} (of the client), sums {offered not_accepted sent answered busy expired "
    "expired_at_peer failed never_left} and served {received "
    "answered busy expired failed aborted} of the whole load (null without --rate; served null for --to), memory "
    "{budget client server}, calls, errors, enters_per_call and cpu_ns_per_call {client, server} (server null for "
    "--to), measured_seconds, interval_ns, error (null, or the first one's line), settings.\n"
    "\n"
    "Exit codes: 0 measured, 1 it failed or a call did, 2 usage.";

static const char bench_doc[] = "usage: weft bench rpc [OPTION...]\n"
                                "\n"
                                "Measure on this machine, or against a node that runs.\n"
                                "\n"
                                "  rpc    calls between two nodes: rate, latency, and what a call costs each side\n"
                                "\n"
                                "For example:  weft bench rpc --local\n"
                                "More:         weft bench rpc --help\n";

/* One of the words, or a line that names them all. */
static const char *word_choose(const struct argp_state *state, const char *option, const char *text,
                               const char *const words[], const char *all)
{
    for (uint32_t i = 0; words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            return words[i];
        }
    }
    argp_error(state, "%s: \"%.64s\" is none of %s", option, text, all);
    return words[0];
}

static enum weft_crypto crypto_choose(const struct argp_state *state, const char *text)
{
    static const char *const words[] = {"auto", "openssl", "vaes", "fips", NULL};
    const char *chosen = word_choose(state, "--crypto", text, words, "auto, openssl, vaes, fips");
    enum weft_crypto crypto = WEFT_CRYPTO_AUTO;
    while (words[crypto] != chosen) {
        crypto++;
    }
    return crypto;
}

static enum weft_send_zerocopy zerocopy_choose(const struct argp_state *state, const char *text)
{
    static const char *const words[] = {"off", "auto", "always", NULL};
    const char *chosen = word_choose(state, "--zerocopy", text, words, "off, auto, always");
    return chosen == words[0]   ? WEFT_SEND_ZEROCOPY_OFF
           : chosen == words[1] ? WEFT_SEND_ZEROCOPY_AUTO
                                : WEFT_SEND_ZEROCOPY_ALWAYS;
}

static void must(const struct argp_state *state, enum weft_err err, const struct weft_error *why)
{
    if (err != WEFT_OK) {
        argp_error(state, "%s", why->text);
    }
}

/* Options with a number or a list; false: not one of them. */
static bool rpc_parse_value(int key, const char *text, struct argp_state *state)
{
    struct bench_settings *settings = &((struct bench_arguments *)state->input)->settings;
    struct weft_error why = {0};
    enum weft_err err = WEFT_OK;
    switch (key) {
    case KEY_SIZE:
        err = bench_settings_size(settings, text, &why);
        break;
    case KEY_IN_FLIGHT:
        ((struct bench_arguments *)state->input)->in_flight_given = true;
        err = bench_settings_number(&settings->in_flight, "--in-flight", text, 1, BENCH_IN_FLIGHT_MAX, &why);
        break;
    case KEY_CONNECTIONS:
        err = bench_settings_number(&settings->connections, "--connections", text, 1, BENCH_CONNECTIONS_MAX, &why);
        break;
    case KEY_RATE:
        err = bench_settings_number(&settings->rate, "--rate", text, 1, BENCH_RATE_MAX, &why);
        break;
    case KEY_HANDLER:
        err = bench_settings_number(&settings->handler_us, "--handler-us", text, 0, BENCH_HANDLER_US_MAX, &why);
        break;
    case KEY_TIMEOUT:
        err = bench_settings_number(&settings->timeout_ms, "--timeout-ms", text, 1, BENCH_TIMEOUT_MS_MAX, &why);
        break;
    case KEY_SECONDS:
        err = bench_settings_seconds(&settings->seconds, text, &why);
        break;
    case KEY_CPUS:
        err = bench_settings_cpus(settings, text, &why);
        break;
    case KEY_BESIDE:
        err = bench_settings_beside(settings, text, &why);
        break;
    default:
        return false;
    }
    must(state, err, &why);
    return true;
}

static error_t rpc_parse(int key, char *text, struct argp_state *state)
{
    static const char *const securities[] = {"plain", "tls", NULL};
    static const char *const backends[] = {"auto", "io_uring", "epoll", NULL};
    struct bench_arguments *arguments = state->input;
    struct bench_settings *settings = &arguments->settings;
    struct weft_error why = {0};
    if (rpc_parse_value(key, text, state)) {
        return 0;
    }
    switch (key) {
    case KEY_LOCAL:
        arguments->local = true;
        return 0;
    case KEY_TO:
        settings->to = text;
        return 0;
    case KEY_CLUSTER:
        settings->cluster = text;
        return 0;
    case KEY_SECURITY:
        settings->tls = word_choose(state, "--security", text, securities, "plain, tls") == securities[1];
        return 0;
    case KEY_CRYPTO:
        settings->crypto = crypto_choose(state, text);
        return 0;
    case KEY_ONE_WAY:
        settings->one_way = true;
        return 0;
    case KEY_BUSY_POLL:
        settings->busy_poll = true;
        return 0;
    case KEY_ZEROCOPY:
        settings->zerocopy = zerocopy_choose(state, text);
        return 0;
    case KEY_CONGESTION:
        settings->congestion = text;
        return 0;
    case KEY_BACKEND:
        settings->backend = word_choose(state, "--backend", text, backends, "auto, io_uring, epoll");
        return 0;
    case 'j':
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%.64s\" is too much: everything is an option", text);
        return EINVAL;
    case ARGP_KEY_END:
        if (arguments->local && settings->to != NULL) {
            argp_error(state, "--local and --to: one server is enough, choose one");
        }
        if (settings->cluster != NULL && settings->to == NULL) {
            argp_error(state, "--cluster names the cluster of a node that runs: use it with --to");
        }
        if (settings->rate > 0 && !arguments->in_flight_given) {
            settings->in_flight = BENCH_IN_FLIGHT_OPEN;
        }
        must(state, bench_settings_check(settings, &why), &why);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int bench_rpc(int argc, char **argv)
{
    static const struct argp argp = {.options = rpc_options, .parser = rpc_parse, .doc = rpc_doc};
    struct bench_arguments arguments = {.json = false};
    struct weft_error why = {0};
    bench_settings_init(&arguments.settings);
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    struct bench_result *result = calloc(1, sizeof *result); /* too large for a stack */
    if (result == NULL) {
        fprintf(stderr, "weft bench: not enough memory\n");
        return 1;
    }
    enum weft_err err = bench_rpc_run(&arguments.settings, result, &why);
    bool ok = err == WEFT_OK && result->errors == 0;
    if (err != WEFT_OK) {
        fprintf(stderr, "weft bench: %s\n", why.text[0] != '\0' ? why.text : weft_err_meaning(err));
    } else if (result->errors > 0) {
        fprintf(stderr, "weft bench: %s\n", result->error.text);
    }
    if (err == WEFT_OK) {
        bool written = arguments.json ? bench_report_json(&arguments.settings, result)
                                      : result->begin_ns == 0 || bench_report_print(&arguments.settings, result);
        if (!written) {
            fprintf(stderr, "weft bench: the result could not be written to stdout\n");
            ok = false;
        }
    }
    free(result);
    return err == WEFT_ERR_INVALID ? 2 : ok ? 0 : 1;
}

int cli_bench(int argc, char **argv)
{
    static char rpc_name[] = "weft bench rpc";
    if (argc >= 2 && strcmp(argv[1], "rpc") == 0) {
        argv[1] = rpc_name;
        return bench_rpc(argc - 1, argv + 1);
    }
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)) {
        fputs(bench_doc, stdout);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (argc >= 2) {
        fprintf(stderr, "weft bench: there is no benchmark \"%.64s\"\n", argv[1]);
    }
    fputs(bench_doc, stderr);
    return 2;
}
