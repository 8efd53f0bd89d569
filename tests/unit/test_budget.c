/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the sum at the start is right, and what does not fit is refused with the arithmetic, or left out and said.
 *
 * Method: tables for options and limits; sums are added up again by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/limits.h"
#include "engine/rpc/channel.h"
#include "topology/cluster/budget.h"
#include "topology/cluster/link.h"

#define MIB (UINT64_C(1) << 20)

/* One shard with every default. */
static struct budget_input defaults(void)
{
    return (struct budget_input){
        .memory_bytes = 256 * MIB, .shards = 1, .connections = 4096, .calls = 16384, .requests = 16384, .listeners = 1};
}

static void check_sum(const struct budget *budget)
{
    uint64_t total = 0;
    for (int name = 0; name < BUDGET_LINES; name++) {
        assert_true(strlen(budget_line_name((enum budget_name)name)) > 0);
        total += budget->lines[name].count * budget->lines[name].bytes_each;
    }
    assert_int_equal(total, budget->total_bytes);
    assert_true(budget->total_bytes <= budget->memory_bytes);
}

/* An idle connection with what hangs on it: its slot and its link's, and their books. */
static void connection__idle__at_most_what_is_counted(void **state)
{
    (void)state;
    assert_true(sizeof(struct channel) + sizeof(struct link) + 2 * sizeof(struct slot_books) <=
                BUDGET_CONNECTION_BYTES);
}

static void budget__defaults__fit_with_and_without_tls(void **state)
{
    (void)state;
    struct budget_input input = defaults();
    struct budget budget;
    struct weft_error why = {0};
    for (int tls = 0; tls < 2; tls++) {
        input.tls = tls == 1;
        input.connections_given = true; /* 4096 of them must fit, not fewer */
        assert_int_equal(budget_make(&input, &budget, &why), WEFT_OK);
        check_sum(&budget);
        assert_int_equal(budget.connections, 4096);
        assert_string_equal(budget.lowered, "");
        assert_int_equal(budget_line_bytes(&budget, BUDGET_CONNECTIONS), 16 * MIB);
        assert_int_equal(budget_line_bytes(&budget, BUDGET_TLS), tls == 1 ? 96 * MIB : 0);
        assert_int_equal(budget_line_bytes(&budget, BUDGET_ARENA), 64 * MIB);
        assert_int_equal(budget.send_bufs, 4096);
        assert_int_equal(budget.recv_bufs, RECV_BUFS_DEFAULT);
    }
}

static void budget__many_shards__their_mailboxes_count(void **state)
{
    (void)state;
    struct budget_input input = defaults();
    struct budget budget;
    input.shards = 256;
    assert_int_equal(budget_make(&input, &budget, NULL), WEFT_OK);
    check_sum(&budget);
    assert_int_equal(budget.lines[BUDGET_MAILBOXES].count, 257);
}

static void budget__least_memory__small_parts_that_fit(void **state)
{
    (void)state;
    struct budget_input input = defaults();
    struct budget budget;
    struct weft_error why = {0};
    input.memory_bytes = BUDGET_MEMORY_BYTES_MIN;
    input.connections = 4;
    input.connections_given = true;
    input.calls = budget_calls(input.memory_bytes);
    input.requests = budget_calls(input.memory_bytes);
    assert_int_equal(input.calls, BUDGET_CALLS_LEAST);
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_OK);
    check_sum(&budget);
    assert_true(budget.send_bufs / SEND_RESERVE_PARTS >= 1);
    assert_true((budget.recv_bufs & (budget.recv_bufs - 1)) == 0);
    assert_true((budget.arena_bytes & (budget.arena_bytes - 1)) == 0);
}

