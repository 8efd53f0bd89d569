/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a configuration as values.
 *
 * Happy path: the whole text is one value of the kind that was asked for.
 *
 * Failure modes: anything else is INVALID, and the text of the error says what would be right.  Nothing is guessed:
 * no sign, no fraction, no space, no unit that could mean two things. */
#include "config/config_scalar.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/base/nearest.h"
#include "engine/base/uuid.h"

/* A day: longer timeouts are mistakes of a unit. */
#define TIME_NS_MAX UINT64_C(86400000000000)
/* CPU numbers of Linux end far below. */
#define CPU_MAX 8191u

struct scalar_unit {
    const char *text;
    uint64_t factor;
};

/* The smallest first. */
static const struct scalar_unit size_units[] = {
    {"B", 1}, {"KiB", UINT64_C(1) << 10}, {"MiB", UINT64_C(1) << 20}, {"GiB", UINT64_C(1) << 30}};
static const struct scalar_unit time_units[] = {{"ns", 1},
                                                {"us", 1000},
                                                {"ms", 1000000},
                                                {"s", 1000000000},
                                                {"m", UINT64_C(60000000000)},
                                                {"h", UINT64_C(3600000000000)}};
#define UNIT_COUNT(units) (sizeof(units) / sizeof(units)[0])

enum weft_err config_scalar_bool(bool *value, const char *text, struct weft_error *why)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "n", "y"};
    for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = (i & 1u) != 0;
            return WEFT_OK;
        }
    }
    return weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" is neither true nor false", text);
}

/* Leading decimal digits.  @return what follows them; NULL: no digit, or more than 64 bits */
static const char *digits_read(uint64_t *value, const char *text)
{
    *value = 0;
    if (!isdigit((unsigned char)*text)) {
        return NULL;
    }
    for (; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(*value, UINT64_C(10), value) ||
            __builtin_add_overflow(*value, (uint64_t)(*text - '0'), value)) {
            return NULL;
        }
    }
    return text;
}

/* 010 is eight for some readers and ten for others. */
static bool has_leading_zero(const char *text)
{
    return text[0] == '0' && isdigit((unsigned char)text[1]);
}

enum weft_err config_scalar_number(uint64_t *value, const char *text, uint64_t min, uint64_t max,
                                   struct weft_error *why)
{
    const char *end = digits_read(value, text);
    if (end == NULL || *end != '\0' || has_leading_zero(text) || *value < min || *value > max) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "\"%.64s\" is not possible; write a number from %" PRIu64 " to %" PRIu64, text, min, max);
    }
    return WEFT_OK;
}

/* A number and one of the units.  @return ok | INVALID, where the text is the caller's unless the unit is missing */
static enum weft_err quantity_read(uint64_t *value, const char *text, const struct scalar_unit *units, uint32_t count,
                                   const char *example, struct weft_error *why)
{
    uint64_t number;
    const char *unit = digits_read(&number, text);
    if (unit != NULL && *unit == '\0' && number == 0) {
        *value = 0;
        return WEFT_OK;
    }
    if (unit != NULL && *unit == '\0') {
        return weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" has no unit; write it with one, such as %s", text,
                              example);
    }
    for (uint32_t i = 0; unit != NULL && !has_leading_zero(text) && i < count; i++) {
        if (strcmp(unit, units[i].text) == 0 && !__builtin_mul_overflow(number, units[i].factor, value)) {
            return WEFT_OK;
        }
    }
    return WEFT_ERR_INVALID;
}

static void quantity_print(uint64_t value, const struct scalar_unit *units, uint32_t count,
                           char text[CONFIG_QUANTITY_BYTES])
{
    uint32_t unit = count - 1;
    while (value % units[unit].factor != 0) {
        unit--;
    }
    snprintf(text, CONFIG_QUANTITY_BYTES, "%" PRIu64 "%s", value / units[unit].factor, units[unit].text);
}

void config_scalar_print_size(uint64_t bytes, char text[CONFIG_QUANTITY_BYTES])
{
    quantity_print(bytes, size_units, UNIT_COUNT(size_units), text);
}

void config_scalar_print_time(uint64_t ns, char text[CONFIG_QUANTITY_BYTES])
{
    quantity_print(ns, time_units, UNIT_COUNT(time_units), text);
}

enum weft_err config_scalar_size(uint64_t *bytes, const char *text, struct weft_error *why)
{
    if (quantity_read(bytes, text, size_units, UNIT_COUNT(size_units), "256MiB", why) == WEFT_OK) {
        return WEFT_OK;
    }
    return weft_error_set(why, WEFT_ERR_INVALID,
                          "\"%.64s\" is not a size; write a whole number and B, KiB, MiB or GiB, such as 256MiB", text);
}

