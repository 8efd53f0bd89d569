/* SPDX-License-Identifier: Apache-2.0 */
/* A set of CPU numbers, and the two ways in which the kernel writes one.  Pure. */
#ifndef TOPOLOGY_MACHINE_CPU_SET_H
#define TOPOLOGY_MACHINE_CPU_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CPU numbers that are looked at: four times the shards a node can have.  Higher ones are left alone. */
#define CPU_NUMBERS_MAX 1024u

struct cpu_set {
    uint64_t words[CPU_NUMBERS_MAX / 64];
};

void cpu_set_add(struct cpu_set *set, uint32_t cpu);
bool cpu_set_has(const struct cpu_set *set, uint32_t cpu);
bool cpu_set_is_empty(const struct cpu_set *set);
uint32_t cpu_set_count(const struct cpu_set *set);
/* Everything that is in `more`, too. */
void cpu_set_join(struct cpu_set *set, const struct cpu_set *more);

/* Add what a list such as "0-3,8" names; numbers from CPU_NUMBERS_MAX up are left out.
 * @return false: the text is something else, and the set holds what came before */
bool cpu_set_add_list(struct cpu_set *set, const char *text);
/* Add what a mask such as "f,ffffffff" names: groups of 32 bits in hexadecimal, the highest first.
 * @return false: the text is something else, and the set is as it was */
bool cpu_set_add_mask(struct cpu_set *set, const char *text);

/* The set as "0-3,8", "none" if it is empty; what does not fit in `bytes` is cut at a comma and ends in "...".
 * @param bytes at least 16   @return text */
const char *cpu_set_print(const struct cpu_set *set, char *text, size_t bytes);

#endif
