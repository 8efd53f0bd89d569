/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the policy of a cluster that runs, node by node.
 *
 * While that goes on, each node is either on the old stage or on the new one.  A step is safe if, whichever two nodes
 * meet, what one dials the other admits: then no call is lost for the policy's sake.  Steps that are not safe are made
 * of some that are:
 *
 *     none <-> none+certificate <-> transitional <-> rack, dc or all
 *
 * That picture is not written down in the code: it follows from what the policy itself says of every pair.  Pure. */
#ifndef TOPOLOGY_CLUSTER_POLICY_STEP_H
#define TOPOLOGY_CLUSTER_POLICY_STEP_H

#include "topology/cluster/policy.h"
#include "topology/cluster/policy_kind.h"

/* A scope, and under `none` whether a certificate is configured; all others have one. */
enum policy_stage {
    POLICY_STAGE_NONE = 0,
    POLICY_STAGE_NONE_CERTIFICATE,
    POLICY_STAGE_TRANSITIONAL,
    POLICY_STAGE_RACK,
    POLICY_STAGE_DC,
    POLICY_STAGE_ALL
};
#define POLICY_STAGES 6

/* A link that a node makes and another refuses. */
struct policy_gap {
    enum policy_stage dialer;
    enum policy_stage acceptor;
    enum policy_kind kind; /* how the two stand to each other */
    enum weft_lane lane;
    struct policy_decision dialed;
    enum weft_reason refused;
};

enum policy_stage policy_stage_of(enum weft_encryption scope, bool certificate_in_block);
enum weft_encryption policy_stage_scope(enum policy_stage stage);
/* "none", "none+certificate", "transitional", "rack", "dc" or "all". */
const char *policy_stage_name(enum policy_stage stage);

/* Whether a cluster can go from one stage to the other node by node, in either direction.
 * @param gap filled if it cannot: the first link that breaks; may be NULL */
bool policy_step_is_safe(enum policy_stage from, enum policy_stage to, struct policy_gap *gap);

/* The shortest way in safe steps: the stages after `from`, with `to` as the last; none if they are the same.
 * @return how many; there always is a way */
uint32_t policy_step_path(enum policy_stage from, enum policy_stage to, enum policy_stage path[POLICY_STAGES]);

#endif
