/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a host can run the shards on its own threads, by one descriptor each, and nothing is missed or spun for: what
 * comes from the network, from other threads and by the clock makes the descriptor readable, and nothing else does.
 *
 * Method: nodes on loopback addresses over both real backends; one thread that polls the shards of two nodes, and
 * threads that sleep inside of weft_shard_run_once. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/guest.h"
#include "tests/integration/over_backends.h"
#include "topology/cluster/node.h"

#define POLL_MS 30000
#define CALLS 200u
/* Alone, and attached. */
static void guest_open(struct guest *guest, const char *backend)
{
    memset(guest, 0, sizeof *guest);
    host_init(&guest->host, 1, backend);
    guest_start(guest);
    guest_attach(guest);
}

struct counted {
    uint32_t answers;
    uint32_t failures;
};

static void counted_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct counted *counted = ctx;
    counted->answers++;
    counted->failures += err != WEFT_OK || reply->payload.bytes != 5 || memcmp(reply->payload.data, "hello", 5) != 0;
}

static void calls__two_nodes_in_one_poll_loop__all_answered(void **state)
{
    const char *backend = *state;
    static struct guest a, b;
    struct guest *const both[] = {&a, &b};
    struct counted counted = {0};
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    host_pair_init(&a.host, &b.host, backend);
    b.host.options.shards = "2";
    guest_start(&a);
    guest_start(&b);
    guest_attach(&a);
    guest_attach(&b);
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.timeout_ms = 20000;
    options.wait_for_peer = true;
    uint32_t started = 0;
    while (counted.answers < CALLS) {
        while (started < CALLS && started - counted.answers < 8) { /* from outside of a turn: it is our shard */
            assert_int_equal(weft_call(a.shards[0], (weft_peer_id){1}, VERB_ECHO, weft_span_of("hello"), &options,
                                       counted_ended, &counted),
                             WEFT_OK);
            started++;
            assert_int_equal(weft_shard_run_once(a.shards[0], 0), WEFT_OK);
        }
        assert_true(guests_poll(both, 2, POLL_MS));
    }
    assert_int_equal(counted.failures, 0);
    assert_int_equal(a.ready, 1);
    assert_int_equal(b.ready, 2);
    weft_node_drain(a.host.node);
    weft_node_drain(b.host.node);
    for (uint32_t open = 3; open > 0;) { /* together: each waits for the other's end of their connections */
        open = 0;
        open += weft_shard_run_once(a.shards[0], 1000000) != WEFT_ERR_CLOSED;
        open += weft_shard_run_once(b.shards[0], 1000000) != WEFT_ERR_CLOSED;
        open += weft_shard_run_once(b.shards[1], 1000000) != WEFT_ERR_CLOSED;
    }
    guest_end(&b);
    guest_end(&a);
}

static void count_timer(void *ctx, weft_shard *shard)
{
    uint32_t *count = ctx;
    (void)shard;
    ++*count;
}

static void descriptor__nothing_to_do__quiet_until_the_timer(void **state)
{
    static struct guest guest;
    struct guest *const one[] = {&guest};
    struct weft_timer timers[2] = {0};
    uint32_t fired = 0;
    guest_open(&guest, *state);
    guests_settle(one, 1);
    assert_int_equal(guest.ready, 1);
    assert_false(guests_poll(one, 1, 20)); /* nothing came, so nothing is due */
    uint64_t due_ns = weft_shard_now_ns(guest.shards[0]) + 30000000;
    weft_timer_start(guest.shards[0], &timers[0], 30000000, count_timer, &fired);
    weft_timer_start(guest.shards[0], &timers[1], 31000000, count_timer, &fired);
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    assert_true(fired == 0 || weft_shard_now_ns(guest.shards[0]) >= due_ns); /* a busy machine may come late */
    uint32_t runs = 0;
    while (fired < 2) {
        assert_true(guests_poll(one, 1, POLL_MS));
        assert_true(runs++ < QUIET_RUNS); /* the wheel may ask to be looked at before, but not all the time */
    }
    guests_settle(one, 1);
    guest_end(&guest);
}

struct poster {
    struct guest *guest;
    atomic_uint ran;
};

static void poster_count(void *ctx, weft_shard *shard)
{
    struct poster *poster = ctx;
    (void)shard;
    atomic_fetch_add(&poster->ran, 1);
}

static void *poster_thread(void *ctx)
{
    struct poster *poster = ctx;
    for (uint32_t i = 0; i < CALLS; i++) {
        while (engine_post(poster->guest->host.node->engine, 0, poster_count, poster) != WEFT_OK) {
            sched_yield();
        }
    }
    return NULL;
}

static void descriptor__mail_of_another_thread__readable(void **state)
{
    static struct guest guest;
    struct guest *const one[] = {&guest};
    struct poster poster = {.guest = &guest};
    pthread_t thread;
    guest_open(&guest, *state);
    guests_settle(one, 1);
    pthread_create(&thread, NULL, poster_thread, &poster);
    while (atomic_load(&poster.ran) < CALLS) {
        assert_true(guests_poll(one, 1, POLL_MS)); /* a lost wake would end here */
    }
    pthread_join(thread, NULL);
    guests_settle(one, 1);
    guest_end(&guest);
}

