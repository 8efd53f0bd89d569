/* SPDX-License-Identifier: Apache-2.0 */
/* What options can ask for and this version cannot do.  Whoever builds one of these takes its row away. */
#ifndef TOPOLOGY_CLUSTER_CAPABILITY_H
#define TOPOLOGY_CLUSTER_CAPABILITY_H

#include <weft/node.h>

/* One that is asked for and missing. */
struct capability {
    const char *key;  /* of the configuration that asks for it */
    const char *what; /* what would be amiss, and what to do */
};

/* The next that is asked for and missing.  @param cursor 0 at first   @return NULL: no more */
const struct capability *capability_missing(const struct weft_node_options *options, uint32_t *cursor);

#endif
