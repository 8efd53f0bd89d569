/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory of a node: its id and its incarnation outlive the process. */
#ifndef CONFIG_CONFIG_STATE_H
#define CONFIG_CONFIG_STATE_H

#include "config/config.h"

/* Give the options the id and an incarnation above every earlier one, and write both to the directory.  For whoever is
 * about to start a node: nobody else may write there.  The directory stays locked until the configuration is destroyed.
 * @return ok, with a warning in the report if they could not be kept | CONFIG: the report says what is wrong |
 *         NO_MEMORY */
WEFT_NODISCARD enum weft_err config_state_take(struct config *config, struct config_report *report);

/* Give the options the id that the directory holds, if one can be read there, as a start would.  Nothing is locked,
 * made or written.  @return ok | NO_MEMORY */
WEFT_NODISCARD enum weft_err config_state_look(struct config *config);

#endif
