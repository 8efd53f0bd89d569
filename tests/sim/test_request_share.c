/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: one source gets most of a shard's slots for requests and never all of them, is told BUSY beyond that, and gets
 * its share again when what it had is answered, not before.
 *
 * Method: a pair whose acceptor keeps every request; the dialer asks for as many as there are slots, again and again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define SECOND PAIR_SECOND_NS
#define SLOTS 64u
#define SHARE 52u /* the first number that is four times the 12 that are left, or more */

static void answer_kept(void *ctx, struct weft_shard *shard)
{
    struct side *side = ctx;
    (void)shard;
    for (uint32_t i = 0; i < side->kept_count; i++) {
        (void)weft_reply(side->kept[i], weft_span_of(""));
    }
    side->kept_count = 0;
}

/* Ask for all slots.  @return how many of it are kept, if every other was told BUSY at once */
static uint32_t ask_for_all(struct channel_pair *pair, struct outcome outcomes[SLOTS], uint64_t timeout_ns)
{
    struct burst burst = {.request = {.verb = VERB_KEEP, .args = {NULL, 8}, .timeout_ns = timeout_ns},
                          .outcomes = outcomes,
                          .count = SLOTS};
    uint32_t busy = 0;
    channel_pair_burst(pair, &burst);
    assert_int_equal(burst.accepted, SLOTS);
    conn_pair_run(&pair->conns, SECOND / 10);
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (outcomes[i].count != 0) {
            assert_int_equal(outcomes[i].err, WEFT_ERR_BUSY);
            assert_int_equal(outcomes[i].executed, WEFT_EXECUTED_NO);
            busy++;
        }
    }
    return SLOTS - busy;
}

static void source__wants_all_slots__gets_its_share_and_again_when_it_was_answered(void **state)
{
    (void)state;
    struct channel_pair pair;
    channel_pair_init(&pair, 760);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    for (uint32_t round = 1; round <= 3; round++) {
        struct outcome outcomes[SLOTS] = {{0}};
        assert_int_equal(ask_for_all(&pair, outcomes, 30 * SECOND), SHARE);
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_over_share), round * (SLOTS - SHARE));
        assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_busy), round * (SLOTS - SHARE));
        conn_end_do(&pair.conns.ends[ACCEPTOR], answer_kept, &pair.sides[ACCEPTOR]);
        conn_pair_run(&pair.conns, SECOND / 10);
        for (uint32_t i = 0; i < SLOTS; i++) {
            assert_int_equal(outcomes[i].count, 1);
        }
    }
    channel_pair_close(&pair);
}

static void source__nobody_waits_any_more__what_runs_counts_until_it_ends(void **state)
{
    (void)state;
    struct channel_pair pair;
    struct outcome outcomes[SLOTS] = {{0}};
    struct outcome more[SLOTS] = {{0}};
    struct outcome after[SLOTS] = {{0}};
    channel_pair_init(&pair, 761);
    channel_pair_open(&pair);
    channel_pair_connect(&pair);
    assert_int_equal(ask_for_all(&pair, outcomes, 30 * SECOND), SHARE);
    channel_pair_fresh(&pair); /* the handlers go on, for nobody */
    assert_int_equal(ask_for_all(&pair, more, 30 * SECOND), 0);
    conn_end_do(&pair.conns.ends[ACCEPTOR], answer_kept, &pair.sides[ACCEPTOR]);
    assert_int_equal(ask_for_all(&pair, after, 30 * SECOND), SHARE);
    conn_end_do(&pair.conns.ends[ACCEPTOR], answer_kept, &pair.sides[ACCEPTOR]);
    conn_pair_run(&pair.conns, SECOND / 10);
    channel_pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source__wants_all_slots__gets_its_share_and_again_when_it_was_answered),
        cmocka_unit_test(source__nobody_waits_any_more__what_runs_counts_until_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
