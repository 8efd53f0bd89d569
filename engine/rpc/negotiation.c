/* SPDX-License-Identifier: Apache-2.0 */
/* The negotiation's bytes.
 *
 * Reading gathers one piece at a time (frame head, record head, the needed part of a record's data) and acts when
 * the piece is whole, so that a frame needs no buffer of its own length and a fault is found where it stands.
 * Faults: a wrong magic byte; a frame over NEGOTIATION_BYTES_MAX; more than NEGOTIATION_RECORDS_MAX records; a
 * record cut by the end of its frame or reaching over it; data too short for its feature, a cookie too long. */
#include "engine/rpc/negotiation.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/bytes.h"

_Static_assert(COOKIE_BYTES_MAX <= NEGOTIATION_KEPT_BYTES_MAX, "a whole cookie must fit");
_Static_assert(NEGOTIATION_HEAD_BYTES <= NEGOTIATION_KEPT_BYTES_MAX, "the frame head is gathered there too");
_Static_assert(NEGOTIATION_WRITE_BYTES_MAX - NEGOTIATION_HEAD_BYTES <= NEGOTIATION_BYTES_MAX,
               "what we write must be readable");
_Static_assert(NEGOTIATION_RECORDS_MAX *NEGOTIATION_RECORD_HEAD_BYTES <= NEGOTIATION_BYTES_MAX,
               "the limit of records must be reachable");

static uint8_t *record_head_write(uint8_t *to, enum negotiation_feature feature, uint32_t bytes)
{
    bytes_store32(to, (uint32_t)feature);
    bytes_store32(to + 4, bytes);
    return to + NEGOTIATION_RECORD_HEAD_BYTES;
}

static uint8_t *record_u64_write(uint8_t *to, enum negotiation_feature feature, uint64_t value)
{
    to = record_head_write(to, feature, 8);
    bytes_store64(to, value);
    return to + 8;
}

static uint32_t frame_bytes(const struct negotiation *negotiation)
{
    uint32_t bytes = NEGOTIATION_HEAD_BYTES;
    bytes += negotiation->timeout ? NEGOTIATION_RECORD_HEAD_BYTES : 0;
    bytes += negotiation->has_connection_id ? NEGOTIATION_RECORD_HEAD_BYTES + 8 : 0;
    bytes += negotiation->has_stream_parent ? NEGOTIATION_RECORD_HEAD_BYTES + 8 : 0;
    bytes += negotiation->has_cookie ? NEGOTIATION_RECORD_HEAD_BYTES + negotiation->cookie_bytes : 0;
    bytes += negotiation->handler_duration ? NEGOTIATION_RECORD_HEAD_BYTES : 0;
    bytes += negotiation->has_hello ? NEGOTIATION_RECORD_HEAD_BYTES + hello_bytes(&negotiation->hello) : 0;
    bytes += negotiation->has_refusal ? NEGOTIATION_RECORD_HEAD_BYTES + 2 : 0;
    return bytes;
}

