/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file as the options of a node: the keys of the file's top level, and the order of everything.
 *
 * Happy path: read the file, make a tree, decode key by key, then check what depends on several keys.
 *
 * Failure modes: a file that cannot be read or is no YAML is one error; everything else is collected, so that one run
 * tells all that is wrong.  Keys that only Scylla needs are passed over; keys that nobody knows are one warning each.
 */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config_decoder.h"
#include "config/config_scylla_keys.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"

#define CLUSTER_NAME_DEFAULT "Test Cluster"
#define LISTEN_ADDRESS_DEFAULT "127.0.0.1"
#define STORAGE_PORT_DEFAULT 7000u
#define SSL_STORAGE_PORT_DEFAULT 7001u
/* An unknown key is told its neighbour only if it is nearly the same: files of other systems have hundreds. */
#define SUGGESTION_DISTANCE_MAX 2u

void decoder_endpoint_snitch(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->snitch = decoder_text(decoder, value) == NULL ? NULL : value;
}

void decoder_internode_compression(struct config_decoder *decoder, const struct yaml_node *value)
{
    int compression;
    if (decoder_word(decoder, value, &compression) && compression != 0) {
        decoder_warning(decoder, value, "\"%s\" is not applied yet; traffic is not compressed", value->text);
    }
}

void decoder_inter_dc_tcp_nodelay(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool nodelay = true;
    if (!yaml_node_is_null(value) && decoder_bool(decoder, value, &nodelay)) {
        decoder->config->options.tcp_delay = !nodelay;
    }
}

/* The block is there and empty: its keys lost their indentation. */
static bool block_is_empty(const struct yaml_node *root, const char *block)
{
    const struct yaml_node *value = yaml_node_member(root, block);
    return value != NULL && yaml_node_is_null(value);
}

static void root_unknown_key(struct config_decoder *decoder, const struct yaml_node *root,
                             const struct yaml_node *value)
{
    bool of_weft = config_schema_find(CONFIG_BLOCK_WEFT, value->key) != NULL;
    uint32_t distance;
    if (config_schema_find(CONFIG_BLOCK_ENCRYPTION, value->key) != NULL) {
        decoder_key_error(decoder, value, "stands outside of server_encryption_options; indent it below that key");
        return;
    }
    if (of_weft && block_is_empty(root, "weft")) {
        decoder_key_error(decoder, value, "stands outside of weft; indent it below that key");
        return;
    }
    if (config_scylla_key_known(value->key)) {
        return;
    }
    const struct config_key *nearest = config_schema_nearest(CONFIG_BLOCK_ROOT, value->key, &distance);
    if (of_weft) {
        decoder_key_warning(decoder, value, "is unknown here and has no effect; it belongs below weft");
    } else if (distance <= SUGGESTION_DISTANCE_MAX) {
        decoder_key_warning(decoder, value, "is unknown and has no effect; did you mean %s?", nearest->name);
    } else {
        decoder_key_warning(decoder, value, "is unknown and has no effect; remove it if it was meant for weft");
    }
}

static void decoder_root(struct config_decoder *decoder, const struct yaml_node *root)
{
    for (const struct yaml_node *value = root->first; value != NULL; value = value->next) {
        const struct config_key *key = config_schema_find(CONFIG_BLOCK_ROOT, value->key);
        if (key != NULL) {
            decoder_member(decoder, value, key);
        } else {
            root_unknown_key(decoder, root, value);
        }
    }
    if (yaml_node_member(root, "cluster_name") == NULL) {
        decoder_warning_as(decoder, root, "cluster_name", "is not set; \"%s\" is used", CLUSTER_NAME_DEFAULT);
    }
}

static void config_own_address_add(struct config *config, const struct address *address)
{
    if (!config_has_address(config, address)) {
        WEFT_ASSERT(config->own_address_count < CONFIG_OWN_ADDRESSES_MAX);
        config->own_addresses[config->own_address_count++] = *address;
    }
}

static void decoder_own_addresses_finish(struct config_decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->own_address_count; i++) {
        config_own_address_add(decoder->config, &decoder->own_addresses[i]);
    }
    const struct decoder_entry *own = decoder_own_entry(decoder);
    for (uint32_t i = 0; own != NULL && i < own->address_count; i++) {
        config_own_address_add(decoder->config, &own->addresses[i]);
    }
}

