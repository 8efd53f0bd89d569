/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: no function of the interface crashes for a NULL that it does not take: it says INVALID, or gives nothing.
 * Method: a row for each symbol that the library exports, with NULL for every pointer in turn, against a node that runs
 * and a request that is open.  A symbol without a row fails the test; a crash names the row that ran last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/assert.h"
#include "tests/integration/node_host.h"

#define VERB_KEPT 200u
#define RUN_NS UINT64_C(10000000)
#define RUNS_MAX 3000u

static const weft_peer_id somebody = {1};
static const struct weft_span hole = {NULL, 5}; /* bytes, but nowhere */

/* What the rows have at hand: all of it runs on the test's thread. */
struct scene {
    struct host here;  /* hosted */
    struct host there; /* asks the kept request */
    weft_shard *shard;
    weft_request *request;
    weft_buf *buf;
    weft_foreign *foreign;
    struct weft_error why;
};

static void refused(enum weft_err err)
{
    assert_int_equal(err, WEFT_ERR_INVALID);
}

/* With a line that says so. */
static void told(struct scene *s, enum weft_err err)
{
    refused(err);
    assert_int_equal(s->why.code, WEFT_ERR_INVALID);
    assert_non_null(strstr(s->why.text, "NULL"));
    s->why = (struct weft_error){0};
}

static void on_request(void *ctx, weft_request *request)
{
    ((struct scene *)ctx)->request = request;
}

static void on_note(void *ctx)
{
    (void)ctx;
}

static void on_task(void *ctx, weft_shard *shard)
{
    (void)ctx;
    (void)shard;
}

#define ROW(symbol) static void symbol##_null(struct scene *s)

ROW(weft_buf_bytes)
{
    (void)s;
    assert_int_equal(weft_buf_bytes(NULL), 0);
}

ROW(weft_buf_data)
{
    (void)s;
    assert_null(weft_buf_data(NULL));
}

ROW(weft_buf_ref)
{
    (void)s;
    assert_null(weft_buf_ref(NULL));
}

ROW(weft_buf_take)
{
    (void)s;
    assert_null(weft_buf_take(NULL, 64));
}

ROW(weft_buf_unref)
{
    (void)s;
    weft_buf_unref(NULL);
}

ROW(weft_buf_wrap)
{
    uint8_t byte = 0;
    assert_null(weft_buf_wrap(NULL, &byte, 1, NULL, NULL));
    assert_null(weft_buf_wrap(s->shard, NULL, 1, NULL, NULL));
}

ROW(weft_call)
{
    refused(weft_call(NULL, somebody, VERB_ECHO, weft_span_of("x"), NULL, NULL, NULL));
    assert_int_equal(weft_call(s->shard, somebody, VERB_ECHO, (struct weft_span){NULL, 0}, NULL, NULL, NULL), WEFT_OK);
}

ROW(weft_call_buf)
{
    refused(weft_call_buf(NULL, somebody, VERB_ECHO, s->buf, NULL, NULL, NULL));
    refused(weft_call_buf(s->shard, somebody, VERB_ECHO, NULL, NULL, NULL, NULL));
}

ROW(weft_cancel)
{
    (void)s;
    refused(weft_cancel(NULL, (weft_call_id){1}));
}

ROW(weft_fail)
{
    (void)s;
    refused(weft_fail(NULL, "text"));
}

ROW(weft_foreign_call)
{
    refused(weft_foreign_call(NULL, 0, somebody, VERB_ECHO, weft_span_of("x"), NULL, NULL, NULL));
    refused(weft_foreign_call(s->foreign, 0, somebody, VERB_ECHO, hole, NULL, NULL, NULL));
}

ROW(weft_foreign_create)
{
    weft_foreign *foreign;
    told(s, weft_foreign_create(NULL, NULL, &foreign, &s->why));
    told(s, weft_foreign_create(s->here.node, NULL, NULL, &s->why));
    refused(weft_foreign_create(NULL, NULL, &foreign, NULL));
}

ROW(weft_foreign_destroy)
{
    (void)s;
    weft_foreign_destroy(NULL);
}

