/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the lines that a reader of files tells. */
#ifndef WEFT_TESTS_UNIT_TOLD_H
#define WEFT_TESTS_UNIT_TOLD_H

/* All lines, each with a newline. */
struct told {
    char text[8192];
};

/* ctx: a struct told. */
void tell(void *ctx, const char *line);

#endif
