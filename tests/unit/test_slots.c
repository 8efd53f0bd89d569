/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a handle finds its object while it lives and never anything else; memory is touched only as far as used.
 * Method: random takes and returns beside an array that remembers every handle ever given; wrong returns in a child
 * process that must abort; odd object sizes for the arithmetic of indices. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/prng.h"
#include "engine/base/slots.h"

/* Gives object back in a child, which must die of an assert. */
static void expect_abort(struct slots *slots, void *object)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        slots_give_back(slots, object);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void slots__take_all__in_order_zeroed_then_null(void **state)
{
    (void)state;
    struct slots slots;
    static const uint8_t zeros[40];
    assert_int_equal(slots_init(&slots, NULL, 5, 40), WEFT_OK);
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t index = 99;
        uint32_t generation = 99;
        void *object = slots_take(&slots, &index, &generation);
        assert_non_null(object);
        assert_int_equal(index, i);
        assert_int_equal(generation, 1);
        assert_int_equal(slots_index_of(&slots, object), i);
        assert_ptr_equal(slots_find(&slots, i, 1), object);
        assert_memory_equal(object, zeros, 40);
        memset(object, 0xff, 40);
        assert_int_equal(slots_in_use(&slots), i + 1);
    }
    assert_null(slots_take(&slots, NULL, NULL));
    slots_fini(&slots);
}

static void slots__given_back__handle_misses_and_slot_comes_first(void **state)
{
    (void)state;
    struct slots slots;
    uint32_t index;
    uint32_t generation;
    assert_int_equal(slots_init(&slots, NULL, 3, 8), WEFT_OK);
    void *one = slots_take(&slots, NULL, NULL);
    void *two = slots_take(&slots, NULL, NULL);
    slots_give_back(&slots, two);
    slots_give_back(&slots, one);
    assert_null(slots_find(&slots, 0, 1));
    /* Not even the generation that it has now finds a free slot, nor the one that comes next. */
    assert_null(slots_find(&slots, 0, 2));
    assert_null(slots_find(&slots, 0, 3));
    assert_ptr_equal(slots_take(&slots, &index, &generation), one);
    assert_int_equal(index, 0);
    assert_int_equal(generation, 3);
    assert_null(slots_find(&slots, 0, 1));
    assert_null(slots_find(&slots, 0, 2));
    assert_ptr_equal(slots_find(&slots, 0, 3), one);
    assert_ptr_equal(slots_take(&slots, NULL, NULL), two);
    slots_fini(&slots);
}

static void slots__invented_handle__misses(void **state)
{
    (void)state;
    struct slots slots;
    assert_int_equal(slots_init(&slots, NULL, 4, 8), WEFT_OK);
    assert_null(slots_find(&slots, 0, 0));
    assert_null(slots_find(&slots, 0, 1));
    assert_non_null(slots_take(&slots, NULL, NULL));
    assert_null(slots_find(&slots, 0, 0));
    assert_null(slots_find(&slots, 0, 2));
    assert_null(slots_find(&slots, 1, 0));
    assert_null(slots_find(&slots, 1, 1));
    assert_null(slots_find(&slots, 4, 1));
    assert_null(slots_find(&slots, UINT32_MAX, 1));
    slots_fini(&slots);
}

static void slots__generation_at_its_end__skips_zero(void **state)
{
    (void)state;
    struct slots slots;
    uint32_t generation;
    assert_int_equal(slots_init(&slots, NULL, 1, 8), WEFT_OK);
    void *object = slots_take(&slots, NULL, NULL);
    slots.books[0].generation = UINT32_MAX;
    assert_ptr_equal(slots_find(&slots, 0, UINT32_MAX), object);
    slots_give_back(&slots, object);
    assert_ptr_equal(slots_take(&slots, NULL, &generation), object);
    assert_int_equal(generation, 1);
    slots_fini(&slots);
}

static void slots__any_object_size__aligned_and_index_exact(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1,   15,  16,  17,   48,   80,    100,
                                     112, 192, 208, 4096, 4104, 65537, SLOTS_OBJECT_BYTES_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct slots slots;
        assert_int_equal(slots_init(&slots, NULL, 1000, sizes[i]), WEFT_OK);
        uint8_t *before = NULL;
        for (uint32_t index = 0; index < 1000; index++) {
            uint8_t *object = slots_take(&slots, NULL, NULL);
            assert_int_equal((uintptr_t)object % SLOTS_ALIGN_BYTES, 0);
            assert_true(before == NULL || (size_t)(object - before) >= sizes[i]);
            assert_int_equal(slots_index_of(&slots, object), index);
            before = object;
        }
        slots_fini(&slots);
    }
}

static void slots__impossible_sizes__refused(void **state)
{
    (void)state;
    struct slots slots;
    assert_int_equal(slots_init(&slots, NULL, 0, 8), WEFT_ERR_INVALID);
    assert_int_equal(slots_init(&slots, NULL, SLOTS_COUNT_MAX + 1, 8), WEFT_ERR_INVALID);
    assert_int_equal(slots_init(&slots, NULL, 1, 0), WEFT_ERR_INVALID);
    assert_int_equal(slots_init(&slots, NULL, 1, SLOTS_OBJECT_BYTES_MAX + 1), WEFT_ERR_INVALID);
    slots_fini(&slots);
    slots_fini(NULL);
}

