/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: who begins large frames and does not end them holds a share of the arena, and the others get through.
 *
 * Method: raw dialers that announce large payloads and send a few bytes of each, until their share is used up; then one
 * that counts as another source sends a whole one.  The same with callers that know no BUSY: they are not read from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define ARENA_BYTES (UINT64_C(4) << 20)
#define FRAME_BYTES (512u * 1024)
/* Frames that fit half of the arena beside the little that is in use, which one source may fill while nobody else is
 * there. */
#define FRAMES_FIT 3u
#define WRITERS 7u

static uint8_t bytes[FRAME_BYTES + FRAME_HEADER_BYTES_MAX];

static uint32_t announce(uint64_t verb)
{
    const struct wire_request request = {.timeout_ms = 60000, .verb = verb, .id = 1};
    memset(bytes, 0, sizeof bytes);
    return wire_request_write(bytes, true, &request, FRAME_BYTES);
}

static struct channel *share_writer(struct channel_pair *pair)
{
    channel_pair_dial(pair);
    channel_pair_raw_greet(pair, DIALER);
    return pair->sides[ACCEPTOR].channels[pair->sides[ACCEPTOR].channel_count - 1];
}

static void share_open(struct channel_pair *pair, uint64_t seed, bool hello)
{
    channel_pair_init(pair, seed);
    pair->options.arena_bytes = ARENA_BYTES;
    pair->sides[DIALER].raw = true;
    pair->sides[DIALER].hello = hello;
    channel_pair_open(pair);
    uint32_t head = announce(VERB_SINK);
    for (uint32_t i = 0; i < WRITERS; i++) {
        (void)share_writer(pair);
        channel_pair_raw_send(pair, DIALER, i, bytes, head + 100);
    }
    assert_int_equal(COUNTER(pair, ACCEPTOR, frames_over_share), WRITERS - FRAMES_FIT);
    assert_int_equal(pair->sides[ACCEPTOR].rpc.unfinished_bytes, FRAMES_FIT * FRAME_BYTES);
}

/* Another source's large frame arrives whole and is answered. */
static void share_other_gets_through(struct channel_pair *pair)
{
    struct channel *other = share_writer(pair);
    other->peer = 9;
    uint64_t answered = COUNTER(pair, ACCEPTOR, requests_answered);
    uint32_t head = announce(VERB_ECHO);
    channel_pair_raw_send(pair, DIALER, WRITERS, bytes, head + FRAME_BYTES);
    conn_pair_run(&pair->conns, PAIR_SECOND_NS);
    assert_int_equal(COUNTER(pair, ACCEPTOR, requests_answered), answered + 1);
}

static void share__one_source_writes_slowly__the_others_get_through(void **state)
{
    (void)state;
    struct channel_pair pair;
    share_open(&pair, 900, true);
    share_other_gets_through(&pair);
    /* One of those without memory ends its frame: read over, and BUSY. */
    channel_pair_raw_send(&pair, DIALER, WRITERS - 1, bytes + FRAME_HEADER_BYTES_MAX, FRAME_BYTES - 100);
    conn_pair_run(&pair.conns, PAIR_SECOND_NS);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_busy), 1);
    channel_pair_close(&pair);
}

static void share__callers_without_hello__wait_until_frames_end(void **state)
{
    (void)state;
    struct channel_pair pair;
    share_open(&pair, 901, false);
    share_other_gets_through(&pair);
    assert_true(pair.sides[ACCEPTOR].channels[WRITERS - 1]->stalled);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, frames_over_share), WRITERS - FRAMES_FIT); /* counted once each */
    /* Two of the first end their frames: that is room for two of those that wait. */
    for (uint32_t i = 0; i < 3; i++) {
        channel_pair_raw_send(&pair, DIALER, i, bytes + FRAME_HEADER_BYTES_MAX, FRAME_BYTES - 100);
    }
    conn_pair_run(&pair.conns, PAIR_SECOND_NS);
    assert_int_equal(pair.sides[ACCEPTOR].rpc.unfinished_bytes, FRAMES_FIT * FRAME_BYTES);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_busy), 0);
    channel_pair_close(&pair);
}

/* A frame that is larger than a share is let in alone. */
static void share__one_frame_over_the_share__let_in(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 902);
    pair.options.arena_bytes = ARENA_BYTES;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct outcome outcome;
    channel_pair_call(&pair, VERB_ECHO, 1500 * 1024, PAIR_SECOND_NS, &outcome);
    assert_int_equal(outcome.err, WEFT_OK);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, frames_over_share), 0);
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share__one_source_writes_slowly__the_others_get_through),
        cmocka_unit_test(share__callers_without_hello__wait_until_frames_end),
        cmocka_unit_test(share__one_frame_over_the_share__let_in),
    };
    return cmocka_run_group_tests_name("source share", tests, NULL, NULL);
}
