/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys is walked; a value is what the key's option holds, else what the file says, else the default. */
#include "cli/check_effective.h"

#include <stdio.h>
#include <string.h>

#include "cli/name_text.h"
#include "config/config_schema.h"

#define SOURCE_BYTES 64u

/* The block's key at the top level; NULL: the top level itself. */
static const char *block_of(const struct config_key *key)
{
    return key->block == CONFIG_BLOCK_ROOT ? NULL : config_block_name(key->block);
}

static const char *key_value(const struct config *config, const struct config_key *key, uint32_t line,
                             char text[CONFIG_QUANTITY_BYTES])
{
    const char *value = config_key_value(key, &config->options, text);
    if (value != NULL) {
        return value;
    }
    if (line != 0) {
        (void)config_written(config, block_of(key), key->name, &value);
        return value != NULL ? value : "a list";
    }
    return strcmp(key->standard, "none") != 0 || key->type == CONFIG_TYPE_WORD ? key->standard : NULL;
}

/* Who says so; "default" for nobody. */
static void key_source(const struct config *config, const struct config_key *key, uint32_t line,
                       char text[SOURCE_BYTES])
{
    bool place = key->block == CONFIG_BLOCK_WEFT && (strcmp(key->name, "dc") == 0 || strcmp(key->name, "rack") == 0);
    if (line != 0) {
        snprintf(text, SOURCE_BYTES, "line %u", line);
    } else if (place && config->options.dc != NULL) {
        snprintf(text, SOURCE_BYTES, "%s", config_location_source_name(config->location_source));
    } else {
        snprintf(text, SOURCE_BYTES, "default");
    }
}

/* Of the blocks at the top level each key is shown, in place of the block; of lists the list. */
static bool key_is_shown(const struct config_key *key)
{
    if (key->block == CONFIG_BLOCK_ROOT) {
        return strcmp(key->name, config_block_name(CONFIG_BLOCK_ENCRYPTION)) != 0 &&
               strcmp(key->name, config_block_name(CONFIG_BLOCK_WEFT)) != 0;
    }
    return key->block == CONFIG_BLOCK_ENCRYPTION || key->block == CONFIG_BLOCK_WEFT;
}

typedef void key_fn(void *ctx, const char *path, const char *value, uint32_t line, const char *source);

static void keys_visit(const struct config *config, key_fn *fn, void *ctx)
{
    for (uint32_t i = 0; i < config_schema_count(); i++) {
        const struct config_key *key = config_schema_at(i);
        char text[CONFIG_QUANTITY_BYTES];
        char path[CONFIG_KEY_PATH_BYTES];
        char source[SOURCE_BYTES];
        if (!key_is_shown(key)) {
            continue;
        }
        uint32_t line = config_written(config, block_of(key), key->name, NULL);
        config_key_path(key, path);
        key_source(config, key, line, source);
        fn(ctx, path, key_value(config, key, line, text), line, source);
    }
}

static void key_print(void *ctx, const char *path, const char *value, uint32_t line, const char *source)
{
    (void)ctx;
    (void)line;
    printf("    %-48s ", path);
    if (value != NULL) {
        name_text_print(value);
    } else {
        putchar('-');
    }
    printf("  (%s)\n", source);
}

void check_effective_print(const struct config *config)
{
    puts("  effective    every key, its value, and where that comes from:");
    keys_visit(config, key_print, NULL);
}

static void key_add(void *ctx, const char *path, const char *value, uint32_t line, const char *source)
{
    json_array_append_new(ctx, json_pack("{s:s, s:o, s:o, s:s}", "key", path, "value", name_text_json(value), "line",
                                         line != 0 ? json_integer(line) : json_null(), "from", source));
}

json_t *check_effective_json(const struct config *config)
{
    json_t *array = json_array();
    keys_visit(config, key_add, array);
    return array;
}
