/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the machine and binding to it, by hwloc.
 *
 * Allowed is what the cgroup lets us use (hwloc leaves out the rest) and the calling thread's affinity names.
 * Fails only where hwloc cannot read the machine, or the kernel does not let a thread onto a CPU. */
#include "topology/machine/machine.h"

#include <errno.h>
#include <hwloc.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

/* Asking the processors themselves means to run on each of them in turn: a guest does not move its host's thread about,
 * and the kernel tells all that is needed. */
static bool topology_ask_kernel_only(hwloc_topology_t topology)
{
#if HWLOC_API_VERSION >= 0x00020100
    return hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86") == 0;
#else
    (void)topology;
    return true;
#endif
}

/* A topology of CPUs, cores and NUMA nodes: nothing else is needed, and it loads faster without.
 * Disallowed CPUs are kept, so that a plan can tell "not allowed" from "not there". */
static enum weft_err topology_open(hwloc_topology_t *topology, struct weft_error *why)
{
    if (hwloc_topology_init(topology) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "hwloc could not start");
    }
    bool ok = hwloc_topology_set_all_types_filter(*topology, HWLOC_TYPE_FILTER_KEEP_NONE) == 0 &&
              hwloc_topology_set_type_filter(*topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL) == 0 &&
              hwloc_topology_set_flags(*topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0 &&
              topology_ask_kernel_only(*topology) && hwloc_topology_load(*topology) == 0;
    if (!ok) {
        int os_errno = errno;
        hwloc_topology_destroy(*topology);
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, os_errno, "hwloc could not read this machine's topology");
    }
    return WEFT_OK;
}

static uint32_t pu_core(hwloc_topology_t topology, hwloc_obj_t pu)
{
    hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
    return core != NULL ? core->logical_index : pu->logical_index;
}

static uint32_t pu_numa(hwloc_obj_t pu)
{
    int numa = pu->nodeset != NULL ? hwloc_bitmap_first(pu->nodeset) : -1;
    return numa < 0 ? 0 : (uint32_t)numa;
}

/* hwloc hands out CPUs grouped by package and core; ours are ascending by number. */
static void machine_add(struct machine *machine, const struct machine_cpu *cpu)
{
    uint32_t at = machine->cpu_count++;
    while (at > 0 && machine->cpus[at - 1].cpu > cpu->cpu) {
        machine->cpus[at] = machine->cpus[at - 1];
        at--;
    }
    machine->cpus[at] = *cpu;
}

enum weft_err machine_read(struct machine *machine, struct weft_error *why)
{
    machine->cpu_count = 0;
    machine->topology = NULL;
    hwloc_topology_t topology;
    WEFT_TRY(topology_open(&topology, why));
    hwloc_bitmap_t bound = hwloc_bitmap_alloc();
    if (bound == NULL) {
        hwloc_topology_destroy(topology);
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for a set of CPUs");
    }
    /* A system that does not tell what a thread is bound to lets it run everywhere. */
    if (hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_THREAD) != 0) {
        hwloc_bitmap_fill(bound);
    }
    hwloc_bitmap_and(bound, bound, hwloc_topology_get_allowed_cpuset(topology));
    hwloc_obj_t pu = NULL;
    while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != NULL &&
           machine->cpu_count < MACHINE_CPUS_MAX) {
        struct machine_cpu cpu = {.cpu = pu->os_index,
                                  .core = pu_core(topology, pu),
                                  .numa = pu_numa(pu),
                                  .allowed = hwloc_bitmap_isset(bound, pu->os_index) != 0};
        machine_add(machine, &cpu);
    }
    hwloc_bitmap_free(bound);
    machine->topology = topology;
    return WEFT_OK;
}

void machine_close(struct machine *machine)
{
    if (machine != NULL && machine->topology != NULL) {
        hwloc_topology_destroy(machine->topology);
        machine->topology = NULL;
    }
}

enum weft_err machine_pin(const struct machine *machine, uint32_t cpu, struct weft_error *why)
{
    hwloc_topology_t topology = machine->topology;
    hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(topology, cpu);
    if (pu == NULL) {
        return weft_error_set(why, WEFT_ERR_NOT_FOUND, "cpu %u: not on this machine", cpu);
    }
    if (hwloc_set_cpubind(topology, pu->cpuset, HWLOC_CPUBIND_THREAD) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "cpu %u: cannot bind a thread to it", cpu);
    }
    /* Far memory is slower, not wrong: a refusal (one node, seccomp) is no reason to stop. */
    (void)hwloc_set_membind(topology, pu->nodeset, HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_THREAD | HWLOC_MEMBIND_BYNODESET);
    return WEFT_OK;
}
