/* SPDX-License-Identifier: Apache-2.0 */
/* `weft explain FILE`: asks the policy, the same functions that a node asks, about one link and prints the decision
 * with its reason.
 *
 * Fails (1) for a configuration that does not start, with its errors on stderr, and (2) for a wrong command line. */
#include "cli/explain.h"

#include <argp.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check_node.h"
#include "cli/explain_link.h"
#include "cli/explain_matrix.h"
#include "cli/file_argument.h"
#include "config/config.h"
#include "engine/base/error.h"
#include "topology/cluster/peer.h"
#include "topology/cluster/policy.h"

struct explain_arguments {
    const char *file;
    const char *peer;
    struct address peer_address;
    const char *dc;
    const char *rack;
    bool unknown;
    struct explain_rows which; /* the link's direction and lane; with matrix, the rows that were asked for */
    const char *own_dc;
    const char *own_rack;
    bool matrix;
    bool json;
};

enum explain_key {
    KEY_PEER = 'p',
    KEY_DC = 'd',
    KEY_RACK = 'r',
    KEY_UNKNOWN = 'u',
    KEY_JSON = 'j',
    KEY_DIRECTION = 256,
    KEY_LANE,
    KEY_OWN_DC,
    KEY_OWN_RACK,
    KEY_MATRIX
};

static const struct argp_option explain_options[] = {
    {NULL, 0, NULL, 0, "Which peer (exactly one of --peer, --dc, --unknown, --matrix):", 1},
    {"peer", KEY_PEER, "ADDR", 0, "The node with this numeric address; one that is not in the topology is unknown", 1},
    {"dc", KEY_DC, "DC", 0, "A node in this data centre", 1},
    {"rack", KEY_RACK, "RACK", 0, "... and in this rack of it", 1},
    {"unknown", KEY_UNKNOWN, NULL, 0, "A node whose location is not known", 1},
    {"matrix", KEY_MATRIX, NULL, 0,
     "Every kind of peer, on every lane and in every direction, or those of --lane and --direction", 1},
    {NULL, 0, NULL, 0, "Which connection:", 2},
    {"direction", KEY_DIRECTION, "out|in-plain|in-tls", 0,
     "out: this node dials (default); in-plain, in-tls: the peer has dialed the plain or the TLS port", 2},
    {"lane", KEY_LANE, "LANE", 0, "normal (default), control or bulk", 2},
    {NULL, 0, NULL, 0, "What if this node stood elsewhere:", 3},
    {"own-dc", KEY_OWN_DC, "DC", 0, "Instead of the data centre that FILE gives; \"\" for unknown", 3},
    {"own-rack", KEY_OWN_RACK, "RACK", 0, "Instead of the rack that FILE gives; \"\" for unknown", 3},
    {NULL, 0, NULL, 0, "Output:", 4},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object: decision, reason, port, scope; with --matrix: scope, decisions",
     4},
    {0},
};

static const char explain_doc[] =
    "Say whether a link would be plain, TLS or refused under the configuration FILE, and why.\v"
    "Examples:\n"
    "  weft explain weft.yaml --peer 127.0.1.2\n"
    "  weft explain weft.yaml --dc dc2 --rack r1 --direction in-plain\n"
    "  weft explain weft.yaml --unknown --lane control --json\n"
    "  weft explain weft.yaml --matrix\n"
    "\n"
    "Exit codes: 0 a decision was printed (a refusal is one too), 1 FILE does not start a node, 2 usage.";

static bool lane_parse(const char *text, enum weft_lane *lane)
{
    for (int i = 0; i < WEFT_LANE_COUNT; i++) {
        if (strcmp(text, weft_lane_name((enum weft_lane)i)) == 0) {
            *lane = (enum weft_lane)i;
            return true;
        }
    }
    return false;
}

/* What only the whole command line can tell. */
static void arguments_check(struct argp_state *state, const struct explain_arguments *arguments)
{
    int peers = (arguments->peer != NULL ? 1 : 0) + (arguments->dc != NULL ? 1 : 0) + (arguments->unknown ? 1 : 0) +
                (arguments->matrix ? 1 : 0);
    file_argument_need(state, arguments->file, "configuration file");
    if (arguments->rack != NULL && arguments->dc == NULL) {
        argp_error(state, "--rack means a rack of a data centre: add --dc");
    } else if (peers != 1) {
        argp_error(state, "%s --peer ADDR, --dc DC --rack RACK, --unknown or --matrix",
                   peers == 0 ? "which peer? Use one of" : "one peer at a time: use only one of");
    }
}