static void slots__wrong_return__aborts(void **state)
{
    (void)state;
    struct slots slots;
    uint64_t stranger = 0;
    assert_int_equal(slots_init(&slots, NULL, 4, 48), WEFT_OK);
    uint8_t *one = slots_take(&slots, NULL, NULL);
    uint8_t *two = slots_take(&slots, NULL, NULL);
    expect_abort(&slots, &stranger);
    expect_abort(&slots, one + 16);
    expect_abort(&slots, one - 48);
    expect_abort(&slots, two + 48);
    slots_give_back(&slots, one);
    expect_abort(&slots, one);
    slots_fini(&slots);
}

static void slots__walk__visits_those_in_use_by_index(void **state)
{
    (void)state;
    struct slots slots;
    void *objects[6];
    assert_int_equal(slots_init(&slots, NULL, 10, 8), WEFT_OK);
    assert_null(slots_next_in_use(&slots, 0));
    for (uint32_t i = 0; i < 6; i++) {
        objects[i] = slots_take(&slots, NULL, NULL);
    }
    slots_give_back(&slots, objects[0]);
    slots_give_back(&slots, objects[3]);
    slots_give_back(&slots, objects[5]);
    static const uint32_t expected[] = {1, 2, 4};
    uint32_t visited = 0;
    for (void *at = slots_next_in_use(&slots, 0); at != NULL;
         at = slots_next_in_use(&slots, slots_index_of(&slots, at) + 1)) {
        assert_true(visited < 3);
        assert_int_equal(slots_index_of(&slots, at), expected[visited]);
        visited++;
    }
    assert_int_equal(visited, 3);
    slots_fini(&slots);
}

static void slots__poison__follows_use(void **state)
{
    (void)state;
#if defined(WEFT_ASAN)
    struct slots slots;
    /* Enough for a mapping of its own: of freed heap memory the sanitizer itself says that it is poisoned. */
    assert_int_equal(slots_init(&slots, NULL, 128, 48), WEFT_OK);
    uint8_t *one = slots_take(&slots, NULL, NULL);
    assert_null(__asan_region_is_poisoned(one, 48));
    assert_true(__asan_address_is_poisoned(one + 48));
    slots_give_back(&slots, one);
    assert_true(__asan_address_is_poisoned(one));
    slots_fini(&slots);
    assert_false(__asan_address_is_poisoned(one));
#else
    skip();
#endif
}

/* ---- the model: every handle ever given ---- */

#define SLOTS 50u
#define HANDLES 5000u

struct handle {
    uint32_t index;
    uint32_t generation;
    uint32_t *object; /* NULL once given back */
};

static void slots__random_takes_and_returns__handles_hit_and_miss_as_remembered(void **state)
{
    (void)state;
    struct prng prng;
    struct slots slots;
    struct handle *handles = calloc(HANDLES, sizeof *handles);
    assert_non_null(handles);
    uint32_t live[SLOTS];
    uint32_t live_count = 0;
    uint32_t handle_count = 0;
    prng_init(&prng, 8);
    assert_int_equal(slots_init(&slots, NULL, SLOTS, sizeof(uint32_t)), WEFT_OK);
    while (handle_count < HANDLES) {
        if (live_count == SLOTS) {
            assert_null(slots_take(&slots, NULL, NULL));
        }
        if (live_count < SLOTS && prng_chance(&prng, 550000)) {
            struct handle *handle = &handles[handle_count];
            handle->object = slots_take(&slots, &handle->index, &handle->generation);
            assert_non_null(handle->object);
            *handle->object = handle_count;
            live[live_count++] = handle_count++;
        } else if (live_count > 0) {
            uint32_t at = (uint32_t)prng_below(&prng, live_count);
            struct handle *handle = &handles[live[at]];
            assert_int_equal(*handle->object, live[at]);
            slots_give_back(&slots, handle->object);
            handle->object = NULL;
            live[at] = live[--live_count];
        }
        assert_int_equal(slots_in_use(&slots), live_count);
        for (uint32_t i = 0; i < 5 && handle_count > 0; i++) {
            const struct handle *handle = &handles[prng_below(&prng, handle_count)];
            assert_ptr_equal(slots_find(&slots, handle->index, handle->generation), handle->object);
        }
    }
    assert_true(slots.count_touched == SLOTS);
    for (uint32_t i = 0; i < HANDLES; i++) {
        assert_ptr_equal(slots_find(&slots, handles[i].index, handles[i].generation), handles[i].object);
    }
    slots_fini(&slots);
    free(handles);
}

static void slots__two_in_turn__third_slot_never_touched(void **state)
{
    (void)state;
    struct slots slots;
    assert_int_equal(slots_init(&slots, NULL, SLOTS_COUNT_MAX, 256), WEFT_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        void *one = slots_take(&slots, NULL, NULL);
        void *two = slots_take(&slots, NULL, NULL);
        slots_give_back(&slots, one);
        slots_give_back(&slots, two);
    }
    assert_int_equal(slots.count_touched, 2);
    slots_fini(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots__take_all__in_order_zeroed_then_null),
        cmocka_unit_test(slots__given_back__handle_misses_and_slot_comes_first),
        cmocka_unit_test(slots__invented_handle__misses),
        cmocka_unit_test(slots__generation_at_its_end__skips_zero),
        cmocka_unit_test(slots__any_object_size__aligned_and_index_exact),
        cmocka_unit_test(slots__impossible_sizes__refused),
        cmocka_unit_test(slots__wrong_return__aborts),
        cmocka_unit_test(slots__walk__visits_those_in_use_by_index),
        cmocka_unit_test(slots__poison__follows_use),
        cmocka_unit_test(slots__random_takes_and_returns__handles_hit_and_miss_as_remembered),
        cmocka_unit_test(slots__two_in_turn__third_slot_never_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
