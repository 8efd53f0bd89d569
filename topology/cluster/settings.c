/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/settings.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "tls/context.h"
#include "tls/spiffe.h"
#include "topology/cluster/budget.h"
#include "topology/machine/plan.h"

#define NS_PER_MS UINT64_C(1000000)

#define DEFAULT_STORAGE_PORT 7000
#define DEFAULT_SSL_STORAGE_PORT 7001
#define DEFAULT_MEMORY_BYTES (UINT64_C(256) << 20)
#define DEFAULT_CONNECTIONS_MAX 4096u
#define CONNECTIONS_MAX (1u << 20)
#define CALLS_MAX (1u << 20)
#define DEFAULT_HANDSHAKE_TIMEOUT_MS 5000u
#define DEFAULT_HEARTBEAT_MS 1000u
#define DEFAULT_IDLE_TIMEOUT_MS 30000u
#define DEFAULT_DRAIN_TIMEOUT_MS 5000u
/* The largest frame in this time is 4.5 Mbit/s; one send operation is 70 kbit/s. */
#define DEFAULT_FRAME_TIMEOUT_MS 30000u
#define DEFAULT_SEND_TIMEOUT_MS 30000u
#define DEFAULT_FIRST_REQUEST_TIMEOUT_MS 60000u
/* As large as one send operation: the next one begins when the last one has left, and not earlier. */
#define DEFAULT_UNSENT_BYTES_MAX (256u * 1024)
#define DEFAULT_USER_TIMEOUT_MS 30000u
/* A host that vanished is noticed after a minute, however idle its connections are. */
#define DEFAULT_KEEPALIVE_IDLE_S 30u
#define DEFAULT_KEEPALIVE_INTERVAL_S 10u
#define DEFAULT_KEEPALIVE_COUNT 3u
/* Limits of the kernel's. */
#define KEEPALIVE_S_MAX 32767u
#define KEEPALIVE_COUNT_MAX 127u
#define TCP_OPTION_MAX ((uint32_t)INT32_MAX)

enum weft_err settings_copy_name(char to[WEFT_NAME_BYTES_MAX + 1], const char *from, const char *what,
                                 struct weft_error *why)
{
    size_t bytes = from != NULL ? strlen(from) : 0;
    if (bytes > WEFT_NAME_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_TOO_LARGE, "%s: %zu bytes; at most %d", what, bytes, WEFT_NAME_BYTES_MAX);
    }
    if (bytes > 0) {
        memcpy(to, from, bytes);
    }
    to[bytes] = '\0';
    return WEFT_OK;
}

enum weft_err settings_address(struct address *to, const char *text, uint16_t port, const char *what,
                               enum weft_err code, struct weft_error *why)
{
    if (address_parse(to, text, port) != WEFT_OK) {
        return weft_error_set(why, code, "%s: '%.64s' is not a numeric IPv4 or IPv6 address", what, text);
    }
    if (address_is_group(to)) {
        return weft_error_set(why, code, "%s: %s is a multicast or broadcast address; name one of a single node", what,
                              text);
    }
    return WEFT_OK;
}

/* One of ours: it needs its interface.  A peer's may lack it: files of locations name such nodes, and only dialing them
 * fails. */
static enum weft_err settings_own_address(struct address *to, const char *text, uint16_t port, const char *what,
                                          struct weft_error *why)
{
    WEFT_TRY(settings_address(to, text, port, what, WEFT_ERR_CONFIG, why));
    if (address_is_link_local(to) && to->scope == 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "%s: %s is link-local, and each interface has such addresses; write the interface too, "
                              "such as fe80::1%%eth0",
                              what, text);
    }
    return WEFT_OK;
}

static enum weft_err copy_text(char *to, size_t to_bytes, const char *from, const char *what, struct weft_error *why)
{
    if (strlen(from) >= to_bytes) {
        return weft_error_set(why, WEFT_ERR_TOO_LARGE, "%s: '%s' is too long; at most %zu bytes", what, from,
                              to_bytes - 1);
    }
    snprintf(to, to_bytes, "%s", from);
    return WEFT_OK;
}

/* The option, or its default where it is 0; an error outside [1, most]. */
static enum weft_err choose(uint32_t *to, uint32_t value, uint32_t fallback, uint32_t most, const char *what,
                            struct weft_error *why)
{
    *to = value != 0 ? value : fallback;
    if (*to > most) {
        return weft_error_set(why, WEFT_ERR_INVALID, "%s: %u; at most %u", what, value, most);
    }
    return WEFT_OK;
}

