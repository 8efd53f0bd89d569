/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a payload lives exactly as long as somebody refers to it, its bounds hold, and the registry catches whoever
 * gives up or writes what the kernel still reads.
 * Method: payloads taken, wrapped, referred to, split and dropped in every order that matters; forbidden steps in a
 * child process that must abort; ASan asked what it holds for poisoned. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/limits.h"
#include "engine/base/payload.h"

#define ARENA_BYTES (1u << 20)
#define QUEUED_BYTES_MAX (1u << 20)

struct fixture {
    struct arena arena;
    struct payload_pool pool;
    uint32_t released;
    void *released_data;
    uint32_t released_bytes;
};

static void fixture_open(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    assert_int_equal(arena_init(&fixture->arena, NULL, ARENA_BYTES, 512), WEFT_OK);
    assert_int_equal(payload_pool_init(&fixture->pool, &fixture->arena, PAYLOADS_MAX, QUEUED_BYTES_MAX), WEFT_OK);
}

static void fixture_close(struct fixture *fixture)
{
    assert_int_equal(slots_in_use(&fixture->pool.payloads), 0);
    assert_int_equal(fixture->pool.arena_bytes, 0);
    assert_int_equal(fixture->pool.queued_bytes, 0);
    assert_int_equal(arena_used(&fixture->arena), 0);
    payload_pool_fini(&fixture->pool);
    arena_fini(&fixture->arena);
}

static void on_release(void *ctx, void *data, uint32_t bytes)
{
    struct fixture *fixture = ctx;
    fixture->released++;
    fixture->released_data = data;
    fixture->released_bytes = bytes;
}

static void expect_abort(void (*act)(struct weft_buf *payload, struct buf *buf), struct weft_buf *payload,
                         struct buf *buf)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        act(payload, buf);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    /* An assert, or ASan before it. */
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void expect_poisoned(const struct weft_buf *payload, bool poisoned)
{
    assert_int_equal(payload->poisoned, poisoned);
#if defined(WEFT_ASAN)
    assert_int_equal(__asan_address_is_poisoned(payload->data) != 0, poisoned);
    assert_int_equal(__asan_address_is_poisoned(payload->data + payload->bytes - 1) != 0, poisoned);
#endif
}

static void payload__last_reference_dropped__memory_is_back(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    weft_buf *buf = payload_take(&fixture.pool, 20000);
    assert_non_null(buf);
    assert_int_equal(weft_buf_bytes(buf), 20000);
    memset(weft_buf_data(buf), 1, 20000);
    assert_int_equal(fixture.pool.arena_bytes, 32768);
    assert_ptr_equal(weft_buf_ref(buf), buf);
    weft_buf_unref(buf);
    assert_int_equal(arena_used(&fixture.arena), 32768);
    weft_buf_unref(buf);
    weft_buf_unref(NULL);
    fixture_close(&fixture);
}

static void payload__wrapped__release_tells_once(void **state)
{
    (void)state;
    static uint8_t bytes[100];
    struct fixture fixture;
    fixture_open(&fixture);
    weft_buf *buf = payload_wrap(&fixture.pool, bytes, sizeof bytes, on_release, &fixture);
    assert_ptr_equal(weft_buf_data(buf), bytes);
    struct buf *reference = payload_refer(buf, &fixture);
    weft_buf_unref(buf);
    assert_int_equal(fixture.released, 0);
    payload_drop(reference);
    assert_int_equal(fixture.released, 1);
    assert_ptr_equal(fixture.released_data, bytes);
    assert_int_equal(fixture.released_bytes, sizeof bytes);
    assert_int_equal(arena_used(&fixture.arena), 0);
    fixture_close(&fixture);
}

static void payload__impossible_or_too_much__null(void **state)
{
    (void)state;
    static uint8_t bytes[1];
    struct fixture fixture;
    fixture_open(&fixture);
    assert_null(payload_take(&fixture.pool, 0));
    assert_null(payload_take(&fixture.pool, FRAME_BYTES_MAX + 1));
    assert_null(payload_wrap(&fixture.pool, bytes, 0, NULL, NULL));
    assert_null(payload_wrap(&fixture.pool, bytes, FRAME_BYTES_MAX + 1, NULL, NULL));
    /* Half of the arena is for frames that arrive. */
    assert_null(payload_take(&fixture.pool, ARENA_BYTES / 2 + 1));
    weft_buf *half = payload_take(&fixture.pool, ARENA_BYTES / 2);
    assert_non_null(half);
    assert_null(payload_take(&fixture.pool, 1));
    weft_buf_unref(half);
    fixture_close(&fixture);
}

static void payload__adopted_block__is_handed_over_or_stays(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    uint8_t *block = arena_take(&fixture.arena, 5000);
    weft_buf *buf = payload_adopt(&fixture.pool, block, 5000);
    assert_ptr_equal(weft_buf_data(buf), block);
    uint8_t *large = arena_take(&fixture.arena, ARENA_BYTES / 2);
    assert_null(payload_adopt(&fixture.pool, large, ARENA_BYTES / 2));
    arena_give_back(&fixture.arena, large);
    weft_buf_unref(buf);
    fixture_close(&fixture);
}

