/* SPDX-License-Identifier: Apache-2.0 */
/* Filling error records. */
#ifndef ENGINE_BASE_ERROR_H
#define ENGINE_BASE_ERROR_H

#include <stdarg.h>

#include <weft/error.h>

/* Fill the record if it is there and still empty, and return code.  Bytes below 0x20, 0x7f and above become \xNN, so
 * that names from outside cannot forge a line; text that does not fit is cut. */
enum weft_err weft_error_set(struct weft_error *why, enum weft_err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with an errno: ": <strerror>" is appended and os_errno set. */
enum weft_err weft_error_set_errno(struct weft_error *why, enum weft_err code, int os_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with a reason. */
enum weft_err weft_error_set_reason(struct weft_error *why, enum weft_err code, enum weft_reason reason,
                                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Copy text with control and non-ASCII bytes as \xNN; always NUL-terminated; cut at to_bytes. */
void weft_text_escape(char *to, uint32_t to_bytes, const char *from, uint32_t from_bytes);

#endif