ROW(weft_foreign_fail)
{
    refused(weft_foreign_fail(NULL, 0, s->request, "text"));
    refused(weft_foreign_fail(s->foreign, 0, NULL, NULL));
}

ROW(weft_foreign_fd)
{
    (void)s;
    assert_int_equal(weft_foreign_fd(NULL), -1);
}

ROW(weft_foreign_notify)
{
    refused(weft_foreign_notify(NULL, s->shard, on_note, NULL));
    refused(weft_foreign_notify(s->foreign, NULL, on_note, NULL));
    refused(weft_foreign_notify(s->foreign, s->shard, NULL, NULL));
}

ROW(weft_foreign_reply)
{
    refused(weft_foreign_reply(NULL, 0, s->request, weft_span_of("x")));
    refused(weft_foreign_reply(s->foreign, 0, NULL, weft_span_of("x")));
    refused(weft_foreign_reply(s->foreign, 0, s->request, hole));
}

ROW(weft_foreign_run)
{
    (void)s;
    assert_int_equal(weft_foreign_run(NULL, 1), 0);
}

ROW(weft_histogram_count)
{
    (void)s;
    assert_int_equal(weft_histogram_count(NULL), 0);
}

ROW(weft_histogram_quantile)
{
    (void)s;
    assert_int_equal(weft_histogram_quantile(NULL, 0.5), 0);
}

ROW(weft_metrics_snapshot)
{
    struct weft_metrics metrics;
    memset(&metrics, 1, sizeof metrics);
    weft_metrics_snapshot(NULL, &metrics, sizeof metrics);
    assert_int_equal(metrics.turn_ns.sum, 0);
    weft_metrics_snapshot(s->here.node, NULL, sizeof metrics);
}

ROW(weft_node_admit)
{
    (void)s;
    refused(weft_node_admit(NULL, NULL, NULL));
}

ROW(weft_node_authorize)
{
    (void)s;
    refused(weft_node_authorize(NULL, NULL, NULL));
}

ROW(weft_node_backend)
{
    (void)s;
    assert_string_equal(weft_node_backend(NULL), "");
}

ROW(weft_node_certificate_not_after_s)
{
    (void)s;
    assert_int_equal(weft_node_certificate_not_after_s(NULL), 0);
}

ROW(weft_node_counters_read)
{
    struct weft_counters counters;
    memset(&counters, 1, sizeof counters);
    weft_node_counters_read(NULL, &counters, sizeof counters);
    assert_int_equal(counters.turns, 0);
    weft_node_counters_read(s->here.node, NULL, sizeof counters);
}

ROW(weft_node_create)
{
    const struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    weft_node *node = NULL;
    told(s, weft_node_create(NULL, &options, &s->why));
    told(s, weft_node_create(&node, NULL, &s->why));
    refused(weft_node_create(&node, NULL, NULL));
    assert_null(node);
}

ROW(weft_node_create_from_file)
{
    weft_node *node = NULL;
    told(s, weft_node_create_from_file(NULL, "/nowhere/scylla.yaml", &s->why));
    told(s, weft_node_create_from_file(&node, NULL, &s->why));
    assert_null(node);
}

ROW(weft_node_credentials_reload)
{
    const struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    told(s, weft_node_credentials_reload(NULL, &options, &s->why));
    told(s, weft_node_credentials_reload(s->here.node, NULL, &s->why));
}

ROW(weft_node_destroy)
{
    (void)s;
    weft_node_destroy(NULL);
}

ROW(weft_node_drain)
{
    (void)s;
    weft_node_drain(NULL);
}

ROW(weft_node_encryption)
{
    (void)s;
    assert_int_equal(weft_node_encryption(NULL), WEFT_ENCRYPTION_NONE);
}

ROW(weft_node_encryption_set)
{
    told(s, weft_node_encryption_set(NULL, WEFT_ENCRYPTION_NONE, &s->why));
}

ROW(weft_node_handle)
{
    weft_node *node = NULL;
    told(s, weft_node_handle(NULL, 1, on_request, NULL, &s->why));
    assert_int_equal(weft_node_create(&node, &s->there.options, NULL), WEFT_OK);
    refused(weft_node_handle(node, 1, NULL, NULL, NULL));
    refused(weft_node_handle_one_way(node, 1, NULL, NULL, NULL));
    weft_node_destroy(node);
}

