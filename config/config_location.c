/* SPDX-License-Identifier: Apache-2.0 */
/* The own location: from weft: dc and rack, from the own entry of weft: nodes, or from what the snitch reads.
 *
 * Happy path: the first of these that is there names the location; the others, where there, say the same.
 *
 * Failure modes: two that differ, a snitch whose source weft cannot read, a properties file that cannot be read or
 * understood.  SimpleSnitch knows nothing: its datacenter1 and rack1 yield to everything.  What only the default line
 * of a topology file covers stays unknown. */
#include <stdlib.h>
#include <string.h>

#include "config/config_decoder.h"
#include "topology/cluster/policy.h"
#include "topology/cluster/rackdc.h"

const struct decoder_entry *decoder_own_entry(const struct config_decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->entry_count; i++) {
        if (decoder->entries[i].own) {
            return &decoder->entries[i];
        }
    }
    return NULL;
}

/* located: the location is known without, so that a missing file does no harm */
static bool rackdc_read(struct config_decoder *decoder, bool located, struct rackdc *rackdc)
{
    struct properties_faults faults = decoder_properties_faults(decoder);
    char *text = NULL;
    size_t bytes = 0;
    const char *file = decoder_beside(decoder, RACKDC_FILE);
    if (file == NULL || !decoder_read_beside(decoder, RACKDC_FILE, located, &text, &bytes)) {
        return false;
    }
    enum weft_err err = rackdc_parse(rackdc, file, text, bytes, &faults);
    free(text);
    return err == WEFT_OK;
}

void decoder_names_agree(struct config_decoder *decoder, const struct yaml_node *here, const char *there,
                         const char *source)
{
    if (here != NULL && there != NULL && here->kind == YAML_TREE_SCALAR && strcmp(here->text, there) != 0) {
        decoder_error(decoder, here, "\"%.64s\", but %s says \"%.64s\"; make them equal, or remove one", here->text,
                      source, there);
    }
}

/* The first that names a data centre gives the location; it may lack the rack, which the next may add only if it
 * speaks of the same data centre. */
static void location_offer(struct config *config, const char *dc, const char *rack, enum config_location_source source)
{
    struct weft_node_options *options = &config->options;
    if (options->dc == NULL && dc != NULL) {
        options->dc = dc;
        options->rack = rack;
        config->location_source = source;
    } else if (options->rack == NULL && rack != NULL && dc != NULL && strcmp(options->dc, dc) == 0) {
        options->rack = rack;
    }
}

static void location_from_file(struct config_decoder *decoder, const struct decoder_entry *entry, bool located)
{
    struct config *config = decoder->config;
    struct rackdc *rackdc = decoder_take(decoder, sizeof *rackdc);
    if (rackdc == NULL || !rackdc_read(decoder, located, rackdc)) {
        return;
    }
    decoder_names_agree(decoder, decoder->dc, rackdc->dc, RACKDC_FILE);
    decoder_names_agree(decoder, decoder->rack, rackdc->rack, RACKDC_FILE);
    if (entry != NULL) {
        decoder_names_agree(decoder, entry->dc, rackdc->dc, RACKDC_FILE);
        decoder_names_agree(decoder, entry->rack, rackdc->rack, RACKDC_FILE);
    }
    location_offer(config, rackdc->dc, rackdc->rack, CONFIG_LOCATION_RACKDC);
}

/* The line of an own address; NULL: there is none, or two differ. */
static const struct topology_entry *own_line(struct config_decoder *decoder)
{
    const struct topology_entry *found = NULL;
    for (uint32_t i = 0; i < decoder->own_address_count; i++) {
        const struct topology_entry *line = topology_file_find(&decoder->topology, &decoder->own_addresses[i]);
        if (line == NULL) {
            continue;
        }
        if (found != NULL && (strcmp(found->dc, line->dc) != 0 || strcmp(found->rack, line->rack) != 0)) {
            decoder_error(decoder, decoder->snitch,
                          "lines %u and %u of " TOPOLOGY_FILE " give this node's own addresses different locations; "
                          "make them equal",
                          found->line, line->line);
            return NULL;
        }
        found = line;
    }
    return found;
}

