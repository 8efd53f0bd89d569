/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that a node runs on, as plain data: which CPUs there are, which cores and NUMA nodes they belong to,
 * and which of them this thread may use. */
#ifndef TOPOLOGY_MACHINE_MACHINE_H
#define TOPOLOGY_MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

/* CPUs that are looked at: four times the shards a node can have.  Those beyond are left alone. */
#define MACHINE_CPUS_MAX 1024u

struct machine_cpu {
    uint32_t cpu;  /* the system's number */
    uint32_t core; /* unique in the machine: CPUs that share it are hardware threads of one core */
    uint32_t numa; /* the system's number of the nearest memory */
    bool allowed;  /* by cgroup and affinity */
};

struct machine {
    void *topology; /* hwloc's, for machine_pin; NULL: this machine was made up */
    uint32_t cpu_count;
    struct machine_cpu cpus[MACHINE_CPUS_MAX]; /* ascending by cpu */
};

/* Look at this machine, as the calling thread may use it.  Looking takes milliseconds, so it is done once.
 * @return ok | SYSTEM   @shard control */
WEFT_NODISCARD enum weft_err machine_read(struct machine *machine, struct weft_error *why);
/* Give back what machine_read took; NULL and zeroed are fine. */
void machine_close(struct machine *machine);

/* Bind the calling thread to one CPU, and what it allocates from here on to the memory near it (where the system
 * lets it: memory is only a preference).
 * @return ok | NOT_FOUND (no such CPU) | SYSTEM (the CPU is not allowed)   @shard any, several at once */
WEFT_NODISCARD enum weft_err machine_pin(const struct machine *machine, uint32_t cpu, struct weft_error *why);

#endif
