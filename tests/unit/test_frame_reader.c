/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: frames come out the same however the stream is cut, views where they can be, landed where they must be, passed
 * over where there is no room; and a length over the limit is found in the header.
 * Method: a stream of several frames, cut at every position, in two pieces, in three, and into single bytes, with and
 * without room to land; the pieces lie in memory of their own, so that a sanitizer sees a byte too far. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/rpc/frame_reader.h"

#define FRAMES 5u
#define STREAM_BYTES_MAX 256u

static const uint32_t payloads[FRAMES] = {8, 0, 1, 40, 0};

/* Where the length stands, for each kind of header on the wire. */
static const struct {
    uint32_t header_bytes;
    uint32_t length_at;
} kinds[] = {{20, 16}, {28, 24}, {12, 8}, {16, 8}, {4, 0}};
#define KINDS (sizeof kinds / sizeof kinds[0])

static uint8_t payload_byte(uint32_t frame, uint32_t at)
{
    return (uint8_t)(frame * 50 + at + 1);
}

static uint32_t stream_write(uint8_t *to, size_t kind)
{
    uint32_t at = 0;
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        memset(to + at, (int)(0x80 + frame), kinds[kind].header_bytes);
        bytes_store32(to + at + kinds[kind].length_at, payloads[frame]);
        at += kinds[kind].header_bytes;
        for (uint32_t i = 0; i < payloads[frame]; i++) {
            to[at++] = payload_byte(frame, i);
        }
    }
    assert_true(at <= STREAM_BYTES_MAX);
    return at;
}

struct sink {
    struct frame_reader reader;
    bool land;       /* there is room */
    uint32_t frames; /* seen */
    uint32_t views;
    uint32_t landed;
    uint32_t skipped;
};

static void sink_init(struct sink *sink, size_t kind, bool land)
{
    memset(sink, 0, sizeof *sink);
    sink->land = land;
    frame_reader_init(&sink->reader, kinds[kind].header_bytes, kinds[kind].length_at);
}

static void sink_frame(struct sink *sink, const struct frame *frame)
{
    uint32_t number = sink->frames++;
    assert_true(number < FRAMES);
    assert_int_equal(frame->payload.bytes, payloads[number]);
    assert_int_equal(frame->header[sink->reader.length_at == 0 ? 0 : sink->reader.length_at - 1],
                     sink->reader.length_at == 0 ? payloads[number] : 0x80 + number);
    assert_int_equal(bytes_load32(frame->header + sink->reader.length_at), payloads[number]);
    if (frame->skipped) {
        assert_null(frame->landing);
        assert_false(sink->land);
        sink->skipped++;
        return;
    }
    for (uint32_t i = 0; i < frame->payload.bytes; i++) {
        assert_int_equal(frame->payload.data[i], payload_byte(number, i));
    }
    if (frame->landing != NULL) {
        assert_ptr_equal(frame->landing, frame->payload.data);
        sink->landed++;
        free(frame->landing);
    } else {
        sink->views++;
    }
}

/* Feed one piece out of memory of exactly its size. */
static void sink_feed(struct sink *sink, const uint8_t *data, uint32_t bytes)
{
    uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    struct weft_span in = {copy, bytes};
    struct frame frame;
    enum frame_step step;
    while ((step = frame_reader_next(&sink->reader, &in, &frame)) != FRAME_MORE) {
        assert_int_not_equal(step, FRAME_TOO_LARGE);
        if (step == FRAME_WHOLE) {
            sink_frame(sink, &frame);
        } else {
            assert_true(frame.payload.bytes > 0);
            frame_reader_land(&sink->reader, sink->land ? malloc(frame.payload.bytes) : NULL);
        }
    }
    assert_int_equal(in.bytes, 0);
    free(copy);
}

static void sink_end(const struct sink *sink)
{
    assert_int_equal(sink->frames, FRAMES);
    assert_int_equal(sink->views + sink->landed + sink->skipped, FRAMES);
    assert_false(frame_reader_partial(&sink->reader));
}

static void stream__whole__views_only(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        uint8_t stream[STREAM_BYTES_MAX];
        uint32_t bytes = stream_write(stream, kind);
        struct sink sink;
        sink_init(&sink, kind, false);
        sink_feed(&sink, stream, bytes);
        sink_end(&sink);
        assert_int_equal(sink.views, FRAMES);
    }
}

static void stream__cut_at_every_position__same_frames(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        uint8_t stream[STREAM_BYTES_MAX];
        uint32_t bytes = stream_write(stream, kind);
        for (int land = 0; land < 2; land++) {
            uint32_t landed = 0;
            uint32_t skipped = 0;
            for (uint32_t first = 0; first <= bytes; first++) {
                for (uint32_t second = first; second <= bytes; second++) {
                    struct sink sink;
                    sink_init(&sink, kind, land == 1);
                    sink_feed(&sink, stream, first);
                    sink_feed(&sink, stream + first, second - first);
                    sink_feed(&sink, stream + second, bytes - second);
                    sink_end(&sink);
                    assert_true(sink.landed + sink.skipped <= 2); /* two cuts touch two frames */
                    landed += sink.landed;
                    skipped += sink.skipped;
                }
            }
            assert_int_equal(landed > 0, land == 1);
            assert_int_equal(skipped > 0, land == 0);
        }
    }
}

