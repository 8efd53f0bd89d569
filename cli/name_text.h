/* SPDX-License-Identifier: Apache-2.0 */
/* Names that come from files and command lines, for people and as JSON: harmless on a terminal, whatever they hold. */
#ifndef CLI_NAME_TEXT_H
#define CLI_NAME_TEXT_H

#include <jansson.h>

/* On standard output; NULL is "unknown". */
void name_text_print(const char *name);
/* Bytes that are no UTF-8 are escaped; NULL is null. */
json_t *name_text_json(const char *name);

#endif
