/* SPDX-License-Identifier: Apache-2.0 */
/* Looking keys up, and saying in words what the table says. */
#include "config/config_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/config_schema_table.h"
#include "engine/base/assert.h"
#include "engine/base/nearest.h"

uint32_t config_schema_count(void)
{
    return config_schema_table_count;
}

const struct config_key *config_schema_at(uint32_t index)
{
    return &config_schema_table[index];
}

const struct config_key *config_schema_find(enum config_block block, const char *name)
{
    for (uint32_t i = 0; i < config_schema_table_count; i++) {
        const struct config_key *key = &config_schema_table[i];
        if (key->block == block && strcmp(key->name, name) == 0) {
            return key;
        }
    }
    return NULL;
}

const struct config_key *config_schema_nearest(enum config_block block, const char *name, uint32_t *distance)
{
    const struct config_key *best = NULL;
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (uint32_t i = 0; i < config_schema_table_count; i++) {
        const struct config_key *key = &config_schema_table[i];
        if (key->block == block) {
            nearest_offer(&nearest, key->name);
            best = nearest.best == key->name ? key : best;
        }
    }
    *distance = nearest.distance;
    return best;
}

/* How keys of a block are written in a path, and what the block is called. */
static const struct {
    const char *prefix;
    const char *name;
} blocks[CONFIG_BLOCK_COUNT] = {
    [CONFIG_BLOCK_ROOT] = {"", "the file"},
    [CONFIG_BLOCK_SEED_PROVIDER] = {"seed_provider[].", "seed_provider"},
    [CONFIG_BLOCK_SEED_PARAMETERS] = {"seed_provider[].parameters[].", "the parameters of seed_provider"},
    [CONFIG_BLOCK_ENCRYPTION] = {"server_encryption_options.", "server_encryption_options"},
    [CONFIG_BLOCK_WEFT] = {"weft.", "weft"},
    [CONFIG_BLOCK_LANE] = {"weft.lanes[].", "an entry of lanes"},
    [CONFIG_BLOCK_NODE] = {"weft.nodes[].", "an entry of nodes"},
};

const char *config_block_name(enum config_block block)
{
    return blocks[block].name;
}

void config_key_path(const struct config_key *key, char path[CONFIG_KEY_PATH_BYTES])
{
    snprintf(path, CONFIG_KEY_PATH_BYTES, "%s%s", blocks[key->block].prefix, key->name);
}

static void quantities_range(const struct config_key *key, char range[CONFIG_KEY_RANGE_BYTES])
{
    char min[CONFIG_QUANTITY_BYTES];
    char max[CONFIG_QUANTITY_BYTES];
    void (*print)(uint64_t, char[CONFIG_QUANTITY_BYTES]) =
        key->type == CONFIG_TYPE_SIZE ? config_scalar_print_size : config_scalar_print_time;
    print(key->min, min);
    print(key->max, max);
    snprintf(range, CONFIG_KEY_RANGE_BYTES, "%s%s to %s%s", key->zero == CONFIG_ZERO_OFF ? "0 for no limit, or " : "",
             min, max, key->zero == CONFIG_ZERO_LEAST ? ", or 0" : "");
}

void config_key_range(const struct config_key *key, char range[CONFIG_KEY_RANGE_BYTES])
{
    range[0] = '\0';
    if (key->range != NULL) {
        snprintf(range, CONFIG_KEY_RANGE_BYTES, "%s", key->range);
    } else if (key->type == CONFIG_TYPE_NUMBER) {
        snprintf(range, CONFIG_KEY_RANGE_BYTES, "%" PRIu64 " to %" PRIu64, key->min, key->max);
    } else if (key->type == CONFIG_TYPE_SIZE || key->type == CONFIG_TYPE_TIME) {
        quantities_range(key, range);
    } else if (key->type == CONFIG_TYPE_WORD) {
        config_scalar_list_words(range, CONFIG_KEY_RANGE_BYTES, key->words, key->word_count);
    } else if (key->type == CONFIG_TYPE_BOOL) {
        snprintf(range, CONFIG_KEY_RANGE_BYTES, "true or false");
    }
}

