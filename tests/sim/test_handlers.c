/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that arrive together share the slot of the one that is answered by its handler: handlers that answer others
 * in between, before and after their own, and handlers that lose their connection. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/sim/channel_pair.h"

#define VERB_OTHERS_FIRST 40u
#define VERB_OWN_FIRST 41u
#define VERB_CUT 42u
#define VERB_TWICE 43u
#define CALLS 12u

struct batch {
    struct side *side;
    const uint64_t *verbs;
    struct outcome outcomes[CALLS];
};

static void answer_kept(struct side *side)
{
    while (side->kept_count > 0) {
        weft_request *kept = side->kept[--side->kept_count];
        assert_int_equal(weft_reply(kept, (struct weft_span){NULL, 0}), WEFT_OK);
    }
}

static void answer_own(weft_request *request)
{
    assert_int_equal(weft_reply(request, weft_request_payload(request)), WEFT_OK);
}

static void others_first(void *ctx, weft_request *request)
{
    answer_kept(ctx);
    answer_own(request);
}

static void own_first(void *ctx, weft_request *request)
{
    answer_own(request);
    answer_kept(ctx);
}

static void cut(void *ctx, weft_request *request)
{
    struct side *side = ctx;
    conn_abort(&side->channels[0]->conn, WEFT_ERR_CLOSED, WEFT_REASON_CLOSED_BY_PEER);
    assert_int_equal(weft_reply(request, weft_request_payload(request)), WEFT_ERR_CLOSED);
}

static void twice(void *ctx, weft_request *request)
{
    (void)ctx;
    answer_own(request);
    (void)weft_reply(request, (struct weft_span){NULL, 0});
}

static void open_pair(struct channel_pair *pair, uint64_t seed)
{
    channel_pair_init(pair, seed);
    channel_pair_open(pair);
    struct side *side = &pair->sides[ACCEPTOR];
    const struct verb verbs[] = {
        {.number = VERB_OTHERS_FIRST, .fn = others_first, .ctx = side},
        {.number = VERB_OWN_FIRST, .fn = own_first, .ctx = side},
        {.number = VERB_CUT, .fn = cut, .ctx = side},
        {.number = VERB_TWICE, .fn = twice, .ctx = side},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        assert_int_equal(verb_table_add(&side->verbs, &verbs[i]), WEFT_OK);
    }
    channel_pair_connect(pair);
}

static void batch_make(void *ctx, struct weft_shard *shard)
{
    struct batch *batch = ctx;
    (void)shard;
    for (uint32_t i = 0; i < CALLS; i++) {
        const struct call_request request = {.verb = batch->verbs[i], .args = {NULL, i}, .timeout_ns = PAIR_SECOND_NS};
        assert_int_equal(side_call(batch->side, 0, &request, &batch->outcomes[i]), WEFT_OK);
    }
}

static void batch_run(struct channel_pair *pair, struct batch *batch)
{
    batch->side = &pair->sides[DIALER];
    conn_end_do(&pair->conns.ends[DIALER], batch_make, batch);
    conn_pair_run(&pair->conns, PAIR_SECOND_NS / 10);
}

/* Each got its own answer: an echo is as long as what was sent, and what was kept is answered with nothing. */
static void batch_expect(const struct channel_pair *pair, const struct batch *batch)
{
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_int_equal(batch->outcomes[i].count, 1);
        assert_int_equal(batch->outcomes[i].err, WEFT_OK);
        assert_int_equal(batch->outcomes[i].bytes, batch->verbs[i] == VERB_KEEP ? 0 : i);
    }
    assert_int_equal(slots_in_use(&pair->sides[ACCEPTOR].rpc.requests), 0);
    assert_int_equal(pair->sides[ACCEPTOR].channels[0]->request_count, 0);
    assert_int_equal(COUNTER(pair, ACCEPTOR, requests_received), COUNTER(pair, ACCEPTOR, requests_answered));
}

static void handler__answers_kept_ones_too__each_caller_gets_its_own(void **state)
{
    (void)state;
    static const uint64_t verbs[][CALLS] = {
        {VERB_KEEP, VERB_OTHERS_FIRST, VERB_ECHO, VERB_KEEP, VERB_KEEP, VERB_ECHO, VERB_OTHERS_FIRST, VERB_ECHO,
         VERB_KEEP, VERB_OTHERS_FIRST, VERB_ECHO, VERB_ECHO},
        {VERB_KEEP, VERB_OWN_FIRST, VERB_ECHO, VERB_KEEP, VERB_KEEP, VERB_ECHO, VERB_OWN_FIRST, VERB_ECHO, VERB_KEEP,
         VERB_OWN_FIRST, VERB_ECHO, VERB_ECHO},
        {VERB_ECHO, VERB_KEEP, VERB_KEEP, VERB_KEEP, VERB_OWN_FIRST, VERB_OTHERS_FIRST, VERB_KEEP, VERB_OTHERS_FIRST,
         VERB_ECHO, VERB_ECHO, VERB_KEEP, VERB_OWN_FIRST},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        struct channel_pair pair;
        struct batch batch = {.verbs = verbs[i]};
        open_pair(&pair, 40 + i);
        batch_run(&pair, &batch);
        batch_expect(&pair, &batch);
        channel_pair_close(&pair);
    }
}

static void handler__connection_lost_within__told_so_and_slot_back(void **state)
{
    (void)state;
    static const uint64_t verbs[CALLS] = {VERB_ECHO, VERB_KEEP, VERB_CUT,  VERB_ECHO, VERB_ECHO, VERB_ECHO,
                                          VERB_ECHO, VERB_ECHO, VERB_ECHO, VERB_ECHO, VERB_ECHO, VERB_ECHO};
    struct channel_pair pair;
    struct batch batch = {.verbs = verbs};
    open_pair(&pair, 50);
    batch_run(&pair, &batch);
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_int_equal(batch.outcomes[i].count, 1);
        assert_int_not_equal(batch.outcomes[i].err, WEFT_OK); /* what was queued went with the connection */
    }
    assert_int_equal(slots_in_use(&pair.sides[ACCEPTOR].rpc.requests), 1); /* the kept one, for its owner to end */
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_aborted), 1);
    assert_int_equal(COUNTER(&pair, ACCEPTOR, requests_received), 3); /* nothing behind it ran */
    channel_pair_close(&pair);
}

static void handler__answers_twice__aborts(void **state)
{
    (void)state;
    static const uint64_t verbs[CALLS] = {VERB_ECHO, VERB_TWICE, VERB_ECHO, VERB_ECHO, VERB_ECHO, VERB_ECHO,
                                          VERB_ECHO, VERB_ECHO,  VERB_ECHO, VERB_ECHO, VERB_ECHO, VERB_ECHO};
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct channel_pair pair;
        struct batch batch = {.verbs = verbs};
        signal(SIGABRT, SIG_DFL);
        fclose(stderr); /* what it says is not this test's output */
        open_pair(&pair, 60);
        batch_run(&pair, &batch);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handler__answers_kept_ones_too__each_caller_gets_its_own),
        cmocka_unit_test(handler__answers_twice__aborts),
        cmocka_unit_test(handler__connection_lost_within__told_so_and_slot_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
