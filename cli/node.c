/* SPDX-License-Identifier: Apache-2.0 */
/* `weft node FILE`: a node from a configuration file, serving the standard verbs.
 *
 * The main thread waits for signals, and now and then applies the topology that the followed configuration has
 * become; SIGTERM and SIGINT drain, SIGHUP has the configuration read again, and a reader of the log that goes away is
 * no reason to die.  Errors of the configuration are all printed, one line each, before anything starts. */
#include "cli/node.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>

#include "cli/clock_watch.h"
#include "cli/file_argument.h"
#include "cli/log_stream.h"
#include "cli/probe.h"
#include "cli/reload.h"
#include "cli/status.h"
#include "config/config.h"
#include "config/config_follow.h"
#include "config/config_scalar.h"
#include "config/config_state.h"
#include "engine/base/assert.h"
#include "engine/io/socket.h"

/* How often the status is written, and what the followed configuration has become is looked at. */
#define SERVE_INTERVAL_NS 200000000L
/* An option that has no letter. */
#define NO_CORE_KEY 256

struct node_arguments {
    const char *file;
    const char *status;
    uint64_t probe_ns;
    uint8_t marker[PROBE_MARKER_BYTES];
    bool marker_given;
    bool no_core;
    struct log_stream log;
};

static const struct argp_option node_options[] = {
    {"probe", 'p', "INTERVAL", 0, "Send an ECHO of 1 KiB to every peer each INTERVAL, such as 200ms", 0},
    {"probe-marker", 'm', "HEX", 0, "16 bytes, as 32 hexadecimal digits, that fill the probes; default random", 0},
    {"verbose", 'v', NULL, 0, "Log every attempt to connect too, not only what an operator must know", 0},
    {"status", 's', "FILE", 0, "Keep the node's status in FILE as JSON, replaced every 200 ms and at the end", 0},
    {"no-core", NO_CORE_KEY, NULL, 0,
     "Leave no core file, and let nobody but root look into the memory, where keys are", 0},
    {0},
};

