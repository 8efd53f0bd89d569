/* SPDX-License-Identifier: Apache-2.0 */
/* `weft check FILE`: reads a configuration as a node would, and prints what it means, or all that is wrong with it.
 *
 * Fails (1) for a configuration that does not start, with its errors on stderr, for a dial that did not reach a node,
 * and (2) for a wrong command line.  Nothing is written anywhere, and no port is opened. */
#include "cli/check.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check_bounds.h"
#include "cli/check_dial.h"
#include "cli/check_effective.h"
#include "cli/check_node.h"
#include "cli/check_schema.h"
#include "cli/check_step.h"
#include "cli/check_tls.h"
#include "cli/file_argument.h"
#include "cli/name_text.h"
#include "config/config.h"
#include "config/config_state.h"
#include "engine/base/error.h"
#include "topology/cluster/node.h"
#include "topology/cluster/policy.h"
#include "topology/cluster/policy_kind.h"

struct check_arguments {
    const char *file;
    const char *from;
    struct check_dial dial;
    bool schema;
    bool json;
};

#define KEY_FROM 256
#define KEY_SCHEMA 257
#define KEY_DIAL 258
#define KEY_SECURITY 259

static const struct argp_option check_options[] = {
    {"json", 'j', NULL, 0,
     "Print one JSON object: ok, errors, warnings, and what the configuration means; with --from: safe, reason, path",
     0},
    {"from", KEY_FROM, "OLD", 0,
     "Say instead whether nodes can go from the configuration OLD to FILE one by one while the cluster runs, and the "
     "way "
     "if not at once",
     0},
    {"schema", KEY_SCHEMA, NULL, 0,
     "Print instead every key that a configuration can have, with type, bounds, default and purpose; of KEY alone if "
     "one is named, such as weft.shards",
     0},
    {"dial", KEY_DIAL, "HOST:PORT", 0,
     "Connect instead to HOST:PORT once, as this node would, up to the answer to its hello, and say what came of it, "
     "or "
     "what to change on which side",
     0},
    {"security", KEY_SECURITY, "plain|tls", 0, "With --dial: plain or tls, whatever the port is for by FILE", 0},
    {0},
};

static const char check_doc[] =
    "Say whether the configuration FILE starts a node, and what it means.\v"
    "Every error is one line on stderr: file:line:column: key: what is wrong, what would be right.\n"
    "\n"
    "Examples:\n"
    "  weft check scylla.yaml\n"
    "  weft check --from old.yaml new.yaml --json\n"
    "  weft check scylla.yaml --dial 192.0.2.7:7001\n"
    "  weft check --schema weft.heartbeat\n"
    "\n"
    "Exit codes: 0 FILE is fine (warnings or not; with --from, safe or not; with --dial, reached), 1 FILE or OLD does "
    "not "
    "start a node, or with --dial, not reached, 2 usage.";

static void check_parse_security(struct check_arguments *arguments, const char *argument, struct argp_state *state)
{
    if (strcmp(argument, "plain") == 0) {
        arguments->dial.security = CHECK_SECURITY_PLAIN;
    } else if (strcmp(argument, "tls") == 0) {
        arguments->dial.security = CHECK_SECURITY_TLS;
    } else {
        argp_error(state, "--security: '%s' is neither plain nor tls", argument);
    }
}

static void check_parse_end(const struct check_arguments *arguments, struct argp_state *state)
{
    if (arguments->schema + (arguments->from != NULL) + (arguments->dial.to != NULL) > 1) {
        argp_error(state, "--schema, --from and --dial are different questions: ask one");
    }
    if (arguments->dial.security != CHECK_SECURITY_BY_PORT && arguments->dial.to == NULL) {
        argp_error(state, "--security is of --dial");
    }
    if (!arguments->schema) {
        file_argument_need(state, arguments->file, "configuration file");
    }
}

