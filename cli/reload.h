/* SPDX-License-Identifier: Apache-2.0 */
/* Reloading: the configuration of a node that runs is read again, and the topology, the scope and the credentials are
 * what it says from then on.  Everything else takes a restart, and what is different is named. */
#ifndef CLI_RELOAD_H
#define CLI_RELOAD_H

#include "cli/log_stream.h"
#include "config/config.h"

struct reload {
    const char *file;
    weft_node *node;
    const struct config *started; /* what the node was started with */
    struct config *applied;       /* what was read since; NULL: nothing */
    struct config *before;        /* and before that, until it is forgotten */
    struct log_stream *log;
};

/* The options whose topology the node has. */
const struct weft_node_options *reload_options(const struct reload *reload);
/* Read and apply.  Whatever is wrong is logged, and changes nothing.  Whether the topology was applied. */
bool reload_run(struct reload *reload);
/* Read the files of the credentials again. */
void reload_credentials(weft_node *node, const struct weft_node_options *options);
/* Nobody reads what was applied before. */
void reload_forget(struct reload *reload);
void reload_fini(struct reload *reload);

#endif