static uint64_t choose_ns(uint32_t value_ms, uint32_t fallback_ms)
{
    return (value_ms != 0 ? value_ms : fallback_ms) * NS_PER_MS;
}

/* None where the first one covers it. */
static enum weft_err settings_init_second_address(struct settings *settings, const char *text, struct weft_error *why)
{
    const struct address *first = &settings->listen_address;
    struct address second;
    if (text == NULL) {
        return WEFT_OK;
    }
    WEFT_TRY(settings_own_address(&second, text, settings->storage_port, "second_listen_address", why));
    if (address_is_any(&second)) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "second_listen_address: %s stands for any address; name one", text);
    }
    bool covered = address_is_any(first) && first->family == second.family;
    if (!covered && !address_same_ip(first, &second)) {
        settings->second_listen_address = second;
    }
    return WEFT_OK;
}

static enum weft_err settings_init_addresses(struct settings *settings, const struct weft_node_options *options,
                                             struct weft_error *why)
{
    const char *listen = options->listen_address != NULL ? options->listen_address : "127.0.0.1";
    settings->storage_port = options->storage_port != 0 ? options->storage_port : DEFAULT_STORAGE_PORT;
    settings->ssl_storage_port = options->ssl_storage_port != 0 ? options->ssl_storage_port : DEFAULT_SSL_STORAGE_PORT;
    if (settings->storage_port == settings->ssl_storage_port) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "storage_port and ssl_storage_port are both %u; they must differ",
                              settings->storage_port);
    }
    WEFT_TRY(settings_own_address(&settings->listen_address, listen, settings->storage_port, "listen_address", why));
    WEFT_TRY(settings_init_second_address(settings, options->second_listen_address, why));
    if (options->dial_address != NULL) {
        WEFT_TRY(settings_own_address(&settings->dial_address, options->dial_address, 0, "dial_address", why));
    } else if (!address_is_any(&settings->listen_address) && !options->client_only) {
        settings->dial_address = settings->listen_address;
        settings->dial_address.port = 0;
    }
    return WEFT_OK;
}

static enum weft_err settings_init_identity(struct settings *settings, const struct weft_node_options *options,
                                            struct weft_error *why)
{
    WEFT_TRY(settings_copy_name(settings->cluster_name,
                                options->cluster_name != NULL ? options->cluster_name : "Test Cluster", "cluster_name",
                                why));
    WEFT_TRY(settings_copy_name(settings->dc, options->dc, "dc", why));
    WEFT_TRY(settings_copy_name(settings->rack, options->rack, "rack", why));
    settings->incarnation = options->incarnation;
    if (options->node_id != NULL) {
        settings->node_id_known = true;
        if (!uuid_parse(settings->node_id, options->node_id)) {
            return weft_error_set(why, WEFT_ERR_CONFIG, "node_id: '%s' is not a UUID", options->node_id);
        }
    }
    return WEFT_OK;
}

static enum weft_err settings_init_bounds(struct settings *settings, const struct weft_node_options *options,
                                          struct weft_error *why)
{
    settings->memory_per_shard_bytes =
        options->memory_per_shard_bytes != 0 ? options->memory_per_shard_bytes : DEFAULT_MEMORY_BYTES;
    if (settings->memory_per_shard_bytes < BUDGET_MEMORY_BYTES_MIN ||
        settings->memory_per_shard_bytes > BUDGET_MEMORY_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "memory_per_shard: %llu bytes; from 128KiB to 1024GiB",
                              (unsigned long long)settings->memory_per_shard_bytes);
    }
    uint32_t calls = budget_calls(settings->memory_per_shard_bytes);
    WEFT_TRY(choose(&settings->peers_max, options->peers_max, WEFT_PEERS_MAX, WEFT_PEERS_MAX, "peers_max", why));
    settings->connections_given = options->connections_max != 0;
    WEFT_TRY(choose(&settings->connections_max, options->connections_max, DEFAULT_CONNECTIONS_MAX, CONNECTIONS_MAX,
                    "connections_max", why));
    WEFT_TRY(choose(&settings->calls_max, options->calls_max, calls, CALLS_MAX, "calls_max", why));
    WEFT_TRY(choose(&settings->requests_max, options->requests_max, calls, CALLS_MAX, "requests_max", why));
    settings->handshake_timeout_ns = choose_ns(options->handshake_timeout_ms, DEFAULT_HANDSHAKE_TIMEOUT_MS);
    settings->heartbeat_ns =
        options->heartbeat_ms == UINT32_MAX ? 0 : choose_ns(options->heartbeat_ms, DEFAULT_HEARTBEAT_MS);
    settings->idle_timeout_ns =
        options->idle_timeout_ms == UINT32_MAX ? 0 : choose_ns(options->idle_timeout_ms, DEFAULT_IDLE_TIMEOUT_MS);
    settings->connections_per_peer_max = options->connections_per_peer_max;
    if (options->connections_per_peer_max != 0 && options->connections_per_peer_max < WEFT_LANE_COUNT) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "connections_per_peer_max: %u; at least %d, one for each lane",
                              options->connections_per_peer_max, WEFT_LANE_COUNT);
    }
    settings->drain_timeout_ns = choose_ns(options->drain_timeout_ms, DEFAULT_DRAIN_TIMEOUT_MS);
    return WEFT_OK;
}

