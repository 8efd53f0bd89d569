/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: promises that random storms hardly ever put to the test, each with the one situation that does.  Every case
 * notices a planted bug of tests/mutants that survived all other tests, or all quick ones.
 * Method: two whole nodes of one shard each in a simulated world without random faults.  At the end of each case both
 * drain, and nothing may be left: calls, requests, buffers, memory, sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/sim/sim_world.h"
#include "topology/cluster/node.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define STEPS_MAX 5000000u

/* Verbs that every node serves, and one of ours. */
enum { ECHO = 2, SLEEP = 7, DRAIN = 99 };

/* Of the other node, as far as a test lets the first one believe. */
#define NAMED_SHARDS 64u

struct side {
    struct weft_node *node; /* NULL once it has ended */
    uint64_t arena_used;    /* before the first connection */
    uint32_t peers_up;      /* told by peer events */
    uint32_t peers_down;
};

struct duo {
    struct sim_world *world;
    struct side sides[2];
    bool named; /* each of NAMED_SHARDS was, by a call */
};

struct duo_options {
    struct weft_node_options nodes[2];
    bool strangers; /* the second does not know the first */
};

static void log_nothing(void *ctx, char level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static void duo_options_init(struct duo_options *options)
{
    memset(options, 0, sizeof *options);
    for (uint32_t i = 0; i < 2; i++) {
        options->nodes[i] = (struct weft_node_options)WEFT_NODE_OPTIONS_INIT;
        options->nodes[i].listen_address = i == 0 ? "10.0.0.1" : "10.0.0.2";
        options->nodes[i].memory_per_shard_bytes = UINT64_C(64) << 20;
        options->nodes[i].connections_max = 16;
        options->nodes[i].peers_max = 1;
        options->nodes[i].calls_max = 64;
        options->nodes[i].requests_max = 64;
        options->nodes[i].heartbeat_ms = UINT32_MAX;
        options->nodes[i].log = log_nothing;
    }
}

static void side_told(void *ctx, weft_shard *shard, const struct weft_peer_event *event)
{
    struct side *side = ctx;
    (void)shard;
    if (event->up) {
        side->peers_up++;
    } else {
        side->peers_down++;
    }
}

static void verb_drain(void *ctx, weft_request *request)
{
    const struct side *side = ctx;
    weft_node_drain(side->node);
    assert_int_equal(weft_reply(request, (struct weft_span){NULL, 0}), WEFT_OK);
}

static struct weft_shard *side_shard(const struct side *side)
{
    return side->node->engine->shards[0];
}

/* @param peer  address of the one peer; NULL: none */
static void side_start(struct duo *duo, uint32_t index, const struct weft_node_options *options, const char *peer)
{
    struct side *side = &duo->sides[index];
    struct weft_error why = {0};
    struct weft_peer_options peer_options = WEFT_PEER_OPTIONS_INIT;
    struct node_placement placement = {.place = sim_world_node(duo->world, index), .shard_count = 1, .driven = true};
    assert_int_equal(weft_node_create(&side->node, options, &why), WEFT_OK);
    assert_int_equal(weft_node_handle_standard(side->node, &why), WEFT_OK);
    assert_int_equal(weft_node_handle(side->node, DRAIN, verb_drain, side, &why), WEFT_OK);
    assert_int_equal(weft_node_on_peer(side->node, side_told, side), WEFT_OK);
    peer_options.addresses[0] = peer;
    if (peer != NULL) {
        assert_int_equal(weft_node_peer_add(side->node, &peer_options, NULL, &why), WEFT_OK);
    }
    assert_int_equal(node_start_on(side->node, &placement, NULL, NULL, &why), WEFT_OK);
    sim_io_set_user(side_shard(side)->io, side_shard(side));
    side->arena_used = arena_used(&side_shard(side)->arena);
}

static void duo_open(struct duo *duo, const struct duo_options *options)
{
    struct weft_error why = {0};
    struct sim_options sim;
    memset(duo, 0, sizeof *duo);
    sim_options_init(&sim, 1);
    assert_int_equal(sim_world_create(&duo->world, &sim, &why), WEFT_OK);
    side_start(duo, 0, &options->nodes[0], options->nodes[1].listen_address);
    side_start(duo, 1, &options->nodes[1], options->strangers ? NULL : options->nodes[0].listen_address);
}

/* Let time pass until done says so, if it is given; false when the time is over first. */
static bool duo_run(struct duo *duo, uint64_t for_ns, bool (*done)(void *ctx), void *ctx)
{
    uint64_t until_ns = sim_world_now_ns(duo->world) + for_ns;
    for (uint32_t step = 0; step < STEPS_MAX && sim_world_now_ns(duo->world) < until_ns; step++) {
        if (done != NULL && done(ctx)) {
            return true;
        }
        struct io *io = sim_world_next(duo->world);
        if (io == NULL) {
            return false;
        }
        shard_turn(sim_io_user(io));
    }
    return done != NULL && done(ctx);
}

static bool side_stopped(void *ctx)
{
    return side_shard(ctx)->stop_asked;
}

/* What connections, calls and requests borrowed is back. */
static void side_assert_nothing_kept(const struct side *side)
{
    const struct weft_shard *shard = side_shard(side);
    assert_int_equal(slots_in_use(&side->node->shards[0].rpc.calls), 0);
    assert_int_equal(slots_in_use(&side->node->shards[0].rpc.requests), 0);
    assert_int_equal(arena_used(&shard->arena), side->arena_used);
    assert_int_equal(shard->send_pool.free_count, shard->send_pool.count);
    assert_int_equal(sim_io_lent(shard->io), 0);
}

/* Drain a node to its end within a time.  @return what weft_node_wait says: 1 if something was cut off */
static int duo_end(struct duo *duo, uint32_t index, uint64_t within_ns)
{
    struct side *side = &duo->sides[index];
    weft_node_drain(side->node);
    if (!duo_run(duo, within_ns, side_stopped, side)) {
        fail_msg("node %u did not end in time", index);
    }
    side_assert_nothing_kept(side);
    int cut = weft_node_wait(side->node);
    weft_node_destroy(side->node);
    side->node = NULL;
    assert_int_equal(sim_world_sockets(duo->world, index), 0);
    return cut;
}

static void duo_close(struct duo *duo)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (duo->sides[i].node != NULL) {
            assert_int_equal(duo_end(duo, i, 4 * SECOND), 0);
        }
    }
    assert_int_equal(sim_world_bad_sockets(duo->world), 0);
    sim_world_destroy(duo->world);
}

