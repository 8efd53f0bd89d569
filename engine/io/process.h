/* SPDX-License-Identifier: Apache-2.0 */
/* What the system lets this process have. */
#ifndef ENGINE_IO_PROCESS_H
#define ENGINE_IO_PROCESS_H

#include <stdint.h>

/* File descriptors that it may have, and has; 0: not known. */
uint64_t process_descriptors_max(void);
uint32_t process_descriptors_open(void);
/* Bytes that it may lock, UINT64_MAX for no limit: what io_uring's queues may count against. */
uint64_t process_locked_bytes_max(void);

#endif
