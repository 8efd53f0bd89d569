/* SPDX-License-Identifier: Apache-2.0 */
/* The tables /proc/interrupts and /proc/softirqs: a line that names the CPUs, then rows of one count for each.  Pure.
 */
#ifndef TOPOLOGY_MACHINE_INTERRUPTS_H
#define TOPOLOGY_MACHINE_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "topology/machine/cpu_set.h"

struct interrupt_columns {
    uint32_t count;
    uint32_t cpus[CPU_NUMBERS_MAX];
};

#define INTERRUPT_LABEL_BYTES 16u

struct interrupt_row {
    char label[INTERRUPT_LABEL_BYTES]; /* what stands before the colon: a number, "LOC", "NET_RX" */
    uint64_t total;
    uint64_t counts[CPU_NUMBERS_MAX]; /* by column; those that are missing are 0 */
    const char *tail;                 /* what follows: the chip, the pin, and who listens; within the line */
};

/* The first line.  @return false: it names no CPU, or something else */
bool interrupt_columns_parse(struct interrupt_columns *columns, const char *line);
/* @return false: this is no row */
bool interrupt_row_parse(const struct interrupt_columns *columns, const char *line, struct interrupt_row *row);
/* The number of a row, if it is an interrupt's.  @return false: it has a name instead */
bool interrupt_row_number(const struct interrupt_row *row, uint32_t *number);
/* Do those who listen, such as "PCI-MSI 524288-edge eth0-rx-0", name this interface? */
bool interrupt_tail_has(const char *tail, const char *interface);

#endif
