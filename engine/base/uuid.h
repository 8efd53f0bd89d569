/* SPDX-License-Identifier: Apache-2.0 */
/* Node ids as text: 8-4-4-4-12 hexadecimal digits, of any version and variant. */
#ifndef ENGINE_BASE_UUID_H
#define ENGINE_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_BYTES 16
/* The printed form with its NUL. */
#define UUID_TEXT_BYTES 37

/* Exactly 8-4-4-4-12 digits of either case and nothing else.  @return false: not a UUID; id is then untouched */
bool uuid_parse(uint8_t id[UUID_BYTES], const char *text);
/* In lower case. */
void uuid_print(const uint8_t id[UUID_BYTES], char text[UUID_TEXT_BYTES]);
/* All zero: no id. */
bool uuid_is_zero(const uint8_t id[UUID_BYTES]);

#endif
