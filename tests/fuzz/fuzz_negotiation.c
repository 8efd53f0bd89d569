/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the negotiation reader.  The first byte of the input seeds the fragmentation, the rest is the stream.
 * Oracles: however the stream is cut, the outcome, the bytes taken and the struct are the same; nothing behind the
 * frame is touched; and what was read survives being written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/rpc/negotiation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct outcome {
    enum negotiation_step step;
    enum weft_reason why;
    uint32_t taken;
    struct negotiation negotiation;
};

/* Pieces of 1 to 16 bytes from a small generator; seed 0: one byte each. */
static uint32_t piece_next(uint32_t *seed)
{
    if (*seed == 0) {
        return 1;
    }
    *seed = *seed * 1664525u + 1013904223u;
    return 1 + (*seed >> 28);
}

/* Each piece is read from memory of its own, so that a sanitizer sees one byte too far. */
static void read_in_pieces(const uint8_t *data, uint32_t bytes, uint32_t seed, struct outcome *outcome)
{
    struct negotiation_reader reader;
    negotiation_reader_init(&reader);
    memset(outcome, 0, sizeof *outcome);
    while (outcome->taken < bytes && outcome->step == NEGOTIATION_MORE) {
        uint32_t left = bytes - outcome->taken;
        uint32_t piece = seed == UINT32_MAX ? left : piece_next(&seed);
        piece = piece < left ? piece : left;
        uint8_t *copy = malloc(piece);
        WEFT_ASSERT(copy != NULL);
        memcpy(copy, data + outcome->taken, piece);
        uint32_t used = UINT32_MAX;
        outcome->step =
            negotiation_read(&reader, (struct weft_span){copy, piece}, &used, &outcome->negotiation, &outcome->why);
        free(copy);
        WEFT_ASSERT(used <= piece);
        WEFT_ASSERT(outcome->step != NEGOTIATION_MORE || used == piece);
        outcome->taken += used;
    }
}

static void expect_same(const struct outcome *a, const struct outcome *b)
{
    WEFT_ASSERT(a->step == b->step);
    WEFT_ASSERT(a->why == b->why);
    WEFT_ASSERT(a->taken == b->taken);
    if (a->step == NEGOTIATION_DONE) {
        WEFT_ASSERT(memcmp(&a->negotiation, &b->negotiation, sizeof a->negotiation) == 0);
    }
}

static void expect_round_trip(const struct outcome *read)
{
    struct negotiation negotiation = read->negotiation;
    /* Never written, as nothing is compressed. */
    negotiation.has_compress = false;
    uint8_t frame[NEGOTIATION_WRITE_BYTES_MAX];
    uint32_t bytes = negotiation_write(&negotiation, frame, sizeof frame);
    WEFT_ASSERT(bytes >= NEGOTIATION_HEAD_BYTES);
    struct outcome again;
    read_in_pieces(frame, bytes, UINT32_MAX, &again);
    WEFT_ASSERT(again.step == NEGOTIATION_DONE);
    WEFT_ASSERT(again.taken == bytes);
    WEFT_ASSERT(memcmp(&again.negotiation, &negotiation, sizeof negotiation) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1 || bytes > 4 * NEGOTIATION_BYTES_MAX) {
        return 0;
    }
    struct outcome whole;
    struct outcome cut;
    uint32_t stream_bytes = (uint32_t)bytes - 1;
    read_in_pieces(data + 1, stream_bytes, UINT32_MAX, &whole);
    read_in_pieces(data + 1, stream_bytes, 0, &cut);
    expect_same(&whole, &cut);
    read_in_pieces(data + 1, stream_bytes, data[0], &cut);
    expect_same(&whole, &cut);
    if (whole.step == NEGOTIATION_BAD) {
        WEFT_ASSERT(whole.why == WEFT_REASON_BAD_MAGIC || whole.why == WEFT_REASON_BAD_NEGOTIATION);
    }
    if (whole.step == NEGOTIATION_DONE) {
        WEFT_ASSERT(whole.taken <= NEGOTIATION_HEAD_BYTES + NEGOTIATION_BYTES_MAX);
        expect_round_trip(&whole);
    }
    return 0;
}
