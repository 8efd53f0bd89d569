/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: no reason for which a dial can fail is left without words about what to change.
 * Method: every refusal, and the ends that a dial can come to before it is up, must have a row of its own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/remedy.h"

static struct remedy of_reason(enum weft_reason reason, bool told)
{
    const struct weft_error error = {.reason = reason};
    return remedy_of(&error, told);
}

static void expect_row(enum weft_reason reason)
{
    struct remedy unknown = of_reason(WEFT_REASON_NONE, false);
    for (int told = 0; told < 2; told++) {
        struct remedy remedy = of_reason(reason, told == 1);
        assert_non_null(remedy.text);
        assert_ptr_not_equal(remedy.text, unknown.text);
        assert_true(strlen(remedy.text) > 10);
    }
}

static void remedy__every_refusal__has_one(void **state)
{
    (void)state;
    for (int reason = WEFT_REASON_NONE + 1; reason < WEFT_REASON_REFUSALS_END; reason++) {
        expect_row((enum weft_reason)reason);
    }
}

static void remedy__ends_of_a_dial__have_one(void **state)
{
    (void)state;
    static const enum weft_reason ends[] = {
        WEFT_REASON_CONNECT_FAILED,   WEFT_REASON_CONNECT_TIMEOUT, WEFT_REASON_CLOSED_BY_PEER,
        WEFT_REASON_CONNECTION_RESET, WEFT_REASON_TRUNCATED,       WEFT_REASON_BAD_NEGOTIATION,
        WEFT_REASON_TLS_FAILED,
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        expect_row(ends[i]);
    }
}

static void remedy__who_says_it__decides_whose_certificate_it_is(void **state)
{
    (void)state;
    static const enum weft_reason reasons[] = {WEFT_REASON_CERT_EXPIRED, WEFT_REASON_CERT_REVOKED,
                                               WEFT_REASON_CERT_MISSING, WEFT_REASON_CERT_NAME_MISMATCH};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        assert_int_equal(of_reason(reasons[i], true).side, REMEDY_HERE);
        assert_int_equal(of_reason(reasons[i], false).side, REMEDY_THERE);
    }
    assert_string_equal(remedy_side_name(REMEDY_HERE), "here");
    assert_string_equal(remedy_side_name(REMEDY_THERE), "there");
    assert_string_equal(remedy_side_name(REMEDY_EITHER), "either side");
}

static void remedy__source_address_of_another_machine__is_here(void **state)
{
    (void)state;
    const struct weft_error error = {.reason = WEFT_REASON_CONNECT_FAILED, .os_errno = EADDRNOTAVAIL};
    assert_int_equal(remedy_of(&error, false).side, REMEDY_HERE);
    assert_int_equal(of_reason(WEFT_REASON_CONNECT_FAILED, false).side, REMEDY_THERE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(remedy__every_refusal__has_one),
        cmocka_unit_test(remedy__ends_of_a_dial__have_one),
        cmocka_unit_test(remedy__source_address_of_another_machine__is_here),
        cmocka_unit_test(remedy__who_says_it__decides_whose_certificate_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
