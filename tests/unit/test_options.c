/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: structs of an older and of a newer program are understood as far as both sides know them, and an option that
 * this library does not know is refused instead of ignored.
 * Method: each option struct at every size below and above its own; a node made by an "older" program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weft/weft.h>

#include "engine/base/options.h"
#include "topology/cluster/node.h"

#define SIZE_MOST 1024u
#define TAIL_BYTES 24u

static const size_t sizes[] = {sizeof(struct weft_call_options), sizeof(struct weft_peer_options),
                               sizeof(struct weft_node_options)};

static void options__of_an_older_program__prefix_kept_rest_zero(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t given_bytes = sizeof(size_t); given_bytes <= sizes[s]; given_bytes++) {
            uint8_t given[SIZE_MOST];
            uint8_t known[SIZE_MOST];
            size_t known_size;
            memset(given, 0xa5, sizeof given);
            memset(known, 0x77, sizeof known);
            memcpy(given, &given_bytes, sizeof given_bytes);
            assert_int_equal(options_take(known, sizes[s], given, "x", NULL), WEFT_OK);
            memcpy(&known_size, known, sizeof known_size);
            assert_int_equal(known_size, sizes[s]);
            for (size_t i = sizeof(size_t); i < sizes[s]; i++) {
                assert_int_equal(known[i], i < given_bytes ? 0xa5 : 0);
            }
            assert_int_equal(known[sizes[s]], 0x77);
        }
    }
}

static void options__of_a_newer_program__only_with_an_empty_tail(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t at = 0; at < TAIL_BYTES; at++) {
            uint8_t given[SIZE_MOST + TAIL_BYTES] = {0};
            uint8_t known[SIZE_MOST];
            struct weft_error why = {0};
            size_t bytes = sizes[s] + TAIL_BYTES;
            memcpy(given, &bytes, sizeof bytes);
            assert_int_equal(options_take(known, sizes[s], given, "struct x", &why), WEFT_OK);
            given[sizes[s] + at] = 1;
            assert_int_equal(options_take(known, sizes[s], given, "struct x", &why), WEFT_ERR_TOO_NEW);
            assert_non_null(strstr(why.text, "struct x"));
        }
    }
}

static void options__without_a_size__invalid(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < sizeof(size_t); bytes++) {
        struct weft_call_options given = {.size = bytes, .timeout_ms = 7};
        struct weft_call_options known;
        struct weft_error why = {0};
        assert_int_equal(options_take(&known, sizeof known, &given, "struct x", &why), WEFT_ERR_INVALID);
        assert_non_null(strstr(why.text, "_INIT"));
        assert_int_equal(known.timeout_ms, 0);
    }
}

static void result__for_an_older_or_newer_caller__common_part_and_zeros(void **state)
{
    (void)state;
    const uint8_t known[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t bytes = 0; bytes <= 12; bytes++) {
        uint8_t to[16];
        memset(to, 0x77, sizeof to);
        options_give(to, bytes, known, sizeof known);
        for (size_t i = 0; i < sizeof to; i++) {
            assert_int_equal(to[i], i >= bytes ? 0x77 : i < 8 ? i + 1 : 0);
        }
    }
}

/* As a program that was compiled when a peer had nothing behind its location, and a node no heartbeat. */
static void node__made_by_an_older_program__its_peers_are_found(void **state)
{
    (void)state;
    enum { OLD_PEER = offsetof(struct weft_peer_options, id), OLD_NODE = sizeof(struct weft_node_options) };
    _Alignas(16) uint8_t peers[2 * OLD_PEER];
    static const char *const addresses[] = {"10.0.0.1", "10.0.0.2"};
    for (size_t i = 0; i < 2; i++) {
        struct weft_peer_options peer = {.size = OLD_PEER, .addresses = {addresses[i]}, .dc = "dc1", .rack = "r1"};
        memcpy(peers + i * OLD_PEER, &peer, OLD_PEER);
    }
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    options.size = offsetof(struct weft_node_options, log_ctx);
    options.peers = (const struct weft_peer_options *)(const void *)peers;
    options.peer_count = 2;
    options.log_ctx = &options; /* beyond what it knows */
    weft_node *node = NULL;
    struct weft_error why = {0};
    assert_int_equal(weft_node_create(&node, &options, &why), WEFT_OK);
    assert_int_equal(node->topology->peer_count, 2);
    assert_string_equal(node->topology->peers[1].text, "10.0.0.2");
    assert_string_equal(node->topology->peers[1].rack, "r1");
    assert_null(node->settings.log_ctx);
    weft_node_destroy(node);
    options.size = 0;
    assert_int_equal(weft_node_create(&node, &options, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "_INIT"));
}

static void node__options_or_arrays_missing__invalid_and_named(void **state)
{
    (void)state;
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_topology topology = WEFT_TOPOLOGY_INIT;
    struct weft_error why;
    weft_node *node = NULL;
    assert_int_equal(weft_node_create(&node, NULL, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "struct weft_node_options: NULL"));
    options.peer_count = 3;
    assert_int_equal(weft_node_create(&node, &options, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "peer_count is 3"));
    options.peer_count = 0;
    options.spiffe_id_count = 1;
    assert_int_equal(weft_node_create(&node, &options, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "spiffe_id_count is 1"));
    options.spiffe_id_count = 0;
    assert_null(node);
    assert_int_equal(weft_node_create(&node, &options, &why), WEFT_OK);
    assert_int_equal(weft_node_peer_add(node, NULL, NULL, &why), WEFT_ERR_INVALID);
    why = (struct weft_error){.code = WEFT_OK};
    assert_int_equal(weft_node_topology_apply(node, NULL, NULL, 0, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "struct weft_topology: NULL"));
    why = (struct weft_error){.code = WEFT_OK};
    topology.peer_count = 2;
    assert_int_equal(weft_node_topology_apply(node, &topology, NULL, 0, &why), WEFT_ERR_INVALID);
    assert_non_null(strstr(why.text, "peer_count is 2"));
    weft_node_destroy(node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options__of_an_older_program__prefix_kept_rest_zero),
        cmocka_unit_test(options__of_a_newer_program__only_with_an_empty_tail),
        cmocka_unit_test(options__without_a_size__invalid),
        cmocka_unit_test(result__for_an_older_or_newer_caller__common_part_and_zeros),
        cmocka_unit_test(node__made_by_an_older_program__its_peers_are_found),
        cmocka_unit_test(node__options_or_arrays_missing__invalid_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
