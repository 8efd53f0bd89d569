/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a configuration file becomes exactly the options that it says, defaults stay defaults, and files that are no
 * configuration are told apart.
 * Method: fixtures in the shape of real files are loaded from disk; single keys are decoded from memory; files that
 * cannot be read are made in a directory of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/error.h"
#include "tests/unit/config_fakes.h"

struct fixture {
    struct config *config;
    struct config_report report;
    char directory[64];
};

static int fixture_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/weft-config-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    *state = fixture;
    return 0;
}

static int fixture_destroy(void **state)
{
    static const char *const names[] = {"weft.yaml", "scylla.crt", "scylla.key", "fifo"};
    struct fixture *fixture = *state;
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", fixture->directory, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(fixture->directory), 0);
    config_destroy(fixture->config);
    free(fixture);
    return 0;
}

static enum weft_err load_fixture(struct fixture *fixture, const char *name)
{
    char path[1024];
    const char *root = getenv("WEFT_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/fixtures/config/%s", root != NULL ? root : ".", name);
    return config_load(&fixture->config, path, &fixture->report);
}

static const char *write_file(const struct fixture *fixture, const char *name, const char *text, char path[128])
{
    snprintf(path, 128, "%s/%s", fixture->directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) < 0, 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

static enum weft_err fake_resolve(void *ctx, const char *name, struct address *address, struct weft_error *why)
{
    (void)ctx;
    if (strcmp(name, "host1") == 0) {
        return address_parse(address, "10.0.0.1", 0);
    }
    return weft_error_set(why, WEFT_ERR_NOT_FOUND, "cannot resolve \"%s\"", name);
}

static enum weft_err fake_read_file(void *ctx, const char *path, char **text, size_t *bytes, struct weft_error *why)
{
    (void)ctx;
    (void)text;
    (void)bytes;
    return weft_error_set(why, WEFT_ERR_SYSTEM, "cannot open %s", path);
}

/* Decode from memory; the configuration must be fine. */
static const struct config *decode(struct fixture *fixture, const char *yaml)
{
    static const struct config_surroundings surroundings = {.directory = "/etc/weft",
                                                            .resolve = fake_resolve,
                                                            .interface_address = fake_interface,
                                                            .check_file = fake_check_file,
                                                            .read_file = fake_read_file};
    config_destroy(fixture->config);
    fixture->config = NULL;
    memset(&fixture->report, 0, sizeof fixture->report);
    enum weft_err err = config_decode(&fixture->config, "w.yaml", yaml, strlen(yaml), &surroundings, &fixture->report);
    if (err != WEFT_OK) {
        fail_msg("%s: %s", yaml, fixture->report.errors.lines[0]);
    }
    return fixture->config;
}

static void config__scylla_yaml__starts_with_the_defaults(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_fixture(fixture, "scylla.yaml"), WEFT_OK);
    const struct weft_node_options *options = &fixture->config->options;
    assert_int_equal(options->size, sizeof *options);
    assert_int_equal(fixture->report.errors.count, 0);
    assert_int_equal(fixture->report.warnings.count, 1);
    assert_non_null(strstr(fixture->report.warnings.lines[0], "cluster_name: is not set"));
    assert_null(options->cluster_name);
    assert_string_equal(config_cluster_name(fixture->config), "Test Cluster");
    assert_string_equal(options->listen_address, "127.0.0.1");
    assert_int_equal(config_storage_port(fixture->config), 7000);
    assert_int_equal(config_ssl_storage_port(fixture->config), 7001);
    assert_int_equal(options->encryption, WEFT_ENCRYPTION_NONE);
    assert_null(options->tls.certificate);
    assert_false(options->tls.certificate_in_block);
    assert_string_equal(options->dc, "datacenter1");
    assert_string_equal(options->rack, "rack1");
    assert_int_equal(fixture->config->location_source, CONFIG_LOCATION_SNITCH);
    assert_false(options->tcp_delay);
    /* The own address among the seeds is no peer. */
    assert_int_equal(options->peer_count, 1);
    assert_int_equal(fixture->config->listed_peer_count, 0);
    assert_string_equal(options->peers[0].addresses[0], "127.0.1.9");
    assert_null(options->peers[0].dc);
    assert_null(options->peers[0].rack);
}

