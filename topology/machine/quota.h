/* SPDX-License-Identifier: Apache-2.0 */
/* How much CPU time the control groups of this process allow it: cpu.max of version 2, cpu.cfs_quota_us of version 1,
 * and the least of all groups from its own up to the root. */
#ifndef TOPOLOGY_MACHINE_QUOTA_H
#define TOPOLOGY_MACHINE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#define QUOTA_SOURCE_BYTES 256u

struct quota {
    uint32_t millicpus;              /* thousandths of a CPU; 0: no limit is known */
    char source[QUOTA_SOURCE_BYTES]; /* the file that says so */
};

/* @param root "" for this machine, as in system_file.h */
void quota_read(const char *root, struct quota *quota);

/* Pure: thousandths of a CPU by the text of cpu.max, such as "200000 100000"; 0: no limit, or another text. */
uint32_t quota_of_max(const char *text);
/* Pure: the same by the texts of cpu.cfs_quota_us and cpu.cfs_period_us. */
uint32_t quota_of_cfs(const char *quota_text, const char *period_text);

#endif
