/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whatever happens to it, a connection ends exactly once, its bytes arrive in order until then, and afterwards
 * nothing is left of it.
 *
 * Method: a storm in many worlds whose faults are drawn: random sends, pauses, closes and aborts, after which
 * everything must end and a fresh connection must work. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/conn_acts.h"

#define SEEDS 160u
#define STORM_NS PAIR_SECOND_NS

/* A storm: each end does something at random every few milliseconds. */
struct actor {
    struct conn_end *end;
    struct timer timer;
    struct prng prng;
    bool calm;
};

static struct witness *actor_pick(struct actor *actor)
{
    struct conn_end *end = actor->end;
    if (end->witness_count == 0) {
        return NULL;
    }
    struct witness *witness = &end->witnesses[prng_below(&actor->prng, end->witness_count)];
    return witness->conn != NULL ? witness : NULL;
}

static void actor_act(struct timer *timer, void *ctx)
{
    struct actor *actor = ctx;
    struct witness *witness = actor_pick(actor);
    uint64_t dice = prng_below(&actor->prng, 100);
    if (actor->calm) {
        return;
    }
    shard_timer_start(actor->end->shard, timer, PAIR_MS + prng_below(&actor->prng, 8 * PAIR_MS));
    if (dice < 15 && actor->end->index == 1 && actor->end->witness_count < 14 &&
        actor->end->net.conn_count < actor->end->net.options.conns_max) {
        conn_end_dial(actor->end);
    } else if (witness == NULL) {
        return;
    } else if (dice < 70) {
        enum weft_err err = witness_send(witness, (uint32_t)prng_below(&actor->prng, 200000));
        assert_true(err == WEFT_OK || err == WEFT_ERR_QUEUE_FULL || err == WEFT_ERR_CLOSED);
    } else if (dice < 80) {
        witness_pause(witness);
    } else if (dice < 94) {
        witness_resume(witness);
    } else if (dice < 97) {
        witness_close(witness);
    } else {
        witness_abort(witness);
    }
}

static void do_begin(void *ctx, struct weft_shard *shard)
{
    struct actor *actor = ctx;
    actor->timer = (struct timer){.fn = actor_act, .ctx = actor};
    shard_timer_start(shard, &actor->timer, PAIR_MS);
}

static void do_calm(void *ctx, struct weft_shard *shard)
{
    struct actor *actor = ctx;
    struct conn_end *end = actor->end;
    actor->calm = true;
    timer_wheel_stop(&shard->wheel, &actor->timer);
    for (uint32_t i = 0; i < end->witness_count; i++) {
        if (end->witnesses[i].conn != NULL) {
            witness_resume(&end->witnesses[i]);
            witness_close(&end->witnesses[i]);
        }
    }
}

static void storm_options(struct conn_pair_options *options, uint64_t seed)
{
    struct prng prng;
    conn_pair_options_init(options, seed);
    prng_init(&prng, seed * 977);
    sim_options_draw_faults(&options->sim);
    options->sim.recv_bufs = seed % 4 == 0 ? 2 : 0;
    options->sim.recv_buf_bytes = seed % 5 == 0 ? 300 : 0;
    options->send_bufs = seed % 7 == 0 ? 40 : 0;
    for (uint32_t i = 0; i < 2; i++) {
        options->secure[i] = seed % 2 == 1;
        options->toy[i].output_bytes = seed % 3 == 0 ? 1 + (uint32_t)prng_below(&prng, 2000) : 0;
        options->toy[i].flight_bytes = 1 + (uint32_t)prng_below(&prng, SECURE_RECORD_BYTES);
        options->toy[i].answer_every = prng_below(&prng, 5);
        options->toy[i].damage_seal = prng_below(&prng, 10) == 0 ? 3 + prng_below(&prng, 30) : 0;
        options->toy[i].fail_seal = prng_below(&prng, 10) == 0 ? 3 + prng_below(&prng, 30) : 0;
    }
}

static uint64_t storm_run(const struct conn_pair_options *options, uint32_t *opened)
{
    struct conn_pair pair;
    struct actor actors[2];
    conn_pair_open(&pair, options);
    for (uint32_t i = 0; i < 2; i++) {
        actors[i] = (struct actor){.end = &pair.ends[i]};
        prng_init(&actors[i].prng, options->sim.seed * 2 + i);
        conn_end_do(&pair.ends[i], do_begin, &actors[i]);
    }
    conn_pair_run(&pair, STORM_NS);
    sim_world_heal(pair.world);
    for (uint32_t i = 0; i < 2; i++) {
        conn_end_do(&pair.ends[i], do_calm, &actors[i]);
    }
    conn_pair_run(&pair, PAIR_SECOND_NS); /* connections that were on their way arrive */
    conn_pair_until_closed(&pair);
    for (uint32_t i = 0; i < 2; i++) {
        memset(&pair.ends[i].toy.options, 0, sizeof pair.ends[i].toy.options);
    }
    for (uint32_t i = 0; i < pair.ends[1].witness_count; i++) {
        *opened += pair.ends[1].witnesses[i].opened;
    }
    struct witness *acceptor;
    struct witness *dialer = conn_pair_connect(&pair, &acceptor);
    send_now(dialer, 100000);
    send_now(acceptor, 100000);
    until_received(&pair, dialer, acceptor);
    until_received(&pair, acceptor, dialer);
    close_both(&pair, dialer);
    assert_int_equal(dialer->error.reason, WEFT_REASON_LOCAL_CLOSE);
    assert_int_equal(acceptor->error.reason, WEFT_REASON_CLOSED_BY_PEER);
    uint64_t hash = sim_world_trace_hash(pair.world);
    conn_pair_close(&pair);
    return hash;
}

static void storm__faults_drawn__everything_ends_once(void **state)
{
    (void)state;
    uint32_t opened = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct conn_pair_options options;
        print_message("seed %llu\n", (unsigned long long)seed);
        storm_options(&options, seed);
        uint64_t hash = storm_run(&options, &opened);
        if (seed % 16 == 0) {
            uint32_t again = 0;
            assert_int_equal(storm_run(&options, &again), hash);
        }
    }
    assert_true(opened > SEEDS); /* the storm was about something */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storm__faults_drawn__everything_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
