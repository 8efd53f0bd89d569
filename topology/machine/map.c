/* SPDX-License-Identifier: Apache-2.0 */
/* The map.
 *
 * CPUs are put in the order of their packages, memory nodes and cores; what lies in one node stands below one heading.
 * A small machine is drawn core by core; of a large one each heading lists who runs shards, who is free and who is not
 * usable.  CPUs that are offline belong nowhere: the reasons list them. */
#include "topology/machine/map.h"

#include <string.h>

#include "engine/base/assert.h"

#define INDENT "    "
/* All of a set: at most every second CPU by itself, in up to five characters. */
#define SET_TEXT_BYTES (CPU_NUMBERS_MAX / 2 * 5 + 16)
#define NO_SHARD UINT32_MAX
/* So many numbers at the same distance are shorter in words. */
#define EVENLY_COUNT_MIN 8

struct map {
    FILE *out;
    const struct machine *machine;
    const struct plan *plan;
    const struct cpu_set *network;
    uint32_t count; /* CPUs that belong somewhere */
    uint16_t order[MACHINE_CPUS_MAX];
    int cpu_width;
    int mark_width;
};

static int digits(uint32_t number)
{
    int count = 1;
    while (number >= 10) {
        number /= 10;
        count++;
    }
    return count;
}

/* Does the first come before the second on the map? */
static bool cpu_before(const struct machine_cpu *first, const struct machine_cpu *second)
{
    if (first->package != second->package) {
        return first->package < second->package;
    }
    if (first->numa != second->numa) {
        return first->numa < second->numa;
    }
    return first->core != second->core ? first->core < second->core : first->cpu < second->cpu;
}

static bool same_node(const struct machine_cpu *first, const struct machine_cpu *second)
{
    return first->package == second->package && first->numa == second->numa;
}

static const struct machine_cpu *map_cpu(const struct map *map, uint32_t place)
{
    return &map->machine->cpus[map->order[place]];
}

static void map_sort(struct map *map)
{
    map->count = 0;
    for (uint32_t i = 0; i < map->machine->cpu_count; i++) {
        const struct machine_cpu *cpu = &map->machine->cpus[i];
        if (cpu->bar == MACHINE_OFFLINE) {
            continue;
        }
        uint32_t at = map->count++;
        while (at > 0 && cpu_before(cpu, map_cpu(map, at - 1))) {
            map->order[at] = map->order[at - 1];
            at--;
        }
        map->order[at] = (uint16_t)i;
        map->cpu_width = digits(cpu->cpu) > map->cpu_width ? digits(cpu->cpu) : map->cpu_width;
    }
}

static uint32_t cpu_shard(const struct map *map, uint32_t cpu)
{
    for (uint32_t i = 0; i < map->plan->shard_count; i++) {
        if (map->plan->shards[i].cpu == cpu) {
            return i;
        }
    }
    return NO_SHARD;
}

/* "0:s0", "4:-", "5:x", with "*" for the network, in a fixed width. */
static void cpu_draw(const struct map *map, const struct machine_cpu *cpu)
{
    char mark[16];
    uint32_t shard = cpu_shard(map, cpu->cpu);
    const char *star = cpu_set_has(map->network, cpu->cpu) ? "*" : "";
    if (shard != NO_SHARD) {
        snprintf(mark, sizeof mark, "s%u%s", shard, star);
    } else {
        snprintf(mark, sizeof mark, "%s%s", cpu->bar == MACHINE_USABLE ? "-" : "x", star);
    }
    fprintf(map->out, "%*u:%-*s", map->cpu_width, cpu->cpu, map->mark_width, mark);
}

/* CPUs from `place` on that are of the same core. */
static uint32_t core_threads(const struct map *map, uint32_t place)
{
    uint32_t threads = 1;
    while (place + threads < map->count && same_node(map_cpu(map, place), map_cpu(map, place + threads)) &&
           map_cpu(map, place)->core == map_cpu(map, place + threads)->core) {
        threads++;
    }
    return threads;
}

static uint32_t speed_max(const struct machine *machine)
{
    uint32_t speed = 0;
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        speed = machine->cpus[i].speed > speed ? machine->cpus[i].speed : speed;
    }
    return speed;
}

/* One core, "[0:s0 4:-]"; "(…)" if there are faster ones. */
static void core_draw(const struct map *map, uint32_t place, uint32_t threads, bool fast)
{
    fputc(fast ? '[' : '(', map->out);
    for (uint32_t i = 0; i < threads; i++) {
        if (i > 0) {
            fputc(' ', map->out);
        }
        cpu_draw(map, map_cpu(map, place + i));
    }
    fputc(fast ? ']' : ')', map->out);
}

/* @return the place behind the node */
static uint32_t node_draw(const struct map *map, uint32_t place)
{
    const struct machine_cpu *first = map_cpu(map, place);
    uint32_t fastest = speed_max(map->machine);
    uint32_t column = 0;
    while (place < map->count && same_node(first, map_cpu(map, place))) {
        uint32_t threads = core_threads(map, place);
        uint32_t width = 2 + threads * (uint32_t)(map->cpu_width + 1 + map->mark_width) + (threads - 1);
        if (column > 0 && column + 1 + width <= MAP_COLUMNS) {
            fputc(' ', map->out);
            column++;
        } else {
            fprintf(map->out, "%s%s", column > 0 ? "\n" : "", INDENT);
            column = sizeof INDENT - 1;
        }
        core_draw(map, place, threads, map_cpu(map, place)->speed == fastest);
        column += width;
        place += threads;
    }
    fputc('\n', map->out);
    return place;
}