static error_t check_parse(int key, char *argument, struct argp_state *state)
{
    struct check_arguments *arguments = state->input;
    switch (key) {
    case KEY_FROM:
        arguments->from = argument;
        return 0;
    case KEY_SCHEMA:
        arguments->schema = true;
        return 0;
    case KEY_DIAL:
        arguments->dial.to = argument;
        return 0;
    case KEY_SECURITY:
        check_parse_security(arguments, argument, state);
        return 0;
    case 'j':
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARG:
        file_argument_take(state, &arguments->file, argument);
        return 0;
    case ARGP_KEY_END:
        check_parse_end(arguments, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static struct location config_location(const struct config *config)
{
    return (struct location){config->options.dc, config->options.rack};
}

static struct policy_decision kind_outgoing(const struct config *config, enum policy_kind kind, enum weft_lane lane)
{
    struct location own = config_location(config);
    struct location peer = policy_kind_location(&own, kind);
    return policy_outgoing(config->options.encryption, &own, &peer, lane);
}

/* Whether a connection of this kind of peer is admitted. */
static bool kind_admitted(const struct config *config, bool tls, enum policy_kind kind)
{
    struct location own = config_location(config);
    struct location peer = policy_kind_location(&own, kind);
    const struct policy_incoming in = {.scope = config->options.encryption,
                                       .own = &own,
                                       .peer = &peer,
                                       .lane = WEFT_LANE_NORMAL,
                                       .tls = tls,
                                       .certificate_configured = config->options.tls.certificate_in_block};
    return policy_incoming(&in).verdict != POLICY_REFUSE;
}

static bool listens_plain(const struct config *config)
{
    return policy_has_plain_listener(config->options.encryption);
}

static bool listens_tls(const struct config *config)
{
    return policy_has_tls_listener(config->options.encryption, config->options.tls.certificate_in_block);
}

static void location_print(const char *dc, const char *rack)
{
    if (dc == NULL) {
        fputs("location unknown", stdout);
        return;
    }
    fputs("dc ", stdout);
    name_text_print(dc);
    fputs(", rack ", stdout);
    name_text_print(rack);
}

static void listener_print(const struct config *config, const char *on, bool tls)
{
    struct address address;
    char text[ADDRESS_TEXT_BYTES] = "?";
    const char *joint = "";
    if (address_parse(&address, on, tls ? config_ssl_storage_port(config) : config_storage_port(config)) == WEFT_OK) {
        address_print(&address, text);
    }
    printf("  listen       %s %s, admits ", text, tls ? "tls" : "plain");
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        if (kind_admitted(config, tls, (enum policy_kind)kind)) {
            printf("%s%s", joint, policy_kind_words((enum policy_kind)kind));
            joint = ", ";
        }
    }
    puts(joint[0] == '\0' ? "nobody" : "");
}

static void listeners_print(const struct config *config, const char *address)
{
    if (listens_plain(config)) {
        listener_print(config, address, false);
    }
    if (listens_tls(config)) {
        listener_print(config, address, true);
    }
}

static void peers_print(const struct config *config)
{
    const struct weft_node_options *options = &config->options;
    printf("  peers        %u\n", options->peer_count);
    for (uint32_t i = 0; i < options->peer_count; i++) {
        const struct weft_peer_options *peer = &options->peers[i];
        fputs("    ", stdout);
        for (uint32_t j = 0; j < WEFT_PEER_ADDRESSES_MAX && peer->addresses[j] != NULL; j++) {
            printf("%s%s", j == 0 ? "" : ", ", peer->addresses[j]);
        }
        fputs("  ", stdout);
        location_print(peer->dc, peer->rack);
        if (peer->storage_port != 0 || peer->ssl_storage_port != 0) {
            printf(", ports %u plain, %u tls",
                   peer->storage_port != 0 ? peer->storage_port : config_storage_port(config),
                   peer->ssl_storage_port != 0 ? peer->ssl_storage_port : config_ssl_storage_port(config));
        }
        puts(i < config->listed_peer_count ? "" : " (seed)");
    }
}

static void config_print(const struct config *config, const char *file, const struct config_report *report,
                         const struct check_bounds *bounds)
{
    printf("%s: ok\n  cluster      ", file);
    name_text_print(config_cluster_name(config));
    fputs("\n  location     ", stdout);
    location_print(config->options.dc, config->options.rack);
    printf(", from %s\n", config_location_source_name(config->location_source));
    listeners_print(config, config_listen_address(config));
    if (config->options.second_listen_address != NULL) {
        listeners_print(config, config->options.second_listen_address);
    }
    printf("  encryption   %s\n  dials        ", weft_encryption_name(config->options.encryption));
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        struct policy_decision decision = kind_outgoing(config, (enum policy_kind)kind, WEFT_LANE_NORMAL);
        printf("%s %s, ", policy_kind_words((enum policy_kind)kind), policy_verdict_name(decision.verdict));
    }
    printf("control lane %s\n",
           policy_verdict_name(kind_outgoing(config, POLICY_KIND_SAME_RACK, WEFT_LANE_CONTROL).verdict));
    check_tls_print(config);
    peers_print(config);
    check_bounds_print(bounds);
    check_effective_print(config);
    printf("  warnings     %u\n", report->warnings.count);
    file_argument_print_lines(stdout, "    ", &report->warnings);
}

static json_t *json_lines(const struct config_report_lines *lines)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < config_report_kept(lines); i++) {
        json_array_append_new(array, json_string(lines->lines[i]));
    }
    if (lines->count > config_report_kept(lines)) {
        json_array_append_new(array, json_sprintf("and %u more", lines->count - config_report_kept(lines)));
    }
    return array;
}

