/* SPDX-License-Identifier: Apache-2.0 */
/* Error codes, reasons and records as text. */
#include "engine/base/error.h"

#include <stdio.h>
#include <string.h>

#include <weft/reason.h>

const char *weft_err_name(enum weft_err err)
{
    switch (err) {
#define WEFT_X(name, value, text, meaning)                                                                             \
    case WEFT_ERR_##name:                                                                                              \
        return text;
        WEFT_ERRORS(WEFT_X)
#undef WEFT_X
    }
    return "unknown";
}

const char *weft_err_meaning(enum weft_err err)
{
    switch (err) {
#define WEFT_X(name, value, text, meaning)                                                                             \
    case WEFT_ERR_##name:                                                                                              \
        return meaning;
        WEFT_ERRORS(WEFT_X)
#undef WEFT_X
    }
    return "unknown";
}

const char *weft_reason_name(enum weft_reason reason)
{
    switch (reason) {
    case WEFT_REASON_NONE:
        return "none";
#define WEFT_X(name, text)                                                                                             \
    case WEFT_REASON_##name:                                                                                           \
        return text;
        WEFT_REFUSALS(WEFT_X)
        WEFT_ENDS(WEFT_X)
        WEFT_DECISIONS(WEFT_X)
#undef WEFT_X
    case WEFT_REASON_REFUSALS_END:
    case WEFT_REASON_ENDS_BEGIN:
    case WEFT_REASON_ENDS_END:
    case WEFT_REASON_DECISIONS_BEGIN:
    case WEFT_REASON_COUNT:
        break;
    }
    return "unknown";
}

void weft_text_escape(char *to, uint32_t to_bytes, const char *from, uint32_t from_bytes)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t used = 0;
    for (uint32_t i = 0; i < from_bytes; i++) {
        unsigned char byte = (unsigned char)from[i];
        bool plain = byte >= 0x20 && byte < 0x7f;
        if (used + (plain ? 1u : 4u) + 1u > to_bytes) {
            break;
        }
        if (plain) {
            to[used++] = (char)byte;
        } else {
            to[used++] = '\\';
            to[used++] = 'x';
            to[used++] = digits[byte >> 4];
            to[used++] = digits[byte & 15];
        }
    }
    if (to_bytes > 0) {
        to[used] = '\0';
    }
}

static void error_fill(struct weft_error *why, enum weft_err code, const char *format, va_list arguments)
{
    char raw[WEFT_ERROR_TEXT_BYTES];
    int written = vsnprintf(raw, sizeof raw, format, arguments);
    uint32_t bytes = written < 0 ? 0 : (uint32_t)strlen(raw);
    why->code = code;
    weft_text_escape(why->text, sizeof why->text, raw, bytes);
}

static bool error_is_free(const struct weft_error *why)
{
    return why != NULL && why->code == WEFT_OK;
}

enum weft_err weft_error_set(struct weft_error *why, enum weft_err code, const char *format, ...)
{
    if (error_is_free(why)) {
        va_list arguments;
        va_start(arguments, format);
        error_fill(why, code, format, arguments);
        va_end(arguments);
    }
    return code;
}

enum weft_err weft_error_set_errno(struct weft_error *why, enum weft_err code, int os_errno, const char *format, ...)
{
    if (error_is_free(why)) {
        char place[WEFT_ERROR_TEXT_BYTES];
        char cause[128];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(place, sizeof place, format, arguments);
        va_end(arguments);
        weft_error_set(why, code, "%s: %s", place, strerror_r(os_errno, cause, sizeof cause));
        why->os_errno = os_errno;
    }
    return code;
}

enum weft_err weft_error_set_reason(struct weft_error *why, enum weft_err code, enum weft_reason reason,
                                    const char *format, ...)
{
    if (error_is_free(why)) {
        va_list arguments;
        va_start(arguments, format);
        error_fill(why, code, format, arguments);
        va_end(arguments);
        why->reason = reason;
    }
    return code;
}
