/* SPDX-License-Identifier: Apache-2.0 */
/* A plan drawn: packages, memory nodes, cores and CPUs with the shards on them, in lines of at most 80 columns. */
#ifndef TOPOLOGY_MACHINE_MAP_H
#define TOPOLOGY_MACHINE_MAP_H

#include <stdio.h>

#include "topology/machine/plan.h"

#define MAP_COLUMNS 80u
/* More CPUs than this are not drawn one by one but listed by memory node. */
#define MAP_CPUS_DRAWN_MAX 64u

/* @param network CPUs to mark as those that the network keeps busy; may be empty */
void map_print(FILE *out, const struct machine *machine, const struct plan *plan, const struct cpu_set *network);

/* Why CPUs were taken and left: each reason once, with its CPUs. */
void map_print_whys(FILE *out, const struct machine *machine, const struct plan *plan);

/* The label and the set, broken at commas into lines of at most 80 columns. */
void map_print_set(FILE *out, const char *label, const struct cpu_set *set);

#endif
