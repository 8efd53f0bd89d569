/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a connection opens or says why not, once.
 *
 * Method: dialers and acceptors (conn_pair.h) in calm worlds for each rule. */
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
