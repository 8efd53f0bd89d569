/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a node for which memory runs out anywhere between its creation and its end says so in one line, leaves nothing
 * behind, and the same process can start it a moment later.
 *
 * Method: create, start, call, drain, destroy, in a simulated world with a healthy peer, again and again; in each round
 * another allocation fails, until a round needs fewer.  After each failure the same is done without one.  Plain, over
 * TLS, from a configuration file; and over TLS with OpenSSL's allocations failing too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/sim/sim_world.h"
#include "tests/sim/alloc_fail.h"
#include "tests/unit/pki.h"
#include "topology/cluster/node.h"

#define SECOND UINT64_C(1000000000)
#define ROUNDS_MAX 1000u
/* OpenSSL allocates thousands of times: so many of them fail, spread evenly. */
#define OPENSSL_ROUNDS 250u

/* How the node under test is made. */
struct recipe {
    const struct pki *pki;   /* NULL: plain */
    const char *config_path; /* NULL: from options */
};

struct round {
    struct sim_world *world;
    const struct recipe *recipe;
    struct weft_node *nodes[2]; /* the second is the healthy peer */
    uint32_t answers;
    enum weft_err answer;
    bool calling;
    bool openssl; /* its allocations fail too */
};

static const char *const addresses[2] = {"10.0.0.1", "10.0.0.2"};

static void log_nothing(void *ctx, char level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static void round_options(const struct recipe *recipe, uint32_t index, struct weft_node_options *options,
                          char paths[3][PKI_PATH_BYTES])
{
    *options = (struct weft_node_options)WEFT_NODE_OPTIONS_INIT;
    options->listen_address = addresses[index];
    options->memory_per_shard_bytes = UINT64_C(64) << 20;
    options->connections_max = 16;
    options->calls_max = 64;
    options->requests_max = 64;
    options->log = log_nothing;
    if (recipe->pki != NULL) {
        options->encryption = WEFT_ENCRYPTION_ALL;
        options->tls.certificate = pki_path(recipe->pki, "node.crt", paths[0]);
        options->tls.keyfile = pki_path(recipe->pki, "node.key", paths[1]);
        options->tls.truststore = pki_path(recipe->pki, "ca.crt", paths[2]);
    }
}

static enum weft_err round_create(struct round *round, uint32_t index, struct weft_error *why)
{
    char paths[3][PKI_PATH_BYTES];
    struct weft_node_options options;
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    struct weft_node **node = &round->nodes[index];
    if (index == 0 && round->recipe->config_path != NULL) {
        WEFT_TRY(weft_node_create_from_file(node, round->recipe->config_path, why));
        (*node)->settings.log = log_nothing;
        (*node)->log.fn = log_nothing;
        return weft_node_handle_standard(*node, why);
    }
    round_options(round->recipe, index, &options, paths);
    WEFT_TRY(weft_node_create(node, &options, why));
    peer.addresses[0] = addresses[1 - index];
    WEFT_TRY(weft_node_peer_add(*node, &peer, NULL, why));
    return weft_node_handle_standard(*node, why);
}

static enum weft_err round_start(struct round *round, uint32_t index, struct weft_error *why)
{
    const struct node_placement placement = {
        .place = sim_world_node(round->world, index), .shard_count = 2, .driven = true};
    WEFT_TRY(node_start_on(round->nodes[index], &placement, NULL, NULL, why));
    for (uint32_t i = 0; i < placement.shard_count; i++) {
        struct weft_shard *shard = round->nodes[index]->engine->shards[i];
        sim_io_set_user(shard->io, shard);
    }
    return WEFT_OK;
}

static bool node_stopped(const struct weft_node *node)
{
    return node->engine->shards[0]->stop_asked && node->engine->shards[1]->stop_asked;
}

typedef bool round_condition_fn(const struct round *round);

static bool round_run(struct round *round, uint64_t for_ns, round_condition_fn *condition)
{
    uint64_t end_ns = sim_world_now_ns(round->world) + for_ns;
    while (!condition(round) && sim_world_now_ns(round->world) < end_ns) {
        struct io *io = sim_world_next(round->world);
        if (io == NULL) {
            return false;
        }
        struct weft_shard *shard = sim_io_user(io);
        if (shard->stop_asked) {
            struct io_event event;
            assert_int_equal(io->backend->wait(io, IO_TIMEOUT_NEVER, &event, 1), 0);
        } else {
            shard_turn(shard);
        }
    }
    return condition(round);
}

static void call_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct round *round = ctx;
    (void)reply;
    round->answers++;
    round->answer = err;
    round->calling = false;
}

