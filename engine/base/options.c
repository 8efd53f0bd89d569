/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/options.h"

#include <string.h>

#include "engine/base/error.h"

enum weft_err options_take(void *known, size_t known_bytes, const void *given, const char *name, struct weft_error *why)
{
    size_t given_bytes;
    memset(known, 0, known_bytes);
    if (given == NULL) {
        return weft_error_set(why, WEFT_ERR_INVALID, "%s: NULL; give one that begins with its _INIT macro", name);
    }
    memcpy(&given_bytes, given, sizeof given_bytes);
    if (given_bytes < sizeof given_bytes) {
        return weft_error_set(why, WEFT_ERR_INVALID, "%s: size is %zu; begin with its _INIT macro", name, given_bytes);
    }
    for (size_t i = known_bytes; i < given_bytes; i++) {
        if (((const uint8_t *)given)[i] != 0) {
            return weft_error_set(why, WEFT_ERR_TOO_NEW, "%s: an option is set that this library does not know", name);
        }
    }
    memcpy(known, given, given_bytes < known_bytes ? given_bytes : known_bytes);
    memcpy(known, &known_bytes, sizeof known_bytes);
    return WEFT_OK;
}

void options_give(void *to, size_t to_bytes, const void *known, size_t known_bytes)
{
    if (to == NULL) {
        return;
    }
    size_t common = to_bytes < known_bytes ? to_bytes : known_bytes;
    memcpy(to, known, common);
    memset((uint8_t *)to + common, 0, to_bytes - common);
}