static void peer_parse(struct argp_state *state, struct explain_arguments *arguments, const char *text)
{
    arguments->peer = text;
    if (address_parse(&arguments->peer_address, text, 0) != WEFT_OK) {
        argp_error(state, "--peer: \"%s\" is not a numeric address such as 127.0.1.2 or ::1 (without a port)", text);
    }
}

static error_t explain_parse(int key, char *argument, struct argp_state *state)
{
    struct explain_arguments *arguments = state->input;
    switch (key) {
    case KEY_PEER:
        peer_parse(state, arguments, argument);
        return 0;
    case KEY_DC:
        arguments->dc = argument;
        return 0;
    case KEY_RACK:
        arguments->rack = argument;
        return 0;
    case KEY_UNKNOWN:
        arguments->unknown = true;
        return 0;
    case KEY_DIRECTION:
        if (!explain_direction_parse(argument, &arguments->which.direction)) {
            argp_error(state, "--direction: \"%s\" is none of out, in-plain, in-tls", argument);
        }
        arguments->which.one_direction = true;
        return 0;
    case KEY_LANE:
        if (!lane_parse(argument, &arguments->which.lane)) {
            argp_error(state, "--lane: \"%s\" is none of normal, control, bulk", argument);
        }
        arguments->which.one_lane = true;
        return 0;
    case KEY_OWN_DC:
        arguments->own_dc = argument;
        return 0;
    case KEY_OWN_RACK:
        arguments->own_rack = argument;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_MATRIX:
        arguments->matrix = true;
        return 0;
    case ARGP_KEY_ARG:
        file_argument_take(state, &arguments->file, argument);
        return 0;
    case ARGP_KEY_END:
        arguments_check(state, arguments);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The topology as the node would hold it; NULL without memory.  The configuration was checked, so entries are fine. */
static struct peer *explain_peers(const struct config *config)
{
    const struct weft_node_options *options = &config->options;
    struct peer *peers = calloc(options->peer_count + 1, sizeof *peers);
    for (uint32_t i = 0; peers != NULL && i < options->peer_count; i++) {
        if (peer_init(&peers[i], &options->peers[i], config_storage_port(config), config_ssl_storage_port(config),
                      NULL) != WEFT_OK) {
            peers[i].address_count = 0;
        }
    }
    return peers;
}

static struct location explain_own(const struct config *config, const struct explain_arguments *arguments)
{
    return (struct location){arguments->own_dc != NULL ? arguments->own_dc : config->options.dc,
                             arguments->own_rack != NULL ? arguments->own_rack : config->options.rack};
}

/* The link of the command line; with --peer, what the topology says of the address. */
static struct explain_link explain_link_of(const struct config *config, const struct peer *peers,
                                           const struct explain_arguments *arguments)
{
    struct explain_link link = {.direction = arguments->which.direction,
                                .lane = arguments->which.lane,
                                .own = explain_own(config, arguments),
                                .peer = {arguments->dc, arguments->rack}};
    if (arguments->peer != NULL) {
        struct peer_match match = peer_match_address(peers, config->options.peer_count, &arguments->peer_address);
        link.self = match.entries == 0 && config_has_address(config, &arguments->peer_address);
        link.peer = link.self ? link.own : match.location;
        link.entry = match.only;
    }
    return link;
}

/* The reason for people. */
static const char *reason_sentence(enum weft_reason reason)
{
    switch (reason) {
    case WEFT_REASON_SCOPE_NONE:
        return "internode_encryption is none: nothing is encrypted by policy.";
    case WEFT_REASON_SCOPE_ALL:
        return "internode_encryption is all: every link is encrypted.";
    case WEFT_REASON_TRANSITIONAL:
        return "internode_encryption is transitional: this node dials TLS and still admits plaintext.";
    case WEFT_REASON_CONTROL_LANE:
        return "The control lane is encrypted whatever the location, where any link is.";
    case WEFT_REASON_OWN_LOCATION_UNKNOWN:
        return "This node's own location is not known, so no peer counts as near.";
    case WEFT_REASON_LOCATION_UNKNOWN:
        return "The peer's location is not known, and an unknown one never counts as near.";
    case WEFT_REASON_SAME_RACK:
        return "Both nodes are in the same rack of the same data centre.";
    case WEFT_REASON_SAME_DC:
        return "Both nodes are in the same data centre.";
    case WEFT_REASON_OTHER_RACK:
        return "The peer is in another rack.";
    case WEFT_REASON_OTHER_DC:
        return "The peer is in another data centre; racks are compared only within one.";
    case WEFT_REASON_TLS_LISTENER:
        return "The TLS listener admits every location; the handshake decides the rest.";
    case WEFT_REASON_PASSIVE_LISTENER:
        return "A certificate is configured, so TLS is admitted although nothing here dials it.";
    case WEFT_REASON_NO_LISTENER:
        return "This node does not listen there at all.";
    case WEFT_REASON_PLAINTEXT_UNKNOWN_LOCATION:
        return "Plaintext is admitted only between known locations, and the peer's or this node's is not known.";
    case WEFT_REASON_PLAINTEXT_FORBIDDEN:
        return "This link must be encrypted, and a plain connection does not become one.";
    case WEFT_REASON_SELF_CONNECTION:
        return "This is the node's own address: it does not dial itself, and closes what comes from itself.";
    default:
        return "";
    }
}

/* Room for a longest name with every byte escaped. */
#define NAME_TEXT_BYTES (4 * WEFT_NAME_BYTES_MAX + 1)

/* Names come from files and command lines; on a terminal they stay harmless. */
static void location_print(const char *whose, const struct location *location)
{
    char dc[NAME_TEXT_BYTES] = "unknown";
    char rack[NAME_TEXT_BYTES] = "unknown";
    if (location_dc_known(location)) {
        weft_text_escape(dc, sizeof dc, location->dc, (uint32_t)strlen(location->dc));
    }
    if (location_rack_known(location)) {
        weft_text_escape(rack, sizeof rack, location->rack, (uint32_t)strlen(location->rack));
    }
    printf("  %-10s dc %s, rack %s\n", whose, dc, rack);
}

static void explanation_print(const struct config *config, const struct explain_link *link,
                              const struct explain_answer *answer)
{
    printf("%s: %s\n", policy_verdict_name(answer->decision.verdict), weft_reason_name(answer->decision.reason));
    printf("  %s\n", reason_sentence(answer->decision.reason));
    printf("  scope      %s\n", weft_encryption_name(config->options.encryption));
    printf("  direction  %s\n", explain_direction_name(link->direction));
    printf("  lane       %s\n", weft_lane_name(link->lane));
    location_print("own", &link->own);
    location_print("peer", &link->peer);
    if (answer->port != 0) {
        printf("  port       %u\n", answer->port);
    }
}

static bool explanation_print_json(const struct config *config, const struct explain_answer *answer)
{
    json_t *port = answer->port != 0 ? json_integer(answer->port) : json_null();
    json_t *object = json_pack("{s:s, s:s, s:o, s:s}", "decision", policy_verdict_name(answer->decision.verdict),
                               "reason", weft_reason_name(answer->decision.reason), "port", port, "scope",
                               weft_encryption_name(config->options.encryption));
    bool ok = object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(object);
    putchar('\n');
    return ok;
}

static bool explain_matrix(const struct config *config, const struct explain_arguments *arguments)
{
    struct location own = explain_own(config, arguments);
    if (arguments->json) {
        return explain_matrix_print_json(config, &own, &arguments->which);
    }
    explain_matrix_print(config, &own, &arguments->which);
    return true;
}

static bool explain_link(const struct config *config, const struct explain_arguments *arguments)
{
    struct peer *peers = explain_peers(config);
    if (peers == NULL) {
        fprintf(stderr, "weft explain: no memory for the topology\n");
        return false;
    }
    struct explain_link link = explain_link_of(config, peers, arguments);
    struct explain_answer answer = explain_link_ask(config, &link);
    bool ok = true;
    if (arguments->json) {
        ok = explanation_print_json(config, &answer);
    } else {
        explanation_print(config, &link, &answer);
    }
    free(peers);
    return ok;
}

static int explain_run(const struct explain_arguments *arguments, struct config_report *report)
{
    struct config *config = NULL;
    if (check_node_load(&config, arguments->file, report, NULL) != WEFT_OK) {
        return 1;
    }
    bool ok = arguments->matrix ? explain_matrix(config, arguments) : explain_link(config, arguments);
    config_destroy(config);
    return file_argument_printed("weft explain") && ok ? 0 : 1;
}

int cli_explain(int argc, char **argv)
{
    static const struct argp argp = {
        .options = explain_options, .parser = explain_parse, .args_doc = "FILE", .doc = explain_doc};
    struct explain_arguments arguments = {.which = {.direction = DIRECTION_OUT, .lane = WEFT_LANE_NORMAL}};
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    /* Too large for a stack. */
    struct config_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        fprintf(stderr, "weft explain: not enough memory\n");
        return 1;
    }
    int code = explain_run(&arguments, report);
    free(report);
    return code;
}
