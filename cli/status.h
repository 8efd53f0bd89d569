/* SPDX-License-Identifier: Apache-2.0 */
/* A node's status as one JSON object in a file, replaced as a whole so that a reader never sees half of it. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <weft/weft.h>

#include "cli/log_stream.h"
#include "cli/probe.h"
#include "config/config_follow.h"

struct status {
    const char *path;
    weft_node *node;
    const struct weft_node_options *options; /* of the newest configuration */
    struct prober *prober;                   /* NULL: no probes */
    struct log_stream *log;
    struct config_follow *follow; /* NULL: nothing is followed */
    uint64_t topology_faults;     /* topologies that the node refused */
    bool moved;                   /* peers are other ones than at the start */
};

/* @return ok | SYSTEM (why says where) | NO_MEMORY */
WEFT_NODISCARD enum weft_err status_write(const struct status *status, struct weft_error *why);

#endif