static bool node_parse_marker(const char *text, uint8_t marker[PROBE_MARKER_BYTES])
{
    if (strlen(text) != 2 * PROBE_MARKER_BYTES || strspn(text, "0123456789abcdefABCDEF") != strlen(text)) {
        return false;
    }
    for (size_t i = 0; i < PROBE_MARKER_BYTES; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        marker[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static void node_parse_interval(struct node_arguments *arguments, const char *text, struct argp_state *state)
{
    struct weft_error why = {0};
    if (config_scalar_time(&arguments->probe_ns, text, &why) != WEFT_OK) {
        argp_error(state, "--probe: %s", why.text);
    } else if (arguments->probe_ns < 1000000) {
        argp_error(state, "--probe: '%s' is too short; at least 1ms", text);
    }
}

static error_t node_parse(int key, char *argument, struct argp_state *state)
{
    struct node_arguments *arguments = state->input;
    switch (key) {
    case 'p':
        node_parse_interval(arguments, argument, state);
        return 0;
    case 'm':
        arguments->marker_given = true;
        if (!node_parse_marker(argument, arguments->marker)) {
            argp_error(state, "--probe-marker: '%s' is not 32 hexadecimal digits", argument);
        }
        return 0;
    case 's':
        arguments->status = argument;
        return 0;
    case 'v':
        arguments->log.verbose = true;
        return 0;
    case NO_CORE_KEY:
        arguments->no_core = true;
        return 0;
    case ARGP_KEY_ARG:
        file_argument_take(state, &arguments->file, argument);
        return 0;
    case ARGP_KEY_END:
        file_argument_need(state, arguments->file, "configuration file");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp node_argp = {
    .options = node_options,
    .parser = node_parse,
    .args_doc = "FILE",
    .doc = "Run a node from FILE: a scylla.yaml, or the same with a `weft:` block.\v"
           "The node serves the verbs HELLO, ECHO, WRITE, SINK, COUNT, SOURCE, SLEEP and FAIL, keeps a connection to "
           "each of its peers, and drains on SIGTERM or SIGINT: connections finish what runs, then close.  SIGHUP has "
           "FILE "
           "read again: peers that came, went or moved, another internode_encryption and other credentials are "
           "applied, and what else is different is "
           "named.  Files of credentials and of locations are watched, too.\n\n"
           "Examples:\n"
           "  weft node scylla.yaml\n"
           "  weft node weft.yaml --probe 200ms --status /run/weft.json\n\n"
           "Exit codes: 0 drained, 1 it could not start, or the drain timeout cut something off, 2 usage.",
};

static void node_log(void *ctx, char level, const char *line)
{
    struct node_arguments *arguments = ctx;
    log_stream_line(&arguments->log, level, line);
}

static enum weft_err node_make_prober(const struct node_arguments *arguments, weft_node *node,
                                      const struct weft_node_options *options, struct prober **prober)
{
    uint8_t marker[PROBE_MARKER_BYTES];
    memcpy(marker, arguments->marker, sizeof marker);
    if (!arguments->marker_given && getrandom(marker, sizeof marker, 0) != (ssize_t)sizeof marker) {
        return WEFT_ERR_SYSTEM;
    }
    enum weft_err err = prober_create(prober, arguments->probe_ns, marker);
    if (err == WEFT_OK) {
        prober_follow(*prober, node, options);
    }
    return err;
}

/* NULL: there is nothing to follow, or it cannot be, which is said. */
static struct config_follow *node_start_following(const struct config *config, struct node_arguments *arguments)
{
    const struct config_follow_options options = {.log = node_log, .log_ctx = arguments};
    struct config_follow *follow = NULL;
    struct weft_error why = {0};
    if ((config->file_count > 0 || config->names != NULL || config->options.tls.certificate != NULL) &&
        config_follow_start(&follow, config, &options, &why) != WEFT_OK) {
        log_stream_line(&arguments->log, 'W', why.text);
    }
    return follow;
}

/* These are the options by which the topology is now. */
static void node_moved(struct status *status, const struct weft_node_options *options)
{
    status->options = options;
    status->moved = true;
    if (status->prober != NULL) {
        prober_follow(status->prober, status->node, options);
    }
}

/* The whole configuration is another one, and so is what is followed from now on. */
static void node_reload(struct status *status, struct reload *reload, struct node_arguments *arguments)
{
    if (reload_run(reload)) {
        config_follow_stop(status->follow);
        reload_forget(reload);
        status->follow = node_start_following(reload->applied, arguments);
        node_moved(status, reload_options(reload));
    }
}

/* Where everybody is by the newest configuration, if that is different from before, and other credentials. */
static void node_follow(struct status *status)
{
    struct weft_error why = {0};
    if (status->follow != NULL && config_follow_credentials(status->follow)) {
        reload_credentials(status->node, status->options);
    }
    const struct config *fresh = status->follow != NULL ? config_follow_take(status->follow) : NULL;
    if (fresh == NULL) {
        return;
    }
    struct weft_topology topology = WEFT_TOPOLOGY_INIT;
    topology.dc = fresh->options.dc;
    topology.rack = fresh->options.rack;
    topology.peers = fresh->options.peers;
    topology.peer_count = fresh->options.peer_count;
    if (weft_node_topology_apply(status->node, &topology, NULL, 0, &why) != WEFT_OK) {
        log_stream_line(status->log, 'W', why.text);
        status->topology_faults++;
    }
    /* The one before is not there any longer. */
    node_moved(status, &fresh->options);
}

/* Certificates and revocation lists are judged by the wall clock. */
static void node_watch_clock(struct clock_watch *watch, struct log_stream *log)
{
    char line[128];
    uint64_t back_s = clock_watch_look(watch, socket_monotonic_ns(), socket_wall_ns());
    if (back_s > 0) {
        snprintf(line, sizeof line,
                 "the clock was set back by %llu s: certificates and revocation lists that had expired may count again",
                 (unsigned long long)back_s);
        log_stream_line(log, 'W', line);
    }
}

/* Serve until a signal asks for the end, writing the status now and then. */
static void node_serve(struct status *status, struct reload *reload, struct node_arguments *arguments,
                       const sigset_t *signals)
{
    const struct timespec interval = {0, SERVE_INTERVAL_NS};
    bool timed = status->path != NULL || status->follow != NULL;
    bool complained = false;
    struct clock_watch clock = {0};
    for (;;) {
        node_watch_clock(&clock, status->log);
        int signal = timed ? sigtimedwait(signals, NULL, &interval) : sigwaitinfo(signals, NULL);
        if (signal == SIGHUP) {
            node_reload(status, reload, arguments);
            timed = status->path != NULL || status->follow != NULL;
        } else if (signal > 0) {
            return;
        }
        struct weft_error why = {0};
        node_follow(status);
        if (status->path != NULL && status_write(status, &why) != WEFT_OK && !complained) {
            log_stream_line(status->log, 'W', why.text);
            complained = true;
        }
    }
}

/* From the start to the end of its draining.  A status file that cannot be written is found out at once. */
static int node_live(struct status *status, struct reload *reload, struct node_arguments *arguments,
                     const sigset_t *signals)
{
    struct weft_error why = {0};
    bool broken = status->path != NULL && status_write(status, &why) != WEFT_OK;
    if (broken) {
        log_stream_line(status->log, 'E', why.text);
    } else {
        node_serve(status, reload, arguments, signals);
        log_stream_line(status->log, 'I', "draining");
        if (status->path != NULL && status_write(status, &why) != WEFT_OK) {
            log_stream_line(status->log, 'W', why.text);
        }
    }
    weft_node_drain(status->node);
    int code = weft_node_wait(status->node);
    return broken ? 1 : code;
}

/* Only this thread is told of signals: the shards inherit the mask. */
static void node_mask_signals(sigset_t *signals)
{
    sigset_t masked;
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    masked = *signals;
    sigaddset(&masked, SIGPIPE); /* who writes is told by an error */
    sigprocmask(SIG_BLOCK, &masked, NULL);
}

static int node_run(weft_node *node, const struct config *config, struct node_arguments *arguments)
{
    struct weft_error why = {0};
    struct prober *prober = NULL;
    sigset_t signals;
    node_mask_signals(&signals);
    if (arguments->probe_ns != 0 && node_make_prober(arguments, node, &config->options, &prober) != WEFT_OK) {
        fprintf(stderr, "E no memory or randomness for the probes\n");
        return 1;
    }
    int code = 1;
    if (weft_node_handle_standard(node, &why) != WEFT_OK ||
        weft_node_start(node, prober != NULL ? prober_start : NULL, prober, &why) != WEFT_OK) {
        log_stream_line(&arguments->log, 'E', why.text);
    } else {
        struct status status = {.path = arguments->status,
                                .node = node,
                                .options = &config->options,
                                .prober = prober,
                                .log = &arguments->log,
                                .follow = node_start_following(config, arguments)};
        struct reload reload = {.file = arguments->file, .node = node, .started = config, .log = &arguments->log};
        code = node_live(&status, &reload, arguments, &signals);
        config_follow_stop(status.follow);
        reload_fini(&reload);
    }
    weft_node_destroy(node);
    prober_destroy(prober);
    return code;
}

/* A node from the file; the report says what is wrong, or doubtful. */
static enum weft_err node_make(weft_node **node, struct config **config, struct node_arguments *arguments,
                               struct config_report *report)
{
    struct weft_error why = {0};
    WEFT_TRY(config_load(config, arguments->file, report));
    WEFT_TRY(config_state_take(*config, report));
    (*config)->options.log = node_log;
    (*config)->options.log_ctx = arguments;
    enum weft_err err = weft_node_create(node, &(*config)->options, &why);
    if (err != WEFT_OK) {
        config_report_node_error(*config, &why, report);
    }
    return err;
}

int cli_node(int argc, char **argv)
{
    struct node_arguments arguments = {0};
    struct config *config = NULL;
    weft_node *node = NULL;
    argp_err_exit_status = 2;
    if (argp_parse(&node_argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    /* Before the first key is read. */
    if (arguments.no_core && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        fprintf(stderr, "E --no-core: %s\n", strerror(errno));
        return 1;
    }
    struct config_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        fprintf(stderr, "E no memory\n");
        return 1;
    }
    enum weft_err err = node_make(&node, &config, &arguments, report);
    file_argument_print_lines(stderr, "E ", &report->errors);
    file_argument_print_lines(stderr, "W ", &report->warnings);
    free(report);
    int code = err == WEFT_OK ? node_run(node, config, &arguments) : 1;
    config_destroy(config);
    return code;
}