ROW(weft_node_handle_one_way)
{
    told(s, weft_node_handle_one_way(NULL, 1, on_request, NULL, &s->why));
}

ROW(weft_node_handle_standard)
{
    told(s, weft_node_handle_standard(NULL, &s->why));
}

ROW(weft_node_links)
{
    weft_node_links(NULL, NULL, NULL);
    weft_node_links(s->here.node, NULL, NULL);
}

ROW(weft_node_on_lane)
{
    (void)s;
    refused(weft_node_on_lane(NULL, NULL, NULL));
}

ROW(weft_node_on_peer)
{
    (void)s;
    refused(weft_node_on_peer(NULL, NULL, NULL));
}

ROW(weft_node_peer_add)
{
    const struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    told(s, weft_node_peer_add(NULL, &peer, NULL, &s->why));
    told(s, weft_node_peer_add(s->here.node, NULL, NULL, &s->why));
}

ROW(weft_node_peer_counters_read)
{
    struct weft_peer_counters counters;
    assert_int_equal(weft_node_peer_counters_read(NULL, somebody, WEFT_LANE_NORMAL, 0, &counters, sizeof counters),
                     WEFT_ERR_NOT_FOUND);
    assert_int_equal(weft_node_peer_counters_read(s->here.node, somebody, WEFT_LANE_NORMAL, 0, NULL, sizeof counters),
                     WEFT_OK);
}

ROW(weft_node_peer_find)
{
    assert_int_equal(weft_node_peer_find(NULL, "10.0.0.1").bits, 0);
    assert_int_equal(weft_node_peer_find(s->here.node, NULL).bits, 0);
}

ROW(weft_node_peer_relocate)
{
    told(s, weft_node_peer_relocate(NULL, somebody, "dc1", "r1", &s->why));
}

ROW(weft_node_peer_remove)
{
    told(s, weft_node_peer_remove(NULL, somebody, &s->why));
}

ROW(weft_node_relocate)
{
    told(s, weft_node_relocate(NULL, "dc1", "r1", &s->why));
}

ROW(weft_node_shard_count)
{
    (void)s;
    assert_int_equal(weft_node_shard_count(NULL), 0);
}

ROW(weft_node_shard_of)
{
    told(s, weft_node_shard_of(NULL, 1, NULL, NULL, &s->why));
}

ROW(weft_node_start)
{
    told(s, weft_node_start(NULL, NULL, NULL, &s->why));
}

ROW(weft_node_start_hosted)
{
    told(s, weft_node_start_hosted(NULL, NULL, NULL, &s->why));
}

ROW(weft_node_topology_apply)
{
    struct weft_topology topology = WEFT_TOPOLOGY_INIT;
    told(s, weft_node_topology_apply(NULL, &topology, NULL, 0, &s->why));
    told(s, weft_node_topology_apply(s->here.node, NULL, NULL, 0, &s->why));
    topology.peer_count = 1;
    told(s, weft_node_topology_apply(s->here.node, &topology, NULL, 0, &s->why));
}

ROW(weft_node_wait)
{
    (void)s;
    assert_int_equal(weft_node_wait(NULL), 0);
}

ROW(weft_peer_find)
{
    assert_int_equal(weft_peer_find(NULL, "10.0.0.1").bits, 0);
    assert_int_equal(weft_peer_find(s->shard, NULL).bits, 0);
}

ROW(weft_peer_shards)
{
    (void)s;
    assert_int_equal(weft_peer_shards(NULL, somebody), 0);
}

ROW(weft_post)
{
    refused(weft_post(NULL, 0, on_task, NULL));
    refused(weft_post(s->foreign, 0, NULL, NULL));
}

ROW(weft_reply)
{
    refused(weft_reply(NULL, weft_span_of("x")));
    assert_int_equal(weft_request_aborted(s->request), WEFT_OK);
}

ROW(weft_reply_buf)
{
    refused(weft_reply_buf(NULL, s->buf));
    refused(weft_reply_buf(s->request, NULL));
}