uint32_t negotiation_write(const struct negotiation *negotiation, uint8_t *to, uint32_t bytes_max)
{
    WEFT_ASSERT(!negotiation->has_cookie || negotiation->cookie_bytes <= COOKIE_BYTES_MAX);
    uint32_t bytes = frame_bytes(negotiation);
    if (bytes > bytes_max) {
        return 0;
    }
    memcpy(to, NEGOTIATION_MAGIC, NEGOTIATION_MAGIC_BYTES);
    bytes_store32(to + NEGOTIATION_MAGIC_BYTES, bytes - NEGOTIATION_HEAD_BYTES);
    uint8_t *end = to + NEGOTIATION_HEAD_BYTES;
    if (negotiation->timeout) {
        end = record_head_write(end, NEGOTIATION_TIMEOUT, 0);
    }
    if (negotiation->has_connection_id) {
        end = record_u64_write(end, NEGOTIATION_CONNECTION_ID, negotiation->connection_id);
    }
    if (negotiation->has_stream_parent) {
        end = record_u64_write(end, NEGOTIATION_STREAM_PARENT, negotiation->stream_parent);
    }
    if (negotiation->has_cookie) {
        end = record_head_write(end, NEGOTIATION_ISOLATION, negotiation->cookie_bytes);
        memcpy(end, negotiation->cookie, negotiation->cookie_bytes);
        end += negotiation->cookie_bytes;
    }
    if (negotiation->handler_duration) {
        end = record_head_write(end, NEGOTIATION_HANDLER_DURATION, 0);
    }
    if (negotiation->has_hello) {
        uint32_t data_bytes = hello_bytes(&negotiation->hello);
        end = record_head_write(end, NEGOTIATION_HELLO, data_bytes);
        end += hello_write(&negotiation->hello, end, data_bytes);
    }
    if (negotiation->has_refusal) {
        WEFT_ASSERT(negotiation->refusal > WEFT_REASON_NONE && negotiation->refusal < WEFT_REASON_REFUSALS_END);
        end = record_head_write(end, NEGOTIATION_REFUSAL, 2);
        bytes_store16(end, (uint16_t)negotiation->refusal);
        end += 2;
    }
    WEFT_ASSERT(end == to + bytes);
    return bytes;
}

void negotiation_reader_init(struct negotiation_reader *reader)
{
    memset(reader, 0, sizeof *reader);
}

/* The bit of a feature in `seen`; 0 for one that is not ours to know. */
static uint32_t feature_bit(uint32_t feature)
{
    switch (feature) {
    case NEGOTIATION_COMPRESS:
    case NEGOTIATION_TIMEOUT:
    case NEGOTIATION_CONNECTION_ID:
    case NEGOTIATION_STREAM_PARENT:
    case NEGOTIATION_ISOLATION:
    case NEGOTIATION_HANDLER_DURATION:
        return 1u << feature;
    case NEGOTIATION_HELLO:
        return 1u << 6;
    case NEGOTIATION_REFUSAL:
        return 1u << 7;
    default:
        return 0;
    }
}

/* How much of a record's data its feature looks at. */
static uint32_t feature_kept_bytes(uint32_t feature)
{
    switch (feature) {
    case NEGOTIATION_CONNECTION_ID:
    case NEGOTIATION_STREAM_PARENT:
        return 8;
    case NEGOTIATION_ISOLATION:
        return COOKIE_BYTES_MAX;
    case NEGOTIATION_HELLO:
        return HELLO_BYTES_MAX;
    case NEGOTIATION_REFUSAL:
        return 2;
    default:
        return 0;
    }
}

static bool u64_read(const struct negotiation_reader *reader, bool *has, uint64_t *value)
{
    if (reader->kept_bytes < 8) {
        return false;
    }
    *has = true;
    *value = bytes_load64(reader->kept);
    return true;
}

static bool cookie_read(const struct negotiation_reader *reader, struct negotiation *out)
{
    if (reader->rest_bytes > 0) {
        return false;
    }
    out->has_cookie = true;
    out->cookie_bytes = reader->kept_bytes;
    memcpy(out->cookie, reader->kept, reader->kept_bytes);
    return true;
}

static bool refusal_read(const struct negotiation_reader *reader, struct negotiation *out)
{
    if (reader->kept_bytes < 2) {
        return false;
    }
    uint16_t code = bytes_load16(reader->kept);
    bool known = code > WEFT_REASON_NONE && code < WEFT_REASON_REFUSALS_END;
    out->has_refusal = true;
    out->refusal = known ? (enum weft_reason)code : WEFT_REASON_REFUSED;
    return true;
}

