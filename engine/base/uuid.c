/* SPDX-License-Identifier: Apache-2.0 */
/* Node ids to text and back. */
#include "engine/base/uuid.h"

#include <string.h>

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

/* A dash stands before these bytes of the id. */
static bool dash_before(uint32_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

bool uuid_parse(uint8_t id[UUID_BYTES], const char *text)
{
    uint8_t parsed[UUID_BYTES];
    /* Every test stops at the terminating NUL, so the text is never read past its end. */
    for (uint32_t i = 0; i < UUID_BYTES; i++) {
        if (dash_before(i) && *text++ != '-') {
            return false;
        }
        int high = digit_value(text[0]);
        int low = high < 0 ? -1 : digit_value(text[1]);
        if (low < 0) {
            return false;
        }
        parsed[i] = (uint8_t)(high * 16 + low);
        text += 2;
    }
    if (*text != '\0') {
        return false;
    }
    memcpy(id, parsed, sizeof parsed);
    return true;
}

void uuid_print(const uint8_t id[UUID_BYTES], char text[UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < UUID_BYTES; i++) {
        if (dash_before(i)) {
            *text++ = '-';
        }
        *text++ = digits[id[i] >> 4];
        *text++ = digits[id[i] & 15];
    }
    *text = '\0';
}

bool uuid_is_zero(const uint8_t id[UUID_BYTES])
{
    static const uint8_t zero[UUID_BYTES];
    return memcmp(id, zero, sizeof zero) == 0;
}
