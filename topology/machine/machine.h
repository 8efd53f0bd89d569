/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that a node runs on, as plain data: which CPUs there are, which cores, packages and NUMA nodes they
 * belong to, which of them this thread may use, and how much of their time. */
#ifndef TOPOLOGY_MACHINE_MACHINE_H
#define TOPOLOGY_MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "topology/machine/cpu_set.h"
#include "topology/machine/quota.h"

#define MACHINE_CPUS_MAX CPU_NUMBERS_MAX
/* What is not known: of a CPU that is offline, for the system does not tell. */
#define MACHINE_UNKNOWN UINT32_MAX

/* Why a CPU cannot be used; the first that holds. */
enum machine_bar {
    MACHINE_USABLE = 0,
    MACHINE_OFFLINE,
    MACHINE_NOT_IN_CPUSET,   /* of the control group */
    MACHINE_NOT_IN_AFFINITY, /* of the thread that looked */
};

struct machine_cpu {
    uint32_t cpu;  /* the system's number */
    uint32_t core; /* unique in the machine: CPUs that share it are hardware threads of one core */
    uint32_t package;
    uint32_t numa;  /* the system's number of the nearest memory */
    uint32_t speed; /* of its kind of core: higher is faster; all 0 where there is one kind */
    enum machine_bar bar;
};

struct machine {
    void *topology; /* hwloc's, for machine_pin; NULL: this machine was made up */
    struct quota quota;
    uint32_t cpu_count;
    struct machine_cpu cpus[MACHINE_CPUS_MAX]; /* ascending by cpu */
};

/* Look at this machine, as the calling thread may use it.  Looking takes milliseconds, so it is done once.
 * @return ok | SYSTEM (hwloc fails, or its variables in the environment describe another machine)   @shard control */
WEFT_NODISCARD enum weft_err machine_read(struct machine *machine, struct weft_error *why);
/* Another machine: hwloc's short form such as "package:2 core:4 pu:2", or the path of an XML file that hwloc exported
 * (it has a "/" or ends in ".xml").  machine_pin cannot be used then.  @return ok | CONFIG | NO_MEMORY */
WEFT_NODISCARD enum weft_err machine_read_description(struct machine *machine, const char *description,
                                                      struct weft_error *why);
/* Give back what machine_read took; NULL and zeroed are fine. */
void machine_close(struct machine *machine);

/* The entry of a CPU, NULL if the machine has none of that number. */
const struct machine_cpu *machine_find(const struct machine *machine, uint32_t cpu);
/* All CPUs with this bar. */
void machine_select(const struct machine *machine, enum machine_bar bar, struct cpu_set *set);

/* Bind the calling thread to one CPU, and what it allocates from here on to the memory near it (where the system
 * lets it: memory is only a preference).
 * @return ok | NOT_FOUND (no such CPU) | SYSTEM (the CPU is not allowed)   @shard any, several at once */
WEFT_NODISCARD enum weft_err machine_pin(const struct machine *machine, uint32_t cpu, struct weft_error *why);

#endif