/* Who runs shards, who is free, who is not usable.  @return the place behind the node */
static uint32_t node_list(const struct map *map, uint32_t place)
{
    struct cpu_set taken = {{0}};
    struct cpu_set shards = {{0}};
    struct cpu_set open = {{0}};
    struct cpu_set barred = {{0}};
    const struct machine_cpu *first = map_cpu(map, place);
    for (; place < map->count && same_node(first, map_cpu(map, place)); place++) {
        const struct machine_cpu *cpu = map_cpu(map, place);
        uint32_t shard = cpu_shard(map, cpu->cpu);
        if (shard != NO_SHARD) {
            cpu_set_add(&taken, cpu->cpu);
            cpu_set_add(&shards, shard);
        } else {
            cpu_set_add(cpu->bar == MACHINE_USABLE ? &open : &barred, cpu->cpu);
        }
    }
    if (!cpu_set_is_empty(&taken)) {
        map_print_set(map->out, INDENT "shards ", &shards);
        map_print_set(map->out, INDENT "  on CPU ", &taken);
    }
    if (!cpu_set_is_empty(&open)) {
        map_print_set(map->out, INDENT "free: CPU ", &open);
    }
    if (!cpu_set_is_empty(&barred)) {
        map_print_set(map->out, INDENT "not usable: CPU ", &barred);
    }
    return place;
}

static void legend_print(const struct map *map)
{
    bool slow = false;
    for (uint32_t i = 0; i < map->count; i++) {
        slow = slow || map_cpu(map, i)->speed < speed_max(map->machine);
    }
    fprintf(map->out, "  [a core] CPU:s0 runs shard 0, CPU:- is free, CPU:x is not usable%s%s\n",
            slow ? ",\n  (a slower core)" : "",
            !cpu_set_is_empty(map->network)
                ? (slow ? ", * the network's interrupts" : ",\n  * the network's interrupts")
                : "");
}

void map_print(FILE *out, const struct machine *machine, const struct plan *plan, const struct cpu_set *network)
{
    struct map map = {.out = out, .machine = machine, .plan = plan, .network = network};
    map_sort(&map);
    map.mark_width = 1 + digits(plan->shard_count > 0 ? plan->shard_count - 1 : 0) + !cpu_set_is_empty(network);
    for (uint32_t place = 0; place < map.count;) {
        fprintf(out, "  package %u, memory node %u\n", map_cpu(&map, place)->package, map_cpu(&map, place)->numa);
        place = map.count <= MAP_CPUS_DRAWN_MAX ? node_draw(&map, place) : node_list(&map, place);
    }
    if (map.count <= MAP_CPUS_DRAWN_MAX) {
        legend_print(&map);
    }
}

void map_print_whys(FILE *out, const struct machine *machine, const struct plan *plan)
{
    for (enum plan_why why = 0; why < PLAN_WHY_COUNT; why++) {
        struct cpu_set set = {{0}};
        for (uint32_t i = 0; i < machine->cpu_count; i++) {
            if (plan->whys[i] == why) {
                cpu_set_add(&set, machine->cpus[i].cpu);
            }
        }
        if (!cpu_set_is_empty(&set)) {
            fprintf(out, "  %s\n", plan_why_line(why));
            map_print_set(out, INDENT "CPU ", &set);
        }
    }
}

/* "every 2nd of 0-62" for many numbers at the same distance, as first hardware threads are.
 * @return false: they are not */
static bool set_print_evenly(const struct cpu_set *set, char *text, size_t bytes)
{
    uint32_t first = CPU_NUMBERS_MAX;
    uint32_t last = CPU_NUMBERS_MAX;
    uint32_t step = 0;
    for (uint32_t number = 0; number < CPU_NUMBERS_MAX; number++) {
        if (!cpu_set_has(set, number)) {
            continue;
        }
        if (first == CPU_NUMBERS_MAX) {
            first = number;
        } else if (step == 0) {
            step = number - first;
        } else if (number - last != step) {
            return false;
        }
        last = number;
    }
    if (step < 2 || cpu_set_count(set) < EVENLY_COUNT_MIN) {
        return false;
    }
    snprintf(text, bytes, "every %u%s of %u-%u", step, step == 2 ? "nd" : step == 3 ? "rd" : "th", first, last);
    return true;
}

void map_print_set(FILE *out, const char *label, const struct cpu_set *set)
{
    char text[SET_TEXT_BYTES];
    if (!set_print_evenly(set, text, sizeof text)) {
        cpu_set_print(set, text, sizeof text);
    }
    uint32_t indent = (uint32_t)strlen(label);
    uint32_t column = indent;
    WEFT_ASSERT(indent + 12 <= MAP_COLUMNS);
    fputs(label, out);
    for (const char *at = text; *at != '\0';) {
        size_t bytes = strcspn(at, ",");
        bytes += at[bytes] == ',' ? 1 : 0;
        if (column > indent && column + bytes > MAP_COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        fprintf(out, "%.*s", (int)bytes, at);
        column += (uint32_t)bytes;
        at += bytes;
    }
    fputc('\n', out);
}
