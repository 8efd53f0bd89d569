/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every fault of a configuration is one line at its place that says what is wrong and what would be right, and so
 * is every doubt.
 *
 * Method: tables of texts with one fault or one doubt each, with fakes for resolver, files and interfaces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/config_fakes.h"

struct fault {
    const char *yaml;
    const char *place; /* beginning of the line */
    const char *says;  /* a part of it */
};

/* Files that must not start, each for exactly one reason. */
static const struct fault faults[] = {
    /* The text. */
    {"", "w.yaml:1:1: yaml: ", "empty"},
    {"# nothing\n\n", "w.yaml:1:1: yaml: ", "empty"},
    {"---\n", "w.yaml:1:1: yaml: ", "empty"},
    {"weft:\n\tdc: a\n", "w.yaml:2:1: yaml: ", "spaces"},
    {"cluster_name: a\ncluster_name: b\n", "w.yaml:2:1: cluster_name: ", "first in line 1"},
    {NAMED SEO "    keyfile: a\n    keyfile: b\n", "w.yaml:4:5: keyfile: ", "first in line 3"},
    {"cluster_name: &a x\n", "w.yaml:1:15: yaml: ", "anchors"},
    {"cluster_name: *a\n", "w.yaml:1:15: yaml: ", "aliases"},
    {"cluster_name: !!str x\n", "w.yaml:1:15: yaml: ", "tags"},
    {"cluster_name: a\n---\ncluster_name: b\n", "w.yaml:2:1: yaml: ", "second document"},
    {"cluster_name: \"a\\0b\"\n", "w.yaml:1:15: yaml: ", "NUL"},
    {"cluster_name: a\xff\n", "w.yaml:1:16: yaml: ", "UTF-8"},
    {"\xff\xfe"
     "c",
     "w.yaml:1:1: yaml: ", "UTF-16"},
    {"? [a]\n: b\n", "w.yaml:1:3: yaml: ", "in place of a key"},
    {"cluster_name: [a\n", "w.yaml:2:1: yaml: ", ""},
    {"- a\n- b\n", "w.yaml:1:1: yaml: ", "is a list"},
    {"just words\n", "w.yaml:1:1: yaml: ", "plain text"},
    /* Values of the top level. */
    {"cluster_name:\n", "w.yaml:1:1: cluster_name: ", "empty"},
    {"cluster_name: [a]\n", "w.yaml:1:15: cluster_name: ", "is a list"},
    {"cluster_name: \"a\\n2026 ERROR fake\"\n", "w.yaml:1:15: cluster_name: ", "control character"},
    {NAMED "storage_port: 0\n", "w.yaml:2:15: storage_port: ", "1 to 65535"},
    {NAMED "storage_port: 65536\n", "w.yaml:2:15: storage_port: ", "1 to 65535"},
    {NAMED "storage_port: -1\n", "w.yaml:2:15: storage_port: ", "1 to 65535"},
    {NAMED "storage_port: \"7000 \"\n", "w.yaml:2:15: storage_port: ", "1 to 65535"},
    {NAMED "storage_port: 07000\n", "w.yaml:2:15: storage_port: ", "1 to 65535"},
    {NAMED "storage_port: 18446744073709558616\n", "w.yaml:2:15: storage_port: ", "1 to 65535"},
    {NAMED "ssl_storage_port: x\n", "w.yaml:2:19: ssl_storage_port: ", "0 to 65535"},
    {NAMED "listen_address: 127.0.0.1:7000\n", "w.yaml:2:17: listen_address: ", "has a port"},
    {NAMED "listen_address: 10.1\n", "w.yaml:2:17: listen_address: ", "neither an IP address nor a host name"},
    {NAMED "listen_address: 0x7f000001\n", "w.yaml:2:17: listen_address: ", "neither an IP address nor a host name"},
    {NAMED "listen_address: fe80::1\n",
     "w.yaml:2:17: listen_address: ", "write the interface too, such as fe80::1%eth0"},
    {NAMED "weft: { nodes: [ { address: \"fe80::1\" } ] }\n", "w.yaml:2:29: address: ", "\"fe80::1\" is link-local"},
    {NAMED "seed_provider:\n  - parameters:\n      - seeds: \"10.0.0.1;10.0.0.2\"\n",
     "w.yaml:4:16: seeds: ", "\"10.0.0.1;10.0.0.2\" is neither"},
    {NAMED "seed_provider:\n  - parameters:\n      - seeds: <IP>\n", "w.yaml:4:16: seeds: ", "\"<IP>\" is neither"},
    {NAMED "ssl_storage_port: 7000\n", "w.yaml:2:19: ssl_storage_port: ", "plaintext and TLS would share port 7000"},
    {NAMED "storage_port: 7001\n", "w.yaml:2:15: storage_port: ", "plaintext and TLS would share port 7001"},
    {NAMED "listen_address: 224.0.0.1\n", "w.yaml:2:17: listen_address: ", "no address to listen on"},
    {NAMED "listen_address: nobody\n", "w.yaml:2:17: listen_address: ", "cannot resolve"},
    {NAMED "listen_address: '%s%n'\n", "w.yaml:2:17: listen_address: ", "\"%s%n\""},
    {NAMED "broadcast_address: 0.0.0.0\n", "w.yaml:2:20: broadcast_address: ", "single node"},
    {NAMED "listen_interface: eth7\n", "w.yaml:2:19: listen_interface: ", "no network interface"},
    {NAMED "listen_address: 10.0.0.1\nlisten_interface: eth0\n",
     "w.yaml:3:1: listen_interface: ", "stands beside listen_address"},
    {NAMED "broadcast_address: 10.0.0.1\nlisten_on_broadcast_address: both\n",
     "w.yaml:3:30: listen_on_broadcast_address: ", "neither true nor false"},
    {NAMED "weft:\n  peers_max: 1\n  nodes: [ { address: 10.0.0.8 }, { address: 10.0.0.9 } ]\n",
     "w.yaml:3:14: peers_max: ", "nodes and seeds are 2 peers; write at least 2"},
    {NAMED "weft: { peers_max: 1025 }\n", "w.yaml:2:20: peers_max: ", "1 to 1024"},
    {NAMED "weft: { calls_max: 0 }\n", "w.yaml:2:20: calls_max: ", "1 to 1048576"},
    {NAMED "internode_compression: lz4\n", "w.yaml:2:24: internode_compression: ", "none, rack, dc or all"},
    {NAMED "inter_dc_tcp_nodelay: maybe\n", "w.yaml:2:23: inter_dc_tcp_nodelay: ", "neither true nor false"},
    {NAMED "endpoint_snitch: Ec2Snitch\n", "w.yaml:2:18: endpoint_snitch: ", "set weft: dc and rack"},
    {NAMED "endpoint_snitch: GossipingPropertyFileSnitch\n",
     "w.yaml:2:18: endpoint_snitch: ", "/etc/weft/cassandra-rackdc.properties"},
    {NAMED "seed_provider: 127.0.0.1\n", "w.yaml:2:16: seed_provider: ", "seeds"},
    {NAMED "seed_provider:\n  - parameters:\n      - seeds: [a, b]\n", "w.yaml:4:16: seeds: ", "commas"},
    {NAMED "seed_provider:\n  - parameters:\n      - seeds: \"10.0.0.2:7000\"\n", "w.yaml:4:16: seeds: ", "has a port"},
    {NAMED "seed_provider:\n  - parameters:\n      - seeds: \"0.0.0.0\"\n", "w.yaml:4:16: seeds: ", "single node"},
    /* Encryption. */
    {NAMED SEO "internode_encryption: all\n", "w.yaml:3:1: internode_encryption: ", "outside of"},
    {NAMED "internode_encryption: all\n", "w.yaml:2:1: internode_encryption: ", "outside of"},
    {NAMED "server_encryption_options: all\n", "w.yaml:2:28: server_encryption_options: ", "plain text"},
    {NAMED "server_encryption_options:\n", "w.yaml:2:1: server_encryption_options: ", "empty"},
    {NAMED "server_encryption_options: [ { internode_encryption: all } ]\n",
     "w.yaml:2:28: server_encryption_options: ", "is a list"},
    {NAMED SEO "    internode_encryption: ALL\n", "w.yaml:3:27: internode_encryption: ",
     "\"ALL\" is not one of none, rack, dc, all or transitional; did you mean all?"},
    {NAMED SEO "    require_endpoint_verification:\n", "w.yaml:3:5: require_endpoint_verification: ", "is empty"},
    {NAMED SEO "    require_endpoint_verification: ~\n",
     "w.yaml:3:36: require_endpoint_verification: ", "\"~\" is neither true nor false"},
    {NAMED SEO "    internode_encryption: racks\n", "w.yaml:3:27: internode_encryption: ", "did you mean rack?"},
    {NAMED SEO "    internode_encryption: datacenter\n", "w.yaml:3:27: internode_encryption: ", "is not one of none"},
    {NAMED SEO "    internode_encryption: True\n", "w.yaml:3:27: internode_encryption: ", "is not one of none"},
    {NAMED SEO "    internode_encryption:\n", "w.yaml:3:5: internode_encryption: ", "empty"},
    {NAMED SEO "    internode_encrytion: all\n",
     "w.yaml:3:5: internode_encrytion: ", "the nearest one is internode_encryption"},
    {NAMED SEO "    keystore: conf/.keystore\n", "w.yaml:3:5: keystore: ", "the nearest one is"},
    {NAMED SEO "    internode_encryption: all\n    certificate: missing.crt\n",
     "w.yaml:4:18: certificate: ", "cannot open /etc/weft/missing.crt"},
    {NAMED SEO "    internode_encryption: rack\n    keyfile: /keys/missing.key\n",
     "w.yaml:4:14: keyfile: ", "cannot open /keys/missing.key"},
    {NAMED SEO "    internode_encryption: dc\n    truststore: missing.pem\n",
     "w.yaml:4:17: truststore: ", "cannot open /etc/weft/missing.pem"},
    {NAMED SEO "    certificate: a.crt\n", "w.yaml:3:18: certificate: ", "has no keyfile"},
    {NAMED SEO "    certificate: missing.crt\n    keyfile: a.key\n",
     "w.yaml:3:18: certificate: ", "a certificate beside"},
    {NAMED SEO "    truststore: <not set, use system trust>\n", "w.yaml:3:17: truststore: ", "placeholder"},
    {NAMED SEO "    certificate: /path/to/node.crt\n", "w.yaml:3:18: certificate: ", "placeholder"},
    {NAMED SEO "    certificate: ~/node.crt\n", "w.yaml:3:18: certificate: ", "not expanded"},
    {NAMED SEO "    certificate: ${DIR}/node.crt\n", "w.yaml:3:18: certificate: ", "not expanded"},
    {NAMED SEO "    require_client_auth: perhaps\n", "w.yaml:3:26: require_client_auth: ", "true, false or optional"},
    {NAMED SEO "    internode_encryption: all\n    require_client_auth: true\n",
     "w.yaml:4:26: require_client_auth: ", "truststore: system"},
    {NAMED SEO "    internode_encryption: rack\n    truststore: a.pem\n    require_client_auth: TRUE\n"
               "weft: { require_client_auth_plaintext: refuse }\n",
     "w.yaml:5:26: require_client_auth: ", "bypassed by links within the rack"},
    {NAMED SEO "    certificate_revocation_list: missing.crl\n",
     "w.yaml:3:34: certificate_revocation_list: ", "cannot open /etc/weft/missing.crl"},
    {NAMED SEO "    certficate_revocation_list: <not set>\n",
     "w.yaml:3:33: certficate_revocation_list: ", "placeholder"},
    {NAMED SEO "    priority_string: <not set, use default>\n", "w.yaml:3:22: priority_string: ", "placeholder"},
    {NAMED SEO "    priority_string: NORMAL:-VERS-TLS13\n",
     "w.yaml:3:22: priority_string: ", "\"-VERS-TLS13\" at character 8 is not known; nearest is \"-VERS-TLS1.3\""},
    {NAMED SEO "    priority_string: ''\n", "w.yaml:3:22: priority_string: ", "is empty"},
    {NAMED SEO "    priority_string: [NORMAL]\n", "w.yaml:3:22: priority_string: ", "write a single value"},
    {NAMED "ssl_storage_port: 0\n" SEO "    internode_encryption: all\n",
     "w.yaml:2:19: ssl_storage_port: ", "needs one"},
    {NAMED "ssl_storage_port: 7000\n" SEO "    internode_encryption: dc\n",
     "w.yaml:2:19: ssl_storage_port: ", "share port 7000"},
    /* The weft block. */
    {NAMED "weft:\ndc: a\n", "w.yaml:3:1: dc: ", "outside of weft"},
    {NAMED "weft: 3\n", "w.yaml:2:7: weft: ", "plain text"},
    {NAMED "weft: { rak: r1 }\n", "w.yaml:2:9: rak: ", "the nearest one is rack"},
    {NAMED "weft: { spiffe_ids: spiffe://a.b/x }\n", "w.yaml:2:21: spiffe_ids: ", "write a list"},
    {NAMED "weft: { spiffe_ids: [] }\n", "w.yaml:2:21: spiffe_ids: ", "an empty list"},
    {NAMED "weft: { spiffe_ids: [ spiffe://a.b/x, weft://a ] }\n",
     "w.yaml:2:39: spiffe_ids: ", "must begin with spiffe://"},
    {NAMED "weft: { spiffe_ids: [ spiffe://a.b/x, spiffe://a.b/x ] }\n", "w.yaml:2:39: spiffe_ids: ", "given twice"},
    {NAMED "weft: { spiffe_ids: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17] }\n",
     "w.yaml:2:21: spiffe_ids: ", "16 are the most"},
    {NAMED "weft: { lanes: [ { name: control } ] }\n", "w.yaml:2:16: lanes: ", "lane normal is missing"},
    {NAMED "weft: { lanes: control }\n", "w.yaml:2:16: lanes: ", "write a list"},
    {NAMED "weft: { lanes: [ control ] }\n", "w.yaml:2:18: lanes: ", "an entry is plain text"},
    {NAMED "weft: { lanes: [ {} ] }\n", "w.yaml:2:18: lanes: ", "without name"},
    {NAMED "weft: { lanes: [ { name: bulky } ] }\n", "w.yaml:2:26: name: ", "did you mean bulk?"},
    {NAMED "weft: { lanes: [ { name: bulk, size: 3 } ] }\n", "w.yaml:2:32: size: ", "not a key of an entry of lanes"},
    {NAMED "weft: { lanes: [ { name: bulk }, { name: bulk } ] }\n", "w.yaml:2:34: lanes: ", "given twice"},
    {NAMED "weft: { lanes: [ { name: normal }, { name: control } ] }\n", "w.yaml:2:36: lanes: ", "out of order"},
    {NAMED "weft: { lanes: [ 1, 2, 3, 4, 5, 6, 7, 8, 9 ] }\n", "w.yaml:2:16: lanes: ", "8 are the most"},
    {NAMED "weft: { state_directory: ~/x }\n", "w.yaml:2:26: state_directory: ", "not expanded"},
    {NAMED "weft: { crl_expired: ignore }\n", "w.yaml:2:22: crl_expired: ", "refuse or warn"},
    {NAMED "weft: { crypto: FIPS }\n", "w.yaml:2:17: crypto: ", "did you mean fips?"},
    {NAMED "weft: { memory_per_shard: 4M }\n", "w.yaml:2:27: memory_per_shard: ", "is not a size"},
    {NAMED "weft: { memory_per_shard: 4 mb }\n", "w.yaml:2:27: memory_per_shard: ", "is not a size"},
    {NAMED "weft: { memory_per_shard: -1 }\n", "w.yaml:2:27: memory_per_shard: ", "is not a size"},
    {NAMED "weft: { memory_per_shard: 268435456 }\n", "w.yaml:2:27: memory_per_shard: ", "has no unit"},
    {NAMED "weft: { memory_per_shard: 18446744073709551616B }\n", "w.yaml:2:27: memory_per_shard: ", "is not a size"},
    {NAMED "weft: { memory_per_shard: 17179869184GiB }\n", "w.yaml:2:27: memory_per_shard: ", "is not a size"},
    {NAMED "weft: { memory_per_shard: 1KiB }\n", "w.yaml:2:27: memory_per_shard: ", "128KiB is the least"},
    {NAMED "weft: { heartbeat: 5 }\n", "w.yaml:2:20: heartbeat: ", "has no unit"},
    {NAMED "weft: { heartbeat: 1e9h }\n", "w.yaml:2:20: heartbeat: ", "is not a time"},
    {NAMED "weft: { heartbeat: 010s }\n", "w.yaml:2:20: heartbeat: ", "is not a time"},
    {NAMED "weft: { heartbeat: 1ns }\n", "w.yaml:2:20: heartbeat: ", "\"1ns\" is too short; 1ms is the least"},
    {NAMED "weft: { heartbeat: 25h }\n", "w.yaml:2:20: heartbeat: ", "24h is the most"},
    {NAMED "weft: { tcp_unsent_bytes_max: 2GiB }\n", "w.yaml:2:31: tcp_unsent_bytes_max: ", "2147483647"},
    {NAMED "weft: { tcp_keepalive_idle: 10h }\n", "w.yaml:2:29: tcp_keepalive_idle: ", "32767s"},
    {NAMED "weft: { tcp_keepalive_interval: 0s }\n", "w.yaml:2:33: tcp_keepalive_interval: ", "1s is the least"},
    {NAMED "weft: { tcp_keepalive_count: 128 }\n", "w.yaml:2:30: tcp_keepalive_count: ", "127"},
    {NAMED "weft: { frame_timeout: soon }\n", "w.yaml:2:24: frame_timeout: ", "soon"},
    {NAMED "weft: { handshake_timeout: 0 }\n", "w.yaml:2:28: handshake_timeout: ", "1ms is the least"},
    {NAMED "weft: { handshake_timeout: 1us }\n", "w.yaml:2:28: handshake_timeout: ", "1ms is the least"},
    {NAMED "weft: { tcp_keepalive_idle: 999ms }\n", "w.yaml:2:29: tcp_keepalive_idle: ", "1s is the least"},
    {NAMED "weft: { shards: 0 }\n", "w.yaml:2:17: shards: ", "auto"},
    {NAMED "weft: { shards: all }\n", "w.yaml:2:17: shards: ", "auto"},
    {NAMED "weft: { shards: 3-1 }\n", "w.yaml:2:17: shards: ", "auto"},
    {NAMED "weft: { node_id: 6f1c }\n", "w.yaml:2:18: node_id: ", "is not a UUID"},
    {NAMED "weft: { dial_address: '::' }\n", "w.yaml:2:23: dial_address: ", "single node"},
    {NAMED "weft: { require_hello: always }\n", "w.yaml:2:24: require_hello: ", "auto, true or false"},
    {NAMED "weft: { backend: uring }\n", "w.yaml:2:18: backend: ", "auto, io_uring or epoll"},
    {NAMED "weft: { send_zerocopy: often }\n", "w.yaml:2:24: send_zerocopy: ", "off, auto or always"},
    {NAMED "weft: { busy_poll: 1 }\n", "w.yaml:2:20: busy_poll: ", "neither true nor false"},
    {NAMED "weft: { smt: 2 }\n", "w.yaml:2:14: smt: ", "neither true nor false"},
    {NAMED "weft: { connections_per_peer_max: 2 }\n", "w.yaml:2:35: connections_per_peer_max: ", "3 to 1048576"},
    {NAMED "weft: { connections_max: 0 }\n", "w.yaml:2:26: connections_max: ", "1 to 1048576"},
    {NAMED "weft: { tcp_congestion: 'a b' }\n", "w.yaml:2:25: tcp_congestion: ", "congestion control"},
    {NAMED "weft: { dc: null }\n", "w.yaml:2:13: dc: ", "if that is the name"},
    {NAMED "weft: { rack: r1 }\n", "w.yaml:2:15: rack: ", "stands without dc"},
    {NAMED "weft: { dc: '' }\n", "w.yaml:2:13: dc: ", "empty"},
    {NAMED "weft: { dc: ' a' }\n", "w.yaml:2:13: dc: ", "spaces"},
    /* Its nodes. */
    {NAMED "weft: { nodes: 10.0.0.2 }\n", "w.yaml:2:16: nodes: ", "one entry per node"},
    {NAMED "weft: { nodes: [ 10.0.0.2 ] }\n", "w.yaml:2:18: nodes: ", "an entry is plain text"},
    {NAMED "weft: { nodes: [ { dc: a, rack: b } ] }\n", "w.yaml:2:18: nodes: ", "without address"},
    {NAMED "weft: { nodes: [ { adress: 10.0.0.2, address: 10.0.0.2 } ] }\n",
     "w.yaml:2:20: adress: ", "the nearest one is address"},
    {NAMED "weft: { nodes: [ { adress: 10.0.0.2 } ] }\n", "w.yaml:2:20: adress: ", "the nearest one is address"},
    {NAMED SEO "    internode_encryption: all\n    certificate: ~/a.crt\n    keyfile: a.key\n",
     "w.yaml:4:18: certificate: ", "not expanded"},
    {NAMED SEO "    certificate: a.crt\n    keyfile: ~/a.key\n", "w.yaml:4:14: keyfile: ", "not expanded"},
    {NAMED "weft: { dc: ' a', rack: r1 }\n", "w.yaml:2:13: dc: ", "spaces"},
    {NAMED "weft: { lanes: [ { name: bulk }, { name: normal }, { name: control } ] }\n",
     "w.yaml:2:34: lanes: ", "out of order"},
    {NAMED "weft: { nodes: [ { address: 10.0.0.2, addresses: [ 10.0.0.3 ] } ] }\n",
     "w.yaml:2:39: addresses: ", "one of them"},
    {NAMED "weft: { nodes: [ { addresses: [ 10.0.0.2, 10.0.0.2 ] } ] }\n", "w.yaml:2:43: addresses: ", "given twice"},
    {NAMED "weft: { nodes: [ { addresses: [ 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6 ] } ] }\n",
     "w.yaml:2:73: addresses: ", "more than 4"},
    {NAMED "weft: { nodes: [ { address: '::' } ] }\n", "w.yaml:2:29: address: ", "single node"},
    {NAMED "weft: { nodes: [ { address: 239.1.2.3 } ] }\n", "w.yaml:2:29: address: ", "single node"},
    {NAMED "weft: { nodes: [ { address: 255.255.255.255 } ] }\n", "w.yaml:2:29: address: ", "single node"},
    {NAMED "weft: { nodes: [ { address: 10.0.0.2, rack: r } ] }\n", "w.yaml:2:45: rack: ", "without dc"},
    {NAMED "weft: { nodes: [ { address: 10.0.0.2, id: x } ] }\n", "w.yaml:2:43: id: ", "is not a UUID"},
    {NAMED "weft: { nodes: [ { address: 10.0.0.2, storage_port: 0 } ] }\n",
     "w.yaml:2:53: storage_port: ", "1 to 65535"},
    {NAMED "weft:\n  nodes:\n    - { address: 10.0.0.2 }\n    - { address: '::ffff:10.0.0.2' }\n",
     "w.yaml:5:18: address: ", "the entry in line 4 has the same address and ports"},
    {NAMED "weft:\n  nodes:\n    - { address: 10.0.0.2, id: 6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9 }\n"
           "    - { address: 10.0.0.3, id: 6F1C2D3E-4b5a-4978-8695-a4b3c2d1e0f9 }\n",
     "w.yaml:5:7: id: ", "line 4 has the same id"},
    {NAMED "weft:\n  node_id: 6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9\n  nodes:\n"
           "    - { address: 127.0.0.1, id: 11111111-4b5a-4978-8695-a4b3c2d1e0f9 }\n",
     "w.yaml:5:7: id: ", "not its node_id"},
    {NAMED "weft:\n  dc: d1\n  rack: r1\n  nodes:\n    - { address: 127.0.0.1, dc: d1, rack: r2 }\n",
     "w.yaml:6:43: rack: ", "weft: rack says \"r1\""},
};

