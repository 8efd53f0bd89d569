/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded configuration, followed while its node runs: when the file of locations beside it changes, or a host name
 * leads elsewhere, it is decoded again, on a thread of its own.  Files of credentials are only watched: who runs the
 * node reads them again.  The text of the configuration is not watched.
 *
 *     config_follow_start(&follow, config, NULL, why);
 *     ... now and then, on the node's control thread:
 *     const struct config *fresh = config_follow_take(follow);
 *     if (fresh != NULL) { apply }
 */
#ifndef CONFIG_CONFIG_FOLLOW_H
#define CONFIG_CONFIG_FOLLOW_H

#include "config/config.h"
#include "engine/io/file_watch.h"

/* Names are asked again so often: as long as a name server usually lets an answer live at least. */
#define CONFIG_FOLLOW_NAMES_NS UINT64_C(60000000000)

struct config_follow_options {
    struct file_watch_options watch;
    uint64_t names_ns; /* 0: CONFIG_FOLLOW_NAMES_NS */
    weft_log_fn *log;  /* on the thread that follows */
    void *log_ctx;
};

struct config_follow_counts {
    uint64_t reads;        /* times that it was decoded again */
    uint64_t changes;      /* of these, with another topology */
    uint64_t faults;       /* of these, refused: what was stays */
    uint64_t names_failed; /* questions for names without an answer; their addresses stay */
};

struct config_follow;

/* @param config borrowed until the stop   @return ok | NO_MEMORY | SYSTEM */
WEFT_NODISCARD enum weft_err config_follow_start(struct config_follow **follow, const struct config *config,
                                                 const struct config_follow_options *options, struct weft_error *why);
/* The newest configuration with another topology, once; borrowed until the next one is taken.  NULL: there is none. */
const struct config *config_follow_take(struct config_follow *follow);
/* Whether a file of the credentials has changed since this was asked last. */
bool config_follow_credentials(struct config_follow *follow);
struct config_follow_counts config_follow_counts(struct config_follow *follow);
/* Blocks until what is being read is read.  NULL is fine. */
void config_follow_stop(struct config_follow *follow);

#endif
