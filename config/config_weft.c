/* SPDX-License-Identifier: Apache-2.0 */
/* The block weft: what a scylla.yaml has no key for.
 *
 * Happy path: every key is optional; a missing block is the defaults.
 *
 * Failure modes: unknown keys are errors here, since nobody else owns them; keys of later versions are told apart from
 * them. */
#include <string.h>

#include "config/config_decoder.h"
#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "topology/cluster/budget.h"

/* 20 bits of a connection handle. */
#define CONNECTIONS_MAX (UINT64_C(1) << 20)
/* TCP_CA_NAME_MAX, without its NUL. */
#define CONGESTION_BYTES_MAX 15u

static void weft_dc(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->dc = decoder_name(decoder, value) != NULL ? value : NULL;
}

static void weft_rack(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->rack = decoder_name(decoder, value) != NULL ? value : NULL;
}

static void weft_node_id(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    if (config_scalar_uuid(text, &why) != WEFT_OK) {
        decoder_error(decoder, value, "%s", why.text);
        return;
    }
    decoder->config->options.node_id = text;
}

static void weft_dial_address(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct address address;
    if (decoder_host(decoder, value, &address)) {
        decoder->config->options.dial_address = decoder_address_text(decoder, &address);
        decoder_own_address_add(decoder, &address);
    }
}

static void weft_require_hello(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool always = false;
    const char *text = decoder_text(decoder, value);
    if (text == NULL || strcmp(text, "auto") == 0) {
        return;
    }
    if (config_scalar_bool(&always, text, NULL) != WEFT_OK) {
        decoder_error(decoder, value, "\"%.64s\" is not one of auto, true or false", text);
        return;
    }
    decoder->config->options.require_hello = always ? WEFT_REQUIRE_HELLO_ALWAYS : WEFT_REQUIRE_HELLO_NEVER;
}

static void weft_shards(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct weft_error why = {0};
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    if (config_scalar_shards(text, &why) != WEFT_OK) {
        decoder_error(decoder, value, "%s", why.text);
        return;
    }
    decoder->config->options.shards = text;
}

static void weft_smt(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool on = false;
    if (decoder_bool(decoder, value, &on)) {
        decoder->config->options.smt = on;
    }
}

static void weft_memory_per_shard(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t bytes = 0;
    if (!decoder_size(decoder, value, &bytes)) {
        return;
    }
    if (bytes != 0 && bytes < BUDGET_MEMORY_BYTES_MIN) {
        decoder_error(decoder, value, "\"%.64s\" is too small for a shard; 128KiB is the least", value->text);
    } else {
        decoder->config->options.memory_per_shard_bytes = bytes;
    }
}

static void weft_tcp_congestion(struct config_decoder *decoder, const struct yaml_node *value)
{
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    size_t bytes = strlen(text);
    if (bytes > CONGESTION_BYTES_MAX ||
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != bytes) {
        decoder_error(decoder, value, "\"%.64s\" is no name of a congestion control; write one such as cubic", text);
        return;
    }
    decoder->config->options.tcp_congestion = text;
}

static void weft_handshake_timeout(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint32_t ms;
    if (!decoder_time_ms(decoder, value, &ms)) {
        return;
    }
    if (ms == 0) {
        decoder_error(decoder, value, "0 would let no connection come up; write a time such as 5s");
        return;
    }
    decoder->config->options.handshake_timeout_ms = ms;
}

static void weft_heartbeat(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint32_t ms;
    if (decoder_time_ms(decoder, value, &ms)) {
        decoder->config->options.heartbeat_ms = ms == 0 ? UINT32_MAX : ms;
    }
}

static void weft_drain_timeout(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint32_t ms;
    if (decoder_time_ms(decoder, value, &ms)) {
        /* 0 is the default for the node: the shortest time is as good as none. */
        decoder->config->options.drain_timeout_ms = ms == 0 ? 1 : ms;
    }
}

static void weft_busy_poll(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool on = false;
    if (decoder_bool(decoder, value, &on)) {
        decoder->config->options.busy_poll = on;
    }
}

static void weft_send_zerocopy(struct config_decoder *decoder, const struct yaml_node *value)
{
    static const struct config_word words[] = {
        {"off", WEFT_SEND_ZEROCOPY_OFF}, {"auto", WEFT_SEND_ZEROCOPY_AUTO}, {"always", WEFT_SEND_ZEROCOPY_ALWAYS}};
    int zerocopy;
    if (decoder_word(decoder, value, words, sizeof words / sizeof words[0], &zerocopy)) {
        decoder->config->options.send_zerocopy = (enum weft_send_zerocopy)zerocopy;
    }
}