ROW(weft_reply_take_payload)
{
    (void)s;
    assert_null(weft_reply_take_payload(NULL));
}

ROW(weft_request_aborted)
{
    (void)s;
    refused(weft_request_aborted(NULL));
}

ROW(weft_request_on_abort)
{
    (void)s;
    refused(weft_request_on_abort(NULL, NULL, NULL));
}

ROW(weft_request_remaining_ns)
{
    (void)s;
    assert_int_equal(weft_request_remaining_ns(NULL), 0);
}

ROW(weft_request_shard)
{
    (void)s;
    assert_null(weft_request_shard(NULL));
}

ROW(weft_request_take_payload)
{
    (void)s;
    assert_null(weft_request_take_payload(NULL));
}

ROW(weft_shard_attach)
{
    weft_shard *shard;
    told(s, weft_shard_attach(NULL, 0, &shard, &s->why));
    told(s, weft_shard_attach(s->here.node, 0, NULL, &s->why));
}

ROW(weft_shard_fd)
{
    (void)s;
    assert_int_equal(weft_shard_fd(NULL), -1);
}

ROW(weft_shard_index)
{
    (void)s;
    assert_int_equal(weft_shard_index(NULL), 0);
}

ROW(weft_shard_now_ns)
{
    (void)s;
    assert_int_equal(weft_shard_now_ns(NULL), 0);
}

ROW(weft_shard_run_once)
{
    (void)s;
    refused(weft_shard_run_once(NULL, 0));
}

ROW(weft_timer_start)
{
    struct weft_timer timer = {{0}};
    refused(weft_timer_start(NULL, &timer, 1, on_task, NULL));
    refused(weft_timer_start(s->shard, NULL, 1, on_task, NULL));
    refused(weft_timer_start(s->shard, &timer, 1, NULL, NULL));
}

ROW(weft_timer_stop)
{
    struct weft_timer timer = {{0}};
    refused(weft_timer_stop(NULL, &timer));
    refused(weft_timer_stop(s->shard, NULL));
}

struct row {
    const char *symbol;
    void (*run)(struct scene *scene); /* NULL: takes no pointer, or, as weft.h says, is not looked at */
};
#define TRY(symbol)                                                                                                    \
    {                                                                                                                  \
#symbol, symbol##_null                                                                                         \
    }

/* clang-format off */
static const struct row rows[] = {
    TRY(weft_buf_bytes), TRY(weft_buf_data), TRY(weft_buf_ref), TRY(weft_buf_take), TRY(weft_buf_unref),
    TRY(weft_buf_wrap), TRY(weft_call), TRY(weft_call_buf), TRY(weft_cancel), {"weft_encryption_name", NULL},
    {"weft_err_meaning", NULL}, {"weft_err_name", NULL}, {"weft_executed_name", NULL}, TRY(weft_fail),
    TRY(weft_foreign_call), TRY(weft_foreign_create), TRY(weft_foreign_destroy), TRY(weft_foreign_fail),
    TRY(weft_foreign_fd), TRY(weft_foreign_notify), TRY(weft_foreign_reply), TRY(weft_foreign_run),
    TRY(weft_histogram_count), TRY(weft_histogram_quantile), {"weft_lane_name", NULL}, TRY(weft_metrics_snapshot),
    TRY(weft_node_admit), TRY(weft_node_authorize), TRY(weft_node_backend), TRY(weft_node_counters_read),
    TRY(weft_node_certificate_not_after_s),
    TRY(weft_node_create), TRY(weft_node_create_from_file), TRY(weft_node_credentials_reload), TRY(weft_node_destroy),
    TRY(weft_node_drain), TRY(weft_node_encryption), TRY(weft_node_encryption_set), TRY(weft_node_handle),
    TRY(weft_node_handle_one_way), TRY(weft_node_handle_standard), TRY(weft_node_links), TRY(weft_node_on_lane),
    TRY(weft_node_on_peer), TRY(weft_node_peer_add), TRY(weft_node_peer_counters_read), TRY(weft_node_peer_find),
    TRY(weft_node_peer_relocate), TRY(weft_node_peer_remove), TRY(weft_node_relocate), TRY(weft_node_shard_count),
    TRY(weft_node_shard_of), TRY(weft_node_start), TRY(weft_node_start_hosted), TRY(weft_node_topology_apply),
    TRY(weft_node_wait), TRY(weft_peer_find), TRY(weft_peer_shards), TRY(weft_post), {"weft_reason_name", NULL},
    TRY(weft_reply), TRY(weft_reply_buf), TRY(weft_reply_take_payload), TRY(weft_request_aborted),
    TRY(weft_request_on_abort), {"weft_request_payload", NULL}, TRY(weft_request_remaining_ns), TRY(weft_request_shard),
    TRY(weft_request_take_payload), TRY(weft_shard_attach), TRY(weft_shard_fd), TRY(weft_shard_index),
    TRY(weft_shard_now_ns), TRY(weft_shard_run_once), TRY(weft_timer_start), TRY(weft_timer_stop),
    {"weft_version", NULL},
};
/* clang-format on */
#define ROWS (sizeof rows / sizeof rows[0])