static uint64_t limit_ns(uint32_t value_ms, uint32_t fallback_ms)
{
    return value_ms == UINT32_MAX ? 0 : choose_ns(value_ms, fallback_ms);
}

/* As choose, and UINT32_MAX is 0: off. */
static enum weft_err choose_or_off(uint32_t *to, uint32_t value, uint32_t fallback, uint32_t most, const char *what,
                                   struct weft_error *why)
{
    if (value == UINT32_MAX) {
        *to = 0;
        return WEFT_OK;
    }
    return choose(to, value, fallback, most, what, why);
}

static enum weft_err settings_init_connections(struct settings *settings, const struct weft_node_options *options,
                                               struct weft_error *why)
{
    settings->frame_timeout_ns = limit_ns(options->frame_timeout_ms, DEFAULT_FRAME_TIMEOUT_MS);
    settings->send_timeout_ns = limit_ns(options->send_timeout_ms, DEFAULT_SEND_TIMEOUT_MS);
    settings->first_request_timeout_ns = limit_ns(options->first_request_timeout_ms, DEFAULT_FIRST_REQUEST_TIMEOUT_MS);
    WEFT_TRY(choose_or_off(&settings->tcp_unsent_bytes_max, options->tcp_unsent_bytes_max, DEFAULT_UNSENT_BYTES_MAX,
                           TCP_OPTION_MAX, "tcp_unsent_bytes_max", why));
    WEFT_TRY(choose_or_off(&settings->tcp_user_timeout_ms, options->tcp_user_timeout_ms, DEFAULT_USER_TIMEOUT_MS,
                           TCP_OPTION_MAX, "tcp_user_timeout", why));
    WEFT_TRY(choose_or_off(&settings->tcp_keepalive_idle_s, options->tcp_keepalive_idle_s, DEFAULT_KEEPALIVE_IDLE_S,
                           KEEPALIVE_S_MAX, "tcp_keepalive_idle", why));
    WEFT_TRY(choose(&settings->tcp_keepalive_interval_s, options->tcp_keepalive_interval_s,
                    DEFAULT_KEEPALIVE_INTERVAL_S, KEEPALIVE_S_MAX, "tcp_keepalive_interval", why));
    return choose(&settings->tcp_keepalive_count, options->tcp_keepalive_count, DEFAULT_KEEPALIVE_COUNT,
                  KEEPALIVE_COUNT_MAX, "tcp_keepalive_count", why);
}

static enum weft_err settings_init_priority(struct settings *settings, const struct weft_node_options *options,
                                            struct weft_error *why)
{
    struct priority priority;
    WEFT_TRY(tls_context_priority(&priority, options->priority_string, why));
    settings->priority_given = options->priority_string != NULL;
    return copy_text(settings->priority_string, sizeof settings->priority_string,
                     settings->priority_given ? options->priority_string : "", "priority_string", why);
}

static enum weft_err settings_init_spiffe(struct settings *settings, const struct weft_node_options *options,
                                          struct weft_error *why)
{
    if (options->spiffe_id_count > WEFT_SPIFFE_IDS_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "spiffe_ids: %u patterns; at most %d", options->spiffe_id_count,
                              WEFT_SPIFFE_IDS_MAX);
    }
    if (options->spiffe_ids == NULL && options->spiffe_id_count > 0) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "spiffe_ids: NULL, but spiffe_id_count is %u; give the array, or 0",
                              options->spiffe_id_count);
    }
    for (uint32_t i = 0; i < options->spiffe_id_count; i++) {
        struct weft_error fault = {.code = WEFT_OK};
        if (spiffe_check_pattern(options->spiffe_ids[i], &fault) != WEFT_OK) {
            return weft_error_set(why, WEFT_ERR_CONFIG, "spiffe_ids: %s", fault.text);
        }
        snprintf(settings->spiffe_ids[i], sizeof settings->spiffe_ids[i], "%s", options->spiffe_ids[i]);
    }
    settings->spiffe_id_count = options->spiffe_id_count;
    return WEFT_OK;
}

