/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every option has its default, its bounds, and an error that names it.
 * Method: the defaults spelled out; a table of one wrong option each, with the words that the error must hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/settings.h"

static void options__none__defaults(void **state)
{
    (void)state;
    const struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct settings settings;
    struct weft_error why = {0};
    assert_int_equal(settings_init(&settings, &options, &why), WEFT_OK);
    assert_string_equal(why.text, "");
    assert_string_equal(settings.cluster_name, "Test Cluster");
    assert_string_equal(settings.dc, "");
    assert_string_equal(settings.rack, "");
    assert_false(settings.node_id_known);
    assert_true(address_is_loopback(&settings.listen_address));
    assert_true(address_same_ip(&settings.listen_address, &settings.dial_address));
    assert_int_equal(settings.dial_address.port, 0);
    assert_int_equal(settings.storage_port, 7000);
    assert_int_equal(settings.ssl_storage_port, 7001);
    assert_int_equal(settings.encryption, WEFT_ENCRYPTION_NONE);
    assert_string_equal(settings.shards, "auto");
    assert_string_equal(settings.backend, "auto");
    assert_string_equal(settings.tcp_congestion, "");
    assert_false(settings.priority_given);
    assert_int_equal(settings.memory_per_shard_bytes, 256u << 20);
    assert_int_equal(settings.connections_max, 4096);
    assert_int_equal(settings.calls_max, 16384);
    assert_int_equal(settings.requests_max, 16384);
    assert_int_equal(settings.handshake_timeout_ns, 5000000000);
    assert_int_equal(settings.frame_timeout_ns, 30000000000);
    assert_int_equal(settings.send_timeout_ns, 30000000000);
    assert_int_equal(settings.first_request_timeout_ns, 60000000000);
    assert_int_equal(settings.tcp_unsent_bytes_max, 256 * 1024);
    assert_int_equal(settings.tcp_user_timeout_ms, 30000);
    assert_int_equal(settings.tcp_keepalive_idle_s, 30);
    assert_int_equal(settings.tcp_keepalive_interval_s, 10);
    assert_int_equal(settings.tcp_keepalive_count, 3);
    assert_int_equal(settings.heartbeat_ns, 1000000000);
    assert_int_equal(settings.drain_timeout_ns, 5000000000);
}

static void options__all_given__copied(void **state)
{
    (void)state;
    char dc[] = "dc1";
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct settings settings;
    options.cluster_name = "";
    options.dc = dc;
    options.rack = "r1";
    options.node_id = "6f1c0000-1111-2222-3333-444455556666";
    options.incarnation = 9;
    options.listen_address = "::1";
    options.dial_address = "::2";
    options.storage_port = 1;
    options.ssl_storage_port = 65535;
    options.encryption = WEFT_ENCRYPTION_DC;
    options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
    options.tls.certificate_in_block = true;
    options.require_hello = WEFT_REQUIRE_HELLO_ALWAYS;
    options.shards = "0-3,8";
    options.memory_per_shard_bytes = 64u << 20;
    options.connections_max = 1;
    options.calls_max = 2;
    options.requests_max = 1u << 20;
    options.handshake_timeout_ms = 1;
    options.heartbeat_ms = UINT32_MAX;
    options.drain_timeout_ms = UINT32_MAX;
    options.tcp_congestion = "cubic";
    options.priority_string = "NORMAL:%SERVER_PRECEDENCE";
    options.tcp_delay = true;
    options.busy_poll = true;
    options.smt = true;
    options.send_zerocopy = WEFT_SEND_ZEROCOPY_ALWAYS;
    options.backend = "epoll";
    assert_int_equal(settings_init(&settings, &options, NULL), WEFT_OK);
    dc[0] = 'x'; /* a copy: the caller's memory is the caller's */
    assert_string_equal(settings.dc, "dc1");
    assert_string_equal(settings_location(&settings).dc, "dc1");
    assert_string_equal(settings_location(&settings).rack, "r1");
    assert_string_equal(settings.cluster_name, "");
    assert_true(settings.node_id_known);
    assert_int_equal(settings.node_id[0], 0x6f);
    assert_int_equal(settings.incarnation, 9);
    assert_int_equal(settings.listen_address.family, 6);
    assert_int_equal(settings.listen_address.port, 1);
    assert_int_equal(settings.dial_address.ip[15], 2);
    assert_int_equal(settings.ssl_storage_port, 65535);
    assert_int_equal(settings.encryption, WEFT_ENCRYPTION_DC);
    assert_int_equal(settings.client_auth, WEFT_CLIENT_AUTH_REQUIRED);
    assert_true(settings.certificate_in_block);
    assert_int_equal(settings.require_hello, WEFT_REQUIRE_HELLO_ALWAYS);
    assert_string_equal(settings.shards, "0-3,8");
    assert_int_equal(settings.connections_max, 1);
    assert_int_equal(settings.calls_max, 2);
    assert_int_equal(settings.requests_max, 1u << 20);
    assert_int_equal(settings.handshake_timeout_ns, 1000000);
    assert_int_equal(settings.heartbeat_ns, 0);
    assert_int_equal(settings.drain_timeout_ns, UINT32_MAX * UINT64_C(1000000));
    assert_string_equal(settings.tcp_congestion, "cubic");
    assert_true(settings.priority_given);
    assert_string_equal(settings.priority_string, "NORMAL:%SERVER_PRECEDENCE");
    assert_true(settings.tcp_delay);
    assert_true(settings.busy_poll);
    assert_true(settings.smt);
    assert_int_equal(settings.send_zerocopy, WEFT_SEND_ZEROCOPY_ALWAYS);
    assert_string_equal(settings.backend, "epoll");
}

