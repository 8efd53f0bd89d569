/* SPDX-License-Identifier: Apache-2.0 */
/* The effective configuration: every key that a node consumes, the value it has, and the line that says so, if it is
 * not the default. */
#ifndef CLI_CHECK_EFFECTIVE_H
#define CLI_CHECK_EFFECTIVE_H

#include <jansson.h>

#include "config/config.h"

void check_effective_print(const struct config *config);
/* An array in the order of the documentation: key, value (as the file would write it; null if there is none), line
 * (null if it is not written), from ("line 7", "default", or what the location comes from).  NULL without memory. */
json_t *check_effective_json(const struct config *config);

#endif
