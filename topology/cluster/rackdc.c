/* SPDX-License-Identifier: Apache-2.0 */
/* cassandra-rackdc.properties.
 *
 *     # a comment has a line of its own
 *     dc = my data centre
 *     rack = r1
 *     dc_suffix = _backup      (appended to dc)
 *     prefer_local = true      (of no use here)
 *
 * Happy path: each line is empty, a comment or key=value; spaces around key and value do not count.
 *
 * Failure modes: a line of another form, an unknown key, a key given twice, an empty or too long name, control
 * characters, dc or rack missing.  The first of them ends the parse. */
#include "topology/cluster/rackdc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/error.h"

/* A file of four keys and its comments. */
#define RACKDC_FILE_BYTES_MAX (64u * 1024)

enum rackdc_key { RACKDC_DC = 0, RACKDC_RACK, RACKDC_SUFFIX, RACKDC_PREFER_LOCAL, RACKDC_KEY_COUNT };

static const char *const key_names[RACKDC_KEY_COUNT] = {"dc", "rack", "dc_suffix", "prefer_local"};

/* A part of a line. */
struct rackdc_part {
    const char *text;
    size_t bytes;
};

struct rackdc_reader {
    const char *file;
    struct weft_error *why;
    const char *line_text;
    uint32_t line;
    struct rackdc_part values[RACKDC_KEY_COUNT];
    uint32_t lines[RACKDC_KEY_COUNT]; /* 0: not given */
};

static uint32_t reader_column(const struct rackdc_reader *reader, const char *at)
{
    return (uint32_t)(at - reader->line_text) + 1;
}

static bool byte_is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\f';
}

static struct rackdc_part part_trim(struct rackdc_part part)
{
    while (part.bytes > 0 && byte_is_space(part.text[0])) {
        part.text++;
        part.bytes--;
    }
    while (part.bytes > 0 && byte_is_space(part.text[part.bytes - 1])) {
        part.bytes--;
    }
    return part;
}

