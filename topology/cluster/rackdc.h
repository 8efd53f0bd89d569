/* SPDX-License-Identifier: Apache-2.0 */
/* cassandra-rackdc.properties: where the own node stands, as GossipingPropertyFileSnitch reads it. */
#ifndef TOPOLOGY_CLUSTER_RACKDC_H
#define TOPOLOGY_CLUSTER_RACKDC_H

#include <stddef.h>

#include <weft/error.h>

#include "topology/cluster/properties.h"

/* Its name; it lies beside the configuration. */
#define RACKDC_FILE "cassandra-rackdc.properties"

struct rackdc {
    char dc[WEFT_NAME_BYTES_MAX + 1]; /* with its suffix */
    char rack[WEFT_NAME_BYTES_MAX + 1];
};

/* Parse the text of a file.  Pure.  @param file name in messages
 * @return ok | CONFIG: every fault was told */
WEFT_NODISCARD enum weft_err rackdc_parse(struct rackdc *rackdc, const char *file, const char *text, size_t bytes,
                                          struct properties_faults *faults);

#endif
