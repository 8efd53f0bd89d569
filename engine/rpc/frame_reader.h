/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts a stream of bytes into frames: a header of fixed size that holds the length of the payload behind it.  Pure.
 *
 * A frame that lies whole in the input is given as a view of it, without a copy.  Any other frame is assembled in a
 * landing buffer, for which the reader asks once it knows the length; without one the payload is passed over, and the
 * frame is given as skipped.
 *
 *     while ((step = frame_reader_next(&reader, &in, &frame)) != FRAME_MORE) { … }
 */
#ifndef ENGINE_RPC_FRAME_READER_H
#define ENGINE_RPC_FRAME_READER_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/defs.h>

#include "engine/base/assert.h"
#include "engine/base/bytes.h"
#include "engine/base/limits.h"

enum frame_step {
    FRAME_MORE = 0, /* the input is used up */
    FRAME_WHOLE,    /* a frame, valid until the next call */
    FRAME_LAND,     /* call frame_reader_land with room for frame->payload.bytes, or NULL, then next again */
    FRAME_TOO_LARGE /* the length is over FRAME_BYTES_MAX; final */
};

struct frame {
    const uint8_t *header;
    struct weft_span payload;
    uint8_t *landing; /* what frame_reader_land was given: the caller's again; NULL for a view */
    bool skipped;     /* there was no room for the payload */
};

struct frame_reader {
    uint32_t header_bytes;
    uint32_t length_at; /* where in the header the u32 length stands */
    uint32_t header_used;
    uint32_t payload_bytes;
    uint32_t payload_used;
    uint8_t *landing;
    bool landing_known; /* the question was answered */
    uint8_t header[FRAME_HEADER_BYTES_MAX];
};

void frame_reader_init(struct frame_reader *reader, uint32_t header_bytes, uint32_t length_at);
/* A frame that lies whole in the input, taken out of it; false: the next one does not. */
static inline bool frame_reader_view(const struct frame_reader *reader, struct weft_span *in, const uint8_t **header,
                                     struct weft_span *payload)
{
    if (WEFT_UNLIKELY(reader->header_used != 0 || in->bytes < reader->header_bytes)) {
        return false;
    }
    uint32_t payload_bytes = bytes_load32(in->data + reader->length_at);
    if (WEFT_UNLIKELY(payload_bytes > FRAME_BYTES_MAX || in->bytes - reader->header_bytes < payload_bytes)) {
        return false;
    }
    *header = in->data;
    *payload = (struct weft_span){in->data + reader->header_bytes, payload_bytes};
    in->data += reader->header_bytes + payload_bytes;
    in->bytes -= reader->header_bytes + payload_bytes;
    return true;
}
/* The next frame, where that is no view: in parts, or too large. */
enum frame_step frame_reader_next_part(struct frame_reader *reader, struct weft_span *in, struct frame *frame);
static inline enum frame_step frame_reader_next(struct frame_reader *reader, struct weft_span *in, struct frame *frame)
{
    *frame = (struct frame){0};
    return frame_reader_view(reader, in, &frame->header, &frame->payload) ? FRAME_WHOLE
                                                                          : frame_reader_next_part(reader, in, frame);
}
void frame_reader_land(struct frame_reader *reader, uint8_t *landing);
/* Where the rest of the payload goes that is being assembled, and how much it is; NULL: there is none. */
uint8_t *frame_reader_room(const struct frame_reader *reader, uint32_t *bytes);
/* So many bytes are there, without having passed through frame_reader_next: ask it for the frame. */
void frame_reader_landed(struct frame_reader *reader, uint32_t bytes);
/* Take a landing buffer back from a frame that will not be finished; NULL if there is none. */
uint8_t *frame_reader_abandon(struct frame_reader *reader);
/* In the middle of a frame. */
bool frame_reader_partial(const struct frame_reader *reader);

#endif
