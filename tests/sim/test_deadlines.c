/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a peer that does not keep up ends its connection, at the right time and by the right name, and one that is only
 * slow does not.
 *
 * Method: channel pairs in virtual time.  Raw sides say half of something, or take nothing; the reason and the moment
 * of the end are held against the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS
#define MS PAIR_MS
#define ENDED(pair, end, why) ((pair)->conns.ends[end].shard->counters.ended_by_reason[(why)-WEFT_REASON_ENDS_BEGIN])

static uint64_t now_ns(struct channel_pair *pair)
{
    return sim_world_now_ns(pair->conns.world);
}

static bool acceptor_is_down(void *ctx)
{
    const struct channel_pair *pair = ctx;
    return pair->sides[ACCEPTOR].down > 0;
}

/* The acceptor's connection ends for this reason between these times, counted from now. */
static void expect_end(struct channel_pair *pair, enum weft_reason reason, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t begin_ns = now_ns(pair);
    conn_pair_until(&pair->conns, acceptor_is_down, pair);
    uint64_t took_ns = now_ns(pair) - begin_ns;
    assert_string_equal(weft_reason_name(pair->sides[ACCEPTOR].error.reason), weft_reason_name(reason));
    assert_in_range(took_ns, from_ns, to_ns);
}

static void raw_pair_init(struct channel_pair *pair, uint64_t seed)
{
    channel_pair_init(pair, seed);
    pair->sides[DIALER].raw = true;
    pair->options.frame_timeout_ns = 3 * SECOND;
    pair->options.send_timeout_ns = 4 * SECOND;
    pair->options.first_timeout_ns = 5 * SECOND;
    pair->options.sim.window_bytes = 64u << 10;
}

static void raw_pair(struct channel_pair *pair, uint64_t seed)
{
    raw_pair_init(pair, seed);
    channel_pair_open(pair);
    channel_pair_dial(pair); /* a tenth of a second, as each of the following */
}

static void hello__never_comes__hello_timeout(void **state)
{
    (void)state;
    struct channel_pair pair;
    raw_pair(&pair, 800);
    expect_end(&pair, WEFT_REASON_HELLO_TIMEOUT, 1800 * MS, 2000 * MS);
    channel_pair_close(&pair);
}

/* A byte now and then is no progress. */
static void hello__drop_by_drop__hello_timeout(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint32_t sent = 0;
    raw_pair(&pair, 801);
    while (pair.sides[DIALER].raws[0] != NULL && sent < NEGOTIATION_MAGIC_BYTES - 1) {
        channel_pair_raw_send(&pair, DIALER, 0, &NEGOTIATION_MAGIC[sent], 1);
        conn_pair_run(&pair.conns, 150 * MS);
        sent++;
    }
    expect_end(&pair, WEFT_REASON_HELLO_TIMEOUT, 0, 300 * MS);
    channel_pair_close(&pair);
}

static uint32_t request_write(uint8_t *to, int64_t id, uint32_t payload_bytes)
{
    const struct wire_request request = {.verb = VERB_SINK, .id = id};
    uint32_t bytes = wire_request_write(to, true, &request, payload_bytes);
    memset(to + bytes, 0x5a, payload_bytes);
    return bytes + payload_bytes;
}

static void frame__header_or_body_cut__frame_timeout(void **state)
{
    (void)state;
    static const uint32_t cuts[] = {1, 27, 28, 80};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        struct channel_pair pair;
        uint8_t bytes[256];
        raw_pair(&pair, 810);
        channel_pair_raw_greet(&pair, DIALER);
        (void)request_write(bytes, 1, 100);
        channel_pair_raw_send(&pair, DIALER, 0, bytes, cuts[i]);
        expect_end(&pair, WEFT_REASON_FRAME_TIMEOUT, 2800 * MS, 3000 * MS);
        assert_int_equal(ENDED(&pair, ACCEPTOR, WEFT_REASON_FRAME_TIMEOUT), 1);
        channel_pair_close(&pair);
    }
}