static enum weft_err value_check(const struct rackdc_reader *reader, const char *key, struct rackdc_part value)
{
    uint32_t column = reader_column(reader, value.text);
    if (value.bytes > WEFT_NAME_BYTES_MAX) {
        return weft_error_set(reader->why, WEFT_ERR_CONFIG, "%s:%u:%u: %s: a name of %zu bytes; %d are the most",
                              reader->file, reader->line, column, key, value.bytes, WEFT_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < value.bytes; i++) {
        unsigned char byte = (unsigned char)value.text[i];
        if (byte < 0x20 || byte == 0x7f) {
            return weft_error_set(reader->why, WEFT_ERR_CONFIG,
                                  "%s:%u:%u: %s: a control character; names are plain text", reader->file, reader->line,
                                  column + (uint32_t)i, key);
        }
        if (byte == '#' && i > 0 && value.text[i - 1] == ' ') {
            return weft_error_set(
                reader->why, WEFT_ERR_CONFIG,
                "%s:%u:%u: %s: a comment behind a value would become part of the name; give it a line "
                "of its own",
                reader->file, reader->line, column + (uint32_t)i, key);
        }
    }
    return WEFT_OK;
}

static enum weft_err reader_pair(struct rackdc_reader *reader, struct rackdc_part key, struct rackdc_part value)
{
    uint32_t column = reader_column(reader, key.text);
    uint32_t which = 0;
    while (which < RACKDC_KEY_COUNT &&
           (strlen(key_names[which]) != key.bytes || memcmp(key_names[which], key.text, key.bytes) != 0)) {
        which++;
    }
    if (which == RACKDC_KEY_COUNT) {
        return weft_error_set(reader->why, WEFT_ERR_CONFIG,
                              "%s:%u:%u: %.*s: not a key of this file; write dc, rack, dc_suffix or prefer_local",
                              reader->file, reader->line, column, (int)(key.bytes < 64 ? key.bytes : 64), key.text);
    }
    if (reader->lines[which] != 0) {
        return weft_error_set(reader->why, WEFT_ERR_CONFIG, "%s:%u:%u: %s: is given twice, first in line %u; keep one",
                              reader->file, reader->line, column, key_names[which], reader->lines[which]);
    }
    if (value.bytes == 0 && (which == RACKDC_DC || which == RACKDC_RACK)) {
        return weft_error_set(reader->why, WEFT_ERR_CONFIG, "%s:%u:%u: %s: is empty; write a name", reader->file,
                              reader->line, column, key_names[which]);
    }
    reader->values[which] = value;
    reader->lines[which] = reader->line;
    return value_check(reader, key_names[which], value);
}

static enum weft_err reader_line(struct rackdc_reader *reader, size_t bytes)
{
    struct rackdc_part line = part_trim((struct rackdc_part){reader->line_text, bytes});
    if (line.bytes == 0 || line.text[0] == '#') {
        return WEFT_OK;
    }
    const char *sign = memchr(line.text, '=', line.bytes);
    if (sign == NULL) {
        return weft_error_set(reader->why, WEFT_ERR_CONFIG, "%s:%u:%u: %.*s: not of the form key=value", reader->file,
                              reader->line, reader_column(reader, line.text), (int)(line.bytes < 64 ? line.bytes : 64),
                              line.text);
    }
    size_t key_bytes = (size_t)(sign - line.text);
    struct rackdc_part key = part_trim((struct rackdc_part){line.text, key_bytes});
    struct rackdc_part value = part_trim((struct rackdc_part){sign + 1, line.bytes - key_bytes - 1});
    return reader_pair(reader, key, value);
}

static enum weft_err reader_finish(const struct rackdc_reader *reader, struct rackdc *rackdc)
{
    const struct rackdc_part *values = reader->values;
    bool dc = reader->lines[RACKDC_DC] != 0;
    bool rack = reader->lines[RACKDC_RACK] != 0;
    if (!dc || !rack) {
        return weft_error_set(reader->why, WEFT_ERR_CONFIG, "%s:1:1: %s: %s missing; write both dc=... and rack=...",
                              reader->file, dc ? "rack" : "dc", dc || rack ? "is" : "and rack are");
    }
    if (values[RACKDC_DC].bytes + values[RACKDC_SUFFIX].bytes > WEFT_NAME_BYTES_MAX) {
        return weft_error_set(reader->why, WEFT_ERR_CONFIG,
                              "%s:%u:1: dc_suffix: dc and its suffix have %zu bytes; %d are the most", reader->file,
                              reader->lines[RACKDC_SUFFIX], values[RACKDC_DC].bytes + values[RACKDC_SUFFIX].bytes,
                              WEFT_NAME_BYTES_MAX);
    }
    snprintf(rackdc->dc, sizeof rackdc->dc, "%.*s%.*s", (int)values[RACKDC_DC].bytes, values[RACKDC_DC].text,
             (int)values[RACKDC_SUFFIX].bytes, values[RACKDC_SUFFIX].bytes > 0 ? values[RACKDC_SUFFIX].text : "");
    snprintf(rackdc->rack, sizeof rackdc->rack, "%.*s", (int)values[RACKDC_RACK].bytes, values[RACKDC_RACK].text);
    return WEFT_OK;
}

enum weft_err rackdc_parse(struct rackdc *rackdc, const char *file, const char *text, size_t bytes,
                           struct weft_error *why)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct rackdc_reader reader = {.file = file, .why = why};
    if (bytes > RACKDC_FILE_BYTES_MAX) {
        return weft_error_set(why, WEFT_ERR_CONFIG, "%s:1:1: file: larger than 64 KiB", file);
    }
    if (bytes >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    while (bytes > 0) {
        const char *newline = memchr(text, '\n', bytes);
        size_t line_bytes = newline == NULL ? bytes : (size_t)(newline - text);
        reader.line_text = text;
        reader.line++;
        WEFT_TRY(reader_line(&reader, line_bytes));
        line_bytes += newline == NULL ? 0 : 1;
        text += line_bytes;
        bytes -= line_bytes;
    }
    return reader_finish(&reader, rackdc);
}
