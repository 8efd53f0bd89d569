/* SPDX-License-Identifier: Apache-2.0 */
/* Files of properties.
 *
 * Happy path: the file is looked at once as a whole; then each logical line, which may continue over several of the
 * file, is cut into glyphs, that is characters without their escapes; glyphs become key, separator and value.
 *
 * Failure modes: what is no text (NUL, UTF-16), what hides something (a byte order mark, a carriage return alone), what
 * differs between readers (bytes that are not ASCII), broken escapes, control characters, overlong keys and values.
 * With `scylla` set, also everything that only java.util.Properties understands.  One fault per logical line is told.
 */
#include "topology/cluster/properties.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weft/error.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

enum glyph_kind { GLYPH_END = 0, GLYPH_PLAIN, GLYPH_ESCAPED };

struct glyph {
    enum glyph_kind kind;
    uint32_t code; /* Unicode */
    uint32_t line;
    uint32_t column;
};

static void fault_tell(const struct properties *properties, uint32_t line, uint32_t column, const char *key,
                       const char *format, va_list arguments)
{
    char what[WEFT_ERROR_TEXT_BYTES];
    char raw[2 * WEFT_ERROR_TEXT_BYTES];
    char printable[WEFT_ERROR_TEXT_BYTES];
    vsnprintf(what, sizeof what, format, arguments);
    snprintf(raw, sizeof raw, "%s:%u:%u: %.64s: %s", properties->file, line, column, key, what);
    weft_text_escape(printable, sizeof printable, raw, (uint32_t)strlen(raw));
    properties->faults->count++;
    properties->faults->add(properties->faults->ctx, printable);
}

void properties_fault(const struct properties *properties, uint32_t line, uint32_t column, const char *key,
                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault_tell(properties, line, column, key, format, arguments);
    va_end(arguments);
}

static uint32_t column_here(const struct properties *properties)
{
    return (uint32_t)(properties->at - properties->line_begin) + 1;
}

