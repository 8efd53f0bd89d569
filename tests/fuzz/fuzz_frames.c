/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the frame reader together with the headers of both roles.
 *
 * Input: a byte of flags (bit 0: the stream is an acceptor's, bit 1: the optional header field was negotiated, bit 2:
 * there is room to land), a byte that seeds the fragmentation, then the stream.
 * Oracles: however the stream is cut, the same frames come out, with the same headers and payloads, or the same refusal
 * at the same place; a view lies inside the input; nothing of a landing buffer stays unwritten; the ids that are read
 * are never negative where the protocol says so, and a header survives being written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/rpc/frame_reader.h"
#include "engine/rpc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define INPUT_BYTES_MAX (64u * 1024)

struct outcome {
    uint64_t hash; /* of all frames: headers, payloads, in order */
    uint32_t frames;
    uint32_t skipped;
    uint64_t payload_bytes;
    bool too_large;
    bool partial; /* the stream ended within a frame */
};

struct role {
    bool acceptor;
    bool optional;
    bool land;
};

static uint64_t hash_add(uint64_t hash, const uint8_t *data, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint32_t piece_next(uint32_t *seed)
{
    if (*seed == 0) {
        return 1;
    }
    *seed = *seed * 1664525u + 1013904223u;
    return 1 + (*seed >> 27);
}

static void check_request(const struct frame *frame, bool timeout)
{
    uint8_t again[FRAME_HEADER_BYTES_MAX];
    struct wire_request request = wire_request_read(frame->header, timeout);
    uint32_t bytes = wire_request_write(again, timeout, &request, frame->payload.bytes);
    WEFT_ASSERT(bytes == wire_request_bytes(timeout));
    WEFT_ASSERT(memcmp(again, frame->header, bytes) == 0);
}

static void check_response(const struct frame *frame, bool duration)
{
    uint8_t again[FRAME_HEADER_BYTES_MAX];
    struct wire_response response = wire_response_read(frame->header, duration);
    WEFT_ASSERT(response.id >= 0);
    uint32_t bytes = wire_response_write(again, duration, &response, frame->payload.bytes);
    WEFT_ASSERT(bytes == wire_response_bytes(duration));
    if (response.id != 0) { /* 0 also stands for the id that has no positive twin */
        WEFT_ASSERT(memcmp(again, frame->header, bytes) == 0);
    }
}

static void frame_check(const struct frame *frame, const struct role *role, struct weft_span piece,
                        struct outcome *outcome)
{
    uint32_t header_bytes = role->acceptor ? wire_request_bytes(role->optional) : wire_response_bytes(role->optional);
    outcome->frames++;
    outcome->payload_bytes += frame->payload.bytes;
    outcome->hash = hash_add(outcome->hash, frame->header, header_bytes);
    WEFT_ASSERT(frame->payload.bytes <= FRAME_BYTES_MAX);
    if (role->acceptor) {
        check_request(frame, role->optional);
    } else {
        check_response(frame, role->optional);
    }
    if (frame->skipped) {
        WEFT_ASSERT(frame->landing == NULL);
        WEFT_ASSERT(!role->land);
        outcome->skipped++;
        return;
    }
    if (frame->landing != NULL) {
        WEFT_ASSERT(frame->payload.data == frame->landing);
    } else if (frame->payload.bytes > 0) {
        WEFT_ASSERT(frame->payload.data >= piece.data);
        WEFT_ASSERT(frame->payload.data + frame->payload.bytes <= piece.data + piece.bytes);
    }
    outcome->hash = hash_add(outcome->hash, frame->payload.data, frame->payload.bytes);
}

/* The frames of one piece, which lies in memory of its own; false: the stream was refused. */
static bool read_piece(struct frame_reader *reader, const struct role *role, struct weft_span piece,
                       struct outcome *outcome)
{
    struct weft_span in = piece;
    struct frame frame;
    for (;;) {
        switch (frame_reader_next(reader, &in, &frame)) {
        case FRAME_MORE:
            WEFT_ASSERT(in.bytes == 0);
            return true;
        case FRAME_TOO_LARGE:
            outcome->too_large = true;
            return false;
        case FRAME_LAND:
            frame_reader_land(reader, role->land ? malloc(frame.payload.bytes) : NULL);
            break;
        case FRAME_WHOLE:
            frame_check(&frame, role, piece, outcome);
            free(frame.landing);
            break;
        }
    }
}

static struct outcome read_in_pieces(struct weft_span stream, const struct role *role, uint32_t seed)
{
    struct frame_reader reader;
    struct outcome outcome = {.hash = UINT64_C(0xcbf29ce484222325)};
    uint32_t header_bytes = role->acceptor ? wire_request_bytes(role->optional) : wire_response_bytes(role->optional);
    frame_reader_init(&reader, header_bytes, role->acceptor ? header_bytes - 4 : 8);
    bool more = true;
    while (more && stream.bytes > 0) {
        uint32_t piece = seed == UINT32_MAX ? stream.bytes : piece_next(&seed);
        piece = piece < stream.bytes ? piece : stream.bytes;
        uint8_t *copy = malloc(piece);
        WEFT_ASSERT(copy != NULL);
        memcpy(copy, stream.data, piece);
        more = read_piece(&reader, role, (struct weft_span){copy, piece}, &outcome);
        free(copy);
        stream.data += piece;
        stream.bytes -= piece;
    }
    outcome.partial = frame_reader_partial(&reader);
    free(frame_reader_abandon(&reader));
    return outcome;
}

static void expect_same(const struct outcome *a, const struct outcome *b, bool land)
{
    WEFT_ASSERT(a->frames == b->frames);
    WEFT_ASSERT(a->payload_bytes == b->payload_bytes);
    WEFT_ASSERT(a->too_large == b->too_large);
    if (!a->too_large) {
        WEFT_ASSERT(a->partial == b->partial);
    }
    if (land) { /* without room it depends on the cuts which payloads were seen */
        WEFT_ASSERT(a->skipped == 0);
        WEFT_ASSERT(b->skipped == 0);
        WEFT_ASSERT(a->hash == b->hash);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2 || bytes > INPUT_BYTES_MAX) {
        return 0;
    }
    const struct role role = {
        .acceptor = (data[0] & 1) != 0, .optional = (data[0] & 2) != 0, .land = (data[0] & 4) != 0};
    const struct weft_span stream = {data + 2, (uint32_t)bytes - 2};
    struct outcome whole = read_in_pieces(stream, &role, UINT32_MAX);
    struct outcome single = read_in_pieces(stream, &role, 0);
    struct outcome cut = read_in_pieces(stream, &role, data[1]);
    expect_same(&whole, &single, role.land);
    expect_same(&whole, &cut, role.land);
    WEFT_ASSERT(whole.skipped == 0); /* a frame that lies whole in the input needs no room */
    return 0;
}
