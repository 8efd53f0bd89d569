/* SPDX-License-Identifier: Apache-2.0 */
/* The pair is made before each test and taken down after it, also when the test failed. */
#include "tests/integration/node_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/io/io_uring_probe.h"

#define TESTS_MAX 32u
#define NAME_BYTES 160u

static int pair_set_up(void **state)
{
    struct pair *pair = test_calloc(1, sizeof *pair);
    pair->backend = *state;
    host_pair_init(&pair->a, &pair->b, pair->backend);
    *state = pair;
    return 0;
}

void pair_start(struct pair *pair)
{
    host_start(&pair->b);
    host_start(&pair->a);
}

void pair_again(struct pair *pair)
{
    host_fini(&pair->a);
    host_fini(&pair->b);
    host_pair_init(&pair->a, &pair->b, pair->backend);
}

static int pair_tear_down(void **state)
{
    struct pair *pair = *state;
    host_fini(&pair->a);
    host_fini(&pair->b);
    authority_close(&pair->authority);
    test_free(pair);
    return 0;
}

void expect_ok(const struct answer *answer, uint32_t bytes)
{
    assert_int_equal(answer->started, WEFT_OK);
    assert_string_equal(answer->error.text, "");
    assert_int_equal(answer->err, WEFT_OK);
    assert_int_equal(answer->executed, WEFT_EXECUTED_YES);
    assert_int_equal(answer->bytes, bytes);
}

void expect_failed(const struct answer *answer, enum weft_err err, enum weft_executed executed)
{
    assert_int_equal(answer->started, WEFT_OK);
    assert_int_equal(answer->err, err);
    assert_int_equal(answer->error.code, err);
    assert_int_equal(answer->executed, executed);
}

static int pair_run_over(const char *backend, const struct pair_test *tests, size_t count)
{
    struct CMUnitTest group[TESTS_MAX] = {0};
    char names[TESTS_MAX][NAME_BYTES];
    assert_true(count <= TESTS_MAX);
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%s over %s", tests[i].name, backend);
        group[i] = (struct CMUnitTest){names[i], tests[i].run, pair_set_up, pair_tear_down, (void *)(uintptr_t)backend};
    }
    return _cmocka_run_group_tests(backend, group, count, NULL, NULL);
}

int pair_run(const struct pair_test *tests, size_t count)
{
    char text[256];
    int failed = pair_run_over("epoll", tests, count);
    if (io_uring_probe(text, sizeof text) != WEFT_OK) {
        printf("io_uring does not work here: %s\n", text);
        return failed;
    }
    return failed + pair_run_over("io_uring", tests, count);
}
