/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a wall clock that is set back is noticed once, and one that is moved forward or kept right never. Method: both
 * clocks by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/clock_watch.h"

#define SECOND UINT64_C(1000000000)
#define BEGIN (1700000000 * SECOND)

static void clock__set_back__told_once_and_by_how_much(void **state)
{
    struct clock_watch watch = {0};
    (void)state;
    assert_int_equal(clock_watch_look(&watch, 5 * SECOND, BEGIN), 0);
    assert_int_equal(clock_watch_look(&watch, 6 * SECOND, BEGIN - 3600 * SECOND), 3601);
    assert_int_equal(clock_watch_look(&watch, 7 * SECOND, BEGIN - 3599 * SECOND), 0);
    assert_int_equal(clock_watch_look(&watch, 8 * SECOND, BEGIN - 7200 * SECOND), 3602);
}

static void clock__a_minute_or_less_or_forward__not_told(void **state)
{
    struct clock_watch watch = {0};
    (void)state;
    assert_int_equal(clock_watch_look(&watch, 0, BEGIN), 0);
    assert_int_equal(clock_watch_look(&watch, 0, BEGIN - 60 * SECOND), 0);
    assert_int_equal(clock_watch_look(&watch, 0, BEGIN - 120 * SECOND - 1), 60);
    assert_int_equal(clock_watch_look(&watch, 0, BEGIN + 3600 * SECOND), 0);
    /* The other clock goes on while the wall stands still: so did not the wall. */
    assert_int_equal(clock_watch_look(&watch, 30 * SECOND, BEGIN + 3600 * SECOND), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock__set_back__told_once_and_by_how_much),
        cmocka_unit_test(clock__a_minute_or_less_or_forward__not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
