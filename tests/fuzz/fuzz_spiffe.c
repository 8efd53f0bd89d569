/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes patterns of SPIFFE ids and what is matched with them; the input is a pattern, a line's end, and an id.
 * Oracle: an id is a pattern that matches itself alone; a pattern without words matches an id exactly if they are the
 * same; what comes out of a match is in the id. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "tls/spiffe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void fuzz_id(struct weft_span id)
{
    struct secure_name name;
    char self[SPIFFE_ID_BYTES_MAX + 1];
    if (!spiffe_is_valid(id) || id.bytes >= SECURE_PATTERN_BYTES) {
        return;
    }
    memcpy(self, id.data, id.bytes);
    self[id.bytes] = '\0';
    WEFT_ASSERT(strlen(self) == id.bytes);
    WEFT_ASSERT(spiffe_is_one(id));
    WEFT_ASSERT(spiffe_check_pattern(self, NULL) == WEFT_OK);
    WEFT_ASSERT(spiffe_match(self, id, &name));
}

static void fuzz_pair(const char *pattern, struct weft_span id)
{
    struct secure_name name;
    bool plain = strpbrk(pattern, "*{") == NULL;
    if (spiffe_check_pattern(pattern, NULL) != WEFT_OK) {
        return;
    }
    bool matches = spiffe_match(pattern, id, &name);
    if (plain) {
        WEFT_ASSERT(spiffe_is_valid(weft_span_of(pattern)));
        WEFT_ASSERT(matches == (id.bytes == strlen(pattern) && memcmp(id.data, pattern, id.bytes) == 0));
    }
    if (matches) {
        const char *const parts[] = {name.cluster, name.dc, name.rack};
        WEFT_ASSERT(spiffe_is_valid(id));
        WEFT_ASSERT(name.has_id == (strstr(pattern, "{id}") != NULL));
        for (uint32_t i = 0; i < 3; i++) {
            size_t part = strlen(parts[i]);
            WEFT_ASSERT(part == 0 || memmem(id.data, id.bytes, parts[i], part) != NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *line = memchr(data, '\n', bytes);
    if (line == NULL || bytes > UINT16_MAX) {
        return 0;
    }
    size_t pattern_bytes = (size_t)(line - data);
    size_t id_bytes = bytes - pattern_bytes - 1;
    char *pattern = calloc(1, pattern_bytes + 1);
    uint8_t *copy = malloc(id_bytes > 0 ? id_bytes : 1);
    WEFT_ASSERT(pattern != NULL && copy != NULL);
    memcpy(pattern, data, pattern_bytes);
    memcpy(copy, line + 1, id_bytes);
    const struct weft_span id = {copy, (uint32_t)id_bytes};
    fuzz_id(id);
    fuzz_pair(pattern, id);
    free(copy);
    free(pattern);
    return 0;
}
