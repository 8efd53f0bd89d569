/* SPDX-License-Identifier: Apache-2.0 */
/* Which CPUs the network keeps busy: those that the interrupts of an interface's queues go to, those that the kernel
 * spreads received packets over, and how many times each has received some. */
#ifndef TOPOLOGY_MACHINE_NETWORK_H
#define TOPOLOGY_MACHINE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "topology/machine/cpu_set.h"

/* Interfaces with interrupts or a spread of their own. */
#define NETWORK_INTERFACES_MAX 64u
#define NETWORK_NAME_BYTES 16u /* IFNAMSIZ */

struct network_interface {
    char name[NETWORK_NAME_BYTES]; /* printable: other characters are shown as '?' */
    uint32_t interrupts;           /* that have occurred since the system started */
    struct cpu_set interrupt_cpus; /* where they go now */
    struct cpu_set spread_cpus;    /* rps_cpus of its queues */
};

struct network {
    uint32_t interface_count;
    struct network_interface interfaces[NETWORK_INTERFACES_MAX]; /* by name */
    uint32_t interfaces_plain;                                   /* that have neither, such as lo */
    uint32_t interfaces_beyond;                                  /* more than there is room for */
    bool received_known;
    uint64_t received[CPU_NUMBERS_MAX]; /* receive softirqs of each CPU since the system started */
};

/* What cannot be read is not there.  @param root as in system_file.h   @return ok | NO_MEMORY */
WEFT_NODISCARD enum weft_err network_read(const char *root, struct network *network, struct weft_error *why);

/* CPUs that any interface's interrupts or spread go to. */
void network_cpus(const struct network *network, struct cpu_set *set);

#endif
