/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a node, from the system and from a host's allocator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/mapping.h"

#define BYTES_MAX 8192u

struct pantry {
    uint8_t *given; /* BYTES_MAX */
    size_t bytes;
    size_t alignment;
    uint32_t out;
};

static _Alignas(4096) uint8_t shelf[BYTES_MAX];

static void *pantry_allocate(void *ctx, size_t bytes, size_t alignment)
{
    struct pantry *pantry = ctx;
    pantry->bytes = bytes;
    pantry->alignment = alignment;
    pantry->out += pantry->given != NULL ? 1 : 0;
    return pantry->given;
}

static void pantry_release(void *ctx, void *memory, size_t bytes)
{
    struct pantry *pantry = ctx;
    assert_ptr_equal(memory, pantry->given);
    assert_int_equal(bytes, pantry->bytes);
    pantry->out--;
}

typedef void *make_fn(const struct weft_allocator *allocator, uint64_t bytes);
typedef void drop_fn(const struct weft_allocator *allocator, void *memory, uint64_t bytes);

static void expect_all(const uint8_t *memory, size_t bytes, uint8_t value)
{
    for (size_t i = 0; i < bytes; i++) {
        assert_int_equal(memory[i], value);
    }
}

static void expect_from_host(make_fn *make, drop_fn *drop, size_t bytes, size_t alignment)
{
    for (uint32_t zeroed = 0; zeroed < 2; zeroed++) {
        struct pantry pantry = {.given = shelf};
        const struct weft_allocator allocator = {
            .allocate = pantry_allocate, .release = pantry_release, .ctx = &pantry, .zeroed = zeroed != 0};
        memset(shelf, 0xa5, sizeof shelf);
        assert_ptr_equal(make(&allocator, bytes), shelf);
        assert_int_equal(pantry.bytes, bytes);
        assert_int_equal(pantry.alignment, alignment);
        expect_all(shelf, bytes, zeroed != 0 ? 0xa5 : 0); /* what is promised to be zero is not touched */
        expect_all(shelf + bytes, BYTES_MAX - bytes, 0xa5);
        drop(&allocator, shelf, bytes);
        assert_int_equal(pantry.out, 0);
    }
}

static void host__gives__zeroed_unless_promised_and_given_back(void **state)
{
    (void)state;
    expect_from_host(heap_make, heap_drop, 1, 64);
    expect_from_host(heap_make, heap_drop, 5000, 64);
    expect_from_host(mapping_make, mapping_drop, 100, 64);
    expect_from_host(mapping_make, mapping_drop, 2048, 64);
    expect_from_host(mapping_make, mapping_drop, 2049, 4096);
    expect_from_host(mapping_make, mapping_drop, BYTES_MAX, 4096);
}

static void host__refuses__null_and_nothing_to_give_back(void **state)
{
    struct pantry pantry = {0};
    const struct weft_allocator allocator = {.allocate = pantry_allocate, .release = pantry_release, .ctx = &pantry};
    (void)state;
    assert_null(heap_make(&allocator, 100));
    assert_null(mapping_make(&allocator, 100));
    assert_null(mapping_make(&allocator, 5000));
    heap_drop(&allocator, NULL, 100);
    mapping_drop(&allocator, NULL, 100);
    mapping_drop(&allocator, NULL, 5000);
    assert_int_equal(pantry.out, 0);
}

static void system__gives__zeroed_and_aligned(void **state)
{
    static const size_t sizes[] = {1, 64, 2048, 2049, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *piece = heap_make(NULL, sizes[i]);
        uint8_t *mapping = mapping_make(NULL, sizes[i]);
        assert_non_null(piece);
        assert_non_null(mapping);
        assert_int_equal(((uintptr_t)piece | (uintptr_t)mapping) & 63, 0);
        expect_all(piece, sizes[i], 0);
        expect_all(mapping, sizes[i], 0);
        memset(piece, 1, sizes[i]);
        memset(mapping, 1, sizes[i]);
        heap_drop(NULL, piece, sizes[i]);
        mapping_drop(NULL, mapping, sizes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host__gives__zeroed_unless_promised_and_given_back),
        cmocka_unit_test(host__refuses__null_and_nothing_to_give_back),
        cmocka_unit_test(system__gives__zeroed_and_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
