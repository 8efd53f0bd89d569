/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a host calls at the wrong place, of the wrong shard or too late is refused by name, and never crashes or
 * waits for ever; on a thread that is nobody's it ends in one line.
 * Method: two nodes; every kind of callback of one of them calls what callbacks may call, which must work, and what
 * belongs to the control thread, which must say STATE.  A hosted node with two shards mixes them up, and is called
 * after its end.  A wrong thread is tried in a child process. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/node_host.h"

#define VERB_MINE 200u
#define RUNS_MAX 3000u
#define RUN_NS UINT64_C(10000000)

static const weft_peer_id somebody = {1};

enum place { PLACE_READY = 0, PLACE_PEER, PLACE_HANDLER, PLACE_ABORT, PLACE_REPLY, PLACE_LOG, PLACE_TIMER, PLACES };

/* One node with a thread, whose callbacks misbehave. */
struct rogue {
    struct host host;
    atomic_uint visited[PLACES];
    atomic_uint faults;  /* what was not as it has to be */
    atomic_uint answers; /* to calls made inside */
    atomic_bool logging; /* inside of our log hook: the lines of what it does come from there, too */
    struct weft_timer timer;
};

static void expect_at(struct rogue *rogue, bool as_it_has_to_be, int line)
{
    if (!as_it_has_to_be) {
        atomic_fetch_add(&rogue->faults, 1);
        fprintf(stderr, "not as expected in line %d\n", line);
    }
}
#define expect(rogue, as_it_has_to_be) expect_at((rogue), (as_it_has_to_be), __LINE__)

