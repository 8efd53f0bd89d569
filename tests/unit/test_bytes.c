/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: integers go to the wire and come back in little-endian order, at any alignment, touching no byte beside.
 * Method: the bytes are spelled out by hand; every offset within a word is tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"

#define GUARD 0xee

static void expect_guarded(const uint8_t *area, uint32_t area_bytes, uint32_t offset, const uint8_t *expected,
                           uint32_t bytes)
{
    for (uint32_t i = 0; i < area_bytes; i++) {
        bool inside = i >= offset && i < offset + bytes;
        assert_int_equal(area[i], inside ? expected[i - offset] : GUARD);
    }
}

static void bytes__store_at_any_offset__little_endian_and_nothing_beside(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x91};
    for (uint32_t offset = 1; offset <= 8; offset++) {
        uint8_t area[24];
        memset(area, GUARD, sizeof area);
        bytes_store16(area + offset, 0x7788);
        expect_guarded(area, sizeof area, offset, expected, 2);
        bytes_store32(area + offset, 0x55667788u);
        expect_guarded(area, sizeof area, offset, expected, 4);
        bytes_store64(area + offset, 0x9122334455667788u);
        expect_guarded(area, sizeof area, offset, expected, 8);
    }
}

static void bytes__load_at_any_offset__reads_little_endian(void **state)
{
    (void)state;
    for (uint32_t offset = 0; offset < 8; offset++) {
        uint8_t area[24];
        memset(area, GUARD, sizeof area);
        for (uint32_t i = 0; i < 8; i++) {
            area[offset + i] = (uint8_t)(0xf1 + i);
        }
        assert_int_equal(bytes_load16(area + offset), 0xf2f1);
        assert_int_equal(bytes_load32(area + offset), 0xf4f3f2f1u);
        assert_int_equal(bytes_load64(area + offset), 0xf8f7f6f5f4f3f2f1u);
    }
}

static void bytes__extremes__survive_the_round(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 0x7f, 0x80, 0xffff, 0x80000000u, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t area[8];
        bytes_store64(area, values[i]);
        assert_int_equal(bytes_load64(area), values[i]);
        bytes_store32(area, (uint32_t)values[i]);
        assert_int_equal(bytes_load32(area), (uint32_t)values[i]);
        bytes_store16(area, (uint16_t)values[i]);
        assert_int_equal(bytes_load16(area), (uint16_t)values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes__store_at_any_offset__little_endian_and_nothing_beside),
        cmocka_unit_test(bytes__load_at_any_offset__reads_little_endian),
        cmocka_unit_test(bytes__extremes__survive_the_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
