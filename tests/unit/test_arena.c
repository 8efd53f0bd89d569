/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: blocks never overlap, are aligned and large enough, come together again, and "full" is never a lie.
 * Method: a map of the smallest blocks beside the arena, through random takes and returns: every block given must be
 * free in the map, and when the arena says no, no aligned run of free ones may exist.  Wrong returns happen in a child
 * process that must abort. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/arena.h"
#include "engine/base/assert.h"
#include "engine/base/prng.h"

/* Gives block back in a child, which must die of an assert. */
static void expect_abort(struct arena *arena, uint8_t *block)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        arena_give_back(arena, block);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ---- the model ---- */

#define UNIT 512u
#define UNITS 256u
#define HELD_MAX 64u

struct held {
    uint8_t *block;
    uint32_t bytes;
    uint32_t units;
    uint8_t mark;
};

struct model {
    struct arena arena;
    struct prng prng;
    bool taken[UNITS];
    struct held held[HELD_MAX];
    uint32_t refused;
};

static uint32_t units_for(uint32_t bytes)
{
    uint32_t units = 1;
    while (units * UNIT < bytes) {
        units *= 2;
    }
    return units;
}

static bool run_is_free(const struct model *model, uint32_t first, uint32_t units)
{
    for (uint32_t i = 0; i < units; i++) {
        if (model->taken[first + i]) {
            return false;
        }
    }
    return true;
}

static bool any_run_is_free(const struct model *model, uint32_t units)
{
    for (uint32_t first = 0; first + units <= UNITS; first += units) {
        if (run_is_free(model, first, units)) {
            return true;
        }
    }
    return false;
}

static uint64_t taken_bytes(const struct model *model)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < UNITS; i++) {
        bytes += model->taken[i] ? UNIT : 0;
    }
    return bytes;
}

static void model_take(struct model *model, struct held *held, uint32_t bytes, uint8_t mark)
{
    uint32_t units = units_for(bytes);
    uint8_t *block = arena_take(&model->arena, bytes);
    if (block == NULL) {
        assert_false(any_run_is_free(model, units));
        model->refused++;
        return;
    }
    uint64_t offset = (uint64_t)(block - model->arena.memory);
    assert_true(offset < model->arena.bytes);
    assert_int_equal(offset % (units * UNIT), 0);
    assert_true(run_is_free(model, (uint32_t)(offset / UNIT), units));
    memset(&model->taken[offset / UNIT], 1, units);
    memset(block, mark, bytes);
    *held = (struct held){block, bytes, units, mark};
}

static void model_give_back(struct model *model, struct held *held)
{
    for (uint32_t i = 0; i < held->bytes; i++) {
        assert_int_equal(held->block[i], held->mark);
    }
    memset(&model->taken[(held->block - model->arena.memory) / UNIT], 0, held->units);
    arena_give_back(&model->arena, held->block);
    held->block = NULL;
}

static void arena__random_takes_and_returns__same_as_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct model model = {.refused = 0};
        prng_init(&model.prng, seed);
        assert_int_equal(arena_init(&model.arena, NULL, UNIT * UNITS, UNIT), WEFT_OK);
        for (uint32_t round = 0; round < 4000; round++) {
            struct held *held = &model.held[prng_below(&model.prng, HELD_MAX)];
            if (held->block != NULL) {
                model_give_back(&model, held);
            } else {
                uint64_t bound = (uint64_t)UNIT << prng_below(&model.prng, 7);
                model_take(&model, held, 1 + (uint32_t)prng_below(&model.prng, bound), (uint8_t)round);
            }
            assert_int_equal(arena_used(&model.arena), taken_bytes(&model));
        }
        for (uint32_t i = 0; i < HELD_MAX; i++) {
            if (model.held[i].block != NULL) {
                model_give_back(&model, &model.held[i]);
            }
        }
        assert_int_equal(arena_used(&model.arena), 0);
        assert_true(model.refused > 0);
        /* All came together again. */
        model_take(&model, &model.held[0], UNIT * UNITS, 7);
        assert_non_null(model.held[0].block);
        arena_fini(&model.arena);
    }
}

/* ---- edges ---- */

static void arena__whole_and_more__given_and_refused(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 1u << 20, 512), WEFT_OK);
    assert_null(arena_take(&arena, (1u << 20) + 1));
    assert_null(arena_take(&arena, UINT32_MAX));
    uint8_t *whole = arena_take(&arena, 1u << 20);
    assert_ptr_equal(whole, arena.memory);
    assert_int_equal(arena_used(&arena), 1u << 20);
    assert_null(arena_take(&arena, 1));
    arena_give_back(&arena, whole);
    assert_int_equal(arena_used(&arena), 0);
    arena_fini(&arena);
}

static void arena__one_block_only__taken_and_given_back(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 512, 512), WEFT_OK);
    uint8_t *block = arena_take(&arena, 1);
    assert_non_null(block);
    assert_null(arena_take(&arena, 1));
    arena_give_back(&arena, block);
    assert_ptr_equal(arena_take(&arena, 512), block);
    arena_fini(&arena);
}

static void arena__sizes_around_a_power__rounded_up(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 1u << 20, 512), WEFT_OK);
    static const uint32_t asked[] = {1, 512, 513, 1024, 1025, 65536, 65537};
    static const uint32_t given[] = {512, 512, 1024, 1024, 2048, 65536, 131072};
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        uint8_t *block = arena_take(&arena, asked[i]);
        assert_int_equal(arena_used(&arena), given[i]);
        arena_give_back(&arena, block);
    }
    arena_fini(&arena);
}

