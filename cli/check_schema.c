/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_schema.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "config/config_schema.h"

/* The key itself, or one of the block that it is. */
static bool path_covers(const char *wanted, const char *path)
{
    size_t bytes = wanted == NULL ? 0 : strlen(wanted);
    if (wanted == NULL) {
        return true;
    }
    return strncmp(path, wanted, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '.' || path[bytes] == '[');
}

static void key_print(const struct config_key *key, const char *path)
{
    char range[CONFIG_KEY_RANGE_BYTES];
    config_key_range(key, range);
    printf("%s\n    %s\n    %s%s%s; default: %s; %s\n", path, key->text, config_type_name(key->type),
           range[0] != '\0' ? ": " : "", range, key->standard,
           key->reloadable ? "read again while the node runs" : "read at the start");
}

static json_t *key_json(const struct config_key *key, const char *path)
{
    char range[CONFIG_KEY_RANGE_BYTES];
    config_key_range(key, range);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "path", path, "type", config_type_name(key->type), "unit",
                     config_type_unit(key->type), "default", key->standard, "range", range, "reloadable",
                     key->reloadable ? 1 : 0, "text", key->text);
}

bool check_schema_print(const char *path, bool json)
{
    json_t *keys = json_array();
    size_t found = 0;
    for (uint32_t i = 0; i < config_schema_count(); i++) {
        char own[CONFIG_KEY_PATH_BYTES];
        config_key_path(config_schema_at(i), own);
        if (!path_covers(path, own)) {
            continue;
        }
        found++;
        if (json) {
            json_array_append_new(keys, key_json(config_schema_at(i), own));
        } else {
            key_print(config_schema_at(i), own);
        }
    }
    bool complete = !json || json_array_size(keys) == found;
    if (json && found > 0 && complete) {
        json_t *object = json_pack("{s:O}", "keys", keys);
        complete = object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
        json_decref(object);
        putchar('\n');
    }
    json_decref(keys);
    return found > 0 && complete;
}
