/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of CPU numbers.
 *
 * Texts come from files of the kernel's, which a container's owner may have replaced: each is read within its own end,
 * and what is not understood says so. */
#include "topology/machine/cpu_set.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"

/* Digits of a CPU number that are read; more are no number of a CPU. */
#define NUMBER_DIGITS_MAX 7u
/* Hexadecimal digits of one group of a mask. */
#define GROUP_DIGITS_MAX 8u
#define GROUPS_MAX (CPU_NUMBERS_MAX / 32)

void cpu_set_add(struct cpu_set *set, uint32_t cpu)
{
    if (cpu < CPU_NUMBERS_MAX) {
        set->words[cpu / 64] |= UINT64_C(1) << (cpu % 64);
    }
}

bool cpu_set_has(const struct cpu_set *set, uint32_t cpu)
{
    return cpu < CPU_NUMBERS_MAX && (set->words[cpu / 64] >> (cpu % 64) & 1) != 0;
}

uint32_t cpu_set_count(const struct cpu_set *set)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CPU_NUMBERS_MAX / 64; i++) {
        count += (uint32_t)__builtin_popcountll(set->words[i]);
    }
    return count;
}

bool cpu_set_is_empty(const struct cpu_set *set)
{
    return cpu_set_count(set) == 0;
}

void cpu_set_join(struct cpu_set *set, const struct cpu_set *more)
{
    for (uint32_t i = 0; i < CPU_NUMBERS_MAX / 64; i++) {
        set->words[i] |= more->words[i];
    }
}

static bool number_take(const char **text, uint32_t *number)
{
    uint32_t digits = 0;
    *number = 0;
    while (**text >= '0' && **text <= '9') {
        if (++digits > NUMBER_DIGITS_MAX) {
            return false;
        }
        *number = *number * 10 + (uint32_t)(**text - '0');
        (*text)++;
    }
    return digits > 0;
}

bool cpu_set_add_list(struct cpu_set *set, const char *text)
{
    if (*text == '\0') {
        return true; /* how the kernel writes an empty list */
    }
    for (;;) {
        uint32_t first;
        if (!number_take(&text, &first)) {
            return false;
        }
        uint32_t last = first;
        if (*text == '-') {
            text++;
            if (!number_take(&text, &last) || last < first) {
                return false;
            }
        }
        for (uint32_t cpu = first; cpu <= last && cpu < CPU_NUMBERS_MAX; cpu++) {
            cpu_set_add(set, cpu);
        }
        if (*text == '\0') {
            return true;
        }
        if (*text++ != ',') {
            return false;
        }
    }
}

static bool digit_take(const char **text, uint32_t *digit)
{
    char character = **text;
    if (character >= '0' && character <= '9') {
        *digit = (uint32_t)(character - '0');
    } else if (character >= 'a' && character <= 'f') {
        *digit = (uint32_t)(character - 'a') + 10;
    } else if (character >= 'A' && character <= 'F') {
        *digit = (uint32_t)(character - 'A') + 10;
    } else {
        return false;
    }
    (*text)++;
    return true;
}

static bool group_take(const char **text, uint32_t *group)
{
    uint32_t digits = 0;
    uint32_t digit;
    *group = 0;
    while (digit_take(text, &digit)) {
        if (++digits > GROUP_DIGITS_MAX) {
            return false;
        }
        *group = *group << 4 | digit;
    }
    return digits > 0;
}

bool cpu_set_add_mask(struct cpu_set *set, const char *text)
{
    uint32_t groups[GROUPS_MAX];
    uint32_t count = 0;
    for (;;) {
        if (count == GROUPS_MAX || !group_take(&text, &groups[count])) {
            return false;
        }
        count++;
        if (*text == '\0') {
            break;
        }
        if (*text++ != ',') {
            return false;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = count - 1 - i; /* the last group written holds CPUs 0 to 31 */
        set->words[place / 2] |= (uint64_t)groups[i] << (place % 2 * 32);
    }
    return true;
}

static uint32_t run_last(const struct cpu_set *set, uint32_t first)
{
    uint32_t last = first;
    while (cpu_set_has(set, last + 1)) {
        last++;
    }
    return last;
}

const char *cpu_set_print(const struct cpu_set *set, char *text, size_t bytes)
{
    char run[24];
    size_t used = 0;
    WEFT_ASSERT(bytes >= 16);
    snprintf(text, bytes, "none");
    for (uint32_t cpu = 0; cpu < CPU_NUMBERS_MAX; cpu++) {
        if (!cpu_set_has(set, cpu)) {
            continue;
        }
        uint32_t last = run_last(set, cpu);
        const char *comma = used > 0 ? "," : "";
        int written = last > cpu ? snprintf(run, sizeof run, "%s%u-%u", comma, cpu, last)
                                 : snprintf(run, sizeof run, "%s%u", comma, cpu);
        if (used + (size_t)written + sizeof ",..." > bytes) {
            snprintf(text + used, bytes - used, "%s...", comma);
            return text;
        }
        memcpy(text + used, run, (size_t)written + 1);
        used += (size_t)written;
        cpu = last;
    }
    return text;
}
