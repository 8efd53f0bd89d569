/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: sets of CPUs are read as the kernel writes them, whatever stands in the file, and print as short as they can.
 * Method: tables of texts with what must come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "topology/machine/cpu_set.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void cpu_set__lists__read_and_printed(void **state)
{
    (void)state;
    static const char *const texts[][2] = {{"", "none"},
                                           {"0", "0"},
                                           {"0-3,8", "0-3,8"},
                                           {"8,0-3", "0-3,8"},
                                           {"3,1,2", "1-3"},
                                           {"63-64,1023", "63-64,1023"},
                                           {"1000-9999999", "1000-1023"},
                                           {"5000", "none"}};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct cpu_set set = {{0}};
        char text[64];
        assert_true(cpu_set_add_list(&set, texts[i][0]));
        assert_string_equal(cpu_set_print(&set, text, sizeof text), texts[i][1]);
    }
}

static void cpu_set__other_texts__no_list(void **state)
{
    (void)state;
    static const char *const texts[] = {" ", "a", "0-", "-1", "3-1", "0,", ",0", "0 1", "0-1-2", "99999999", "0\n"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct cpu_set set = {{0}};
        assert_false(cpu_set_add_list(&set, texts[i]));
    }
}

static void cpu_set__masks__read(void **state)
{
    (void)state;
    static const char *const texts[][2] = {{"0", "none"},
                                           {"3", "0-1"},
                                           {"00000000,00000005", "0,2"},
                                           {"1,00000000", "32"},
                                           {"1,00000000,00000000", "64"},
                                           {"8000000F,80000000", "31-35,63"}};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct cpu_set set = {{0}};
        char text[64];
        assert_true(cpu_set_add_mask(&set, texts[i][0]));
        assert_string_equal(cpu_set_print(&set, text, sizeof text), texts[i][1]);
    }
    static const char *const bad[] = {"", ",", "g", "0x1", "1,", ",1", "123456789", "1 "};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct cpu_set set = {{0}};
        assert_false(cpu_set_add_mask(&set, bad[i]));
        assert_true(cpu_set_is_empty(&set));
    }
    /* 33 groups are one more than CPUs are looked at for. */
    char longest[33 * 2];
    for (size_t i = 0; i < 33; i++) {
        longest[2 * i] = '1';
        longest[2 * i + 1] = i < 32 ? ',' : '\0';
    }
    struct cpu_set set = {{0}};
    assert_false(cpu_set_add_mask(&set, longest));
    assert_true(cpu_set_add_mask(&set, longest + 2));
    assert_int_equal(cpu_set_count(&set), 32);
    assert_true(cpu_set_has(&set, 992));
    assert_false(cpu_set_has(&set, 1024));
}

static void cpu_set__little_room__cut_at_a_comma(void **state)
{
    (void)state;
    struct cpu_set set = {{0}};
    char text[16];
    for (uint32_t cpu = 0; cpu < 1024; cpu += 2) {
        cpu_set_add(&set, cpu);
    }
    assert_string_equal(cpu_set_print(&set, text, sizeof text), "0,2,4,6,8,...");
}

static void cpu_set__join__both(void **state)
{
    (void)state;
    struct cpu_set first = {{0}};
    struct cpu_set second = {{0}};
    char text[64];
    cpu_set_add(&first, 1);
    cpu_set_add(&second, 700);
    cpu_set_add(&second, 4000); /* none that is looked at */
    cpu_set_join(&first, &second);
    assert_string_equal(cpu_set_print(&first, text, sizeof text), "1,700");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_set__lists__read_and_printed),
        cmocka_unit_test(cpu_set__other_texts__no_list),
        cmocka_unit_test(cpu_set__masks__read),
        cmocka_unit_test(cpu_set__little_room__cut_at_a_comma),
        cmocka_unit_test(cpu_set__join__both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