static void budget__every_memory__sums_and_powers(void **state)
{
    (void)state;
    for (uint64_t memory = BUDGET_MEMORY_BYTES_MIN; memory <= BUDGET_MEMORY_BYTES_MAX; memory += memory / 3) {
        struct budget_input input = defaults();
        struct budget budget;
        struct weft_error why = {0};
        input.memory_bytes = memory;
        input.calls = budget_calls(memory);
        input.requests = budget_calls(memory);
        assert_int_equal(budget_make(&input, &budget, &why), WEFT_OK);
        check_sum(&budget);
        assert_true((budget.recv_bufs & (budget.recv_bufs - 1)) == 0);
        assert_true((budget.arena_bytes & (budget.arena_bytes - 1)) == 0);
        assert_true(budget.connections >= 1 && budget.connections <= 4096);
    }
}

static void memory__connections_do_not_fit__fewer_or_refused(void **state)
{
    (void)state;
    struct budget_input input = defaults();
    struct budget budget;
    struct weft_error why = {0};
    input.memory_bytes = 64 * MIB;
    input.tls = true;
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_OK);
    check_sum(&budget);
    assert_in_range(budget.connections, 500, 4095);
    assert_non_null(strstr(budget.lowered, "instead of 4096"));
    assert_non_null(strstr(budget.lowered, "memory_per_shard"));
    input.connections_given = true;
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "connections 4096 x 4096 B = 16.0 MiB"));
    assert_non_null(strstr(why.text, "of 64.0 MiB"));
    assert_null(strchr(why.text, '\n'));
}

static void descriptors__few__fewer_connections_or_refused(void **state)
{
    (void)state;
    struct budget_input input = defaults();
    struct budget budget;
    struct weft_error why = {0};
    input.shards = 2;
    input.listeners = 2;
    input.descriptors_open = 10;
    /* 10 + 8 + 2 x (4 + 2 + n) */
    input.descriptors = 10 + 8 + 2 * (4 + 2 + 8);
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_OK);
    assert_int_equal(budget.connections, 8);
    assert_non_null(strstr(budget.lowered, "8 connections per shard instead of 4096: RLIMIT_NOFILE is 46"));
    input.descriptors--;
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "10 open + 8 spare + 2 shards x (4 + 2 listening + 8 connections) = 46"));
    memset(&why, 0, sizeof why);
    input.descriptors = 16;
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_ERR_CONFIG);
    input.descriptors = 1u << 20;
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_OK);
    assert_int_equal(budget.connections, 4096);
    assert_int_equal(budget.descriptors, 10 + 8 + 2 * (4 + 2 + 4096));
}

static void ports__fewer_than_dials__refused(void **state)
{
    (void)state;
    struct budget_input input = defaults();
    struct budget budget;
    struct weft_error why = {0};
    input.ports = 100;
    input.dials = 100;
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_OK);
    input.dials = 101;
    assert_int_equal(budget_make(&input, &budget, &why), WEFT_ERR_CONFIG);
    assert_non_null(strstr(why.text, "101 connections to one peer and 100 source ports"));
}

static void print__short_of_room__cut_not_overrun(void **state)
{
    (void)state;
    struct budget_input input = defaults();
    struct budget budget;
    char text[600];
    assert_int_equal(budget_make(&input, &budget, NULL), WEFT_OK);
    budget_print(&budget, text, sizeof text);
    assert_non_null(strstr(text, "of 256.0 MiB per shard: shard "));
    assert_non_null(strstr(text, "arena 64.0 MiB"));
    for (uint32_t room = 1; room < 200; room++) {
        memset(text, 'x', sizeof text);
        budget_print(&budget, text, room);
        assert_true(strnlen(text, sizeof text) < room);
        assert_int_equal(text[room], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection__idle__at_most_what_is_counted),
        cmocka_unit_test(budget__defaults__fit_with_and_without_tls),
        cmocka_unit_test(budget__many_shards__their_mailboxes_count),
        cmocka_unit_test(budget__least_memory__small_parts_that_fit),
        cmocka_unit_test(budget__every_memory__sums_and_powers),
        cmocka_unit_test(memory__connections_do_not_fit__fewer_or_refused),
        cmocka_unit_test(descriptors__few__fewer_connections_or_refused),
        cmocka_unit_test(ports__fewer_than_dials__refused),
        cmocka_unit_test(print__short_of_room__cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
