/* SPDX-License-Identifier: Apache-2.0 */
/* The list weft: nodes, and the peers that are made of it and of the seeds.
 *
 * Happy path: one file can serve every node: the entry that is the node itself is found by its id, or by its address
 * and ports, and gives the own location; the others become peers.
 *
 * Failure modes: entries without an address, names instead of nodes (wildcard, multicast), the same node twice.  Nodes
 * behind one address with ports of their own are allowed, since that is how several run on one machine; where their
 * locations differ, the address proves none of them, which is a warning. */
#include <string.h>
#include <strings.h>

#include "config/config_decoder.h"
#include "engine/base/error.h"
#include "topology/cluster/policy.h"

static void entry_address_add(struct config_decoder *decoder, const struct yaml_node *value)
{
    struct decoder_entry *entry = decoder->entry;
    struct address address;
    struct address numeric;
    if (!decoder_host(decoder, value, &address)) {
        return;
    }
    bool by_name = address_parse(&numeric, value->text, 0) != WEFT_OK;
    entry->by_name = entry->by_name || by_name;
    if (by_name && entry->address_count == 0) {
        entry->peer.host_name = value->text;
    }
    for (uint32_t i = 0; i < entry->address_count; i++) {
        if (address_same_ip(&entry->addresses[i], &address)) {
            decoder_error(decoder, value, "\"%.64s\" is given twice for this node; keep one", value->text);
            return;
        }
    }
    if (entry->address_count == WEFT_PEER_ADDRESSES_MAX) {
        decoder_error(decoder, value, "more than %d addresses for one node; remove some", WEFT_PEER_ADDRESSES_MAX);
        return;
    }
    entry->peer.addresses[entry->address_count] = decoder_address_text(decoder, &address);
    entry->addresses[entry->address_count++] = address;
}

static bool entry_addresses_begin(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (decoder->entry->addresses_from != NULL) {
        decoder_key_error(decoder, value, "stands beside %s; write one of them", decoder->entry->addresses_from->key);
        return false;
    }
    decoder->entry->addresses_from = value;
    return true;
}

void decoder_entry_address(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (entry_addresses_begin(decoder, value)) {
        entry_address_add(decoder, value);
    }
}

void decoder_entry_addresses(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (!entry_addresses_begin(decoder, value)) {
        return;
    }
    if (value->kind != YAML_TREE_SEQUENCE || value->child_count == 0) {
        decoder_error(decoder, value, "is %s; write a list such as [10.0.0.1, 192.168.0.1]",
                      value->kind == YAML_TREE_SEQUENCE ? "an empty list" : yaml_node_kind_name(value));
        return;
    }
    uint32_t seen = 0;
    for (const struct yaml_node *item = value->first; item != NULL; item = item->next) {
        if (seen++ > WEFT_PEER_ADDRESSES_MAX) {
            break;
        }
        entry_address_add(decoder, item);
    }
}

void decoder_entry_dc(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->entry->dc = value;
    decoder->entry->peer.dc = decoder_name(decoder, value);
}

void decoder_entry_rack(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->entry->rack = value;
    decoder->entry->peer.rack = decoder_name(decoder, value);
}

static void node_entry(struct config_decoder *decoder, const struct yaml_node *item)
{
    struct decoder_entry *entry = &decoder->entries[decoder->entry_count];
    if (item->kind != YAML_TREE_MAPPING) {
        decoder_error(decoder, item, "an entry is %s; write { address: 10.0.0.1, dc: dc1, rack: r1 }",
                      yaml_node_kind_name(item));
        return;
    }
    /* The place of an entry without a right address is taken by the next one: nothing of it may stay. */
    *entry = (struct decoder_entry){.node = item, .peer = WEFT_PEER_OPTIONS_INIT};
    decoder->entry = entry;
    uint32_t faults = decoder->report->errors.count;
    decoder_block(decoder, item, CONFIG_BLOCK_NODE);
    /* A misspelt key may be the address. */
    if (entry->addresses_from == NULL && decoder->report->errors.count == faults) {
        decoder_error(decoder, item, "an entry without address; write the one that the node listens on");
    }
    if (entry->rack != NULL && entry->dc == NULL) {
        decoder_error(decoder, entry->rack, "stands without dc; racks are compared only inside one data centre");
    }
    if (entry->address_count > 0) {
        decoder->entry_count++;
    }
}

void decoder_nodes(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (yaml_node_is_null(value)) {
        return;
    }
    if (value->kind != YAML_TREE_SEQUENCE) {
        decoder_error(decoder, value, "is %s; write a list, one entry per node", yaml_node_kind_name(value));
        return;
    }
    if (value->child_count > WEFT_PEERS_MAX) {
        decoder_error(decoder, value, "%u entries; %d are the most", value->child_count, WEFT_PEERS_MAX);
        return;
    }
    decoder->entries = decoder_take(decoder, sizeof *decoder->entries * value->child_count);
    if (decoder->entries == NULL) {
        return;
    }
    for (const struct yaml_node *item = value->first; item != NULL; item = item->next) {
        node_entry(decoder, item);
    }
}