static void stream__single_bytes__every_payload_landed_or_passed_over(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        uint8_t stream[STREAM_BYTES_MAX];
        uint32_t bytes = stream_write(stream, kind);
        for (int land = 0; land < 2; land++) {
            struct sink sink;
            sink_init(&sink, kind, land == 1);
            for (uint32_t i = 0; i < bytes; i++) {
                sink_feed(&sink, stream + i, 1);
                sink_feed(&sink, stream, 0); /* nothing changes nothing */
            }
            sink_end(&sink);
            assert_int_equal(sink.landed, land == 1 ? 3 : 0);
            assert_int_equal(sink.skipped, land == 1 ? 0 : 3);
            assert_int_equal(sink.views, 2); /* those without a payload */
        }
    }
}

static void stream__next_without_landing__asks_no_more_by_itself(void **state)
{
    (void)state;
    uint8_t stream[STREAM_BYTES_MAX];
    stream_write(stream, 0);
    struct frame_reader reader;
    struct frame frame;
    frame_reader_init(&reader, 20, 16);
    struct weft_span in = {stream, 21};
    assert_int_equal(frame_reader_next(&reader, &in, &frame), FRAME_LAND);
    assert_int_equal(frame.payload.bytes, 8);
    assert_int_equal(in.bytes, 1); /* the payload is not touched before it has a place */
    assert_true(frame_reader_partial(&reader));
    uint8_t landing[8];
    frame_reader_land(&reader, landing);
    assert_int_equal(frame_reader_next(&reader, &in, &frame), FRAME_MORE);
    in = (struct weft_span){stream + 21, 7};
    assert_int_equal(frame_reader_next(&reader, &in, &frame), FRAME_WHOLE);
    assert_ptr_equal(frame.landing, landing);
    assert_memory_equal(landing, stream + 20, 8);
    assert_int_equal(frame_reader_next(&reader, &in, &frame), FRAME_MORE);
}

static void reader__abandoned__gives_the_landing_back_once(void **state)
{
    (void)state;
    uint8_t stream[STREAM_BYTES_MAX];
    stream_write(stream, 0);
    struct frame_reader reader;
    struct frame frame;
    frame_reader_init(&reader, 20, 16);
    assert_null(frame_reader_abandon(&reader));
    struct weft_span in = {stream, 24};
    uint8_t landing[8];
    assert_int_equal(frame_reader_next(&reader, &in, &frame), FRAME_LAND);
    assert_null(frame_reader_abandon(&reader));
    frame_reader_land(&reader, landing);
    assert_int_equal(frame_reader_next(&reader, &in, &frame), FRAME_MORE);
    assert_ptr_equal(frame_reader_abandon(&reader), landing);
    assert_null(frame_reader_abandon(&reader));
}

static void length__at_the_limit__asked_for_or_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t length;
        enum frame_step step;
    } cases[] = {{FRAME_BYTES_MAX, FRAME_LAND}, {FRAME_BYTES_MAX + 1, FRAME_TOO_LARGE},
                 {0x20544547, FRAME_TOO_LARGE},                                     /* "GET " */
                 {INT32_MAX, FRAME_TOO_LARGE},  {UINT32_MAX - 19, FRAME_TOO_LARGE}, /* with the header it would wrap */
                 {UINT32_MAX, FRAME_TOO_LARGE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint32_t piece = 1; piece <= 20; piece++) {
            uint8_t header[20] = {0};
            bytes_store32(header + 16, cases[i].length);
            struct frame_reader reader;
            struct frame frame;
            frame_reader_init(&reader, 20, 16);
            enum frame_step step = FRAME_MORE;
            for (uint32_t at = 0; at < 20; at += piece) {
                assert_int_equal(step, FRAME_MORE);
                struct weft_span in = {header + at, piece < 20 - at ? piece : 20 - at};
                step = frame_reader_next(&reader, &in, &frame);
            }
            assert_int_equal(step, cases[i].step);
            if (step == FRAME_LAND) {
                assert_int_equal(frame.payload.bytes, FRAME_BYTES_MAX);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream__whole__views_only),
        cmocka_unit_test(stream__cut_at_every_position__same_frames),
        cmocka_unit_test(stream__single_bytes__every_payload_landed_or_passed_over),
        cmocka_unit_test(stream__next_without_landing__asks_no_more_by_itself),
        cmocka_unit_test(reader__abandoned__gives_the_landing_back_once),
        cmocka_unit_test(length__at_the_limit__asked_for_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