/* Everything that is the control thread's. */
static void try_control(struct rogue *rogue)
{
    weft_node *node = rogue->host.node;
    const struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    const struct weft_topology topology = WEFT_TOPOLOGY_INIT;
    struct weft_error why = {0};
    weft_foreign *foreign;
    struct weft_peer_options other = peer;
    other.addresses[0] = "127.9.9.9";
    expect(rogue, weft_node_peer_add(node, &other, NULL, &why) == WEFT_ERR_STATE);
    expect(rogue, strstr(why.text, "inside") != NULL);
    expect(rogue, weft_node_peer_remove(node, somebody, NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_node_peer_relocate(node, somebody, "dc1", "r1", NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_node_relocate(node, "dc1", "r1", NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_node_topology_apply(node, &topology, NULL, 0, NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_node_encryption_set(node, WEFT_ENCRYPTION_NONE, NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_node_credentials_reload(node, &rogue->host.options, NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_node_start(node, NULL, NULL, NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_node_handle(node, 7, NULL, NULL, NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_foreign_create(node, NULL, &foreign, NULL) == WEFT_ERR_STATE);
    expect(rogue, weft_node_wait(node) == -1);
    weft_node_links(node, NULL, NULL);
    weft_node_destroy(node); /* which says so in the log, and does nothing */
}

static void call_ended(void *ctx, enum weft_err err, const struct weft_reply *reply);

/* What any callback on a shard may do. */
static void try_shard(struct rogue *rogue, weft_shard *shard)
{
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    weft_call_id id = {0};
    options.wait_for_peer = true;
    options.id = &id;
    expect(rogue, weft_call(shard, somebody, VERB_ECHO, weft_span_of("x"), &options, call_ended, rogue) == WEFT_OK);
    expect(rogue, weft_cancel(shard, id) == WEFT_OK);
    expect(rogue, weft_cancel(shard, id) == WEFT_ERR_NOT_FOUND);
    weft_buf *buf = weft_buf_take(shard, 64);
    expect(rogue, buf != NULL);
    weft_buf_unref(buf);
}

static void visit(struct rogue *rogue, enum place place, weft_shard *shard)
{
    if (atomic_fetch_add(&rogue->visited[place], 1) == 0) {
        try_control(rogue);
        if (shard != NULL) {
            try_shard(rogue, shard);
        }
    }
}

static void call_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct rogue *rogue = ctx;
    expect(rogue, err == WEFT_ERR_CANCELLED && reply->executed != WEFT_EXECUTED_YES);
    atomic_fetch_add(&rogue->answers, 1);
    visit(rogue, PLACE_REPLY, NULL);
}

static void on_timer(void *ctx, weft_shard *shard)
{
    visit(ctx, PLACE_TIMER, shard);
}

static void on_ready(void *ctx, weft_shard *shard)
{
    struct rogue *rogue = ctx;
    visit(rogue, PLACE_READY, shard);
    expect(rogue, weft_timer_start(shard, &rogue->timer, 1000, on_timer, rogue) == WEFT_OK);
}

static void on_peer(void *ctx, weft_shard *shard, const struct weft_peer_event *event)
{
    (void)event;
    visit(ctx, PLACE_PEER, shard);
}

static void on_abort(void *ctx, weft_request *request, enum weft_err why)
{
    struct rogue *rogue = ctx;
    (void)why;
    visit(rogue, PLACE_ABORT, weft_request_shard(request));
    (void)weft_fail(request, "aborted"); /* ended from inside of its own notice */
}

static void on_request(void *ctx, weft_request *request)
{
    struct rogue *rogue = ctx;
    visit(rogue, PLACE_HANDLER, weft_request_shard(request));
    expect(rogue, weft_request_on_abort(request, on_abort, rogue) == WEFT_OK);
}

static void on_log(void *ctx, char level, const char *line)
{
    struct rogue *rogue = ctx;
    (void)level;
    if (strstr(line, "peer up") != NULL) { /* a line of the shard's */
        visit(rogue, PLACE_LOG, NULL);
    }
    if (strstr(line, "127.8.8.8") != NULL &&
        strstr(line, "added") != NULL) { /* one of the control thread's: a change within a change */
        struct weft_peer_options other = WEFT_PEER_OPTIONS_INIT;
        struct weft_error why = {0};
        other.addresses[0] = "127.9.9.9";
        expect(rogue, weft_node_peer_add(rogue->host.node, &other, NULL, &why) == WEFT_ERR_STATE);
        expect(rogue, strstr(why.text, "another change") != NULL);
    }
}

static void callbacks__call_everything__shards_things_work_and_control_is_refused(void **state)
{
    const char *backend = *state;
    static struct rogue rogue;
    static struct host friend;
    struct weft_error why = {0};
    memset(&rogue, 0, sizeof rogue);
    host_pair_init(&rogue.host, &friend, backend);
    rogue.host.options.log = on_log;
    rogue.host.options.log_ctx = &rogue;
    assert_int_equal(weft_node_create(&rogue.host.node, &rogue.host.options, &why), WEFT_OK);
    weft_node *node = rogue.host.node;
    assert_int_equal(weft_node_handle(node, VERB_MINE, on_request, &rogue, NULL), WEFT_OK);
    assert_int_equal(weft_node_on_peer(node, on_peer, &rogue), WEFT_OK);
    assert_int_equal(weft_node_start(node, on_ready, &rogue, &why), WEFT_OK);
    host_start(&friend);
    struct answer answer = host_call_patient(&friend, VERB_NOBODY, 5);
    assert_int_equal(answer.err, WEFT_ERR_UNKNOWN_VERB);
    answer = host_call(&friend, VERB_MINE, 5, 300); /* ends by its deadline */
    assert_int_equal(answer.err, WEFT_ERR_TIMEOUT);
    host_until_events(&friend, 1);
    /* What is told as the node stops comes to callbacks that may not call any more. */
    host_until_counter(&rogue.host, offsetof(struct weft_counters, peers_up), 1);
    host_until_counter(&rogue.host, offsetof(struct weft_counters, requests_expired), 1);
    struct weft_peer_options other = WEFT_PEER_OPTIONS_INIT;
    weft_peer_id id;
    other.addresses[0] = "127.8.8.8";
    assert_int_equal(weft_node_peer_add(node, &other, &id, &why), WEFT_OK);
    assert_int_equal(weft_node_peer_find(node, "127.8.8.8").bits, id.bits);
    assert_int_equal(weft_node_peer_find(node, "127.9.9.9").bits, 0);
    host_fini(&rogue.host); /* and it ends in order */
    host_fini(&friend);
    for (int place = 0; place < PLACES; place++) {
        if (atomic_load(&rogue.visited[place]) == 0) {
            fail_msg("no callback came to place %d", place);
        }
    }
    assert_int_equal(atomic_load(&rogue.faults), 0);
    assert_true(atomic_load(&rogue.answers) > 0);
}

static void on_task(void *ctx, weft_shard *shard)
{
    (void)ctx;
    (void)shard;
}

/* A hosted node of two shards, both on this thread. */
static void hosted_open(struct host *host, weft_shard *shards[2])
{
    host_init(host, 1, "epoll");
    host->options.shards = "2";
    assert_int_equal(weft_node_create(&host->node, &host->options, NULL), WEFT_OK);
    assert_int_equal(weft_node_start_hosted(host->node, NULL, NULL, NULL), WEFT_OK);
    if (weft_node_shard_count(host->node) != 2) {
        host_fini(host);
        skip(); /* a machine of one CPU */
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(weft_shard_attach(host->node, i, &shards[i], NULL), WEFT_OK);
    }
}

static void hosted_close(struct host *host, weft_shard *const shards[2])
{
    weft_node_drain(host->node);
    assert_int_equal(weft_node_wait(host->node), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(weft_shard_run_once(shards[i], 0), WEFT_ERR_CLOSED);
    }
}

static void shard__things_of_another__refused(void **state)
{
    static struct host host;
    weft_shard *shards[2];
    struct weft_timer timer = {{0}};
    (void)state;
    hosted_open(&host, shards);
    weft_buf *buf = weft_buf_take(shards[0], 20000);
    assert_non_null(buf);
    assert_int_equal(weft_call_buf(shards[1], somebody, VERB_ECHO, buf, NULL, NULL, NULL), WEFT_ERR_INVALID);
    weft_buf_unref(buf); /* still ours */
    assert_int_equal(weft_timer_start(shards[0], &timer, RUN_NS, on_task, NULL), WEFT_OK);
    assert_int_equal(weft_timer_start(shards[1], &timer, RUN_NS, on_task, NULL), WEFT_ERR_INVALID);
    assert_int_equal(weft_timer_stop(shards[1], &timer), WEFT_ERR_INVALID);
    assert_int_equal(weft_timer_stop(shards[0], &timer), WEFT_OK);
    assert_int_equal(weft_timer_start(shards[1], &timer, RUN_NS, on_task, NULL), WEFT_OK); /* it is free now */
    assert_int_equal(weft_timer_stop(shards[1], &timer), WEFT_OK);
    assert_int_equal(weft_cancel(shards[0], (weft_call_id){UINT64_C(1) << 40 | 5}), WEFT_ERR_NOT_FOUND);
    hosted_close(&host, shards);
    host_fini(&host);
}

static void shard__after_its_end__refused(void **state)
{
    static struct host host;
    weft_shard *shards[2];
    struct weft_timer timer = {{0}};
    struct weft_counters counters;
    (void)state;
    hosted_open(&host, shards);
    hosted_close(&host, shards);
    weft_shard *shard = shards[0];
    assert_int_equal(weft_call(shard, somebody, VERB_ECHO, weft_span_of("x"), NULL, NULL, NULL), WEFT_ERR_DRAINING);
    assert_int_equal(weft_cancel(shard, (weft_call_id){1}), WEFT_ERR_NOT_FOUND);
    assert_int_equal(weft_peer_find(shard, "127.0.0.1").bits, 0);
    assert_int_equal(weft_peer_shards(shard, somebody), 0);
    assert_int_equal(weft_shard_index(shard), 0);
    assert_true(weft_shard_now_ns(shard) > 0);
    assert_int_equal(weft_timer_start(shard, &timer, 1, on_task, NULL), WEFT_OK); /* and never runs */
    assert_int_equal(weft_timer_stop(shard, &timer), WEFT_OK);
    weft_buf *buf = weft_buf_take(shard, 64);
    weft_buf_unref(buf);
    /* The node, too. */
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    weft_foreign *foreign;
    peer.addresses[0] = "127.9.9.9";
    assert_int_equal(weft_node_peer_add(host.node, &peer, NULL, NULL), WEFT_ERR_DRAINING);
    assert_int_equal(weft_node_peer_remove(host.node, somebody, NULL), WEFT_ERR_DRAINING);
    assert_int_equal(weft_node_start(host.node, NULL, NULL, NULL), WEFT_ERR_STATE);
    assert_int_equal(weft_foreign_create(host.node, NULL, &foreign, NULL), WEFT_ERR_STATE);
    assert_int_equal(weft_shard_attach(host.node, 0, &shards[1], NULL), WEFT_ERR_STATE);
    weft_node_links(host.node, NULL, NULL);
    weft_node_counters(host.node, &counters);
    weft_node_drain(host.node);
    assert_int_equal(weft_node_wait(host.node), 0);
    host_fini(&host);
}

static void *elsewhere(void *argument)
{
    weft_buf *buf = weft_buf_take(argument, 64);
    weft_buf_unref(buf);
    return NULL;
}

static void *elsewhere_stopping(void *argument)
{
    struct weft_timer timer = {{0}};
    (void)weft_timer_stop(argument, &timer);
    return NULL;
}

static void *elsewhere_cancelling(void *argument)
{
    (void)!weft_cancel(argument, (weft_call_id){1});
    return NULL;
}

static void *elsewhere_calling(void *argument)
{
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    (void)!weft_call(argument, somebody, VERB_ECHO, weft_span_of("x"), &options, NULL, NULL);
    return NULL;
}

static void child_run(void *(*thread)(void *), bool connected)
{
    static struct host hosts[2];
    weft_shard *shard = NULL;
    pthread_t id;
    host_pair_init(&hosts[0], &hosts[1], "epoll");
    (void)!weft_node_create(&hosts[0].node, &hosts[0].options, NULL);
    (void)!weft_node_start_hosted(hosts[0].node, NULL, NULL, NULL);
    (void)!weft_shard_attach(hosts[0].node, 0, &shard, NULL);
    if (connected) {
        struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
        options.wait_for_peer = true;
        host_start(&hosts[1]);
        (void)!weft_call(shard, somebody, VERB_ECHO, weft_span_of("x"), &options, NULL, NULL);
        struct weft_counters counters = {0};
        for (uint32_t i = 0; i < RUNS_MAX && counters.calls_answered == 0; i++) {
            (void)!weft_shard_run_once(shard, RUN_NS);
            weft_node_counters(hosts[0].node, &counters);
        }
    }
    pthread_create(&id, NULL, thread, shard);
    pthread_join(id, NULL);
}

static void shard__on_a_wrong_thread__one_line_and_the_end(void **state)
{
    static const struct {
        void *(*thread)(void *);
        bool connected;
    } rows[] = {
        {elsewhere, false}, {elsewhere_stopping, false}, {elsewhere_cancelling, false}, {elsewhere_calling, true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int ends[2];
        char text[512] = "";
        int status;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            dup2(ends[1], STDERR_FILENO);
            alarm(60);
            child_run(rows[i].thread, rows[i].connected);
            _exit(0);
        }
        close(ends[1]);
        size_t used = 0;
        ssize_t bytes;
        while (used < sizeof text - 1 && (bytes = read(ends[0], text + used, sizeof text - 1 - used)) > 0) {
            used += (size_t)bytes;
        }
        close(ends[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        assert_non_null(strstr(text, "weft: shard 0 was used on a thread that does not run it"));
    }
}

int main(void)
{
    static char uring[] = "auto";
    static char epoll[] = "epoll";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shard__on_a_wrong_thread__one_line_and_the_end), /* first: nothing has threads yet */
        cmocka_unit_test_prestate(callbacks__call_everything__shards_things_work_and_control_is_refused, uring),
        cmocka_unit_test_prestate(callbacks__call_everything__shards_things_work_and_control_is_refused, epoll),
        cmocka_unit_test(shard__things_of_another__refused),
        cmocka_unit_test(shard__after_its_end__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
