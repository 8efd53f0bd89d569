/* SPDX-License-Identifier: Apache-2.0 */
/* The FILE of a command line, and the configuration that it holds. */
#ifndef CLI_FILE_ARGUMENT_H
#define CLI_FILE_ARGUMENT_H

#include <argp.h>
#include <stdio.h>

#include "config/config.h"

/* Take a positional argument as the one FILE; a second one is a usage error.  @param argument kept */
void file_argument_take(struct argp_state *state, const char **file, const char *argument);
/* A usage error if there was none.  @param what of which kind, such as "configuration" */
void file_argument_need(struct argp_state *state, const char *file, const char *what);

/* Read FILE; if it does not start a node, all its errors are told on standard error.  Its warnings are in the report.
 * @param config given, on ok only */
WEFT_NODISCARD enum weft_err file_argument_load(struct config **config, const char *file, struct config_report *report);

/* Every line of a report, and how many were not kept.  On standard error, if that is a terminal, each with the line of
 * the file below it. */
void file_argument_print_lines(FILE *to, const char *before, const struct config_report_lines *lines);

/* What was printed has been written; if not, that is told on standard error.  @param command such as "weft check" */
bool file_argument_printed(const char *command);

#endif