/* Act on a known feature whose data is gathered.  @return false: bad data */
static bool feature_read(const struct negotiation_reader *reader, struct negotiation *out)
{
    switch (reader->feature) {
    case NEGOTIATION_COMPRESS:
        out->has_compress = true;
        return true;
    case NEGOTIATION_TIMEOUT:
        out->timeout = true;
        return true;
    case NEGOTIATION_CONNECTION_ID:
        return u64_read(reader, &out->has_connection_id, &out->connection_id);
    case NEGOTIATION_STREAM_PARENT:
        return u64_read(reader, &out->has_stream_parent, &out->stream_parent);
    case NEGOTIATION_ISOLATION:
        return cookie_read(reader, out);
    case NEGOTIATION_HANDLER_DURATION:
        out->handler_duration = true;
        return true;
    case NEGOTIATION_HELLO:
        out->has_hello = hello_read(&out->hello, (struct weft_span){reader->kept, reader->kept_bytes});
        return out->has_hello;
    case NEGOTIATION_REFUSAL:
        return refusal_read(reader, out);
    default:
        return true;
    }
}

_Static_assert(NEGOTIATION_RECORD_HEAD_BYTES == 8 && NEGOTIATION_RECORDS_MAX == 256 && NEGOTIATION_BYTES_MAX == 4096,
               "said so to people below");

/* @param said what a peer's negotiation does that none may, as words behind "it" */
static void reader_fail(struct negotiation_reader *reader, enum weft_reason why, const char *said)
{
    reader->phase = NEGOTIATION_PHASE_BAD;
    reader->bad = why;
    reader->said = said;
}

/* Gather the next record's head, or be done at the frame's end. */
static void reader_next_record(struct negotiation_reader *reader)
{
    if (reader->left_bytes == 0) {
        reader->phase = NEGOTIATION_PHASE_DONE;
        return;
    }
    if (reader->left_bytes < NEGOTIATION_RECORD_HEAD_BYTES) {
        reader_fail(reader, WEFT_REASON_BAD_NEGOTIATION, "ends inside the 8 bytes that begin a record");
        return;
    }
    if (reader->record_count == NEGOTIATION_RECORDS_MAX) {
        reader_fail(reader, WEFT_REASON_BAD_NEGOTIATION, "has more than 256 records");
        return;
    }
    reader->record_count++;
    reader->kept_bytes = 0;
    reader->phase = NEGOTIATION_PHASE_RECORD_HEAD;
}

/* The frame's length is known. */
static void reader_head_done(struct negotiation_reader *reader)
{
    reader->left_bytes = bytes_load32(reader->kept + NEGOTIATION_MAGIC_BYTES);
    if (reader->left_bytes > NEGOTIATION_BYTES_MAX) {
        reader_fail(reader, WEFT_REASON_BAD_NEGOTIATION, "is longer than 4096 bytes");
        return;
    }
    reader_next_record(reader);
}

/* Decide how much of the record's data to keep: what its feature looks at, and nothing of one that does not count. */
static void reader_record_head_done(struct negotiation_reader *reader)
{
    WEFT_ASSERT(reader->left_bytes >= NEGOTIATION_RECORD_HEAD_BYTES);
    reader->left_bytes -= NEGOTIATION_RECORD_HEAD_BYTES;
    uint32_t bytes = bytes_load32(reader->kept + 4);
    if (bytes > reader->left_bytes) {
        reader_fail(reader, WEFT_REASON_BAD_NEGOTIATION, "has a record that is longer than what holds it");
        return;
    }
    reader->left_bytes -= bytes;
    reader->feature = bytes_load32(reader->kept);
    uint32_t bit = feature_bit(reader->feature);
    reader->record_counts = bit != 0 && (reader->seen & bit) == 0;
    reader->seen |= bit;
    uint32_t needed = reader->record_counts ? feature_kept_bytes(reader->feature) : 0;
    reader->data_bytes = bytes < needed ? bytes : needed;
    reader->rest_bytes = bytes - reader->data_bytes;
    reader->kept_bytes = 0;
    reader->phase = NEGOTIATION_PHASE_RECORD_DATA;
}

static void reader_record_data_done(struct negotiation_reader *reader, struct negotiation *out)
{
    if (reader->record_counts && !feature_read(reader, out)) {
        reader_fail(reader, WEFT_REASON_BAD_NEGOTIATION, "has a record whose contents do not fit its feature");
        return;
    }
    reader->phase = NEGOTIATION_PHASE_RECORD_REST;
}

