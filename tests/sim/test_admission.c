/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a shard has no room for is answered, waits or is dropped, by name, and never costs a healthy connection.
 *
 * Method: channel pairs of which one side is short of slots, memory or time; raw dialers where the moment at which the
 * bytes of a request arrive matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS
#define CALLS 50u

/* --- answers --- */

struct answers {
    struct side *side;
    uint32_t bytes;
    uint32_t without_memory;
};

static void answer_all(void *ctx, struct weft_shard *shard)
{
    struct answers *answers = ctx;
    uint8_t *payload = malloc(answers->bytes);
    (void)shard;
    assert_non_null(payload);
    for (uint32_t i = 0; i < answers->bytes; i++) {
        payload[i] = pattern_byte(i);
    }
    for (uint32_t i = 0; i < answers->side->kept_count; i++) {
        enum weft_err err = weft_reply(answers->side->kept[i], (struct weft_span){payload, answers->bytes});
        assert_true(err == WEFT_OK || err == WEFT_ERR_NO_MEMORY);
        answers->without_memory += err == WEFT_ERR_NO_MEMORY;
    }
    answers->side->kept_count = 0;
    free(payload);
}

static void keep_calls(struct channel_pair *pair, struct outcome *outcomes, uint32_t count, uint64_t timeout_ns)
{
    struct burst burst = {.request = {.verb = VERB_KEEP, .args = {NULL, 8}, .timeout_ns = timeout_ns},
                          .outcomes = outcomes,
                          .count = count};
    channel_pair_burst(pair, &burst);
    assert_int_equal(burst.accepted, count);
    conn_pair_run(&pair->conns, SECOND / 10);
    assert_int_equal(pair->sides[ACCEPTOR].kept_count, count);
}

/* Fifty answers of 200 KiB in one turn are three times what a connection may queue. */
static void answers__deferred_all_end_in_one_turn__wait_and_arrive(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[CALLS] = {{0}};
    channel_pair_init(&pair, 700);
    pair.options.arena_bytes = 32u << 20;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    keep_calls(&pair, outcomes, CALLS, 30 * SECOND);
    struct answers answers = {.side = &pair.sides[ACCEPTOR], .bytes = 200 * 1024};
    conn_end_do(&pair.conns.ends[ACCEPTOR], answer_all, &answers);
    assert_true(COUNTER(&pair, ACCEPTOR, answers_waited) > 0);
    conn_pair_run(&pair.conns, 5 * SECOND);
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].err, WEFT_OK);
        assert_int_equal(outcomes[i].bytes, answers.bytes);
        assert_int_equal(outcomes[i].wrong_bytes, 0);
    }
    assert_int_equal(answers.without_memory, 0);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_answered), CALLS);
    assert_false(pair.sides[ACCEPTOR].channels[0]->conn.paused);
    channel_pair_close(&pair);
}

static void answers__no_memory_to_wait_in__fail_by_name_and_the_channel_lives(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[CALLS] = {{0}};
    struct outcome after;
    uint32_t failed = 0;
    channel_pair_init(&pair, 701);
    pair.options.arena_bytes = 1u << 20;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    keep_calls(&pair, outcomes, CALLS, 30 * SECOND);
    struct answers answers = {.side = &pair.sides[ACCEPTOR], .bytes = 200 * 1024};
    conn_end_do(&pair.conns.ends[ACCEPTOR], answer_all, &answers);
    conn_pair_run(&pair.conns, 5 * SECOND);
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_int_equal(outcomes[i].count, 1);
        if (outcomes[i].err != WEFT_OK) {
            assert_int_equal(outcomes[i].err, WEFT_ERR_REMOTE);
            assert_int_equal(outcomes[i].executed, WEFT_EXECUTED_YES);
            assert_non_null(strstr(outcomes[i].error.text, "no memory for the answer"));
            failed++;
        }
    }
    assert_true(failed > 0 && failed < CALLS);
    assert_int_equal(failed, answers.without_memory);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, answers_without_room), failed);
    channel_pair_call(&pair, VERB_ECHO, 100, SECOND, &after);
    assert_int_equal(after.err, WEFT_OK);
    channel_pair_close(&pair);
}