static json_t *json_listener(const struct config *config, const char *address, bool tls)
{
    json_t *admits = json_array();
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        if (kind_admitted(config, tls, (enum policy_kind)kind)) {
            json_array_append_new(admits, json_string(policy_kind_name((enum policy_kind)kind)));
        }
    }
    uint16_t port = tls ? config_ssl_storage_port(config) : config_storage_port(config);
    return json_pack("{s:s, s:i, s:b, s:o}", "address", address, "port", (int)port, "tls", tls ? 1 : 0, "admits",
                     admits);
}

static void json_listeners(json_t *array, const struct config *config, const char *address)
{
    if (listens_plain(config)) {
        json_array_append_new(array, json_listener(config, address, false));
    }
    if (listens_tls(config)) {
        json_array_append_new(array, json_listener(config, address, true));
    }
}

static json_t *json_dials(const struct config *config)
{
    json_t *object = json_object();
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        struct policy_decision decision = kind_outgoing(config, (enum policy_kind)kind, WEFT_LANE_NORMAL);
        json_object_set_new(object, policy_kind_name((enum policy_kind)kind),
                            json_string(policy_verdict_name(decision.verdict)));
    }
    struct policy_decision control = kind_outgoing(config, POLICY_KIND_SAME_RACK, WEFT_LANE_CONTROL);
    json_object_set_new(object, "control_lane", json_string(policy_verdict_name(control.verdict)));
    return object;
}