/* The first fault of a logical line; the line is read on to its end. */
static void line_fault(struct properties *properties, uint32_t line, uint32_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void line_fault(struct properties *properties, uint32_t line, uint32_t column, const char *format, ...)
{
    va_list arguments;
    if (properties->line_bad) {
        return;
    }
    properties->line_bad = true;
    va_start(arguments, format);
    fault_tell(properties, line, column, "line", format, arguments);
    va_end(arguments);
}

static bool text_begins(const char *text, size_t bytes, const char *with, size_t with_bytes)
{
    return bytes >= with_bytes && memcmp(text, with, with_bytes) == 0;
}

/* A carriage return alone would end the line for one reader and not for another, and may hide what stands behind. */
static bool text_look(struct properties *properties)
{
    const char *begin = properties->at;
    for (; properties->at < properties->end; properties->at++) {
        char byte = *properties->at;
        bool last = properties->at + 1 == properties->end;
        if (byte == '\0') {
            properties_fault(properties, properties->line, column_here(properties), "file",
                             "a NUL byte, so this is no text or UTF-16; save it as plain ASCII text");
            return false;
        }
        if (byte == '\r' && !last && properties->at[1] != '\n') {
            properties_fault(properties, properties->line, column_here(properties), "file",
                             "a carriage return alone ends the line for Cassandra, but not for an editor; end lines "
                             "with \\n or \\r\\n");
            return false;
        }
        if (byte == '\n') {
            properties->line++;
            properties->line_begin = properties->at + 1;
        }
    }
    properties->at = begin;
    properties->line_begin = begin;
    properties->line = 1;
    return true;
}

bool properties_open(struct properties *properties, const char *file, const char *text, size_t bytes, size_t bytes_max,
                     struct properties_faults *faults)
{
    *properties = (struct properties){
        .file = file, .faults = faults, .at = text, .end = text + bytes, .line_begin = text, .line = 1};
    if (bytes > bytes_max) {
        properties_fault(properties, 1, 1, "file", "has %zu bytes; %zu KiB are the most", bytes, bytes_max / 1024);
        return false;
    }
    if (text_begins(text, bytes, "\xef\xbb\xbf", 3)) {
        properties_fault(properties, 1, 1, "file",
                         "begins with a byte order mark, which Cassandra and Scylla read as a part of the first line; "
                         "save it without");
        return false;
    }
    if (text_begins(text, bytes, "\xff\xfe", 2) || text_begins(text, bytes, "\xfe\xff", 2)) {
        properties_fault(properties, 1, 1, "file", "is UTF-16; save it as plain ASCII text");
        return false;
    }
    return text_look(properties);
}

static bool at_newline(const struct properties *properties)
{
    return properties->at < properties->end && (*properties->at == '\n' || *properties->at == '\r');
}

/* "\n", "\r\n", or "\r" at the end of the file. */
static void newline_pass(struct properties *properties)
{
    WEFT_ASSERT(at_newline(properties));
    properties->at += *properties->at == '\r' && properties->at + 1 < properties->end ? 2 : 1;
    properties->line++;
    properties->line_begin = properties->at;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\f';
}

static void blanks_pass(struct properties *properties)
{
    while (properties->at < properties->end && is_blank(*properties->at)) {
        properties->at++;
    }
}

static void comment_pass(struct properties *properties)
{
    while (properties->at < properties->end && !at_newline(properties)) {
        properties->at++;
    }
}

/* To the first byte of the next logical line. */
static bool line_find(struct properties *properties)
{
    for (;;) {
        blanks_pass(properties);
        if (properties->at == properties->end) {
            return false;
        }
        if (at_newline(properties)) {
            newline_pass(properties);
        } else if (*properties->at == '#') {
            comment_pass(properties);
        } else if (*properties->at == '!') {
            properties->line_bad = false;
            if (properties->scylla) {
                line_fault(properties, properties->line, column_here(properties),
                           "begins with !, a comment for Cassandra and a fault for Scylla; begin comments with #");
            }
            comment_pass(properties);
        } else {
            return true;
        }
    }
}

/* The code point that well-formed UTF-8 begins with; 0: it is not. */
static uint32_t utf8_decode(const uint8_t *text, size_t bytes)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t count = text[0] >= 0xf0 ? 4u : text[0] >= 0xe0 ? 3u : 2u;
    if (text[0] < 0xc2 || text[0] > 0xf4 || count > bytes) {
        return 0;
    }
    uint32_t code = text[0] & (0x7fu >> count);
    for (uint32_t i = 1; i < count; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (text[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code < least[count] || code > 0x10ffff || surrogate ? 0 : code;
}

static void fault_not_ascii(struct properties *properties)
{
    uint8_t byte = (uint8_t)*properties->at;
    uint32_t code = utf8_decode((const uint8_t *)properties->at, (size_t)(properties->end - properties->at));
    uint32_t column = column_here(properties);
    if (properties->scylla) {
        line_fault(properties, properties->line, column,
                   "byte 0x%02x is ISO 8859-1 for Cassandra and taken as it is by Scylla; use ASCII letters", byte);
    } else if (code > 0xffff) {
        line_fault(properties, properties->line, column,
                   "byte 0x%02x is ISO 8859-1 for Cassandra, not the UTF-8 it seems to be; write \\u%04x\\u%04x", byte,
                   0xd800u + ((code - 0x10000) >> 10), 0xdc00u + ((code - 0x10000) & 0x3ff));
    } else if (code != 0) {
        line_fault(properties, properties->line, column,
                   "byte 0x%02x is ISO 8859-1 for Cassandra, not the UTF-8 it seems to be; write \\u%04x", byte, code);
    } else {
        line_fault(properties, properties->line, column,
                   "byte 0x%02x is not ASCII; write it as an escape, such as \\u%04x", byte, byte);
    }
}

/* Four hexadecimal digits behind "\u". */
static bool hex_parse(struct properties *properties, uint32_t *code)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 4; i++) {
        if (properties->at == properties->end || !isxdigit((unsigned char)*properties->at)) {
            return false;
        }
        char digit = (char)tolower((unsigned char)*properties->at++);
        sum = sum << 4 | (uint32_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    *code = sum;
    return true;
}

/* "\uXXXX", or two of them for what lies beyond. */
static uint32_t unicode_parse(struct properties *properties)
{
    uint32_t column = column_here(properties) - 2;
    uint32_t high;
    uint32_t low;
    if (!hex_parse(properties, &high)) {
        line_fault(properties, properties->line, column, "\\u needs four hexadecimal digits, such as \\u00fc");
        return '?';
    }
    if (high < 0xd800 || high > 0xdfff) {
        return high;
    }
    if (high < 0xdc00 && text_begins(properties->at, (size_t)(properties->end - properties->at), "\\u", 2)) {
        properties->at += 2;
        if (hex_parse(properties, &low) && low >= 0xdc00 && low <= 0xdfff) {
            return 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00));
        }
    }
    line_fault(properties, properties->line, column, "\\u%04x is half of a character; write both halves, or another",
               high);
    return '?';
}

/* What a backslash that does not continue the line stands for. */
static uint32_t escape_parse(struct properties *properties)
{
    static const char letters[] = "tnrf";
    static const char meanings[] = "\t\n\r\f";
    uint32_t line = properties->line;
    uint32_t column = column_here(properties) - 1;
    uint8_t byte = (uint8_t)*properties->at;
    uint32_t code = byte;
    if (properties->scylla) {
        line_fault(
            properties, line, column,
            "a backslash begins an escape for Cassandra and is a part of the name for Scylla; use names without");
    }
    if (byte >= 0x80) {
        fault_not_ascii(properties);
    }
    properties->at++;
    const char *letter = strchr(letters, (char)byte);
    if (byte == 'u') {
        code = unicode_parse(properties);
    } else if (letter != NULL) {
        code = (uint8_t)meanings[letter - letters];
    }
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
        line_fault(properties, line, column, "the escape makes a control character; names are plain text");
        code = '?';
    }
    return code;
}

