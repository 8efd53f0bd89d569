/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes configurations: the input is the text of a scylla.yaml or weft.yaml.  No file is read and no name resolved.
 * Oracles: a configuration starts exactly if nothing was reported; every line of a report has a place and no control
 * character; what starts can be handed to a node: addresses are numeric, names fit, paths are absolute, TLS that is
 * needed has its files. */
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/config_schema.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "topology/cluster/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char file_name[] = "/fuzz/fuzz.yaml";

/* Names with an even number of letters exist. */
static enum weft_err fuzz_resolve(void *ctx, const char *name, struct address *address, struct weft_error *why)
{
    (void)ctx;
    if (strlen(name) % 2 == 0) {
        return address_parse(address, "10.9.8.7", 0);
    }
    return weft_error_set(why, WEFT_ERR_NOT_FOUND, "no such name");
}

static enum weft_err fuzz_check_file(void *ctx, const char *path, uint32_t *mode, struct weft_error *why)
{
    (void)ctx;
    WEFT_ASSERT(path[0] == '/');
    *mode = strlen(path) % 2 == 0 ? 0600 : 0644;
    if (strstr(path, "missing") != NULL) {
        return weft_error_set(why, WEFT_ERR_SYSTEM, "no such file");
    }
    return WEFT_OK;
}

/* Interfaces whose names end in 0 have an address. */
static enum weft_err fuzz_interface(void *ctx, const char *name, bool prefer_ipv6, struct address *address,
                                    struct weft_error *why)
{
    (void)ctx;
    if (name[strlen(name) - 1] == '0') {
        return address_parse(address, prefer_ipv6 ? "2001:db8::1" : "10.0.0.1", 0);
    }
    return weft_error_set(why, WEFT_ERR_NOT_FOUND, "no such interface");
}

/* Every file beside the configuration is what stands behind this mark, or else the input itself. */
static const uint8_t file_mark[] = {0xff, 0xff};

static enum weft_err fuzz_read_file(void *ctx, const char *path, char **text, size_t *bytes, struct weft_error *why)
{
    const struct weft_span *input = ctx;
    (void)path;
    if (input->bytes == 0) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND, "no such file");
    }
    char *copy = malloc(input->bytes + 1u);
    if (copy == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory");
    }
    memcpy(copy, input->data, input->bytes);
    *text = copy;
    *bytes = input->bytes;
    return WEFT_OK;
}

static void lines_check(const struct config_report_lines *lines)
{
    for (uint32_t i = 0; i < config_report_kept(lines); i++) {
        const char *line = lines->lines[i];
        WEFT_ASSERT(strnlen(line, WEFT_ERROR_TEXT_BYTES) < WEFT_ERROR_TEXT_BYTES);
        WEFT_ASSERT(strncmp(line, "/fuzz/", 6) == 0);
        for (const char *byte = line; *byte != '\0'; byte++) {
            WEFT_ASSERT(isprint((unsigned char)*byte));
        }
    }
}

static void name_check(const char *name)
{
    WEFT_ASSERT(name == NULL || (name[0] != '\0' && strlen(name) <= WEFT_NAME_BYTES_MAX));
}

static void address_check(const char *text)
{
    struct address address;
    WEFT_ASSERT(text == NULL || address_parse(&address, text, 1) == WEFT_OK);
}

static void options_check(const struct config *config)
{
    const struct weft_node_options *options = &config->options;
    name_check(options->cluster_name);
    name_check(options->dc);
    name_check(options->rack);
    WEFT_ASSERT(options->rack == NULL || options->dc != NULL);
    WEFT_ASSERT((options->dc == NULL) == (config->location_source == CONFIG_LOCATION_UNKNOWN));
    address_check(options->listen_address);
    address_check(options->dial_address);
    WEFT_ASSERT(options->peer_count <= WEFT_PEERS_MAX && config->listed_peer_count <= options->peer_count);
    for (uint32_t i = 0; i < options->peer_count; i++) {
        WEFT_ASSERT(options->peers[i].addresses[0] != NULL);
        WEFT_ASSERT(options->peers[i].rack == NULL || options->peers[i].dc != NULL);
        name_check(options->peers[i].dc);
        name_check(options->peers[i].rack);
        for (uint32_t j = 0; j < WEFT_PEER_ADDRESSES_MAX; j++) {
            address_check(options->peers[i].addresses[j]);
        }
    }
    bool tls = policy_has_tls_listener(options->encryption, options->tls.certificate_in_block);
    WEFT_ASSERT((options->tls.certificate == NULL) == (options->tls.keyfile == NULL));
    if (tls) {
        WEFT_ASSERT(options->tls.certificate != NULL && options->tls.certificate[0] == '/');
        WEFT_ASSERT(options->tls.keyfile[0] == '/');
    }
    if (tls && options->tls.client_auth == WEFT_CLIENT_AUTH_REQUIRED) {
        WEFT_ASSERT(options->tls.truststore != NULL);
    }
}

/* What an option holds can be written again, and the table says what may be. */
static void values_check(const struct config *config)
{
    for (uint32_t i = 0; i < config_schema_count(); i++) {
        const struct config_key *key = config_schema_at(i);
        char text[CONFIG_QUANTITY_BYTES];
        char range[CONFIG_KEY_RANGE_BYTES];
        char path[CONFIG_KEY_PATH_BYTES];
        const char *value = config_key_value(key, &config->options, text);
        config_key_range(key, range);
        config_key_path(key, path);
        WEFT_ASSERT(value == NULL || value[0] != '\0');
        WEFT_ASSERT(config_type_name(key->type)[0] != '\0');
        WEFT_ASSERT((key->unit_ns != 0) == (key->type == CONFIG_TYPE_TIME));
        WEFT_ASSERT((config_type_unit(key->type)[0] != '\0') ==
                    (key->type == CONFIG_TYPE_TIME || key->type == CONFIG_TYPE_SIZE));
    }
    WEFT_ASSERT(config_location_source_name(config->location_source)[0] != '\0');
    WEFT_ASSERT(config_written(config, NULL, "weft", NULL) == 0 || config->root != NULL);
    WEFT_ASSERT(config_cluster_name(config)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes > UINT32_MAX) {
        return 0;
    }
    const uint8_t *mark = memmem(data, bytes, file_mark, sizeof file_mark);
    size_t yaml_bytes = mark != NULL ? (size_t)(mark - data) : bytes;
    struct weft_span input = {data, (uint32_t)bytes};
    if (mark != NULL) {
        input = (struct weft_span){mark + sizeof file_mark, (uint32_t)(bytes - yaml_bytes - sizeof file_mark)};
    }
    const struct config_surroundings surroundings = {.ctx = &input,
                                                     .directory = "/fuzz",
                                                     .resolve = fuzz_resolve,
                                                     .interface_address = fuzz_interface,
                                                     .check_file = fuzz_check_file,
                                                     .read_file = fuzz_read_file};
    struct config *config = NULL;
    /* Cleared, and not made anew: that would be most of the time. */
    static struct config_report kept;
    struct config_report *report = &kept;
    memset(report, 0, sizeof *report);
    enum weft_err err = config_decode(&config, file_name, (const char *)data, yaml_bytes, &surroundings, report);
    WEFT_ASSERT((err == WEFT_OK) == (report->errors.count == 0));
    WEFT_ASSERT((err == WEFT_OK) == (config != NULL));
    lines_check(&report->errors);
    lines_check(&report->warnings);
    if (config != NULL) {
        options_check(config);
        values_check(config);
    }
    config_destroy(config);
    return 0;
}
