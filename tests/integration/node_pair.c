/* SPDX-License-Identifier: Apache-2.0 */
/* The pair is made before each test and taken down after it, also when the test failed. */
#include "tests/integration/node_pair.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

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

int pair_run(const struct backend_test *tests, size_t count)
{
    return over_backends(tests, count, pair_set_up, pair_tear_down);
}
