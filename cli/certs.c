/* SPDX-License-Identifier: Apache-2.0 */
/* `weft certs`: a small CA for clusters that have none, and a look into certificates.  All work is done in tls/; this
 * is the command line.
 *
 * Fails (1) when a file is there already, cannot be read or written, or holds the wrong thing, and (2) for a wrong
 * command line. */
#include "cli/certs.h"

#include <argp.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/certs_verify.h"
#include "cli/file_argument.h"
#include "tls/describe.h"
#include "tls/issue.h"

#define CA_NAME "ca"
/* Enough for a description with the most names of the usual length; longer ones are cut in the text, not in JSON. */
#define TEXT_BYTES (64u * 1024)
#define DAY_S (INT64_C(24) * 60 * 60)
/* Longest life that --days accepts, in days: a century. */
#define DAYS_MAX 36525

enum certs_key {
    KEY_CLUSTER = 'c',
    KEY_OUT = 'o',
    KEY_JSON = 'j',
    KEY_DC = 'd',
    KEY_RACK = 'r',
    KEY_ADDRESS = 'a',
    KEY_FORCE = 256,
    KEY_CA,
    KEY_ID,
    KEY_DNS,
    KEY_DAYS,
    KEY_PASSWORD_FILE,
    KEY_CA_PASSWORD_FILE
};

/* Of all three subcommands; each uses its own. */
struct certs_arguments {
    const char *out;
    const char *ca;
    const char *file;
    bool force;
    bool json;
    struct tls_validity validity;
    struct tls_node_options node; /* its cluster is also the CA's */
};

static int certs_fail(const char *command, const struct weft_error *why)
{
    fprintf(stderr, "weft certs %s: %s\n", command, why->text);
    return 1;
}

static int certs_finish(const char *command)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "weft certs %s: stdout cannot be written\n", command);
        return 1;
    }
    return 0;
}

static void days_parse(struct argp_state *state, struct tls_validity *validity, const char *text)
{
    char *end = NULL;
    long days = strtol(text, &end, 10);
    if (end == text || *end != '\0' || days < 1 || days > DAYS_MAX) {
        argp_error(state, "--days: \"%s\" is no number from 1 to %d", text, DAYS_MAX);
        return;
    }
    *validity = (struct tls_validity){.from_s = -300, .until_s = days * DAY_S};
}

/* Add the parts of a list with commas. */
static void names_parse(struct argp_state *state, const char *option, const char **names, uint32_t *count, char *text)
{
    for (char *part = strsep(&text, ","); part != NULL; part = strsep(&text, ",")) {
        if (*count == TLS_ISSUE_NAMES_MAX) {
            argp_error(state, "%s: at most %u in one certificate", option, TLS_ISSUE_NAMES_MAX);
            return;
        }
        names[(*count)++] = part;
    }
}

static bool path_join(char path[PATH_MAX], const char *directory, const char *name)
{
    int written = snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return written > 0 && written < PATH_MAX;
}

/* ---- weft certs ca ---- */

static const struct argp_option ca_options[] = {
    {"cluster", KEY_CLUSTER, "NAME", 0, "The cluster; stands in the CA's subject", 0},
    {"out", KEY_OUT, "DIR", 0, "Where ca.crt and ca.key go; made (mode 0700) if it is missing", 0},
    {"days", KEY_DAYS, "N", 0, "How long the CA is valid; default ten years", 0},
    {"password-file", KEY_PASSWORD_FILE, "FILE", 0, "Encrypt ca.key with the password that is the one line of FILE", 0},
    {"force", KEY_FORCE, NULL, 0, "Replace files that exist", 0},
    {0},
};

static const char ca_doc[] =
    "Make a certificate authority: a P-256 key and a self-signed certificate.\v"
    "Every node needs ca.crt as its truststore; ca.key stays where certificates are made, and nowhere else.\n"
    "\n"
    "Example:\n"
    "  weft certs ca --cluster prod --out pki\n"
    "\n"
    "Exit codes: 0 written, 1 not written (the cause is on stderr; existing files need --force), 2 usage.";