static void post_to_oneself(void *ctx, weft_shard *shard)
{
    struct poster *poster = ctx;
    (void)shard;
    assert_int_equal(engine_post(poster->guest->host.node->engine, 0, poster_count, poster), WEFT_OK);
}

/* Behind the turn's own look into the mailbox: the descriptor must tell of it as soon as the turn is over. */
static void descriptor__mail_from_inside_a_turn__readable_at_once(void **state)
{
    static struct guest guest;
    struct guest *const one[] = {&guest};
    struct poster poster = {.guest = &guest};
    struct weft_timer timer = {0};
    guest_open(&guest, *state);
    for (uint32_t round = 1; round <= 3; round++) {
        guests_settle(one, 1);
        weft_timer_start(guest.shards[0], &timer, 0, post_to_oneself, &poster);
        assert_int_equal(weft_shard_run_once(guest.shards[0], 1000000), WEFT_OK);
        while (guests_poll(one, 1, 0)) {
        }
        assert_int_equal(atomic_load(&poster.ran), round);
    }
    guest_end(&guest);
}

/* A thread that attaches to one shard, and sleeps inside of weft_shard_run_once only. */
struct loop {
    struct guest *guest;
    uint32_t index;
    pthread_t thread;
    enum weft_err attached;
    enum weft_err ended;
};

static void *loop_thread(void *ctx)
{
    struct loop *loop = ctx;
    weft_shard *shard = NULL;
    loop->attached = weft_shard_attach(loop->guest->host.node, loop->index, &shard, NULL);
    while (loop->attached == WEFT_OK && loop->ended == WEFT_OK) {
        loop->ended = weft_shard_run_once(shard, WEFT_TIMEOUT_NEVER);
    }
    return NULL;
}

static void threads__of_the_host__serve_a_node_of_ours_until_drained(void **state)
{
    static struct guest guest;
    static struct host ours;
    struct loop loops[2];
    memset(&guest, 0, sizeof guest);
    host_pair_init(&guest.host, &ours, *state);
    guest.host.options.shards = "2";
    guest_start(&guest);
    for (uint32_t i = 0; i < 2; i++) {
        loops[i] = (struct loop){.guest = &guest, .index = i};
        pthread_create(&loops[i].thread, NULL, loop_thread, &loops[i]);
    }
    host_start(&ours);
    struct answer answer = host_call_patient(&ours, VERB_ECHO, 100000);
    assert_int_equal(answer.err, WEFT_OK);
    assert_int_equal(answer.wrong_bytes, 0);
    host_fini(&ours);
    weft_node_drain(guest.host.node);
    assert_int_equal(weft_node_wait(guest.host.node), 0);
    for (uint32_t i = 0; i < 2; i++) {
        pthread_join(loops[i].thread, NULL);
        assert_int_equal(loops[i].attached, WEFT_OK);
        assert_int_equal(loops[i].ended, WEFT_ERR_CLOSED);
    }
    host_fini(&guest.host);
}

static void clock__of_the_host__timers_follow_it_and_lateness_is_counted(void **state)
{
    static struct guest guest;
    struct weft_counters counters;
    struct weft_timer timer = {0};
    uint64_t now_ns = 5000000000;
    uint32_t fired = 0;
    memset(&guest, 0, sizeof guest);
    host_init(&guest.host, 1, *state);
    guest.host.options.monotonic_clock = guest.host.options.wall_clock = clock_read;
    guest.host.options.clock_ctx = &now_ns;
    guest_start(&guest);
    guest_attach(&guest);
    assert_int_equal(guest.host.node->settings.incarnation, 5000000000);
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    assert_int_equal(weft_shard_now_ns(guest.shards[0]), 5000000000);
    weft_timer_start(guest.shards[0], &timer, UINT64_C(3600) * 1000000000, count_timer, &fired);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    }
    assert_int_equal(fired, 0);
    weft_node_counters(guest.host.node, &counters);
    assert_int_equal(counters.host_late, 0);
    now_ns += UINT64_C(3602) * 1000000000;
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    assert_int_equal(fired, 1);
    weft_node_counters(guest.host.node, &counters);
    assert_int_equal(counters.host_late, 1);
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    weft_node_counters(guest.host.node, &counters);
    assert_int_equal(counters.host_late, 1);
    weft_node_drain(guest.host.node); /* looks again after a while of this clock */
    while (weft_shard_run_once(guest.shards[0], 0) == WEFT_OK) {
        now_ns += 1000000;
    }
    guest_end(&guest);
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(calls__two_nodes_in_one_poll_loop__all_answered),
        BACKEND_TEST(descriptor__nothing_to_do__quiet_until_the_timer),
        BACKEND_TEST(descriptor__mail_of_another_thread__readable),
        BACKEND_TEST(descriptor__mail_from_inside_a_turn__readable_at_once),
        BACKEND_TEST(threads__of_the_host__serve_a_node_of_ours_until_drained),
        BACKEND_TEST(clock__of_the_host__timers_follow_it_and_lateness_is_counted),
    };
    return over_backends(tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
