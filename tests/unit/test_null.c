/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a NULL that a host hands in by mistake is an error that says which, or does nothing, and never a crash.
 * Method: each control function with NULL for the node; those that make something with NULL for where to put it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <weft/weft.h>

static void expect_told(enum weft_err err, struct weft_error *why)
{
    assert_int_equal(err, WEFT_ERR_INVALID);
    assert_int_equal(why->code, WEFT_ERR_INVALID);
    assert_non_null(strstr(why->text, "NULL"));
    memset(why, 0, sizeof *why);
}

static void handler(void *ctx, weft_request *request)
{
    (void)ctx;
    (void)request;
}

static void node__null__one_line_says_so(void **state)
{
    const struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    const struct weft_topology topology = WEFT_TOPOLOGY_INIT;
    const struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_error why = {0};
    weft_foreign *foreign;
    weft_shard *shard;
    (void)state;
    expect_told(weft_node_handle(NULL, 1, handler, NULL, &why), &why);
    expect_told(weft_node_handle_one_way(NULL, 1, handler, NULL, &why), &why);
    expect_told(weft_node_handle_standard(NULL, &why), &why);
    expect_told(weft_node_shard_of(NULL, 1, NULL, NULL, &why), &why);
    expect_told(weft_node_peer_add(NULL, &peer, NULL, &why), &why);
    expect_told(weft_node_peer_remove(NULL, (weft_peer_id){1}, &why), &why);
    expect_told(weft_node_peer_relocate(NULL, (weft_peer_id){1}, "dc1", "r1", &why), &why);
    expect_told(weft_node_relocate(NULL, "dc1", "r1", &why), &why);
    expect_told(weft_node_topology_apply(NULL, &topology, NULL, 0, &why), &why);
    expect_told(weft_node_credentials_reload(NULL, &options, &why), &why);
    expect_told(weft_node_start(NULL, NULL, NULL, &why), &why);
    expect_told(weft_node_start_hosted(NULL, NULL, NULL, &why), &why);
    expect_told(weft_shard_attach(NULL, 0, &shard, &why), &why);
    expect_told(weft_foreign_create(NULL, NULL, &foreign, &why), &why);
    assert_int_equal(weft_node_on_peer(NULL, NULL, NULL), WEFT_ERR_INVALID);
    assert_int_equal(weft_node_on_lane(NULL, NULL, NULL), WEFT_ERR_INVALID);
    assert_int_equal(weft_node_admit(NULL, NULL, NULL), WEFT_ERR_INVALID);
    assert_int_equal(weft_node_authorize(NULL, NULL, NULL), WEFT_ERR_INVALID);
}

static void node__null__nothing_to_do_or_to_tell(void **state)
{
    struct weft_counters counters;
    struct weft_peer_counters of_peer;
    struct weft_metrics metrics;
    (void)state;
    weft_node_drain(NULL);
    assert_int_equal(weft_node_wait(NULL), 0);
    weft_node_destroy(NULL);
    weft_node_links(NULL, NULL, NULL);
    assert_int_equal(weft_node_shard_count(NULL), 0);
    assert_string_equal(weft_node_backend(NULL), "");
    assert_int_equal(weft_node_peer_find(NULL, "10.0.0.1").bits, 0);
    memset(&counters, 1, sizeof counters);
    weft_node_counters(NULL, &counters);
    assert_int_equal(counters.turns, 0);
    memset(&metrics, 1, sizeof metrics);
    weft_metrics_snapshot(NULL, &metrics, sizeof metrics);
    assert_int_equal(weft_histogram_count(&metrics.turn_ns), 0);
    assert_int_equal(weft_node_peer_counters(NULL, (weft_peer_id){0}, WEFT_LANE_NORMAL, &of_peer), WEFT_ERR_NOT_FOUND);
}

static void result__no_place_for_it__one_line_says_so(void **state)
{
    const struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_error why = {0};
    weft_node *node = NULL;
    (void)state;
    expect_told(weft_node_create(NULL, &options, &why), &why);
    expect_told(weft_node_create(&node, NULL, &why), &why);
    expect_told(weft_node_create_from_file(NULL, "/nowhere/scylla.yaml", &why), &why);
    expect_told(weft_node_create_from_file(&node, NULL, &why), &why);
    assert_null(node);
    assert_int_equal(weft_node_create(&node, &options, &why), WEFT_OK);
    expect_told(weft_node_peer_add(node, NULL, NULL, &why), &why);
    expect_told(weft_node_topology_apply(node, NULL, NULL, 0, &why), &why);
    expect_told(weft_foreign_create(node, NULL, NULL, &why), &why);
    assert_int_equal(weft_node_peer_find(node, NULL).bits, 0);
    weft_node_destroy(node);
}

static void foreign__null__refused_or_nothing(void **state)
{
    const struct weft_span nothing = {NULL, 0};
    (void)state;
    weft_foreign_destroy(NULL);
    assert_int_equal(weft_foreign_run(NULL, 1), 0);
    assert_int_equal(weft_foreign_fd(NULL), -1);
    assert_int_equal(weft_post(NULL, 0, NULL, NULL), WEFT_ERR_INVALID);
    assert_int_equal(weft_foreign_notify(NULL, NULL, NULL, NULL), WEFT_ERR_INVALID);
    assert_int_equal(weft_foreign_call(NULL, 0, (weft_peer_id){1}, 1, nothing, NULL, NULL, NULL), WEFT_ERR_INVALID);
    assert_int_equal(weft_foreign_reply(NULL, 0, NULL, nothing), WEFT_ERR_INVALID);
    assert_int_equal(weft_foreign_fail(NULL, 0, NULL, NULL), WEFT_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node__null__one_line_says_so),
        cmocka_unit_test(node__null__nothing_to_do_or_to_tell),
        cmocka_unit_test(result__no_place_for_it__one_line_says_so),
        cmocka_unit_test(foreign__null__refused_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
