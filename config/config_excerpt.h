/* SPDX-License-Identifier: Apache-2.0 */
/* The line of a file that a fault is in, as it can be shown below the fault. */
#ifndef CONFIG_CONFIG_EXCERPT_H
#define CONFIG_CONFIG_EXCERPT_H

#include <stddef.h>
#include <stdint.h>

/* Characters that are shown of a line. */
#define CONFIG_EXCERPT_CHARACTERS 100u

/* Zeroed: nothing to show. */
struct config_excerpt {
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in the file */
    uint32_t caret;  /* characters of text before the place of the fault */
    char text[CONFIG_EXCERPT_CHARACTERS + 1];
};

/* Printable ASCII only: any other character becomes one '?', so that the caret stands where it should and the file
 * cannot drive the terminal.  Of a long line, the part around the column. */
void config_excerpt_make(struct config_excerpt *excerpt, const char *text, size_t bytes, uint32_t line,
                         uint32_t column);

#endif
