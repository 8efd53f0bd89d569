/* SPDX-License-Identifier: Apache-2.0 */
/* The shard plan.
 *
 * Happy path: CPUs are dealt in rounds.  The first round gives each core one shard, faster kinds of core first, the
 * second uses its second hardware thread.  What is not taken says why.
 *
 * Fails for text that is none of the three forms, for CPUs that are not there, not usable or named twice, and for more
 * shards than there are CPUs: two shards on one CPU would only wait for each other. */
#include "topology/machine/plan.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

/* Longest number that is read; longer ones are out of any range anyway. */
#define NUMBER_DIGITS_MAX 6
/* A list of CPUs within an error. */
#define LIST_TEXT_BYTES 48

static bool text_is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* A number at the front of the text.  @return false: none, or too many digits */
static bool number_take(const char **text, uint32_t *number)
{
    uint32_t value = 0;
    uint32_t digits = 0;
    while (text_is_digit(**text)) {
        if (++digits > NUMBER_DIGITS_MAX) {
            return false;
        }
        value = value * 10 + (uint32_t)(**text - '0');
        (*text)++;
    }
    *number = value;
    return digits > 0;
}

static enum weft_err text_fail(const char *text, struct weft_error *why)
{
    return weft_error_set(
        why, WEFT_ERR_CONFIG,
        "shards: \"%.100s\" is not understood; use auto, a number of shards, or a CPU list such as 0-3,8", text);
}

enum weft_err plan_check_text(const char *text, struct weft_error *why)
{
    struct cpu_set named = {{0}};
    const char *end = text;
    uint32_t count = 0;
    if (strcmp(text, "auto") == 0) {
        return WEFT_OK;
    }
    if (number_take(&end, &count) && *end == '\0') {
        return count > 0 && count <= SHARDS_MAX
                   ? WEFT_OK
                   : weft_error_set(why, WEFT_ERR_CONFIG,
                                    "shards: %u is not possible; use auto or 1 to %u (a list with CPU 0 alone is 0-0)",
                                    count, SHARDS_MAX);
    }
    return *text != '\0' && cpu_set_add_list(&named, text) ? WEFT_OK : text_fail(text, why);
}

static uint32_t machine_usable_count(const struct machine *machine)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        count += machine->cpus[i].bar == MACHINE_USABLE ? 1 : 0;
    }
    return count;
}

/* How many usable hardware threads of the same core stand before this CPU: the round that it is dealt in. */
static uint32_t cpu_round(const struct machine *machine, uint32_t index)
{
    uint32_t round = 0;
    for (uint32_t i = 0; i < index; i++) {
        const struct machine_cpu *before = &machine->cpus[i];
        round += before->bar == MACHINE_USABLE && before->core == machine->cpus[index].core ? 1 : 0;
    }
    return round;
}

static uint32_t machine_speed_max(const struct machine *machine)
{
    uint32_t speed = 0;
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        const struct machine_cpu *cpu = &machine->cpus[i];
        speed = cpu->bar == MACHINE_USABLE && cpu->speed > speed ? cpu->speed : speed;
    }
    return speed;
}

static enum plan_why bar_why(enum machine_bar bar, enum plan_why usable)
{
    switch (bar) {
    case MACHINE_OFFLINE:
        return PLAN_OFFLINE;
    case MACHINE_NOT_IN_CPUSET:
        return PLAN_CPUSET;
    case MACHINE_NOT_IN_AFFINITY:
        return PLAN_AFFINITY;
    case MACHINE_USABLE:
        break;
    }
    return usable;
}

/* Before anything is taken: usable CPUs have this why. */
static void plan_begin(const struct machine *machine, struct plan *plan, enum plan_why usable)
{
    memset(plan, 0, sizeof *plan);
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        plan->whys[i] = (uint8_t)bar_why(machine->cpus[i].bar, usable);
    }
}

static void plan_add(const struct machine *machine, uint32_t index, enum plan_why why, struct plan *plan)
{
    const struct machine_cpu *cpu = &machine->cpus[index];
    WEFT_ASSERT(plan->shard_count < SHARDS_MAX);
    WEFT_ASSERT(cpu->bar == MACHINE_USABLE);
    plan->whys[index] = (uint8_t)why;
    plan->shards[plan->shard_count++] =
        (struct plan_shard){.cpu = cpu->cpu, .core = cpu->core, .package = cpu->package, .numa = cpu->numa};
}

