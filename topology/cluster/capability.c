/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/capability.h"

static bool asks_endpoint_verification(const struct weft_node_options *options)
{
    return options->require_endpoint_verification;
}

static const struct {
    struct capability capability;
    bool (*asked)(const struct weft_node_options *options);
} missing[] = {
    {{"require_endpoint_verification",
      "this version does not compare certificates with the nodes that show them; write false"},
     asks_endpoint_verification},
};

const struct capability *capability_missing(const struct weft_node_options *options, uint32_t *cursor)
{
    while (*cursor < sizeof missing / sizeof missing[0]) {
        uint32_t i = (*cursor)++;
        if (missing[i].asked(options)) {
            return &missing[i].capability;
        }
    }
    return NULL;
}