static void spiffe_ids__given__copied(void **state)
{
    const char *const ids[] = {"spiffe://a.b/weft/{id}", "spiffe://a.b/*"};
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct settings settings;
    (void)state;
    options.spiffe_ids = ids;
    options.spiffe_id_count = 2;
    assert_int_equal(settings_init(&settings, &options, NULL), WEFT_OK);
    assert_int_equal(settings.spiffe_id_count, 2);
    assert_string_equal(settings.spiffe_ids[1], ids[1]);
}

static void dial_address__no_single_address_to_listen_on__any(void **state)
{
    (void)state;
    static const char *const wildcards[] = {"0.0.0.0", "::"};
    struct settings settings;
    for (size_t i = 0; i < 2; i++) {
        struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
        options.listen_address = wildcards[i];
        assert_int_equal(settings_init(&settings, &options, NULL), WEFT_OK);
        assert_int_equal(settings.dial_address.family, 0);
    }
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    options.client_only = true;
    assert_int_equal(settings_init(&settings, &options, NULL), WEFT_OK);
    assert_int_equal(settings.dial_address.family, 0);
}

static void second_listen_address__covered_by_the_first__left_out(void **state)
{
    (void)state;
    static const struct {
        const char *first;
        const char *second;
        uint8_t family;
    } cases[] = {{"10.0.0.1", "10.0.0.2", 4}, {"10.0.0.1", "10.0.0.1", 0}, {"0.0.0.0", "10.0.0.2", 0},
                 {"0.0.0.0", "fd00::2", 6},   {"::", "10.0.0.2", 4},       {"10.0.0.1", NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings settings;
        struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
        options.listen_address = cases[i].first;
        options.second_listen_address = cases[i].second;
        assert_int_equal(settings_init(&settings, &options, NULL), WEFT_OK);
        assert_int_equal(settings.second_listen_address.family, cases[i].family);
    }
}

static void option__wrong__error_names_it(void **state)
{
    (void)state;
    static const char *const wrong_ids[] = {"spiffe://a.b/"};
    char long_name[WEFT_NAME_BYTES_MAX + 2] = {0};
    char long_text[SETTINGS_SHARDS_TEXT_BYTES + 1] = {0};
    memset(long_name, 'n', sizeof long_name - 1);
    memset(long_text, '1', sizeof long_text - 1);
    const struct {
        struct weft_node_options options;
        enum weft_err err;
        const char *words;
    } cases[] = {
        {{.cluster_name = long_name}, WEFT_ERR_TOO_LARGE, "cluster_name"},
        {{.dc = long_name}, WEFT_ERR_TOO_LARGE, "dc"},
        {{.rack = long_name}, WEFT_ERR_TOO_LARGE, "rack"},
        {{.node_id = "6f1c"}, WEFT_ERR_CONFIG, "node_id"},
        {{.spiffe_ids = wrong_ids, .spiffe_id_count = 1}, WEFT_ERR_CONFIG, "spiffe_ids"},
        {{.spiffe_ids = wrong_ids, .spiffe_id_count = WEFT_SPIFFE_IDS_MAX + 1}, WEFT_ERR_CONFIG, "spiffe_ids"},
        {{.node_id = ""}, WEFT_ERR_CONFIG, "node_id"},
        {{.listen_address = "localhost"}, WEFT_ERR_CONFIG, "listen_address"},
        {{.listen_address = ""}, WEFT_ERR_CONFIG, "listen_address"},
        {{.listen_address = "127.0.0.1:7000"}, WEFT_ERR_CONFIG, "listen_address"},
        {{.listen_address = "fe80::1"}, WEFT_ERR_CONFIG, "listen_address: fe80::1 is link-local"},
        {{.listen_address = "224.0.0.1"}, WEFT_ERR_CONFIG, "listen_address: 224.0.0.1 is a multicast"},
        {{.dial_address = "fe80::1"}, WEFT_ERR_CONFIG, "dial_address: fe80::1 is link-local"},
        {{.second_listen_address = "ff02::1"}, WEFT_ERR_CONFIG, "second_listen_address: ff02::1 is a multicast"},
        {{.shards = ""}, WEFT_ERR_CONFIG, "shards: \"\" is not understood"},
        {{.shards = "all"}, WEFT_ERR_CONFIG, "shards: \"all\" is not understood"},
        {{.shards = "3-1"}, WEFT_ERR_CONFIG, "shards: \"3-1\" is not understood"},
        {{.shards = "0-1,"}, WEFT_ERR_CONFIG, "shards: \"0-1,\" is not understood"},
        {{.shards = "0"}, WEFT_ERR_CONFIG, "shards: 0 is not possible"},
        {{.shards = "257"}, WEFT_ERR_CONFIG, "shards: 257 is not possible"},
        {{.backend = ""}, WEFT_ERR_CONFIG, "backend: '' is none of"},
        {{.backend = "uring"}, WEFT_ERR_CONFIG, "backend: 'uring' is none of"},
        {{.dial_address = "256.0.0.1"}, WEFT_ERR_CONFIG, "dial_address"},
        {{.second_listen_address = "localhost"}, WEFT_ERR_CONFIG, "second_listen_address"},
        {{.second_listen_address = "0.0.0.0"}, WEFT_ERR_CONFIG, "second_listen_address"},
        {{.storage_port = 7001}, WEFT_ERR_CONFIG, "storage_port"},
        {{.ssl_storage_port = 7000}, WEFT_ERR_CONFIG, "ssl_storage_port"},
        {{.storage_port = 9, .ssl_storage_port = 9}, WEFT_ERR_CONFIG, "differ"},
        {{.shards = long_text}, WEFT_ERR_TOO_LARGE, "shards"},
        {{.backend = long_text}, WEFT_ERR_TOO_LARGE, "backend"},
        {{.priority_string = ""}, WEFT_ERR_CONFIG, "priority_string: is empty"},
        {{.priority_string = "NORMAL:+FOO"}, WEFT_ERR_CONFIG, "priority_string: \"+FOO\" at character 8"},
        {{.tcp_congestion = "sixteen-bytes-it"}, WEFT_ERR_TOO_LARGE, "tcp_congestion"},
        {{.memory_per_shard_bytes = (128u << 10) - 1}, WEFT_ERR_CONFIG, "memory_per_shard"},
        {{.memory_per_shard_bytes = (UINT64_C(1) << 40) + 1}, WEFT_ERR_CONFIG, "memory_per_shard"},
        {{.connections_max = (1u << 20) + 1}, WEFT_ERR_INVALID, "connections_max"},
        {{.connections_per_peer_max = 2}, WEFT_ERR_CONFIG, "connections_per_peer_max"},
        {{.calls_max = (1u << 20) + 1}, WEFT_ERR_INVALID, "calls_max"},
        {{.requests_max = UINT32_MAX}, WEFT_ERR_INVALID, "requests_max"},
        {{.tcp_unsent_bytes_max = UINT32_C(1) << 31}, WEFT_ERR_INVALID, "tcp_unsent_bytes_max"},
        {{.tcp_keepalive_idle_s = 32768}, WEFT_ERR_INVALID, "tcp_keepalive_idle"},
        {{.tcp_keepalive_interval_s = UINT32_MAX}, WEFT_ERR_INVALID, "tcp_keepalive_interval"},
        {{.tcp_keepalive_count = 128}, WEFT_ERR_INVALID, "tcp_keepalive_count"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weft_node_options options = cases[i].options;
        struct settings settings;
        struct weft_error why = {0};
        assert_int_equal(settings_init(&settings, &options, &why), cases[i].err);
        assert_int_equal(why.code, cases[i].err);
        assert_non_null(strstr(why.text, cases[i].words));
        assert_int_equal(settings_init(&settings, &options, NULL), cases[i].err);
    }
}

static void name__longest__kept(void **state)
{
    (void)state;
    char name[WEFT_NAME_BYTES_MAX + 1];
    char to[WEFT_NAME_BYTES_MAX + 1];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(settings_copy_name(to, name, "x", NULL), WEFT_OK);
    assert_string_equal(to, name);
    assert_int_equal(settings_copy_name(to, NULL, "x", NULL), WEFT_OK);
    assert_string_equal(to, "");
}

#define NO_WORD(member, name)                                                                                          \
    do {                                                                                                               \
        struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;                                                     \
        struct weft_error why = {0};                                                                                   \
        const int value = 77;                                                                                          \
        memcpy(&options.member, &value, sizeof options.member);                                                        \
        assert_int_equal(settings_init(&settings, &options, &why), WEFT_ERR_INVALID);                                  \
        assert_non_null(strstr(why.text, name ": 77 is none of"));                                                     \
    } while (0)

static void words__numbers_outside_their_enum__refused(void **state)
{
    struct settings settings;
    (void)state;
    NO_WORD(encryption, "internode_encryption");
    NO_WORD(tls.client_auth, "require_client_auth");
    NO_WORD(require_hello, "require_hello");
    NO_WORD(crl_expired, "crl_expired");
    NO_WORD(send_zerocopy, "send_zerocopy");
    NO_WORD(crypto, "crypto");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options__none__defaults),
        cmocka_unit_test(options__all_given__copied),
        cmocka_unit_test(spiffe_ids__given__copied),
        cmocka_unit_test(dial_address__no_single_address_to_listen_on__any),
        cmocka_unit_test(second_listen_address__covered_by_the_first__left_out),
        cmocka_unit_test(option__wrong__error_names_it),
        cmocka_unit_test(name__longest__kept),
        cmocka_unit_test(words__numbers_outside_their_enum__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