/* Bytes that trickle in do not restart its time, and whole frames before it do not matter. */
static void frame__drop_by_drop__frame_timeout(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t bytes[512];
    raw_pair(&pair, 811);
    channel_pair_raw_greet(&pair, DIALER);
    uint32_t whole = request_write(bytes, 1, 10);
    (void)request_write(bytes + whole, 2, 100);
    channel_pair_raw_send(&pair, DIALER, 0, bytes, whole + 5);
    for (uint32_t i = 0; i < 25; i++) {
        channel_pair_raw_send(&pair, DIALER, 0, bytes + whole + 5 + i, 1);
    }
    assert_int_equal(pair.sides[ACCEPTOR].sink_calls, 1);
    expect_end(&pair, WEFT_REASON_FRAME_TIMEOUT, 300 * MS, 500 * MS);
    channel_pair_close(&pair);
}

static void frame__slow_but_in_time__lives(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t bytes[256];
    raw_pair(&pair, 812);
    channel_pair_raw_greet(&pair, DIALER);
    for (int64_t id = 1; id <= 3; id++) {
        uint32_t count = request_write(bytes, id, 100);
        channel_pair_raw_send(&pair, DIALER, 0, bytes, 40);
        conn_pair_run(&pair.conns, 2500 * MS);
        channel_pair_raw_send(&pair, DIALER, 0, bytes + 40, count - 40);
        assert_int_equal(pair.sides[ACCEPTOR].sink_calls, (uint32_t)id);
    }
    conn_pair_run(&pair.conns, 20 * SECOND); /* between frames it may be silent */
    assert_int_equal(pair.sides[ACCEPTOR].down, 0);
    channel_pair_close(&pair);
}

static void accepted__brings_nothing__first_request_timeout(void **state)
{
    (void)state;
    struct channel_pair pair;
    raw_pair(&pair, 820);
    channel_pair_raw_greet(&pair, DIALER);
    expect_end(&pair, WEFT_REASON_FIRST_REQUEST_TIMEOUT, 4800 * MS, 5000 * MS);
    channel_pair_close(&pair);
}

static void do_pause(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_pause(((struct side *)ctx)->raws[0]);
}

static void do_resume(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_resume(((struct side *)ctx)->raws[0]);
}

static void ask_for(struct channel_pair *pair, int64_t id, uint32_t kib)
{
    uint8_t bytes[512];
    const struct wire_request request = {.verb = VERB_SOURCE, .id = id};
    uint32_t count = wire_request_write(bytes, true, &request, kib);
    memset(bytes + count, 1, kib);
    channel_pair_raw_send(pair, DIALER, 0, bytes, count + kib);
}

/* Asks for 200 KiB and takes none of it. */
static void source_and_pause(struct channel_pair *pair)
{
    channel_pair_raw_greet(pair, DIALER);
    conn_end_do(&pair->conns.ends[DIALER], do_pause, &pair->sides[DIALER]);
    ask_for(pair, 1, 200);
}

static void reader__takes_nothing__send_timeout(void **state)
{
    (void)state;
    struct channel_pair pair;
    raw_pair(&pair, 830);
    source_and_pause(&pair);
    expect_end(&pair, WEFT_REASON_SEND_TIMEOUT, 3800 * MS, 4000 * MS);
    assert_int_equal(ENDED(&pair, ACCEPTOR, WEFT_REASON_SEND_TIMEOUT), 1);
    channel_pair_close(&pair);
}

/* The first answer fills the network, so that of the second nothing is taken. */
static void reader__takes_nothing_of_a_zero_copy_send__send_timeout(void **state)
{
    (void)state;
    struct channel_pair pair;
    raw_pair_init(&pair, 832);
    pair.options.zero_copy = WEFT_SEND_ZEROCOPY_ALWAYS;
    pair.options.sim.window_bytes = wire_response_bytes(true) + 32 * 1024;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    channel_pair_raw_greet(&pair, DIALER);
    conn_end_do(&pair.conns.ends[DIALER], do_pause, &pair.sides[DIALER]);
    ask_for(&pair, 1, 32);
    conn_pair_run(&pair.conns, 4 * SECOND); /* what was taken in time ends nothing */
    ask_for(&pair, 2, 100);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, zero_copy_sends), 1);
    assert_non_null(pair.sides[ACCEPTOR].channels[0]->conn.zero_copy_now);
    expect_end(&pair, WEFT_REASON_SEND_TIMEOUT, 3800 * MS, 4000 * MS);
    channel_pair_close(&pair);
}

