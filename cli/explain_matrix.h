/* SPDX-License-Identifier: Apache-2.0 */
/* `weft explain --matrix`: every decision under a configuration, by direction, lane and kind of peer. */
#ifndef CLI_EXPLAIN_MATRIX_H
#define CLI_EXPLAIN_MATRIX_H

#include "config/config.h"
#include "topology/cluster/location.h"

/* A table: one row for a direction and a lane, one column for a kind of peer. */
void explain_matrix_print(const struct config *config, const struct location *own);
/* One object: scope, and decisions, each with its direction, lane and peer.  @return false: no memory, or not written
 */
bool explain_matrix_print_json(const struct config *config, const struct location *own);

#endif
