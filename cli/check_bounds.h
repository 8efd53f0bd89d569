/* SPDX-License-Identifier: Apache-2.0 */
/* The sum of what a node guarantees, as `weft check` shows it. */
#ifndef CLI_CHECK_BOUNDS_H
#define CLI_CHECK_BOUNDS_H

#include <jansson.h>

#include "topology/cluster/budget.h"

/* @param shards of the node   @param locked_bytes that the process may lock, UINT64_MAX for no limit */
struct check_bounds {
    struct budget budget;
    uint32_t shards;
    uint64_t locked_bytes;
    const char *backend;
};

void check_bounds_print(const struct check_bounds *bounds);
json_t *check_bounds_json(const struct check_bounds *bounds);

#endif
