/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the machine and binding to it, by hwloc.
 *
 * Happy path: hwloc tells the CPUs, their cores, packages, memory and kinds, and what the control group's cpuset lets
 * us use; the kernel tells the calling thread's affinity; quota.c tells the quota of CPU time.
 *
 * Fails only where hwloc cannot read the machine, or the kernel does not let a thread onto a CPU.  hwloc listens to the
 * environment (HWLOC_XMLFILE, HWLOC_SYNTHETIC, HWLOC_FSROOT) and may then describe another machine: that is refused,
 * since a plan for another machine is worse than none. */
#include "topology/machine/machine.h"

#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

/* Kinds of cores that are told apart; more count as the slowest of these. */
#define CORE_KINDS_MAX 8

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

/* A topology of CPUs, cores, packages and NUMA nodes: nothing else is needed, and it loads faster without.  NUMA nodes
 * hang on the smallest object around their CPUs: without groups, where a package has several, each would seem near to
 * all of its CPUs.
 * Disallowed CPUs are kept, so that a plan can tell "not allowed" from "not there". */
static bool topology_filter(hwloc_topology_t topology)
{
    return hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE) == 0 &&
           hwloc_topology_set_type_filter(topology, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE) == 0 &&
           hwloc_topology_set_type_filter(topology, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL) == 0 &&
           hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL) == 0 &&
           hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0;
}

static enum weft_err topology_open(hwloc_topology_t *topology, struct weft_error *why)
{
    if (hwloc_topology_init(topology) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "hwloc could not start");
    }
    bool ok = topology_filter(*topology) && topology_ask_kernel_only(*topology) && hwloc_topology_load(*topology) == 0;
    if (!ok) {
        int os_errno = errno;
        hwloc_topology_destroy(*topology);
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, os_errno, "hwloc could not read this machine's topology");
    }
    if (!hwloc_topology_is_thissystem(*topology)) {
        hwloc_topology_destroy(*topology);
        return weft_error_set(why, WEFT_ERR_SYSTEM,
                              "the environment has hwloc describe another machine; unset HWLOC_XMLFILE, "
                              "HWLOC_SYNTHETIC and HWLOC_FSROOT");
    }
    return WEFT_OK;
}

/* Objects without a level of their own (a machine without packages, say) are numbered by their CPU or count as 0. */
static uint32_t pu_core(hwloc_topology_t topology, hwloc_obj_t pu)
{
    hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
    return core != NULL ? core->logical_index : pu->logical_index;
}

static uint32_t pu_package(hwloc_topology_t topology, hwloc_obj_t pu)
{
    hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, pu);
    return package != NULL ? package->logical_index : 0;
}

static uint32_t pu_numa(hwloc_obj_t pu)
{
    int numa = pu->nodeset != NULL ? hwloc_bitmap_first(pu->nodeset) : -1;
    return numa < 0 ? 0 : (uint32_t)numa;
}

#if HWLOC_API_VERSION >= 0x00020400
/* What makes a kind of core another design, and not the same one with another clock: CPUs of one design differ by some
 * percent in their highest frequency, and are no reason to leave one out. */
static bool kinds_differ(unsigned first_infos, const struct hwloc_info_s *first, unsigned second_infos,
                         const struct hwloc_info_s *second)
{
    static const char *const names[] = {"CoreType", "LinuxCapacity"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        const char *one = "";
        const char *other = "";
        for (unsigned i = 0; i < first_infos; i++) {
            one = strcmp(first[i].name, names[n]) == 0 ? first[i].value : one;
        }
        for (unsigned i = 0; i < second_infos; i++) {
            other = strcmp(second[i].name, names[n]) == 0 ? second[i].value : other;
        }
        if (strcmp(one, other) != 0) {
            return true;
        }
    }
    return false;
}

/* hwloc lists kinds from the slowest to the fastest, if it can tell. */
static void machine_add_speeds(struct machine *machine, hwloc_topology_t topology)
{
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    int kinds = hwloc_cpukinds_get_nr(topology, 0);
    unsigned before_infos = 0;
    struct hwloc_info_s *before = NULL;
    uint32_t speed = 0;
    for (int kind = 0; cpus != NULL && kind < kinds; kind++) {
        unsigned infos = 0;
        struct hwloc_info_s *info = NULL;
        int efficiency = -1;
        if (hwloc_cpukinds_get_info(topology, (unsigned)kind, cpus, &efficiency, &infos, &info, 0) != 0 ||
            efficiency < 0) {
            break;
        }
        speed += kind > 0 && speed + 1 < CORE_KINDS_MAX && kinds_differ(before_infos, before, infos, info) ? 1 : 0;
        for (uint32_t i = 0; i < machine->cpu_count; i++) {
            if (hwloc_bitmap_isset(cpus, machine->cpus[i].cpu)) {
                machine->cpus[i].speed = speed;
            }
        }
        before_infos = infos;
        before = info;
    }
    hwloc_bitmap_free(cpus);
}
#else
static void machine_add_speeds(struct machine *machine, hwloc_topology_t topology)
{
    (void)machine;
    (void)topology;
}
#endif