static json_t *json_peer(const struct config *config, uint32_t index)
{
    const struct weft_peer_options *peer = &config->options.peers[index];
    uint16_t plain = peer->storage_port != 0 ? peer->storage_port : config_storage_port(config);
    uint16_t tls = peer->ssl_storage_port != 0 ? peer->ssl_storage_port : config_ssl_storage_port(config);
    json_t *addresses = json_array();
    for (uint32_t j = 0; j < WEFT_PEER_ADDRESSES_MAX && peer->addresses[j] != NULL; j++) {
        json_array_append_new(addresses, json_string(peer->addresses[j]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:b}", "addresses", addresses, "dc", name_text_json(peer->dc),
                     "rack", name_text_json(peer->rack), "id", name_text_json(peer->id), "storage_port", (int)plain,
                     "ssl_storage_port", (int)tls, "seed", index >= config->listed_peer_count ? 1 : 0);
}

static void json_config(json_t *object, const struct config *config)
{
    const struct weft_node_options *options = &config->options;
    json_t *peers = json_array();
    json_t *listeners = json_array();
    for (uint32_t i = 0; i < options->peer_count; i++) {
        json_array_append_new(peers, json_peer(config, i));
    }
    json_listeners(listeners, config, config_listen_address(config));
    if (options->second_listen_address != NULL) {
        json_listeners(listeners, config, options->second_listen_address);
    }
    json_object_set_new(object, "cluster_name", name_text_json(config_cluster_name(config)));
    json_object_set_new(object, "location",
                        json_pack("{s:o, s:o, s:s}", "dc", name_text_json(options->dc), "rack",
                                  name_text_json(options->rack), "source",
                                  config_location_source_name(config->location_source)));
    json_object_set_new(object, "scope", json_string(weft_encryption_name(options->encryption)));
    json_object_set_new(object, "listeners", listeners);
    json_object_set_new(object, "dials", json_dials(config));
    json_object_set_new(object, "certificate", name_text_json(options->tls.certificate));
    json_object_set_new(object, "keyfile", name_text_json(options->tls.keyfile));
    json_object_set_new(object, "truststore", name_text_json(options->tls.truststore));
    json_object_set_new(object, "require_client_auth", json_string(check_tls_client_auth(config)));
    json_object_set_new(object, "peers", peers);
}

static bool check_print_json(const struct config *config, const char *file, const struct config_report *report,
                             const struct check_bounds *bounds)
{
    json_t *object =
        json_pack("{s:b, s:o, s:o, s:o}", "ok", config != NULL ? 1 : 0, "errors", json_lines(&report->errors),
                  "warnings", json_lines(&report->warnings), "file", name_text_json(file));
    if (config != NULL && object != NULL) {
        json_config(object, config);
        json_object_set_new(object, "tls", check_tls_json(config));
        json_object_set_new(object, "bounds", check_bounds_json(bounds));
        json_object_set_new(object, "effective", check_effective_json(config));
    }
    bool ok = object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(object);
    putchar('\n');
    return ok;
}

static bool check_print_step(const struct check_arguments *arguments, const struct check_step *step)
{
    if (!arguments->json) {
        if (step->judged) {
            check_step_print(step);
        }
        return true;
    }
    json_t *object = check_step_json(step);
    bool ok = object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(object);
    putchar('\n');
    return ok;
}

/* Both configurations must start a node; their warnings are for a check of their own. */
static int check_from(const struct check_arguments *arguments, struct config_report *report)
{
    struct config *from = NULL;
    struct config *to = NULL;
    struct check_step step;
    enum weft_err err = check_node_load(&from, arguments->from, report, NULL);
    if (err == WEFT_OK) {
        err = check_node_load(&to, arguments->file, report, NULL);
    }
    if (err == WEFT_OK) {
        check_step_judge(&step, from, to);
    } else {
        check_step_fail(&step, report);
    }
    bool written = check_print_step(arguments, &step);
    config_destroy(from);
    config_destroy(to);
    return file_argument_printed("weft check") && written && err == WEFT_OK ? 0 : 1;
}

static int check_run(const struct check_arguments *arguments, struct config_report *report)
{
    struct config *config = NULL;
    struct check_bounds bounds;
    bool written = true;
    enum weft_err err = check_node_load(&config, arguments->file, report, &bounds);
    if (arguments->json) {
        written = check_print_json(config, arguments->file, report, &bounds);
    } else if (config != NULL) {
        config_print(config, arguments->file, report, &bounds);
    } else {
        file_argument_print_lines(stderr, "warning: ", &report->warnings);
    }
    config_destroy(config);
    return file_argument_printed("weft check") && written && err == WEFT_OK ? 0 : 1;
}

static int check_dial(const struct check_arguments *arguments, struct config_report *report)
{
    struct config *config = NULL;
    struct check_dial dial = arguments->dial;
    dial.json = arguments->json;
    enum weft_err err = check_node_load(&config, arguments->file, report, NULL);
    if (err == WEFT_OK) {
        err = config_state_look(config);
    }
    if (err != WEFT_OK) { /* what is on stderr already, for programs */
        check_dial_undialed(&dial, err, report->errors.lines[0]);
    }
    int code = err == WEFT_OK ? check_dial_run(config, &dial) : 1;
    config_destroy(config);
    return code;
}

static int check_schema(const struct check_arguments *arguments)
{
    if (!check_schema_print(arguments->file, arguments->json)) {
        fprintf(stderr, "weft check: \"%s\" is no key; weft check --schema shows all of them\n",
                arguments->file != NULL ? arguments->file : "");
        return 2;
    }
    return file_argument_printed("weft check") ? 0 : 1;
}

int cli_check(int argc, char **argv)
{
    static const struct argp argp = {
        .options = check_options, .parser = check_parse, .args_doc = "FILE\n--schema [KEY]", .doc = check_doc};
    struct check_arguments arguments = {0};
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    if (arguments.schema) {
        return check_schema(&arguments);
    }
    /* Too large for a stack. */
    struct config_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        fprintf(stderr, "weft check: not enough memory\n");
        return 1;
    }
    int code = arguments.from != NULL      ? check_from(&arguments, report)
               : arguments.dial.to != NULL ? check_dial(&arguments, report)
                                           : check_run(&arguments, report);
    free(report);
    return code;
}
