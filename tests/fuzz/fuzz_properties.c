/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes files of properties: the first byte chooses the reader (pairs alone, rackdc, topology), the rest is the text.
 * Oracles: a file is taken exactly if no fault was told; every fault has a place inside the text and no control
 * character; what was read is whole: names fit and are not empty, no address is there twice; written out again with
 * every character escaped, pairs read as the same pairs. */
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/node.h>

#include "engine/base/assert.h"
#include "topology/cluster/rackdc.h"
#include "topology/cluster/topology_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Every character as \uXXXX, in the worst case two of them for four bytes, one sign, and a NUL. */
#define WRITTEN_BYTES_MAX (6u * (PROPERTY_KEY_BYTES_MAX + PROPERTY_VALUE_BYTES_MAX) + 2u)

struct input {
    uint32_t lines;
    size_t bytes;
};

static void fault_check(void *ctx, const char *line)
{
    const struct input *input = ctx;
    unsigned at_line = 0;
    unsigned column = 0;
    WEFT_ASSERT(sscanf(line, "fuzz:%u:%u: ", &at_line, &column) == 2);
    WEFT_ASSERT(at_line >= 1 && at_line <= input->lines);
    WEFT_ASSERT(column >= 1 && column <= input->bytes + PROPERTY_VALUE_BYTES_MAX + 1);
    for (const char *byte = line; *byte != '\0'; byte++) {
        WEFT_ASSERT(isprint((unsigned char)*byte));
    }
}

static void name_check(const char *name)
{
    WEFT_ASSERT(name[0] != '\0' && strlen(name) <= WEFT_NAME_BYTES_MAX);
    for (const char *byte = name; *byte != '\0'; byte++) {
        WEFT_ASSERT(!iscntrl((unsigned char)*byte));
    }
}

/* The first code point of well-formed UTF-8, the only one that a reader may hand out. */
static uint32_t code_take(const char **text)
{
    const uint8_t *bytes = (const uint8_t *)*text;
    uint32_t count = bytes[0] < 0x80 ? 1u : bytes[0] < 0xe0 ? 2u : bytes[0] < 0xf0 ? 3u : 4u;
    uint32_t code = count == 1 ? bytes[0] : bytes[0] & (0x7fu >> count);
    WEFT_ASSERT(bytes[0] < 0x80 || bytes[0] >= 0xc2);
    for (uint32_t i = 1; i < count; i++) {
        WEFT_ASSERT((bytes[i] & 0xc0) == 0x80);
        code = code << 6 | (bytes[i] & 0x3fu);
    }
    *text += count;
    return code;
}

static size_t escaped_write(char *to, size_t room, const char *text)
{
    size_t used = 0;
    while (*text != '\0') {
        uint32_t code = code_take(&text);
        if (code == '\t' || code == '\f') {
            to[used++] = (char)code;
        } else if (code < 0x10000) {
            used += (size_t)snprintf(to + used, room - used, "\\u%04x", code);
        } else {
            used += (size_t)snprintf(to + used, room - used, "\\u%04x\\u%04X", 0xd800 + ((code - 0x10000) >> 10),
                                     0xdc00 + ((code - 0x10000) & 0x3ff));
        }
    }
    return used;
}

/* A value that begins with a blank cannot be written with a raw one. */
static void pair_read_again(const struct property *pair)
{
    static char text[WRITTEN_BYTES_MAX];
    struct input again = {2, sizeof text};
    struct properties_faults faults = {.add = fault_check, .ctx = &again};
    struct properties properties;
    struct property read;
    size_t used = escaped_write(text, sizeof text, pair->key);
    text[used++] = '=';
    used += escaped_write(text + used, sizeof text - used, pair->value);
    WEFT_ASSERT(used < sizeof text);
    WEFT_ASSERT(properties_open(&properties, "fuzz", text, used, sizeof text, &faults));
    WEFT_ASSERT(properties_next(&properties, &read));
    WEFT_ASSERT(faults.count == 0);
    WEFT_ASSERT(strcmp(read.key, pair->key) == 0 && strcmp(read.value, pair->value) == 0);
    WEFT_ASSERT(read.separator == '=' && !properties_next(&properties, &read));
}

static void pairs_fuzz(const char *text, size_t bytes, struct properties_faults *faults)
{
    struct properties properties;
    struct property pair;
    if (!properties_open(&properties, "fuzz", text, bytes, TOPOLOGY_FILE_BYTES_MAX, faults)) {
        WEFT_ASSERT(faults->count == 1);
        return;
    }
    while (properties_next(&properties, &pair)) {
        WEFT_ASSERT(pair.key_bytes == strlen(pair.key) && pair.key_bytes > 0);
        WEFT_ASSERT(pair.value_bytes == strlen(pair.value));
        WEFT_ASSERT(pair.line >= 1 && pair.line <= pair.value_line);
        WEFT_ASSERT((pair.separator != '\0') || pair.value_bytes == 0);
        pair_read_again(&pair);
    }
}

static void rackdc_fuzz(const char *text, size_t bytes, struct properties_faults *faults)
{
    struct rackdc rackdc;
    enum weft_err err = rackdc_parse(&rackdc, "fuzz", text, bytes, faults);
    WEFT_ASSERT((err == WEFT_OK) == (faults->count == 0));
    if (err == WEFT_OK) {
        name_check(rackdc.dc);
        name_check(rackdc.rack);
        WEFT_ASSERT(memchr(text, '\0', bytes) == NULL && strpbrk(rackdc.dc, "\\=") == NULL);
    } else {
        WEFT_ASSERT(err == WEFT_ERR_CONFIG);
    }
}

static void topology_fuzz(const char *text, size_t bytes, struct properties_faults *faults)
{
    struct topology_file topology;
    enum weft_err err = topology_file_parse(&topology, "fuzz", text, bytes, faults);
    WEFT_ASSERT((err == WEFT_OK) == (faults->count == 0));
    WEFT_ASSERT((err == WEFT_OK) == (topology.entries != NULL));
    WEFT_ASSERT(topology.count <= WEFT_PEERS_MAX);
    for (uint32_t i = 0; i < topology.count; i++) {
        const struct topology_entry *entry = &topology.entries[i];
        name_check(entry->dc);
        name_check(entry->rack);
        WEFT_ASSERT(!address_is_any(&entry->address) && !address_is_group(&entry->address));
        WEFT_ASSERT(topology_file_find(&topology, &entry->address) == entry);
    }
    topology_file_fini(&topology);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    struct input input = {.lines = 1, .bytes = bytes};
    for (size_t i = 1; i < bytes; i++) {
        input.lines += data[i] == '\n' || data[i] == '\r' ? 1 : 0;
    }
    struct properties_faults faults = {.add = fault_check, .ctx = &input};
    switch (data[0] % 3) {
    case 0:
        pairs_fuzz(text, bytes - 1, &faults);
        break;
    case 1:
        rackdc_fuzz(text, bytes - 1, &faults);
        break;
    default:
        topology_fuzz(text, bytes - 1, &faults);
        break;
    }
    return 0;
}