static struct weft_counters side_counters(const struct side *side)
{
    struct weft_counters counters;
    weft_node_counters(side->node, &counters);
    return counters;
}

/* A call of a verb that takes a number, from the moment it is made. */
struct call_made {
    uint64_t verb;
    uint8_t args[8];
    struct weft_call_options options;
    bool started;
    uint32_t ends;
    enum weft_err err;
};

static void call_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct call_made *call = ctx;
    call->ends++;
    call->err = err;
    (void)reply;
}

static bool call_has_ended(void *ctx)
{
    return ((const struct call_made *)ctx)->ends > 0;
}

static bool call_has_started(void *ctx)
{
    return ((const struct call_made *)ctx)->started;
}

static void call_start(void *ctx, weft_shard *shard)
{
    struct call_made *call = ctx;
    assert_int_equal(weft_call(shard, (weft_peer_id){1}, call->verb, (struct weft_span){call->args, 8}, &call->options,
                               call_ended, call),
                     WEFT_OK);
    assert_int_equal(call->ends, 0);
    call->started = true;
}

/* The first node calls the second; how it ends is written down in `call`. */
static void duo_call(struct duo *duo, struct call_made *call, uint64_t verb, uint64_t args, uint32_t timeout_ms)
{
    memset(call, 0, sizeof *call);
    call->verb = verb;
    bytes_store64(call->args, args);
    call->options = (struct weft_call_options)WEFT_CALL_OPTIONS_INIT;
    call->options.timeout_ms = timeout_ms;
    assert_int_equal(engine_post(duo->sides[0].node->engine, 0, call_start, call), WEFT_OK);
    assert_true(duo_run(duo, SECOND, call_has_started, call));
}

static void request__answered_after_its_deadline__draining_does_not_wait_for_it(void **state)
{
    struct duo duo;
    struct duo_options options;
    struct call_made call;
    (void)state;
    duo_options_init(&options);
    duo_open(&duo, &options);
    duo_call(&duo, &call, SLEEP, 200000, 100);
    (void)duo_run(&duo, SECOND, NULL, NULL);
    assert_int_equal(call.ends, 1);
    assert_int_equal(call.err, WEFT_ERR_TIMEOUT);
    assert_int_equal(side_counters(&duo.sides[1]).requests_expired, 1);
    assert_int_equal(duo_end(&duo, 1, 3 * SECOND), 0);
    duo_close(&duo);
}

static void heartbeats__missed_now_and_then__peer_stays_up(void **state)
{
    struct duo duo;
    struct duo_options options;
    (void)state;
    duo_options_init(&options);
    options.nodes[0].heartbeat_ms = 100;
    duo_open(&duo, &options);
    (void)duo_run(&duo, SECOND, NULL, NULL);
    assert_int_equal(duo.sides[0].peers_up, 1);
    uint32_t missed = 0;
    for (uint32_t i = 0; i < 6; i++) {
        sim_world_partition(duo.world, 0, 1, true);
        (void)duo_run(&duo, 150 * MS, NULL, NULL);
        missed += duo.sides[0].node->shards[0].peers[1].control->pings_unanswered > 1;
        sim_world_partition(duo.world, 0, 1, false);
        (void)duo_run(&duo, SECOND, NULL, NULL);
    }
    assert_true(missed > 0);
    assert_int_equal(duo.sides[0].peers_down, 0);
    duo_close(&duo);
}

