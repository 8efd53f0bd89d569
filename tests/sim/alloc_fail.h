/* SPDX-License-Identifier: Apache-2.0 */
/* Lets the nth allocation of our code fail: malloc, calloc, realloc, aligned_alloc, strdup and mmap where the test's
 * own objects call them (--wrap of the linker), yaml's parser where it would run out of memory, and the simulator's own
 * memory never.  What is allocated and not freed is counted. */
#ifndef TESTS_SIM_ALLOC_FAIL_H
#define TESTS_SIM_ALLOC_FAIL_H

#include <stdbool.h>
#include <stdint.h>

/* Count from now on; the nth allocation fails, and no other.  0: none fails. */
void alloc_fail_arm(uint64_t nth);
/* No more counting.  @return whether one failed */
bool alloc_fail_disarm(void);
/* Whether one failed since it was armed. */
bool alloc_fail_struck(void);
/* Allocations since it was armed. */
uint64_t alloc_fail_count(void);
/* Blocks and mappings that are not given back. */
int64_t alloc_live(void);
/* Before OpenSSL's first allocation: its allocations are counted and fail too, while `on`. */
void alloc_fail_hook_openssl(void);
void alloc_fail_openssl(bool on);

#endif