/* How many bytes the phase gathers before it acts. */
static uint32_t reader_want_bytes(const struct negotiation_reader *reader)
{
    switch (reader->phase) {
    case NEGOTIATION_PHASE_HEAD:
        return NEGOTIATION_HEAD_BYTES;
    case NEGOTIATION_PHASE_RECORD_HEAD:
        return NEGOTIATION_RECORD_HEAD_BYTES;
    case NEGOTIATION_PHASE_RECORD_DATA:
        return reader->data_bytes;
    default:
        return 0;
    }
}

/* Copy what the phase still wants.  A wrong magic byte is the last one taken.  @return bytes taken */
static uint32_t reader_gather(struct negotiation_reader *reader, struct weft_span in)
{
    uint32_t want = reader_want_bytes(reader);
    WEFT_ASSERT(want <= NEGOTIATION_KEPT_BYTES_MAX && reader->kept_bytes <= want);
    uint32_t bytes = want - reader->kept_bytes < in.bytes ? want - reader->kept_bytes : in.bytes;
    if (reader->phase == NEGOTIATION_PHASE_HEAD) {
        for (uint32_t i = 0; i < bytes && reader->kept_bytes + i < NEGOTIATION_MAGIC_BYTES; i++) {
            if (in.data[i] != (uint8_t)NEGOTIATION_MAGIC[reader->kept_bytes + i]) {
                reader_fail(reader, WEFT_REASON_BAD_MAGIC, "does not begin with SSTARRPC");
                return i + 1;
            }
        }
    }
    if (bytes > 0) {
        memcpy(reader->kept + reader->kept_bytes, in.data, bytes);
        reader->kept_bytes += bytes;
    }
    return bytes;
}

/* One phase's worth of progress.  @return false: it needs more input, or none any more */
static bool reader_step(struct negotiation_reader *reader, struct weft_span *in, struct negotiation *out)
{
    uint32_t bytes = 0;
    if (reader->phase == NEGOTIATION_PHASE_RECORD_REST) {
        bytes = reader->rest_bytes < in->bytes ? reader->rest_bytes : in->bytes;
        reader->rest_bytes -= bytes;
    } else {
        bytes = reader_gather(reader, *in);
    }
    if (bytes > 0) {
        in->data += bytes;
        in->bytes -= bytes;
    }
    if (reader->kept_bytes < reader_want_bytes(reader)) {
        return false;
    }
    switch (reader->phase) {
    case NEGOTIATION_PHASE_HEAD:
        reader_head_done(reader);
        return true;
    case NEGOTIATION_PHASE_RECORD_HEAD:
        reader_record_head_done(reader);
        return true;
    case NEGOTIATION_PHASE_RECORD_DATA:
        reader_record_data_done(reader, out);
        return true;
    case NEGOTIATION_PHASE_RECORD_REST:
        if (reader->rest_bytes > 0) {
            return false;
        }
        reader_next_record(reader);
        return true;
    case NEGOTIATION_PHASE_DONE:
    case NEGOTIATION_PHASE_BAD:
        break;
    }
    return false;
}

enum negotiation_step negotiation_read(struct negotiation_reader *reader, struct weft_span in, uint32_t *taken,
                                       struct negotiation *out, enum weft_reason *why)
{
    uint32_t bytes = in.bytes;
    *taken = 0;
    if (reader->phase == NEGOTIATION_PHASE_HEAD && reader->kept_bytes == 0) {
        memset(out, 0, sizeof *out);
    }
    while (reader->phase < NEGOTIATION_PHASE_DONE && reader_step(reader, &in, out)) {
    }
    *taken = bytes - in.bytes;
    if (reader->phase == NEGOTIATION_PHASE_BAD) {
        *why = reader->bad;
        return NEGOTIATION_BAD;
    }
    if (reader->phase == NEGOTIATION_PHASE_DONE) {
        return NEGOTIATION_DONE;
    }
    WEFT_ASSERT(in.bytes == 0);
    return NEGOTIATION_MORE;
}