static void do_abort_dialer(void *ctx, struct weft_shard *shard)
{
    (void)shard;
    conn_abort(&((struct side *)ctx)->channels[0]->conn, WEFT_ERR_CANCELLED, WEFT_REASON_LOCAL_CLOSE);
}

static void answers__connection_ends_while_they_wait__nothing_left(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[CALLS] = {{0}};
    channel_pair_init(&pair, 702);
    pair.options.arena_bytes = 32u << 20;
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    keep_calls(&pair, outcomes, CALLS, 30 * SECOND);
    struct answers answers = {.side = &pair.sides[ACCEPTOR], .bytes = 200 * 1024};
    conn_end_do(&pair.conns.ends[ACCEPTOR], answer_all, &answers);
    conn_end_do(&pair.conns.ends[DIALER], do_abort_dialer, &pair.sides[DIALER]);
    conn_pair_until_closed(&pair.conns);
    assert_int_equal(slots_in_use(&pair.sides[ACCEPTOR].rpc.requests), 0);
    channel_pair_close(&pair); /* which sees that the arena is empty */
}

static void answers__callers_gave_up_while_they_wait__dropped(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[CALLS] = {{0}};
    channel_pair_init(&pair, 703);
    pair.options.arena_bytes = 32u << 20;
    pair.options.sim.window_bytes = 4096; /* 16 bytes in a microsecond: the answers need a second */
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    keep_calls(&pair, outcomes, CALLS, SECOND / 2);
    struct answers answers = {.side = &pair.sides[ACCEPTOR], .bytes = 200 * 1024};
    conn_end_do(&pair.conns.ends[ACCEPTOR], answer_all, &answers);
    conn_pair_run(&pair.conns, 20 * SECOND);
    assert_true(COUNTER(&pair, ACCEPTOR, requests_expired) > 0);
    assert_true(list_empty(&pair.sides[ACCEPTOR].channels[0]->owed));
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_expired) + COUNTER(&pair, ACCEPTOR, requests_answered), CALLS);
    channel_pair_close(&pair);
}

/* --- deadlines --- */

static uint32_t request_write(uint8_t *to, uint64_t timeout_ms, uint64_t verb, int64_t id, uint32_t payload_bytes)
{
    const struct wire_request request = {.timeout_ms = timeout_ms, .verb = verb, .id = id};
    uint32_t bytes = wire_request_write(to, true, &request, payload_bytes);
    memset(to + bytes, 0x5a, payload_bytes);
    return bytes + payload_bytes;
}

static void raw_pair(struct channel_pair *pair, uint64_t seed, bool hello)
{
    channel_pair_init(pair, seed);
    pair->sides[DIALER].raw = true;
    pair->sides[DIALER].hello = hello;
    channel_pair_open(pair);
    channel_pair_dial(pair);
    channel_pair_raw_greet(pair, DIALER);
    pair->sides[DIALER].raw_used = 0;
}

