/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/machine/machine.h"

#include <string.h>

const struct machine_cpu *machine_find(const struct machine *machine, uint32_t cpu)
{
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].cpu == cpu) {
            return &machine->cpus[i];
        }
    }
    return NULL;
}

void machine_select(const struct machine *machine, enum machine_bar bar, struct cpu_set *set)
{
    memset(set, 0, sizeof *set);
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].bar == bar) {
            cpu_set_add(set, machine->cpus[i].cpu);
        }
    }
}
