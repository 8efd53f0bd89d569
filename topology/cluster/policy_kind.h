/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of peers that the policy tells apart, each with a location that stands for all of its kind: for tables that
 * are shown to people, and for what must hold of every pair of nodes.  Pure. */
#ifndef TOPOLOGY_CLUSTER_POLICY_KIND_H
#define TOPOLOGY_CLUSTER_POLICY_KIND_H

#include "topology/cluster/location.h"

enum policy_kind { POLICY_KIND_SAME_RACK = 0, POLICY_KIND_SAME_DC, POLICY_KIND_OTHER_DC, POLICY_KIND_UNKNOWN };
#define POLICY_KINDS 4

/* A peer of this kind, seen from `own`; it points into `own`.  Without an own location no peer is near. */
struct location policy_kind_location(const struct location *own, enum policy_kind kind);
/* As a key: "same_rack", "same_dc" (and another rack), "other_dc", "unknown". */
const char *policy_kind_name(enum policy_kind kind);
/* For people: the same with spaces. */
const char *policy_kind_words(enum policy_kind kind);

#endif