/* A request whose last byte comes after its timeout, counted from its first one. */
static void deadline__body_arrives_too_late__expired_and_never_run(void **state)
{
    (void)state;
    for (int hello = 0; hello < 2; hello++) {
        struct channel_pair pair;
        uint8_t bytes[512];
        raw_pair(&pair, 710, hello == 1);
        uint32_t count = request_write(bytes, 150, VERB_KEEP, 7, 100);
        channel_pair_raw_send(&pair, DIALER, 0, bytes, 40); /* each send takes a tenth of a second */
        channel_pair_raw_send(&pair, DIALER, 0, bytes + 40, 20);
        channel_pair_raw_send(&pair, DIALER, 0, bytes + 60, count - 60);
        const struct side *acceptor = &pair.sides[ACCEPTOR];
        const struct side *dialer = &pair.sides[DIALER];
        assert_int_equal(acceptor->kept_count, 0);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_expired), 1);
        if (hello == 1) {
            struct wire_response response = wire_response_read(dialer->raw_bytes, true);
            uint32_t at = wire_response_bytes(true);
            assert_int_equal(dialer->raw_used, at + WIRE_EXCEPTION_BYTES);
            assert_true(response.exception);
            assert_int_equal(response.id, 7);
            assert_int_equal(bytes_load32(dialer->raw_bytes + at), WIRE_EXCEPTION_EXPIRED);
        } else {
            assert_int_equal(dialer->raw_used, 0);
        }
        /* One in time runs, with what is left of its time. */
        count = request_write(bytes, 150, VERB_KEEP, 8, 100);
        channel_pair_raw_send(&pair, DIALER, 0, bytes, 40);
        channel_pair_raw_send(&pair, DIALER, 0, bytes + 40, count - 40);
        assert_int_equal(acceptor->kept_count, 1);
        assert_in_range(acceptor->remaining_ns, 1, SECOND / 1000 * 60);
        conn_pair_run(&pair.conns, SECOND);
        channel_pair_answer_kept(&pair, WEFT_ERR_EXPIRED);
        channel_pair_close(&pair);
    }
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

/* Requests that came together with those whose answers pile up: their time runs while they are held. */
static void deadline__passes_while_requests_are_held__expired_and_never_run(void **state)
{
    (void)state;
    struct channel_pair pair;
    uint8_t bytes[4096];
    uint32_t count = 0;
    raw_pair(&pair, 711, true);
    conn_end_do(&pair.conns.ends[DIALER], do_pause, &pair.sides[DIALER]);
    pair.sides[DIALER].raw_used = 0;
    for (int64_t id = 1; id <= 2; id++) { /* 1.2 MiB of answers stop the reading */
        count += request_write(bytes + count, 0, VERB_SOURCE, id, 600);
    }
    count += request_write(bytes + count, 300, VERB_KEEP, 3, 10);
    count += request_write(bytes + count, 60000, VERB_KEEP, 4, 10);
    channel_pair_raw_send(&pair, DIALER, 0, bytes, count);
    const struct side *acceptor = &pair.sides[ACCEPTOR];
    assert_true(acceptor->channels[0]->stalled);
    assert_true(acceptor->channels[0]->held_bytes >= 2 * (28 + 10));
    assert_int_equal(acceptor->kept_count, 0);
    conn_pair_run(&pair.conns, SECOND);
    conn_end_do(&pair.conns.ends[DIALER], do_resume, &pair.sides[DIALER]);
    pair.sides[DIALER].raw_used = 0;
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_expired), 1);
    assert_int_equal(acceptor->kept_count, 1);
    assert_in_range(acceptor->remaining_ns, 57 * SECOND, 59 * SECOND);
    channel_pair_answer_kept(&pair, WEFT_OK);
    channel_pair_close(&pair);
}

/* --- memory for a request --- */

#define LARGE 200000u

/* Two dialers that know no BUSY, and memory for one large request at a time. */
static void large_pair(struct channel_pair *pair, uint64_t seed, uint8_t *request, uint64_t timeout_ms)
{
    channel_pair_init(pair, seed);
    pair->options.arena_bytes = 512u << 10;
    pair->sides[DIALER].raw = true;
    pair->sides[DIALER].hello = false;
    channel_pair_open(pair);
    for (uint32_t i = 0; i < 2; i++) {
        channel_pair_dial(pair);
        channel_pair_raw_greet(pair, DIALER);
    }
    pair->sides[DIALER].raw_used = 0;
    uint32_t count = request_write(request, timeout_ms, VERB_KEEP, 5, LARGE);
    channel_pair_raw_send(pair, DIALER, 0, request, count / 2); /* this one holds the memory */
    channel_pair_raw_send(pair, DIALER, 1, request, count);
    assert_int_equal(pair->sides[ACCEPTOR].kept_count, 0);
    assert_true(pair->sides[ACCEPTOR].channels[1]->conn.paused);
}

