/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint_snitch, and what it says of peers.
 *
 * Happy path: SimpleSnitch and GossipingPropertyFileSnitch know nothing of peers.  PropertyFileSnitch has its file:
 * each line completes the entry of weft: nodes with that address, or becomes an entry of its own.  RackInferringSnitch
 * gives entries that name no location the second and third octet of their address.
 *
 * Failure modes: a name that nobody knows, a snitch that asks a cloud, a file that cannot be read or understood, an
 * entry that contradicts the file. */
#include "config/config_snitch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_decoder.h"
#include "engine/base/assert.h"
#include "engine/base/error.h"
#include "engine/base/nearest.h"
#include "topology/cluster/policy.h"

#define SNITCH_PACKAGE "org.apache.cassandra.locator."

static const struct {
    const char *name;
    enum snitch snitch;
} snitch_names[] = {
    {"SimpleSnitch", SNITCH_SIMPLE},
    {"GossipingPropertyFileSnitch", SNITCH_GOSSIPING},
    {"PropertyFileSnitch", SNITCH_PROPERTY_FILE},
    {"RackInferringSnitch", SNITCH_RACK_INFERRING},
    {"Ec2Snitch", SNITCH_CLOUD},
    {"Ec2MultiRegionSnitch", SNITCH_CLOUD},
    {"GoogleCloudSnitch", SNITCH_CLOUD},
    {"AzureSnitch", SNITCH_CLOUD},
    {"AlibabaCloudSnitch", SNITCH_CLOUD},
    {"CloudstackSnitch", SNITCH_CLOUD},
};
#define SNITCH_NAME_COUNT (sizeof snitch_names / sizeof snitch_names[0])

enum snitch snitch_parse(const char *name, const char **nearest)
{
    struct nearest like;
    const char *dot = strrchr(name, '.');
    bool package = strncmp(name, SNITCH_PACKAGE, strlen(SNITCH_PACKAGE)) == 0;
    const char *bare = package ? name + strlen(SNITCH_PACKAGE) : name;
    nearest_init(&like, dot == NULL ? name : dot + 1);
    for (uint32_t i = 0; i < SNITCH_NAME_COUNT; i++) {
        if (strcmp(bare, snitch_names[i].name) == 0) {
            return snitch_names[i].snitch;
        }
        nearest_offer(&like, snitch_names[i].name);
    }
    *nearest = like.best;
    return SNITCH_UNKNOWN;
}

static void faults_to_report(void *ctx, const char *line)
{
    struct config_decoder *decoder = ctx;
    config_report_add_line(&decoder->report->errors, line);
}

struct properties_faults decoder_properties_faults(struct config_decoder *decoder)
{
    return (struct properties_faults){.add = faults_to_report, .ctx = decoder};
}

const char *decoder_beside(struct config_decoder *decoder, const char *name)
{
    const char *slash = strrchr(decoder->file, '/');
    size_t folder_bytes = slash == NULL ? 0 : (size_t)(slash - decoder->file) + 1;
    char *path = decoder_take(decoder, folder_bytes + strlen(name) + 1);
    if (path != NULL) {
        memcpy(path, decoder->file, folder_bytes);
        memcpy(path + folder_bytes, name, strlen(name) + 1);
    }
    return path;
}

bool decoder_read_beside(struct config_decoder *decoder, const char *name, bool located, char **text, size_t *bytes)
{
    const struct config_surroundings *surroundings = decoder->surroundings;
    struct weft_error why = {0};
    const char *path = decoder_path(decoder, name);
    if (path == NULL) {
        return false;
    }
    WEFT_ASSERT(decoder->config->file_count < CONFIG_FILES_MAX);
    decoder->config->files[decoder->config->file_count++] = path;
    if (surroundings->read_file(surroundings->ctx, path, text, bytes, &why) == WEFT_OK) {
        return true;
    }
    if (located) {
        decoder_warning(decoder, decoder->snitch, "%s; weft: dc and rack are used", why.text);
    } else {
        decoder_error(decoder, decoder->snitch, "%s; write the file, or set weft: dc and rack", why.text);
    }
    return false;
}

/* A line of the file about an address of an entry of weft: nodes. */
static void entry_complete(struct config_decoder *decoder, struct decoder_entry *entry,
                           const struct topology_entry *line)
{
    struct weft_peer_options *peer = &entry->peer;
    decoder_names_agree(decoder, entry->dc, line->dc, TOPOLOGY_FILE);
    decoder_names_agree(decoder, entry->rack, line->rack, TOPOLOGY_FILE);
    bool dc_same = peer->dc != NULL && strcmp(peer->dc, line->dc) == 0;
    bool rack_same = peer->rack != NULL && strcmp(peer->rack, line->rack) == 0;
    if (entry->completed && !(dc_same && rack_same)) {
        decoder_error(decoder, entry->addresses_from,
                      "the addresses of this entry stand in different places by " TOPOLOGY_FILE
                      ", such as \"%.64s\" by its line %u; make them equal",
                      line->dc, line->line);
        return;
    }
    entry->completed = true;
    if (peer->dc == NULL) {
        peer->dc = decoder_arena_text(decoder, line->dc);
        dc_same = true;
    }
    if (peer->rack == NULL && dc_same) {
        peer->rack = decoder_arena_text(decoder, line->rack);
    }
}