static void config__every_key__reaches_its_option(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_fixture(fixture, "weft.yaml"), WEFT_OK);
    const struct weft_node_options *options = &fixture->config->options;
    assert_int_equal(fixture->report.warnings.count, 0);
    assert_string_equal(options->cluster_name, "Fixture");
    assert_string_equal(options->listen_address, "127.0.1.1");
    assert_string_equal(options->dial_address, "127.0.1.1");
    assert_int_equal(options->storage_port, 17000);
    assert_int_equal(options->ssl_storage_port, 17001);
    assert_true(options->tcp_delay);
    assert_string_equal(options->dc, "dc1");
    assert_string_equal(options->rack, "r1");
    assert_int_equal(fixture->config->location_source, CONFIG_LOCATION_WEFT);
    assert_string_equal(options->node_id, "6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9");
    assert_int_equal(options->require_hello, WEFT_REQUIRE_HELLO_ALWAYS);
    assert_string_equal(options->shards, "0-1");
    assert_int_equal(options->memory_per_shard_bytes, 64 * 1024 * 1024);
    assert_int_equal(options->connections_max, 512);
    assert_int_equal(options->connections_per_peer_max, 40);
    assert_int_equal(options->idle_timeout_ms, 90000);
    assert_string_equal(options->tcp_congestion, "cubic");
    assert_int_equal(options->handshake_timeout_ms, 2000);
    assert_int_equal(options->frame_timeout_ms, 20000);
    assert_int_equal(options->send_timeout_ms, 1500);
    assert_int_equal(options->first_request_timeout_ms, UINT32_MAX);
    assert_int_equal(options->tcp_unsent_bytes_max, 131072);
    assert_int_equal(options->tcp_user_timeout_ms, 15000);
    assert_int_equal(options->tcp_keepalive_idle_s, 60);
    assert_int_equal(options->tcp_keepalive_interval_s, 2); /* seconds are rounded up */
    assert_int_equal(options->tcp_keepalive_count, 5);
    assert_int_equal(options->heartbeat_ms, 250);
    assert_int_equal(options->drain_timeout_ms, 60000);
    assert_false(options->busy_poll);
    assert_true(options->smt);
    assert_int_equal(options->send_zerocopy, WEFT_SEND_ZEROCOPY_AUTO);
    assert_string_equal(options->backend, "epoll");
}

static void config__nodes_and_seeds__own_entry_and_known_seeds_left_out(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_fixture(fixture, "weft.yaml"), WEFT_OK);
    const struct weft_node_options *options = &fixture->config->options;
    assert_int_equal(options->peer_count, 3);
    assert_int_equal(fixture->config->listed_peer_count, 2);
    const struct weft_peer_options *peers = options->peers;
    assert_string_equal(peers[0].addresses[0], "127.0.1.2");
    assert_null(peers[0].addresses[1]);
    assert_string_equal(peers[0].dc, "dc1");
    assert_string_equal(peers[0].rack, "r2");
    assert_string_equal(peers[0].id, "11111111-4b5a-4978-8695-a4b3c2d1e0f9");
    assert_int_equal(peers[0].storage_port, 0);
    assert_string_equal(peers[1].addresses[0], "127.0.1.3");
    assert_string_equal(peers[1].addresses[1], "127.0.1.4");
    assert_int_equal(peers[1].storage_port, 8000);
    assert_int_equal(peers[1].ssl_storage_port, 8001);
    assert_string_equal(peers[2].addresses[0], "127.0.1.5");
    assert_null(peers[2].dc);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(peers[i].size, sizeof peers[i]);
    }
}

static void config__gossiping_snitch__reads_the_file_beside(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_fixture(fixture, "gossiping/scylla.yaml"), WEFT_OK);
    assert_string_equal(fixture->config->options.dc, "east_backup");
    assert_string_equal(fixture->config->options.rack, "rack 7");
    assert_int_equal(fixture->config->location_source, CONFIG_LOCATION_RACKDC);
}

static void config__names_that_look_like_values__stay_text(void **state)
{
    const struct config *config = decode(*state, "cluster_name: 0x10\nweft: { dc: 1e3, rack: no }\n");
    assert_string_equal(config->options.cluster_name, "0x10");
    assert_string_equal(config->options.dc, "1e3");
    assert_string_equal(config->options.rack, "no");
    config = decode(*state, "cluster_name: 'null'\nweft: { dc: 010, rack: ~x }\n");
    assert_string_equal(config->options.cluster_name, "null");
    assert_string_equal(config->options.dc, "010");
    assert_string_equal(config->options.rack, "~x");
}