/* Two small blocks leave the other half whole: the second is cut from what the first already broke. */
static void arena__small_blocks__leave_large_ones_whole(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 1u << 20, 512), WEFT_OK);
    for (uint32_t i = 0; i < (1u << 19) / 512; i++) {
        assert_non_null(arena_take(&arena, 512));
    }
    assert_non_null(arena_take(&arena, 1u << 19));
    assert_null(arena_take(&arena, 1));
    arena_fini(&arena);
}

static void arena__choice_of_halves__broken_before_whole_and_left_before_right(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 4096, 512), WEFT_OK);
    uint8_t *half = arena_take(&arena, 2048);
    uint8_t *small = arena_take(&arena, 512);
    arena_give_back(&arena, half);
    /* The left half is whole, the right one broken already. */
    uint8_t *buddy = arena_take(&arena, 512);
    assert_ptr_equal(buddy, small + 512);
    half = arena_take(&arena, 2048);
    assert_ptr_equal(half, arena.memory);
    arena_give_back(&arena, half);
    arena_give_back(&arena, small);
    arena_give_back(&arena, buddy);

    /* One quarter is free in each half. */
    uint8_t *quarters[3];
    for (uint32_t i = 0; i < 3; i++) {
        quarters[i] = arena_take(&arena, 1024);
        assert_ptr_equal(quarters[i], arena.memory + (uint64_t)i * 1024);
    }
    arena_give_back(&arena, quarters[1]);
    assert_ptr_equal(arena_take(&arena, 1024), quarters[1]);
    arena_fini(&arena);
}

static void arena__impossible_sizes__refused(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 0, 512), WEFT_ERR_INVALID);
    assert_int_equal(arena_init(&arena, NULL, 1000, 512), WEFT_ERR_INVALID);
    assert_int_equal(arena_init(&arena, NULL, 2 * (uint64_t)ARENA_BYTES_MAX, 512), WEFT_ERR_INVALID);
    assert_int_equal(arena_init(&arena, NULL, 1024, 0), WEFT_ERR_INVALID);
    assert_int_equal(arena_init(&arena, NULL, 1024, 500), WEFT_ERR_INVALID);
    assert_int_equal(arena_init(&arena, NULL, 1024, 32), WEFT_ERR_INVALID);
    assert_int_equal(arena_init(&arena, NULL, 1024, 2048), WEFT_ERR_INVALID);
    arena_fini(&arena);
    arena_fini(NULL);
}

static void arena__wrong_return__aborts(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 65536, 512), WEFT_OK);
    uint8_t *large = arena_take(&arena, 4096);
    uint8_t *small = arena_take(&arena, 512);
    uint8_t *neighbour = arena_take(&arena, 512);
    expect_abort(&arena, large + 1);
    expect_abort(&arena, large + 512);
    expect_abort(&arena, large + 2048);
    expect_abort(&arena, arena.memory - 1);
    expect_abort(&arena, arena.memory + 65536);
    arena_give_back(&arena, small);
    expect_abort(&arena, small);
    arena_give_back(&arena, neighbour);
    expect_abort(&arena, small);
    expect_abort(&arena, neighbour);
    arena_give_back(&arena, large);
    expect_abort(&arena, large);
    arena_fini(&arena);
}

static void arena__poison__free_bytes_only(void **state)
{
    (void)state;
#if defined(WEFT_ASAN)
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 65536, 512), WEFT_OK);
    uint8_t *memory = arena.memory;
    assert_true(__asan_address_is_poisoned(memory));
    uint8_t *block = arena_take(&arena, 1001);
    assert_null(__asan_region_is_poisoned(block, 1001));
    assert_true(__asan_address_is_poisoned(block + 1001));
    assert_true(__asan_address_is_poisoned(block + 1024));
    arena_give_back(&arena, block);
    assert_true(__asan_address_is_poisoned(block));
    arena_fini(&arena);
    assert_false(__asan_address_is_poisoned(memory));
#else
    skip();
#endif
}

static uint64_t resident_bytes(void *memory, uint64_t bytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t pages = (bytes + page - 1) / page;
    unsigned char *there = calloc(1, (size_t)pages);
    assert_non_null(there);
    assert_int_equal(mincore(memory, (size_t)bytes, there), 0);
    uint64_t resident = 0;
    for (uint64_t i = 0; i < pages; i++) {
        resident += (there[i] & 1) != 0 ? page : 0;
    }
    free(there);
    return resident;
}

/* A page fault may bring a huge page of 2 MiB; the tree of 16 MiB is entered along two paths. */
static void arena__large_and_hardly_used__hardly_touched(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, NULL, 1u << 29, 64), WEFT_OK);
    uint8_t *block = arena_take(&arena, 64);
    block[0] = 1;
    arena_give_back(&arena, block);
    assert_true(resident_bytes(arena.memory, arena.bytes) <= 4u << 20);
    assert_true(resident_bytes(arena.lacking, 2 * (arena.bytes / 64)) <= 8u << 20);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena__random_takes_and_returns__same_as_model),
        cmocka_unit_test(arena__whole_and_more__given_and_refused),
        cmocka_unit_test(arena__one_block_only__taken_and_given_back),
        cmocka_unit_test(arena__sizes_around_a_power__rounded_up),
        cmocka_unit_test(arena__small_blocks__leave_large_ones_whole),
        cmocka_unit_test(arena__choice_of_halves__broken_before_whole_and_left_before_right),
        cmocka_unit_test(arena__impossible_sizes__refused),
        cmocka_unit_test(arena__wrong_return__aborts),
        cmocka_unit_test(arena__poison__free_bytes_only),
        cmocka_unit_test(arena__large_and_hardly_used__hardly_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
