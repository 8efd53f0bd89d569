/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: an acceptor that is asked for more than it can do goes on doing what it can: who waited for too long is told so
 * at once, the others are answered in time, and the control lane is answered at any time.
 *
 * Method: handlers that take virtual time, and a dialer that calls by a schedule, at twice the rate that they can
 * serve. Every call is counted on both sides, by how it ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define VERB_BURN 90
#define HANDLER_NS UINT64_C(50000)
#define TICK_NS PAIR_MS
/* A millisecond's worth of handlers, twice. */
#define CALLS_PER_TICK 40u
#define LOAD_NS (2 * PAIR_SECOND_NS)

struct overload {
    struct channel_pair pair;
    struct timer timer;
    uint64_t timeout_ns;
    uint64_t begin_ns;
    uint32_t channels;
    uint32_t calls_per_tick;
    uint32_t next;
    uint64_t ping_ns; /* 0: none is under way */
    uint64_t ping_most_ns;
    uint64_t turn_most_ns;
    uint64_t sent, answered, busy, expired_there, expired, other;
};

static void burn(void *ctx, weft_request *request)
{
    struct overload *load = ctx;
    const struct weft_shard *shard = weft_request_shard(request);
    sim_world_spend(load->pair.conns.world, HANDLER_NS);
    uint64_t turn_ns = sim_world_now_ns(load->pair.conns.world) - shard->turn_ns;
    load->turn_most_ns = turn_ns > load->turn_most_ns ? turn_ns : load->turn_most_ns;
    (void)weft_reply(request, (struct weft_span){NULL, 0});
}

static void call_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct overload *load = ctx;
    load->answered += err == WEFT_OK;
    load->busy += err == WEFT_ERR_BUSY && reply->executed == WEFT_EXECUTED_NO;
    load->expired_there += err == WEFT_ERR_EXPIRED;
    load->expired += err == WEFT_ERR_TIMEOUT;
    load->other += err != WEFT_OK && err != WEFT_ERR_BUSY && err != WEFT_ERR_EXPIRED && err != WEFT_ERR_TIMEOUT;
}

static void ping_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct overload *load = ctx;
    uint64_t took_ns = sim_world_now_ns(load->pair.conns.world) - load->ping_ns;
    (void)reply;
    assert_int_equal(err, WEFT_OK);
    load->ping_most_ns = took_ns > load->ping_most_ns ? took_ns : load->ping_most_ns;
    load->ping_ns = 0;
}

static void ping(struct overload *load)
{
    static const uint8_t bytes[8];
    const struct call_request request = {.verb = WIRE_VERB_PING,
                                         .args = {bytes, sizeof bytes},
                                         .timeout_ns = PAIR_SECOND_NS,
                                         .fn = ping_ended,
                                         .ctx = load};
    load->ping_ns = sim_world_now_ns(load->pair.conns.world);
    assert_int_equal(call_send(load->pair.sides[DIALER].channels[0], &request), WEFT_OK);
}

/* The first channel is the control lane's. */
static void load_tick(struct timer *timer, void *ctx)
{
    struct overload *load = ctx;
    struct side *side = &load->pair.sides[DIALER];
    const struct call_request request = {
        .verb = VERB_BURN, .timeout_ns = load->timeout_ns, .fn = call_ended, .ctx = load};
    uint64_t due = (sim_world_now_ns(load->pair.conns.world) - load->begin_ns) / TICK_NS * load->calls_per_tick;
    while (load->sent < due) {
        enum weft_err err = call_send(side->channels[1 + load->next], &request);
        load->next = (load->next + 1) % load->channels;
        assert_int_equal(err, WEFT_OK);
        load->sent++;
    }
    if (load->ping_ns == 0) {
        ping(load);
    }
    if (sim_world_now_ns(load->pair.conns.world) < load->begin_ns + LOAD_NS) {
        shard_timer_start(side->rpc.shard, timer, TICK_NS);
    }
}

static void load_start(void *ctx, struct weft_shard *shard)
{
    struct overload *load = ctx;
    channel_set_lane(load->pair.sides[ACCEPTOR].channels[0], WEFT_LANE_CONTROL);
    load->timer = (struct timer){.fn = load_tick, .ctx = load};
    load->begin_ns = sim_world_now_ns(load->pair.conns.world);
    shard_timer_start(shard, &load->timer, TICK_NS);
}

static void load_open(struct overload *load, uint64_t seed)
{
    struct channel_pair *pair = &load->pair;
    const struct verb verb = {.number = VERB_BURN, .fn = burn, .ctx = load};
    channel_pair_init(pair, seed);
    pair->options.arena_bytes = UINT64_C(64) << 20;
    pair->options.recv_bufs = 256;
    pair->options.sim.latency_ns_min = 20000;
    pair->options.sim.latency_ns_max = 50000;
    pair->sides[DIALER].calls_max = pair->sides[ACCEPTOR].requests_max = 65536;
    assert_int_equal(verb_table_add(&pair->sides[ACCEPTOR].verbs, &verb), WEFT_OK);
    channel_pair_open(pair);
    for (uint32_t i = 0; i <= load->channels; i++) {
        channel_pair_connect(pair);
    }
}

