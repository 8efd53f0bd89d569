/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a connection opens or says why not; until it ends its bytes arrive in order, or are refused whole.
 *
 * Method: two connected ends (conn_pair.h) in calm worlds for each rule, plain and with a toy record layer that can
 * fail at every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/conn_acts.h"

static void connect__nobody_listens__connect_failed(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *dialer;
    conn_pair_options_init(&options, 3);
    options.no_listener = true;
    conn_pair_open(&pair, &options);
    conn_end_do(&pair.ends[1], do_dial, &dialer);
    conn_pair_until_closed(&pair);
    assert_int_equal(dialer->opened, 0);
    assert_int_equal(dialer->error.code, WEFT_ERR_UNREACHABLE);
    assert_int_equal(dialer->error.reason, WEFT_REASON_CONNECT_FAILED);
    assert_int_not_equal(dialer->error.os_errno, 0);
    conn_pair_close(&pair);
}

static void connect__no_answer__times_out(void **state)
{
    (void)state;
    struct conn_pair pair;
    struct witness *dialer;
    open_calm(&pair, PLAIN);
    sim_world_partition(pair.world, 0, 1, true);
    conn_end_do(&pair.ends[1], do_dial, &dialer);
    uint64_t begin_ns = sim_world_now_ns(pair.world);
    conn_pair_until_closed(&pair);
    assert_int_equal(dialer->opened, 0);
    assert_int_equal(dialer->error.code, WEFT_ERR_TIMEOUT);
    assert_int_equal(dialer->error.reason, WEFT_REASON_CONNECT_TIMEOUT);
    assert_in_range(dialer->closed_ns - begin_ns, PAIR_SECOND_NS, 3 * PAIR_SECOND_NS);
    sim_world_partition(pair.world, 0, 1, false);
    conn_pair_run(&pair, PAIR_SECOND_NS);
    conn_pair_until_closed(&pair);
    conn_pair_close(&pair);
}

static void connect__ended_while_dialing__told_once(void **state)
{
    (void)state;
    for (int abort = 0; abort < 2; abort++) {
        struct conn_pair pair;
        struct witness *dialer;
        open_calm(&pair, PLAIN);
        conn_end_do(&pair.ends[1], do_dial, &dialer);
        assert_int_equal(dialer->conn->state, CONN_CONNECTING);
        conn_end_do(&pair.ends[1], abort ? do_abort : do_close, dialer);
        conn_pair_until_closed(&pair);
        assert_int_equal(dialer->opened, 0);
        assert_int_equal(dialer->error.code, abort ? WEFT_ERR_CANCELLED : WEFT_ERR_CLOSED);
        assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
        conn_pair_run(&pair, PAIR_SECOND_NS); /* the acceptor may have seen it */
        conn_pair_until_closed(&pair);
        conn_pair_close(&pair);
    }
}

static void dial__ended_before_the_turn_is_over__told_once(void **state)
{
    (void)state;
    struct conn_pair pair;
    open_calm(&pair, PLAIN);
    struct witness *dialer;
    conn_end_do(&pair.ends[1], do_dial, &dialer);
    conn_end_do(&pair.ends[1], do_abort, dialer);
    conn_end_do(&pair.ends[1], do_dial, &dialer); /* the slot of the first is not free yet, or free again */
    conn_pair_run(&pair, PAIR_SECOND_NS / 10);
    assert_int_equal(dialer->opened, 1);
    close_both(&pair, dialer);
    conn_pair_close(&pair);
}

/* Source ports that land where it was asked; where all that are tried are taken, any port. */
static void dial__wanted_shard__source_port_lands_there(void **state)
{
    (void)state;
    for (uint32_t taken = 0; taken < 2; taken++) {
        uint32_t landed = 0;
        for (uint32_t wanted = 0; wanted < 5; wanted++) {
            struct conn_pair_options options;
            struct conn_pair pair;
            conn_pair_options_init(&options, 40 + wanted);
            options.target_shards = 5;
            options.target_wanted = wanted;
            options.sim.fault_per_million[SIM_FAULT_PORT_TAKEN] = taken * 1000000;
            conn_pair_open(&pair, &options);
            struct witness *accepted;
            struct witness *dialer = conn_pair_connect(&pair, &accepted);
            landed += landing_shard(accepted->conn->remote.port, 5) == wanted;
            assert_int_equal(sim_faults_bitten(pair.world, SIM_FAULT_PORT_TAKEN), taken * 8);
            close_both(&pair, dialer);
            conn_pair_close(&pair);
        }
        assert_true(taken == 0 ? landed == 5 : landed < 5);
    }
}

