/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_bounds.h"

#include <inttypes.h>
#include <stdio.h>

#define KIB 1024.0

void check_bounds_print(const struct check_bounds *bounds)
{
    const struct budget *budget = &bounds->budget;
    printf("  shards       %u on %s\n  bounds       of a shard, guaranteed:\n", bounds->shards, bounds->backend);
    for (int name = 0; name < BUDGET_LINES; name++) {
        const struct budget_line *line = &budget->lines[name];
        if (line->count > 0) {
            printf("    %-18s %8" PRIu64 " x %9" PRIu64 " B = %11.1f KiB\n", budget_line_name((enum budget_name)name),
                   line->count, line->bytes_each, (double)budget_line_bytes(budget, (enum budget_name)name) / KIB);
        }
    }
    printf("    %-18s %26.1f KiB of %.1f KiB\n", "sum", (double)budget->total_bytes / KIB,
           (double)budget->memory_bytes / KIB);
    if (budget->descriptors != 0) {
        printf("    %-18s %8" PRIu64 " of %" PRIu64 "\n", "descriptors", budget->descriptors, budget->descriptors_max);
    }
    if (bounds->locked_bytes != UINT64_MAX) {
        printf("    %-18s at most %.0f KiB may be locked\n", "locked memory", (double)bounds->locked_bytes / KIB);
    }
    if (budget->lowered[0] != '\0') {
        printf("    %s\n", budget->lowered);
    }
}

json_t *check_bounds_json(const struct check_bounds *bounds)
{
    const struct budget *budget = &bounds->budget;
    json_t *lines = json_array();
    for (int name = 0; name < BUDGET_LINES; name++) {
        const struct budget_line *line = &budget->lines[name];
        json_array_append_new(lines,
                              json_pack("{s:s, s:I, s:I, s:I}", "name", budget_line_name((enum budget_name)name),
                                        "count", (json_int_t)line->count, "bytes_each", (json_int_t)line->bytes_each,
                                        "bytes", (json_int_t)budget_line_bytes(budget, (enum budget_name)name)));
    }
    return json_pack(
        "{s:i, s:s, s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "shards", (int)bounds->shards, "backend", bounds->backend,
        "connections", (int)budget->connections, "memory_per_shard", (json_int_t)budget->memory_bytes, "guaranteed",
        (json_int_t)budget->total_bytes, "lines", lines, "descriptors",
        budget->descriptors != 0 ? json_integer((json_int_t)budget->descriptors) : json_null(), "descriptors_max",
        budget->descriptors != 0 ? json_integer((json_int_t)budget->descriptors_max) : json_null(), "locked_bytes_max",
        bounds->locked_bytes != UINT64_MAX ? json_integer((json_int_t)bounds->locked_bytes) : json_null(), "lowered",
        budget->lowered[0] != '\0' ? json_string(budget->lowered) : json_null());
}
