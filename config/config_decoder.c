/* SPDX-License-Identifier: Apache-2.0 */
/* What the decoding of every block shares: faults with their places, blocks of keys, and values.
 *
 * Happy path: decoder_block walks a block and hands each value to what its key has in the table.
 *
 * Failure modes: a value of the wrong kind, out of range or not understood is one line of the report, and false or
 * NULL for the caller, which then goes on with the default. */
#include "config/config_decoder.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

static void fault_add(struct config_decoder *decoder, struct config_report_lines *to, const struct yaml_node *at,
                      const char *key, bool at_key, const char *format, va_list arguments)
{
    struct config_place place = {
        decoder->file, at_key ? at->key_line : at->line, at_key ? at->key_column : at->column, key, decoder->text,
        decoder->bytes};
    config_report_vadd(to, &place, format, arguments);
}

void decoder_error(struct config_decoder *decoder, const struct yaml_node *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault_add(decoder, &decoder->report->errors, at, at->key, false, format, arguments);
    va_end(arguments);
}

void decoder_error_as(struct config_decoder *decoder, const struct yaml_node *at, const char *key, const char *format,
                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault_add(decoder, &decoder->report->errors, at, key, false, format, arguments);
    va_end(arguments);
}

void decoder_warning(struct config_decoder *decoder, const struct yaml_node *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault_add(decoder, &decoder->report->warnings, at, at->key, false, format, arguments);
    va_end(arguments);
}

void decoder_warning_as(struct config_decoder *decoder, const struct yaml_node *at, const char *key, const char *format,
                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault_add(decoder, &decoder->report->warnings, at, key, false, format, arguments);
    va_end(arguments);
}

void decoder_key_error(struct config_decoder *decoder, const struct yaml_node *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault_add(decoder, &decoder->report->errors, at, at->key, true, format, arguments);
    va_end(arguments);
}

void decoder_key_warning(struct config_decoder *decoder, const struct yaml_node *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault_add(decoder, &decoder->report->warnings, at, at->key, true, format, arguments);
    va_end(arguments);
}

void decoder_member(struct config_decoder *decoder, const struct yaml_node *value, const struct config_key *key)
{
    decoder->key = key;
    (key->decode != NULL ? key->decode : decoder_store)(decoder, value);
}

void decoder_block(struct config_decoder *decoder, const struct yaml_node *mapping, enum config_block block)
{
    WEFT_ASSERT(mapping->kind == YAML_TREE_MAPPING);
    for (const struct yaml_node *value = mapping->first; value != NULL; value = value->next) {
        const struct config_key *key = config_schema_find(block, value->key);
        uint32_t distance;
        if (key != NULL) {
            decoder_member(decoder, value, key);
            continue;
        }
        key = config_schema_find(block == CONFIG_BLOCK_WEFT ? CONFIG_BLOCK_ENCRYPTION : CONFIG_BLOCK_WEFT, value->key);
        if (key != NULL) {
            decoder_key_error(decoder, value, "not a key of %s, but of %s; move it there", config_block_name(block),
                              config_block_name(key->block));
            continue;
        }
        key = config_schema_nearest(block, value->key, &distance);
        decoder_key_error(decoder, value, "not a key of %s; the nearest one is %s%s", config_block_name(block),
                          key->name, distance > strlen(value->key) / 2 ? ", and weft check --schema lists all" : "");
    }
}

/* Where the key has words, or bounds, they are the help. */
static void text_missing(struct config_decoder *decoder, const struct yaml_node *value)
{
    char range[CONFIG_KEY_RANGE_BYTES] = "";
    if (decoder->key != NULL) {
        config_key_range(decoder->key, range);
    }
    decoder_error(decoder, value, "is empty; write %.160s, or remove the key", range[0] != '\0' ? range : "a value");
}

const char *decoder_text(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (value->kind != YAML_TREE_SCALAR) {
        decoder_error(decoder, value, "is %s; write a single value", yaml_node_kind_name(value));
        return NULL;
    }
    if (value->bytes == 0) {
        text_missing(decoder, value);
        return NULL;
    }
    return value->text;
}

/* Hand on what a scalar's parser said. */
static bool value_fine(struct config_decoder *decoder, const struct yaml_node *value, enum weft_err err,
                       const struct weft_error *why)
{
    if (err != WEFT_OK) {
        decoder_error(decoder, value, "%s", why->text);
    }
    return err == WEFT_OK;
}

const char *decoder_name(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    if (text != NULL && yaml_node_is_null(value)) {
        decoder_error(decoder, value, "%s means nothing in YAML; write \"%s\" if that is the name, or remove the key",
                      text, text);
        return NULL;
    }
    if (text == NULL || !value_fine(decoder, value, config_scalar_name(text, &why), &why)) {
        return NULL;
    }
    return text;
}

bool decoder_bool(struct config_decoder *decoder, const struct yaml_node *value, bool *out)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    return text != NULL && value_fine(decoder, value, config_scalar_bool(out, text, &why), &why);
}

