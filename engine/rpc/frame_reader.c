/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rpc/frame_reader.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/bytes.h"

void frame_reader_init(struct frame_reader *reader, uint32_t header_bytes, uint32_t length_at)
{
    WEFT_ASSERT(header_bytes <= FRAME_HEADER_BYTES_MAX && length_at + 4 <= header_bytes);
    memset(reader, 0, sizeof *reader);
    reader->header_bytes = header_bytes;
    reader->length_at = length_at;
}

static uint32_t frame_reader_take(struct weft_span *in, uint8_t *to, uint32_t wanted)
{
    uint32_t part = wanted < in->bytes ? wanted : in->bytes;
    if (to != NULL && part > 0) {
        memcpy(to, in->data, part);
    }
    in->data += part;
    in->bytes -= part;
    return part;
}

/* The rest of a frame whose header, or payload, did not come in one piece. */
static enum frame_step frame_reader_assemble(struct frame_reader *reader, struct weft_span *in, struct frame *frame)
{
    if (reader->header_used < reader->header_bytes) {
        reader->header_used +=
            frame_reader_take(in, reader->header + reader->header_used, reader->header_bytes - reader->header_used);
        if (reader->header_used < reader->header_bytes) {
            return FRAME_MORE;
        }
        reader->payload_bytes = bytes_load32(reader->header + reader->length_at);
        if (reader->payload_bytes > FRAME_BYTES_MAX) {
            return FRAME_TOO_LARGE;
        }
    }
    *frame = (struct frame){.header = reader->header, .payload = {reader->landing, reader->payload_bytes}};
    if (reader->payload_bytes > 0 && !reader->landing_known) {
        return FRAME_LAND;
    }
    uint8_t *to = reader->landing != NULL ? reader->landing + reader->payload_used : NULL;
    reader->payload_used += frame_reader_take(in, to, reader->payload_bytes - reader->payload_used);
    if (reader->payload_used < reader->payload_bytes) {
        return FRAME_MORE;
    }
    frame->landing = reader->landing;
    frame->skipped = reader->landing == NULL && reader->payload_bytes > 0;
    reader->header_used = 0;
    reader->payload_bytes = 0;
    reader->payload_used = 0;
    reader->landing = NULL;
    reader->landing_known = false;
    return FRAME_WHOLE;
}

enum frame_step frame_reader_next_part(struct frame_reader *reader, struct weft_span *in, struct frame *frame)
{
    if (in->bytes == 0 &&
        (reader->header_used < reader->header_bytes || reader->payload_bytes > reader->payload_used)) {
        return FRAME_MORE;
    }
    return frame_reader_assemble(reader, in, frame);
}

void frame_reader_land(struct frame_reader *reader, uint8_t *landing)
{
    WEFT_ASSERT(!reader->landing_known && reader->payload_bytes > 0);
    reader->landing = landing;
    reader->landing_known = true;
}

uint8_t *frame_reader_room(const struct frame_reader *reader, uint32_t *bytes)
{
    *bytes = reader->landing != NULL ? reader->payload_bytes - reader->payload_used : 0;
    return reader->landing != NULL ? reader->landing + reader->payload_used : NULL;
}

void frame_reader_landed(struct frame_reader *reader, uint32_t bytes)
{
    WEFT_ASSERT(reader->landing != NULL);
    WEFT_ASSERT(bytes <= reader->payload_bytes - reader->payload_used);
    reader->payload_used += bytes;
}

uint8_t *frame_reader_abandon(struct frame_reader *reader)
{
    uint8_t *landing = reader->landing;
    reader->landing = NULL;
    return landing;
}

bool frame_reader_partial(const struct frame_reader *reader)
{
    return reader->header_used > 0;
}