static void reader__stops_for_a_while__lives(void **state)
{
    (void)state;
    struct channel_pair pair;
    raw_pair(&pair, 831);
    source_and_pause(&pair);
    conn_pair_run(&pair.conns, 3500 * MS);
    conn_end_do(&pair.conns.ends[DIALER], do_resume, &pair.sides[DIALER]);
    conn_pair_run(&pair.conns, 30 * SECOND);
    assert_int_equal(pair.sides[ACCEPTOR].down, 0);
    assert_int_equal(pair.sides[DIALER].raw_used > 200 * 1024, true);
    channel_pair_close(&pair);
}

/* --- handshakes --- */

/* One at a time: the first dialer says nothing, so that the others wait for its time to pass. */
static void handshake__one_is_silent__the_others_wait_their_turn(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 840);
    pair.options.secure[ACCEPTOR] = true;
    pair.options.handshakes_max = 1;
    pair.sides[DIALER].raw = true;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    for (uint32_t i = 0; i < 3; i++) {
        conn_pair_run(&pair.conns, 300 * MS);
        channel_pair_dial(&pair);
    }
    const struct net *net = &pair.conns.ends[ACCEPTOR].net;
    assert_int_equal(net->handshake_count, 1);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, handshakes_waited), 3);
    expect_end(&pair, WEFT_REASON_HANDSHAKE_TIMEOUT, 600 * MS, 2000 * MS);
    conn_pair_run(&pair.conns, 50 * MS);
    assert_int_equal(net->handshake_count, 1); /* the next one's turn */
    conn_pair_run(&pair.conns, 5 * SECOND);    /* the time of those who wait runs too */
    assert_int_equal(pair.sides[ACCEPTOR].down, 4);
    assert_int_equal(net->handshake_count, 0);
    channel_pair_close(&pair);
}

/* Accepted by one end that lets one at a time shake hands, from another that says nothing. */
static void silent_pair(struct channel_pair *pair, uint64_t seed)
{
    channel_pair_init(pair, seed);
    pair->options.secure[ACCEPTOR] = true;
    pair->options.handshakes_max = 1;
    pair->sides[DIALER].raw = true;
    channel_pair_open(pair);
}

static void put_first(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_handshake_first(ctx);
}

static void give_up(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_abort(ctx, WEFT_ERR_CLOSED, WEFT_REASON_LOCAL_CLOSE);
}

/* Which of the accepted connections shakes hands, as a letter. */
static char who_shakes_hands(const struct channel_pair *pair)
{
    const struct side *acceptor = &pair->sides[ACCEPTOR];
    for (uint32_t i = 0; i < acceptor->channel_count; i++) {
        if (acceptor->channels[i] != NULL && acceptor->channels[i]->conn.handshaking) {
            return (char)('A' + i);
        }
    }
    return '-';
}

/* A shakes hands; of the others, those from D on were put first. */
static void handshake__put_first__before_the_others_but_for_one_in_eight(void **state)
{
    (void)state;
    struct channel_pair pair;
    char order[13] = {0};
    silent_pair(&pair, 843);
    struct conn_end *end = &pair.conns.ends[ACCEPTOR];
    struct channel **channels = pair.sides[ACCEPTOR].channels;
    for (uint32_t i = 0; i < 12; i++) {
        channel_pair_dial(&pair);
        assert_non_null(channels[i]);
        assert_int_equal(conn_handshake_waits(&channels[i]->conn), i > 0);
        if (i >= 3) {
            conn_end_do(end, put_first, &channels[i]->conn);
        }
    }
    for (uint32_t i = 0; i < 12; i++) {
        order[i] = who_shakes_hands(&pair);
        assert_int_not_equal(order[i], '-');
        conn_end_do(end, give_up, &channels[order[i] - 'A']->conn);
        conn_pair_run(&pair.conns, MS);
    }
    assert_string_equal(order, "ADEFGHIJBKLC");
    assert_int_equal(end->net.handshake_count, 0);
    channel_pair_close(&pair);
}