static void config__bom_and_crlf__read_as_without(void **state)
{
    const struct config *config =
        decode(*state, "\xef\xbb\xbf"
                       "cluster_name: a\r\nstorage_port: 7100\r\nweft:\r\n  dc: d\r\n  rack: r\r\n");
    assert_string_equal(config->options.cluster_name, "a");
    assert_int_equal(config->options.storage_port, 7100);
    assert_string_equal(config->options.rack, "r");
}

static void config__simple_snitch__yields_to_weft_and_to_the_own_entry(void **state)
{
    const struct config *config = decode(*state, "endpoint_snitch: org.apache.cassandra.locator.SimpleSnitch\n"
                                                 "weft: { dc: d, rack: r }\n");
    assert_string_equal(config->options.dc, "d");
    assert_int_equal(config->location_source, CONFIG_LOCATION_WEFT);
    config = decode(*state, "weft: { nodes: [ { address: 127.0.0.1, dc: e, rack: s }, { address: host1 } ] }\n");
    assert_string_equal(config->options.dc, "e");
    assert_string_equal(config->options.rack, "s");
    assert_int_equal(config->location_source, CONFIG_LOCATION_NODES);
    assert_int_equal(config->options.peer_count, 1);
    assert_string_equal(config->options.peers[0].addresses[0], "10.0.0.1");
    assert_string_equal(config->options.peers[0].host_name, "host1"); /* which a certificate has to hold */
    config = decode(*state, "weft: { nodes: [ { addresses: [10.0.0.9, host1] } ] }\n"
                            "seed_provider: [ { parameters: [ { seeds: \"10.0.0.8, host1\" } ] } ]\n");
    assert_int_equal(config->options.peer_count, 2);
    assert_null(config->options.peers[0].host_name); /* the one to dial has no name */
    assert_null(config->options.peers[1].host_name);
    config = decode(*state, "seed_provider: [ { parameters: [ { seeds: \"10.0.0.8, host1\" } ] } ]\n");
    assert_int_equal(config->options.peer_count, 2);
    assert_null(config->options.peers[0].host_name);
    assert_string_equal(config->options.peers[1].host_name, "host1");
    /* A data centre without a rack gets no rack from the snitch. */
    config = decode(*state, "weft: { dc: datacenter1 }\n");
    assert_string_equal(config->options.dc, "datacenter1");
    assert_null(config->options.rack);
}

static void config__own_entry__found_by_id_or_by_address_and_ports(void **state)
{
    const struct config *config =
        decode(*state, "weft:\n  nodes:\n    - { address: 127.0.0.1, storage_port: 7100, ssl_storage_port: 7101 }\n"
                       "    - { address: 127.0.0.1, storage_port: 7000 }\n");
    assert_int_equal(config->options.peer_count, 1);
    assert_int_equal(config->options.peers[0].storage_port, 7100);
    config =
        decode(*state, "listen_address: 0.0.0.0\nweft:\n  node_id: 6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9\n  nodes:\n"
                       "    - { address: 10.0.0.1, id: 6F1C2D3E-4B5A-4978-8695-A4B3C2D1E0F9 }\n");
    assert_int_equal(config->options.peer_count, 0);
}

static void config__own_broadcast_address_among_the_nodes__no_peer(void **state)
{
    const struct config *config =
        decode(*state, "cluster_name: c\nlisten_address: 10.0.0.1\nbroadcast_address: 10.0.0.2\n"
                       "weft: { nodes: [ { address: 10.0.0.2 }, { address: 10.0.0.3 } ] }\n");
    assert_int_equal(config->options.peer_count, 1);
    assert_string_equal(config->options.peers[0].addresses[0], "10.0.0.3");
}

