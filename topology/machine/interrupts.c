/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of interrupts.
 *
 * Drivers choose what stands at the end of a row, and CPUs that are offline have no column: rows are read by the
 * columns that the first line names, and no further than their own end. */
#include "topology/machine/interrupts.h"

#include <string.h>

/* Digits of a CPU's or an interrupt's number that are read. */
#define NUMBER_DIGITS_MAX 9u

static const char *spaces_skip(const char *text)
{
    return text + strspn(text, " \t");
}

static bool number_take(const char **text, uint32_t *number)
{
    uint32_t digits = 0;
    *number = 0;
    while (**text >= '0' && **text <= '9') {
        if (++digits > NUMBER_DIGITS_MAX) {
            return false;
        }
        *number = *number * 10 + (uint32_t)(**text - '0');
        (*text)++;
    }
    return digits > 0;
}

/* A count, as much as fits of it.  @return false: what stands here is no number, or only begins like one */
static bool count_take(const char **text, uint64_t *count)
{
    const char *at = *text;
    uint64_t value = 0;
    while (*at >= '0' && *at <= '9') {
        uint64_t digit = (uint64_t)(*at++ - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    if (at == *text || (*at != ' ' && *at != '\t' && *at != '\0')) {
        return false;
    }
    *count = value;
    *text = at;
    return true;
}

bool interrupt_columns_parse(struct interrupt_columns *columns, const char *line)
{
    columns->count = 0;
    for (line = spaces_skip(line); *line != '\0'; line = spaces_skip(line)) {
        uint32_t cpu;
        if (strncmp(line, "CPU", 3) != 0) {
            return false;
        }
        line += 3;
        if (!number_take(&line, &cpu) || (*line != ' ' && *line != '\t' && *line != '\0') ||
            columns->count == CPU_NUMBERS_MAX) {
            return false;
        }
        columns->cpus[columns->count++] = cpu;
    }
    return columns->count > 0;
}

bool interrupt_row_parse(const struct interrupt_columns *columns, const char *line, struct interrupt_row *row)
{
    line = spaces_skip(line);
    size_t bytes = strcspn(line, ": \t");
    if (bytes == 0 || bytes >= sizeof row->label || line[bytes] != ':') {
        return false;
    }
    memcpy(row->label, line, bytes);
    row->label[bytes] = '\0';
    row->total = 0;
    memset(row->counts, 0, sizeof row->counts);
    line = spaces_skip(line + bytes + 1);
    for (uint32_t i = 0; i < columns->count && count_take(&line, &row->counts[i]); i++) {
        uint64_t count = row->counts[i];
        row->total = row->total > UINT64_MAX - count ? UINT64_MAX : row->total + count;
        line = spaces_skip(line);
    }
    row->tail = line;
    return true;
}

bool interrupt_row_number(const struct interrupt_row *row, uint32_t *number)
{
    const char *text = row->label;
    return number_take(&text, number) && *text == '\0';
}

bool interrupt_tail_has(const char *tail, const char *interface)
{
    size_t bytes = strlen(interface);
    if (bytes == 0) {
        return false;
    }
    for (const char *at = strstr(tail, interface); at != NULL; at = strstr(at + 1, interface)) {
        bool begins = at == tail || strchr(" \t,@", at[-1]) != NULL;
        if (begins && (at[bytes] == '\0' || strchr(" \t,-.:@", at[bytes]) != NULL)) {
            return true;
        }
    }
    return false;
}
