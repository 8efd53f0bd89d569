/* SPDX-License-Identifier: Apache-2.0 */
/* The file `node` of a state directory: who the node is, and how often it was started.
 *
 *     weft-node 1
 *     node_id 6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9
 *     incarnation 1764000000000000000
 */
#ifndef CONFIG_CONFIG_STATE_FILE_H
#define CONFIG_CONFIG_STATE_FILE_H

#include <weft/error.h>

#include "engine/base/uuid.h"

struct config_state {
    char node_id[UUID_TEXT_BYTES];
    uint64_t incarnation; /* of the last start */
};

/* Longer than any file of ours. */
#define CONFIG_STATE_FILE_BYTES 256u

/* Exactly what print writes and nothing else.  @param path for the error   @return ok | CONFIG */
WEFT_NODISCARD enum weft_err config_state_parse(struct config_state *state, const char *path, const char *text,
                                                size_t bytes, struct weft_error *why);
void config_state_print(const struct config_state *state, char text[CONFIG_STATE_FILE_BYTES]);

/* Replace the file: after a crash at any moment there is the old one or the new one, whole.
 * @param directory opened   @return ok | SYSTEM: what was there stays */
WEFT_NODISCARD enum weft_err config_state_write(const struct config_state *state, int directory, const char *path,
                                                struct weft_error *why);

#endif
