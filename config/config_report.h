/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a configuration: every error and warning, one line each.
 *
 *     weft.yaml:12:27: internode_encryption: "ALL" is not a scope; write none, rack, dc, all or transitional
 */
#ifndef CONFIG_CONFIG_REPORT_H
#define CONFIG_CONFIG_REPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/error.h>

#include "config/config_excerpt.h"

/* Lines kept of each kind; more are only counted.  Nobody repairs more than this in one go. */
#define CONFIG_REPORT_LINES_MAX 64u

struct config_report_lines {
    uint32_t count; /* of all, kept or not */
    char lines[CONFIG_REPORT_LINES_MAX][WEFT_ERROR_TEXT_BYTES];
    struct config_excerpt excerpts[CONFIG_REPORT_LINES_MAX]; /* of the file, for a terminal */
};

/* Zeroed is empty. */
struct config_report {
    struct config_report_lines errors;
    struct config_report_lines warnings;
};

/* Where in which file. */
struct config_place {
    const char *file;
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in characters */
    const char *key;
    const char *text; /* of the whole file; NULL: it is not shown */
    size_t bytes;
};

void config_report_add(struct config_report_lines *to, const struct config_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_report_vadd(struct config_report_lines *to, const struct config_place *place, const char *format,
                        va_list arguments);
/* In the order of the file.  Lines of other files come first. */
void config_report_sort(struct config_report_lines *lines);
/* A line that another parser already made. */
void config_report_add_line(struct config_report_lines *to, const char *line);

/* Lines that were kept. */
static inline uint32_t config_report_kept(const struct config_report_lines *lines)
{
    return lines->count < CONFIG_REPORT_LINES_MAX ? lines->count : CONFIG_REPORT_LINES_MAX;
}

#endif
