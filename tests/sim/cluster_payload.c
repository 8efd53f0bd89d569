/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster_payload.h"

#include <stdio.h>

#include "engine/base/bytes.h"

static uint64_t payload_word(uint64_t id, uint32_t at)
{
    uint64_t x = (id + at) * UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

void payload_fill(uint8_t *to, uint32_t bytes, uint64_t salt)
{
    uint32_t at = 0;
    for (; at + 8 <= bytes; at += 8) {
        bytes_store64(to + at, payload_word(salt, at));
    }
    for (; at < bytes; at++) {
        to[at] = (uint8_t)payload_word(salt, at);
    }
}

bool payload_fits(const uint8_t *from, uint32_t bytes, uint64_t salt)
{
    uint32_t at = 0;
    uint64_t differing = 0;
    for (; at + 8 <= bytes; at += 8) {
        differing |= bytes_load64(from + at) ^ payload_word(salt, at);
    }
    for (; at < bytes; at++) {
        differing |= from[at] ^ (payload_word(salt, at) & 0xff);
    }
    return differing == 0;
}

void payload_fail_text(const struct cluster_call *call, char text[FAIL_TEXT_BYTES])
{
    snprintf(text, FAIL_TEXT_BYTES, "call %llu was to fail", (unsigned long long)call->id);
}
