/* SPDX-License-Identifier: Apache-2.0 */
/* `weft ciphers`: the versions, suites, groups and signature algorithms that a priority string stands for, in the order
 * of preference, and what of it weft has not; without a string, weft's own.  Asks what a node asks. */
#include "cli/ciphers.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>

#include "tls/aes.h"
#include "tls/context.h"

enum ciphers_key { KEY_JSON = 'j' };

struct ciphers_arguments {
    const char *priority_string; /* NULL: weft's own */
    bool json;
};

static const struct argp_option ciphers_options[] = {
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 0},
    {0},
};

static error_t ciphers_parse(int key, char *argument, struct argp_state *state)
{
    struct ciphers_arguments *arguments = state->input;
    switch (key) {
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->priority_string != NULL) {
            argp_error(state, "\"%s\" is too much: a priority string is one word, with ':' between its parts",
                       argument);
            return EINVAL;
        }
        arguments->priority_string = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char *version_name(enum tls_version version)
{
    return version == TLS_VERSION_1_2 ? "TLSv1.2" : "TLSv1.3";
}

static void ciphers_print(const struct priority *priority, const char *priority_string)
{
    if (priority_string == NULL) {
        printf("default     %s, because this CPU has %s\n", priority_default_text(tls_aes_is_fast()),
               tls_aes_is_fast() ? "instructions for AES" : "no instructions for AES");
    }
    for (uint32_t i = 0; i < priority->version_count; i++) {
        printf("%-11s %s\n", i == 0 ? "versions" : "", version_name(priority->versions[i]));
    }
    for (uint32_t i = 0; i < priority->suite_count; i++) {
        const struct priority_suite *suite = priority->suites[i];
        printf("%-11s 0x%02x,0x%02x  %s\n", i == 0 ? "suites" : "", suite->id[0], suite->id[1], suite->name);
    }
    for (uint32_t i = 0; i < priority->group_count; i++) {
        printf("%-11s %s\n", i == 0 ? "groups" : "", priority->groups[i]->name);
    }
    for (uint32_t i = 0; i < priority->signature_count; i++) {
        printf("%-11s %s\n", i == 0 ? "signatures" : "", priority->signatures[i]->name);
    }
    for (uint32_t i = 0; i < priority->dropped_count; i++) {
        printf("%-11s %s\n", i == 0 ? "dropped" : "", priority->dropped[i]);
    }
}

static json_t *suites_json(const struct priority *priority)
{
    json_t *suites = json_array();
    for (uint32_t i = 0; i < priority->suite_count; i++) {
        const struct priority_suite *suite = priority->suites[i];
        json_array_append_new(suites, json_pack("{s:s, s:o}", "name", suite->name, "id",
                                                json_sprintf("0x%02x,0x%02x", suite->id[0], suite->id[1])));
    }
    return suites;
}

static bool ciphers_print_json(const struct priority *priority)
{
    json_t *versions = json_array();
    json_t *groups = json_array();
    json_t *signatures = json_array();
    json_t *dropped = json_array();
    bool ok = true;
    for (uint32_t i = 0; i < priority->version_count; i++) {
        ok = json_array_append_new(versions, json_string(version_name(priority->versions[i]))) == 0 && ok;
    }
    for (uint32_t i = 0; i < priority->group_count; i++) {
        ok = json_array_append_new(groups, json_string(priority->groups[i]->name)) == 0 && ok;
    }
    for (uint32_t i = 0; i < priority->signature_count; i++) {
        ok = json_array_append_new(signatures, json_string(priority->signatures[i]->name)) == 0 && ok;
    }
    for (uint32_t i = 0; i < priority->dropped_count; i++) {
        ok = json_array_append_new(dropped, json_string(priority->dropped[i])) == 0 && ok;
    }
    json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:o}", "versions", versions, "suites", suites_json(priority),
                               "groups", groups, "signatures", signatures, "dropped", dropped);
    ok = ok && object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(object);
    putchar('\n');
    return ok;
}

int cli_ciphers(int argc, char **argv)
{
    static const struct argp argp = {
        .options = ciphers_options,
        .parser = ciphers_parse,
        .args_doc = "[STRING]",
        .doc =
            "Show what a GnuTLS priority string means for weft: versions, cipher suites, groups and signature "
            "algorithms, the preferred ones first, and under \"dropped\" what its keywords contain and weft has not. "
            "Without STRING: what weft does by default. server_encryption_options: priority_string takes the same."
            "\v"
            "A string begins with a keyword and goes on with changes, ':' between them:\n"
            "  NORMAL                                       what GnuTLS takes by default\n"
            "  SECURE256:%SERVER_PRECEDENCE                 256 bits; the acceptor's order decides\n"
            "  NORMAL:-VERS-ALL:+VERS-TLS1.3                TLS 1.3 only\n"
            "  PFS:-MAC-ALL:+AEAD                           forward secrecy, no CBC\n"
            "  SECURE128:-GROUP-ALL:+GROUP-X25519           one group\n"
            "Keywords: NORMAL, PERFORMANCE, PFS, SECURE128, SECURE192, SECURE256, SUITEB128, SUITEB192, LEGACY, NONE. "
            "+NAME adds behind what is there, -NAME and !NAME remove; CIPHER-ALL, KX-ALL, MAC-ALL, GROUP-ALL, SIGN-ALL "
            "and VERS-ALL stand for many. A string that begins with '-' comes behind \"--\".\n"
            "\n"
            "Exit codes: 0 printed, 1 the string is refused, 2 usage.",
    };
    struct ciphers_arguments arguments = {0};
    struct priority priority;
    struct weft_error why = {.code = WEFT_OK};
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    if (tls_context_priority(&priority, arguments.priority_string, &why) != WEFT_OK) {
        fprintf(stderr, "weft ciphers: %s\n", why.text);
        return 1;
    }
    bool ok = true;
    if (arguments.json) {
        ok = ciphers_print_json(&priority);
    } else {
        ciphers_print(&priority, arguments.priority_string);
    }
    if (!ok || fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "weft ciphers: could not write to stdout\n");
        return 1;
    }
    return 0;
}