static bool entries_share_address(const struct decoder_entry *a, const struct decoder_entry *b)
{
    for (uint32_t i = 0; i < a->address_count; i++) {
        for (uint32_t j = 0; j < b->address_count; j++) {
            if (address_same_ip(&a->addresses[i], &b->addresses[j])) {
                return true;
            }
        }
    }
    return false;
}

static uint16_t port_or(uint16_t port, uint16_t standard)
{
    return port != 0 ? port : standard;
}

static bool entries_share_ports(const struct config_decoder *decoder, const struct weft_peer_options *a,
                                const struct weft_peer_options *b)
{
    uint16_t plain = config_storage_port(decoder->config);
    uint16_t tls = config_ssl_storage_port(decoder->config);
    return port_or(a->storage_port, plain) == port_or(b->storage_port, plain) &&
           port_or(a->ssl_storage_port, tls) == port_or(b->ssl_storage_port, tls);
}

static bool names_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void entries_compare(struct config_decoder *decoder, const struct decoder_entry *earlier,
                            const struct decoder_entry *later)
{
    const struct weft_peer_options *a = &earlier->peer;
    const struct weft_peer_options *b = &later->peer;
    if (a->id != NULL && b->id != NULL && strcasecmp(a->id, b->id) == 0) {
        decoder_error_as(decoder, later->node, "id", "the entry in line %u has the same id; keep one of them",
                         earlier->node->line);
        return;
    }
    if (!entries_share_address(earlier, later)) {
        return;
    }
    if (entries_share_ports(decoder, a, b)) {
        decoder_error(decoder, later->addresses_from,
                      "the entry in line %u has the same address and ports; keep one of them, or give them ports of "
                      "their own",
                      earlier->node->line);
    } else if (!names_same(a->dc, b->dc) || !names_same(a->rack, b->rack)) {
        decoder_warning(decoder, later->addresses_from,
                        "the entry in line %u has the same address and another location, so the address proves "
                        "neither for plaintext",
                        earlier->node->line);
    }
}

static void entry_find_own(struct config_decoder *decoder, struct decoder_entry *entry)
{
    const struct weft_node_options *options = &decoder->config->options;
    const struct weft_peer_options own_ports = WEFT_PEER_OPTIONS_INIT;
    bool both_ids = options->node_id != NULL && entry->peer.id != NULL;
    bool same_id = both_ids && strcasecmp(options->node_id, entry->peer.id) == 0;
    bool same_place = false;
    for (uint32_t i = 0; i < entry->address_count; i++) {
        same_place = same_place || decoder_is_own_address(decoder, &entry->addresses[i]);
    }
    same_place = same_place && entries_share_ports(decoder, &entry->peer, &own_ports);
    entry->own = same_id || same_place;
    if (same_place && both_ids && !same_id) {
        decoder_error_as(decoder, entry->node, "id",
                         "the entry has this node's address and ports, but not its node_id; make them equal");
    }
}

/* Whoever answers for a name says where it is: that must not decide what goes in plaintext. */
static void entry_drop_unproven(struct config_decoder *decoder, struct decoder_entry *entry)
{
    if (!entry->by_name || entry->own || entry->peer.dc == NULL) {
        return;
    }
    if (policy_uses_location(decoder->config->options.encryption)) {
        decoder_warning(decoder, entry->addresses_from,
                        "a host name proves no location, so this node's dc and rack are not used, and its links are "
                        "encrypted; write its address");
    }
    entry->peer.dc = NULL;
    entry->peer.rack = NULL;
}

void decoder_peers_max(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->peers_max = value;
    decoder_store(decoder, value);
}

void decoder_peers_finish(struct config_decoder *decoder)
{
    struct weft_node_options *options = &decoder->config->options;
    uint32_t peers_max = decoder->entry_count + decoder_seeds_count(decoder);
    peers_max = peers_max < WEFT_PEERS_MAX ? peers_max : WEFT_PEERS_MAX;
    struct weft_peer_options *peers = decoder_take(decoder, sizeof *peers * peers_max);
    if (peers == NULL) {
        return;
    }
    options->peers = peers;
    for (uint32_t i = 0; i < decoder->entry_count; i++) {
        struct decoder_entry *entry = &decoder->entries[i];
        entry_find_own(decoder, entry);
        entry_drop_unproven(decoder, entry);
        for (uint32_t j = 0; j < i; j++) {
            entries_compare(decoder, &decoder->entries[j], entry);
        }
        if (!entry->own) {
            peers[options->peer_count++] = entry->peer;
        }
    }
    decoder->config->listed_peer_count = options->peer_count;
    decoder_seeds_finish(decoder, peers, peers_max);
    if (options->peers_max != 0 && options->peer_count > options->peers_max) {
        decoder_error(decoder, decoder->peers_max, "%u, and nodes and seeds are %u peers; write at least %u",
                      options->peers_max, options->peer_count, options->peer_count);
    }
}