static void config__one_fault__one_line_at_its_place(void **state)
{
    struct config_report *report = calloc(1, sizeof *report);
    uint32_t wrong = 0;
    (void)state;
    assert_non_null(report);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const struct fault *fault = &faults[i];
        struct config *config = NULL;
        enum weft_err err = config_decode_faked(&config, fault->yaml, strlen(fault->yaml), "/etc/weft", NULL, report);
        if (err != WEFT_ERR_CONFIG || config != NULL || report->errors.count != 1 ||
            strncmp(report->errors.lines[0], fault->place, strlen(fault->place)) != 0 ||
            strstr(report->errors.lines[0], fault->says) == NULL) {
            print_error("%s\nwanted 1 error: %s ... %s\ngot %u, first: %s\n", fault->yaml, fault->place, fault->says,
                        report->errors.count, report->errors.lines[0]);
            wrong++;
        }
        config_destroy(config);
    }
    free(report);
    assert_int_equal(wrong, 0);
}

/* Files that start, each with exactly one warning. */
static const struct fault doubts[] = {
    {"storage_port: 7000\n", "w.yaml:1:1: cluster_name: ", "Test Cluster"},
    {NAMED "storrage_port: 7000\n", "w.yaml:2:1: storrage_port: ", "did you mean storage_port?"},
    {NAMED "hints_compression: 7000\n", "w.yaml:2:1: hints_compression: ", "is unknown and has no effect"},
    {NAMED "shards: 3\n", "w.yaml:2:1: shards: ", "belongs below weft"},
    {NAMED "listen_address: ::1:7000\n", "w.yaml:2:17: listen_address: ", "if that was meant as a port"},
    {NAMED "seed_provider:\n  - parameters: [ { seeds: 10.0.0.8 } ]\n  - parameters: [ { seeds: 10.0.0.9 } ]\n",
     "w.yaml:4:5: seed_provider: ", "only the first provider is asked"},
    {NAMED "internode_compression: all\n", "w.yaml:2:24: internode_compression: ", "not applied yet"},
    {NAMED "seed_provider:\n  - parameters:\n      - seeds: \"nobody, 10.0.0.9\"\n",
     "w.yaml:4:16: seeds: ", "left out"},
    {NAMED SEO "    require_client_auth: True\n", "w.yaml:3:26: require_client_auth: ", "has no effect"},
    {NAMED SEO "    require_endpoint_verification: true\n",
     "w.yaml:3:36: require_endpoint_verification: ", "has no effect"},
    {NAMED SEO "    internode_encryption: all\n    truststore: a.pem\n    require_endpoint_verification: true\n",
     "w.yaml:5:36: require_endpoint_verification: ", "require_client_auth is false"},
    {NAMED SEO "    internode_encryption: all\n    truststore: a.pem\n    require_endpoint_verification: true\n"
               "    require_client_auth: optional\n",
     "w.yaml:5:36: require_endpoint_verification: ", "require_client_auth is optional"},
    {NAMED "weft: { spiffe_ids: [ spiffe://a.b/x ] }\n", "w.yaml:2:21: spiffe_ids: ", "has no effect without"},
    {NAMED SEO "    certificate: a.crt\n    keyfile: open.key\n",
     "w.yaml:4:14: keyfile: ", "/etc/weft/open.key is open to every user of this machine (mode 0644); chmod 600 it"},
    {NAMED SEO "    certificate: a.crt\n    keyfile: a.key\nweft: { keyfile_password_file: open.txt }\n",
     "w.yaml:5:32: keyfile_password_file: ", "/etc/weft/open.txt is open to every user of this machine"},
    {NAMED "weft: { crl_expired: warn }\n", "w.yaml:2:22: crl_expired: ", "has no effect without"},
    {NAMED SEO "    certficate_revocation_list: a.crl\n",
     "w.yaml:3:33: certficate_revocation_list: ", "has no effect: internode_encryption is none"},
    {NAMED
     "seed_provider:\n  - class_name: SimpleSeedProvider\n    parameter: 1\n    parameters: [ { seeds: 10.0.0.9 } ]\n",
     "w.yaml:4:5: parameter: ", "the nearest key is parameters"},
    {NAMED "seed_provider:\n  - parameters: [ { seeds: 10.0.0.9, seed: x } ]\n",
     "w.yaml:3:38: seed: ", "the nearest key is seeds"},
    {NAMED SEO "    keyfile: a.key\n", "w.yaml:3:14: keyfile: ", "no effect without certificate"},
    {NAMED SEO "    internode_encryption: rack\n    truststore: a.pem\n    require_client_auth: yes\n",
     "w.yaml:5:26: require_client_auth: ", "bypassed by links within the rack"},
    {NAMED SEO "    internode_encryption: transitional\n    truststore: system\n    require_client_auth: on\n",
     "w.yaml:5:26: require_client_auth: ", "bypassed by every link that a peer opens in plaintext"},
    {NAMED SEO "    internode_encryption: rack\nweft: { dc: d1 }\n",
     "w.yaml:3:27: internode_encryption: ", "own location is unknown"},
    {NAMED "endpoint_snitch: Ec2Snitch\nweft: { dc: d1, rack: r1 }\n",
     "w.yaml:2:18: endpoint_snitch: ", "is not asked"},
    {NAMED "endpoint_snitch: GossipingPropertyFileSnitch\nweft: { dc: d1, rack: r1 }\n",
     "w.yaml:2:18: endpoint_snitch: ", "weft: dc and rack are used"},
    {NAMED "listen_address: 0.0.0.0\nweft: { nodes: [ { address: 10.0.0.2 } ] }\n",
     "w.yaml:2:17: listen_address: ", "set broadcast_address too"},
    {NAMED "ssl_storage_port: 0\n" SEO "    certificate: a.crt\n    keyfile: a.key\n",
     "w.yaml:2:19: ssl_storage_port: ", "no TLS listener"},
    {NAMED "weft:\n  nodes:\n    - { address: 10.0.0.2, dc: d1, rack: r1 }\n"
           "    - { address: 10.0.0.2, dc: d2, rack: r1, storage_port: 8000 }\n",
     "w.yaml:5:18: address: ", "proves neither"},
};

