/* SPDX-License-Identifier: Apache-2.0 */
/* The own location: from weft: dc and rack, from the own entry of weft: nodes, or from what the snitch reads.
 *
 * Happy path: the first of these that is there names the location; the others, where there, say the same.
 *
 * Failure modes: two that differ, a snitch whose source weft cannot read, a properties file that cannot be read or
 * understood.  SimpleSnitch knows nothing: its datacenter1 and rack1 yield to everything. */
#include <stdlib.h>
#include <string.h>

#include "config/config_decoder.h"
#include "topology/cluster/rackdc.h"

#define SNITCH_PACKAGE "org.apache.cassandra.locator."
#define RACKDC_FILE "cassandra-rackdc.properties"

enum snitch { SNITCH_SIMPLE, SNITCH_GOSSIPING, SNITCH_OTHER };

static enum snitch snitch_of(const struct yaml_node *value)
{
    if (value == NULL) {
        return SNITCH_SIMPLE;
    }
    const char *name = value->text;
    if (strncmp(name, SNITCH_PACKAGE, strlen(SNITCH_PACKAGE)) == 0) {
        name += strlen(SNITCH_PACKAGE);
    }
    if (strcmp(name, "SimpleSnitch") == 0) {
        return SNITCH_SIMPLE;
    }
    return strcmp(name, "GossipingPropertyFileSnitch") == 0 ? SNITCH_GOSSIPING : SNITCH_OTHER;
}

static const struct decoder_entry *own_entry(const struct config_decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->entry_count; i++) {
        if (decoder->entries[i].own) {
            return &decoder->entries[i];
        }
    }
    return NULL;
}

/* Read the properties beside the configuration.  located: the location is known without, so that a missing file does no
 * harm */
static bool rackdc_read(struct config_decoder *decoder, bool located, struct rackdc *rackdc)
{
    const struct config_surroundings *surroundings = decoder->surroundings;
    struct weft_error why = {0};
    char *text = NULL;
    size_t bytes = 0;
    const char *path = decoder_path(decoder, RACKDC_FILE);
    if (path == NULL) {
        return false;
    }
    if (surroundings->read_file(surroundings->ctx, path, &text, &bytes, &why) != WEFT_OK) {
        if (located) {
            decoder_warning(decoder, decoder->snitch, "%s; weft: dc and rack are used", why.text);
        } else {
            decoder_error(decoder, decoder->snitch, "%s; write the file, or set weft: dc and rack", why.text);
        }
        return false;
    }
    enum weft_err err = rackdc_parse(rackdc, path, text, bytes, &why);
    free(text);
    if (err != WEFT_OK) {
        config_report_add_line(&decoder->report->errors, why.text);
    }
    return err == WEFT_OK;
}

/* Two sources of one name. */
static void names_agree(struct config_decoder *decoder, const struct yaml_node *here, const char *there,
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
    names_agree(decoder, decoder->dc, rackdc->dc, RACKDC_FILE);
    names_agree(decoder, decoder->rack, rackdc->rack, RACKDC_FILE);
    if (entry != NULL) {
        names_agree(decoder, entry->dc, rackdc->dc, RACKDC_FILE);
        names_agree(decoder, entry->rack, rackdc->rack, RACKDC_FILE);
    }
    location_offer(config, rackdc->dc, rackdc->rack, CONFIG_LOCATION_RACKDC);
}

void decoder_location_finish(struct config_decoder *decoder)
{
    struct config *config = decoder->config;
    const struct decoder_entry *entry = own_entry(decoder);
    const char *dc = decoder->dc != NULL ? decoder->dc->text : NULL;
    const char *rack = decoder->rack != NULL ? decoder->rack->text : NULL;
    enum snitch snitch = snitch_of(decoder->snitch);
    if (entry != NULL) {
        names_agree(decoder, entry->dc, dc, "weft: dc");
        names_agree(decoder, entry->rack, rack, "weft: rack");
    }
    location_offer(config, dc, rack, CONFIG_LOCATION_WEFT);
    if (entry != NULL) {
        location_offer(config, entry->peer.dc, entry->peer.rack, CONFIG_LOCATION_NODES);
    }
    bool located = config->options.dc != NULL && config->options.rack != NULL;
    if (snitch == SNITCH_GOSSIPING) {
        location_from_file(decoder, entry, located);
    } else if (snitch == SNITCH_OTHER && !located) {
        decoder_error(decoder, decoder->snitch,
                      "\"%.64s\" cannot be read here; write SimpleSnitch or GossipingPropertyFileSnitch, or set weft: "
                      "dc and rack",
                      decoder->snitch->text);
    } else if (snitch == SNITCH_OTHER) {
        decoder_warning(decoder, decoder->snitch, "\"%.64s\" is not asked; weft: dc, rack and nodes are used",
                        decoder->snitch->text);
    } else if (snitch == SNITCH_SIMPLE && config->options.dc == NULL && decoder->rack == NULL) {
        location_offer(config, "datacenter1", "rack1", CONFIG_LOCATION_SNITCH);
    }
    if (decoder->rack != NULL && config->options.dc == NULL) {
        decoder_error(decoder, decoder->rack, "stands without dc; racks are compared only inside one data centre");
    }
}
