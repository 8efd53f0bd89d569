/* SPDX-License-Identifier: Apache-2.0 */
/* `weft explain --matrix`: every decision under a configuration, by direction, lane and kind of peer. */
#ifndef CLI_EXPLAIN_MATRIX_H
#define CLI_EXPLAIN_MATRIX_H

#include "cli/explain_link.h"
#include "config/config.h"
#include "topology/cluster/location.h"

/* Which rows there are. */
struct explain_rows {
    bool one_direction;
    enum explain_direction direction;
    bool one_lane;
    enum weft_lane lane;
};

/* A table: one row for a direction and a lane, one column for a kind of peer. */
void explain_matrix_print(const struct config *config, const struct location *own, const struct explain_rows *rows);
/* One object: scope, and decisions, each with its direction, lane and peer.  @return false: no memory, or not written
 */
bool explain_matrix_print_json(const struct config *config, const struct location *own,
                               const struct explain_rows *rows);

#endif
