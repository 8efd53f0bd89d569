/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys: to add a key is to add a row here. */
#include "config/config_schema_table.h"

#include "config/config_decoder.h"
#include "engine/base/limits.h"
#include "topology/cluster/budget.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)
#define DAY (86400 * SECOND)
/* 20 bits of a connection handle. */
#define CONNECTIONS_MAX (UINT64_C(1) << 20)
/* As many slots as a table has. */
#define CALLS_MAX (UINT64_C(1) << 20)
/* What the kernel's options of a socket can say. */
#define KEEPALIVE_MAX (32767 * SECOND)
#define KEEPALIVE_COUNT_MAX 127
#define UNSENT_BYTES_MAX INT32_MAX

#define OPTION(member)                                                                                                 \
    .option = offsetof(struct weft_node_options, member),                                                              \
    .option_bytes = sizeof(((const struct weft_node_options *)0)->member)
#define ENTRY(member)                                                                                                  \
    .option = offsetof(struct weft_peer_options, member),                                                              \
    .option_bytes = sizeof(((const struct weft_peer_options *)0)->member)
#define WORDS(list) .words = (list), .word_count = sizeof(list) / sizeof(list)[0]
#define BOUNDS(least, most) .min = (least), .max = (most)

static const struct config_word encryption_words[] = {{"none", WEFT_ENCRYPTION_NONE},
                                                      {"rack", WEFT_ENCRYPTION_RACK},
                                                      {"dc", WEFT_ENCRYPTION_DC},
                                                      {"all", WEFT_ENCRYPTION_ALL},
                                                      {"transitional", WEFT_ENCRYPTION_TRANSITIONAL}};
static const struct config_word compression_words[] = {{"none", 0}, {"rack", 1}, {"dc", 2}, {"all", 3}};
static const struct config_word zerocopy_words[] = {
    {"off", WEFT_SEND_ZEROCOPY_OFF}, {"auto", WEFT_SEND_ZEROCOPY_AUTO}, {"always", WEFT_SEND_ZEROCOPY_ALWAYS}};
static const struct config_word backend_words[] = {{"auto", 0}, {"io_uring", 1}, {"epoll", 2}};
/* In the order in which the engine flushes them. */
static const struct config_word lane_words[WEFT_LANE_COUNT] = {{"control", 0}, {"normal", 1}, {"bulk", 2}};
static const struct config_word crypto_words[] = {{"auto", WEFT_CRYPTO_AUTO},
                                                  {"openssl", WEFT_CRYPTO_OPENSSL},
                                                  {"vaes", WEFT_CRYPTO_VAES},
                                                  {"fips", WEFT_CRYPTO_FIPS}};
static const struct config_word crl_expired_words[] = {{"refuse", WEFT_CRL_EXPIRED_REFUSE},
                                                       {"warn", WEFT_CRL_EXPIRED_WARN}};
static const struct config_word bypass_words[] = {{"warn", 0}, {"refuse", 1}};

