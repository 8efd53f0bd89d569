/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a configuration report.
 *
 * Happy path: place and text become one line.
 *
 * Failure modes: a line that is too long is cut, a line too many is only counted; control characters that a file
 * brings in become \xNN, so that it cannot forge a line. */
#include "config/config_report.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"

void config_report_add_line(struct config_report_lines *to, const char *line)
{
    if (to->count < CONFIG_REPORT_LINES_MAX) {
        weft_text_escape(to->lines[to->count], WEFT_ERROR_TEXT_BYTES, line, (uint32_t)strlen(line));
    }
    to->count++;
}

void config_report_vadd(struct config_report_lines *to, const struct config_place *place, const char *format,
                        va_list arguments)
{
    char what[WEFT_ERROR_TEXT_BYTES];
    char line[2 * WEFT_ERROR_TEXT_BYTES];
    vsnprintf(what, sizeof what, format, arguments);
    snprintf(line, sizeof line, "%s:%u:%u: %.64s: %s", place->file, place->line, place->column, place->key, what);
    config_report_add_line(to, line);
}

void config_report_add(struct config_report_lines *to, const struct config_place *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    config_report_vadd(to, place, format, arguments);
    va_end(arguments);
}
