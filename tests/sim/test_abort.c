/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the handler of a request learns that nobody waits for it any more, once: because its caller cancelled it, its
 * deadline passed, or its connection ended; and nobody can cancel what others asked for.
 *
 * Method: channel pairs over the simulator, whose acceptor keeps requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/errand.h"

#define SECOND PAIR_SECOND_NS

static void raw_request_by(struct channel_pair *pair, uint32_t raw, uint64_t verb, int64_t id, uint64_t timeout_ms,
                           struct weft_span payload)
{
    uint8_t frame[64];
    const struct wire_request request = {.timeout_ms = timeout_ms, .verb = verb, .id = id};
    uint32_t bytes = wire_request_write(frame, true, &request, payload.bytes);
    memcpy(frame + bytes, payload.data, payload.bytes);
    channel_pair_raw_send(pair, DIALER, raw, frame, bytes + payload.bytes);
}

static void raw_request(struct channel_pair *pair, uint64_t verb, int64_t id, uint64_t timeout_ms,
                        struct weft_span payload)
{
    raw_request_by(pair, 0, verb, id, timeout_ms, payload);
}

static void acceptor__cancel_of_anything__stops_one_request_at_most(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t id[9] = {0};
    channel_pair_init(&pair, 10);
    pair.sides[DIALER].raw = true;
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    channel_pair_raw_greet(&pair, DIALER);
    for (int64_t i = 1; i <= 3; i++) {
        raw_request(&pair, VERB_KEEP, i, 0, weft_span_of("k"));
    }
    raw_request(&pair, VERB_KEEP, 3, 0, weft_span_of("k")); /* an id that is in use */
    bytes_store64(id, 77);
    raw_request(&pair, WIRE_VERB_CANCEL, 10, 0, (struct weft_span){id, 8}); /* nobody's */
    bytes_store64(id, 2);
    raw_request(&pair, WIRE_VERB_CANCEL, 11, 0, (struct weft_span){id, 7}); /* too short */
    raw_request(&pair, WIRE_VERB_CANCEL, 12, 0, (struct weft_span){id, 9}); /* too long */
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 0);
    raw_request(&pair, WIRE_VERB_CANCEL, 13, 0, (struct weft_span){id, 8});
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 1);
    raw_request(&pair, WIRE_VERB_CANCEL, 14, 0, (struct weft_span){id, 8}); /* again */
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 1);
    bytes_store64(id, 3);
    raw_request(&pair, WIRE_VERB_CANCEL, 15, 0, (struct weft_span){id, 8});
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 2);
    raw_request(&pair, WIRE_VERB_CANCEL, 16, 0, (struct weft_span){id, 8}); /* the other one of that id */
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 3);
    uint32_t answered = pair.sides[DIALER].raw_used;
    assert_int_equal(COUNTER(&pair, ACCEPTOR, cancels_received), 7);
    raw_request(&pair, VERB_ECHO, 20, 0, weft_span_of("still here"));
    assert_true(pair.sides[DIALER].raw_used == answered + 16 + 10);
    channel_pair_close(&pair);
}

/* Two peers number their requests alike, and with two chains for all of them every other pair shares one. */
static void acceptor__cancel_of_another_peer_s_id__stops_nothing(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t payload[8];
    channel_pair_init(&pair, 11);
    pair.sides[DIALER].raw = true;
    pair.sides[ACCEPTOR].watch_aborts = true;
    pair.sides[ACCEPTOR].requests_max = 2;
    channel_pair_open(&pair);
    for (uint32_t i = 0; i < 2; i++) {
        channel_pair_dial(&pair);
        channel_pair_raw_greet(&pair, DIALER);
    }
    for (int64_t id = 1; id <= 16; id++) {
        bytes_store64(payload, (uint64_t)id);
        raw_request_by(&pair, 0, VERB_KEEP, id, 0, weft_span_of("k"));
        raw_request_by(&pair, 1, WIRE_VERB_CANCEL, 100 + id, 0, (struct weft_span){payload, 8});
        assert_int_equal(pair.sides[ACCEPTOR].aborts, 0);
        channel_pair_answer_kept(&pair, WEFT_OK);
    }
    assert_int_equal(COUNTER(&pair, ACCEPTOR, cancels_received), 16);
    channel_pair_close(&pair);
}

static void abort__connection_ends__told_once(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[3] = {{0}};
    channel_pair_init(&pair, 11);
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    for (uint32_t i = 0; i < 3; i++) {
        errand_begin(&pair, VERB_KEEP, 10, &outcomes[i]);
    }
    conn_pair_run(&pair.conns, SECOND / 10);
    channel_pair_fresh(&pair);
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 3);
    assert_int_equal(pair.sides[ACCEPTOR].abort_why, WEFT_ERR_CLOSED);
    channel_pair_answer_kept(&pair, WEFT_ERR_CLOSED);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_aborted), 3);
    channel_pair_close(&pair);
}

static void abort__deadline_passes__told_then(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome;
    channel_pair_init(&pair, 12);
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    channel_pair_call(&pair, VERB_KEEP, 10, SECOND / 20, &outcome);
    assert_int_equal(outcome.err, WEFT_ERR_TIMEOUT);
    conn_pair_run(&pair.conns, 10 * PAIR_MS);
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 1);
    assert_int_equal(pair.sides[ACCEPTOR].abort_why, WEFT_ERR_EXPIRED);
    assert_int_equal(COUNTER(&pair, DIALER, cancels_sent), 0); /* the request carried its deadline */
    channel_pair_answer_kept(&pair, WEFT_ERR_EXPIRED);
    channel_pair_close(&pair);
}

static void abort__after_the_answer__never(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcome = {0};
    channel_pair_init(&pair, 13);
    pair.sides[ACCEPTOR].watch_aborts = true;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    struct errand errand = {
        .pair = &pair, .outcome = &outcome, .verb = VERB_KEEP, .bytes = 10, .timeout_ns = SECOND / 2};
    conn_end_do(&pair.conns.ends[DIALER], errand_call, &errand);
    conn_pair_run(&pair.conns, SECOND / 10);
    channel_pair_answer_kept(&pair, WEFT_OK);
    assert_int_equal(outcome.err, WEFT_OK);
    conn_pair_run(&pair.conns, SECOND);
    channel_pair_fresh(&pair);
    assert_int_equal(pair.sides[ACCEPTOR].aborts, 0);
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acceptor__cancel_of_anything__stops_one_request_at_most),
        cmocka_unit_test(acceptor__cancel_of_another_peer_s_id__stops_nothing),
        cmocka_unit_test(abort__connection_ends__told_once),
        cmocka_unit_test(abort__deadline_passes__told_then),
        cmocka_unit_test(abort__after_the_answer__never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