static void memory__never_enough_for_a_request__told_with_the_limit(void **state)
{
    (void)state;
    for (int hello = 0; hello < 2; hello++) {
        struct channel_pair pair;
        struct outcome outcome = {0};
        channel_pair_init(&pair, 719);
        pair.options.arena_bytes = 512u << 10;
        pair.sides[DIALER].hello = hello == 1;
        channel_pair_open(&pair);
        channel_pair_connect(&pair);
        channel_pair_call(&pair, VERB_ECHO, 500000, 10 * SECOND, &outcome);
        assert_int_equal(outcome.count, 1);
        if (hello == 1) { /* final: whoever tries again after BUSY would try for ever */
            assert_int_equal(outcome.err, WEFT_ERR_TOO_LARGE);
            assert_int_equal(outcome.executed, WEFT_EXECUTED_NO);
            assert_non_null(strstr(outcome.error.text, "at most 393216 bytes"));
        } else {
            assert_int_equal(outcome.err, WEFT_ERR_REMOTE);
            assert_non_null(strstr(outcome.error.text, "oversized: 500000 bytes"));
            assert_non_null(strstr(outcome.error.text, "393216"));
        }
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_oversized), 1);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_failed), 1);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_busy), 0);
        outcome = (struct outcome){0};
        channel_pair_call(&pair, VERB_ECHO, 1000, SECOND, &outcome);
        assert_int_equal(outcome.err, WEFT_OK);
        channel_pair_close(&pair);
    }
}

static void memory__none_for_a_seastar_request__read_when_there_is(void **state)
{
    (void)state;
    static uint8_t request[LARGE + FRAME_HEADER_BYTES_MAX];
    struct channel_pair pair;
    large_pair(&pair, 720, request, 0);
    conn_pair_run(&pair.conns, 10 * SECOND); /* without a timeout it waits as long as it takes */
    assert_int_equal(pair.sides[ACCEPTOR].kept_count, 0);
    uint32_t half = (LARGE + FRAME_HEADER_BYTES_MAX) / 2;
    channel_pair_raw_send(&pair, DIALER, 0, request + half, LARGE + FRAME_HEADER_BYTES_MAX - half);
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(pair.sides[ACCEPTOR].kept_count, 2);
    assert_false(pair.sides[ACCEPTOR].channels[1]->conn.paused);
    channel_pair_answer_kept(&pair, WEFT_OK);
    channel_pair_close(&pair);
}

static void memory__none_until_the_deadline__dropped_and_the_next_one_runs(void **state)
{
    (void)state;
    static uint8_t request[LARGE + FRAME_HEADER_BYTES_MAX];
    struct channel_pair pair;
    large_pair(&pair, 721, request, 300);
    conn_pair_run(&pair.conns, SECOND);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_expired), 1);
    assert_int_equal(pair.sides[ACCEPTOR].kept_count, 0);
    uint8_t small[256];
    uint32_t count = request_write(small, 300, VERB_KEEP, 6, 50);
    channel_pair_raw_send(&pair, DIALER, 1, small, count); /* the stream is in step */
    assert_int_equal(pair.sides[ACCEPTOR].kept_count, 1);
    assert_int_equal(pair.sides[DIALER].raw_used, 0);
    channel_pair_answer_kept(&pair, WEFT_OK);
    channel_pair_close(&pair);
}