/* Place up to `count` shards: round by round, and in each from the fastest kind to the slowest that may be used. */
static void plan_deal(const struct machine *machine, uint32_t count, uint32_t rounds_max, uint32_t speed_min,
                      struct plan *plan)
{
    uint32_t speed_max = machine_speed_max(machine);
    bool placed = true;
    for (uint32_t round = 0; round < rounds_max && placed && plan->shard_count < count; round++) {
        placed = false;
        for (uint32_t below = 0; below <= speed_max - speed_min; below++) {
            for (uint32_t i = 0; i < machine->cpu_count && plan->shard_count < count; i++) {
                const struct machine_cpu *cpu = &machine->cpus[i];
                if (cpu->bar == MACHINE_USABLE && cpu->speed == speed_max - below && cpu_round(machine, i) == round) {
                    plan_add(machine, i, round == 0 ? PLAN_CORE : PLAN_THREAD, plan);
                    placed = true;
                }
            }
        }
    }
}

/* Whole CPUs of the quota.  A part of one would have the last shard, and with it every connection that the others have
 * to it, stopped for the rest of each period; one shard there must be. */
static uint32_t quota_shards(const struct quota *quota)
{
    uint32_t whole = quota->millicpus / 1000;
    return quota->millicpus == 0 ? SHARDS_MAX : whole > 0 ? whole : 1;
}

static bool plan_has_core(const struct plan *plan, uint32_t core)
{
    for (uint32_t i = 0; i < plan->shard_count; i++) {
        if (plan->shards[i].core == core) {
            return true;
        }
    }
    return false;
}

/* Why the usable CPUs that auto left were left. */
static void plan_explain_auto(const struct machine *machine, const struct plan_wish *wish, uint32_t count,
                              struct plan *plan)
{
    uint32_t speed_max = machine_speed_max(machine);
    enum plan_why full = count < SHARDS_MAX ? PLAN_QUOTA : PLAN_FULL;
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (plan->whys[i] != PLAN_SIBLING) {
            continue;
        }
        if (machine->cpus[i].speed < speed_max) {
            plan->whys[i] = PLAN_SLOWER;
        } else if (wish->smt || !plan_has_core(plan, machine->cpus[i].core)) {
            plan->whys[i] = (uint8_t)full;
        }
    }
}

static enum weft_err plan_auto(const struct machine *machine, const struct plan_wish *wish, struct plan *plan,
                               struct weft_error *why)
{
    if (machine_usable_count(machine) == 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "shards: auto finds no CPU that this process may use; see its affinity and cgroup");
    }
    uint32_t quota = quota_shards(&machine->quota);
    uint32_t count = quota < SHARDS_MAX ? quota : SHARDS_MAX;
    plan_begin(machine, plan, PLAN_SIBLING);
    plan_deal(machine, count, wish->smt ? UINT32_MAX : 1, machine_speed_max(machine), plan);
    plan_explain_auto(machine, wish, count, plan);
    WEFT_ASSERT(plan->shard_count > 0);
    return WEFT_OK;
}

static enum weft_err plan_count(const struct machine *machine, uint32_t count, struct plan *plan,
                                struct weft_error *why)
{
    uint32_t usable = machine_usable_count(machine);
    if (count == 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "shards: 0 is too few; use auto or 1 to %u (a list with CPU 0 alone is 0-0)",
                              usable < SHARDS_MAX ? usable : SHARDS_MAX);
    }
    if (count > SHARDS_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shards: %u is too many; a node has at most %u", count, SHARDS_MAX);
    }
    if (count > usable) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "shards: %u is too many; this process may use %u CPU(s), and each shard needs its own",
                              count, usable);
    }
    plan_begin(machine, plan, PLAN_ENOUGH);
    plan_deal(machine, count, UINT32_MAX, 0, plan);
    WEFT_ASSERT(plan->shard_count == count);
    return WEFT_OK;
}

static bool plan_has(const struct plan *plan, uint32_t cpu)
{
    for (uint32_t i = 0; i < plan->shard_count; i++) {
        if (plan->shards[i].cpu == cpu) {
            return true;
        }
    }
    return false;
}

static enum weft_err number_absent(const struct machine *machine, uint32_t number, struct weft_error *why)
{
    struct cpu_set all = {{0}};
    char text[LIST_TEXT_BYTES];
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        cpu_set_add(&all, machine->cpus[i].cpu);
    }
    return weft_error_set(why, WEFT_ERR_CONFIG, "shards: CPU %u is not on this machine, which has CPUs %s", number,
                          cpu_set_print(&all, text, sizeof text));
}

