/* SPDX-License-Identifier: Apache-2.0 */
/* Values that go straight into the option of their key, as the key's type and bounds say.
 *
 * Happy path: read the value, compare it with the bounds, store it in the width of the option.
 *
 * Failure modes: a value outside of the bounds is an error that says the bound; nothing is stored then. */
#include <string.h>

#include "config/config_decoder.h"
#include "engine/base/assert.h"

/* An entry of nodes has options of its own. */
static uint8_t *store_place(struct config_decoder *decoder)
{
    const struct config_key *key = decoder->key;
    uint8_t *to =
        key->block == CONFIG_BLOCK_NODE ? (uint8_t *)&decoder->entry->peer : (uint8_t *)&decoder->config->options;
    WEFT_ASSERT(key->option_bytes > 0);
    return to + key->option;
}

static void store_unsigned(struct config_decoder *decoder, uint64_t number)
{
    uint8_t *to = store_place(decoder);
    uint16_t half = (uint16_t)number;
    uint32_t word = (uint32_t)number;
    switch (decoder->key->option_bytes) {
    case sizeof half:
        memcpy(to, &half, sizeof half);
        break;
    case sizeof word:
        memcpy(to, &word, sizeof word);
        break;
    default:
        WEFT_ASSERT(decoder->key->option_bytes == sizeof number);
        memcpy(to, &number, sizeof number);
        break;
    }
}

void decoder_store_text(struct config_decoder *decoder, const char *text)
{
    WEFT_ASSERT(decoder->key->option_bytes == sizeof text);
    memcpy(store_place(decoder), &text, sizeof text);
}

void decoder_store_bool(struct config_decoder *decoder, bool value)
{
    WEFT_ASSERT(decoder->key->option_bytes == sizeof value);
    memcpy(store_place(decoder), &value, sizeof value);
}

/* What a 0 is for the option, if it may be written at all. */
static bool store_zero(struct config_decoder *decoder)
{
    switch (decoder->key->zero) {
    case CONFIG_ZERO_DEFAULT:
        return true;
    case CONFIG_ZERO_OFF:
        store_unsigned(decoder, UINT32_MAX);
        return true;
    case CONFIG_ZERO_LEAST:
        store_unsigned(decoder, 1);
        return true;
    case CONFIG_ZERO_FORBIDDEN:
        break;
    }
    return false;
}

/* A size or a time, already read.  per: of the option's unit in the value's */
static void store_quantity(struct config_decoder *decoder, const struct yaml_node *value, uint64_t number, uint64_t per,
                           void (*print)(uint64_t, char[CONFIG_QUANTITY_BYTES]))
{
    const struct config_key *key = decoder->key;
    char bound[CONFIG_QUANTITY_BYTES];
    if (number == 0 && store_zero(decoder)) {
        return;
    }
    if (number < key->min) {
        print(key->min, bound);
        decoder_error(decoder, value, "\"%.64s\" is too %s; %s is the least", value->text,
                      key->type == CONFIG_TYPE_SIZE ? "small" : "short", bound);
    } else if (number > key->max) {
        print(key->max, bound);
        decoder_error(decoder, value, "\"%.64s\" is too %s; %s is the most", value->text,
                      key->type == CONFIG_TYPE_SIZE ? "large" : "long", bound);
    } else {
        store_unsigned(decoder, (number + per - 1) / per);
    }
}

static void store_size(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t bytes;
    if (decoder_size(decoder, value, &bytes)) {
        store_quantity(decoder, value, bytes, 1, config_scalar_print_size);
    }
}

static void store_time(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t ns;
    if (decoder_time(decoder, value, &ns)) {
        store_quantity(decoder, value, ns, decoder->key->unit_ns, config_scalar_print_time);
    }
}

static void store_word(struct config_decoder *decoder, const struct yaml_node *value)
{
    int word;
    if (decoder_word(decoder, value, &word)) {
        WEFT_ASSERT(decoder->key->option_bytes == sizeof word);
        memcpy(store_place(decoder), &word, sizeof word);
    }
}

static void store_number(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t number;
    if (decoder_number(decoder, value, &number)) {
        store_unsigned(decoder, number);
    }
}

static void store_bool(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool on = false;
    if (decoder_bool(decoder, value, &on)) {
        decoder_store_bool(decoder, on);
    }
}

static void store_name(struct config_decoder *decoder, const struct yaml_node *value)
{
    const char *text = decoder_name(decoder, value);
    if (text != NULL) {
        decoder_store_text(decoder, text);
    }
}

static void store_uuid(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    if (config_scalar_uuid(text, &why) != WEFT_OK) {
        decoder_error(decoder, value, "%s", why.text);
        return;
    }
    decoder_store_text(decoder, text);
}

void decoder_store(struct config_decoder *decoder, const struct yaml_node *value)
{
    switch (decoder->key->type) {
    case CONFIG_TYPE_NAME:
        store_name(decoder, value);
        break;
    case CONFIG_TYPE_UUID:
        store_uuid(decoder, value);
        break;
    case CONFIG_TYPE_BOOL:
        store_bool(decoder, value);
        break;
    case CONFIG_TYPE_NUMBER:
        store_number(decoder, value);
        break;
    case CONFIG_TYPE_SIZE:
        store_size(decoder, value);
        break;
    case CONFIG_TYPE_TIME:
        store_time(decoder, value);
        break;
    case CONFIG_TYPE_WORD:
        store_word(decoder, value);
        break;
    case CONFIG_TYPE_BLOCK:
    case CONFIG_TYPE_TEXT:
    case CONFIG_TYPE_ADDRESS:
    case CONFIG_TYPE_PATH:
        /* Rows of these types have a function of their own. */
        WEFT_ASSERT(decoder->key->decode != NULL);
    }
}