const struct config_key config_schema_table[] = {
    /* The top level: keys of scylla.yaml. */
    {"cluster_name", CONFIG_BLOCK_ROOT, CONFIG_TYPE_NAME, "Test Cluster", OPTION(cluster_name),
     .text = "name of the cluster; nodes of another cluster are refused"},
    {"listen_address", CONFIG_BLOCK_ROOT, CONFIG_TYPE_ADDRESS, "127.0.0.1", OPTION(listen_address),
     .decode = decoder_listen_address, .range = "an IP address or a host name (IPv4 first)",
     .text = "address that other nodes connect to"},
    {"listen_interface", CONFIG_BLOCK_ROOT, CONFIG_TYPE_TEXT, "none", .decode = decoder_listen_interface,
     .range = "a network interface with one address",
     .text = "interface whose address is listened on, in place of listen_address"},
    {"listen_interface_prefer_ipv6", CONFIG_BLOCK_ROOT, CONFIG_TYPE_BOOL, "false",
     .decode = decoder_listen_interface_prefer_ipv6, .text = "take the IPv6 address of listen_interface"},
    {"broadcast_address", CONFIG_BLOCK_ROOT, CONFIG_TYPE_ADDRESS, "listen_address", .decode = decoder_broadcast_address,
     .range = "an IP address or a host name (IPv4 first)", .text = "address that other nodes know this one by"},
    {"listen_on_broadcast_address", CONFIG_BLOCK_ROOT, CONFIG_TYPE_BOOL, "false",
     .decode = decoder_listen_on_broadcast_address, .text = "listen on broadcast_address too, at the same ports"},
    {"storage_port", CONFIG_BLOCK_ROOT, CONFIG_TYPE_NUMBER, "7000", BOUNDS(1, UINT16_MAX), OPTION(storage_port),
     .decode = decoder_storage_port, .text = "port of plaintext"},
    {"ssl_storage_port", CONFIG_BLOCK_ROOT, CONFIG_TYPE_NUMBER, "7001", BOUNDS(0, UINT16_MAX), OPTION(ssl_storage_port),
     .decode = decoder_ssl_storage_port, .text = "port of TLS; 0 opens none"},
    {"endpoint_snitch", CONFIG_BLOCK_ROOT, CONFIG_TYPE_TEXT, "SimpleSnitch", .decode = decoder_endpoint_snitch,
     .range = "a snitch, with or without its package", .reloadable = true,
     .text = "where locations of nodes come from"},
    {"seed_provider", CONFIG_BLOCK_ROOT, CONFIG_TYPE_BLOCK, "none", .decode = decoder_seed_provider, .reloadable = true,
     .text = "peers whose location nobody told"},
    {"server_encryption_options", CONFIG_BLOCK_ROOT, CONFIG_TYPE_BLOCK, "none", .decode = decoder_encryption,
     .text = "which links are encrypted, and with what"},
    {"internode_compression", CONFIG_BLOCK_ROOT, CONFIG_TYPE_WORD, "none", WORDS(compression_words),
     .decode = decoder_internode_compression, .text = "not applied yet: anything but none is a warning"},
    {"inter_dc_tcp_nodelay", CONFIG_BLOCK_ROOT, CONFIG_TYPE_BOOL, "true", .decode = decoder_inter_dc_tcp_nodelay,
     .text = "send small messages at once; false leaves Nagle's algorithm on"},
    {"weft", CONFIG_BLOCK_ROOT, CONFIG_TYPE_BLOCK, "all defaults", .decode = decoder_weft,
     .text = "what scylla.yaml has no key for"},

    {"class_name", CONFIG_BLOCK_SEED_PROVIDER, CONFIG_TYPE_TEXT, "SimpleSeedProvider",
     .range = "SimpleSeedProvider, with or without its package", .text = "who knows the seeds"},
    {"parameters", CONFIG_BLOCK_SEED_PROVIDER, CONFIG_TYPE_BLOCK, "none", .reloadable = true,
     .text = "what the provider needs"},
    {"seeds", CONFIG_BLOCK_SEED_PARAMETERS, CONFIG_TYPE_TEXT, "none", .range = "addresses or host names with commas",
     .reloadable = true, .text = "peers to dial at the start; the own address is skipped"},

    {"internode_encryption", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_WORD, "none", WORDS(encryption_words),
     .decode = decoder_internode_encryption, OPTION(encryption), .reloadable = true,
     .text = "which links are encrypted; a node that runs takes another one on SIGHUP, as far as its ports are open"},
    {"certificate", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_PATH, "scylla.crt, where TLS is needed",
     OPTION(tls.certificate), .decode = decoder_certificate,
     .range = "a PEM file, relative to the configuration's directory", .reloadable = true,
     .text = "this node's certificate and its chain; written out, it opens a TLS listener even under none"},
    {"keyfile", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_PATH, "scylla.key, where TLS is needed", OPTION(tls.keyfile),
     .decode = decoder_keyfile, .range = "a PEM file, relative to the configuration's directory", .reloadable = true,
     .text = "the certificate's private key; not readable by everybody"},
    {"truststore", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_PATH, "the system's", OPTION(tls.truststore),
     .decode = decoder_truststore, .range = "a PEM file, or system", .reloadable = true,
     .text = "authorities that certificates of peers must come from"},
    {"certificate_revocation_list", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_PATH, "none",
     OPTION(certificate_revocation_list), .decode = decoder_crl,
     .range = "a PEM file, relative to the configuration's directory", .reloadable = true,
     .text = "certificates that are no longer good"},
    {"certficate_revocation_list", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_PATH, "none", .decode = decoder_crl,
     .range = "a PEM file, relative to the configuration's directory", .reloadable = true,
     .text = "the historic spelling of certificate_revocation_list"},
    {"require_client_auth", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_WORD, "false", .decode = decoder_client_auth,
     .range = "true, false or optional", .text = "whether who connects by TLS must show a certificate"},
    {"priority_string", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_TEXT, "forward secrecy and AEAD", OPTION(priority_string),
     .decode = decoder_priority_string, .range = "a GnuTLS priority string",
     .text = "which versions and cipher suites TLS may use"},
    {"require_endpoint_verification", CONFIG_BLOCK_ENCRYPTION, CONFIG_TYPE_BOOL, "false",
     OPTION(require_endpoint_verification), .decode = decoder_endpoint_verification,
     .text = "a certificate must name the node that shows it"},

    {"dc", CONFIG_BLOCK_WEFT, CONFIG_TYPE_NAME, "the snitch's", OPTION(dc), .decode = decoder_weft_dc,
     .reloadable = true, .text = "data centre of this node"},
    {"rack", CONFIG_BLOCK_WEFT, CONFIG_TYPE_NAME, "the snitch's", OPTION(rack), .decode = decoder_weft_rack,
     .reloadable = true, .text = "rack of this node"},
    {"state_directory", CONFIG_BLOCK_WEFT, CONFIG_TYPE_PATH, "$STATE_DIRECTORY, or below the user's XDG state",
     .decode = decoder_state_directory, .range = "a directory that this node alone uses",
     .text = "keeps the node id and the incarnation; not writable: new ones at each start, with a warning"},
    {"node_id", CONFIG_BLOCK_WEFT, CONFIG_TYPE_UUID, "made at the first start and kept", OPTION(node_id),
     .text = "id of this node"},
    {"dial_address", CONFIG_BLOCK_WEFT, CONFIG_TYPE_ADDRESS, "listen_address", OPTION(dial_address),
     .decode = decoder_dial_address, .range = "an IP address or a host name (IPv4 first)",
     .text = "source address of outgoing connections"},
    {"require_hello", CONFIG_BLOCK_WEFT, CONFIG_TYPE_WORD, "auto", .decode = decoder_require_hello,
     .range = "auto, true or false", .text = "whether peers must introduce themselves as weft"},
    {"shards", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TEXT, "auto", OPTION(shards), .decode = decoder_shards,
     .range = "auto, a number, or CPUs such as 0-3,8",
     .text = "threads, each with a CPU of its own; auto: one per allowed core"},
    {"smt", CONFIG_BLOCK_WEFT, CONFIG_TYPE_BOOL, "false", OPTION(smt),
     .text = "shards: auto takes each hardware thread, not only the first of each core"},
    {"memory_per_shard", CONFIG_BLOCK_WEFT, CONFIG_TYPE_SIZE, "256MiB",
     BOUNDS(BUDGET_MEMORY_BYTES_MIN, BUDGET_MEMORY_BYTES_MAX), .zero = CONFIG_ZERO_DEFAULT,
     OPTION(memory_per_shard_bytes), .text = "memory for the messages of one shard"},
    {"connections_max", CONFIG_BLOCK_WEFT, CONFIG_TYPE_NUMBER, "4096", BOUNDS(1, CONNECTIONS_MAX),
     OPTION(connections_max), .text = "connections of one shard"},
    {"connections_per_peer_max", CONFIG_BLOCK_WEFT, CONFIG_TYPE_NUMBER, "256", BOUNDS(WEFT_LANE_COUNT, CONNECTIONS_MAX),
     OPTION(connections_per_peer_max), .text = "connections with one peer, all shards together, in each direction"},
    {"peers_max", CONFIG_BLOCK_WEFT, CONFIG_TYPE_NUMBER, "1024", BOUNDS(1, WEFT_PEERS_MAX), OPTION(peers_max),
     .decode = decoder_peers_max,
     .text = "nodes and seeds at any time, with removed ones whose connections still end; fewer take less memory"},
    {"calls_max", CONFIG_BLOCK_WEFT, CONFIG_TYPE_NUMBER, "16384", BOUNDS(1, CALLS_MAX), OPTION(calls_max),
     .text = "calls of one shard that wait for their answers"},
    {"requests_max", CONFIG_BLOCK_WEFT, CONFIG_TYPE_NUMBER, "16384", BOUNDS(1, CALLS_MAX), OPTION(requests_max),
     .text = "requests of peers that one shard has not answered yet"},
    {"idle_timeout", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "30s", BOUNDS(MS, DAY), .zero = CONFIG_ZERO_OFF,
     OPTION(idle_timeout_ms), .unit_ns = MS,
     .text = "an idle connection of the bulk lane, or to a named shard, closes after it"},
    {"lanes", CONFIG_BLOCK_WEFT, CONFIG_TYPE_BLOCK, "control, normal, bulk", .decode = decoder_lanes,
     .text = "lanes to each peer, the first goes first; this version has exactly the default ones"},
    {"tcp_congestion", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TEXT, "the system's", OPTION(tcp_congestion),
     .decode = decoder_tcp_congestion, .range = "a congestion control that the kernel has, such as cubic",
     .text = "congestion control of every connection"},
    {"tcp_unsent_bytes_max", CONFIG_BLOCK_WEFT, CONFIG_TYPE_SIZE, "256KiB", BOUNDS(1, UNSENT_BYTES_MAX),
     .zero = CONFIG_ZERO_OFF, OPTION(tcp_unsent_bytes_max),
     .text = "bytes that wait in the kernel before the next send (TCP_NOTSENT_LOWAT)"},
    {"tcp_user_timeout", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "30s", BOUNDS(MS, DAY), .zero = CONFIG_ZERO_OFF,
     OPTION(tcp_user_timeout_ms), .unit_ns = MS, .text = "bytes without an acknowledgement end a connection after it"},
    {"tcp_keepalive_idle", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "30s", BOUNDS(SECOND, KEEPALIVE_MAX),
     .zero = CONFIG_ZERO_OFF, OPTION(tcp_keepalive_idle_s), .unit_ns = SECOND,
     .text = "silence before the first probe of a connection"},
    {"tcp_keepalive_interval", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "10s", BOUNDS(SECOND, KEEPALIVE_MAX),
     OPTION(tcp_keepalive_interval_s), .unit_ns = SECOND, .text = "time between probes"},
    {"tcp_keepalive_count", CONFIG_BLOCK_WEFT, CONFIG_TYPE_NUMBER, "3", BOUNDS(1, KEEPALIVE_COUNT_MAX),
     OPTION(tcp_keepalive_count), .text = "probes without an answer that end a connection"},
    {"handshake_timeout", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "5s", BOUNDS(MS, DAY), OPTION(handshake_timeout_ms),
     .unit_ns = MS, .text = "time for connecting, for TLS and for the negotiation, each"},
    {"frame_timeout", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "30s", BOUNDS(MS, DAY), .zero = CONFIG_ZERO_OFF,
     OPTION(frame_timeout_ms), .unit_ns = MS, .text = "time from the first byte of a message to its last"},
    {"send_timeout", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "30s", BOUNDS(MS, DAY), .zero = CONFIG_ZERO_OFF,
     OPTION(send_timeout_ms), .unit_ns = MS, .text = "time for a peer to take what one send carries, at most 256 KiB"},
    {"first_request_timeout", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "1m", BOUNDS(MS, DAY), .zero = CONFIG_ZERO_OFF,
     OPTION(first_request_timeout_ms), .unit_ns = MS,
     .text = "time for an accepted connection to bring its first message"},
    {"heartbeat", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "1s", BOUNDS(MS, DAY), .zero = CONFIG_ZERO_OFF,
     OPTION(heartbeat_ms), .unit_ns = MS, .range = "0 for no control connections, or 1ms to 24h",
     .text = "time between heartbeats; a peer is down after three missed ones"},
    {"drain_timeout", CONFIG_BLOCK_WEFT, CONFIG_TYPE_TIME, "5s", BOUNDS(MS, DAY), .zero = CONFIG_ZERO_LEAST,
     OPTION(drain_timeout_ms), .unit_ns = MS, .text = "time for running work when the node stops"},
    {"busy_poll", CONFIG_BLOCK_WEFT, CONFIG_TYPE_BOOL, "false", OPTION(busy_poll),
     .text = "shards never sleep: the least latency, and all of their CPUs"},
    {"send_zerocopy", CONFIG_BLOCK_WEFT, CONFIG_TYPE_WORD, "off", WORDS(zerocopy_words), OPTION(send_zerocopy),
     .text = "large payloads go to the network card without a copy; always: to measure it"},
    {"backend", CONFIG_BLOCK_WEFT, CONFIG_TYPE_WORD, "auto", WORDS(backend_words), OPTION(backend),
     .decode = decoder_backend, .text = "how the kernel is asked; auto: io_uring where it can be had"},
    {"require_client_auth_plaintext", CONFIG_BLOCK_WEFT, CONFIG_TYPE_WORD, "warn", WORDS(bypass_words),
     .decode = decoder_client_auth_plaintext,
     .text = "what to do if require_client_auth is true and some links stay plaintext"},
    {"spiffe_ids", CONFIG_BLOCK_WEFT, CONFIG_TYPE_BLOCK, "none", .decode = decoder_spiffe_ids,
     .range = "a list of 1 to 16 patterns such as spiffe://example.org/weft/{dc}/{id}",
     .text = "SPIFFE ids that are nodes', for require_endpoint_verification; * is any segment"},
    {"crypto", CONFIG_BLOCK_WEFT, CONFIG_TYPE_WORD, "auto", WORDS(crypto_words), OPTION(crypto),
     .text = "who encrypts"},
    {"keyfile_password_file", CONFIG_BLOCK_WEFT, CONFIG_TYPE_PATH, "none: the key is not encrypted",
     OPTION(keyfile_password_file), .decode = decoder_keyfile_password,
     .range = "a file with one line, relative to the configuration's directory", .reloadable = true,
     .text = "the password of an encrypted keyfile; not readable by everybody"},
    {"crl_expired", CONFIG_BLOCK_WEFT, CONFIG_TYPE_WORD, "refuse", WORDS(crl_expired_words), OPTION(crl_expired),
     .reloadable = true, .text = "what an expired revocation list does: refuse every peer, or only warn"},
    {"nodes", CONFIG_BLOCK_WEFT, CONFIG_TYPE_BLOCK, "none", .decode = decoder_nodes, .reloadable = true,
     .text = "the nodes of the cluster; the entry that is this node gives its own location"},

    {"name", CONFIG_BLOCK_LANE, CONFIG_TYPE_WORD, "none", WORDS(lane_words), .decode = decoder_lane_name,
     .text = "which lane"},

    {"address", CONFIG_BLOCK_NODE, CONFIG_TYPE_ADDRESS, "none; this or addresses is needed",
     .decode = decoder_entry_address, .range = "an IP address or a host name (IPv4 first)", .reloadable = true,
     .text = "address that the node is dialed at and known by"},
    {"addresses", CONFIG_BLOCK_NODE, CONFIG_TYPE_ADDRESS, "none", .decode = decoder_entry_addresses,
     .range = "a list of 1 to 4 addresses", .reloadable = true,
     .text = "the first is dialed, every one counts as the node's"},
    {"dc", CONFIG_BLOCK_NODE, CONFIG_TYPE_NAME, "unknown", .decode = decoder_entry_dc, .reloadable = true,
     .text = "data centre of the node"},
    {"rack", CONFIG_BLOCK_NODE, CONFIG_TYPE_NAME, "unknown", .decode = decoder_entry_rack, .reloadable = true,
     .text = "rack of the node"},
    {"id", CONFIG_BLOCK_NODE, CONFIG_TYPE_UUID, "any", ENTRY(id), .reloadable = true,
     .text = "id that the node must have"},
    {"storage_port", CONFIG_BLOCK_NODE, CONFIG_TYPE_NUMBER, "this node's", BOUNDS(1, UINT16_MAX), ENTRY(storage_port),
     .reloadable = true, .text = "the node's port of plaintext"},
    {"ssl_storage_port", CONFIG_BLOCK_NODE, CONFIG_TYPE_NUMBER, "this node's", BOUNDS(1, UINT16_MAX),
     ENTRY(ssl_storage_port), .reloadable = true, .text = "the node's port of TLS"},
};
const uint32_t config_schema_table_count = sizeof config_schema_table / sizeof config_schema_table[0];
