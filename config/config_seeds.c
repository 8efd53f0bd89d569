/* SPDX-License-Identifier: Apache-2.0 */
/* seed_provider: peers whose location nobody told.
 *
 *     seed_provider:
 *         - class_name: org.apache.cassandra.locator.SimpleSeedProvider
 *           parameters:
 *               - seeds: "10.0.0.1, 10.0.0.2"
 *
 * Happy path: the text is split at commas; what is neither the node itself nor listed in weft: nodes becomes a peer.
 *
 * Failure modes: a structure that is not the one above is an error; a seed whose name cannot be resolved is a warning,
 * as one dead name among the seeds must not keep a node down. */
#include <string.h>

#include "config/config_decoder.h"

/* A host name of 253 bytes and its NUL. */
#define SEED_BYTES 254u

/* The member of a mapping, or of the first mapping of a list that has it: both forms are in use. */
static const struct yaml_node *member_within(const struct yaml_node *value, const char *key)
{
    if (value->kind == YAML_TREE_MAPPING) {
        return yaml_node_member(value, key);
    }
    for (const struct yaml_node *item = value->first; item != NULL; item = item->next) {
        const struct yaml_node *member = item->kind == YAML_TREE_MAPPING ? yaml_node_member(item, key) : NULL;
        if (member != NULL) {
            return member;
        }
    }
    return NULL;
}

/* Another provider may have parameters of its own: they do no harm, and nothing. */
static void seeds_tell_unknown(struct config_decoder *decoder, const struct yaml_node *value, enum config_block block)
{
    if (value->kind == YAML_TREE_SEQUENCE) {
        for (const struct yaml_node *item = value->first; item != NULL; item = item->next) {
            if (item->kind == YAML_TREE_MAPPING) {
                seeds_tell_unknown(decoder, item, block);
            }
        }
        return;
    }
    for (const struct yaml_node *member = value->first; member != NULL; member = member->next) {
        uint32_t distance;
        if (config_schema_find(block, member->key) == NULL) {
            decoder_key_warning(decoder, member, "is unknown in %s and has no effect; the nearest key is %s",
                                config_block_name(block), config_schema_nearest(block, member->key, &distance)->name);
        }
    }
}

void decoder_seed_provider(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (yaml_node_is_null(value)) {
        return;
    }
    seeds_tell_unknown(decoder, value, CONFIG_BLOCK_SEED_PROVIDER);
    if (value->kind == YAML_TREE_SEQUENCE && value->first != NULL && value->first->next != NULL) {
        decoder_warning(decoder, value->first->next, "only the first provider is asked; move its seeds there");
    }
    const struct yaml_node *name = member_within(value, "class_name");
    const struct yaml_node *parameters = member_within(value, "parameters");
    const struct yaml_node *seeds = parameters == NULL ? NULL : member_within(parameters, "seeds");
    if (parameters != NULL) {
        seeds_tell_unknown(decoder, parameters, CONFIG_BLOCK_SEED_PARAMETERS);
    }
    if (seeds == NULL) {
        decoder_error(decoder, value,
                      "has no parameters with seeds; write - class_name: SimpleSeedProvider, "
                      "parameters: [ { seeds: \"10.0.0.1,10.0.0.2\" } ]");
        return;
    }
    if (seeds->kind != YAML_TREE_SCALAR) {
        decoder_error(decoder, seeds, "is %s; write one text with commas, such as \"10.0.0.1,10.0.0.2\"",
                      yaml_node_kind_name(seeds));
        return;
    }
    if (name != NULL && (name->kind != YAML_TREE_SCALAR || strstr(name->text, "SimpleSeedProvider") == NULL)) {
        decoder_warning(decoder, name, "is not SimpleSeedProvider; its seeds are read as that would read them");
    }
    decoder->seeds = yaml_node_is_null(seeds) ? NULL : seeds;
}

uint32_t decoder_seeds_count(const struct config_decoder *decoder)
{
    uint32_t count = 0;
    if (decoder->seeds != NULL) {
        count = 1;
        for (const char *comma = strchr(decoder->seeds->text, ','); comma != NULL; comma = strchr(comma + 1, ',')) {
            count++;
        }
    }
    return count;
}

/* Whether some peer or entry has the address already. */
static bool seed_is_known(const struct config_decoder *decoder, const struct address *address,
                          const struct address *seeds, uint32_t seed_count)
{
    for (uint32_t i = 0; i < decoder->entry_count; i++) {
        for (uint32_t j = 0; j < decoder->entries[i].address_count; j++) {
            if (address_same_ip(&decoder->entries[i].addresses[j], address)) {
                return true;
            }
        }
    }
    for (uint32_t i = 0; i < seed_count; i++) {
        if (address_same_ip(&seeds[i], address)) {
            return true;
        }
    }
    return decoder_is_own_address(decoder, address);
}

static bool seed_resolve(struct config_decoder *decoder, const char *text, size_t bytes, char seed[SEED_BYTES],
                         struct address *address)
{
    struct weft_error why = {0};
    if (bytes >= SEED_BYTES) {
        decoder_error(decoder, decoder->seeds, "a seed of %zu bytes; host names have 253 at the most", bytes);
        return false;
    }
    memcpy(seed, text, bytes);
    seed[bytes] = '\0';
    if (!decoder_resolve(decoder, seed, address, &why)) {
        if (why.code == WEFT_ERR_INVALID) {
            decoder_error(decoder, decoder->seeds, "%s", why.text);
        } else {
            decoder_warning(decoder, decoder->seeds, "%s; this seed is left out", why.text);
        }
        return false;
    }
    if (address_is_any(address) || address_is_group(address)) {
        decoder_error(decoder, decoder->seeds, "\"%.64s\" is no address of a single node; write a node's own", seed);
        return false;
    }
    return true;
}

static void seed_add(struct config_decoder *decoder, const char *seed, const struct address *address,
                     struct weft_peer_options *peer)
{
    struct address numeric;
    *peer = (struct weft_peer_options)WEFT_PEER_OPTIONS_INIT;
    peer->addresses[0] = decoder_address_text(decoder, address);
    if (address_parse(&numeric, seed, 0) != WEFT_OK) {
        peer->host_name = decoder_arena_text(decoder, seed);
    }
    decoder->config->options.peer_count++;
}

void decoder_seeds_finish(struct config_decoder *decoder, struct weft_peer_options *peers, uint32_t peers_max)
{
    struct weft_node_options *options = &decoder->config->options;
    uint32_t seed_count = 0;
    struct address *seeds = decoder_take(decoder, sizeof *seeds * peers_max);
    const char *text = decoder->seeds == NULL ? NULL : decoder->seeds->text;
    while (text != NULL && seeds != NULL) {
        struct address address;
        char seed[SEED_BYTES];
        text += strspn(text, " \t\r\n");
        const char *comma = strchr(text, ',');
        size_t bytes = comma == NULL ? strlen(text) : (size_t)(comma - text);
        while (bytes > 0 && strchr(" \t\r\n", text[bytes - 1]) != NULL) {
            bytes--;
        }
        if (bytes > 0 && seed_resolve(decoder, text, bytes, seed, &address) &&
            !seed_is_known(decoder, &address, seeds, seed_count)) {
            if (options->peer_count == peers_max) {
                decoder_error(decoder, decoder->seeds, "too many peers; %d are the most", WEFT_PEERS_MAX);
                return;
            }
            seeds[seed_count++] = address;
            seed_add(decoder, seed, &address, &peers[options->peer_count]);
        }
        text = comma == NULL ? NULL : comma + 1;
    }
}
