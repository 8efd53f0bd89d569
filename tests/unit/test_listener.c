/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: who cannot accept, or has accepted enough, leaves the shard to those who are connected, for as long as it
 * should.
 *
 * Method: no backend; what was queued is taken for started, events are made up, and time is a number. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/net/listener.h"

#define MS UINT64_C(1000000)
#define PAUSE_NS (100 * MS)

struct fixture {
    struct io io;
    struct weft_shard *shard;
    struct net *net;
    struct listener listener;
    uint32_t accepted;
    uint32_t paused;
};

static void accepted(struct listener *listener, int32_t socket, const struct address *from)
{
    (void)socket;
    (void)from;
    ((struct fixture *)listener->ctx)->accepted++;
}

static void paused(struct listener *listener, int32_t os_errno)
{
    assert_int_equal(os_errno, EMFILE);
    ((struct fixture *)listener->ctx)->paused++;
}

static bool queued(const struct fixture *fixture)
{
    return !list_empty(&fixture->io.queued);
}

/* The backend has it. */
static void begin(struct fixture *fixture)
{
    assert_ptr_equal(list_pop_front(&fixture->io.queued), &fixture->listener.accept.link);
    fixture->listener.accept.state = IO_IN_FLIGHT;
}

static void tell(struct fixture *fixture, int32_t result, bool more)
{
    const struct io_event event = {.op = &fixture->listener.accept, .result = result, .more = more};
    io_deliver(&fixture->io, &event);
}

static void pass(struct fixture *fixture, uint64_t ns)
{
    struct timer *timer;
    fixture->shard->now_ns += ns;
    while ((timer = timer_wheel_expire(&fixture->shard->wheel, fixture->shard->now_ns)) != NULL) {
        timer->fn(timer, timer->ctx);
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->shard = calloc(1, sizeof *fixture->shard);
    fixture->net = calloc(1, sizeof *fixture->net);
    io_init(&fixture->io, NULL);
    fixture->shard->io = &fixture->io;
    fixture->net->shard = fixture->shard;
    timer_wheel_init(&fixture->shard->wheel, 0);
    listener_start(&fixture->listener, fixture->net, 7, accepted, fixture);
    fixture->listener.paused = paused;
    begin(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    free(fixture->net);
    free(fixture->shard);
    free(fixture);
    return 0;
}

static void accept__no_descriptors__tried_again_after_a_pause(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 1; i <= 3; i++) {
        tell(fixture, -EMFILE, false);
        assert_int_equal(fixture->shard->counters.accept_pauses, i);
        pass(fixture, PAUSE_NS - MS);
        assert_false(queued(fixture));
        pass(fixture, 2 * MS);
        begin(fixture);
    }
    assert_int_equal(fixture->paused, 1); /* told once */
}

static void accept__many_in_one_turn__the_connected_go_first(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < TURN_ACCEPTS_MAX - 1; i++) {
        tell(fixture, 8, true);
    }
    fixture->shard->turn_number++;
    for (uint32_t i = 0; i < TURN_ACCEPTS_MAX - 1; i++) {
        tell(fixture, 8, true);
        assert_false(fixture->listener.accept.cancel_asked);
    }
    tell(fixture, 8, true);
    assert_true(fixture->listener.accept.cancel_asked);
    tell(fixture, 8, true); /* what was on its way */
    tell(fixture, -ECANCELED, false);
    assert_int_equal(fixture->accepted, 2 * TURN_ACCEPTS_MAX);
    pass(fixture, MS / 2);
    assert_false(queued(fixture));
    pass(fixture, MS);
    begin(fixture);
    assert_int_equal(fixture->shard->counters.accept_pauses, 0);
}

static void accept__no_room_for_more__nothing_for_a_while(void **state)
{
    struct fixture *fixture = *state;
    listener_full(&fixture->listener);
    listener_full(&fixture->listener);
    assert_int_equal(fixture->shard->counters.accept_pauses, 1);
    tell(fixture, -ECANCELED, false);
    pass(fixture, PAUSE_NS - MS);
    assert_false(queued(fixture));
    pass(fixture, 2 * MS);
    begin(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accept__no_descriptors__tried_again_after_a_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(accept__many_in_one_turn__the_connected_go_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(accept__no_room_for_more__nothing_for_a_while, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
