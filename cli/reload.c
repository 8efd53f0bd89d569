/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_schema.h"

#define LINE_BYTES 512u

static void reload_say(const struct reload *reload, char level, const char *what, const char *detail)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "reload: %.240s%.240s", what, detail);
    log_stream_line(reload->log, level, line);
}

/* What a configuration says for a key; where it says nothing, the default. */
static const char *key_value(const struct config *config, const struct config_key *key,
                             char text[CONFIG_QUANTITY_BYTES])
{
    const char *block = key->block == CONFIG_BLOCK_ROOT ? NULL : config_block_name(key->block);
    const char *value = config_key_value(key, &config->options, text);
    if (value == NULL) {
        (void)config_written(config, block, key->name, &value);
    }
    return value != NULL ? value : key->standard;
}

/* One value, and read at the start alone. */
static bool key_is_fixed(const struct config_key *key)
{
    bool of_the_node =
        key->block == CONFIG_BLOCK_ROOT || key->block == CONFIG_BLOCK_WEFT || key->block == CONFIG_BLOCK_ENCRYPTION;
    return of_the_node && !key->reloadable && key->type != CONFIG_TYPE_BLOCK;
}

static bool same_spiffe_ids(const struct weft_node_options *a, const struct weft_node_options *b)
{
    bool same = a->spiffe_id_count == b->spiffe_id_count;
    for (uint32_t i = 0; same && i < a->spiffe_id_count; i++) {
        same = strcmp(a->spiffe_ids[i], b->spiffe_ids[i]) == 0;
    }
    return same;
}

/* What is written otherwise than when the node was started, and stays as it was. */
static void reload_tell_rest(const struct reload *reload, const struct config *fresh)
{
    for (uint32_t i = 0; i < config_schema_count(); i++) {
        const struct config_key *key = config_schema_at(i);
        char then[CONFIG_QUANTITY_BYTES];
        char now[CONFIG_QUANTITY_BYTES];
        char path[CONFIG_KEY_PATH_BYTES];
        char line[LINE_BYTES];
        bool remembered = strcmp(key->name, "node_id") == 0 && fresh->options.node_id == NULL;
        if (!key_is_fixed(key) || remembered) {
            continue;
        }
        const char *before = key_value(reload->started, key, then);
        const char *after = key_value(fresh, key, now);
        if (strcmp(before, after) != 0) {
            config_key_path(key, path);
            snprintf(line, sizeof line, "%s: \"%.100s\" in place of \"%.100s\" takes a restart of this node", path,
                     after, before);
            reload_say(reload, 'W', line, "");
        }
    }
    if (!same_spiffe_ids(&reload->started->options, &fresh->options)) {
        reload_say(reload, 'W', "weft.spiffe_ids: other ones take a restart of this node", "");
    }
}

static struct config *reload_read(const struct reload *reload)
{
    struct config *fresh = NULL;
    struct config_report *report = calloc(1, sizeof *report);
    enum weft_err err = report != NULL ? config_load(&fresh, reload->file, report) : WEFT_ERR_NO_MEMORY;
    for (uint32_t i = 0; report != NULL && i < config_report_kept(&report->errors); i++) {
        reload_say(reload, 'E', report->errors.lines[i], "");
    }
    for (uint32_t i = 0; report != NULL && i < config_report_kept(&report->warnings); i++) {
        reload_say(reload, 'W', report->warnings.lines[i], "");
    }
    free(report);
    if (err != WEFT_OK) {
        reload_say(reload, 'E', "nothing is changed: ", weft_err_meaning(err));
    }
    return fresh;
}

const struct weft_node_options *reload_options(const struct reload *reload)
{
    return reload->applied != NULL ? &reload->applied->options : &reload->started->options;
}

void reload_credentials(weft_node *node, const struct weft_node_options *options)
{
    enum weft_err err = weft_node_credentials_reload(node, options, NULL);
    (void)err; /* the node's log and counters say what came of it */
}

/* The scope of the file, if the node can have it; else the file's options say the one that stays. */
static void reload_scope(const struct reload *reload, struct config *fresh)
{
    enum weft_encryption before = weft_node_encryption(reload->node);
    enum weft_encryption wanted = fresh->options.encryption;
    struct weft_error why = {0};
    if (wanted == before) {
        return;
    }
    if (weft_node_encryption_set(reload->node, wanted, &why) != WEFT_OK) {
        char line[LINE_BYTES];
        fresh->options.encryption = before;
        snprintf(line, sizeof line, "the scope stays %s: ", weft_encryption_name(before));
        reload_say(reload, 'E', line, why.text);
    }
}

bool reload_run(struct reload *reload)
{
    struct weft_error why = {0};
    struct weft_topology topology = WEFT_TOPOLOGY_INIT;
    reload_say(reload, 'I', "reading ", reload->file);
    struct config *fresh = reload_read(reload);
    if (fresh == NULL) {
        return false;
    }
    topology.dc = fresh->options.dc;
    topology.rack = fresh->options.rack;
    topology.peers = fresh->options.peers;
    topology.peer_count = fresh->options.peer_count;
    if (weft_node_topology_apply(reload->node, &topology, NULL, 0, &why) != WEFT_OK) {
        reload_say(reload, 'E', "nothing is changed: ", why.text);
        config_destroy(fresh);
        return false;
    }
    if (reload->started->options.tls.certificate != NULL) {
        reload_credentials(reload->node, &fresh->options);
    } else if (fresh->options.tls.certificate != NULL) {
        reload_say(reload, 'W', "server_encryption_options.certificate: ", "TLS takes a restart of this node");
    }
    reload_scope(reload, fresh);
    reload_tell_rest(reload, fresh);
    reload->before = reload->applied;
    reload->applied = fresh;
    return true;
}

void reload_forget(struct reload *reload)
{
    config_destroy(reload->before);
    reload->before = NULL;
}

void reload_fini(struct reload *reload)
{
    reload_forget(reload);
    config_destroy(reload->applied);
}