/* Its timers are all due when it goes on, and its peers have had nothing to answer meanwhile. */
static void node__stood_still_itself__asks_before_it_judges(void **state)
{
    struct duo duo;
    struct duo_options options;
    (void)state;
    duo_options_init(&options);
    options.nodes[0].heartbeat_ms = 100;
    options.nodes[1].heartbeat_ms = 3000; /* something goes on meanwhile */
    duo_open(&duo, &options);
    (void)duo_run(&duo, SECOND + 50 * MS, NULL, NULL);
    assert_int_equal(duo.sides[0].peers_up, 1);
    sim_world_freeze(duo.world, 0, true);
    uint64_t before_ns = sim_world_now_ns(duo.world);
    (void)duo_run(&duo, 5 * SECOND, NULL, NULL);
    assert_true(sim_world_now_ns(duo.world) - before_ns > 3 * SECOND);
    sim_world_freeze(duo.world, 0, false);
    (void)duo_run(&duo, SECOND, NULL, NULL);
    assert_int_equal(duo.sides[0].peers_down, 0);
    duo_close(&duo);
}

static void peer__away__dialed_ever_less_and_reported_once(void **state)
{
    struct duo duo;
    struct duo_options options;
    (void)state;
    duo_options_init(&options);
    options.nodes[0].heartbeat_ms = 100;
    duo_open(&duo, &options);
    (void)duo_run(&duo, SECOND, NULL, NULL);
    assert_int_equal(duo_end(&duo, 1, SECOND), 0);
    uint64_t before = side_counters(&duo.sides[0]).dialed;
    (void)duo_run(&duo, 60 * SECOND, NULL, NULL);
    uint64_t dialed = side_counters(&duo.sides[0]).dialed - before;
    /* Doubling from 100 ms to 10 s, each half of it at least: 7 steps and then one in 5 to 10 s. */
    assert_in_range(dialed, 8, 20);
    assert_int_equal(duo.sides[0].peers_up, 1);
    assert_int_equal(duo.sides[0].peers_down, 1);
    duo_close(&duo);
}

static void break_all(void *ctx, weft_shard *shard)
{
    struct weft_node *node = ctx;
    (void)shard;
    LIST_FOR_EACH_SAFE(at, following, &node->shards[0].net.live)
    {
        conn_abort(WEFT_CONTAINER_OF(at, struct conn, live), WEFT_ERR_CLOSED, WEFT_REASON_LOCAL_CLOSE);
    }
}

static void peer__agrees_and_breaks_at_once__dialed_ever_less(void **state)
{
    struct duo duo;
    struct duo_options options;
    (void)state;
    duo_options_init(&options);
    options.nodes[0].heartbeat_ms = 50; /* the other end has a turn as often, and breaks it then */
    duo_open(&duo, &options);
    uint64_t until_ns = sim_world_now_ns(duo.world) + 60 * SECOND;
    while (sim_world_now_ns(duo.world) < until_ns) {
        (void)duo_run(&duo, 20 * MS, NULL, NULL);
        assert_int_equal(engine_post(duo.sides[1].node->engine, 0, break_all, duo.sides[1].node), WEFT_OK);
    }
    assert_true(duo.sides[0].peers_up >= 5);
    assert_in_range(side_counters(&duo.sides[0]).dialed, 8, 20);
    duo_close(&duo);
}

static void refusal__of_a_peer_and_of_a_stranger__only_the_peer_learns_why(void **state)
{
    (void)state;
    for (uint32_t strangers = 0; strangers < 2; strangers++) {
        struct duo duo;
        struct duo_options options;
        struct call_made call;
        duo_options_init(&options);
        options.strangers = strangers == 1;
        options.nodes[1].cluster_name = "another cluster";
        duo_open(&duo, &options);
        duo_call(&duo, &call, ECHO, 1, 3000);
        assert_true(duo_run(&duo, 4 * SECOND, call_has_ended, &call));
        assert_int_equal(call.err, WEFT_ERR_UNREACHABLE);
        (void)duo_run(&duo, 4 * SECOND, NULL, NULL);
        struct weft_counters refused = side_counters(&duo.sides[0]);
        struct weft_counters refusing = side_counters(&duo.sides[1]);
        assert_int_equal(refusing.refused_by_reason[WEFT_REASON_WRONG_CLUSTER], refusing.refused);
        assert_true(refusing.refused > 0);
        assert_int_equal(refused.refused_by_reason[WEFT_REASON_REFUSED], strangers == 1 ? refused.refused : 0);
        assert_int_equal(refused.refused_by_reason[WEFT_REASON_WRONG_CLUSTER], strangers == 1 ? 0 : refused.refused);
        assert_true(refused.refused > 0);
        duo_close(&duo);
    }
}

