/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: an acceptor that is asked for more than it can do goes on doing what it can: who waited for too long is told so
 * at once, the others are answered in time, and the control lane is answered at any time.
 *
 * Method: handlers that take virtual time, and a dialer that calls by a schedule, at twice the rate that they can
 * serve and more. Every call is counted on both sides, by how it ended, and its answer by the connection. */
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
#define CHANNELS_FEW 14u
#define CHANNELS_MANY 60u
#define LOAD_NS (2 * PAIR_SECOND_NS)

struct overload;

/* One channel's part of the load. */
struct caller {
    struct overload *load;
    uint64_t sent, answered;
};

struct overload {
    struct channel_pair pair;
    struct caller callers[CHANNELS_MAX];
    struct timer timer;
    uint64_t timeout_ns;
    uint64_t begin_ns;
    uint32_t channels;
    uint32_t calls_per_tick;
    uint32_t greedy; /* of so many calls, all but one are the first caller's; 0: all callers are alike */
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
    struct caller *caller = ctx;
    struct overload *load = caller->load;
    caller->answered += err == WEFT_OK;
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

/* The first channel is the control lane's, or the only one. */
static void call(struct overload *load, uint32_t channel)
{
    struct caller *caller = &load->callers[channel];
    const struct call_request request = {
        .verb = VERB_BURN, .timeout_ns = load->timeout_ns, .fn = call_ended, .ctx = caller};
    caller->load = load;
    assert_int_equal(call_send(load->pair.sides[DIALER].channels[channel], &request), WEFT_OK);
    caller->sent++;
    load->sent++;
}

/* Whose the next call is. */
static uint32_t next_channel(struct overload *load)
{
    if (load->greedy != 0 && load->sent % load->greedy != 0) {
        return 1;
    }
    uint32_t first = load->greedy != 0 ? 1 : 0;
    load->next = load->next + 1 < load->channels ? load->next + 1 : first;
    return 1 + load->next;
}

static void load_tick(struct timer *timer, void *ctx)
{
    struct overload *load = ctx;
    uint64_t due = (sim_world_now_ns(load->pair.conns.world) - load->begin_ns) / TICK_NS * load->calls_per_tick;
    while (load->sent < due) {
        call(load, next_channel(load));
    }
    if (load->ping_ns == 0) {
        ping(load);
    }
    if (sim_world_now_ns(load->pair.conns.world) < load->begin_ns + LOAD_NS) {
        shard_timer_start(load->pair.sides[DIALER].rpc.shard, timer, TICK_NS);
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
    pair->options.conns_max = CHANNELS_MAX;
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

/* All that a connection brings in half of its callers' time is less than a turn's work, and a round of all of them more
 * than their callers wait, if it were done: they are told while there is time. */
static void overload__round_of_more_than_callers_wait__told_in_time(void **state)
{
    (void)state;
    struct overload load = {
        .timeout_ns = 50 * PAIR_MS, .channels = CHANNELS_MANY, .calls_per_tick = 5 * CALLS_PER_TICK / 2};
    load_open(&load, 4500);
    load_run(&load);
    load_compare(&load);
    assert_in_range(load.answered, LOAD_NS / HANDLER_NS * 9 / 10, LOAD_NS / HANDLER_NS * 11 / 10 + 10000);
    assert_in_range(load.expired + load.expired_there, 0, load.sent / 10);
    channel_pair_close(&load.pair);
}

/* What waits on one connection is answered by one send: sends are what refusals cost. */
static void overload__few_calls_of_many_connections__answers_go_together(void **state)
{
    (void)state;
    struct overload load = {.timeout_ns = 100 * PAIR_MS, .channels = CHANNELS_FEW, .calls_per_tick = CALLS_PER_TICK};
    load_open(&load, 4600);
    uint64_t before = load.pair.sides[ACCEPTOR].rpc.shard->io->counters.operations;
    load_run(&load);
    uint64_t operations = load.pair.sides[ACCEPTOR].rpc.shard->io->counters.operations - before;
    assert_in_range(operations, 1, load.sent / 40);
    channel_pair_close(&load.pair);
}

/* One caller brings 30 of 40 calls that come in the time of 20 handlers, and the others together ten: less for each of
 * them than there is for each. */
static void overload__one_greedy_caller__others_are_answered(void **state)
{
    (void)state;
    struct overload load = {
        .timeout_ns = 100 * PAIR_MS, .channels = CHANNELS_FEW, .calls_per_tick = CALLS_PER_TICK, .greedy = 4};
    load_open(&load, 4700);
    load_run(&load);
    load_compare(&load);
    assert_in_range(load.answered, LOAD_NS / HANDLER_NS * 9 / 10, LOAD_NS / HANDLER_NS * 11 / 10 + 10000);
    for (uint32_t i = 2; i <= load.channels; i++) {
        assert_in_range(load.callers[i].answered, load.callers[i].sent * 19 / 20, load.callers[i].sent);
    }
    assert_in_range(load.callers[1].answered, LOAD_NS / HANDLER_NS / 3, load.callers[1].sent);
    channel_pair_close(&load.pair);
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
    (void)shard;
    for (uint32_t i = 0; i < load->calls_per_tick; i++) {
        call(load, 0);
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
        cmocka_unit_test(overload__round_of_more_than_callers_wait__told_in_time),
        cmocka_unit_test(overload__few_calls_of_many_connections__answers_go_together),
        cmocka_unit_test(overload__one_greedy_caller__others_are_answered),
        cmocka_unit_test(overload__below_the_capacity__nobody_is_turned_away),
        cmocka_unit_test(overload__burst_of_less_than_half_the_time__all_answered),
        cmocka_unit_test(overload__caller_without_hello__waits_and_is_never_told_busy),
    };
    return cmocka_run_group_tests_name("overload", tests, NULL, NULL);
}