static void config__one_doubt__starts_with_one_warning(void **state)
{
    struct config_report *report = calloc(1, sizeof *report);
    uint32_t wrong = 0;
    (void)state;
    assert_non_null(report);
    for (size_t i = 0; i < sizeof doubts / sizeof doubts[0]; i++) {
        const struct fault *doubt = &doubts[i];
        struct config *config = NULL;
        enum weft_err err = config_decode_faked(&config, doubt->yaml, strlen(doubt->yaml), "/etc/weft", NULL, report);
        if (err != WEFT_OK || config == NULL || report->errors.count != 0 || report->warnings.count != 1 ||
            strncmp(report->warnings.lines[0], doubt->place, strlen(doubt->place)) != 0 ||
            strstr(report->warnings.lines[0], doubt->says) == NULL) {
            print_error("%s\nwanted 1 warning: %s ... %s\ngot %u errors (%s), %u warnings, first: %s\n", doubt->yaml,
                        doubt->place, doubt->says, report->errors.count, report->errors.lines[0],
                        report->warnings.count, report->warnings.lines[0]);
            wrong++;
        }
        config_destroy(config);
    }
    free(report);
    assert_int_equal(wrong, 0);
}

static void config__several_faults__all_in_one_go(void **state)
{
    static const char yaml[] = "cluster_name: c\ncluster_name: d\nstorage_port: 0\n" SEO
                               "    internode_encryption: ALL\n    keystore: x\nweft: { heartbeat: 5 }\n";
    struct config_report *report = calloc(1, sizeof *report);
    struct config *config = NULL;
    (void)state;
    assert_non_null(report);
    assert_int_equal(config_decode_faked(&config, yaml, strlen(yaml), "/etc/weft", NULL, report), WEFT_ERR_CONFIG);
    assert_int_equal(report->errors.count, 5);
    static const char *const places[] = {
        "w.yaml:2:1: ", "w.yaml:3:15: ", "w.yaml:5:27: ", "w.yaml:6:5: ", "w.yaml:7:20: "};
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(strncmp(report->errors.lines[i], places[i], strlen(places[i])), 0);
    }
    free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config__one_fault__one_line_at_its_place),
        cmocka_unit_test(config__one_doubt__starts_with_one_warning),
        cmocka_unit_test(config__several_faults__all_in_one_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