static void weft_backend(struct config_decoder *decoder, const struct yaml_node *value)
{
    static const struct config_word words[] = {{"auto", 0}, {"io_uring", 1}, {"epoll", 2}};
    int backend;
    if (decoder_word(decoder, value, words, sizeof words / sizeof words[0], &backend)) {
        decoder->config->options.backend = words[backend].text;
    }
}

static void weft_connections_max(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t count;
    if (decoder_number(decoder, value, 1, CONNECTIONS_MAX, &count)) {
        decoder->config->options.connections_max = (uint32_t)count;
    }
}

static void weft_connections_per_peer_max(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t count;
    if (decoder_number(decoder, value, WEFT_LANE_COUNT, CONNECTIONS_MAX, &count)) {
        decoder->config->options.connections_per_peer_max = (uint32_t)count;
    }
}

static void weft_idle_timeout(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint32_t ms;
    if (decoder_time_ms(decoder, value, &ms)) {
        decoder->config->options.idle_timeout_ms = ms == 0 ? UINT32_MAX : ms;
    }
}

static void weft_client_auth_plaintext(struct config_decoder *decoder, const struct yaml_node *value)
{
    static const struct config_word words[] = {{"warn", 0}, {"refuse", 1}};
    int refuse;
    if (decoder_word(decoder, value, words, sizeof words / sizeof words[0], &refuse)) {
        decoder->client_auth_plaintext_refused = refuse == 1;
    }
}

static void weft_crypto(struct config_decoder *decoder, const struct yaml_node *value)
{
    static const struct config_word words[] = {{"auto", WEFT_CRYPTO_AUTO},
                                               {"openssl", WEFT_CRYPTO_OPENSSL},
                                               {"vaes", WEFT_CRYPTO_VAES},
                                               {"fips", WEFT_CRYPTO_FIPS}};
    int crypto;
    if (decoder_word(decoder, value, words, sizeof words / sizeof words[0], &crypto)) {
        decoder->config->options.crypto = (enum weft_crypto)crypto;
    }
}

static void weft_later(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (!yaml_node_is_null(value)) {
        decoder_key_error(decoder, value, "is not available in this version; remove it");
    }
}

static const struct decoder_field weft_fields[] = {
    {"dc", weft_dc},
    {"rack", weft_rack},
    {"node_id", weft_node_id},
    {"dial_address", weft_dial_address},
    {"require_hello", weft_require_hello},
    {"shards", weft_shards},
    {"smt", weft_smt},
    {"memory_per_shard", weft_memory_per_shard},
    {"connections_max", weft_connections_max},
    {"connections_per_peer_max", weft_connections_per_peer_max},
    {"idle_timeout", weft_idle_timeout},
    {"tcp_congestion", weft_tcp_congestion},
    {"tcp_unsent_bytes_max", decoder_weft_tcp_unsent_bytes_max},
    {"tcp_user_timeout", decoder_weft_tcp_user_timeout},
    {"tcp_keepalive_idle", decoder_weft_tcp_keepalive_idle},
    {"tcp_keepalive_interval", decoder_weft_tcp_keepalive_interval},
    {"tcp_keepalive_count", decoder_weft_tcp_keepalive_count},
    {"handshake_timeout", weft_handshake_timeout},
    {"frame_timeout", decoder_weft_frame_timeout},
    {"send_timeout", decoder_weft_send_timeout},
    {"first_request_timeout", decoder_weft_first_request_timeout},
    {"heartbeat", weft_heartbeat},
    {"drain_timeout", weft_drain_timeout},
    {"busy_poll", weft_busy_poll},
    {"send_zerocopy", weft_send_zerocopy},
    {"backend", weft_backend},
    {"require_client_auth_plaintext", weft_client_auth_plaintext},
    {"crypto", weft_crypto},
    {"nodes", decoder_nodes},
    {"lanes", weft_later},
    {"state_directory", weft_later},
    {"crl_expired", weft_later},
};
#define WEFT_FIELD_COUNT (sizeof weft_fields / sizeof weft_fields[0])

bool decoder_weft_has_key(const char *key)
{
    return decoder_field_find(weft_fields, WEFT_FIELD_COUNT, key) != NULL;
}

void decoder_weft(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (yaml_node_is_null(value)) {
        return;
    }
    if (value->kind != YAML_TREE_MAPPING) {
        decoder_error(decoder, value, "is %s; indent its keys below it", yaml_node_kind_name(value));
        return;
    }
    decoder_fields(decoder, value, "weft", weft_fields, WEFT_FIELD_COUNT);
}
