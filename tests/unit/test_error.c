/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: an error record tells the first cause, in one line that nobody outside can forge.
 * Method: every byte value through the escape; every limit from both sides; records filled twice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/error.h"

static void text__every_byte__printable_stays_and_rest_becomes_hex(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char from = (char)byte;
        char to[8];
        char expected[8];
        if (byte >= 0x20 && byte <= 0x7e) {
            snprintf(expected, sizeof expected, "%c", (int)byte);
        } else {
            snprintf(expected, sizeof expected, "\\x%02x", byte);
        }
        weft_text_escape(to, sizeof to, &from, 1);
        assert_string_equal(to, expected);
    }
}

static void text__too_long__cut_with_no_half_escape(void **state)
{
    (void)state;
    static const char from[] = "ab\ncd";
    static const char *const expected[] = {"", "a", "ab", "ab", "ab", "ab", "ab\\x0a", "ab\\x0ac", "ab\\x0acd"};
    for (uint32_t to_bytes = 1; to_bytes <= 9; to_bytes++) {
        char to[16];
        memset(to, '#', sizeof to);
        weft_text_escape(to, to_bytes, from, 5);
        assert_string_equal(to, expected[to_bytes - 1]);
        for (uint32_t i = to_bytes; i < sizeof to; i++) {
            assert_int_equal(to[i], '#');
        }
    }
}

static void text__no_room_at_all__nothing_written(void **state)
{
    (void)state;
    char to[2] = "#";
    weft_text_escape(to, 0, "abc", 3);
    assert_int_equal(to[0], '#');
}

static void error__set__code_returned_and_text_formatted(void **state)
{
    (void)state;
    struct weft_error why = {0};
    assert_int_equal(weft_error_set(&why, WEFT_ERR_CONFIG, "%s: line %d", "node.yaml", 7), WEFT_ERR_CONFIG);
    assert_int_equal(why.code, WEFT_ERR_CONFIG);
    assert_int_equal(why.reason, WEFT_REASON_NONE);
    assert_int_equal(why.os_errno, 0);
    assert_string_equal(why.text, "node.yaml: line 7");
}

static void error__set_twice__first_cause_wins(void **state)
{
    (void)state;
    struct weft_error why = {0};
    assert_int_equal(weft_error_set(&why, WEFT_ERR_TLS, "first"), WEFT_ERR_TLS);
    assert_int_equal(weft_error_set(&why, WEFT_ERR_CLOSED, "second"), WEFT_ERR_CLOSED);
    assert_int_equal(weft_error_set_errno(&why, WEFT_ERR_SYSTEM, ENOENT, "third"), WEFT_ERR_SYSTEM);
    assert_int_equal(weft_error_set_reason(&why, WEFT_ERR_REFUSED, WEFT_REASON_REFUSALS_END, "fourth"),
                     WEFT_ERR_REFUSED);
    assert_int_equal(why.code, WEFT_ERR_TLS);
    assert_int_equal(why.os_errno, 0);
    assert_int_equal(why.reason, WEFT_REASON_NONE);
    assert_string_equal(why.text, "first");
}

static void error__no_record__code_still_returned(void **state)
{
    (void)state;
    assert_int_equal(weft_error_set(NULL, WEFT_ERR_BUSY, "%d", 1), WEFT_ERR_BUSY);
    assert_int_equal(weft_error_set_errno(NULL, WEFT_ERR_SYSTEM, EIO, "%d", 1), WEFT_ERR_SYSTEM);
    assert_int_equal(weft_error_set_reason(NULL, WEFT_ERR_TLS, WEFT_REASON_NONE, "%d", 1), WEFT_ERR_TLS);
}

static void error__forged_line__escaped(void **state)
{
    (void)state;
    struct weft_error why = {0};
    weft_error_set(&why, WEFT_ERR_REFUSED, "peer \"%s\"", "a\r\nweft: all is well\x1b[2J\xc3\xa9");
    assert_string_equal(why.text, "peer \"a\\x0d\\x0aweft: all is well\\x1b[2J\\xc3\\xa9\"");
}

static void error__longer_than_the_record__cut_and_terminated(void **state)
{
    (void)state;
    char plain[2 * WEFT_ERROR_TEXT_BYTES];
    memset(plain, 'x', sizeof plain - 1);
    plain[sizeof plain - 1] = '\0';
    struct weft_error why = {0};
    weft_error_set(&why, WEFT_ERR_INVALID, "%s", plain);
    assert_int_equal(strlen(why.text), WEFT_ERROR_TEXT_BYTES - 1);

    memset(plain, '\n', sizeof plain - 1);
    struct weft_error escaped = {0};
    weft_error_set(&escaped, WEFT_ERR_INVALID, "%s", plain);
    /* Whole escapes of four only: 127 of them fit before the NUL. */
    assert_int_equal(strlen(escaped.text), (WEFT_ERROR_TEXT_BYTES - 1) / 4 * 4);
    assert_null(strchr(escaped.text, '\n'));
}

static void error__set_errno__number_kept_and_text_appended(void **state)
{
    (void)state;
    struct weft_error why = {0};
    assert_int_equal(weft_error_set_errno(&why, WEFT_ERR_SYSTEM, ENOENT, "cannot open %s", "key\n.pem"),
                     WEFT_ERR_SYSTEM);
    assert_int_equal(why.os_errno, ENOENT);
    assert_string_equal(why.text, "cannot open key\\x0a.pem: No such file or directory");
}

static void error__set_reason__reason_kept(void **state)
{
    (void)state;
    enum weft_reason reason = (enum weft_reason)(WEFT_REASON_NONE + 1);
    struct weft_error why = {0};
    assert_int_equal(weft_error_set_reason(&why, WEFT_ERR_REFUSED, reason, "no"), WEFT_ERR_REFUSED);
    assert_int_equal(why.reason, reason);
    assert_string_equal(why.text, "no");
}

static void error__every_code__has_own_name_and_a_meaning(void **state)
{
    (void)state;
    static const char *const names[] = {
#define WEFT_X(name, value, text, meaning) [value] = text,
        WEFT_ERRORS(WEFT_X)
#undef WEFT_X
    };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_non_null(names[i]);
        assert_string_equal(weft_err_name((enum weft_err)i), names[i]);
        assert_string_not_equal(weft_err_meaning((enum weft_err)i), "unknown");
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(names[i], names[other]);
        }
    }
    assert_string_equal(weft_err_name((enum weft_err)(sizeof names / sizeof names[0])), "unknown");
    assert_string_equal(weft_err_meaning((enum weft_err)(sizeof names / sizeof names[0])), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text__every_byte__printable_stays_and_rest_becomes_hex),
        cmocka_unit_test(text__too_long__cut_with_no_half_escape),
        cmocka_unit_test(text__no_room_at_all__nothing_written),
        cmocka_unit_test(error__set__code_returned_and_text_formatted),
        cmocka_unit_test(error__set_twice__first_cause_wins),
        cmocka_unit_test(error__no_record__code_still_returned),
        cmocka_unit_test(error__forged_line__escaped),
        cmocka_unit_test(error__longer_than_the_record__cut_and_terminated),
        cmocka_unit_test(error__set_errno__number_kept_and_text_appended),
        cmocka_unit_test(error__set_reason__reason_kept),
        cmocka_unit_test(error__every_code__has_own_name_and_a_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
