/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/peer.h"

#include <string.h>
#include <strings.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/base/options.h"
#include "topology/cluster/settings.h"

static enum weft_err peer_init_addresses(struct peer *peer, const struct weft_peer_options *options,
                                         struct weft_error *why)
{
    for (uint32_t i = 0; i < WEFT_PEER_ADDRESSES_MAX && options->addresses[i] != NULL; i++) {
        WEFT_TRY(settings_address(&peer->addresses[i], options->addresses[i], peer->storage_port, "peer: addresses",
                                  WEFT_ERR_INVALID, why));
        if (address_is_any(&peer->addresses[i])) {
            return weft_error_set(why, WEFT_ERR_INVALID, "peer: addresses: %s stands for any address; name the node's",
                                  options->addresses[i]);
        }
        peer->address_count++;
    }
    if (peer->address_count == 0) {
        return weft_error_set(why, WEFT_ERR_INVALID, "peer: no address; name at least one");
    }
    address_print_ip(&peer->addresses[0], peer->text);
    return WEFT_OK;
}

/* Names are written with or without the root's dot; certificates hold them without. */
static enum weft_err peer_init_host_name(struct peer *peer, const char *host_name, struct weft_error *why)
{
    WEFT_TRY(settings_copy_name(peer->host_name, host_name, "peer: host_name", why));
    size_t bytes = strlen(peer->host_name);
    if (bytes > 1 && peer->host_name[bytes - 1] == '.') {
        peer->host_name[bytes - 1] = '\0';
    }
    return WEFT_OK;
}

enum weft_err peer_init(struct peer *peer, const struct weft_peer_options *given, uint16_t storage_port,
                        uint16_t ssl_storage_port, struct weft_error *why)
{
    struct weft_peer_options known;
    const struct weft_peer_options *options = &known;
    memset(peer, 0, sizeof *peer);
    WEFT_TRY(options_take(&known, sizeof known, given, "struct weft_peer_options", why));
    peer->storage_port = options->storage_port != 0 ? options->storage_port : storage_port;
    peer->ssl_storage_port = options->ssl_storage_port != 0 ? options->ssl_storage_port : ssl_storage_port;
    peer->connections = options->connections != 0 ? options->connections : 1;
    if (peer->connections > PEER_CONNECTIONS_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID, "peer: %u connections per shard; at most %u", peer->connections,
                              PEER_CONNECTIONS_MAX);
    }
    WEFT_TRY(peer_init_addresses(peer, options, why));
    WEFT_TRY(settings_copy_name(peer->dc, options->dc, "peer: dc", why));
    WEFT_TRY(settings_copy_name(peer->rack, options->rack, "peer: rack", why));
    WEFT_TRY(peer_init_host_name(peer, options->host_name, why));
    if (options->id != NULL) {
        peer->id_known = true;
        if (!uuid_parse(peer->id, options->id)) {
            return weft_error_set(why, WEFT_ERR_INVALID, "peer %s: id '%s' is not a UUID", peer->text, options->id);
        }
    }
    return WEFT_OK;
}

enum weft_err peer_array_check(const struct weft_peer_options *peers, uint32_t count, struct weft_error *why)
{
    if (peers == NULL && count > 0) {
        return weft_error_set(why, WEFT_ERR_INVALID, "peers: NULL, but peer_count is %u; give the array, or 0", count);
    }
    return WEFT_OK;
}

bool peer_same_but_location(const struct peer *a, const struct peer *b)
{
    bool same = a->address_count == b->address_count && a->storage_port == b->storage_port &&
                a->ssl_storage_port == b->ssl_storage_port && a->connections == b->connections &&
                a->id_known == b->id_known && memcmp(a->id, b->id, UUID_BYTES) == 0 &&
                strcasecmp(a->host_name, b->host_name) == 0;
    for (uint32_t i = 0; same && i < a->address_count; i++) {
        same = address_same_ip(&a->addresses[i], &b->addresses[i]);
    }
    return same;
}

bool peer_has_address(const struct peer *peer, const struct address *address)
{
    for (uint32_t i = 0; !peer->removed && i < peer->address_count; i++) {
        if (address_same_ip(&peer->addresses[i], address)) {
            return true;
        }
    }
    return false;
}

struct location peer_location(const struct peer *peer)
{
    return (struct location){.dc = peer->dc, .rack = peer->rack};
}

struct peer_match peer_match_address(const struct peer *peers, uint32_t count, const struct address *address)
{
    struct peer_match match = {.location = {.dc = "", .rack = ""}};
    for (uint32_t i = 0; i < count; i++) {
        if (!peer_has_address(&peers[i], address)) {
            continue;
        }
        if (match.entries == 0) {
            match.location = peer_location(&peers[i]);
        } else {
            if (strcmp(match.location.dc, peers[i].dc) != 0) {
                match.location = (struct location){.dc = "", .rack = ""};
            }
            if (strcmp(match.location.rack, peers[i].rack) != 0) {
                match.location.rack = "";
            }
        }
        match.entries++;
        match.only = match.entries == 1 ? &peers[i] : NULL;
    }
    return match;
}