static error_t ca_parse(int key, char *argument, struct argp_state *state)
{
    struct certs_arguments *arguments = state->input;
    switch (key) {
    case KEY_CLUSTER:
        arguments->node.cluster = argument;
        return 0;
    case KEY_OUT:
        arguments->out = argument;
        return 0;
    case KEY_DAYS:
        days_parse(state, &arguments->validity, argument);
        return 0;
    case KEY_FORCE:
        arguments->force = true;
        return 0;
    case KEY_PASSWORD_FILE:
        arguments->node.password_file = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is too much: ca takes options only", argument);
        return EINVAL;
    case ARGP_KEY_END:
        if (arguments->node.cluster == NULL || arguments->out == NULL) {
            argp_error(state, "--cluster NAME and --out DIR are needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int certs_ca(int argc, char **argv)
{
    static const struct argp argp = {.options = ca_options, .parser = ca_parse, .doc = ca_doc};
    struct certs_arguments arguments = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    struct tls_ca_options options = {.cluster = arguments.node.cluster,
                                     .validity = arguments.validity,
                                     .password_file = arguments.node.password_file};
    struct tls_material material;
    struct weft_error why = {0};
    enum weft_err err = tls_issue_ca(&material, &options, &why);
    if (err == WEFT_OK) {
        err = tls_material_write(&material, arguments.out, CA_NAME, arguments.force, &why);
    }
    tls_material_fini(&material);
    if (err != WEFT_OK) {
        return certs_fail("ca", &why);
    }
    printf("certificate  %s/ca.crt   (the truststore of every node)\n", arguments.out);
    printf("key          %s/ca.key   (mode 0600; keep it off the nodes)\n", arguments.out);
    return certs_finish("ca");
}

/* ---- weft certs node ---- */

static const struct argp_option node_options[] = {
    {NULL, 0, NULL, 0, "Files:", 1},
    {"ca", KEY_CA, "DIR", 0, "Where ca.crt and ca.key are", 1},
    {"out", KEY_OUT, "DIR", 0, "Where NAME.crt and NAME.key go; made (mode 0700) if it is missing", 1},
    {"force", KEY_FORCE, NULL, 0, "Replace files that exist", 1},
    {"password-file", KEY_PASSWORD_FILE, "FILE", 0,
     "Encrypt NAME.key with the password that is the one line of FILE; the node needs it as keyfile_password_file", 1},
    {"ca-password-file", KEY_CA_PASSWORD_FILE, "FILE", 0,
     "The password that ca.key is encrypted with: the one line of FILE", 1},
    {NULL, 0, NULL, 0, "The node:", 2},
    {"cluster", KEY_CLUSTER, "NAME", 0, "Its cluster", 2},
    {"dc", KEY_DC, "DC", 0, "Its data centre", 2},
    {"rack", KEY_RACK, "RACK", 0, "Its rack", 2},
    {"id", KEY_ID, "UUID", 0, "Its node id; default: a random one, which is printed", 2},
    {"address", KEY_ADDRESS, "A", 0, "A numeric address it is reached at; repeat it, or separate by commas", 2},
    {"dns", KEY_DNS, "N", 0, "A host name of it; repeat it, or separate by commas", 2},
    {"days", KEY_DAYS, "N", 0, "How long the certificate is valid; default 730, never longer than the CA", 2},
    {0},
};

static const char node_doc[] =
    "Make a node's certificate, signed by the CA of `weft certs ca`, for both ends of a connection.\v"
    "NAME is made of A-Z a-z 0-9 . _ - and names the files.  The certificate carries the addresses, the host names and "
    "the URI weft://CLUSTER/DC/RACK/ID.  Copy NAME.crt, NAME.key and ca.crt to the node: certificate, keyfile and "
    "truststore.\n"
    "\n"
    "Example:\n"
    "  weft certs node n1 --ca pki --cluster prod --dc dc1 --rack r1 \\\n"
    "      --address 10.0.0.1,fd00::1 --dns n1.example.org --out pki\n"
    "\n"
    "Exit codes: 0 written, 1 not written (the cause is on stderr; existing files need --force), 2 usage.";

static void node_check(struct argp_state *state, const struct certs_arguments *arguments)
{
    const struct tls_node_options *node = &arguments->node;
    if (node->name == NULL) {
        argp_error(state, "which node? Give its NAME");
    } else if (!tls_node_name_is_valid(node->name)) {
        argp_error(state, "NAME: \"%s\" is not made of 1 to 64 of A-Z a-z 0-9 . _ - (no path, no leading dot)",
                   node->name);
    } else if (strcmp(node->name, CA_NAME) == 0) {
        argp_error(state, "NAME: \"%s\" is the name of the CA's files", CA_NAME);
    } else if (arguments->ca == NULL || arguments->out == NULL || node->cluster == NULL) {
        argp_error(state, "--ca DIR, --out DIR and --cluster NAME are needed");
    } else if (node->dc == NULL || node->rack == NULL) {
        argp_error(state, "--dc DC and --rack RACK are needed");
    } else if (node->address_count == 0) {
        argp_error(state, "--address A is needed: the address that peers dial");
    }
}

static error_t node_parse(int key, char *argument, struct argp_state *state)
{
    struct certs_arguments *arguments = state->input;
    struct tls_node_options *node = &arguments->node;
    switch (key) {
    case KEY_CA:
        arguments->ca = argument;
        return 0;
    case KEY_CA_PASSWORD_FILE:
        node->ca_password_file = argument;
        return 0;
    case KEY_DC:
        node->dc = argument;
        return 0;
    case KEY_RACK:
        node->rack = argument;
        return 0;
    case KEY_ID:
        node->id = argument;
        return 0;
    case KEY_ADDRESS:
        names_parse(state, "--address", node->addresses, &node->address_count, argument);
        return 0;
    case KEY_DNS:
        names_parse(state, "--dns", node->dns_names, &node->dns_count, argument);
        return 0;
    case ARGP_KEY_ARG:
        if (node->name != NULL) {
            argp_error(state, "\"%s\" is too much: one NAME at a time", argument);
        }
        node->name = argument;
        return 0;
    case ARGP_KEY_END:
        node_check(state, arguments);
        return 0;
    default:
        /* --cluster, --out, --days, --force and --password-file are the CA's too. */
        return ca_parse(key, argument, state);
    }
}

static int certs_node(int argc, char **argv)
{
    static const struct argp argp = {
        .options = node_options, .parser = node_parse, .args_doc = "NAME", .doc = node_doc};
    struct certs_arguments arguments = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    char ca_certificate[PATH_MAX];
    char ca_key[PATH_MAX];
    if (!path_join(ca_certificate, arguments.ca, CA_NAME ".crt") || !path_join(ca_key, arguments.ca, CA_NAME ".key")) {
        fprintf(stderr, "weft certs node: --ca: the path is too long\n");
        return 1;
    }
    arguments.node.validity = arguments.validity;
    struct tls_material material;
    struct weft_error why = {0};
    enum weft_err err = tls_issue_node(&material, &arguments.node, ca_certificate, ca_key, &why);
    if (err == WEFT_OK) {
        err = tls_material_write(&material, arguments.out, arguments.node.name, arguments.force, &why);
    }
    if (err == WEFT_OK) {
        printf("certificate  %s/%s.crt\n", arguments.out, arguments.node.name);
        printf("key          %s/%s.key   (mode 0600)\n", arguments.out, arguments.node.name);
        printf("node id      %s\n", material.id);
        printf("uri          %s\n", material.uri);
    }
    tls_material_fini(&material);
    return err == WEFT_OK ? certs_finish("node") : certs_fail("node", &why);
}

/* ---- weft certs show ---- */

static const struct argp_option show_options[] = {
    {"json", KEY_JSON, NULL, 0, "Print one JSON object, {\"certificates\": [...]}", 0},
    {0},
};

static const char show_doc[] = "Show every certificate of a PEM file.\v"
                               "Examples:\n"
                               "  weft certs show pki/n1.crt\n"
                               "  weft certs show --json /etc/ssl/certs/ca-certificates.crt\n"
                               "\n"
                               "Exit codes: 0 shown, 1 the file cannot be read or holds no certificate, 2 usage.";

static error_t show_parse(int key, char *argument, struct argp_state *state)
{
    struct certs_arguments *arguments = state->input;
    switch (key) {
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARG:
        file_argument_take(state, &arguments->file, argument);
        return 0;
    case ARGP_KEY_END:
        file_argument_need(state, arguments->file, "certificate");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool show_text(const struct tls_description *list, uint32_t count)
{
    char *text = calloc(1, TEXT_BYTES);
    if (text == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        tls_description_print(&list[i], text, TEXT_BYTES);
        printf("%s%s", i > 0 ? "\n" : "", text);
    }
    free(text);
    return true;
}

static json_t *show_object(const struct tls_description *description)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < description->name_count; i++) {
        json_array_append_new(
            names, json_pack("{s:s, s:s}", "type", description->names[i].kind, "value", description->names[i].value));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:b, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:o}", "subject",
                     description->subject, "issuer", description->issuer, "serial", description->serial, "not_before",
                     description->not_before, "not_after", description->not_after, "days_left",
                     (int)description->days_left, "expired", (int)description->expired, "not_yet_valid",
                     (int)description->not_yet_valid, "key", description->key, "signature", description->signature,
                     "sha256", description->fingerprint, "ca", (int)description->is_ca, "self_signed",
                     (int)description->is_self_signed, "server_auth", (int)description->server_auth, "client_auth",
                     (int)description->client_auth, "names", names);
}

static bool show_json(const struct tls_description *list, uint32_t count)
{
    json_t *certificates = json_array();
    bool ok = certificates != NULL;
    for (uint32_t i = 0; ok && i < count; i++) {
        ok = json_array_append_new(certificates, show_object(&list[i])) == 0;
    }
    json_t *object = json_pack("{s:o}", "certificates", certificates);
    ok = ok && object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(object);
    putchar('\n');
    return ok;
}

static int certs_show(int argc, char **argv)
{
    static const struct argp argp = {
        .options = show_options, .parser = show_parse, .args_doc = "FILE", .doc = show_doc};
    struct certs_arguments arguments = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    struct tls_description *list = NULL;
    uint32_t count = 0;
    struct weft_error why = {0};
    if (tls_describe_file(arguments.file, &list, &count, &why) != WEFT_OK) {
        return certs_fail("show", &why);
    }
    bool ok = arguments.json ? show_json(list, count) : show_text(list, count);
    tls_descriptions_destroy(list, count);
    if (!ok) {
        fprintf(stderr, "weft certs show: the certificates could not be printed\n");
        return 1;
    }
    return certs_finish("show");
}

/* ---- weft certs ---- */

static const char certs_doc[] = "Make, show and judge the certificates of a cluster.\v"
                                "Commands (each has --help):\n"
                                "  ca     make a certificate authority\n"
                                "  node   make a node's certificate\n"
                                "  show   show the certificates of a PEM file\n"
                                "  verify say what a node would say to a chain\n"
                                "\n"
                                "Example, from nothing to a node that can encrypt:\n"
                                "  weft certs ca --cluster prod --out pki\n"
                                "  weft certs node n1 --ca pki --cluster prod --dc dc1 --rack r1 \\\n"
                                "      --address 10.0.0.1 --out pki\n"
                                "  weft certs show pki/n1.crt\n"
                                "\n"
                                "Exit codes: 0 done, 1 failed, 2 usage.";

static error_t certs_parse(int key, char *argument, struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is none of ca, node, show, verify", argument);
        return EINVAL;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which command: ca, node, show or verify?");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int cli_certs(int argc, char **argv)
{
    static const struct {
        const char *word;
        char name[24];
        int (*run)(int argc, char **argv);
    } commands[] = {
        {"ca", "weft certs ca", certs_ca},
        {"node", "weft certs node", certs_node},
        {"show", "weft certs show", certs_show},
        {"verify", "weft certs verify", certs_verify},
    };
    argp_err_exit_status = 2;
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].word) == 0) {
            char name[sizeof commands[i].name];
            memcpy(name, commands[i].name, sizeof name);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    static const struct argp argp = {.parser = certs_parse, .args_doc = "COMMAND [OPTION...]", .doc = certs_doc};
    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL) != 0) {
        return 2;
    }
    return 2;
}
