/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/told.h"

#include <stdio.h>
#include <string.h>

void tell(void *ctx, const char *line)
{
    struct told *told = ctx;
    size_t used = strlen(told->text);
    snprintf(told->text + used, sizeof told->text - used, "%s\n", line);
}
