/* SPDX-License-Identifier: Apache-2.0 */
/* The node itself has been asked before whether all of it fits: what cannot be read now has changed since, and is left
 * out. */
#include "cli/check_tls.h"

#include <stdio.h>

#include "tls/context.h"
#include "tls/crypto.h"
#include "tls/describe.h"

#define LINE_BYTES 1024u

static void check_tls_crypto(const struct config *config, char text[TLS_CRYPTO_TEXT_BYTES])
{
    enum weft_crypto used;
    text[0] = '\0';
    if (tls_crypto_describe(config->options.crypto, &used, text, NULL) != WEFT_OK) {
        text[0] = '\0';
    }
}

const char *check_tls_client_auth(const struct config *config)
{
    switch (config->options.tls.client_auth) {
    case WEFT_CLIENT_AUTH_OPTIONAL:
        return "optional";
    case WEFT_CLIENT_AUTH_REQUIRED:
        return "true";
    case WEFT_CLIENT_AUTH_NONE:
        break;
    }
    return "false";
}

/* The string was checked when the configuration was read. */
static void check_tls_suites(const struct config *config, enum tls_version version, char text[PRIORITY_LIST_BYTES])
{
    struct priority priority;
    text[0] = '\0';
    if (tls_context_priority(&priority, config->options.priority_string, NULL) == WEFT_OK) {
        (void)priority_suites_text(&priority, version, text, PRIORITY_LIST_BYTES);
    }
}

/* Whether a certificate has to name who shows it, and by what. */
static void check_tls_names(const struct weft_node_options *options)
{
    if (!options->require_endpoint_verification) {
        puts("  names        any certificate of the trust store will do (require_endpoint_verification)");
        return;
    }
    printf("  names        address, host name or id of the node%s", options->spiffe_id_count > 0 ? ", or" : "\n");
    for (uint32_t i = 0; i < options->spiffe_id_count; i++) {
        printf(" %s%s", options->spiffe_ids[i], i + 1 < options->spiffe_id_count ? "" : "\n");
    }
}

void check_tls_print(const struct config *config)
{
    char suites[PRIORITY_LIST_BYTES];
    const struct weft_tls_options *tls = &config->options.tls;
    struct tls_description *chain = NULL;
    uint32_t count = 0;
    char aes[TLS_CRYPTO_TEXT_BYTES];
    if (tls->certificate == NULL) {
        return;
    }
    check_tls_crypto(config, aes);
    printf("  certificate  %s\n", tls->certificate);
    if (tls_describe_file(tls->certificate, &chain, &count, NULL) == WEFT_OK) {
        char line[LINE_BYTES];
        tls_description_print_line(&chain[0], line, sizeof line);
        printf("    leaf       %s\n", line);
        tls_descriptions_destroy(chain, count);
    }
    printf("  keyfile      %s\n", tls->keyfile);
    printf("  truststore   %s\n", tls->truststore == NULL ? "system" : tls->truststore);
    printf("  client auth  %s\n", check_tls_client_auth(config));
    check_tls_names(&config->options);
    if (config->options.priority_string != NULL) {
        printf("  priority     %s\n", config->options.priority_string);
    }
    check_tls_suites(config, TLS_VERSION_1_3, suites);
    printf("  suites       %s\n", suites);
    check_tls_suites(config, TLS_VERSION_1_2, suites);
    printf("    TLS 1.2    %s\n", suites);
    printf("  aes          %s\n", aes);
}

static json_t *leaf_json(const struct tls_description *leaf)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < leaf->name_count; i++) {
        json_array_append_new(names, json_sprintf("%s:%s", leaf->names[i].kind, leaf->names[i].value));
    }
    return json_pack("{s:s, s:s, s:o, s:s, s:i}", "subject", leaf->subject, "issuer", leaf->issuer, "names", names,
                     "not_after", leaf->not_after, "days_left", (int)leaf->days_left);
}

json_t *check_tls_json(const struct config *config)
{
    const struct weft_tls_options *tls = &config->options.tls;
    struct tls_description *chain = NULL;
    uint32_t count = 0;
    char aes[TLS_CRYPTO_TEXT_BYTES];
    char suites[PRIORITY_LIST_BYTES];
    char suites_1_2[PRIORITY_LIST_BYTES];
    if (tls->certificate == NULL) {
        return json_null();
    }
    check_tls_crypto(config, aes);
    check_tls_suites(config, TLS_VERSION_1_3, suites);
    check_tls_suites(config, TLS_VERSION_1_2, suites_1_2);
    bool read = tls_describe_file(tls->certificate, &chain, &count, NULL) == WEFT_OK;
    json_t *object = json_pack("{s:o, s:s, s:s, s:s}", "leaf", read ? leaf_json(&chain[0]) : json_null(), "suites",
                               suites, "suites_1_2", suites_1_2, "aes", aes);
    if (read) {
        tls_descriptions_destroy(chain, count);
    }
    return object;
}