/* C lets any number stand in an enum: one that is no word of ours must not run as whatever the code does by default. */
static enum weft_err settings_check_words(const struct weft_node_options *options, struct weft_error *why)
{
    const struct {
        const char *name;
        const char *words;
        uint32_t value;
        uint32_t last;
    } choices[] = {
        {"internode_encryption", "none, rack, dc, all and transitional", (uint32_t)options->encryption,
         WEFT_ENCRYPTION_TRANSITIONAL},
        {"require_client_auth", "none, optional and required", (uint32_t)options->tls.client_auth,
         WEFT_CLIENT_AUTH_REQUIRED},
        {"require_hello", "auto, always and never", (uint32_t)options->require_hello, WEFT_REQUIRE_HELLO_NEVER},
        {"crl_expired", "refuse and warn", (uint32_t)options->crl_expired, WEFT_CRL_EXPIRED_WARN},
        {"send_zerocopy", "off, auto and always", (uint32_t)options->send_zerocopy, WEFT_SEND_ZEROCOPY_ALWAYS},
        {"crypto", "auto, openssl, vaes and fips", (uint32_t)options->crypto, WEFT_CRYPTO_FIPS},
    };
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        if (choices[i].value > choices[i].last) {
            return weft_error_set(why, WEFT_ERR_INVALID, "%s: %u is none of %s", choices[i].name, choices[i].value,
                                  choices[i].words);
        }
    }
    return WEFT_OK;
}

/* Whether the machine has what is asked for is found out at the start; whether it can be meant is known now. */
static enum weft_err settings_init_place(struct settings *settings, const struct weft_node_options *options,
                                         struct weft_error *why)
{
    static const char *const backends[] = {"auto", "io_uring", "epoll"};
    bool known = false;
    WEFT_TRY(copy_text(settings->shards, sizeof settings->shards, options->shards != NULL ? options->shards : "auto",
                       "shards", why));
    WEFT_TRY(plan_check_text(settings->shards, why));
    WEFT_TRY(copy_text(settings->backend, sizeof settings->backend,
                       options->backend != NULL ? options->backend : "auto", "backend", why));
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        known = known || strcmp(settings->backend, backends[i]) == 0;
    }
    return known ? WEFT_OK
                 : weft_error_set(why, WEFT_ERR_CONFIG, "backend: '%s' is none of auto, io_uring, epoll",
                                  settings->backend);
}

enum weft_err settings_init(struct settings *settings, const struct weft_node_options *options, struct weft_error *why)
{
    memset(settings, 0, sizeof *settings);
    WEFT_TRY(settings_check_words(options, why));
    WEFT_TRY(settings_init_identity(settings, options, why));
    WEFT_TRY(settings_init_addresses(settings, options, why));
    WEFT_TRY(settings_init_bounds(settings, options, why));
    WEFT_TRY(settings_init_connections(settings, options, why));
    WEFT_TRY(settings_init_place(settings, options, why));
    WEFT_TRY(copy_text(settings->tcp_congestion, sizeof settings->tcp_congestion,
                       options->tcp_congestion != NULL ? options->tcp_congestion : "", "tcp_congestion", why));
    WEFT_TRY(settings_init_priority(settings, options, why));
    WEFT_TRY(settings_init_spiffe(settings, options, why));
    settings->smt = options->smt;
    settings->client_only = options->client_only;
    settings->encryption = options->encryption;
    settings->client_auth = options->tls.client_auth;
    settings->certificate_in_block = options->tls.certificate_in_block;
    settings->endpoint_verification = options->require_endpoint_verification;
    settings->require_hello = options->require_hello;
    settings->tcp_delay = options->tcp_delay;
    settings->busy_poll = options->busy_poll;
    settings->send_zerocopy = options->send_zerocopy;
    settings->crypto = options->crypto;
    settings->clock = (struct io_clock){
        .monotonic = options->monotonic_clock, .wall = options->wall_clock, .ctx = options->clock_ctx};
    settings->log = options->log;
    settings->log_ctx = options->log_ctx;
    return WEFT_OK;
}

struct location settings_location(const struct settings *settings)
{
    return (struct location){.dc = settings->dc, .rack = settings->rack};
}
