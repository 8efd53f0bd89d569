/* SPDX-License-Identifier: Apache-2.0 */
/* The list weft: spiffe_ids.
 *
 * Happy path: each entry is a pattern, and require_endpoint_verification looks at them.
 *
 * Failure modes: what is no pattern, since it would match nobody and keep the whole cluster out; one that is there
 * already; a list that nothing looks at, which is a warning. */
#include <string.h>

#include "config/config_decoder.h"
#include "tls/spiffe.h"

static void spiffe_add(struct config_decoder *decoder, const struct yaml_node *item, const char **ids)
{
    struct weft_node_options *options = &decoder->config->options;
    struct weft_error why = {.code = WEFT_OK};
    const char *text = decoder_text(decoder, item);
    if (text == NULL) {
        return;
    }
    if (spiffe_check_pattern(text, &why) != WEFT_OK) {
        decoder_error(decoder, item, "%s", why.text);
        return;
    }
    for (uint32_t i = 0; i < options->spiffe_id_count; i++) {
        if (strcmp(ids[i], text) == 0) {
            decoder_error(decoder, item, "\"%.64s\" is given twice; keep one", text);
            return;
        }
    }
    ids[options->spiffe_id_count++] = text;
}

void decoder_spiffe_ids(struct config_decoder *decoder, const struct yaml_node *value)
{
    if (yaml_node_is_null(value)) {
        return;
    }
    if (value->kind != YAML_TREE_SEQUENCE || value->child_count == 0) {
        decoder_error(decoder, value, "is %s; write a list such as [\"spiffe://example.org/weft/{id}\"]",
                      value->kind == YAML_TREE_SEQUENCE ? "an empty list" : yaml_node_kind_name(value));
        return;
    }
    if (value->child_count > WEFT_SPIFFE_IDS_MAX) {
        decoder_error(decoder, value, "%u patterns; %d are the most", value->child_count, WEFT_SPIFFE_IDS_MAX);
        return;
    }
    const char **ids = decoder_take(decoder, sizeof *ids * WEFT_SPIFFE_IDS_MAX);
    if (ids == NULL) {
        return;
    }
    decoder->config->options.spiffe_ids = ids;
    for (const struct yaml_node *item = value->first; item != NULL; item = item->next) {
        spiffe_add(decoder, item, ids);
    }
    decoder->spiffe_ids = value;
}
