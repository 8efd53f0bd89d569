/* SPDX-License-Identifier: Apache-2.0 */
/* Values are asked of the node's own settings, which fill in the defaults; keys that become something else than a
 * setting are shown as they are written. */
#include "cli/check_effective.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/name_text.h"
#include "topology/cluster/policy.h"
#include "topology/cluster/settings.h"

#define VALUE_BYTES 256u
#define ENCRYPTION "server_encryption_options"
#define WEFT "weft"

/* What a field of the settings holds. */
enum kind {
    WRITTEN = 0, /* no field: the file's word, or the default of the table */
    TEXT,
    PORT,
    COUNT,
    BYTES32,
    BYTES64,
    NS,
    MS32,
    SECONDS32,
    BOOL,
    BOOL_NOT, /* the setting is the key's opposite */
    ADDRESS,
    SCOPE,
    UUID,
    OPTION_TEXT /* of the options, not of the settings */
};

struct key {
    const char *block;
    const char *name;
    enum kind kind;
    size_t offset;
    const char *standard; /* WRITTEN: the default; else what an empty text or a 0 means; NULL: nothing */
};

#define SETTING(field) offsetof(struct settings, field)
#define OPTION(field) offsetof(struct weft_node_options, field)

/* clang-format off */
static const struct key keys[] = {
    {NULL, "cluster_name", TEXT, SETTING(cluster_name), NULL},
    {NULL, "listen_address", ADDRESS, SETTING(listen_address), NULL},
    {NULL, "broadcast_address", WRITTEN, 0, NULL},
    {NULL, "storage_port", PORT, SETTING(storage_port), NULL},
    {NULL, "ssl_storage_port", PORT, SETTING(ssl_storage_port), NULL},
    {NULL, "endpoint_snitch", WRITTEN, 0, "SimpleSnitch"},
    {NULL, "seed_provider", WRITTEN, 0, NULL},
    {NULL, "internode_compression", WRITTEN, 0, "none"},
    {NULL, "inter_dc_tcp_nodelay", BOOL_NOT, SETTING(tcp_delay), NULL},
    {ENCRYPTION, "internode_encryption", SCOPE, SETTING(encryption), NULL},
    {ENCRYPTION, "certificate", OPTION_TEXT, OPTION(tls.certificate), NULL},
    {ENCRYPTION, "keyfile", OPTION_TEXT, OPTION(tls.keyfile), NULL},
    {ENCRYPTION, "truststore", OPTION_TEXT, OPTION(tls.truststore), "system"},
    {ENCRYPTION, "require_client_auth", WRITTEN, 0, "false"},
    {WEFT, "dc", TEXT, SETTING(dc), NULL},
    {WEFT, "rack", TEXT, SETTING(rack), NULL},
    {WEFT, "node_id", UUID, SETTING(node_id), NULL},
    {WEFT, "dial_address", ADDRESS, SETTING(dial_address), NULL},
    {WEFT, "require_hello", WRITTEN, 0, "auto"},
    {WEFT, "shards", TEXT, SETTING(shards), NULL},
    {WEFT, "smt", BOOL, SETTING(smt), NULL},
    {WEFT, "memory_per_shard", BYTES64, SETTING(memory_per_shard_bytes), NULL},
    {WEFT, "connections_max", COUNT, SETTING(connections_max), NULL},
    {WEFT, "connections_per_peer_max", COUNT, SETTING(connections_per_peer_max), "256, or what the peer needs"},
    {WEFT, "idle_timeout", NS, SETTING(idle_timeout_ns), NULL},
    {WEFT, "tcp_congestion", TEXT, SETTING(tcp_congestion), "the system's"},
    {WEFT, "tcp_unsent_bytes_max", BYTES32, SETTING(tcp_unsent_bytes_max), NULL},
    {WEFT, "tcp_user_timeout", MS32, SETTING(tcp_user_timeout_ms), NULL},
    {WEFT, "tcp_keepalive_idle", SECONDS32, SETTING(tcp_keepalive_idle_s), NULL},
    {WEFT, "tcp_keepalive_interval", SECONDS32, SETTING(tcp_keepalive_interval_s), NULL},
    {WEFT, "tcp_keepalive_count", COUNT, SETTING(tcp_keepalive_count), NULL},
    {WEFT, "handshake_timeout", NS, SETTING(handshake_timeout_ns), NULL},
    {WEFT, "frame_timeout", NS, SETTING(frame_timeout_ns), NULL},
    {WEFT, "send_timeout", NS, SETTING(send_timeout_ns), NULL},
    {WEFT, "first_request_timeout", NS, SETTING(first_request_timeout_ns), NULL},
    {WEFT, "heartbeat", NS, SETTING(heartbeat_ns), NULL},
    {WEFT, "drain_timeout", NS, SETTING(drain_timeout_ns), NULL},
    {WEFT, "busy_poll", BOOL, SETTING(busy_poll), NULL},
    {WEFT, "send_zerocopy", WRITTEN, 0, "off"},
    {WEFT, "backend", TEXT, SETTING(backend), NULL},
    {WEFT, "require_client_auth_plaintext", WRITTEN, 0, "warn"},
    {WEFT, "crypto", WRITTEN, 0, "auto"},
    {WEFT, "nodes", WRITTEN, 0, NULL},
};
/* clang-format on */
#define KEY_COUNT (sizeof keys / sizeof keys[0])

struct unit {
    const char *name;
    uint64_t size;
};

/* In the largest unit that leaves no rest. */
static void quantity_print(char text[VALUE_BYTES], uint64_t value, const struct unit *units, size_t count)
{
    size_t i = 0;
    while (i + 1 < count && (value == 0 || value % units[i].size != 0)) {
        i++;
    }
    snprintf(text, VALUE_BYTES, "%" PRIu64 "%s", value / units[i].size, units[i].name);
}