static void dial__slots_used_up__refused_and_nothing_left(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        conn_pair_options_init(&options, 5);
        options.conns_max = 1;
        options.secure[0] = options.secure[1] = mode == SECURE;
        conn_pair_open(&pair, &options);
        struct witness *dialer = conn_pair_connect(&pair, NULL);
        const struct conn_target target = {.remote = conn_end_address(0)};
        struct weft_error why = {0};
        struct conn *conn = NULL;
        struct conn_end *end = &pair.ends[1];
        const struct conn_events events = {.opened = NULL};
        assert_int_equal(conn_dial(&end->net, &target, mode == SECURE ? &end->toy.factory : NULL, &events, &conn, &why),
                         WEFT_ERR_QUEUE_FULL);
        assert_null(conn);
        assert_int_equal(why.reason, WEFT_REASON_TOO_MANY_CONNECTIONS);
        assert_non_null(strstr(why.text, "connections_max"));
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void accept__no_session_to_be_had__socket_closed(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *dialer;
    conn_pair_options_init(&options, 6);
    options.secure[0] = options.secure[1] = true;
    options.toy[0].refuse_to_make = true;
    conn_pair_open(&pair, &options);
    conn_end_do(&pair.ends[1], do_dial, &dialer);
    conn_pair_until_closed(&pair);
    assert_int_equal(pair.ends[0].refused_count, 1);
    assert_int_equal(dialer->opened, 0);
    assert_int_equal(dialer->error.code, WEFT_ERR_CLOSED);
    conn_pair_close(&pair);
}

static void handshake__any_size_and_any_pieces__opens(void **state)
{
    (void)state;
    static const uint32_t flights[] = {1, 100, 1000, 16384};
    static const uint32_t outputs[] = {0, 1, 7, 1000};
    for (uint32_t f = 0; f < 4; f++) {
        for (uint32_t o = 0; o < 4; o++) {
            struct conn_pair_options options;
            struct conn_pair pair;
            struct witness *acceptor;
            conn_pair_options_init(&options, 7 + f * 4 + o);
            for (uint32_t i = 0; i < 2; i++) {
                options.secure[i] = true;
                options.toy[i] = (struct toy_options){.flight_bytes = flights[f], .output_bytes = outputs[o]};
            }
            conn_pair_open(&pair, &options);
            struct witness *dialer = conn_pair_connect(&pair, &acceptor);
            send_now(dialer, 3000);
            send_now(acceptor, 5000);
            until_received(&pair, dialer, acceptor);
            until_received(&pair, acceptor, dialer);
            close_both(&pair, acceptor);
            assert_int_equal(acceptor->error.reason, WEFT_REASON_LOCAL_CLOSE);
            assert_int_equal(dialer->error.reason, WEFT_REASON_CLOSED_BY_PEER);
            conn_pair_close(&pair);
        }
    }
}

static void handshake__a_flight_is_disliked__both_ends_know(void **state)
{
    (void)state;
    for (uint32_t flight = 1; flight <= 3; flight++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        struct witness *dialer;
        conn_pair_options_init(&options, 30 + flight);
        options.secure[0] = options.secure[1] = true;
        options.toy[0].fail_flight = options.toy[1].fail_flight = flight;
        conn_pair_open(&pair, &options);
        conn_end_do(&pair.ends[1], do_dial, &dialer);
        conn_pair_until_closed(&pair);
        const struct witness *acceptor = &pair.ends[0].witnesses[0];
        assert_int_equal(acceptor->opened, 0);
        assert_int_equal(dialer->opened, flight == 3); /* the dialer's handshake was over */
        assert_int_equal(acceptor->error.code, WEFT_ERR_TLS);
        assert_int_equal(dialer->error.code, WEFT_ERR_TLS);
        assert_int_equal(acceptor->error.reason, TOY_REASON);
        assert_int_equal(dialer->error.reason, TOY_REASON);
        const struct witness *complainer = flight == 2 ? dialer : acceptor;
        const struct witness *other = flight == 2 ? acceptor : dialer;
        assert_non_null(strstr(complainer->error.text, "taste"));
        assert_non_null(strstr(other->error.text, "alert"));
        conn_pair_close(&pair);
    }
}

static void handshake__a_flight_is_not_answered__times_out(void **state)
{
    (void)state;
    for (uint32_t flight = 1; flight <= 3; flight++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        struct witness *dialer;
        conn_pair_options_init(&options, 40 + flight);
        options.secure[0] = options.secure[1] = true;
        options.toy[0].silent_flight = options.toy[1].silent_flight = flight;
        conn_pair_open(&pair, &options);
        conn_end_do(&pair.ends[1], do_dial, &dialer);
        uint64_t begin_ns = sim_world_now_ns(pair.world);
        conn_pair_until_closed(&pair);
        const struct witness *acceptor = &pair.ends[0].witnesses[0];
        const struct witness *first = acceptor->closed_ns < dialer->closed_ns ? acceptor : dialer;
        assert_int_equal(first->error.code, WEFT_ERR_TIMEOUT);
        assert_int_equal(first->error.reason, WEFT_REASON_HANDSHAKE_TIMEOUT);
        assert_in_range(first->closed_ns - begin_ns, PAIR_SECOND_NS, 3 * PAIR_SECOND_NS);
        if (flight == 3) {
            assert_ptr_equal(first, acceptor);
            assert_int_equal(dialer->opened, 1);
            assert_int_equal(dialer->error.reason, WEFT_REASON_TRUNCATED);
        }
        conn_pair_close(&pair);
    }
}

static void handshake__closed_in_the_middle__both_ends_end(void **state)
{
    (void)state;
    for (int abort = 0; abort < 2; abort++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        struct witness *dialer;
        conn_pair_options_init(&options, 50);
        options.secure[0] = options.secure[1] = true;
        options.toy[0].silent_flight = 1;
        conn_pair_open(&pair, &options);
        conn_end_do(&pair.ends[1], do_dial, &dialer);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        assert_int_equal(dialer->conn->state, CONN_SECURING);
        conn_end_do(&pair.ends[1], abort ? do_abort : do_close, dialer);
        conn_pair_until_closed(&pair);
        assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
        assert_int_equal(pair.ends[0].witnesses[0].opened, 0);
        conn_pair_close(&pair);
    }
}

static void send__many_sizes__arrive_in_order(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0,     1,     2,     3,     100,   1099,   1100,  16383,
                                     16384, 16385, 16386, 32768, 40000, 262144, 300000};
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            send_now(dialer, sizes[i]);
            send_now(acceptor, sizes[i]);
        }
        until_received(&pair, dialer, acceptor);
        until_received(&pair, acceptor, dialer);
        assert_int_equal(dialer->handed_bytes, dialer->sent_bytes);
        assert_int_equal(dialer->conn->outbox_bytes, 0);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void send__one_message_larger_than_the_queue__let_in_alone(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        send_now(dialer, 16u * 1024 * 1024 + 28);
        until_received(&pair, dialer, acceptor);
        assert_int_equal(acceptor->received_bytes, 16u * 1024 * 1024 + 28);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

struct flood {
    struct witness *witness;
    uint32_t bytes;
    uint32_t sent;
};

static void do_flood(void *ctx, struct weft_shard *shard)
{
    struct flood *flood = ctx;
    (void)shard;
    enum weft_err err = WEFT_OK;
    while (err == WEFT_OK) {
        err = witness_send(flood->witness, flood->bytes);
        flood->sent += err == WEFT_OK;
    }
    assert_int_equal(err, WEFT_ERR_QUEUE_FULL);
    /* Refused as a whole, again and again. */
    uint32_t outbox = flood->witness->conn->outbox_bytes;
    assert_int_equal(witness_send(flood->witness, flood->bytes), WEFT_ERR_QUEUE_FULL);
    assert_int_equal(flood->witness->conn->outbox_bytes, outbox);
}

static void send__queue_full__refused_whole_and_drained_once(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        struct flood flood = {.witness = dialer, .bytes = 100000};
        conn_end_do(dialer->end, do_flood, &flood);
        assert_int_equal(flood.sent, SEND_QUEUE_BYTES_MAX / flood.bytes);
        assert_int_equal(dialer->drained, 0);
        until_received(&pair, dialer, acceptor);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        assert_int_equal(dialer->drained, 1);
        send_now(dialer, 100); /* there is room again */
        until_received(&pair, dialer, acceptor);
        assert_int_equal(dialer->drained, 1); /* it had not been above its mark since */
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void send__shard_out_of_buffers__refused_whole(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair_options options;
        struct conn_pair pair;
        struct witness *acceptor;
        conn_pair_options_init(&options, 60);
        options.secure[0] = options.secure[1] = mode == SECURE;
        options.send_bufs = 20;
        conn_pair_open(&pair, &options);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        struct flood flood = {.witness = dialer, .bytes = 30000};
        struct order order = {.witness = dialer, .bytes = 21 * SEND_BUF_BYTES};
        conn_end_do(dialer->end, do_send, &order);
        assert_int_equal(order.err, WEFT_ERR_QUEUE_FULL);
        if (mode == PLAIN) {
            conn_end_do(dialer->end, do_flood, &flood);
            assert_int_equal(flood.sent, 20 * SEND_BUF_BYTES / 30000);
        } else {
            order.bytes = 15 * SEND_BUF_BYTES; /* sealing wants buffers too */
            conn_end_do(dialer->end, do_send, &order);
            assert_int_equal(order.err, WEFT_OK);
        }
        until_received(&pair, dialer, acceptor);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void pause__bytes_arrive__wait_until_resumed(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        struct conn_pair pair;
        struct witness *acceptor;
        open_calm(&pair, mode);
        struct witness *dialer = conn_pair_connect(&pair, &acceptor);
        conn_end_do(acceptor->end, do_pause, acceptor);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        send_now(dialer, 50000);
        conn_pair_run(&pair, PAIR_SECOND_NS / 10);
        assert_int_equal(acceptor->received_bytes, 0);
        conn_end_do(acceptor->end, do_resume, acceptor);
        until_received(&pair, dialer, acceptor);
        /* Resumed before the cancelled receive has ended. */
        for (uint32_t i = 0; i < 5; i++) {
            conn_end_do(acceptor->end, do_pause, acceptor);
            conn_end_do(acceptor->end, do_resume, acceptor);
            send_now(dialer, 1000);
        }
        until_received(&pair, dialer, acceptor);
        close_both(&pair, dialer);
        conn_pair_close(&pair);
    }
}

static void pause_at_once(struct witness *witness)
{
    witness_pause(witness);
}

static void pause__inside_received__the_rest_waits(void **state)
{
    (void)state;
    struct conn_pair pair;
    struct witness *acceptor;
    open_calm(&pair, PLAIN);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    acceptor->on_received = pause_at_once;
    send_now(dialer, 2000000);
    conn_pair_run(&pair, PAIR_SECOND_NS / 10);
    assert_in_range(acceptor->received_bytes, 1, 1999999);
    acceptor->on_received = NULL;
    conn_end_do(acceptor->end, do_resume, acceptor);
    until_received(&pair, dialer, acceptor);
    close_both(&pair, dialer);
    conn_pair_close(&pair);
}

static void abort_at_once(struct witness *witness)
{
    witness_abort(witness);
}

static void close_at_once(struct witness *witness)
{
    witness_close(witness);
}

static void event__ends_its_connection__told_once_and_later(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        for (int event = 0; event < 4; event++) {
            struct conn_pair pair;
            struct witness *dialer;
            open_calm(&pair, mode);
            conn_end_do(&pair.ends[1], do_dial, &dialer);
            void (*end)(struct witness *) = event % 2 == 0 ? abort_at_once : close_at_once;
            if (event < 2) {
                dialer->on_opened = end;
            } else {
                struct witness *acceptor = NULL;
                conn_pair_run(&pair, PAIR_SECOND_NS / 10);
                acceptor = &pair.ends[0].witnesses[0];
                dialer->on_received = end;
                send_now(acceptor, 100000);
            }
            conn_pair_until_closed(&pair);
            assert_int_equal(dialer->error.code, event % 2 == 0 ? WEFT_ERR_CANCELLED : WEFT_ERR_CLOSED);
            assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
            conn_pair_close(&pair);
        }
    }
}

static void acceptor__spoken_to_in_plaintext__goes_on_in_plaintext(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *dialer;
    conn_pair_options_init(&options, 70);
    options.secure[0] = true;
    conn_pair_open(&pair, &options);
    conn_end_do(&pair.ends[1], do_dial, &dialer);
    conn_pair_run(&pair, PAIR_SECOND_NS / 10);
    struct witness *acceptor = &pair.ends[0].witnesses[0];
    assert_int_equal(dialer->opened, 1);
    assert_int_equal(acceptor->opened, 0);
    send_now(dialer, 30000);
    until_received(&pair, dialer, acceptor);
    assert_int_equal(acceptor->misdirected, 1);
    assert_int_equal(acceptor->opened, 0);
    assert_int_equal(pair.ends[0].toy.live, 0);
    send_now(acceptor, 30000);
    until_received(&pair, acceptor, dialer);
    close_both(&pair, acceptor);
    assert_int_equal(acceptor->misdirected, 1);
    conn_pair_close(&pair);
}

static void record__does_not_open__alert_reaches_the_peer(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *acceptor;
    conn_pair_options_init(&options, 80);
    options.secure[0] = options.secure[1] = true;
    options.toy[1].damage_seal = 3; /* after two flights */
    conn_pair_open(&pair, &options);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    struct order order = {.witness = acceptor, .bytes = 2000000}; /* the failing side has much to say, too */
    conn_end_do(acceptor->end, do_send, &order);
    send_now(dialer, 100);
    conn_pair_until_closed(&pair);
    assert_int_equal(acceptor->received_bytes, 0);
    assert_int_equal(acceptor->error.code, WEFT_ERR_TLS);
    assert_int_equal(acceptor->error.reason, TOY_REASON);
    assert_non_null(strstr(acceptor->error.text, "cannot be opened"));
    assert_int_equal(dialer->error.code, WEFT_ERR_TLS);
    assert_non_null(strstr(dialer->error.text, "alert"));
    conn_pair_close(&pair);
}

static void record__does_not_seal__both_ends_end(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *acceptor;
    conn_pair_options_init(&options, 81);
    options.secure[0] = options.secure[1] = true;
    options.toy[1].fail_seal = 4;
    conn_pair_open(&pair, &options);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    send_now(dialer, 100000);
    conn_pair_until_closed(&pair);
    assert_int_equal(dialer->error.code, WEFT_ERR_TLS);
    assert_int_equal(dialer->error.reason, TOY_REASON);
    assert_non_null(strstr(dialer->error.text, "sealing"));
    assert_int_equal(acceptor->error.reason, WEFT_REASON_TRUNCATED);
    conn_pair_close(&pair);
}

static void record_layer__answers_by_itself__stream_is_whole(void **state)
{
    (void)state;
    struct conn_pair_options options;
    struct conn_pair pair;
    struct witness *acceptor;
    conn_pair_options_init(&options, 82);
    for (uint32_t i = 0; i < 2; i++) {
        options.secure[i] = true;
        options.toy[i].answer_every = 3;
        options.toy[i].output_bytes = 900; /* opened records come in pieces as well */
    }
    conn_pair_open(&pair, &options);
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    for (uint32_t i = 0; i < 10; i++) {
        send_now(dialer, 300000);
        send_now(acceptor, 200000);
    }
    until_received(&pair, dialer, acceptor);
    until_received(&pair, acceptor, dialer);
    close_both(&pair, dialer);
    conn_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect__nobody_listens__connect_failed),
        cmocka_unit_test(connect__no_answer__times_out),
        cmocka_unit_test(connect__ended_while_dialing__told_once),
        cmocka_unit_test(dial__ended_before_the_turn_is_over__told_once),
        cmocka_unit_test(dial__wanted_shard__source_port_lands_there),
        cmocka_unit_test(dial__slots_used_up__refused_and_nothing_left),
        cmocka_unit_test(accept__no_session_to_be_had__socket_closed),
        cmocka_unit_test(handshake__any_size_and_any_pieces__opens),
        cmocka_unit_test(handshake__a_flight_is_disliked__both_ends_know),
        cmocka_unit_test(handshake__a_flight_is_not_answered__times_out),
        cmocka_unit_test(handshake__closed_in_the_middle__both_ends_end),
        cmocka_unit_test(send__many_sizes__arrive_in_order),
        cmocka_unit_test(send__one_message_larger_than_the_queue__let_in_alone),
        cmocka_unit_test(send__queue_full__refused_whole_and_drained_once),
        cmocka_unit_test(send__shard_out_of_buffers__refused_whole),
        cmocka_unit_test(pause__bytes_arrive__wait_until_resumed),
        cmocka_unit_test(pause__inside_received__the_rest_waits),
        cmocka_unit_test(event__ends_its_connection__told_once_and_later),
        cmocka_unit_test(acceptor__spoken_to_in_plaintext__goes_on_in_plaintext),
        cmocka_unit_test(record__does_not_open__alert_reaches_the_peer),
        cmocka_unit_test(record__does_not_seal__both_ends_end),
        cmocka_unit_test(record_layer__answers_by_itself__stream_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
