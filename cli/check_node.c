/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_node.h"

#include "cli/file_argument.h"
#include "engine/io/process.h"
#include "topology/cluster/node.h"

static void quiet_log(void *ctx, char level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

/* What a start would warn of. */
static void check_credentials(const struct config *config, const struct tls_credentials *credentials,
                              struct config_report *report)
{
    uint32_t told = config_report_kept(&report->warnings);
    for (uint32_t i = 0; i < tls_credentials_warning_count(credentials); i++) {
        config_report_node_warning(config, tls_credentials_warning(credentials, i), told, report);
    }
    config_report_sort(&report->warnings);
}

/* What the file alone does not show: whether key, certificate and trust store fit, and this machine offers what is
 * asked of it.  Asks the node itself, short of starting it. */
static enum weft_err node_check(const struct config *config, struct config_report *report, struct check_bounds *bounds)
{
    struct weft_node_options options = config->options;
    struct node_placement placement;
    struct weft_error why = {0};
    weft_node *node = NULL;
    options.log = quiet_log;
    enum weft_err err = weft_node_create(&node, &options, &why);
    if (err == WEFT_OK && bounds != NULL) {
        err = node_place(node, &placement, &why);
    }
    if (err == WEFT_OK && bounds != NULL) {
        err = node_budget(node, &placement, &bounds->budget, &why);
        bounds->shards = placement.shard_count;
        bounds->backend = placement.place.backend->name;
        bounds->locked_bytes = process_locked_bytes_max();
    }
    if (err == WEFT_OK && node->credentials != NULL) {
        check_credentials(config, node->credentials, report);
    }
    weft_node_destroy(node);
    if (err != WEFT_OK) {
        config_report_node_error(config, &why, report);
    }
    return err;
}

enum weft_err check_node_load(struct config **config, const char *file, struct config_report *report,
                              struct check_bounds *bounds)
{
    struct config *loaded = NULL;
    enum weft_err err = file_argument_load(&loaded, file, report);
    if (err != WEFT_OK) {
        return err;
    }
    err = node_check(loaded, report, bounds);
    if (err != WEFT_OK) {
        file_argument_print_lines(stderr, "", &report->errors);
        config_destroy(loaded);
        return err;
    }
    *config = loaded;
    return WEFT_OK;
}
