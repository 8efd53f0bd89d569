/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a pool gives each buffer to one owner at a time, and the registry catches every wrong transition.
 * Method: pools used up and refilled; forbidden transitions in a child process that must abort; ASan asked what it
 * holds for poisoned; the kernel asked (mincore) which pages a large pool touched. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/buf.h"
#include "engine/base/prng.h"

/* Runs act in a child, which must die of an assert. */
static void expect_abort(void (*act)(struct buf_pool *pool, struct buf *buf), struct buf_pool *pool, struct buf *buf)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        act(pool, buf);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void expect_poisoned(const struct buf *buf, bool poisoned)
{
#if defined(WEFT_ASAN)
    assert_int_equal(__asan_address_is_poisoned(buf->data) != 0, poisoned);
    assert_int_equal(__asan_address_is_poisoned(buf->data + buf->bytes_max - 1) != 0, poisoned);
#else
    (void)buf;
    (void)poisoned;
#endif
}

static void buf_pool__take_all__each_once_then_null(void **state)
{
    (void)state;
    struct buf_pool pool;
    struct buf *taken[5];
    int owner = 0;
    assert_int_equal(buf_pool_init(&pool, NULL, 5, 4096), WEFT_OK);
    for (uint32_t i = 0; i < 5; i++) {
        taken[i] = buf_take(&pool, &owner);
        assert_non_null(taken[i]);
        assert_int_equal(taken[i]->state, BUF_OWNED);
        assert_ptr_equal(taken[i]->owner, &owner);
        assert_int_equal(taken[i]->bytes_max, 4096);
        assert_int_equal(buf_used(taken[i]), 0);
        assert_int_equal(buf_room(taken[i]), 4096);
        assert_ptr_equal(&pool.bufs[taken[i]->index], taken[i]);
        assert_false(list_node_linked(&taken[i]->link));
        memset(taken[i]->data, (int)i + 1, 4096);
    }
    assert_int_equal(pool.free_count, 0);
    assert_null(buf_take(&pool, &owner));
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(taken[i]->data[0], i + 1);
        assert_int_equal(taken[i]->data[4095], i + 1);
        buf_give_back(&pool, taken[i]);
    }
    assert_int_equal(pool.free_count, 5);
    buf_pool_fini(&pool);
}

static void buf_pool__last_given_back__taken_first_empty_and_one_generation_on(void **state)
{
    (void)state;
    struct buf_pool pool;
    assert_int_equal(buf_pool_init(&pool, NULL, 3, 4096), WEFT_OK);
    struct buf *one = buf_take(&pool, NULL);
    struct buf *two = buf_take(&pool, NULL);
    one->begin = 10;
    one->end = 20;
    assert_int_equal(buf_used(one), 10);
    assert_int_equal(buf_room(one), 4076);
    uint32_t generation = one->generation;
    buf_give_back(&pool, two);
    buf_give_back(&pool, one);
    assert_null(one->owner);
    assert_ptr_equal(buf_take(&pool, NULL), one);
    assert_int_equal(one->generation, generation + 1);
    assert_int_equal(one->begin, 0);
    assert_int_equal(one->end, 0);
    assert_ptr_equal(buf_take(&pool, NULL), two);
    buf_give_back(&pool, one);
    buf_give_back(&pool, two);
    buf_pool_fini(&pool);
}

