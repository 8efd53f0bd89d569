/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that run once over each real backend, whose name is their state at first; io_uring where it works. */
#ifndef WEFT_TESTS_INTEGRATION_OVER_BACKENDS_H
#define WEFT_TESTS_INTEGRATION_OVER_BACKENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct backend_test {
    const char *name;
    CMUnitTestFunction run;
};

#define BACKEND_TEST(function)                                                                                         \
    {                                                                                                                  \
#function, function                                                                                            \
    }

/* @return how many failed */
int over_backends(const struct backend_test *tests, size_t count, CMFixtureFunction set_up,
                  CMFixtureFunction tear_down);

#endif
