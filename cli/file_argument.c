/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/file_argument.h"

#include <unistd.h>

#include "engine/base/error.h"

void file_argument_take(struct argp_state *state, const char **file, const char *argument)
{
    if (*file != NULL) {
        argp_error(state, "\"%s\" is too much: one FILE at a time", argument);
    }
    *file = argument;
}

void file_argument_need(struct argp_state *state, const char *file, const char *what)
{
    if (file == NULL) {
        argp_error(state, "which %s? Name its FILE", what);
    }
}

enum weft_err file_argument_load(struct config **config, const char *file, struct config_report *report)
{
    enum weft_err err = config_load(config, file, report);
    if (err != WEFT_OK) {
        file_argument_print_lines(stderr, "", &report->errors);
        if (report->errors.count == 0) {
            fprintf(stderr, "%s: %s\n", file, weft_err_meaning(err));
        }
    }
    return err;
}

/* The line of the file and a caret below the place. */
static void excerpt_print(FILE *to, const struct config_excerpt *excerpt)
{
    if (excerpt->text[0] != '\0') {
        fprintf(to, "%6u | %s\n       | %*s^\n", excerpt->line, excerpt->text, (int)excerpt->caret, "");
    }
}

void file_argument_print_lines(FILE *to, const char *before, const struct config_report_lines *lines)
{
    uint32_t kept = config_report_kept(lines);
    bool read_by_people = to == stderr && isatty(STDERR_FILENO);
    for (uint32_t i = 0; i < kept; i++) {
        fprintf(to, "%s%s\n", before, lines->lines[i]);
        if (read_by_people) {
            excerpt_print(to, &lines->excerpts[i]);
        }
    }
    if (lines->count > kept) {
        fprintf(to, "%sand %u more\n", before, lines->count - kept);
    }
}

bool file_argument_printed(const char *command)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "%s: the result could not be written to stdout\n", command);
        return false;
    }
    return true;
}
