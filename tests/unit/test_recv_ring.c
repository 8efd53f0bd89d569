/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every byte that the kernel received is told once and in order, in buffers that come back to it, and as many are
 * offered as are used.
 *
 * Method: no kernel; completions are made up from what was offered. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/io/recv_ring.h"

#define BUFS 64u
#define BUF_BYTES 4096u
#define OFFERED 16u

struct fixture {
    struct recv_ring recv;
    struct io_op op;
    uint32_t head; /* the kernel's */
};

static void nothing(struct io_op *op, const struct io_event *event)
{
    (void)op;
    (void)event;
}

static int set_up(void **state)
{
    struct fixture *fixture = test_calloc(1, sizeof *fixture);
    assert_int_equal(recv_ring_init(&fixture->recv, NULL, BUFS, BUF_BYTES, NULL), WEFT_OK);
    io_op_init(&fixture->op, IO_RECV, nothing);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    recv_ring_fini(&fixture->recv);
    test_free(fixture);
    return 0;
}

/* The kernel takes the next buffers for so many bytes, or one for an error. */
static struct io_event receive(struct fixture *fixture, int32_t result, uint32_t flags)
{
    const struct io_uring_buf *first = &fixture->recv.ring->bufs[fixture->head % BUFS];
    const struct io_uring_cqe cqe = {
        .res = result, .flags = (uint32_t)first->bid << IORING_CQE_BUFFER_SHIFT | IORING_CQE_F_BUFFER | flags};
    struct io_event event = {.op = &fixture->op, .result = result, .lent = NULL};
    fixture->head += result <= 0 ? 1 : ((uint32_t)result + BUF_BYTES - 1) / BUF_BYTES;
    assert_true((uint16_t)(fixture->recv.ring->tail - fixture->head) <= BUFS); /* never more than were offered */
    recv_ring_filled(&fixture->recv, &fixture->op, &cqe, &event);
    return event;
}

static uint32_t offered(const struct fixture *fixture)
{
    return (uint16_t)(fixture->recv.ring->tail - fixture->head);
}

static void filled__one_buffer__lent_and_offered_again(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(offered(fixture), OFFERED);
    for (uint32_t i = 0; i < 3 * BUFS; i++) { /* around the ring and more */
        struct io_event event = receive(fixture, 100, IORING_CQE_F_MORE);
        assert_non_null(event.lent);
        assert_int_equal(buf_used(event.lent), 100);
        assert_true(event.more);
        assert_false(recv_ring_has_rest(&fixture->recv));
        assert_true(event.lent->index < OFFERED); /* the same few */
        recv_ring_return(&fixture->recv, event.lent);
        recv_ring_settle(&fixture->recv);
        assert_int_equal(offered(fixture), OFFERED);
    }
}

static void filled__several_buffers__told_in_order(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t round = 0; round < 2 * BUFS; round++) {
        struct io_event events[3];
        events[0] = receive(fixture, 2 * BUF_BYTES + 7, IORING_CQE_F_MORE);
        for (uint32_t i = 1; i < 3; i++) {
            assert_true(recv_ring_has_rest(&fixture->recv));
            recv_ring_next(&fixture->recv, &events[i]);
        }
        assert_false(recv_ring_has_rest(&fixture->recv));
        for (uint32_t i = 0; i < 3; i++) {
            const struct io_uring_buf *slot = &fixture->recv.ring->bufs[(fixture->head - 3 + i) % BUFS];
            assert_ptr_equal(events[i].op, &fixture->op);
            assert_true(events[i].more);
            assert_int_equal(events[i].result, i < 2 ? BUF_BYTES : 7);
            assert_int_equal(buf_used(events[i].lent), events[i].result);
            assert_ptr_equal(events[i].lent->data, (uint8_t *)(uintptr_t)slot->addr);
        }
        for (uint32_t i = 3; i > 0; i--) { /* in another order than they were offered in */
            recv_ring_return(&fixture->recv, events[i - 1].lent);
        }
        recv_ring_settle(&fixture->recv);
    }
}

