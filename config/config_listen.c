/* SPDX-License-Identifier: Apache-2.0 */
/* Where the node listens: addresses, the interface, and ports.
 *
 * Happy path: listen_address, or the one address of listen_interface, broadcast_address beside it if that is asked for,
 * and two different ports.
 *
 * Failure modes: both given, an interface without an address or with several, an address that nothing can listen on,
 * one port for two listeners. */
#include <string.h>

#include "config/config_decoder.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"

static void listen_on(struct config_decoder *decoder, const struct address *address)
{
    decoder->config->options.listen_address = decoder_address_text(decoder, address);
    decoder_own_address_add(decoder, address);
}

/* ::1:7000 is an address, and hardly ever the one that was meant. */
static void listen_port_doubt(struct config_decoder *decoder, const struct address *address)
{
    static const char *const endings[] = {":7000", ":7001"};
    const char *text = decoder->listen_address->text;
    for (uint32_t i = 0; address->family == 6 && i < sizeof endings / sizeof endings[0]; i++) {
        size_t bytes = strlen(text);
        size_t ending_bytes = strlen(endings[i]);
        if (bytes > ending_bytes && strcmp(text + bytes - ending_bytes, endings[i]) == 0) {
            decoder_warning(decoder, decoder->listen_address,
                            "\"%.64s\" is an address that ends in %s; if that was meant as a port, write it as "
                            "storage_port",
                            text, endings[i]);
        }
    }
}

void decoder_listen_address(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct weft_error why = {0};
    struct address address;
    decoder->listen_address = value;
    const char *text = decoder_text(decoder, value);
    if (text == NULL) {
        return;
    }
    if (!decoder_resolve(decoder, text, &address, &why)) {
        decoder_error(decoder, value, "%s", why.text);
    } else if (address_is_group(&address)) {
        decoder_error(decoder, value, "\"%.64s\" is no address to listen on; write one of this machine's own", text);
    } else {
        listen_on(decoder, &address);
        listen_port_doubt(decoder, &address);
    }
}

void decoder_listen_interface(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (!yaml_node_is_null(value) && decoder_text(decoder, value) != NULL) {
        decoder->listen_interface = value;
    }
}

void decoder_listen_interface_prefer_ipv6(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool prefer = false;
    if (!yaml_node_is_null(value) && decoder_bool(decoder, value, &prefer)) {
        decoder->prefer_ipv6 = prefer;
    }
}

void decoder_broadcast_address(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct address address;
    if (!yaml_node_is_null(value) && decoder_host(decoder, value, &address)) {
        decoder->broadcast_address = value;
        decoder->broadcast = address;
        decoder_own_address_add(decoder, &address);
    }
}

void decoder_listen_on_broadcast_address(struct config_decoder *decoder, const struct yaml_node *value)
{
    bool on = false;
    if (!yaml_node_is_null(value) && decoder_bool(decoder, value, &on)) {
        decoder->listen_on_broadcast = on;
    }
}

void decoder_storage_port(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->storage_port = value;
    decoder_store(decoder, value);
}

void decoder_ssl_storage_port(struct config_decoder *decoder, const struct yaml_node *value)
{
    uint64_t port;
    decoder->ssl_storage_port = value;
    if (decoder_number(decoder, value, &port)) {
        decoder->config->options.ssl_storage_port = (uint16_t)port;
        decoder->ssl_storage_port_off = port == 0;
    }
}

static void interface_finish(struct config_decoder *decoder)
{
    const struct config_surroundings *surroundings = decoder->surroundings;
    const struct yaml_node *interface = decoder->listen_interface;
    struct weft_error why = {0};
    struct address address;
    if (decoder->listen_address != NULL) {
        decoder_key_error(decoder, interface, "stands beside listen_address; write one of them");
    } else if (surroundings->interface_address(surroundings->ctx, interface->text, decoder->prefer_ipv6, &address,
                                               &why) != WEFT_OK) {
        decoder_error(decoder, interface, "%s", why.text);
    } else {
        decoder->listen_address = interface;
        listen_on(decoder, &address);
    }
}

/* The second listening address, where the first one is not the same and does not cover it. */
static void broadcast_finish(struct config_decoder *decoder)
{
    struct address listen;
    enum weft_err err = address_parse(&listen, config_listen_address(decoder->config), 0);
    WEFT_ASSERT(err == WEFT_OK);
    const struct address *broadcast = &decoder->broadcast;
    bool covered = address_is_any(&listen) && listen.family == broadcast->family;
    if (broadcast->family != 0 && !covered && !address_same_ip(&listen, broadcast)) {
        decoder->config->options.second_listen_address = decoder_address_text(decoder, broadcast);
    }
}

void decoder_listen_finish(struct config_decoder *decoder)
{
    struct address standard;
    if (decoder->listen_interface != NULL) {
        interface_finish(decoder);
    }
    if (decoder->listen_address == NULL) {
        enum weft_err err = address_parse(&standard, config_listen_address(decoder->config), 0);
        WEFT_ASSERT(err == WEFT_OK);
        decoder_own_address_add(decoder, &standard);
    }
    if (decoder->listen_on_broadcast) {
        broadcast_finish(decoder);
    }
}

/* Each kind has a port of its own, of this node and, where its entry says nothing else, of each peer. */
static void ports_check(struct config_decoder *decoder)
{
    const struct yaml_node *at = decoder->ssl_storage_port != NULL ? decoder->ssl_storage_port : decoder->storage_port;
    if (at != NULL && config_storage_port(decoder->config) == config_ssl_storage_port(decoder->config)) {
        decoder_error(decoder, at,
                      "plaintext and TLS would share port %u; give storage_port and ssl_storage_port "
                      "different ones",
                      config_storage_port(decoder->config));
    }
}

void decoder_listen_check(struct config_decoder *decoder)
{
    struct address listen;
    bool peers = decoder->config->options.peer_count > 0;
    ports_check(decoder);
    if (decoder->broadcast_address != NULL || decoder->listen_address == NULL || !peers ||
        address_parse(&listen, config_listen_address(decoder->config), 0) != WEFT_OK || !address_is_any(&listen)) {
        return;
    }
    decoder_warning(decoder, decoder->listen_address,
                    "every address of this machine; set broadcast_address too, or the node cannot tell its own entry "
                    "among nodes and seeds");
}
