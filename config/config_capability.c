/* SPDX-License-Identifier: Apache-2.0 */
/* What this version cannot do, told where the file asks for it. */
#include <string.h>

#include "config/config_decoder.h"
#include "engine/base/assert.h"
#include "topology/cluster/capability.h"

static const struct yaml_node *asking(const struct config_decoder *decoder, const char *key)
{
    static const char *const blocks[] = {"server_encryption_options", "weft"};
    const struct yaml_node *value = NULL;
    for (uint32_t i = 0; value == NULL && i < sizeof blocks / sizeof blocks[0]; i++) {
        const struct yaml_node *block = yaml_node_member(decoder->root, blocks[i]);
        value = block != NULL ? yaml_node_member(block, key) : NULL;
    }
    WEFT_ASSERT(value != NULL); /* only a key that stands there asks for anything */
    return value;
}

void decoder_capabilities_finish(struct config_decoder *decoder)
{
    uint32_t cursor = 0;
    const struct capability *missing;
    while ((missing = capability_missing(&decoder->config->options, &cursor)) != NULL) {
        decoder_key_error(decoder, asking(decoder, missing->key), "%s", missing->what);
    }
}