static void name_shards(void *ctx, weft_shard *shard)
{
    struct duo *duo = ctx;
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    for (uint32_t named = 1; named <= NAMED_SHARDS; named++) {
        options.remote_shard = named;
        enum weft_err err = weft_call(shard, (weft_peer_id){1}, ECHO, weft_span_of("12345678"), &options, NULL, NULL);
        (void)err; /* those for which there is a link but no connection are refused */
    }
    duo->named = true;
}

static bool shards_were_named(void *ctx)
{
    return ((const struct duo *)ctx)->named;
}

/* More shards of the peer are named than the shard has links: what is refused for that takes no place of the peer. */
static void links__used_up__the_budget_counts_those_that_there_are(void **state)
{
    struct duo duo;
    struct duo_options options;
    struct call_made call;
    (void)state;
    duo_options_init(&options);
    duo_open(&duo, &options);
    duo_call(&duo, &call, ECHO, 1, 1000);
    assert_true(duo_run(&duo, SECOND, call_has_ended, &call));
    struct weft_node *node = duo.sides[0].node;
    atomic_store(&node->shared[0].shards, NAMED_SHARDS);
    assert_int_equal(engine_post(node->engine, 0, name_shards, &duo), WEFT_OK);
    assert_true(duo_run(&duo, SECOND, shards_were_named, &duo));
    uint32_t budgeted = 0;
    const struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(&node->shards[0], &i)) != NULL;) {
        budgeted += link->budgeted;
    }
    assert_int_equal(slots_in_use(&node->shards[0].links), node->shards[0].links.count);
    assert_true(side_counters(&duo.sides[0]).misrouted > 0);
    assert_int_equal(atomic_load(&node->shared[0].budgeted), budgeted);
    (void)duo_run(&duo, SECOND, NULL, NULL);
    duo_close(&duo);
}

/* A hundred more requests than a connection may have of a turn, in one receive buffer. */
#define BURST_CALLS (TURN_CONN_FRAMES_MAX + 100u)

struct burst {
    bool started;
    uint32_t ends;
    uint32_t answered;
    uint32_t busy;
};

static void burst_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct burst *burst = ctx;
    burst->ends++;
    burst->answered += err == WEFT_OK;
    burst->busy += err == WEFT_ERR_BUSY && reply->executed == WEFT_EXECUTED_NO;
}

static void burst_start(void *ctx, weft_shard *shard)
{
    struct burst *burst = ctx;
    for (uint32_t i = 0; i < BURST_CALLS; i++) {
        assert_int_equal(weft_call(shard, (weft_peer_id){1}, DRAIN, weft_span_of("12345678"), NULL, burst_ended, burst),
                         WEFT_OK);
    }
    burst->started = true;
}

static bool burst_is_over(void *ctx)
{
    return ((const struct burst *)ctx)->ends == BURST_CALLS;
}

/* The first request makes the node stop, in the turn that has no time for the last ones. */
static void drain__requests_are_held__answered_as_busy(void **state)
{
    struct duo duo;
    struct duo_options options;
    struct call_made call;
    struct burst burst = {0};
    (void)state;
    duo_options_init(&options);
    options.nodes[0].calls_max = 2 * BURST_CALLS;
    duo_open(&duo, &options);
    duo_call(&duo, &call, ECHO, 1, 1000);
    assert_true(duo_run(&duo, SECOND, call_has_ended, &call));
    assert_int_equal(engine_post(duo.sides[0].node->engine, 0, burst_start, &burst), WEFT_OK);
    assert_true(duo_run(&duo, 4 * SECOND, burst_is_over, &burst));
    assert_int_equal(burst.answered, TURN_CONN_FRAMES_MAX);
    assert_int_equal(burst.busy, BURST_CALLS - TURN_CONN_FRAMES_MAX);
    duo_close(&duo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request__answered_after_its_deadline__draining_does_not_wait_for_it),
        cmocka_unit_test(heartbeats__missed_now_and_then__peer_stays_up),
        cmocka_unit_test(node__stood_still_itself__asks_before_it_judges),
        cmocka_unit_test(peer__away__dialed_ever_less_and_reported_once),
        cmocka_unit_test(peer__agrees_and_breaks_at_once__dialed_ever_less),
        cmocka_unit_test(refusal__of_a_peer_and_of_a_stranger__only_the_peer_learns_why),
        cmocka_unit_test(links__used_up__the_budget_counts_those_that_there_are),
        cmocka_unit_test(drain__requests_are_held__answered_as_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