static uint64_t option_number(const struct config_key *key, const uint8_t *from)
{
    uint16_t half;
    uint32_t word;
    uint64_t number;
    switch (key->option_bytes) {
    case sizeof half:
        memcpy(&half, from, sizeof half);
        return half;
    case sizeof word:
        memcpy(&word, from, sizeof word);
        return word;
    default:
        WEFT_ASSERT(key->option_bytes == sizeof number);
        memcpy(&number, from, sizeof number);
        return number;
    }
}

static const char *word_of(const struct config_key *key, uint64_t value)
{
    for (uint32_t i = 0; i < key->word_count; i++) {
        if ((uint64_t)key->words[i].value == value) {
            return key->words[i].text;
        }
    }
    return NULL;
}

/* A number, size, time or word that is not 0. */
static const char *number_text(const struct config_key *key, uint64_t number, char text[CONFIG_QUANTITY_BYTES])
{
    bool off = key->zero == CONFIG_ZERO_OFF && number == UINT32_MAX;
    if (key->type == CONFIG_TYPE_WORD) {
        return word_of(key, number);
    }
    if (off || key->type == CONFIG_TYPE_NUMBER) {
        snprintf(text, CONFIG_QUANTITY_BYTES, "%" PRIu64, off ? 0 : number);
    } else if (key->type == CONFIG_TYPE_SIZE) {
        config_scalar_print_size(number, text);
    } else {
        config_scalar_print_time(number * key->unit_ns, text);
    }
    return text;
}

const char *config_key_value(const struct config_key *key, const void *options, char text[CONFIG_QUANTITY_BYTES])
{
    const uint8_t *from = (const uint8_t *)options + key->option;
    const char *value = NULL;
    bool on;
    if (key->option_bytes == 0 || key->block == CONFIG_BLOCK_NODE) {
        return NULL;
    }
    switch (key->type) {
    case CONFIG_TYPE_BOOL:
        memcpy(&on, from, sizeof on);
        return on ? "true" : NULL;
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_SIZE:
    case CONFIG_TYPE_TIME:
    case CONFIG_TYPE_WORD:
        return option_number(key, from) == 0 ? NULL : number_text(key, option_number(key, from), text);
    case CONFIG_TYPE_NAME:
    case CONFIG_TYPE_TEXT:
    case CONFIG_TYPE_ADDRESS:
    case CONFIG_TYPE_UUID:
    case CONFIG_TYPE_PATH:
    case CONFIG_TYPE_BLOCK:
        break;
    }
    WEFT_ASSERT(key->option_bytes == sizeof value);
    memcpy(&value, from, sizeof value);
    return value;
}

const char *config_type_name(enum config_type type)
{
    switch (type) {
    case CONFIG_TYPE_BLOCK:
        return "block";
    case CONFIG_TYPE_NAME:
        return "name";
    case CONFIG_TYPE_TEXT:
        return "text";
    case CONFIG_TYPE_ADDRESS:
        return "address";
    case CONFIG_TYPE_UUID:
        return "UUID";
    case CONFIG_TYPE_PATH:
        return "path";
    case CONFIG_TYPE_BOOL:
        return "boolean";
    case CONFIG_TYPE_NUMBER:
        return "number";
    case CONFIG_TYPE_SIZE:
        return "size";
    case CONFIG_TYPE_TIME:
        return "time";
    case CONFIG_TYPE_WORD:
        break;
    }
    return "word";
}

const char *config_type_unit(enum config_type type)
{
    if (type == CONFIG_TYPE_SIZE) {
        return "B, KiB, MiB, GiB";
    }
    return type == CONFIG_TYPE_TIME ? "ns, us, ms, s, m, h" : "";
}
