/* SPDX-License-Identifier: Apache-2.0 */
/* The block weft: what a scylla.yaml has no key for.
 *
 * Happy path: every key is optional; a missing block is the defaults.  Here are the keys whose values are more than
 * their type and bounds say.
 *
 * Failure modes: unknown keys are errors here, since nobody else owns them. */
#include <string.h>

#include "config/config_decoder.h"
#include "engine/base/error.h"

/* TCP_CA_NAME_MAX, without its NUL. */
#define CONGESTION_BYTES_MAX 15u

void decoder_weft_dc(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->dc = decoder_name(decoder, value) != NULL ? value : NULL;
}

void decoder_weft_rack(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->rack = decoder_name(decoder, value) != NULL ? value : NULL;
}

void decoder_dial_address(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct address address;
    if (decoder_host(decoder, value, &address)) {
        decoder->config->options.dial_address = decoder_address_text(decoder, &address);
        decoder_own_address_add(decoder, &address);
    }
}

void decoder_require_hello(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool always = false;
    const char *text = decoder_text(decoder, value);
    if (text == NULL || strcmp(text, "auto") == 0) {
        return;
    }
    if (config_scalar_bool(&always, text, NULL) != WEFT_OK) {
        decoder_error(decoder, value, "\"%.64s\" is not one of auto, true or false", text);
        return;
    }
    decoder->config->options.require_hello = always ? WEFT_REQUIRE_HELLO_ALWAYS : WEFT_REQUIRE_HELLO_NEVER;
}

void decoder_shards(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    if (config_scalar_shards(text, &why) != WEFT_OK) {
        decoder_error(decoder, value, "%s", why.text);
        return;
    }
    decoder->config->options.shards = text;
}

void decoder_tcp_congestion(struct config_decoder *decoder, const struct yaml_node *value)
{
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    size_t bytes = strlen(text);
    if (bytes > CONGESTION_BYTES_MAX ||
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != bytes) {
        decoder_error(decoder, value, "\"%.64s\" is no name of a congestion control; write one such as cubic", text);
        return;
    }
    decoder->config->options.tcp_congestion = text;
}

void decoder_backend(struct config_decoder *decoder, const struct yaml_node *value)
{
    int backend;
    if (decoder_word(decoder, value, &backend)) {
        decoder->config->options.backend = value->text;
    }
}

void decoder_client_auth_plaintext(struct config_decoder *decoder, const struct yaml_node *value)
{
    int refuse;
    if (decoder_word(decoder, value, &refuse)) {
        decoder->client_auth_plaintext_refused = refuse == 1;
    }
}

void decoder_keyfile_password(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->keyfile_password = decoder_written_path(decoder, value) != NULL ? value : NULL;
}

void decoder_state_directory(struct config_decoder *decoder, const struct yaml_node *value)
{
    const char *path = decoder_written_path(decoder, value);
    if (path != NULL) {
        decoder->config->state_directory = decoder_path(decoder, path);
        decoder->config->state_line = value->line;
        decoder->config->state_column = value->column;
    }
}

void decoder_weft(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (yaml_node_is_null(value)) {
        return;
    }
    if (value->kind != YAML_TREE_MAPPING) {
        decoder_error(decoder, value, "is %s; indent its keys below it", yaml_node_kind_name(value));
        return;
    }
    decoder_block(decoder, value, CONFIG_BLOCK_WEFT);
}