bool decoder_number(struct config_decoder *decoder, const struct yaml_node *value, uint64_t *out)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    return text != NULL &&
           value_fine(decoder, value, config_scalar_number(out, text, decoder->key->min, decoder->key->max, &why),
                      &why);
}

bool decoder_size(struct config_decoder *decoder, const struct yaml_node *value, uint64_t *bytes)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    return text != NULL && value_fine(decoder, value, config_scalar_size(bytes, text, &why), &why);
}

bool decoder_time(struct config_decoder *decoder, const struct yaml_node *value, uint64_t *ns)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    return text != NULL && value_fine(decoder, value, config_scalar_time(ns, text, &why), &why);
}

bool decoder_word(struct config_decoder *decoder, const struct yaml_node *value, int *out)
{
    const struct config_key *key = decoder->key;
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    return text != NULL &&
           value_fine(decoder, value, config_scalar_word(out, text, key->words, key->word_count, &why), &why);
}

/* A name that is meant as one: a resolver would read 10.1 as 10.0.0.1 and 0x7f000001 as 127.0.0.1, and ask the network
 * for 10.0.0.1;10.0.0.2 and for <IP>. */
static bool text_is_host_name(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    bool dotted = text[strspn(text, "0123456789.")] == '\0';
    bool hexadecimal = strncasecmp(text, "0x", 2) == 0 && text[strspn(text, "0123456789abcdefABCDEFxX.")] == '\0';
    return !dotted && !hexadecimal && text[strspn(text, letters)] == '\0';
}

static void name_remember(struct config_decoder *decoder, const char *text, const struct address *address)
{
    struct config_name *name = decoder_take(decoder, sizeof *name);
    if (name == NULL) {
        return;
    }
    *name = (struct config_name){decoder->config->names, decoder_arena_text(decoder, text), *address};
    if (name->name != NULL) {
        decoder->config->names = name;
    }
}

bool decoder_resolve(struct config_decoder *decoder, const char *text, struct address *out, struct weft_error *why)
{
    const struct config_surroundings *surroundings = decoder->surroundings;
    struct address with_port;
    if (address_parse(out, text, 0) == WEFT_OK) {
        if (!address_is_link_local(out) || out->scope != 0) {
            return true;
        }
        weft_error_set(why, WEFT_ERR_INVALID,
                       "\"%.64s\" is link-local, and each interface has such addresses; write the interface too, "
                       "such as %.64s%%eth0",
                       text, text);
        return false;
    }
    if (address_parse_with_port(&with_port, text) == WEFT_OK) {
        weft_error_set(why, WEFT_ERR_INVALID,
                       "\"%.64s\" has a port; write the address alone, ports have keys of "
                       "their own",
                       text);
        return false;
    }
    if (!text_is_host_name(text)) {
        weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" is neither an IP address nor a host name; write one of them",
                       text);
        return false;
    }
    if (surroundings->resolve(surroundings->ctx, text, out, why) != WEFT_OK) {
        return false;
    }
    name_remember(decoder, text, out);
    return true;
}

bool decoder_host(struct config_decoder *decoder, const struct yaml_node *value, struct address *out)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return false;
    }
    if (!decoder_resolve(decoder, text, out, &why)) {
        decoder_error(decoder, value, "%s", why.text);
        return false;
    }
    if (address_is_any(out) || address_is_group(out)) {
        decoder_error(decoder, value, "\"%.64s\" is no address of a single node; write the node's own", text);
        return false;
    }
    return true;
}

const char *decoder_address_text(struct config_decoder *decoder, const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES];
    address_print_ip(address, text);
    return decoder_arena_text(decoder, text);
}

const char *decoder_arena_text(struct config_decoder *decoder, const char *text)
{
    char *copy = config_arena_text(&decoder->config->arena, text, strlen(text));
    decoder->memory_out = decoder->memory_out || copy == NULL;
    return copy;
}

void *decoder_take(struct config_decoder *decoder, size_t bytes)
{
    void *piece = config_arena_take(&decoder->config->arena, bytes);
    decoder->memory_out = decoder->memory_out || piece == NULL;
    return piece;
}

const char *decoder_path(struct config_decoder *decoder, const char *name)
{
    const char *directory = decoder->surroundings->directory;
    if (name[0] == '/') {
        return name;
    }
    size_t bytes = strlen(directory) + 1 + strlen(name) + 1;
    char *path = decoder_take(decoder, bytes);
    if (path != NULL) {
        snprintf(path, bytes, "%s/%s", directory, name);
    }
    return path;
}

bool decoder_is_own_address(const struct config_decoder *decoder, const struct address *address)
{
    for (uint32_t i = 0; i < decoder->own_address_count; i++) {
        if (address_same_ip(&decoder->own_addresses[i], address)) {
            return true;
        }
    }
    return false;
}

void decoder_own_address_add(struct config_decoder *decoder, const struct address *address)
{
    if (address_is_any(address)) {
        return;
    }
    WEFT_ASSERT(decoder->own_address_count < DECODER_OWN_ADDRESSES_MAX);
    decoder->own_addresses[decoder->own_address_count++] = *address;
}
