/* SPDX-License-Identifier: Apache-2.0 */
/* A node's status as one JSON object in a file, replaced as a whole so that a reader never sees half of it. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <weft/weft.h>

#include "cli/log_stream.h"
#include "cli/probe.h"

struct status {
    const char *path;
    weft_node *node;
    const struct weft_node_options *options;
    const struct prober *prober; /* NULL: no probes */
    struct log_stream *log;
};

/* @return ok | SYSTEM (why says where) | NO_MEMORY */
WEFT_NODISCARD enum weft_err status_write(const struct status *status, struct weft_error *why);

#endif
