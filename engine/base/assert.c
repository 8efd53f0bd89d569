/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void weft_assert_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "weft: assertion failed: %s (%s:%d)\n", what, file, line);
    abort();
}
