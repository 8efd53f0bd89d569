/* SPDX-License-Identifier: Apache-2.0 */
/* What to change, and on which side, so that a dial that failed for a reason succeeds. */
#ifndef TOPOLOGY_CLUSTER_REMEDY_H
#define TOPOLOGY_CLUSTER_REMEDY_H

#include <stdbool.h>

#include <weft/error.h>

enum remedy_side { REMEDY_HERE = 0, REMEDY_THERE, REMEDY_EITHER };

struct remedy {
    enum remedy_side side;
    const char *text; /* what to do there; never NULL */
};

/* @param error how the dial ended   @param told the peer gave the reason, about us; false: the dialer found it */
struct remedy remedy_of(const struct weft_error *error, bool told);

/* "here", "there", "either side" */
const char *remedy_side_name(enum remedy_side side);

#endif
