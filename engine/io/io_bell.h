/* SPDX-License-Identifier: Apache-2.0 */
/* A bell: a descriptor that is readable from when somebody rang it until its owner has heard it. */
#ifndef ENGINE_IO_IO_BELL_H
#define ENGINE_IO_IO_BELL_H

#include <stdint.h>

#include <weft/error.h>

WEFT_NODISCARD enum weft_err io_bell_open(int32_t *bell, struct weft_error *why);
void io_bell_close(int32_t bell);
/* Any thread. */
void io_bell_ring(int32_t bell);
void io_bell_hear(int32_t bell);

#endif
