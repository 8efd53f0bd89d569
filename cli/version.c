/* SPDX-License-Identifier: Apache-2.0 */
/* `weft version`: one line, or one JSON object.  Fails only where stdout cannot be written. */
#include "cli/version.h"

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include <weft/version.h>

struct version_arguments {
    bool json;
};

static const struct argp_option version_options[] = {
    {"json", 'j', NULL, 0, "Print one JSON object, {\"version\": \"...\"}", 0},
    {0},
};

static error_t version_parse(int key, char *argument, struct argp_state *state)
{
    struct version_arguments *arguments = state->input;
    switch (key) {
    case 'j':
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is too much: version takes no argument", argument);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int cli_version(int argc, char **argv)
{
    static const struct argp argp = {
        .options = version_options,
        .parser = version_parse,
        .doc = "Print the version of this weft.\vExit codes: 0 printed, 1 stdout cannot be written, 2 usage.",
    };
    struct version_arguments arguments = {false};
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    if (arguments.json) {
        json_t *object = json_pack("{s:s}", "version", weft_version());
        if (object == NULL || json_dumpf(object, stdout, JSON_PRESERVE_ORDER) != 0) {
            fprintf(stderr, "weft version: cannot write JSON\n");
            json_decref(object);
            return 1;
        }
        json_decref(object);
        putchar('\n');
    } else {
        printf("weft %s\n", weft_version());
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("weft version: stdout");
        return 1;
    }
    return 0;
}