static void load_run(struct overload *load)
{
    struct channel_pair *pair = &load->pair;
    conn_end_do(&pair->conns.ends[DIALER], load_start, load);
    conn_pair_run(&pair->conns, LOAD_NS + 2 * load->timeout_ns + PAIR_SECOND_NS);
    assert_int_equal(load->sent, load->answered + load->busy + load->expired_there + load->expired + load->other);
    assert_int_equal(load->other, 0);
}

/* What both sides counted; pings beside. */
static void load_compare(struct overload *load)
{
    const struct weft_peer_counters *served = load->pair.sides[ACCEPTOR].rpc.tally;
    assert_int_equal(served->requests_received - served->requests_own, load->sent);
    assert_int_equal(served->requests_received - served->requests_own,
                     served->requests_answered + served->requests_busy + served->requests_expired);
}

static void overload__twice_the_capacity__goodput_stays(void **state)
{
    static const uint64_t timeouts_ms[] = {20, 100, 1000};
    static const uint32_t channels[] = {1, 7};
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        struct overload load = {
            .timeout_ns = timeouts_ms[i / 2] * PAIR_MS, .channels = channels[i % 2], .calls_per_tick = CALLS_PER_TICK};
        load_open(&load, 4100 + i);
        load_run(&load);
        load_compare(&load);
        assert_in_range(load.answered, LOAD_NS / HANDLER_NS * 9 / 10, LOAD_NS / HANDLER_NS * 11 / 10 + 10000);
        assert_true(load.busy > load.sent / 4);
        assert_in_range(load.expired + load.expired_there, 0,
                        timeouts_ms[i / 2] < 100 ? load.sent / 10 : load.sent / 50);
        /* The turn's time, a look at the clock, and a handler more. */
        assert_in_range(load.turn_most_ns, HANDLER_NS, TURN_FRAMES_NS + 2 * TURN_CLOCK_FRAMES * HANDLER_NS);
        /* Some turns each way, since the simulator holds events back; never behind the queue of the others. */
        assert_in_range(load.ping_most_ns, 1, 20 * load.turn_most_ns);
        channel_pair_close(&load.pair);
    }
}

static void overload__below_the_capacity__nobody_is_turned_away(void **state)
{
    (void)state;
    struct overload load = {.timeout_ns = 20 * PAIR_MS, .channels = 7, .calls_per_tick = 15};
    load_open(&load, 4200);
    load_run(&load);
    load_compare(&load);
    assert_int_equal(load.answered, load.sent);
    channel_pair_close(&load.pair);
}

/* --- a burst that fits the callers' patience, and callers that have none to tell --- */

static void burst_of(void *ctx, struct weft_shard *shard)
{
    struct overload *load = ctx;
    const struct call_request request = {
        .verb = VERB_BURN, .timeout_ns = load->timeout_ns, .fn = call_ended, .ctx = load};
    (void)shard;
    for (uint32_t i = 0; i < load->calls_per_tick; i++) {
        assert_int_equal(call_send(load->pair.sides[DIALER].channels[0], &request), WEFT_OK);
        load->sent++;
    }
}

static void overload__burst_of_less_than_half_the_time__all_answered(void **state)
{
    (void)state;
    struct overload load = {.timeout_ns = 400 * PAIR_MS, .channels = 0, .calls_per_tick = 3000}; /* 150 ms of work */
    load_open(&load, 4300);
    conn_end_do(&load.pair.conns.ends[DIALER], burst_of, &load);
    conn_pair_run(&load.pair.conns, PAIR_SECOND_NS);
    assert_int_equal(load.answered, load.sent);
    channel_pair_close(&load.pair);
}

static void overload__caller_without_hello__waits_and_is_never_told_busy(void **state)
{
    (void)state;
    struct overload load = {.timeout_ns = 400 * PAIR_MS, .channels = 0, .calls_per_tick = 6000}; /* 300 ms of work */
    struct overload hello = load;
    load_open(&load, 4400);
    load.pair.sides[ACCEPTOR].channels[0]->peer_hello = false;
    load_open(&hello, 4401);
    conn_end_do(&load.pair.conns.ends[DIALER], burst_of, &load);
    conn_end_do(&hello.pair.conns.ends[DIALER], burst_of, &hello);
    conn_pair_run(&load.pair.conns, PAIR_SECOND_NS);
    conn_pair_run(&hello.pair.conns, PAIR_SECOND_NS);
    assert_int_equal(load.answered, load.sent);
    assert_true(hello.busy > 0);
    assert_int_equal(hello.busy + hello.answered, hello.sent);
    channel_pair_close(&load.pair);
    channel_pair_close(&hello.pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overload__twice_the_capacity__goodput_stays),
        cmocka_unit_test(overload__below_the_capacity__nobody_is_turned_away),
        cmocka_unit_test(overload__burst_of_less_than_half_the_time__all_answered),
        cmocka_unit_test(overload__caller_without_hello__waits_and_is_never_told_busy),
    };
    return cmocka_run_group_tests_name("overload", tests, NULL, NULL);
}
