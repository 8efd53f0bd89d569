/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/name_text.h"

#include <stdio.h>
#include <string.h>

#include <weft/node.h>

#include "engine/base/error.h"

/* Room for a longest name with every byte escaped. */
#define NAME_TEXT_BYTES (4 * WEFT_NAME_BYTES_MAX + 1)

void name_text_print(const char *name)
{
    char text[NAME_TEXT_BYTES] = "unknown";
    if (name != NULL) {
        weft_text_escape(text, sizeof text, name, (uint32_t)strlen(name));
    }
    fputs(text, stdout);
}

json_t *name_text_json(const char *name)
{
    char text[NAME_TEXT_BYTES];
    if (name == NULL) {
        return json_null();
    }
    json_t *string = json_string(name);
    if (string == NULL) {
        weft_text_escape(text, sizeof text, name, (uint32_t)strlen(name));
        string = json_string(text);
    }
    return string;
}
