/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/over_backends.h"

#include <stdio.h>

#include "engine/io/io_uring_probe.h"

#define TESTS_MAX 32u
#define NAME_BYTES 128u

static int run_over(const char *backend, const struct backend_test *tests, size_t count, CMFixtureFunction set_up,
                    CMFixtureFunction tear_down)
{
    struct CMUnitTest group[TESTS_MAX] = {0};
    char names[TESTS_MAX][NAME_BYTES];
    assert_true(count <= TESTS_MAX);
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%s over %s", tests[i].name, backend);
        group[i] = (struct CMUnitTest){names[i], tests[i].run, set_up, tear_down, (void *)(uintptr_t)backend};
    }
    return _cmocka_run_group_tests(backend, group, count, NULL, NULL);
}

int over_backends(const struct backend_test *tests, size_t count, CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    char text[256];
    int failed = run_over("epoll", tests, count, set_up, tear_down);
    if (io_uring_probe(text, sizeof text) != WEFT_OK) {
        printf("io_uring does not work here: %s\n", text);
        return failed;
    }
    return failed + run_over("io_uring", tests, count, set_up, tear_down);
}