enum weft_err config_scalar_time(uint64_t *ns, const char *text, struct weft_error *why)
{
    enum weft_err err = quantity_read(ns, text, time_units, UNIT_COUNT(time_units), "5s", why);
    if (err == WEFT_OK && *ns > TIME_NS_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" is too long; 24h is the most", text);
    }
    if (err == WEFT_OK) {
        return WEFT_OK;
    }
    return weft_error_set(why, WEFT_ERR_INVALID,
                          "\"%.64s\" is not a time; write a whole number and ns, us, ms, s, m or h, such as 5s", text);
}

void config_scalar_list_words(char *list, size_t list_bytes, const struct config_word *words, uint32_t word_count)
{
    size_t used = 0;
    list[0] = '\0';
    for (uint32_t i = 0; i < word_count && used < list_bytes; i++) {
        const char *joint = i == 0 ? "" : i + 1 == word_count ? " or " : ", ";
        used += (size_t)snprintf(list + used, list_bytes - used, "%s%s", joint, words[i].text);
    }
}

enum weft_err config_scalar_word(int *value, const char *text, const struct config_word *words, uint32_t word_count,
                                 struct weft_error *why)
{
    char list[160];
    struct nearest nearest;
    nearest_init(&nearest, text);
    for (uint32_t i = 0; i < word_count; i++) {
        if (strcmp(text, words[i].text) == 0) {
            *value = words[i].value;
            return WEFT_OK;
        }
        nearest_offer(&nearest, words[i].text);
    }
    config_scalar_list_words(list, sizeof list, words, word_count);
    /* Something of the word must be left. */
    bool near = nearest.distance <= 2 && (strlen(text) > nearest.distance || strlen(nearest.best) > nearest.distance);
    if (near) {
        return weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" is not one of %s; did you mean %s?", text, list,
                              nearest.best);
    }
    return weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" is not one of %s", text, list);
}

enum weft_err config_scalar_uuid(const char *text, struct weft_error *why)
{
    uint8_t id[UUID_BYTES];
    if (!uuid_parse(id, text)) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "\"%.64s\" is not a UUID such as 6f1c2d3e-4b5a-4978-8695-a4b3c2d1e0f9", text);
    }
    if (uuid_is_zero(id)) {
        return weft_error_set(why, WEFT_ERR_INVALID, "the UUID of zeros names no node; write the node's own");
    }
    return WEFT_OK;
}

enum weft_err config_scalar_name(const char *text, struct weft_error *why)
{
    size_t bytes = strlen(text);
    if (bytes == 0) {
        return weft_error_set(why, WEFT_ERR_INVALID, "is empty; write a name or remove it");
    }
    if (bytes > WEFT_NAME_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_INVALID, "a name of %zu bytes; 255 are the most", bytes);
    }
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7f) {
            return weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" holds a control character; names are plain text",
                                  text);
        }
    }
    if (text[0] == ' ' || text[bytes - 1] == ' ') {
        return weft_error_set(why, WEFT_ERR_INVALID, "\"%.64s\" has spaces around it; remove them", text);
    }
    return WEFT_OK;
}

/* One CPU or a range of CPUs.  @return what follows; NULL: neither */
static const char *cpu_range_read(const char *text)
{
    uint64_t first;
    uint64_t last;
    const char *end = digits_read(&first, text);
    if (end == NULL || first > CPU_MAX) {
        return NULL;
    }
    if (*end != '-') {
        return end;
    }
    end = digits_read(&last, end + 1);
    return end != NULL && last <= CPU_MAX && last >= first ? end : NULL;
}

enum weft_err config_scalar_shards(const char *text, struct weft_error *why)
{
    uint64_t count;
    const char *end = digits_read(&count, text);
    if (strcmp(text, "auto") == 0 ||
        (end != NULL && *end == '\0' && !has_leading_zero(text) && count >= 1 && count <= SHARDS_MAX)) {
        return WEFT_OK;
    }
    const char *range = strpbrk(text, "-,") != NULL ? text : NULL;
    while (range != NULL) {
        end = cpu_range_read(range);
        if (end != NULL && *end == '\0') {
            return WEFT_OK;
        }
        range = end != NULL && *end == ',' ? end + 1 : NULL;
    }
    return weft_error_set(why, WEFT_ERR_INVALID,
                          "\"%.64s\" is not possible; write auto, a number from 1 to %u, or CPUs such as 0-3,8", text,
                          SHARDS_MAX);
}