/* hwloc hands out CPUs grouped by package and core; ours are ascending by number. */
static void machine_add(struct machine *machine, const struct machine_cpu *cpu)
{
    if (machine->cpu_count == MACHINE_CPUS_MAX || cpu->cpu >= CPU_NUMBERS_MAX) {
        return;
    }
    uint32_t at = machine->cpu_count++;
    while (at > 0 && machine->cpus[at - 1].cpu > cpu->cpu) {
        machine->cpus[at] = machine->cpus[at - 1];
        at--;
    }
    machine->cpus[at] = *cpu;
}

/* CPUs that the machine has and hwloc gives no object: they are offline. */
static void machine_add_offline(struct machine *machine, hwloc_topology_t topology)
{
    hwloc_const_bitmap_t all = hwloc_topology_get_complete_cpuset(topology);
    hwloc_const_bitmap_t online = hwloc_topology_get_topology_cpuset(topology);
    for (uint32_t cpu = 0; cpu < CPU_NUMBERS_MAX; cpu++) {
        if (hwloc_bitmap_isset(all, cpu) && !hwloc_bitmap_isset(online, cpu)) {
            const struct machine_cpu offline = {.cpu = cpu,
                                                .core = MACHINE_UNKNOWN,
                                                .package = MACHINE_UNKNOWN,
                                                .numa = MACHINE_UNKNOWN,
                                                .bar = MACHINE_OFFLINE};
            machine_add(machine, &offline);
        }
    }
}

/* What the kernel lets the calling thread run on.  More CPUs than fit are what nobody looks at. */
static void affinity_read(struct cpu_set *affinity)
{
    union {
        cpu_set_t kernel[CPU_NUMBERS_MAX / CPU_SETSIZE];
        unsigned char bytes[CPU_NUMBERS_MAX / 8];
    } set;
    memset(&set, 0, sizeof set);
    bool known = sched_getaffinity(0, sizeof set, set.kernel) == 0;
    for (uint32_t cpu = 0; cpu < CPU_NUMBERS_MAX; cpu++) {
        if (!known || CPU_ISSET_S(cpu, sizeof set, set.kernel)) {
            cpu_set_add(affinity, cpu);
        }
    }
}

/* @param affinity NULL: every CPU */
static void machine_fill(struct machine *machine, hwloc_topology_t topology, const struct cpu_set *affinity)
{
    hwloc_const_bitmap_t allowed = hwloc_topology_get_allowed_cpuset(topology);
    hwloc_obj_t pu = NULL;
    while ((pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != NULL) {
        struct machine_cpu cpu = {.cpu = pu->os_index,
                                  .core = pu_core(topology, pu),
                                  .package = pu_package(topology, pu),
                                  .numa = pu_numa(pu)};
        if (!hwloc_bitmap_isset(allowed, cpu.cpu)) {
            cpu.bar = MACHINE_NOT_IN_CPUSET;
        } else if (affinity != NULL && !cpu_set_has(affinity, cpu.cpu)) {
            cpu.bar = MACHINE_NOT_IN_AFFINITY;
        }
        machine_add(machine, &cpu);
    }
    machine_add_offline(machine, topology);
    machine_add_speeds(machine, topology);
}

enum weft_err machine_read(struct machine *machine, struct weft_error *why)
{
    memset(machine, 0, sizeof *machine);
    hwloc_topology_t topology;
    WEFT_TRY(topology_open(&topology, why));
    struct cpu_set affinity = {{0}};
    affinity_read(&affinity);
    machine_fill(machine, topology, &affinity);
    quota_read("", &machine->quota);
    machine->topology = topology;
    return WEFT_OK;
}

static bool description_is_file(const char *description)
{
    size_t bytes = strlen(description);
    return strchr(description, '/') != NULL || (bytes > 4 && strcmp(description + bytes - 4, ".xml") == 0);
}

enum weft_err machine_read_description(struct machine *machine, const char *description, struct weft_error *why)
{
    memset(machine, 0, sizeof *machine);
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) {
        return weft_error_set_errno(why, WEFT_ERR_NO_MEMORY, errno, "hwloc could not start");
    }
    bool file = description_is_file(description);
    int set =
        file ? hwloc_topology_set_xml(topology, description) : hwloc_topology_set_synthetic(topology, description);
    if (set != 0 || !topology_filter(topology) || hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return weft_error_set(why, WEFT_ERR_CONFIG, "\"%.80s\" %s", description,
                              file ? "is no topology that hwloc can read; export one by `lstopo FILE.xml`"
                                   : "is no machine; write one such as \"package:2 core:4 pu:2\", or FILE.xml");
    }
    machine_fill(machine, topology, NULL);
    hwloc_topology_destroy(topology);
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
