/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of this machine: read at the start, and read again when something beside them is different.
 *
 * Happy path: the text is read and decoded; the configuration keeps it, so that it can be decoded again whatever became
 * of the file.
 *
 * Failure modes: a file that cannot be read is one error.  When decoding again, a name that cannot be resolved has the
 * address that it had: a name server that is away for a while must not cost a node its peers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/config_machine.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"

struct again {
    struct resolver *resolver;
    const struct config *loaded; /* NULL: the first time */
    uint32_t failed;
};

static const struct config_name *name_find(const struct config *config, const char *name)
{
    const struct config_name *found = config->names;
    while (found != NULL && strcmp(found->name, name) != 0) {
        found = found->next;
    }
    return found;
}

static enum weft_err again_resolve(void *ctx, const char *name, struct address *address, struct weft_error *why)
{
    struct again *again = ctx;
    enum weft_err err = config_machine_resolve(again->resolver, name, address, why);
    if (err == WEFT_OK) {
        return WEFT_OK;
    }
    again->failed++;
    const struct config_name *before = again->loaded == NULL ? NULL : name_find(again->loaded, name);
    if (before == NULL) {
        return err;
    }
    *address = before->address;
    *why = (struct weft_error){0};
    return WEFT_OK;
}

static bool config_keep(struct config *config, const char *directory, const char *text, size_t bytes)
{
    config->directory = config_arena_text(&config->arena, directory, strlen(directory));
    config->text = config_arena_text(&config->arena, text, bytes);
    config->text_bytes = bytes;
    return config->directory != NULL && config->text != NULL;
}

static enum weft_err decode_and_keep(struct config **config, const char *path, const char *directory, const char *text,
                                     size_t bytes, struct again *again, struct config_report *report)
{
    const struct config_surroundings surroundings = {.ctx = again,
                                                     .directory = directory,
                                                     .resolve = again_resolve,
                                                     .interface_address = config_machine_interface_address,
                                                     .check_file = config_machine_check_file,
                                                     .read_file = config_machine_read_file};
    WEFT_TRY(config_decode(config, path, text, bytes, &surroundings, report));
    if (!config_keep(*config, directory, text, bytes)) {
        config_destroy(*config);
        *config = NULL;
        return WEFT_ERR_NO_MEMORY;
    }
    return WEFT_OK;
}

static enum weft_err decode_file(struct config **config, const char *path, const char *text, size_t bytes,
                                 struct again *again, struct config_report *report)
{
    struct config_arena arena = {0};
    struct config_place place = {.file = path, .line = 1, .column = 1, .key = "file"};
    const char *directory = NULL;
    enum weft_err err = config_machine_directory(&arena, path, &directory);
    if (err == WEFT_ERR_CONFIG) {
        config_report_add(&report->errors, &place, "the directory of the file cannot be found; use an absolute path");
    } else if (err == WEFT_OK) {
        err = decode_and_keep(config, path, directory, text, bytes, again, report);
    }
    config_arena_fini(&arena);
    return err;
}

/* What would be right, where the fault of a file does not say it. */
static const char *file_remedy(const struct weft_error *why)
{
    if (strchr(why->text, ';') != NULL) {
        return "";
    }
    return why->code == WEFT_ERR_TOO_LARGE ? ", which no configuration needs; name the configuration itself"
           : why->code == WEFT_ERR_CONFIG  ? "; name a file that holds at least cluster_name"
           : why->os_errno == ENOENT       ? "; name a file that is there"
           : why->os_errno == EACCES       ? "; let this user read it"
                                           : "";
}

enum weft_err config_load(struct config **config, const char *path, struct config_report *report)
{
    struct weft_error why = {0};
    struct config_place place = {.file = path, .line = 1, .column = 1, .key = "file"};
    struct again again = {.resolver = NULL};
    char *text = NULL;
    size_t bytes = 0;
    enum weft_err err = config_machine_read_file(NULL, path, &text, &bytes, &why);
    if (err == WEFT_OK) {
        err = resolver_create(&again.resolver, RESOLVER_LIMIT_NS, NULL, &why);
    }
    if (err != WEFT_OK) {
        config_report_add(&report->errors, &place, "%s%s", why.text, file_remedy(&why));
        free(text);
        return err == WEFT_ERR_NO_MEMORY ? err : WEFT_ERR_CONFIG;
    }
    err = decode_file(config, path, text, bytes, &again, report);
    resolver_destroy(again.resolver);
    free(text);
    return err;
}

enum weft_err config_reread(struct config **config, const struct config *loaded, struct resolver *resolver,
                            uint32_t *failed, struct config_report *report)
{
    struct again again = {.resolver = resolver, .loaded = loaded};
    resolver_renew(resolver);
    enum weft_err err =
        decode_and_keep(config, loaded->path, loaded->directory, loaded->text, loaded->text_bytes, &again, report);
    *failed = again.failed;
    return err;
}

static bool text_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool peer_same(const struct weft_peer_options *a, const struct weft_peer_options *b)
{
    for (uint32_t i = 0; i < WEFT_PEER_ADDRESSES_MAX; i++) {
        if (!text_same(a->addresses[i], b->addresses[i])) {
            return false;
        }
    }
    return text_same(a->dc, b->dc) && text_same(a->rack, b->rack) && text_same(a->id, b->id) &&
           a->storage_port == b->storage_port && a->ssl_storage_port == b->ssl_storage_port &&
           a->connections == b->connections;
}

bool config_same_topology(const struct config *a, const struct config *b)
{
    if (!text_same(a->options.dc, b->options.dc) || !text_same(a->options.rack, b->options.rack) ||
        a->options.peer_count != b->options.peer_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->options.peer_count; i++) {
        if (!peer_same(&a->options.peers[i], &b->options.peers[i])) {
            return false;
        }
    }
    return true;
}
