/* SPDX-License-Identifier: Apache-2.0 */
/* `weft check --from OLD NEW`: whether a cluster that runs can go from one configuration to the other node by node, and
 * the way in steps that can. */
#ifndef CLI_CHECK_STEP_H
#define CLI_CHECK_STEP_H

#include <jansson.h>

#include "config/config.h"
#include "topology/cluster/policy_step.h"

#define CHECK_STEP_REASON_BYTES 512u

struct check_step {
    bool judged; /* false: one of the configurations does not start a node, the reason says why */
    enum policy_stage from;
    enum policy_stage to;
    bool safe;
    char reason[CHECK_STEP_REASON_BYTES];
    enum policy_stage path[POLICY_STAGES]; /* the stages after `from`; none where no order of steps helps */
    uint32_t path_count;
};

void check_step_judge(struct check_step *step, const struct config *from, const struct config *to);
/* There is no step, since there is no configuration: `report` says why. */
void check_step_fail(struct check_step *step, const struct config_report *report);
void check_step_print(const struct check_step *step);
/* safe, reason, path, from, to.  NULL without memory. */
json_t *check_step_json(const struct check_step *step);

#endif