/* A backslash at the end of a line; java.util.Properties skips the blanks that the next one begins with.
 * @return false: the file ends here */
static bool line_continue(struct properties *properties)
{
    if (properties->scylla) {
        line_fault(properties, properties->line, column_here(properties) - 1,
                   "a backslash continues the line for Cassandra and is a part of it for Scylla; write one line");
    }
    if (properties->at < properties->end) {
        newline_pass(properties);
        blanks_pass(properties);
    }
    return properties->at < properties->end;
}

static struct glyph glyph_next(struct properties *properties)
{
    while (properties->at < properties->end && !at_newline(properties)) {
        uint8_t byte = (uint8_t)*properties->at;
        struct glyph glyph = {GLYPH_PLAIN, byte, properties->line, column_here(properties)};
        if (byte == '\\') {
            properties->at++;
            if (properties->at < properties->end && !at_newline(properties)) {
                glyph.kind = GLYPH_ESCAPED;
                glyph.code = escape_parse(properties);
                return glyph;
            }
            if (!line_continue(properties)) {
                break;
            }
            continue;
        }
        if (byte >= 0x80) {
            fault_not_ascii(properties);
        } else if (byte < 0x20 ? !is_blank((char)byte) : byte == 0x7f) {
            line_fault(properties, glyph.line, glyph.column, "a control character; names are plain text");
        }
        properties->at++;
        return glyph;
    }
    struct glyph end = {GLYPH_END, 0, properties->line, column_here(properties)};
    if (properties->at < properties->end) {
        newline_pass(properties);
    }
    return end;
}

static bool glyph_is(const struct glyph *glyph, char byte)
{
    return glyph->kind == GLYPH_PLAIN && glyph->code == (uint8_t)byte;
}

static bool glyph_is_blank(const struct glyph *glyph)
{
    return glyph->kind == GLYPH_PLAIN && is_blank((char)glyph->code);
}

