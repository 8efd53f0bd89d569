/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: node ids are read strictly and printed in one form.
 * Method: both cases of digits in, lower case out; a table of texts that are nearly right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/uuid.h"

static void uuid__either_case__printed_in_lower_case(void **state)
{
    (void)state;
    uint8_t id[UUID_BYTES];
    char text[UUID_TEXT_BYTES];
    assert_true(uuid_parse(id, "6F1c0002-0304-0506-0708-090a0B0c0dFF"));
    const uint8_t expected[UUID_BYTES] = {0x6f, 0x1c, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255};
    assert_memory_equal(id, expected, sizeof id);
    uuid_print(id, text);
    assert_string_equal(text, "6f1c0002-0304-0506-0708-090a0b0c0dff");
}

static void uuid__nearly_right__refused_and_untouched(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "6f1c0002",
                                      "6f1c0002-0304-0506-0708-090a0b0c0df",
                                      "6f1c0002-0304-0506-0708-090a0b0c0dfff",
                                      "6f1c0002-0304-0506-0708-090a0b0c0dff ",
                                      " 6f1c0002-0304-0506-0708-090a0b0c0dff",
                                      "6f1c00020304050607080-90a0b0c0dff",
                                      "6f1c0002030405060708090a0b0c0dff",
                                      "{6f1c0002-0304-0506-0708-090a0b0c0dff}",
                                      "6f1c0002-0304-0506-0708_090a0b0c0dff",
                                      "6f1c000g-0304-0506-0708-090a0b0c0dff",
                                      "6f1c0002-03040-506-0708-090a0b0c0dff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t id[UUID_BYTES];
        memset(id, 0xee, sizeof id);
        assert_false(uuid_parse(id, bad[i]));
        for (size_t at = 0; at < sizeof id; at++) {
            assert_int_equal(id[at], 0xee);
        }
    }
}

static void uuid__zero__is_no_id(void **state)
{
    (void)state;
    uint8_t id[UUID_BYTES] = {0};
    assert_true(uuid_is_zero(id));
    id[UUID_BYTES - 1] = 1;
    assert_false(uuid_is_zero(id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuid__either_case__printed_in_lower_case),
        cmocka_unit_test(uuid__nearly_right__refused_and_untouched),
        cmocka_unit_test(uuid__zero__is_no_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
