/* SPDX-License-Identifier: Apache-2.0 */
/* The shard plan.
 *
 * Counts are dealt in rounds: the first round gives each core one shard, the second uses its second hardware
 * thread.  Fails for text that is none of the three forms, for CPUs that are not there, not allowed or named twice,
 * and for more shards than there are CPUs: two shards on one CPU would only wait for each other. */
#include "topology/machine/plan.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

/* Longest number that is read; longer ones are out of any range anyway. */
#define NUMBER_DIGITS_MAX 6

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

static uint32_t machine_allowed_count(const struct machine *machine)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        count += machine->cpus[i].allowed ? 1 : 0;
    }
    return count;
}

/* How many allowed hardware threads of the same core stand before this CPU: the round that it is dealt in. */
static uint32_t cpu_round(const struct machine *machine, uint32_t index)
{
    uint32_t round = 0;
    for (uint32_t i = 0; i < index; i++) {
        const struct machine_cpu *before = &machine->cpus[i];
        round += before->allowed && before->core == machine->cpus[index].core ? 1 : 0;
    }
    return round;
}

static void plan_add(struct plan *plan, const struct machine_cpu *cpu)
{
    WEFT_ASSERT(plan->shard_count < SHARDS_MAX);
    plan->shards[plan->shard_count].cpu = cpu->cpu;
    plan->shards[plan->shard_count].numa = cpu->numa;
    plan->shard_count++;
}

/* Place up to `count` shards, round by round, within the first `rounds_max` rounds. */
static void plan_deal(const struct machine *machine, uint32_t count, uint32_t rounds_max, struct plan *plan)
{
    bool placed = true;
    for (uint32_t round = 0; round < rounds_max && placed && plan->shard_count < count; round++) {
        placed = false;
        for (uint32_t i = 0; i < machine->cpu_count && plan->shard_count < count; i++) {
            if (machine->cpus[i].allowed && cpu_round(machine, i) == round) {
                plan_add(plan, &machine->cpus[i]);
                placed = true;
            }
        }
    }
}

static enum weft_err plan_auto(const struct machine *machine, struct plan *plan, struct weft_error *why)
{
    plan_deal(machine, SHARDS_MAX, 1, plan);
    if (plan->shard_count == 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "shards: auto finds no CPU that this process may use; see its affinity and cgroup");
    }
    return WEFT_OK;
}

static enum weft_err plan_count(const struct machine *machine, uint32_t count, struct plan *plan,
                                struct weft_error *why)
{
    uint32_t allowed = machine_allowed_count(machine);
    if (count == 0) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "shards: 0 is too few; use auto or 1 to %u (a list with CPU 0 alone is 0-0)",
                              allowed < SHARDS_MAX ? allowed : SHARDS_MAX);
    }
    if (count > SHARDS_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shards: %u is too many; a node has at most %u", count, SHARDS_MAX);
    }
    if (count > allowed) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "shards: %u is too many; this process may use %u CPU(s), and each shard needs its own",
                              count, allowed);
    }
    plan_deal(machine, count, UINT32_MAX, plan);
    WEFT_ASSERT(plan->shard_count == count);
    return WEFT_OK;
}

static const struct machine_cpu *machine_find(const struct machine *machine, uint32_t cpu)
{
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].cpu == cpu) {
            return &machine->cpus[i];
        }
    }
    return NULL;
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

static enum weft_err plan_add_number(const struct machine *machine, uint32_t number, struct plan *plan,
                                     struct weft_error *why)
{
    const struct machine_cpu *cpu = machine_find(machine, number);
    if (cpu == NULL) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shards: CPU %u is not on this machine", number);
    }
    if (!cpu->allowed) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "shards: CPU %u is not allowed to this process; see its affinity and cgroup", number);
    }
    if (plan_has(plan, number)) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shards: CPU %u is listed twice; each shard needs its own", number);
    }
    if (plan->shard_count == SHARDS_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "shards: the list has too many CPUs; a node has at most %u shards",
                              SHARDS_MAX);
    }
    plan_add(plan, cpu);
    return WEFT_OK;
}

static enum weft_err plan_list(const struct machine *machine, const char *text, struct plan *plan,
                               struct weft_error *why)
{
    const char *at = text;
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

enum weft_err plan_make(const struct machine *machine, const char *shards_text, struct plan *plan,
                        struct weft_error *why)
{
    WEFT_ASSERT(machine->cpu_count <= MACHINE_CPUS_MAX);
    memset(plan, 0, sizeof *plan);
    if (shards_text == NULL || strcmp(shards_text, "auto") == 0) {
        return plan_auto(machine, plan, why);
    }
    const char *end = shards_text;
    uint32_t count = 0;
    if (number_take(&end, &count) && *end == '\0') {
        return plan_count(machine, count, plan, why);
    }
    return plan_list(machine, shards_text, plan, why);
}