static void call_begin(void *ctx, weft_shard *shard)
{
    struct round *round = ctx;
    static const uint8_t payload[8] = {1};
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true;
    options.timeout_ms = 10000;
    assert_int_equal(weft_call(shard, (weft_peer_id){1}, 2, (struct weft_span){payload, sizeof payload}, &options,
                               call_ended, round),
                     WEFT_OK);
}

static bool call_over(const struct round *round)
{
    return !round->calling;
}

static bool first_stopped(const struct round *round)
{
    return node_stopped(round->nodes[0]);
}

static bool second_stopped(const struct round *round)
{
    return node_stopped(round->nodes[1]);
}

static enum weft_err round_call(struct round *round)
{
    uint32_t before = round->answers;
    round->calling = true;
    assert_int_equal(engine_post(round->nodes[0]->engine, 0, call_begin, round), WEFT_OK);
    assert_true(round_run(round, 11 * SECOND, call_over));
    assert_int_equal(round->answers, before + 1);
    return round->answer;
}

static void round_end_node(struct round *round, uint32_t index)
{
    weft_node_drain(round->nodes[index]);
    assert_true(round_run(round, 12 * SECOND, index == 0 ? first_stopped : second_stopped));
    assert_int_equal(weft_node_wait(round->nodes[index]), 0);
    weft_node_destroy(round->nodes[index]);
    round->nodes[index] = NULL;
    assert_int_equal(sim_world_sockets(round->world, index), 0);
}

/* One life of the node under test; its error. */
static enum weft_err round_life(struct round *round, struct weft_error *why)
{
    enum weft_err err = round_create(round, 0, why);
    err = err == WEFT_OK ? round_start(round, 0, why) : err;
    if (err != WEFT_OK) {
        weft_node_destroy(round->nodes[0]);
        round->nodes[0] = NULL;
        assert_int_equal(sim_world_sockets(round->world, 0), 0);
        return err;
    }
    err = round_call(round);
    if (err != WEFT_OK) { /* its connection is one that memory ran out for, and for OpenSSL that may last */
        assert_true(alloc_fail_struck());
        assert_true(err == WEFT_ERR_CLOSED || (round->openssl && err == WEFT_ERR_TIMEOUT));
        err = round_call(round);
        assert_true(err == WEFT_OK || (round->openssl && err == WEFT_ERR_TIMEOUT));
    }
    round_end_node(round, 0);
    return WEFT_OK;
}

/* What an error says when memory was what was missing. */
static void check_says(const struct weft_error *why, enum weft_err err, bool openssl)
{
    assert_int_equal(why->code, err);
    assert_true(strlen(why->text) > 10);
    if (!openssl && (err != WEFT_ERR_NO_MEMORY || strstr(why->text, "memory") == NULL)) {
        fail_msg("%s: %s", weft_err_name(err), why->text);
    }
}

