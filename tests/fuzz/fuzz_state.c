/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the file of a state directory.  Oracles: what is accepted is printed as the very same bytes, apart from the
 * case of the id's digits; what is not is an error that says where and what to do. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "config/config_state_file.h"
#include "engine/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct config_state state = {.incarnation = 0};
    struct weft_error why = {0};
    char text[CONFIG_STATE_FILE_BYTES];
    if (config_state_parse(&state, "node", (const char *)data, bytes, &why) != WEFT_OK) {
        WEFT_ASSERT(why.code == WEFT_ERR_CONFIG && strncmp(why.text, "node:", 5) == 0);
        WEFT_ASSERT(strstr(why.text, "remove it") != NULL);
        return 0;
    }
    WEFT_ASSERT(state.incarnation > 0 && state.incarnation < UINT64_MAX);
    config_state_print(&state, text);
    WEFT_ASSERT(bytes == strlen(text) && strncasecmp(text, (const char *)data, bytes) == 0);
    return 0;
}