static void location_from_topology(struct config_decoder *decoder, bool located)
{
    char address[ADDRESS_TEXT_BYTES] = "its address";
    if (!decoder->topology_read) {
        return;
    }
    const struct topology_entry *line = own_line(decoder);
    if (line != NULL) {
        struct topology_entry *kept = decoder_take(decoder, sizeof *kept);
        if (kept != NULL) {
            *kept = *line;
            decoder_names_agree(decoder, decoder->dc, kept->dc, TOPOLOGY_FILE);
            decoder_names_agree(decoder, decoder->rack, kept->rack, TOPOLOGY_FILE);
            location_offer(decoder->config, kept->dc, kept->rack, CONFIG_LOCATION_TOPOLOGY);
        }
        return;
    }
    if (located || decoder->report->errors.count > 0) {
        return;
    }
    if (decoder->own_address_count > 0) {
        address_print_ip(&decoder->own_addresses[0], address);
    }
    if (decoder->topology.others.line == 0) {
        decoder_error(decoder, decoder->snitch, TOPOLOGY_FILE " has no line for this node; add one such as %s=DC:RACK",
                      address);
    } else {
        decoder_warning(decoder, decoder->snitch,
                        "only the default of " TOPOLOGY_FILE " covers this node, which proves no location, so its own "
                        "is unknown; add a line such as %s=DC:RACK",
                        address);
    }
}

static void location_from_address(struct config_decoder *decoder, bool located)
{
    struct address own = decoder->broadcast;
    const char *dc = NULL;
    const char *rack = NULL;
    if (own.family == 0 &&
        (address_parse(&own, config_listen_address(decoder->config), 0) != WEFT_OK || address_is_any(&own))) {
        own.family = 0;
    }
    if (decoder_octets(decoder, &own, &dc, &rack)) {
        location_offer(decoder->config, dc, rack, CONFIG_LOCATION_ADDRESS);
    } else if (!located) {
        decoder_error(decoder, decoder->snitch,
                      "RackInferringSnitch needs this node's own IPv4 address; set broadcast_address, or weft: dc and "
                      "rack");
        return;
    }
    if (policy_uses_location(decoder->config->options.encryption)) {
        decoder_warning(
            decoder, decoder->snitch,
            "locations are guessed from octets 2 and 3 of the addresses of weft: nodes, and decide what goes "
            "in plaintext; name dc and rack instead");
    }
}

/* A cloud is not asked. */
static void location_from_cloud(struct config_decoder *decoder, bool located)
{
    if (located) {
        decoder_warning(decoder, decoder->snitch, "\"%.64s\" is not asked; weft: dc, rack and nodes are used",
                        decoder->snitch->text);
    } else {
        decoder_error(decoder, decoder->snitch,
                      "\"%.64s\" asks a cloud where this node is, which weft does not; set weft: dc and rack",
                      decoder->snitch->text);
    }
}

static void location_from_snitch(struct config_decoder *decoder, const struct decoder_entry *entry)
{
    struct config *config = decoder->config;
    bool located = config->options.dc != NULL && config->options.rack != NULL;
    switch (decoder->snitch_kind) {
    case SNITCH_SIMPLE:
        if (config->options.dc == NULL && decoder->rack == NULL) {
            location_offer(config, "datacenter1", "rack1", CONFIG_LOCATION_SNITCH);
        }
        break;
    case SNITCH_GOSSIPING:
        location_from_file(decoder, entry, located);
        break;
    case SNITCH_PROPERTY_FILE:
        location_from_topology(decoder, located);
        break;
    case SNITCH_RACK_INFERRING:
        location_from_address(decoder, located);
        break;
    case SNITCH_CLOUD:
        location_from_cloud(decoder, located);
        break;
    case SNITCH_UNKNOWN:
        break;
    }
}

void decoder_location_finish(struct config_decoder *decoder)
{
    struct config *config = decoder->config;
    const struct decoder_entry *entry = decoder_own_entry(decoder);
    const char *dc = decoder->dc != NULL ? decoder->dc->text : NULL;
    const char *rack = decoder->rack != NULL ? decoder->rack->text : NULL;
    if (entry != NULL) {
        decoder_names_agree(decoder, entry->dc, dc, "weft: dc");
        decoder_names_agree(decoder, entry->rack, rack, "weft: rack");
    }
    location_offer(config, dc, rack, CONFIG_LOCATION_WEFT);
    if (entry != NULL && !entry->from_file && !entry->completed) {
        location_offer(config, entry->peer.dc, entry->peer.rack, CONFIG_LOCATION_NODES);
    }
    location_from_snitch(decoder, entry);
    const struct yaml_node *weft = yaml_node_member(decoder->root, "weft");
    if (decoder->rack != NULL && config->options.dc == NULL && yaml_node_member(weft, "dc") == NULL) {
        decoder_error(decoder, decoder->rack, "stands without dc; racks are compared only inside one data centre");
    }
}
