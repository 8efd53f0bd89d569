/* SPDX-License-Identifier: Apache-2.0 */
/* Command line of `weft certs verify`; the verdict is that of tls/, by the function that handshakes call.  What cannot
 * be read is refused as a peer's would be: cert_untrusted, and the text says which file. */
#include "cli/certs_verify.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weft/reason.h>

#include "tls/verify.h"

enum verify_key {
    KEY_TRUST = 't',
    KEY_CHAIN = 'c',
    KEY_CRL = 'r',
    KEY_PEER = 'p',
    KEY_JSON = 'j',
    KEY_TIME = 256,
    KEY_AS,
    KEY_STRICT
};

struct verify_arguments {
    struct tls_verify_files files;
    struct tls_verify_rules rules;
    bool client;
    bool json;
};

static const struct argp_option verify_options[] = {
    {"trust", KEY_TRUST, "FILE", 0, "Trust store: PEM certificates that are believed (default: the system's)", 0},
    {"chain", KEY_CHAIN, "FILE", 0, "What a peer shows: PEM certificates, its own first", 0},
    {"crl", KEY_CRL, "FILE", 0, "PEM revocation lists", 0},
    {"time", KEY_TIME, "T", 0, "Judge as of then: 2026-01-31T00:00:00Z, or seconds since 1970 (default: now)", 0},
    {"peer", KEY_PEER, "NAME|IP|URI", 0,
     "Whom the certificate must name: a host name, an address, weft://CLUSTER/DC/RACK/ID, or a pattern of SPIFFE ids",
     0},
    {"as", KEY_AS, "client|server", 0, "Which side shows it (default: server)", 0},
    {"strict", KEY_STRICT, NULL, 0, "Demand the strict form, as require_endpoint_verification does", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object, {\"verdict\": ..., \"detail\": ...}", 0},
    {0},
};

static const char verify_doc[] =
    "Say what a node would say to a peer's certificates, by the very function that its handshakes call.\v"
    "The verdict is ok or one of weft's reasons, such as cert_expired.\n"
    "\n"
    "Examples:\n"
    "  weft certs verify --trust pki/ca.crt --chain pki/n1.crt --peer 10.0.0.1\n"
    "  weft certs verify --trust pki/ca.crt --chain n2.crt --crl pki/ca.crl --as client --strict --json\n"
    "\n"
    "Exit codes: 0 accepted, 1 refused, 2 usage.";

/* The end of the year 9999, the last one that a certificate can name. */
#define SECONDS_MAX INT64_C(253402300799)

static void time_parse(const struct argp_state *state, const char *text, int64_t *time_s)
{
    struct tm parts = {0};
    char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    int day = parts.tm_mday;
    if (end != NULL && *end == '\0') {
        *time_s = timegm(&parts);
        end = parts.tm_mday == day ? end : NULL; /* a day that its month has not has become one of the next */
    }
    if (end != NULL && *end == '\0') {
        return;
    }
    long long seconds = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || seconds <= 0 || seconds > SECONDS_MAX) {
        argp_error(state, "--time: \"%s\" is neither like 2026-01-31T00:00:00Z nor seconds since 1970", text);
        return;
    }
    *time_s = seconds;
}

static error_t verify_parse(int key, char *text, struct argp_state *state)
{
    struct verify_arguments *arguments = state->input;
    struct weft_error why = {.code = WEFT_OK};
    switch (key) {
    case KEY_TRUST:
        arguments->files.truststore = text;
        return 0;
    case KEY_CHAIN:
        arguments->files.chain = text;
        return 0;
    case KEY_CRL:
        arguments->files.crl = text;
        return 0;
    case KEY_TIME:
        time_parse(state, text, &arguments->rules.time_s);
        return 0;
    case KEY_PEER:
        if (tls_verify_check_peer(text, &why) != WEFT_OK) {
            argp_error(state, "--peer: %s", why.text);
        }
        arguments->rules.peer = text;
        return 0;
    case KEY_AS:
        arguments->client = strcmp(text, "client") == 0;
        if (!arguments->client && strcmp(text, "server") != 0) {
            argp_error(state, "--as: \"%s\" is neither client nor server", text);
        }
        return 0;
    case KEY_STRICT:
        arguments->rules.strict = true;
        return 0;
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" belongs to no option; is --chain missing before it?", text);
        return EINVAL;
    case ARGP_KEY_END:
        if (arguments->files.chain == NULL) {
            argp_error(state, "--chain FILE is needed: what the peer shows");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool verdict_print(const struct tls_verdict *verdict, bool json)
{
    const char *word = verdict->reason == WEFT_REASON_NONE ? "ok" : weft_reason_name(verdict->reason);
    if (!json) {
        printf("%s%s%s\n", word, verdict->text[0] != '\0' ? ": " : "", verdict->text);
    } else {
        json_t *object = json_pack("{s:s, s:s}", "verdict", word, "detail", verdict->text);
        if (object == NULL || json_dumpf(object, stdout, JSON_PRESERVE_ORDER) != 0) {
            json_decref(object);
            return false;
        }
        json_decref(object);
        putchar('\n');
    }
    return fflush(stdout) == 0 && !ferror(stdout);
}

int certs_verify(int argc, char **argv)
{
    static const struct argp argp = {.options = verify_options, .parser = verify_parse, .doc = verify_doc};
    struct verify_arguments arguments = {0};
    struct tls_verdict verdict = {.reason = WEFT_REASON_NONE};
    struct weft_error why = {.code = WEFT_OK};
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    if (tls_verify_chain(&arguments.files, &arguments.rules, arguments.client, &verdict, &why) != WEFT_OK) {
        verdict.reason = WEFT_REASON_CERT_UNTRUSTED;
        snprintf(verdict.text, sizeof verdict.text, "%s", why.text);
    }
    if (!verdict_print(&verdict, arguments.json)) {
        fprintf(stderr, "weft certs verify: stdout cannot be written\n");
        return 1;
    }
    return verdict.reason == WEFT_REASON_NONE ? 0 : 1;
}