static void filled__the_last_buffer_too__no_buffers_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct io_event event = receive(fixture, OFFERED * BUF_BYTES, 0);
    for (uint32_t i = 0; i < OFFERED; i++) {
        assert_int_equal(event.result, BUF_BYTES);
        assert_true(event.more);
        recv_ring_return(&fixture->recv, event.lent);
        assert_true(recv_ring_has_rest(&fixture->recv));
        recv_ring_next(&fixture->recv, &event);
    }
    assert_int_equal(event.result, -ENOBUFS);
    assert_false(event.more);
    assert_null(event.lent);
    assert_false(recv_ring_has_rest(&fixture->recv));
}

static void filled__once__ends_with_its_only_event(void **state)
{
    struct fixture *fixture = *state;
    struct io_uring_sqe sqe;
    fixture->op.recv.once = true;
    recv_ring_prepare(&fixture->recv, &sqe, &fixture->op);
    struct io_event event = receive(fixture, 100, 0);
    assert_false(event.more);
    assert_false(recv_ring_has_rest(&fixture->recv));
    recv_ring_return(&fixture->recv, event.lent);
}

static void filled__error__buffer_is_offered_again(void **state)
{
    struct fixture *fixture = *state;
    struct io_event event = receive(fixture, -ECONNRESET, 0);
    assert_int_equal(event.result, -ECONNRESET);
    assert_null(event.lent);
    assert_int_equal(offered(fixture), OFFERED);
}

/* One turn in which so many receives each take a buffer. */
static void turn(struct fixture *fixture, uint32_t results)
{
    struct buf *lent[BUFS];
    for (uint32_t i = 0; i < results; i++) {
        lent[i] = receive(fixture, 1, IORING_CQE_F_MORE).lent;
    }
    recv_ring_settle(&fixture->recv);
    for (uint32_t i = 0; i < results; i++) {
        recv_ring_return(&fixture->recv, lent[i]);
    }
}

static void settle__many_results__more_are_offered_and_later_fewer(void **state)
{
    struct fixture *fixture = *state;
    turn(fixture, OFFERED);
    assert_int_equal(offered(fixture), 2 * OFFERED);
    turn(fixture, 2 * OFFERED);
    assert_int_equal(offered(fixture), BUFS);
    turn(fixture, BUFS);
    assert_int_equal(offered(fixture), BUFS); /* all there are */
    for (uint32_t i = 0; i < 100000; i++) {
        turn(fixture, 1);
    }
    assert_int_equal(offered(fixture), OFFERED);
}

/* Who is sparing has few offered again, whatever was wanted, and receives take one each. */
static void sparing__few_are_offered_for_one_each__until_it_is_over(void **state)
{
    struct fixture *fixture = *state;
    struct io_uring_sqe sqe;
    turn(fixture, OFFERED);
    turn(fixture, 2 * OFFERED);
    assert_int_equal(offered(fixture), BUFS);
    fixture->recv.sparing = true;
    turn(fixture, BUFS);
    assert_int_equal(offered(fixture), OFFERED);
    turn(fixture, OFFERED);
    assert_int_equal(offered(fixture), OFFERED);
    recv_ring_prepare(&fixture->recv, &sqe, &fixture->op);
    struct io_event event = receive(fixture, 100, 0);
    assert_false(event.more);
    assert_false(recv_ring_has_rest(&fixture->recv)); /* it ended as it had to, and is not told so */
    recv_ring_return(&fixture->recv, event.lent);
    fixture->recv.sparing = false;
    turn(fixture, 1);
    assert_int_equal(offered(fixture), BUFS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(filled__one_buffer__lent_and_offered_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filled__several_buffers__told_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filled__the_last_buffer_too__no_buffers_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filled__once__ends_with_its_only_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filled__error__buffer_is_offered_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sparing__few_are_offered_for_one_each__until_it_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settle__many_results__more_are_offered_and_later_fewer, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
