/* SPDX-License-Identifier: Apache-2.0 */
/* What a node says of its options, at the place of the file that gave them.
 *
 * Happy path: the text begins with the name of a key; that key's value is the place.
 *
 * Failure modes: a key that is not written has the place of its block, and a text that begins with no key the file's
 * first line. */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/config_schema.h"
#include "config/yaml_tree.h"

/* Names of keys end here in the text of an error. */
#define NAME_ENDS ": "

static const struct config_key *key_named(const char *name)
{
    static const enum config_block blocks[] = {CONFIG_BLOCK_WEFT, CONFIG_BLOCK_ENCRYPTION, CONFIG_BLOCK_ROOT};
    const struct config_key *key = NULL;
    for (uint32_t i = 0; key == NULL && i < sizeof blocks / sizeof blocks[0]; i++) {
        key = config_schema_find(blocks[i], name);
    }
    return key;
}

/* The value of the key, or its block; NULL: neither is written. */
static const struct yaml_node *key_place(const struct config *config, const struct config_key *key)
{
    if (key->block == CONFIG_BLOCK_ROOT) {
        return yaml_node_member(config->root, key->name);
    }
    const struct yaml_node *block = yaml_node_member(config->root, config_block_name(key->block));
    const struct yaml_node *value = block != NULL ? yaml_node_member(block, key->name) : NULL;
    if (value == NULL && block != NULL && strcmp(key->name, "certificate_revocation_list") == 0) {
        value = yaml_node_member(block, "certficate_revocation_list"); /* the historic spelling */
    }
    return value != NULL ? value : block;
}

/* Where in the file the key stands that a text begins with.  @return the text behind the key */
static const char *node_line_place(const struct config *config, const char *text, struct config_place *place)
{
    char name[CONFIG_KEY_PATH_BYTES];
    size_t name_bytes = strcspn(text, NAME_ENDS);
    *place = (struct config_place){
        .file = config->path, .line = 1, .column = 1, .key = "file", .text = config->text, .bytes = config->text_bytes};
    snprintf(name, sizeof name, "%.*s", (int)name_bytes, text);
    const struct config_key *key = key_named(name);
    if (key == NULL) {
        return text;
    }
    const struct yaml_node *at = key_place(config, key);
    place->key = key->name;
    place->line = at != NULL ? at->line : 1;
    place->column = at != NULL ? at->column : 1;
    return text + name_bytes + strspn(text + name_bytes, NAME_ENDS);
}

void config_report_node_error(const struct config *config, const struct weft_error *why, struct config_report *report)
{
    struct config_place place;
    const char *what = node_line_place(config, why->text, &place);
    config_report_add(&report->errors, &place, "%s", what);
}

void config_report_node_warning(const struct config *config, const char *text, uint32_t told,
                                struct config_report *report)
{
    struct config_place place;
    char before[WEFT_ERROR_TEXT_BYTES];
    const char *what = node_line_place(config, text, &place);
    snprintf(before, sizeof before, "%s:%u:%u: %s: ", place.file, place.line, place.column, place.key);
    for (uint32_t i = 0; i < told; i++) {
        if (strncmp(report->warnings.lines[i], before, strlen(before)) == 0) {
            return;
        }
    }
    config_report_add(&report->warnings, &place, "%s", what);
}
