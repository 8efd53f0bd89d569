/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian integers in unaligned bytes: everything on the wire is made of these. */
#ifndef ENGINE_BASE_BYTES_H
#define ENGINE_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#define WEFT_BIG_ENDIAN_HOST 1
#endif

/* The first and the last 16 bytes of a piece of 16 to 32. */
static inline void bytes_copy_ends(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    struct sixteen {
        uint64_t words[2];
    } first, last;
    memcpy(&first, from, sizeof first);
    memcpy(&last, from + bytes - sizeof last, sizeof last);
    memcpy(to, &first, sizeof first);
    memcpy(to + bytes - sizeof last, &last, sizeof last);
}

/* memcpy that takes NULL for no bytes, for pieces that are mostly small. */
static inline void bytes_copy(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    if (bytes >= 32 && bytes <= 64) {
        bytes_copy_ends(to, from, 32);
        bytes_copy_ends(to + bytes - 32, from + bytes - 32, 32);
    } else if (bytes >= 16 && bytes < 32) {
        bytes_copy_ends(to, from, bytes);
    } else if (bytes > 0) {
        memcpy(to, from, bytes);
    }
}

static inline uint16_t bytes_host16(uint16_t value)
{
#if defined(WEFT_BIG_ENDIAN_HOST)
    return __builtin_bswap16(value);
#else
    return value;
#endif
}

static inline uint32_t bytes_host32(uint32_t value)
{
#if defined(WEFT_BIG_ENDIAN_HOST)
    return __builtin_bswap32(value);
#else
    return value;
#endif
}

static inline uint64_t bytes_host64(uint64_t value)
{
#if defined(WEFT_BIG_ENDIAN_HOST)
    return __builtin_bswap64(value);
#else
    return value;
#endif
}

static inline uint16_t bytes_load16(const uint8_t *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return bytes_host16(value);
}

static inline uint32_t bytes_load32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return bytes_host32(value);
}

static inline uint64_t bytes_load64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return bytes_host64(value);
}

static inline void bytes_store16(uint8_t *to, uint16_t value)
{
    value = bytes_host16(value);
    memcpy(to, &value, sizeof value);
}

static inline void bytes_store32(uint8_t *to, uint32_t value)
{
    value = bytes_host32(value);
    memcpy(to, &value, sizeof value);
}

static inline void bytes_store64(uint8_t *to, uint64_t value)
{
    value = bytes_host64(value);
    memcpy(to, &value, sizeof value);
}

#endif
