/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the hello's bytes are as documented, and no bytes from outside read as anything but a whole hello.
 * Method: one hello compared byte by byte with a hand-made image; every cut of it refused; longer tails, longest
 * names, NUL bytes and overrunning lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/rpc/hello.h"

static const uint8_t image[] = {
    0x01, 0x00, 0x02, 0x80,                                                         /* version 1, flags 0x8002 */
    0x6f, 0x1c, 2,    3,    4,    5,    6,    7,    8, 9, 10, 11, 12, 13, 14, 0xff, /* id */
    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,                                 /* incarnation */
    0x08, 0x00, 0x03, 0x00, 0xff, 0xff,                                             /* 8 shards, shard 3, any */
    4,    'T',  'e',  's',  't',                                                    /* cluster */
    3,    'd',  'c',  '1',                                                          /* dc */
    0,                                                                              /* rack unknown */
    6,    'n',  'o',  'r',  'm',  'a',  'l',                                        /* lane */
};

static struct hello hello_make(void)
{
    struct hello hello = {.version = 1,
                          .flags = 0x8002,
                          .id = {0x6f, 0x1c, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff},
                          .incarnation = 0x1122334455667788,
                          .shards = 8,
                          .shard = 3,
                          .wanted_shard = HELLO_SHARD_ANY,
                          .cluster = "Test",
                          .dc = "dc1",
                          .rack = "",
                          .lane = "normal"};
    return hello;
}

static void expect_same(const struct hello *a, const struct hello *b)
{
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->flags, b->flags);
    assert_memory_equal(a->id, b->id, sizeof a->id);
    assert_true(a->incarnation == b->incarnation);
    assert_int_equal(a->shards, b->shards);
    assert_int_equal(a->shard, b->shard);
    assert_int_equal(a->wanted_shard, b->wanted_shard);
    assert_string_equal(a->cluster, b->cluster);
    assert_string_equal(a->dc, b->dc);
    assert_string_equal(a->rack, b->rack);
    assert_string_equal(a->lane, b->lane);
}

/* Reads from heap memory of exactly that size, so that a sanitizer sees one byte too far. */
static bool read_exact(struct hello *hello, const uint8_t *data, uint32_t bytes)
{
    uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    bool ok = hello_read(hello, (struct weft_span){copy, bytes});
    free(copy);
    return ok;
}

static void hello__written__bytes_as_documented(void **state)
{
    (void)state;
    struct hello hello = hello_make();
    uint8_t bytes[HELLO_BYTES_MAX];
    assert_int_equal(hello_bytes(&hello), sizeof image);
    assert_int_equal(hello_write(&hello, bytes, sizeof bytes), sizeof image);
    assert_memory_equal(bytes, image, sizeof image);
}

static void hello__read__fields_as_documented(void **state)
{
    (void)state;
    struct hello expected = hello_make();
    struct hello hello;
    memset(&hello, 0xee, sizeof hello);
    assert_true(read_exact(&hello, image, sizeof image));
    expect_same(&hello, &expected);
}

static void hello__every_cut__refused(void **state)
{
    (void)state;
    for (uint32_t bytes = 0; bytes < sizeof image; bytes++) {
        struct hello hello;
        assert_false(read_exact(&hello, image, bytes));
    }
}

static void hello__from_a_later_version__tail_ignored(void **state)
{
    (void)state;
    uint8_t longer[sizeof image + 5];
    memcpy(longer, image, sizeof image);
    memset(longer + sizeof image, 0, 5);
    longer[0] = 2;
    struct hello hello;
    assert_true(read_exact(&hello, longer, sizeof longer));
    assert_int_equal(hello.version, 2);
    assert_string_equal(hello.lane, "normal");
}

static void hello__name_with_nul_byte__refused(void **state)
{
    (void)state;
    /* The first byte of each name that has one. */
    static const uint32_t places[] = {35, 38, 40, 45, 50};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint8_t broken[sizeof image];
        memcpy(broken, image, sizeof image);
        broken[places[i]] = 0;
        struct hello hello;
        assert_false(read_exact(&hello, broken, sizeof broken));
    }
}

static void hello__longest_names__survive(void **state)
{
    (void)state;
    struct hello hello = hello_make();
    memset(hello.cluster, 'c', WEFT_NAME_BYTES_MAX);
    memset(hello.dc, 0xff, WEFT_NAME_BYTES_MAX);
    memset(hello.rack, '\n', WEFT_NAME_BYTES_MAX);
    memset(hello.lane, 'l', WEFT_NAME_BYTES_MAX);
    uint8_t bytes[HELLO_BYTES_MAX];
    assert_int_equal(hello_write(&hello, bytes, sizeof bytes), HELLO_BYTES_MAX);
    struct hello again;
    assert_true(read_exact(&again, bytes, sizeof bytes));
    expect_same(&again, &hello);
    assert_false(read_exact(&again, bytes, sizeof bytes - 1));
}

static void hello__no_room__nothing_written(void **state)
{
    (void)state;
    struct hello hello = hello_make();
    uint8_t bytes[sizeof image];
    memset(bytes, 0xee, sizeof bytes);
    assert_int_equal(hello_write(&hello, bytes, sizeof image - 1), 0);
    assert_int_equal(bytes[0], 0xee);
    assert_int_equal(hello_write(&hello, bytes, sizeof image), sizeof image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello__written__bytes_as_documented),
        cmocka_unit_test(hello__read__fields_as_documented),
        cmocka_unit_test(hello__every_cut__refused),
        cmocka_unit_test(hello__from_a_later_version__tail_ignored),
        cmocka_unit_test(hello__name_with_nul_byte__refused),
        cmocka_unit_test(hello__longest_names__survive),
        cmocka_unit_test(hello__no_room__nothing_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