static void buf_pool__odd_size__buffers_aligned_and_apart(void **state)
{
    (void)state;
    struct buf_pool pool;
    assert_int_equal(buf_pool_init(&pool, NULL, 4, 100), WEFT_OK);
    struct buf *taken[4];
    for (uint32_t i = 0; i < 4; i++) {
        taken[i] = buf_take(&pool, NULL);
        assert_int_equal(taken[i]->bytes_max, 100);
        assert_int_equal((uintptr_t)taken[i]->data % 64, 0);
        assert_true(taken[i]->data >= pool.memory);
        assert_true(taken[i]->data + 100 <= pool.memory + pool.memory_bytes);
        for (uint32_t other = 0; other < i; other++) {
            assert_true(llabs(taken[i]->data - taken[other]->data) >= 100);
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        buf_give_back(&pool, taken[i]);
    }
    buf_pool_fini(&pool);
}

static void buf_pool__impossible_sizes__refused(void **state)
{
    (void)state;
    struct buf_pool pool;
    assert_int_equal(buf_pool_init(&pool, NULL, 0, 4096), WEFT_ERR_INVALID);
    buf_pool_fini(&pool);
    assert_int_equal(buf_pool_init(&pool, NULL, 1, 0), WEFT_ERR_INVALID);
    buf_pool_fini(&pool);
    assert_int_equal(buf_pool_init(&pool, NULL, UINT32_MAX, UINT32_MAX), WEFT_ERR_NO_MEMORY);
    buf_pool_fini(&pool);
    buf_pool_fini(NULL);
}

static void buf__through_the_kernel__states_and_poison_follow(void **state)
{
    (void)state;
    struct buf_pool pool;
    assert_int_equal(buf_pool_init(&pool, NULL, 2, 4096), WEFT_OK);
    struct buf *buf = buf_take(&pool, NULL);
    expect_poisoned(buf, false);
    buf_to_kernel(buf, BUF_KERNEL_READS);
    assert_int_equal(buf->state, BUF_KERNEL_READS);
    expect_poisoned(buf, true);
    buf_from_kernel(buf);
    assert_int_equal(buf->state, BUF_OWNED);
    expect_poisoned(buf, false);
    buf_to_kernel(buf, BUF_KERNEL_WRITES);
    assert_int_equal(buf->state, BUF_KERNEL_WRITES);
    expect_poisoned(buf, true);
    buf_from_kernel(buf);
    buf_give_back(&pool, buf);
    assert_int_equal(buf->state, BUF_FREE);
    expect_poisoned(buf, true);
    buf_pool_fini(&pool);
}

static void act_give_back(struct buf_pool *pool, struct buf *buf)
{
    buf_give_back(pool, buf);
}

static void act_to_kernel(struct buf_pool *pool, struct buf *buf)
{
    (void)pool;
    buf_to_kernel(buf, BUF_KERNEL_READS);
}

static void act_to_kernel_as_owned(struct buf_pool *pool, struct buf *buf)
{
    (void)pool;
    buf_to_kernel(buf, BUF_OWNED);
}

static void act_from_kernel(struct buf_pool *pool, struct buf *buf)
{
    (void)pool;
    buf_from_kernel(buf);
}

static void act_fini(struct buf_pool *pool, struct buf *buf)
{
    (void)buf;
    buf_pool_fini(pool);
}

static void buf__wrong_transition__aborts(void **state)
{
    (void)state;
    struct buf_pool pool;
    struct buf_pool other;
    struct list queue;
    list_init(&queue);
    assert_int_equal(buf_pool_init(&pool, NULL, 2, 4096), WEFT_OK);
    assert_int_equal(buf_pool_init(&other, NULL, 2, 4096), WEFT_OK);
    struct buf *buf = buf_take(&pool, NULL);
    expect_abort(act_fini, &pool, buf);
    expect_abort(act_from_kernel, &pool, buf);
    expect_abort(act_to_kernel_as_owned, &pool, buf);
    expect_abort(act_give_back, &other, buf);
    list_push_back(&queue, &buf->link);
    expect_abort(act_give_back, &pool, buf);
    list_remove(&buf->link);
    buf_to_kernel(buf, BUF_KERNEL_WRITES);
    expect_abort(act_to_kernel, &pool, buf);
    expect_abort(act_give_back, &pool, buf);
    buf_from_kernel(buf);
    buf_give_back(&pool, buf);
    expect_abort(act_give_back, &pool, buf);
    expect_abort(act_to_kernel, &pool, buf);
    expect_abort(act_from_kernel, &pool, buf);
    buf_pool_fini(&pool);
    buf_pool_fini(&other);
}

static void buf_pool__random_takes_and_returns__counts_and_contents_hold(void **state)
{
    (void)state;
    struct buf_pool pool;
    struct prng prng;
    struct buf *held[16] = {NULL};
    uint32_t held_count = 0;
    prng_init(&prng, 6);
    assert_int_equal(buf_pool_init(&pool, NULL, 16, 512), WEFT_OK);
    for (uint32_t round = 0; round < 50000; round++) {
        uint32_t at = (uint32_t)prng_below(&prng, 16);
        if (held[at] == NULL) {
            held[at] = buf_take(&pool, &held[at]);
            assert_non_null(held[at]);
            memcpy(held[at]->data, &at, sizeof at);
            held_count++;
        } else {
            assert_ptr_equal(held[at]->owner, &held[at]);
            assert_memory_equal(held[at]->data, &at, sizeof at);
            buf_give_back(&pool, held[at]);
            held[at] = NULL;
            held_count--;
        }
        assert_int_equal(pool.free_count, 16 - held_count);
    }
    for (uint32_t at = 0; at < 16; at++) {
        if (held[at] != NULL) {
            buf_give_back(&pool, held[at]);
        }
    }
    buf_pool_fini(&pool);
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

/* A page fault may bring a huge page of 2 MiB, so the bound is two of those for each mapping. */
static void buf_pool__large_and_hardly_used__hardly_touched(void **state)
{
    (void)state;
    struct buf_pool pool;
    assert_int_equal(buf_pool_init(&pool, NULL, 1u << 18, 256), WEFT_OK);
    struct buf *one = buf_take(&pool, NULL);
    struct buf *two = buf_take(&pool, NULL);
    one->data[0] = 1;
    two->data[0] = 1;
    buf_give_back(&pool, one);
    buf_give_back(&pool, two);
    assert_true(resident_bytes(pool.memory, pool.memory_bytes) <= 4u << 20);
    assert_true(resident_bytes(pool.bufs, (uint64_t)pool.count * sizeof(struct buf)) <= 4u << 20);
    buf_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_pool__take_all__each_once_then_null),
        cmocka_unit_test(buf_pool__last_given_back__taken_first_empty_and_one_generation_on),
        cmocka_unit_test(buf_pool__odd_size__buffers_aligned_and_apart),
        cmocka_unit_test(buf_pool__impossible_sizes__refused),
        cmocka_unit_test(buf__through_the_kernel__states_and_poison_follow),
        cmocka_unit_test(buf__wrong_transition__aborts),
        cmocka_unit_test(buf_pool__random_takes_and_returns__counts_and_contents_hold),
        cmocka_unit_test(buf_pool__large_and_hardly_used__hardly_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
