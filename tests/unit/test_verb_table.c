/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a verb that was added is found with its handler, another one is not, and the table has an end.
 * Method: fill it with neighbours, with strangers, and with numbers that all hash to one slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/rpc/verb_table.h"

static void handler(void *ctx, weft_request *request)
{
    (void)ctx;
    (void)request;
}

static enum weft_err add(struct verb_table *table, uint64_t number)
{
    const struct verb verb = {.number = number, .fn = handler, .ctx = table, .one_way = number % 2 == 1};
    return verb_table_add(table, &verb);
}

static void expect_found(const struct verb_table *table, uint64_t number)
{
    const struct verb *verb = verb_table_find(table, number);
    assert_non_null(verb);
    assert_int_equal(verb->number, number);
    assert_true(verb->fn == handler);
    assert_ptr_equal(verb->ctx, table);
    assert_int_equal(verb->one_way, number % 2 == 1);
}

static void add__edges__refused_or_found(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        enum weft_err err;
    } cases[] = {{0, WEFT_OK},
                 {1, WEFT_OK},
                 {0, WEFT_ERR_INVALID}, /* there already */
                 {WEFT_VERB_RESERVED - 1, WEFT_OK},
                 {WEFT_VERB_RESERVED - 1, WEFT_ERR_INVALID},
                 {WEFT_VERB_RESERVED, WEFT_ERR_INVALID},
                 {WEFT_VERB_RESERVED + 1, WEFT_ERR_INVALID},
                 {UINT64_MAX, WEFT_ERR_INVALID}};
    struct verb_table table = {.count = 0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(add(&table, cases[i].number), cases[i].err);
    }
    assert_int_equal(table.count, 3);
    expect_found(&table, 0);
    expect_found(&table, 1);
    expect_found(&table, WEFT_VERB_RESERVED - 1);
    assert_null(verb_table_find(&table, 2));
    assert_null(verb_table_find(&table, WEFT_VERB_RESERVED));
    assert_null(verb_table_find(&table, UINT64_MAX));
}

static void add__without_a_function__refused(void **state)
{
    (void)state;
    struct verb_table table = {.count = 0};
    const struct verb verb = {.number = 7};
    assert_int_equal(verb_table_add(&table, &verb), WEFT_ERR_INVALID);
    assert_null(verb_table_find(&table, 7));
    assert_int_equal(table.count, 0);
}

static void table__full__all_found_and_no_more_taken(void **state)
{
    (void)state;
    static const uint64_t strides[] = {1, 256, UINT64_C(1) << 32, UINT64_C(0x123456789abcd)};
    for (size_t s = 0; s < sizeof strides / sizeof strides[0]; s++) {
        struct verb_table table = {.count = 0};
        for (uint64_t i = 0; i < VERBS_MAX; i++) {
            assert_int_equal(add(&table, i * strides[s]), WEFT_OK);
        }
        assert_int_equal(add(&table, VERBS_MAX * strides[s]), WEFT_ERR_QUEUE_FULL);
        for (uint64_t i = 0; i < VERBS_MAX; i++) {
            expect_found(&table, i * strides[s]);
        }
        for (uint64_t i = VERBS_MAX; i < 4096; i++) {
            assert_null(verb_table_find(&table, i * strides[s]));
        }
    }
}

static void table__all_in_one_slot__all_found(void **state)
{
    (void)state;
    struct verb_table table = {.count = 0};
    uint64_t numbers[100];
    uint32_t count = 0;
    for (uint64_t number = 0; count < 100; number++) {
        if (verb_table_hash(number) == VERB_SLOTS - 2) { /* the run wraps around the table's end */
            numbers[count++] = number;
            assert_int_equal(add(&table, number), WEFT_OK);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        expect_found(&table, numbers[i]);
    }
    for (uint64_t number = numbers[99] + 1; number < numbers[99] + 1000; number++) {
        assert_null(verb_table_find(&table, number));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add__edges__refused_or_found),
        cmocka_unit_test(add__without_a_function__refused),
        cmocka_unit_test(table__full__all_found_and_no_more_taken),
        cmocka_unit_test(table__all_in_one_slot__all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
