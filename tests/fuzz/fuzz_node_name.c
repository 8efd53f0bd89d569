/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reader of nodes' names in certificates.  Oracle: a name that was read is written as the very bytes that it
 * was read from, but for the case of the id, so no two spellings are one name. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/assert.h"
#include "tls/issue.h"
#include "tls/node_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char *part(const char *name)
{
    return name[0] != '\0' ? name : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct secure_name name;
    if (bytes == 0 || bytes > UINT16_MAX) {
        return 0;
    }
    uint8_t *copy = malloc(bytes);
    WEFT_ASSERT(copy != NULL);
    memcpy(copy, data, bytes);
    const struct weft_span uri = {copy, (uint32_t)bytes};
    if (node_name_parse(&name, uri)) {
        char id[UUID_TEXT_BYTES];
        char *again = NULL;
        uuid_print(name.id, id);
        WEFT_ASSERT(node_name_is_one(uri));
        WEFT_ASSERT(tls_node_uri(&again, name.cluster, part(name.dc), part(name.rack), id, NULL) == WEFT_OK);
        WEFT_ASSERT(strlen(again) == bytes);
        WEFT_ASSERT(strncasecmp(again, (const char *)copy, bytes) == 0);
        free(again);
    }
    free(copy);
    return 0;
}