static enum weft_err decoder_run(struct config_decoder *decoder, const char *text, size_t bytes)
{
    const struct yaml_node *root;
    enum weft_err err = yaml_tree_parse(&root, &decoder->config->arena, decoder->file, text, bytes, decoder->report);
    if (root == NULL) {
        return err;
    }
    if (root->kind != YAML_TREE_MAPPING) {
        decoder_error(decoder, root, "is %s; write keys with values: KEY: VALUE, with a space behind the colon",
                      yaml_node_kind_name(root));
        return WEFT_ERR_CONFIG;
    }
    decoder->root = root;
    decoder->config->root = root;
    decoder->config->path = config_arena_text(&decoder->config->arena, decoder->file, strlen(decoder->file));
    decoder->memory_out = decoder->config->path == NULL;
    decoder_root(decoder, root);
    decoder_listen_finish(decoder);
    decoder_snitch_finish(decoder);
    decoder_peers_finish(decoder);
    decoder_location_finish(decoder);
    decoder_own_addresses_finish(decoder);
    decoder_encryption_finish(decoder);
    decoder_listen_check(decoder);
    if (decoder->memory_out) {
        return WEFT_ERR_NO_MEMORY;
    }
    return decoder->report->errors.count > 0 ? WEFT_ERR_CONFIG : WEFT_OK;
}

enum weft_err config_decode(struct config **config, const char *file, const char *text, size_t bytes,
                            const struct config_surroundings *surroundings, struct config_report *report)
{
    struct config *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return WEFT_ERR_NO_MEMORY;
    }
    made->options = (struct weft_node_options)WEFT_NODE_OPTIONS_INIT;
    made->state_line = 1;
    made->state_column = 1;
    made->state_fd = -1;
    struct config_decoder decoder = {
        .config = made, .report = report, .surroundings = surroundings, .file = file, .text = text, .bytes = bytes};
    enum weft_err err = decoder_run(&decoder, text, bytes);
    decoder_snitch_fini(&decoder);
    config_report_sort(&report->errors);
    config_report_sort(&report->warnings);
    if (err != WEFT_OK) {
        if (report->errors.count == 0) {
            struct config_place place = {.file = file, .line = 1, .column = 1, .key = "file"};
            config_report_add(&report->errors, &place, "%s", weft_err_meaning(err));
        }
        config_destroy(made);
        return err;
    }
    *config = made;
    return WEFT_OK;
}

void config_destroy(struct config *config)
{
    if (config != NULL) {
        if (config->state_fd >= 0) {
            close(config->state_fd);
        }
        config_arena_fini(&config->arena);
        free(config);
    }
}

const char *config_cluster_name(const struct config *config)
{
    return config->options.cluster_name != NULL ? config->options.cluster_name : CLUSTER_NAME_DEFAULT;
}

const char *config_listen_address(const struct config *config)
{
    return config->options.listen_address != NULL ? config->options.listen_address : LISTEN_ADDRESS_DEFAULT;
}

uint16_t config_storage_port(const struct config *config)
{
    return config->options.storage_port != 0 ? config->options.storage_port : STORAGE_PORT_DEFAULT;
}

uint16_t config_ssl_storage_port(const struct config *config)
{
    return config->options.ssl_storage_port != 0 ? config->options.ssl_storage_port : SSL_STORAGE_PORT_DEFAULT;
}

bool config_has_address(const struct config *config, const struct address *address)
{
    for (uint32_t i = 0; i < config->own_address_count; i++) {
        if (address_same_ip(&config->own_addresses[i], address)) {
            return true;
        }
    }
    return false;
}

const char *config_location_source_name(enum config_location_source source)
{
    switch (source) {
    case CONFIG_LOCATION_WEFT:
        return "weft: dc and rack";
    case CONFIG_LOCATION_NODES:
        return "the own entry of weft: nodes";
    case CONFIG_LOCATION_RACKDC:
        return "cassandra-rackdc.properties";
    case CONFIG_LOCATION_TOPOLOGY:
        return "cassandra-topology.properties";
    case CONFIG_LOCATION_ADDRESS:
        return "RackInferringSnitch, by the own address";
    case CONFIG_LOCATION_SNITCH:
        return "SimpleSnitch";
    case CONFIG_LOCATION_UNKNOWN:
        break;
    }
    return "nowhere";
}

uint32_t config_written(const struct config *config, const char *block, const char *key, const char **text)
{
    const struct yaml_node *mapping = block != NULL ? yaml_node_member(config->root, block) : config->root;
    const struct yaml_node *value =
        mapping != NULL && mapping->kind == YAML_TREE_MAPPING ? yaml_node_member(mapping, key) : NULL;
    if (value == NULL || yaml_node_is_null(value)) {
        return 0;
    }
    if (text != NULL) {
        *text = value->kind == YAML_TREE_SCALAR ? value->text : NULL;
    }
    return value->line;
}
