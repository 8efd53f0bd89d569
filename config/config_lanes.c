/* SPDX-License-Identifier: Apache-2.0 */
/* The list weft: lanes.
 *
 * Happy path: it names the lanes that the engine has, in the order in which they go.
 *
 * Failure modes: a lane that the engine does not have, one twice, one missing, another order: traffic would not be kept
 * apart as the file says. */
#include "config/config_decoder.h"

/* More entries are not looked at. */
#define LANES_MAX 8u

void decoder_lane_name(struct config_decoder *decoder, const struct yaml_node *value)
{
    decoder->lane_named = true;
    if (!decoder_word(decoder, value, &decoder->lane)) {
        decoder->lane = -1;
    }
}

/* The place of an entry's lane among the engine's; -1: it has none, which has been told. */
static int lane_entry(struct config_decoder *decoder, const struct yaml_node *item)
{
    decoder->lane = -1;
    decoder->lane_named = false;
    if (item->kind != YAML_TREE_MAPPING) {
        decoder_error(decoder, item, "an entry is %s; write { name: normal }", yaml_node_kind_name(item));
        return -1;
    }
    decoder_block(decoder, item, CONFIG_BLOCK_LANE);
    if (!decoder->lane_named) {
        decoder_error(decoder, item, "an entry without name; write { name: normal }");
    }
    return decoder->lane;
}

void decoder_lanes(struct config_decoder *decoder, const struct yaml_node *value)
{
    /* In the order in which they go. */
    const struct config_word *lanes = config_schema_find(CONFIG_BLOCK_LANE, "name")->words;
    uint32_t faults = decoder->report->errors.count;
    bool seen[WEFT_LANE_COUNT] = {false};
    int before = -1;
    if (yaml_node_is_null(value)) {
        return;
    }
    if (value->kind != YAML_TREE_SEQUENCE) {
        decoder_error(decoder, value,
                      "is %s; write a list such as [ { name: control }, { name: normal }, { name: bulk } ]",
                      yaml_node_kind_name(value));
        return;
    }
    if (value->child_count > LANES_MAX) {
        decoder_error(decoder, value, "%u lanes; %u are the most", value->child_count, LANES_MAX);
        return;
    }
    for (const struct yaml_node *item = value->first; item != NULL; item = item->next) {
        int lane = lane_entry(decoder, item);
        if (lane >= 0 && seen[lane]) {
            decoder_error(decoder, item, "lane %s is given twice; keep one", lanes[lane].text);
        } else if (lane >= 0 && lane < before && decoder->report->errors.count == faults) {
            decoder_error(decoder, item, "out of order; write control, normal, bulk: the first goes first");
        }
        if (lane >= 0) {
            seen[lane] = true;
            before = lane;
        }
    }
    for (int i = 0; i < WEFT_LANE_COUNT && decoder->report->errors.count == faults; i++) {
        if (!seen[i]) {
            decoder_error(decoder, value, "lane %s is missing; this version has control, normal and bulk, all of them",
                          lanes[i].text);
        }
    }
}
