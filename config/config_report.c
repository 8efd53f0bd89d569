/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a configuration report.
 *
 * Happy path: place and text become one line.
 *
 * Failure modes: a line that is too long is cut, a line too many is only counted; control characters that a file
 * brings in become \xNN, so that it cannot forge a line. */
#include "config/config_report.h"

#include <stdbool.h>
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
    if (to->count < CONFIG_REPORT_LINES_MAX && place->text != NULL) {
        config_excerpt_make(&to->excerpts[to->count], place->text, place->bytes, place->line, place->column);
    }
    config_report_add_line(to, line);
}

static bool excerpt_before(const struct config_excerpt *a, const struct config_excerpt *b)
{
    return a->line < b->line || (a->line == b->line && a->column < b->column);
}

static void lines_swap(struct config_report_lines *lines, uint32_t a, uint32_t b)
{
    struct config_excerpt excerpt = lines->excerpts[a];
    char line[WEFT_ERROR_TEXT_BYTES];
    memcpy(line, lines->lines[a], sizeof line);
    memcpy(lines->lines[a], lines->lines[b], sizeof line);
    memcpy(lines->lines[b], line, sizeof line);
    lines->excerpts[a] = lines->excerpts[b];
    lines->excerpts[b] = excerpt;
}

void config_report_sort(struct config_report_lines *lines)
{
    for (uint32_t i = 1; i < config_report_kept(lines); i++) {
        for (uint32_t j = i; j > 0 && excerpt_before(&lines->excerpts[j], &lines->excerpts[j - 1]); j--) {
            lines_swap(lines, j, j - 1);
        }
    }
}

void config_report_add(struct config_report_lines *to, const struct config_place *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    config_report_vadd(to, place, format, arguments);
    va_end(arguments);
}
