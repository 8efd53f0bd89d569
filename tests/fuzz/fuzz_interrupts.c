/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes what is read out of /proc and /sys about CPUs: tables of interrupts, lists and masks of CPUs, quotas.
 *
 * Input: lines.  The first one is taken for the columns of a table, all others for its rows; each line is also taken
 * for a list, a mask and a quota.
 * Oracles: a row's total is no less than any of its counts, and its tail lies within the line; what a set prints is
 * read back as the same set; a quota is within its limit. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "topology/machine/interrupts.h"
#include "topology/machine/quota.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define INPUT_BYTES_MAX (64u * 1024)
#define SET_TEXT_BYTES 8192u

static void check_row(const struct interrupt_columns *columns, const char *line)
{
    struct interrupt_row row;
    uint32_t number;
    if (!interrupt_row_parse(columns, line, &row)) {
        return;
    }
    for (uint32_t i = 0; i < columns->count; i++) {
        WEFT_ASSERT(row.total >= row.counts[i]);
    }
    WEFT_ASSERT(row.tail > line);
    WEFT_ASSERT(row.tail <= line + strlen(line));
    (void)interrupt_row_number(&row, &number);
    (void)interrupt_tail_has(row.tail, row.label);
    (void)interrupt_tail_has(row.tail, "eth0");
}

static void check_set(const struct cpu_set *set)
{
    struct cpu_set again = {{0}};
    char text[SET_TEXT_BYTES];
    char cut[16];
    cpu_set_print(set, text, sizeof text);
    (void)cpu_set_print(set, cut, sizeof cut);
    WEFT_ASSERT(strlen(cut) < sizeof cut);
    if (cpu_set_is_empty(set)) {
        WEFT_ASSERT(strcmp(text, "none") == 0);
        return;
    }
    WEFT_ASSERT(cpu_set_add_list(&again, text));
    WEFT_ASSERT(memcmp(&again, set, sizeof again) == 0);
}

static void check_texts(const char *line)
{
    struct cpu_set list = {{0}};
    struct cpu_set mask = {{0}};
    (void)cpu_set_add_list(&list, line);
    check_set(&list);
    if (!cpu_set_add_mask(&mask, line)) {
        WEFT_ASSERT(cpu_set_is_empty(&mask));
    }
    check_set(&mask);
    WEFT_ASSERT(quota_of_max(line) <= 4096000u);
    WEFT_ASSERT(quota_of_cfs(line, "100000") <= 4096000u);
    WEFT_ASSERT(quota_of_cfs("100000", line) <= 4096000u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct interrupt_columns columns = {0};
    bool first = true;
    while (bytes > 0 && bytes <= INPUT_BYTES_MAX) {
        const uint8_t *end = memchr(data, '\n', bytes);
        size_t length = end != NULL ? (size_t)(end - data) : bytes;
        char *line = malloc(length + 1); /* of its own, so that what is read beyond is seen */
        WEFT_ASSERT(line != NULL);
        memcpy(line, data, length);
        line[length] = '\0';
        if (first) {
            if (interrupt_columns_parse(&columns, line)) {
                WEFT_ASSERT(columns.count > 0);
            }
            WEFT_ASSERT(columns.count <= CPU_NUMBERS_MAX);
        } else {
            check_row(&columns, line);
        }
        check_texts(line);
        free(line);
        first = false;
        length += end != NULL ? 1 : 0;
        data += length;
        bytes -= length;
    }
    return 0;
}
