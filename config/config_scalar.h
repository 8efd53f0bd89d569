/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a configuration as values.  Pure; each returns INVALID with what is wrong and what would be right. */
#ifndef CONFIG_CONFIG_SCALAR_H
#define CONFIG_CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/error.h>

/* A word of a fixed set and its value. */
struct config_word {
    const char *text;
    int value;
};

/* A printed size or time, with its unit. */
#define CONFIG_QUANTITY_BYTES 32u

/* In the largest unit that has no fraction. */
void config_scalar_print_size(uint64_t bytes, char text[CONFIG_QUANTITY_BYTES]);
void config_scalar_print_time(uint64_t ns, char text[CONFIG_QUANTITY_BYTES]);
/* "a, b or c". */
void config_scalar_list_words(char *list, size_t list_bytes, const struct config_word *words, uint32_t word_count);

/* true, false, yes, no, on, off, y, n in any case. */
WEFT_NODISCARD enum weft_err config_scalar_bool(bool *value, const char *text, struct weft_error *why);
/* A decimal number from min to max, without sign, leading zero or unit. */
WEFT_NODISCARD enum weft_err config_scalar_number(uint64_t *value, const char *text, uint64_t min, uint64_t max,
                                                  struct weft_error *why);
/* A number with B, KiB, MiB or GiB; a lone 0 is fine. */
WEFT_NODISCARD enum weft_err config_scalar_size(uint64_t *bytes, const char *text, struct weft_error *why);
/* A number with ns, us, ms, s, m or h; a lone 0 is fine; a day at most. */
WEFT_NODISCARD enum weft_err config_scalar_time(uint64_t *ns, const char *text, struct weft_error *why);
/* One of the words, exactly as written.  On failure the right ones are listed. */
WEFT_NODISCARD enum weft_err config_scalar_word(int *value, const char *text, const struct config_word *words,
                                                uint32_t word_count, struct weft_error *why);
/* The usual form of a UUID, 8-4-4-4-12 hexadecimal digits, and not all zero. */
WEFT_NODISCARD enum weft_err config_scalar_uuid(const char *text, struct weft_error *why);
/* A name of a cluster, data centre or rack: 1 to 255 bytes, no control characters, no spaces around it. */
WEFT_NODISCARD enum weft_err config_scalar_name(const char *text, struct weft_error *why);
/* "auto", a count, or a CPU list such as 0-3,8. */
WEFT_NODISCARD enum weft_err config_scalar_shards(const char *text, struct weft_error *why);

#endif