/* The one that shook hands is gone, and a newcomer there, in the same turn: it does not push in. */
static void handshake__newcomer_as_a_place_is_free__goes_behind_those_who_wait(void **state)
{
    (void)state;
    struct channel_pair pair;
    silent_pair(&pair, 844);
    channel_pair_dial(&pair);
    channel_pair_dial(&pair);
    assert_int_equal(who_shakes_hands(&pair), 'A');
    sim_world_freeze(pair.conns.world, ACCEPTOR, true);
    conn_end_do(&pair.conns.ends[DIALER], give_up, pair.sides[DIALER].raws[0]);
    conn_pair_run(&pair.conns, 20 * MS);
    channel_pair_dial(&pair);
    sim_world_freeze(pair.conns.world, ACCEPTOR, false);
    conn_pair_run(&pair.conns, 20 * MS);
    assert_int_equal(pair.sides[ACCEPTOR].channel_count, 3);
    assert_int_equal(who_shakes_hands(&pair), 'B');
    channel_pair_close(&pair);
}

static void dial_two(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    side_dial_now(ctx);
    side_dial_now(ctx);
}

static bool third_is_up(void *ctx)
{
    const struct channel_pair *pair = ctx;
    return pair->sides[ACCEPTOR].up == 1 && pair->sides[DIALER].up == 1;
}

/* The first two say nothing, and their time is over in the same turn: the one that waited must not hold up the third,
 * for whom nobody else would make room any more. */
static void handshake__one_that_waits_ends_with_the_silent_one__next_in_line_begins(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 842);
    pair.options.sim.latency_ns_min = pair.options.sim.latency_ns_max = MS;
    pair.options.secure[ACCEPTOR] = true;
    pair.options.secure[DIALER] = true;
    pair.options.handshakes_max = 1;
    channel_pair_open(&pair);
    struct side *dialer = &pair.sides[DIALER];
    dialer->raw = true;
    pair.conns.ends[DIALER].secure = false;
    conn_end_do(&pair.conns.ends[DIALER], dial_two, dialer);
    conn_pair_run(&pair.conns, SECOND);
    dialer->raw = false;
    pair.conns.ends[DIALER].secure = true;
    channel_pair_dial(&pair);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, handshakes_waited), 2);
    conn_pair_until(&pair.conns, third_is_up, &pair);
    assert_int_equal(pair.sides[ACCEPTOR].down, 2);
    assert_int_equal(pair.conns.ends[ACCEPTOR].net.handshake_count, 0);
    channel_pair_close(&pair);
}

static bool all_up(void *ctx)
{
    const struct channel_pair *pair = ctx;
    return pair->sides[ACCEPTOR].up == 6 && pair->sides[DIALER].up == 6;
}

static void dial_six(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    for (uint32_t i = 0; i < 6; i++) {
        side_dial_now(ctx);
    }
}

static void handshake__more_than_at_once__all_come_up(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    channel_pair_init(&pair, 841);
    pair.options.secure[ACCEPTOR] = true;
    pair.options.secure[DIALER] = true;
    pair.options.handshakes_max = 2;
    channel_pair_open(&pair);
    conn_end_do(&pair.conns.ends[DIALER], dial_six, &pair.sides[DIALER]);
    conn_pair_until(&pair.conns, all_up, &pair);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, handshakes_waited), 4);
    channel_pair_call(&pair, VERB_ECHO, 100, SECOND, &outcome);
    assert_int_equal(outcome.err, WEFT_OK);
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello__never_comes__hello_timeout),
        cmocka_unit_test(hello__drop_by_drop__hello_timeout),
        cmocka_unit_test(frame__header_or_body_cut__frame_timeout),
        cmocka_unit_test(frame__drop_by_drop__frame_timeout),
        cmocka_unit_test(frame__slow_but_in_time__lives),
        cmocka_unit_test(accepted__brings_nothing__first_request_timeout),
        cmocka_unit_test(reader__takes_nothing__send_timeout),
        cmocka_unit_test(reader__takes_nothing_of_a_zero_copy_send__send_timeout),
        cmocka_unit_test(reader__stops_for_a_while__lives),
        cmocka_unit_test(handshake__one_is_silent__the_others_wait_their_turn),
        cmocka_unit_test(handshake__one_that_waits_ends_with_the_silent_one__next_in_line_begins),
        cmocka_unit_test(handshake__put_first__before_the_others_but_for_one_in_eight),
        cmocka_unit_test(handshake__newcomer_as_a_place_is_free__goes_behind_those_who_wait),
        cmocka_unit_test(handshake__more_than_at_once__all_come_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
