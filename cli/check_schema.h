/* SPDX-License-Identifier: Apache-2.0 */
/* `weft check --schema`: every key of a configuration. */
#ifndef CLI_CHECK_SCHEMA_H
#define CLI_CHECK_SCHEMA_H

#include <stdbool.h>

/* Print the keys whose path is the given one or begins with it; NULL: all.  @return false: there are none, or no memory
 */
bool check_schema_print(const char *path, bool json);

#endif