static enum weft_err number_barred(const struct machine *machine, const struct machine_cpu *cpu, struct weft_error *why)
{
    struct cpu_set usable;
    char text[LIST_TEXT_BYTES];
    machine_select(machine, MACHINE_USABLE, &usable);
    cpu_set_print(&usable, text, sizeof text);
    if (cpu->bar == MACHINE_OFFLINE) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "shards: CPU %u is offline; bring it online or take it from the list (usable: %s)",
                              cpu->cpu, text);
    }
    return weft_error_set(why, WEFT_ERR_CONFIG, "shards: CPU %u is not in %s; usable: %s", cpu->cpu,
                          cpu->bar == MACHINE_NOT_IN_CPUSET ? "the cpuset of this process's control group"
                                                            : "the affinity mask of this process (taskset)",
                          text);
}

static enum weft_err plan_add_number(const struct machine *machine, uint32_t number, struct plan *plan,
                                     struct weft_error *why)
{
    const struct machine_cpu *cpu = machine_find(machine, number);
    if (cpu == NULL) {
        return number_absent(machine, number, why);
    }
    if (cpu->bar != MACHINE_USABLE) {
        return number_barred(machine, cpu, why);
    }
    if (plan_has(plan, number)) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shards: CPU %u is listed twice; each shard needs its own", number);
    }
    if (plan->shard_count == SHARDS_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shards: the list has too many CPUs; a node has at most %u shards",
                              SHARDS_MAX);
    }
    plan_add(machine, (uint32_t)(cpu - machine->cpus), PLAN_LISTED, plan);
    return WEFT_OK;
}

static enum weft_err plan_list(const struct machine *machine, const char *text, struct plan *plan,
                               struct weft_error *why)
{
    const char *at = text;
    plan_begin(machine, plan, PLAN_UNLISTED);
    for (;;) {
        uint32_t first = 0;
        if (!number_take(&at, &first)) {
            return text_fail(text, why);
        }
        uint32_t last = first;
        if (*at == '-') {
            at++;
            if (!number_take(&at, &last)) {
                return text_fail(text, why);
            }
        }
        if (last < first) {
            return weft_error_set(why, WEFT_ERR_CONFIG, "shards: the range %u-%u runs backwards; write %u-%u", first,
                                  last, last, first);
        }
        /* Ends at the first number that is no CPU of this machine, so a huge range costs nothing. */
        for (uint32_t number = first; number <= last; number++) {
            WEFT_TRY(plan_add_number(machine, number, plan, why));
        }
        if (*at == '\0') {
            return WEFT_OK;
        }
        if (*at != ',') {
            return text_fail(text, why);
        }
        at++;
    }
}

static void plan_note_quota(const struct machine *machine, const char *shards_text, struct plan *plan)
{
    const struct quota *quota = &machine->quota;
    if (plan->shard_count > quota_shards(quota)) {
        snprintf(plan->note, sizeof plan->note,
                 "shards: %.40s makes %u shards of a quota of %u.%02u CPUs (%.120s): when it is spent, all of them "
                 "stop until its next period",
                 shards_text, plan->shard_count, quota->millicpus / 1000, quota->millicpus % 1000 / 10, quota->source);
    }
}

enum weft_err plan_make(const struct machine *machine, const struct plan_wish *wish, struct plan *plan,
                        struct weft_error *why)
{
    const char *text = wish->shards != NULL ? wish->shards : "auto";
    WEFT_ASSERT(machine->cpu_count <= MACHINE_CPUS_MAX);
    if (strcmp(text, "auto") == 0) {
        return plan_auto(machine, wish, plan, why);
    }
    const char *end = text;
    uint32_t count = 0;
    if (number_take(&end, &count) && *end == '\0') {
        WEFT_TRY(plan_count(machine, count, plan, why));
    } else {
        WEFT_TRY(plan_list(machine, text, plan, why));
    }
    plan_note_quota(machine, text, plan);
    return WEFT_OK;
}

#define PLAN_NAME(name, word, line) word,
#define PLAN_LINE(name, word, line) line,

const char *plan_why_name(enum plan_why why)
{
    static const char *const names[PLAN_WHY_COUNT] = {PLAN_WHYS(PLAN_NAME)};
    WEFT_ASSERT(why < PLAN_WHY_COUNT);
    return names[why];
}

const char *plan_why_line(enum plan_why why)
{
    static const char *const lines[PLAN_WHY_COUNT] = {PLAN_WHYS(PLAN_LINE)};
    WEFT_ASSERT(why < PLAN_WHY_COUNT);
    return lines[why];
}