/* @return whether some entry has the address */
static bool entries_complete(struct config_decoder *decoder, uint32_t entry_count, const struct topology_entry *line)
{
    bool found = false;
    for (uint32_t i = 0; i < entry_count; i++) {
        struct decoder_entry *entry = &decoder->entries[i];
        for (uint32_t j = 0; j < entry->address_count; j++) {
            if (address_same_ip(&entry->addresses[j], &line->address)) {
                found = true;
                if (!entry->by_name) {
                    entry_complete(decoder, entry, line);
                }
            }
        }
    }
    return found;
}

static void entries_from_topology(struct config_decoder *decoder)
{
    const struct topology_file *topology = &decoder->topology;
    uint32_t listed = decoder->entry_count;
    struct decoder_entry *entries = decoder_take(decoder, sizeof *entries * (listed + topology->count));
    if (entries == NULL) {
        return;
    }
    if (listed > 0) {
        memcpy(entries, decoder->entries, sizeof *entries * listed);
    }
    decoder->entries = entries;
    for (uint32_t i = 0; i < topology->count; i++) {
        const struct topology_entry *line = &topology->entries[i];
        if (entries_complete(decoder, listed, line)) {
            continue;
        }
        struct decoder_entry *entry = &entries[decoder->entry_count++];
        *entry = (struct decoder_entry){.node = decoder->snitch,
                                        .addresses = {line->address},
                                        .address_count = 1,
                                        .addresses_from = decoder->snitch,
                                        .from_file = true,
                                        .peer = WEFT_PEER_OPTIONS_INIT};
        entry->peer.addresses[0] = decoder_address_text(decoder, &line->address);
        entry->peer.dc = decoder_arena_text(decoder, line->dc);
        entry->peer.rack = decoder_arena_text(decoder, line->rack);
    }
}

static void topology_read(struct config_decoder *decoder)
{
    bool located = decoder->dc != NULL && decoder->rack != NULL;
    struct properties_faults faults = decoder_properties_faults(decoder);
    char *text = NULL;
    size_t bytes = 0;
    const char *file = decoder_beside(decoder, TOPOLOGY_FILE);
    if (file == NULL || !decoder_read_beside(decoder, TOPOLOGY_FILE, located, &text, &bytes)) {
        return;
    }
    enum weft_err err = topology_file_parse(&decoder->topology, file, text, bytes, &faults);
    decoder->memory_out = decoder->memory_out || err == WEFT_ERR_NO_MEMORY;
    decoder->topology_read = err == WEFT_OK;
    free(text);
    if (decoder->topology_read) {
        entries_from_topology(decoder);
    }
}

bool decoder_octets(struct config_decoder *decoder, const struct address *address, const char **dc, const char **rack)
{
    char octet[4];
    if (address->family != 4) {
        return false;
    }
    snprintf(octet, sizeof octet, "%u", address->ip[1]);
    *dc = decoder_arena_text(decoder, octet);
    snprintf(octet, sizeof octet, "%u", address->ip[2]);
    *rack = decoder_arena_text(decoder, octet);
    return *dc != NULL && *rack != NULL;
}

/* All addresses of an entry must say the same. */
static bool entry_has_octets(const struct decoder_entry *entry)
{
    for (uint32_t i = 0; i < entry->address_count; i++) {
        const struct address *address = &entry->addresses[i];
        if (address->family != 4 || memcmp(address->ip + 1, entry->addresses[0].ip + 1, 2) != 0) {
            return false;
        }
    }
    return true;
}

static void entries_infer(struct config_decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->entry_count; i++) {
        struct decoder_entry *entry = &decoder->entries[i];
        if (entry->peer.dc != NULL || entry->by_name) {
            continue;
        }
        if (!entry_has_octets(entry)) {
            decoder_warning(decoder, entry->addresses_from,
                            "RackInferringSnitch cannot tell a location from IPv6 or from addresses that differ in "
                            "octets 2 and 3, so it is unknown; write dc and rack");
        } else {
            decoder_octets(decoder, &entry->addresses[0], &entry->peer.dc, &entry->peer.rack);
        }
    }
}

void decoder_snitch_finish(struct config_decoder *decoder)
{
    const char *nearest = NULL;
    decoder->snitch_kind = decoder->snitch == NULL ? SNITCH_SIMPLE : snitch_parse(decoder->snitch->text, &nearest);
    if (decoder->snitch_kind == SNITCH_UNKNOWN) {
        decoder_error(decoder, decoder->snitch,
                      "\"%.64s\" is not a snitch; the nearest one is %s (or write SimpleSnitch, and set weft: dc and "
                      "rack)",
                      decoder->snitch->text, nearest);
    } else if (decoder->snitch_kind == SNITCH_PROPERTY_FILE) {
        topology_read(decoder);
    } else if (decoder->snitch_kind == SNITCH_RACK_INFERRING) {
        entries_infer(decoder);
    }
}

void decoder_snitch_fini(struct config_decoder *decoder)
{
    topology_file_fini(&decoder->topology);
}
