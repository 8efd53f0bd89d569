/* SPDX-License-Identifier: Apache-2.0 */
/* A node from a configuration file.
 *
 * Happy path: load, take the state directory, create, forget the configuration: the node keeps copies.
 *
 * Failure modes: the first error of the configuration is the error; its warnings go to standard error, as the lines of
 * a node without a log function do. */
#include <weft/node.h>

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "config/config_state.h"
#include "engine/base/error.h"

static enum weft_err node_create_from_report(weft_node **node, const char *path, struct config_report *report,
                                             struct weft_error *why)
{
    struct config *config = NULL;
    enum weft_err err = config_load(&config, path, report);
    if (err == WEFT_OK) {
        err = config_state_take(config, report);
    }
    if (err != WEFT_OK) {
        config_destroy(config);
        return weft_error_set(why, err, "%s",
                              report->errors.count > 0 ? report->errors.lines[0] : weft_err_meaning(err));
    }
    for (uint32_t i = 0; i < config_report_kept(&report->warnings); i++) {
        fprintf(stderr, "W %s\n", report->warnings.lines[i]);
    }
    struct weft_error found = {0};
    err = weft_node_create(node, &config->options, &found);
    if (err != WEFT_OK) {
        config_report_node_error(config, &found, report);
        weft_error_set(why, err, "%s", report->errors.lines[0]);
    }
    config_destroy(config);
    return err;
}

enum weft_err weft_node_create_from_file(weft_node **node, const char *path, struct weft_error *why)
{
    if (why != NULL) {
        *why = (struct weft_error){0};
    }
    if (node == NULL || path == NULL) {
        return weft_error_set(why, WEFT_ERR_INVALID, "creating a node from a file: %s is NULL",
                              path == NULL ? "path" : "node");
    }
    struct config_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to read %s", path);
    }
    enum weft_err err = node_create_from_report(node, path, report, why);
    free(report);
    return err;
}