static void bytes_print(char text[VALUE_BYTES], uint64_t bytes)
{
    static const struct unit units[] = {
        {"GiB", UINT64_C(1) << 30}, {"MiB", UINT64_C(1) << 20}, {"KiB", UINT64_C(1) << 10}, {"B", 1}};
    quantity_print(text, bytes, units, sizeof units / sizeof units[0]);
}

static void time_print(char text[VALUE_BYTES], uint64_t ns)
{
    static const struct unit units[] = {{"h", UINT64_C(3600000000000)}, {"m", UINT64_C(60000000000)},
                                        {"s", UINT64_C(1000000000)},    {"ms", UINT64_C(1000000)},
                                        {"us", UINT64_C(1000)},         {"ns", 1}};
    if (ns == 0) {
        snprintf(text, VALUE_BYTES, "0s");
        return;
    }
    quantity_print(text, ns, units, sizeof units / sizeof units[0]);
}

static uint32_t load32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static uint64_t load64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* The value of a number, a flag or an address; NULL for nothing. */
static const char *field_text(const struct key *key, const struct settings *settings, char text[VALUE_BYTES])
{
    const char *field = (const char *)settings + key->offset;
    uint16_t port;
    bool flag;
    switch (key->kind) {
    case PORT:
        memcpy(&port, field, sizeof port);
        snprintf(text, VALUE_BYTES, "%u", port);
        return text;
    case COUNT:
        snprintf(text, VALUE_BYTES, "%u", load32(field));
        return load32(field) == 0 ? key->standard : text;
    case BYTES32:
        bytes_print(text, load32(field));
        return text;
    case BYTES64:
        bytes_print(text, load64(field));
        return text;
    case NS:
        time_print(text, load64(field));
        return text;
    case MS32:
        time_print(text, load32(field) * UINT64_C(1000000));
        return text;
    case SECONDS32:
        time_print(text, load32(field) * UINT64_C(1000000000));
        return text;
    case BOOL:
    case BOOL_NOT:
        memcpy(&flag, field, sizeof flag);
        return flag == (key->kind == BOOL) ? "true" : "false";
    case ADDRESS:
        if (((const struct address *)(const void *)field)->family == 0) {
            return NULL;
        }
        address_print_ip((const struct address *)(const void *)field, text);
        return text;
    case UUID:
        if (!settings->node_id_known) {
            return NULL;
        }
        uuid_print(settings->node_id, text);
        return text;
    case SCOPE:
        return weft_encryption_name(settings->encryption);
    case TEXT:
        return field[0] != '\0' ? field : key->standard;
    case WRITTEN:
    case OPTION_TEXT:
        break;
    }
    return key->standard;
}

static const char *key_value(const struct config *config, const struct settings *settings, const struct key *key,
                             uint32_t line, char text[VALUE_BYTES])
{
    const char *value = NULL;
    if (key->kind == OPTION_TEXT) {
        memcpy(&value, (const char *)&config->options + key->offset, sizeof value);
        /* Without TLS there is no trust store either. */
        return value == NULL && config->options.tls.certificate != NULL ? key->standard : value;
    }
    if (key->kind != WRITTEN) {
        return field_text(key, settings, text);
    }
    if (line == 0) {
        return key->standard;
    }
    (void)config_written(config, key->block, key->name, &value);
    return value != NULL ? value : "a list";
}

/* Who says so; "default" for nobody. */
static void key_source(const struct config *config, const struct key *key, uint32_t line, char text[VALUE_BYTES])
{
    bool place = key->block != NULL && (strcmp(key->name, "dc") == 0 || strcmp(key->name, "rack") == 0);
    if (line != 0) {
        snprintf(text, VALUE_BYTES, "line %u", line);
    } else if (place && config->options.dc != NULL) {
        snprintf(text, VALUE_BYTES, "%s", config_location_source_name(config->location_source));
    } else {
        snprintf(text, VALUE_BYTES, "default");
    }
}

typedef void key_fn(void *ctx, const char *path, const char *value, uint32_t line, const char *source);

static void keys_visit(const struct config *config, key_fn *fn, void *ctx)
{
    struct settings settings;
    /* The node itself was made of the same options: they are fine. */
    if (settings_init(&settings, &config->options, NULL) != WEFT_OK) {
        return;
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char text[VALUE_BYTES];
        char path[VALUE_BYTES];
        char source[VALUE_BYTES];
        uint32_t line = config_written(config, keys[i].block, keys[i].name, NULL);
        const char *value = key_value(config, &settings, &keys[i], line, text);
        snprintf(path, sizeof path, "%s%s%s", keys[i].block != NULL ? keys[i].block : "",
                 keys[i].block != NULL ? "." : "", keys[i].name);
        key_source(config, &keys[i], line, source);
        fn(ctx, path, value, line, source);
    }
}

static void key_print(void *ctx, const char *path, const char *value, uint32_t line, const char *source)
{
    (void)ctx;
    (void)line;
    printf("    %-48s ", path);
    if (value != NULL) {
        name_text_print(value);
    } else {
        putchar('-');
    }
    printf("  (%s)\n", source);
}

void check_effective_print(const struct config *config)
{
    puts("  effective    every key, its value, and where that comes from:");
    keys_visit(config, key_print, NULL);
}

static void key_add(void *ctx, const char *path, const char *value, uint32_t line, const char *source)
{
    json_array_append_new(ctx, json_pack("{s:s, s:o, s:o, s:s}", "key", path, "value", name_text_json(value), "line",
                                         line != 0 ? json_integer(line) : json_null(), "from", source));
}

json_t *check_effective_json(const struct config *config)
{
    json_t *array = json_array();
    keys_visit(config, key_add, array);
    return array;
}