static void config__listen_on_broadcast_address__a_second_address_unless_covered(void **state)
{
    static const struct {
        const char *text;
        const char *second;
    } cases[] = {
        {"listen_address: 10.0.0.1\nbroadcast_address: 10.0.0.2\nlisten_on_broadcast_address: true\n", "10.0.0.2"},
        {"listen_on_broadcast_address: yes\nbroadcast_address: 10.0.0.2\n", "10.0.0.2"},
        {"listen_address: 0.0.0.0\nbroadcast_address: fd00::2\nlisten_on_broadcast_address: true\n", "fd00::2"},
        {"listen_address: 0.0.0.0\nbroadcast_address: 10.0.0.2\nlisten_on_broadcast_address: true\n", NULL},
        {"listen_address: 10.0.0.2\nbroadcast_address: 10.0.0.2\nlisten_on_broadcast_address: true\n", NULL},
        {"listen_address: 10.0.0.1\nbroadcast_address: 10.0.0.2\nlisten_on_broadcast_address: false\n", NULL},
        {"listen_address: 10.0.0.1\nbroadcast_address: 10.0.0.2\n", NULL},
        {"listen_address: 10.0.0.1\nlisten_on_broadcast_address: true\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct config *config = decode(*state, cases[i].text);
        if (cases[i].second != NULL) {
            assert_string_equal(config->options.second_listen_address, cases[i].second);
        } else {
            assert_null(config->options.second_listen_address);
        }
    }
}

static void config__bounds__reach_their_options(void **state)
{
    const struct config *config = decode(*state, "weft:\n  peers_max: 2\n  calls_max: 3\n  requests_max: 4\n"
                                                 "  nodes: [ { address: 10.0.0.8 }, { address: 10.0.0.9 } ]\n");
    assert_int_equal(config->options.peers_max, 2);
    assert_int_equal(config->options.calls_max, 3);
    assert_int_equal(config->options.requests_max, 4);
    assert_int_equal(config->options.peer_count, 2);
}

static void config__encryption__paths_and_demands(void **state)
{
    const struct config *config = decode(*state, "server_encryption_options:\n    internode_encryption: rack\n");
    assert_int_equal(config->options.encryption, WEFT_ENCRYPTION_RACK);
    assert_string_equal(config->options.tls.certificate, "/etc/weft/scylla.crt");
    assert_string_equal(config->options.tls.keyfile, "/etc/weft/scylla.key");
    assert_null(config->options.tls.truststore);
    assert_false(config->options.tls.certificate_in_block);
    assert_int_equal(config->options.tls.client_auth, WEFT_CLIENT_AUTH_NONE);
    config =
        decode(*state, "server_encryption_options:\n    internode_encryption: all\n    certificate: conf/scylla.crt\n"
                       "    keyfile: /keys/a.key\n    truststore: system\n    require_client_auth: YES\n"
                       "    priority_string:\n    certficate_revocation_list: ''\n"
                       "    require_endpoint_verification: false\n"
                       "weft: { spiffe_ids: [ 'spiffe://a.b/weft/{id}', spiffe://a.b/other ] }\n");
    assert_int_equal(config->options.spiffe_id_count, 2);
    assert_string_equal(config->options.spiffe_ids[0], "spiffe://a.b/weft/{id}");
    assert_string_equal(config->options.spiffe_ids[1], "spiffe://a.b/other");
    assert_int_equal(config->options.encryption, WEFT_ENCRYPTION_ALL);
    assert_string_equal(config->options.tls.certificate, "/etc/weft/conf/scylla.crt");
    assert_string_equal(config->options.tls.keyfile, "/keys/a.key");
    assert_string_equal(config->options.tls.truststore, "system");
    assert_null(config->options.priority_string);
    assert_true(config->options.tls.certificate_in_block);
    assert_int_equal(config->options.tls.client_auth, WEFT_CLIENT_AUTH_REQUIRED);
    config = decode(*state, "server_encryption_options:\n    truststore: ca.pem\n    certificate: a.crt\n"
                            "    keyfile: a.key\n    require_client_auth: optional\n"
                            "    priority_string: SECURE256:%SERVER_PRECEDENCE\n");
    assert_string_equal(config->options.priority_string, "SECURE256:%SERVER_PRECEDENCE");
    assert_int_equal(config->options.encryption, WEFT_ENCRYPTION_NONE);
    assert_string_equal(config->options.tls.truststore, "/etc/weft/ca.pem");
    assert_true(config->options.tls.certificate_in_block);
    assert_int_equal(config->options.tls.client_auth, WEFT_CLIENT_AUTH_OPTIONAL);
    config = decode(*state, "server_encryption_options: { truststore: ca.pem, certificate: a.crt, keyfile: a.key,\n"
                            "    require_client_auth: Optional }\n"); /* words of these options have no case */
    assert_int_equal(config->options.tls.client_auth, WEFT_CLIENT_AUTH_OPTIONAL);
    config = decode(*state, "server_encryption_options: {}\n");
    assert_int_equal(config->options.encryption, WEFT_ENCRYPTION_NONE);
    assert_null(config->options.tls.certificate);
}

static void config__zero__means_off_where_that_makes_sense(void **state)
{
    const struct config *config = decode(*state, "weft: { heartbeat: 0, drain_timeout: 0, memory_per_shard: 0 }\n");
    assert_int_equal(config->options.heartbeat_ms, UINT32_MAX);
    assert_int_equal(config->options.drain_timeout_ms, 1);
    assert_int_equal(config->options.memory_per_shard_bytes, 0);
    /* A part of a millisecond is not rounded to nothing. */
    config = decode(*state, "weft: { heartbeat: 1000001ns }\n");
    assert_int_equal(config->options.heartbeat_ms, 2);
}

static void expect_file_error(struct fixture *fixture, const char *path, const char *says)
{
    char begin[256];
    memset(&fixture->report, 0, sizeof fixture->report);
    assert_int_equal(config_load(&fixture->config, path, &fixture->report), WEFT_ERR_CONFIG);
    assert_null(fixture->config);
    assert_int_equal(fixture->report.errors.count, 1);
    snprintf(begin, sizeof begin, "%s:1:1: file: ", path);
    assert_int_equal(strncmp(fixture->report.errors.lines[0], begin, strlen(begin)), 0);
    assert_non_null(strstr(fixture->report.errors.lines[0], says));
}

static void file__not_a_readable_one__told_apart(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    expect_file_error(fixture, "/nonexistent/weft.yaml", "No such file");
    expect_file_error(fixture, fixture->directory, "is a directory");
    expect_file_error(fixture, write_file(fixture, "weft.yaml", "", path), "is empty");
    snprintf(path, sizeof path, "%s/fifo", fixture->directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_file_error(fixture, path, "not a regular file");
    write_file(fixture, "weft.yaml", "a: b\n", path);
    assert_int_equal(truncate(path, 1 << 30), 0);
    expect_file_error(fixture, path, "larger than 1024 KiB");
}

static void file__certificates_beside_it__found_there(void **state)
{
    static const char yaml[] = "cluster_name: c\nserver_encryption_options: { internode_encryption: all }\n";
    struct fixture *fixture = *state;
    char path[128];
    char expected[128];
    write_file(fixture, "weft.yaml", yaml, path);
    assert_int_equal(config_load(&fixture->config, path, &fixture->report), WEFT_ERR_CONFIG);
    assert_int_equal(fixture->report.errors.count, 2);
    write_file(fixture, "scylla.crt", "certificate\n", expected);
    write_file(fixture, "scylla.key", "key\n", expected);
    memset(&fixture->report, 0, sizeof fixture->report);
    assert_int_equal(config_load(&fixture->config, path, &fixture->report), WEFT_OK);
    assert_string_equal(fixture->config->options.tls.keyfile, expected);
}

static void node__create_from_bad_file__first_error_is_the_reason(void **state)
{
    struct fixture *fixture = *state;
    struct weft_error why;
    weft_node *node = NULL;
    char path[128];
    char expected[256];
    write_file(fixture, "weft.yaml", "cluster_name: c\nstorage_port: x\nweft: 3\n", path);
    assert_int_equal(weft_node_create_from_file(&node, path, &why), WEFT_ERR_CONFIG);
    assert_null(node);
    assert_int_equal(why.code, WEFT_ERR_CONFIG);
    snprintf(expected, sizeof expected, "%s:2:15: storage_port: ", path);
    assert_int_equal(strncmp(why.text, expected, strlen(expected)), 0);
    assert_int_equal(weft_node_create_from_file(&node, path, NULL), WEFT_ERR_CONFIG);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_destroy)
    const struct CMUnitTest tests[] = {
        CASE(config__scylla_yaml__starts_with_the_defaults),
        CASE(config__every_key__reaches_its_option),
        CASE(config__nodes_and_seeds__own_entry_and_known_seeds_left_out),
        CASE(config__gossiping_snitch__reads_the_file_beside),
        CASE(config__names_that_look_like_values__stay_text),
        CASE(config__bom_and_crlf__read_as_without),
        CASE(config__simple_snitch__yields_to_weft_and_to_the_own_entry),
        CASE(config__own_entry__found_by_id_or_by_address_and_ports),
        CASE(config__own_broadcast_address_among_the_nodes__no_peer),
        CASE(config__listen_on_broadcast_address__a_second_address_unless_covered),
        CASE(config__bounds__reach_their_options),
        CASE(config__encryption__paths_and_demands),
        CASE(config__zero__means_off_where_that_makes_sense),
        CASE(file__not_a_readable_one__told_apart),
        CASE(file__certificates_beside_it__found_there),
        CASE(node__create_from_bad_file__first_error_is_the_reason),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
