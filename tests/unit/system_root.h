/* SPDX-License-Identifier: Apache-2.0 */
/* A directory with files as a machine has them below /proc and /sys, for a test to read in place of its own. */
#ifndef TESTS_UNIT_SYSTEM_ROOT_H
#define TESTS_UNIT_SYSTEM_ROOT_H

/* Where it is, between setup and teardown. */
extern char system_root[64];

/* Setup and teardown of a cmocka test. */
int system_root_make(void **state);
int system_root_remove(void **state);

/* Write a file below the root, with the directories above it. */
void system_root_put(const char *path, const char *text);

#endif