/* @param again  whether the node is then started without a failure   @return whether an allocation failed */
static bool round_play(const struct recipe *recipe, uint64_t nth, bool openssl, bool again)
{
    struct sim_options options;
    struct weft_error why = {0};
    struct round round = {.recipe = recipe, .openssl = openssl};
    int64_t live = alloc_live();
    sim_options_init(&options, 1);
    assert_int_equal(sim_world_create(&round.world, &options, &why), WEFT_OK);
    assert_int_equal(round_create(&round, 1, &why), WEFT_OK);
    assert_int_equal(round_start(&round, 1, &why), WEFT_OK);
    alloc_fail_openssl(openssl);
    alloc_fail_arm(nth);
    enum weft_err err = round_life(&round, &why);
    bool failed = alloc_fail_disarm();
    alloc_fail_openssl(false);
    round.openssl = false;
    assert_true(err == WEFT_OK || failed);
    if (err != WEFT_OK) {
        check_says(&why, err, openssl);
    }
    if (again) {
        memset(&why, 0, sizeof why);
        err = round_life(&round, &why);
        if (err != WEFT_OK) {
            fail_msg("after allocation %llu failed: %s", (unsigned long long)nth, why.text);
        }
    }
    round_end_node(&round, 1);
    assert_int_equal(sim_world_bad_sockets(round.world), 0);
    sim_world_destroy(round.world);
    if (alloc_live() != live) {
        fail_msg("after allocation %llu failed: %lld blocks are left", (unsigned long long)nth,
                 (long long)(alloc_live() - live));
    }
    return failed;
}

static void sweep(const struct recipe *recipe, uint32_t least)
{
    uint64_t nth = 1;
    while (round_play(recipe, nth, false, true)) {
        nth++;
        assert_true(nth < ROUNDS_MAX);
    }
    print_message("%llu allocations\n", (unsigned long long)nth - 1);
    assert_true(nth > least);
}

static void plain__nth_allocation_fails__said_and_started_again(void **state)
{
    const struct recipe recipe = {0};
    (void)state;
    sweep(&recipe, 30);
}

static void pki_make(struct pki *pki)
{
    pki_open(pki);
    pki_ca(pki, "ca");
    pki_node(pki, "node", "ca", 0, 0);
}

static void tls__nth_allocation_fails__said_and_started_again(void **state)
{
    struct pki pki;
    const struct recipe recipe = {.pki = &pki};
    (void)state;
    pki_make(&pki);
    sweep(&recipe, 40);
    pki_close(&pki);
}

static void config__nth_allocation_fails__said_and_started_again(void **state)
{
    struct pki pki;
    char path[PKI_PATH_BYTES];
    struct recipe recipe = {0};
    (void)state;
    pki_open(&pki);
    pki_file(&pki, "weft.yaml",
             "cluster_name: Test Cluster\nlisten_address: 10.0.0.1\n"
             "weft:\n  memory_per_shard: 64MiB\n  nodes:\n    - address: 10.0.0.2\n");
    recipe.config_path = pki_path(&pki, "weft.yaml", path);
    sweep(&recipe, 40);
    pki_close(&pki);
}

static void tls__openssl_runs_out_of_memory__no_crash_and_started_again(void **state)
{
    struct pki pki;
    const struct recipe recipe = {.pki = &pki};
    (void)state;
    pki_make(&pki);
    assert_false(round_play(&recipe, UINT64_MAX, true, false));
    uint64_t count = alloc_fail_count();
    assert_true(count > 1000);
    uint64_t step = count / OPENSSL_ROUNDS;
    for (uint64_t nth = 1; nth <= count; nth += step) {
        assert_true(round_play(&recipe, nth, true, nth % 4 == 0));
    }
    print_message("%llu allocations, every %lluth failed\n", (unsigned long long)count, (unsigned long long)step);
    pki_close(&pki);
}

int main(void)
{
    alloc_fail_hook_openssl();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain__nth_allocation_fails__said_and_started_again),
        cmocka_unit_test(config__nth_allocation_fails__said_and_started_again),
        cmocka_unit_test(tls__nth_allocation_fails__said_and_started_again),
        cmocka_unit_test(tls__openssl_runs_out_of_memory__no_crash_and_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