static void keeps_requests(struct host *host)
{
    struct scene *scene = WEFT_CONTAINER_OF(host, struct scene, here);
    assert_int_equal(weft_node_handle(host->node, VERB_KEPT, on_request, scene, NULL), WEFT_OK);
}

/* A hosted node, and one with threads that asks it for what it keeps. */
static void scene_open(struct scene *s, struct asked *asked)
{
    memset(s, 0, sizeof *s);
    host_pair_init(&s->here, &s->there, "epoll");
    assert_int_equal(weft_node_create(&s->here.node, &s->here.options, NULL), WEFT_OK);
    keeps_requests(&s->here);
    assert_int_equal(weft_node_start_hosted(s->here.node, NULL, NULL, &s->why), WEFT_OK);
    assert_int_equal(weft_shard_attach(s->here.node, 0, &s->shard, NULL), WEFT_OK);
    host_start(&s->there);
    *asked = (struct asked){.host = &s->there, .peer = somebody, .verb = VERB_KEPT, .args = weft_span_of("hello")};
    asked->options = (struct weft_call_options)WEFT_CALL_OPTIONS_INIT;
    asked->options.wait_for_peer = true;
    asked->options.timeout_ms = 60000;
    assert_true(asked_start(asked));
    for (uint32_t i = 0; i < RUNS_MAX && s->request == NULL; i++) {
        assert_int_equal(weft_shard_run_once(s->shard, RUN_NS), WEFT_OK);
    }
    assert_non_null(s->request);
    s->buf = weft_buf_take(s->shard, 64);
    assert_non_null(s->buf);
    assert_int_equal(weft_foreign_create(s->here.node, NULL, &s->foreign, NULL), WEFT_OK);
}

static void every_symbol__null__refused_or_nothing(void **state)
{
    static struct scene scene;
    struct asked asked;
    (void)state;
    scene_open(&scene, &asked);
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].run != NULL) {
            fprintf(stderr, "%s\n", rows[i].symbol);
            rows[i].run(&scene);
        }
    }
    /* All of that changed nothing: the request is answered. */
    weft_buf_unref(scene.buf);
    weft_foreign_destroy(scene.foreign);
    assert_int_equal(weft_reply(scene.request, weft_span_of("there")), WEFT_OK);
    assert_int_equal(weft_shard_run_once(scene.shard, 0), WEFT_OK);
    asked_wait(&asked);
    assert_int_equal(asked.answer.err, WEFT_OK);
    weft_node_drain(scene.here.node);
    host_fini(&scene.here);
    host_fini(&scene.there);
}

static void rows__exported_symbols__all_there(void **state)
{
    char path[512];
    char line[128];
    size_t count = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/tests/abi/weft.symbols", getenv("WEFT_SOURCE_DIR"));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        bool found = false;
        for (size_t i = 0; i < ROWS && !found; i++) {
            found = strcmp(rows[i].symbol, line) == 0;
        }
        if (!found) {
            fail_msg("%s is exported and has no row here", line);
        }
        count++;
    }
    fclose(file);
    assert_int_equal(count, ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows__exported_symbols__all_there),
        cmocka_unit_test(every_symbol__null__refused_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
