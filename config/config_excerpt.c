/* SPDX-License-Identifier: Apache-2.0 */
/* A line of a file, cut out for a terminal.
 *
 * Happy path: find the line, skip to a character shortly before the column, copy.
 *
 * Failure modes: a line that is not there gives an empty text, of which nothing is shown. */
#include "config/config_excerpt.h"

#include <stdbool.h>
#include <string.h>

/* Characters shown before the column of a long line. */
#define BEFORE_CHARACTERS 60u

/* Bytes of a line's end here: the breaks that YAML knows.  0: none */
static size_t break_at(const char *text, size_t bytes)
{
    static const char *const breaks[] = {"\r\n", "\n", "\r", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        size_t length = strlen(breaks[i]);
        if (bytes >= length && memcmp(text, breaks[i], length) == 0) {
            return length;
        }
    }
    return 0;
}

/* Behind the character here: its first byte and what continues it. */
static size_t character_bytes(const char *text, size_t bytes)
{
    size_t length = 1;
    while (length < bytes && length < 4 && ((unsigned char)text[length] & 0xc0) == 0x80) {
        length++;
    }
    return length;
}

void config_excerpt_make(struct config_excerpt *excerpt, const char *text, size_t bytes, uint32_t line, uint32_t column)
{
    size_t at = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    uint32_t skipped = column > BEFORE_CHARACTERS + 1 ? column - BEFORE_CHARACTERS - 1 : 0;
    uint32_t used = 0;
    *excerpt = (struct config_excerpt){.line = line, .column = column, .caret = column - 1 - skipped};
    for (uint32_t current = 1; at < bytes && current < line;) {
        size_t length = break_at(text + at, bytes - at);
        at += length > 0 ? length : 1;
        current += length > 0 ? 1 : 0;
    }
    while (at < bytes && used < CONFIG_EXCERPT_CHARACTERS && break_at(text + at, bytes - at) == 0) {
        char shown = text[at] >= 0x20 && text[at] < 0x7f ? text[at] : text[at] == '\t' ? ' ' : '?';
        at += character_bytes(text + at, bytes - at);
        if (skipped > 0) {
            skipped--;
        } else {
            excerpt->text[used++] = shown;
        }
    }
}
