/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the simulator keeps the promises of the seam (engine/io/io.h) under every fault it can make, and one seed is
 * one run.
 *
 * Method: the echo party (echo_party.h) in several hundred worlds whose faults are drawn, each of them run twice. After
 * the storm a world is healed, and then every dial must bring back every byte.  Deliberate damage proves that the hash
 * and the party's check can fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/echo_party.h"

#define SEEDS 300u

static uint32_t conns_that_must_finish(const struct party *party)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PARTY_SHARDS; i++) {
        for (uint32_t j = 0; j < party->members[i].conn_count; j++) {
            count += party->members[i].conns[j]->must_finish;
        }
    }
    return count;
}

/* A storm, then calm; returns the hash of the run. */
static uint64_t storm_run(const struct sim_options *options, uint64_t bitten[SIM_FAULT_COUNT], uint64_t *wrong_bytes)
{
    struct party party;
    party_open(&party, options);
    party.cuts = options->seed % 3 == 0;
    party_dial(&party, 3);
    party_run(&party, sim_world_now_ns(party.world) + 2 * SECOND_NS);
    party.cuts = false;
    sim_world_heal(party.world);
    party_run(&party, sim_world_now_ns(party.world) + 200 * SECOND_NS);
    assert_true(party_idle(&party));
    party.calm = true;
    uint32_t before = party.completed;
    party_dial(&party, 1);
    party_run(&party, sim_world_now_ns(party.world) + 10 * SECOND_NS);
    assert_true(party_idle(&party));
    assert_int_equal(conns_that_must_finish(&party), PARTY_SHARDS);
    assert_int_equal(party.completed - before, PARTY_SHARDS);
    for (uint32_t fault = 0; bitten != NULL && fault < SIM_FAULT_COUNT; fault++) {
        bitten[fault] += sim_faults_bitten(party.world, (enum sim_fault)fault);
    }
    *wrong_bytes = party.wrong_bytes;
    return party_close(&party);
}

static void storm_options(struct sim_options *options, uint64_t seed)
{
    sim_options_init(options, seed);
    sim_options_draw_faults(options);
    options->recv_bufs = 3 + (uint32_t)(seed % 4);
    options->recv_buf_bytes = 1000;
    options->window_bytes = 3000 + (uint32_t)(seed % 7) * 1000;
}

static void echo__all_faults__bytes_in_order_and_one_end_each(void **state)
{
    (void)state;
    uint64_t bitten[SIM_FAULT_COUNT] = {0};
    uint64_t hashes[SEEDS];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sim_options options;
        uint64_t wrong_bytes;
        storm_options(&options, seed);
        hashes[seed] = storm_run(&options, bitten, &wrong_bytes);
        if (wrong_bytes != 0) {
            fail_msg("seed %u: %u wrong bytes", (unsigned)seed, (unsigned)wrong_bytes);
        }
        if (storm_run(&options, NULL, &wrong_bytes) != hashes[seed]) {
            fail_msg("seed %u: two runs differ", (unsigned)seed);
        }
        for (uint64_t other = 0; other < seed; other++) {
            assert_true(hashes[other] != hashes[seed]);
        }
    }
    for (uint32_t fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        print_message("%s struck %llu times\n", sim_fault_name((enum sim_fault)fault),
                      (unsigned long long)bitten[fault]);
        assert_true(bitten[fault] > 0 || fault == SIM_FAULT_START_ERROR); /* drawn for clusters only */
    }
    /* The same on every machine, with every compiler. */
    print_message("hash of all runs %016llx\n",
                  (unsigned long long)sim_trace_content((const uint8_t *)hashes, sizeof hashes));
}

static void echo__no_faults__everything_comes_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct sim_options options;
        struct party party;
        sim_options_init(&options, seed);
        party_open(&party, &options);
        party.calm = true;
        party_dial(&party, 5);
        party_run(&party, sim_world_now_ns(party.world) + 10 * SECOND_NS);
        assert_true(party_idle(&party));
        assert_int_equal(party.completed, 5 * PARTY_SHARDS);
        assert_int_equal(party.wrong_bytes, 0);
        party_close(&party);
    }
}

static void listener__shared_port__every_shard_accepts(void **state)
{
    (void)state;
    uint32_t accepted[2] = {0};
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct sim_options options;
        struct party party;
        sim_options_init(&options, seed);
        party_open(&party, &options);
        party_dial(&party, 5);
        party_run(&party, UINT64_MAX);
        accepted[0] += party.members[0].accepted;
        accepted[1] += party.members[1].accepted;
        party_close(&party);
    }
    assert_true(accepted[0] > 10);
    assert_true(accepted[1] > 10);
}

static uint64_t short_run(const struct sim_options *options, uint64_t *wrong_bytes)
{
    struct party party;
    party_open(&party, options);
    party_dial(&party, 3);
    party_run(&party, UINT64_MAX);
    *wrong_bytes = party.wrong_bytes;
    return party_close(&party);
}

static void trace__one_byte_changed__hash_differs(void **state)
{
    (void)state;
    struct sim_options options;
    uint64_t wrong_bytes;
    storm_options(&options, 7);
    uint64_t hash = short_run(&options, &wrong_bytes);
    assert_int_equal(wrong_bytes, 0);
    for (uint64_t nth = 1; nth < 200; nth += 20) {
        options.test_flip_byte = nth;
        assert_true(short_run(&options, &wrong_bytes) != hash);
        assert_true(wrong_bytes > 0); /* the party's own check can fail */
    }
}

static void trace__two_events_swapped__hash_differs(void **state)
{
    (void)state;
    struct sim_options options;
    uint64_t wrong_bytes;
    storm_options(&options, 13);
    uint64_t hash = short_run(&options, &wrong_bytes);
    for (uint64_t nth = 1; nth < 20; nth++) {
        options.test_swap_event = nth;
        assert_true(short_run(&options, &wrong_bytes) != hash);
        assert_int_equal(wrong_bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo__no_faults__everything_comes_back),
        cmocka_unit_test(echo__all_faults__bytes_in_order_and_one_end_each),
        cmocka_unit_test(listener__shared_port__every_shard_accepts),
        cmocka_unit_test(trace__one_byte_changed__hash_differs),
        cmocka_unit_test(trace__two_events_swapped__hash_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