static void reference__refers_splits_and_ends__bytes_are_counted(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    weft_buf *buf = payload_take(&fixture.pool, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        weft_buf_data(buf)[i] = (uint8_t)(i * 7);
    }
    struct buf *all = payload_refer(buf, &fixture);
    assert_int_equal(buf_used(all), 1000);
    assert_int_equal(buf_room(all), 0);
    assert_int_equal(fixture.pool.queued_bytes, 1000);
    all->begin += 100; /* as after a short send */
    struct buf *front = payload_split(all, 300);
    assert_int_equal(buf_used(front), 300);
    assert_int_equal(buf_used(all), 600);
    assert_int_equal(front->data[front->begin], (uint8_t)(100 * 7));
    assert_int_equal(all->data[all->begin], (uint8_t)(400 * 7));
    assert_int_equal(buf_room(front), 0);
    assert_int_equal(buf_room(all), 0);
    assert_int_equal(fixture.pool.queued_bytes, 1000);
    weft_buf_unref(buf);
    payload_drop(front);
    assert_int_equal(fixture.pool.queued_bytes, 600);
    payload_drop(all);
    fixture_close(&fixture);
}

static void reference__more_bytes_than_may_be_queued__null(void **state)
{
    (void)state;
    static uint8_t bytes[QUEUED_BYTES_MAX];
    struct fixture fixture;
    fixture_open(&fixture);
    weft_buf *large = payload_wrap(&fixture.pool, bytes, QUEUED_BYTES_MAX, NULL, NULL);
    weft_buf *small = payload_wrap(&fixture.pool, bytes, 1, NULL, NULL);
    struct buf *reference = payload_refer(large, &fixture);
    assert_non_null(reference);
    assert_null(payload_refer(small, &fixture));
    payload_drop(reference);
    reference = payload_refer(small, &fixture);
    assert_non_null(reference);
    payload_drop(reference);
    weft_buf_unref(large);
    weft_buf_unref(small);
    fixture_close(&fixture);
}

static void reference__kernel_reads__poisoned_while_only_queues_refer(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    weft_buf *buf = payload_take(&fixture.pool, 4096);
    struct buf *first = payload_refer(buf, &fixture);
    struct buf *second = payload_refer(buf, &fixture);
    buf_to_kernel(first, BUF_KERNEL_READS);
    expect_poisoned(buf, false); /* the application has a reference and may read */
    weft_buf_unref(buf);
    expect_poisoned(buf, true);
    payload_read(second); /* as sealing does */
    expect_poisoned(buf, false);
    payload_settle(buf);
    expect_poisoned(buf, true);
    buf_to_kernel(second, BUF_KERNEL_READS);
    buf_from_kernel(first);
    expect_poisoned(buf, true);
    payload_drop(first);
    buf_from_kernel(second);
    expect_poisoned(buf, false);
    payload_drop(second);
    fixture_close(&fixture);
}

static void drop_twice(struct weft_buf *payload, struct buf *buf)
{
    (void)payload;
    payload_drop(buf);
    payload_drop(buf);
}

static void drop_in_the_kernel(struct weft_buf *payload, struct buf *buf)
{
    (void)payload;
    buf_to_kernel(buf, BUF_KERNEL_READS);
    payload_drop(buf);
}

static void split_in_the_kernel(struct weft_buf *payload, struct buf *buf)
{
    (void)payload;
    buf_to_kernel(buf, BUF_KERNEL_READS);
    (void)payload_split(buf, 1);
}

static void unref_a_queue_s(struct weft_buf *payload, struct buf *buf)
{
    (void)buf;
    weft_buf_unref(payload);
    weft_buf_unref(payload);
}

static void reference__misused__aborts(void **state)
{
    (void)state;
    static void (*const acts[])(struct weft_buf * payload, struct buf * buf) = {
        drop_twice,
        drop_in_the_kernel,
        split_in_the_kernel,
        unref_a_queue_s,
    };
    struct fixture fixture;
    fixture_open(&fixture);
    weft_buf *buf = payload_take(&fixture.pool, 4096);
    struct buf *reference = payload_refer(buf, &fixture);
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        expect_abort(acts[i], buf, reference);
    }
    payload_drop(reference);
    weft_buf_unref(buf);
    fixture_close(&fixture);
}

static void payload_pool__ends_while_payloads_are_kept__they_are_released(void **state)
{
    (void)state;
    static uint8_t bytes[10];
    struct fixture fixture;
    fixture_open(&fixture);
    weft_buf *kept = payload_wrap(&fixture.pool, bytes, sizeof bytes, on_release, &fixture);
    assert_ptr_equal(weft_buf_ref(kept), kept);
    assert_non_null(payload_take(&fixture.pool, 600));
    payload_pool_fini(&fixture.pool);
    assert_int_equal(fixture.released, 1);
    assert_int_equal(arena_used(&fixture.arena), 0);
    arena_fini(&fixture.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload__last_reference_dropped__memory_is_back),
        cmocka_unit_test(payload__wrapped__release_tells_once),
        cmocka_unit_test(payload__impossible_or_too_much__null),
        cmocka_unit_test(payload__adopted_block__is_handed_over_or_stays),
        cmocka_unit_test(reference__refers_splits_and_ends__bytes_are_counted),
        cmocka_unit_test(reference__more_bytes_than_may_be_queued__null),
        cmocka_unit_test(reference__kernel_reads__poisoned_while_only_queues_refer),
        cmocka_unit_test(reference__misused__aborts),
        cmocka_unit_test(payload_pool__ends_while_payloads_are_kept__they_are_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