/* Append a character as UTF-8.  @return false: there is no room */
static bool text_append(char *text, uint32_t *bytes, uint32_t bytes_max, uint32_t code)
{
    char utf8[4];
    uint32_t count = code < 0x80 ? 1u : code < 0x800 ? 2u : code < 0x10000 ? 3u : 4u;
    static const uint8_t marks[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (*bytes + count > bytes_max) {
        return false;
    }
    for (uint32_t i = count; i > 1; i--) {
        utf8[i - 1] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    utf8[0] = (char)(marks[count] | code);
    memcpy(text + *bytes, utf8, count);
    *bytes += count;
    text[*bytes] = '\0';
    return true;
}

/* The key; glyph is the one that ended it. */
static void key_read(struct properties *properties, struct property *property, struct glyph *glyph)
{
    while (glyph->kind != GLYPH_END && !glyph_is(glyph, '=') && !glyph_is(glyph, ':') && !glyph_is_blank(glyph)) {
        if (!text_append(property->key, &property->key_bytes, PROPERTY_KEY_BYTES_MAX, glyph->code)) {
            line_fault(properties, property->line, property->column, "a key of more than %u bytes; is this line right?",
                       PROPERTY_KEY_BYTES_MAX);
        }
        *glyph = glyph_next(properties);
    }
}

/* What stands between key and value: blanks, among them at most one sign. */
static void separator_read(struct properties *properties, struct property *property, struct glyph *glyph)
{
    while (glyph_is_blank(glyph) || ((glyph_is(glyph, '=') || glyph_is(glyph, ':')) && property->separator != '=' &&
                                     property->separator != ':')) {
        if (!glyph_is_blank(glyph)) {
            property->separator = (char)glyph->code;
        } else if (property->separator == '\0') {
            property->separator = ' ';
        }
        *glyph = glyph_next(properties);
    }
}

static void value_read(struct properties *properties, struct property *property, struct glyph *glyph)
{
    property->value_line = glyph->line;
    property->value_column = glyph->column;
    uint32_t trimmed = 0;
    for (; glyph->kind != GLYPH_END; *glyph = glyph_next(properties)) {
        if (properties->scylla && property->separator == '=' && glyph_is(glyph, '=')) {
            line_fault(properties, glyph->line, glyph->column,
                       "a second =, a part of the value for Cassandra and a fault for Scylla; use a name without");
        }
        if (!text_append(property->value, &property->value_bytes, PROPERTY_VALUE_BYTES_MAX, glyph->code)) {
            line_fault(properties, property->value_line, property->value_column,
                       "a value of more than %u bytes; is this line right?", PROPERTY_VALUE_BYTES_MAX);
        }
        trimmed = glyph->code > ' ' ? property->value_bytes : trimmed;
    }
    property->value_bytes = trimmed;
    property->value[trimmed] = '\0';
}

/* One logical line.  @return false: it was empty or faulty */
static bool line_read(struct properties *properties, struct property *property)
{
    struct glyph glyph = glyph_next(properties);
    *property = (struct property){.line = glyph.line, .column = glyph.column};
    key_read(properties, property, &glyph);
    if (property->key_bytes == 0 && glyph.kind == GLYPH_END) {
        return false;
    }
    separator_read(properties, property, &glyph);
    value_read(properties, property, &glyph);
    if (property->key_bytes == 0) {
        line_fault(properties, property->line, property->column, "nothing stands before the %c; write key=value",
                   property->separator);
    }
    if (properties->scylla && property->separator != '=') {
        line_fault(properties, property->line, property->column,
                   "\"%.64s\" is \"%.64s\" for Cassandra, and a line without = a fault for Scylla; write %.64s=%.64s",
                   property->key, property->value, property->key, property->value);
    }
    return !properties->line_bad;
}

bool properties_next(struct properties *properties, struct property *property)
{
    while (line_find(properties)) {
        properties->line_bad = false;
        if (line_read(properties, property)) {
            return true;
        }
    }
    return false;
}

bool properties_name(const struct properties *properties, const struct property *property, uint32_t begin,
                     uint32_t bytes, const char *what)
{
    const char *name = property->value + begin;
    uint32_t column = property->value_column + begin;
    if (bytes > WEFT_NAME_BYTES_MAX) {
        properties_fault(properties, property->value_line, column, property->key, "a %s of %u bytes; %d are the most",
                         what, bytes, WEFT_NAME_BYTES_MAX);
        return false;
    }
    for (uint32_t i = 0; i < bytes; i++) {
        if (name[i] == '#' && i > 0 && (name[i - 1] == ' ' || name[i - 1] == '\t')) {
            properties_fault(properties, property->value_line, column + i, property->key,
                             "a comment behind a value would become a part of the name; give it a line of its own");
            return false;
        }
        if (name[i] == '\t' || name[i] == '\f') {
            properties_fault(properties, property->value_line, column + i, property->key,
                             "a tabulator or form feed inside a %s; names are plain text", what);
            return false;
        }
    }
    return true;
}
