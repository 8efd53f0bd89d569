/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file that starts a node. */
#ifndef CLI_CHECK_NODE_H
#define CLI_CHECK_NODE_H

#include "cli/check_bounds.h"
#include "config/config.h"

/* Read FILE and ask the node itself, short of starting it: whether key, certificate and trust store fit, and with
 * `bounds`, whether this machine offers what is asked of it.  All errors are told on standard error, and in the report.
 * @param config given, on ok only   @param bounds filled on ok; may be NULL: somebody else's machine will run it */
WEFT_NODISCARD enum weft_err check_node_load(struct config **config, const char *file, struct config_report *report,
                                             struct check_bounds *bounds);

#endif