/* The deadline until which a request waited for memory means nothing to the next one. */
static void memory__found_in_time__the_next_large_request_runs_too(void **state)
{
    (void)state;
    static uint8_t request[LARGE + FRAME_HEADER_BYTES_MAX];
    struct channel_pair pair;
    large_pair(&pair, 722, request, 2000);
    uint32_t half = (LARGE + FRAME_HEADER_BYTES_MAX) / 2;
    channel_pair_raw_send(&pair, DIALER, 0, request + half, LARGE + FRAME_HEADER_BYTES_MAX - half);
    conn_pair_run(&pair.conns, SECOND / 2);
    assert_int_equal(pair.sides[ACCEPTOR].kept_count, 2);
    channel_pair_answer_kept(&pair, WEFT_OK);
    conn_pair_run(&pair.conns, 3 * SECOND);
    uint32_t count = request_write(request, 2000, VERB_KEEP, 6, LARGE);
    channel_pair_raw_send(&pair, DIALER, 1, request, count);
    assert_int_equal(pair.sides[ACCEPTOR].kept_count, 1);
    channel_pair_answer_kept(&pair, WEFT_OK);
    channel_pair_close(&pair);
}

/* --- a turn's share --- */

struct share_seen {
    struct channel_pair *pair;
    uint64_t turn;
    uint32_t in_turn;
    uint32_t most;
    uint32_t total;
};

static void count_in_turn(void *ctx, weft_request *request)
{
    struct share_seen *seen = ctx;
    const struct weft_shard *shard = weft_request_shard(request);
    seen->in_turn = seen->turn == shard->turn_number ? seen->in_turn + 1 : 1;
    seen->turn = shard->turn_number;
    seen->most = seen->in_turn > seen->most ? seen->in_turn : seen->most;
    seen->total++;
    (void)weft_reply(request, (struct weft_span){NULL, 0});
}

/* More requests than a connection may have of a turn, in one receive buffer. */
static void turn__many_requests_of_one_connection__a_bounded_share(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct share_seen seen = {.pair = &pair};
    static uint8_t bytes[28 * 500];
    channel_pair_init(&pair, 730);
    pair.sides[DIALER].raw = true;
    const struct verb verb = {.number = 99, .fn = count_in_turn, .ctx = &seen, .one_way = true};
    assert_int_equal(verb_table_add(&pair.sides[ACCEPTOR].verbs, &verb), WEFT_OK);
    channel_pair_open(&pair);
    channel_pair_dial(&pair);
    channel_pair_raw_greet(&pair, DIALER);
    for (uint32_t i = 0; i < 500; i++) {
        (void)request_write(bytes + 28 * (size_t)i, 0, 99, i + 1, 0);
    }
    channel_pair_raw_send(&pair, DIALER, 0, bytes, sizeof bytes);
    assert_int_equal(seen.total, 500);
    assert_int_equal(seen.most, TURN_CONN_FRAMES_MAX);
    assert_int_equal(pair.sides[ACCEPTOR].channels[0]->held_bytes, 0);
    assert_false(pair.sides[ACCEPTOR].channels[0]->stalled);
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers__deferred_all_end_in_one_turn__wait_and_arrive),
        cmocka_unit_test(answers__no_memory_to_wait_in__fail_by_name_and_the_channel_lives),
        cmocka_unit_test(answers__connection_ends_while_they_wait__nothing_left),
        cmocka_unit_test(answers__callers_gave_up_while_they_wait__dropped),
        cmocka_unit_test(deadline__body_arrives_too_late__expired_and_never_run),
        cmocka_unit_test(deadline__passes_while_requests_are_held__expired_and_never_run),
        cmocka_unit_test(memory__never_enough_for_a_request__told_with_the_limit),
        cmocka_unit_test(memory__none_for_a_seastar_request__read_when_there_is),
        cmocka_unit_test(memory__none_until_the_deadline__dropped_and_the_next_one_runs),
        cmocka_unit_test(memory__found_in_time__the_next_large_request_runs_too),
        cmocka_unit_test(turn__many_requests_of_one_connection__a_bounded_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
