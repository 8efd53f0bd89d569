/* SPDX-License-Identifier: Apache-2.0 */
/* Owns reading the names of nodes.  There is one spelling of each name, so that two that differ are two names.  Fails
 * on everything else: it is no name. */
#include "tls/node_name.h"

#include <string.h>
#include <strings.h>

#define PART_COUNT 4u

static bool byte_is_unreserved(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static int digit_value(uint8_t byte)
{
    return byte >= '0' && byte <= '9' ? byte - '0' : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

/* The bytes of one UTF-8 character, the shortest form of it, no surrogate; 0: it is none. */
static uint32_t utf8_bytes(const uint8_t *at, uint32_t left)
{
    uint32_t bytes = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : 4;
    if (bytes > left || (bytes == 4 && (at[0] < 0xf0 || at[0] > 0xf4))) {
        return 0;
    }
    for (uint32_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool odd = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
               (at[0] == 0xf4 && at[1] > 0x8f);
    return odd && bytes > 1 ? 0 : bytes;
}

static bool text_is_utf8(const char *text, uint32_t bytes)
{
    uint32_t at = 0;
    while (at < bytes) {
        uint32_t step = utf8_bytes((const uint8_t *)text + at, bytes - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

/* One part, up to the next slash or the end, which is taken. */
static bool part_parse(struct weft_span *in, bool last, char part[WEFT_NAME_BYTES_MAX + 1])
{
    uint32_t used = 0;
    while (in->bytes > 0 && in->data[0] != '/') {
        uint8_t byte = in->data[0];
        uint32_t taken = 1;
        if (byte == '%') {
            int high = in->bytes >= 3 ? digit_value(in->data[1]) : -1;
            int low = in->bytes >= 3 ? digit_value(in->data[2]) : -1;
            byte = (uint8_t)(high * 16 + low);
            taken = 3;
            if (high < 0 || low < 0 || byte == 0 || byte_is_unreserved(byte)) {
                return false;
            }
        } else if (!byte_is_unreserved(byte)) {
            return false;
        }
        if (used == WEFT_NAME_BYTES_MAX) {
            return false;
        }
        part[used++] = (char)byte;
        in->data += taken;
        in->bytes -= taken;
    }
    part[used] = '\0';
    if (used == 0 || last != (in->bytes == 0) || !text_is_utf8(part, used)) {
        return false;
    }
    if (!last) {
        in->data++;
        in->bytes--;
    }
    if (strcmp(part, "-") == 0) {
        part[0] = '\0'; /* unknown */
    }
    return true;
}

bool node_name_is_one(struct weft_span uri)
{
    size_t bytes = strlen(NODE_NAME_SCHEME);
    return uri.bytes >= bytes && strncasecmp((const char *)uri.data, NODE_NAME_SCHEME, bytes) == 0;
}

bool node_name_parse(struct secure_name *name, struct weft_span uri)
{
    uint32_t scheme = (uint32_t)strlen(NODE_NAME_SCHEME);
    char id[WEFT_NAME_BYTES_MAX + 1];
    char *const parts[PART_COUNT] = {name->cluster, name->dc, name->rack, id};
    if (uri.bytes < scheme || memcmp(uri.data, NODE_NAME_SCHEME, scheme) != 0) {
        return false;
    }
    uri.data += scheme;
    uri.bytes -= scheme;
    for (uint32_t i = 0; i < PART_COUNT; i++) {
        if (!part_parse(&uri, i == PART_COUNT - 1, parts[i])) {
            return false;
        }
    }
    name->has_id = uuid_parse(name->id, id);
    return name->cluster[0] != '\0' && name->has_id;
}

static bool part_fits(const char *a, const char *b)
{
    return a[0] == '\0' || b[0] == '\0' || strcmp(a, b) == 0;
}

enum weft_reason node_name_fits(const struct secure_name *proven, const struct secure_name *wanted)
{
    if (!part_fits(proven->cluster, wanted->cluster)) {
        return WEFT_REASON_WRONG_CLUSTER;
    }
    if (proven->has_id && wanted->has_id && memcmp(proven->id, wanted->id, UUID_BYTES) != 0) {
        return WEFT_REASON_WRONG_NODE;
    }
    return part_fits(proven->dc, wanted->dc) && part_fits(proven->rack, wanted->rack)
               ? WEFT_REASON_NONE
               : WEFT_REASON_LOCATION_CLAIM_MISMATCH;
}
