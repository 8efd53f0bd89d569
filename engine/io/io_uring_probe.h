/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel's io_uring can do, found out by trying. */
#ifndef ENGINE_IO_IO_URING_PROBE_H
#define ENGINE_IO_IO_URING_PROBE_H

#include <stdint.h>

#include <weft/error.h>

/* ok if everything the io_uring backend needs works here; text then lists what was found.  Otherwise UNSUPPORTED, and
 * text says what is missing and what to do. */
WEFT_NODISCARD enum weft_err io_uring_probe(char *text, uint32_t text_bytes);

#endif
