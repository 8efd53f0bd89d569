/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: negotiation frames are written as Seastar writes them, and read in any fragmentation with every fault found.
 * Method: images of frames made by hand; each is read whole, byte by byte and in every cut in two, with bytes of the
 * next frame behind it; then a table of broken frames, with the reason and the place where the fault is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "engine/rpc/negotiation.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A frame under construction. */
struct image {
    uint32_t bytes;
    uint8_t data[NEGOTIATION_HEAD_BYTES + NEGOTIATION_BYTES_MAX + 64];
};

static void image_init(struct image *image)
{
    memset(image, 0, sizeof *image);
    memcpy(image->data, "SSTARRPC", 8);
    image->bytes = 12;
}

static void image_record(struct image *image, uint32_t feature, const void *data, uint32_t bytes)
{
    assert_true(image->bytes + 8 + bytes <= sizeof image->data);
    bytes_store32(image->data + image->bytes, feature);
    bytes_store32(image->data + image->bytes + 4, bytes);
    if (bytes > 0) {
        memcpy(image->data + image->bytes + 8, data, bytes);
    }
    image->bytes += 8 + bytes;
    bytes_store32(image->data + 8, image->bytes - 12);
}

/* Feed a span in pieces, each from memory of exactly its size.  @return the first step that is not MORE */
static enum negotiation_step read_pieces(const uint8_t *data, uint32_t bytes, uint32_t first, uint32_t piece,
                                         uint32_t *taken, struct negotiation *out, enum weft_reason *why)
{
    struct negotiation_reader reader;
    negotiation_reader_init(&reader);
    enum negotiation_step step = NEGOTIATION_MORE;
    uint32_t at = 0;
    while (at < bytes && step == NEGOTIATION_MORE) {
        uint32_t now = at == 0 ? first : piece;
        now = now < bytes - at ? now : bytes - at;
        uint8_t *copy = malloc(now);
        assert_non_null(copy);
        memcpy(copy, data + at, now);
        uint32_t used = UINT32_MAX;
        step = negotiation_read(&reader, (struct weft_span){copy, now}, &used, out, why);
        free(copy);
        assert_true(used <= now);
        if (step == NEGOTIATION_MORE) {
            assert_int_equal(used, now);
        }
        at += used;
    }
    *taken = at;
    return step;
}

/* Read in every way of cutting it; all must agree with the whole. */
static enum negotiation_step read_all_ways(const struct image *image, uint32_t *taken, struct negotiation *out,
                                           enum weft_reason *why)
{
    enum negotiation_step whole = read_pieces(image->data, image->bytes, image->bytes, 1, taken, out, why);
    struct negotiation *again = malloc(sizeof *again);
    assert_non_null(again);
    for (uint32_t first = 1; first < image->bytes; first++) {
        for (uint32_t way = 0; way < 2; way++) {
            uint32_t again_taken = 0;
            enum weft_reason again_why = *why;
            uint32_t piece = way == 0 ? 1 : image->bytes;
            if (way == 0 && first > 1) {
                continue;
            }
            enum negotiation_step step =
                read_pieces(image->data, image->bytes, first, piece, &again_taken, again, &again_why);
            assert_int_equal(step, whole);
            assert_int_equal(again_taken, *taken);
            assert_int_equal(again_why, *why);
            if (whole == NEGOTIATION_DONE) {
                assert_memory_equal(again, out, sizeof *out);
            }
        }
    }
    free(again);
    return whole;
}

static void expect_done(const struct image *image, uint32_t frame_bytes, struct negotiation *out)
{
    uint32_t taken = 0;
    enum weft_reason why = WEFT_REASON_NONE;
    assert_int_equal(read_all_ways(image, &taken, out, &why), NEGOTIATION_DONE);
    assert_int_equal(taken, frame_bytes);
    assert_int_equal(why, WEFT_REASON_NONE);
}

static void expect_bad(const struct image *image, enum weft_reason reason, uint32_t seen_after)
{
    uint32_t taken = 0;
    enum weft_reason why = WEFT_REASON_NONE;
    struct negotiation out;
    assert_int_equal(read_all_ways(image, &taken, &out, &why), NEGOTIATION_BAD);
    assert_int_equal(why, reason);
    assert_int_equal(taken, seen_after);
}

static void negotiation__as_a_seastar_client_offers__written_and_read(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x53, 0x53, 0x54, 0x41, 0x52, 0x52, 0x50, 0x43, 0x1c, 0, 0, 0, 1, 0,
                                       0,    0,    0,    0,    0,    0,    4,    0,    0,    0, 4, 0, 0, 0,
                                       'e',  'c',  'h',  'o',  5,    0,    0,    0,    0,    0, 0, 0};
    struct negotiation offer = {
        .timeout = true, .handler_duration = true, .has_cookie = true, .cookie_bytes = 4, .cookie = "echo"};
    uint8_t written[NEGOTIATION_WRITE_BYTES_MAX];
    assert_int_equal(negotiation_write(&offer, written, sizeof written), sizeof expected);
    assert_memory_equal(written, expected, sizeof expected);

    struct image image = {.bytes = sizeof expected};
    memcpy(image.data, expected, sizeof expected);
    struct negotiation out;
    expect_done(&image, sizeof expected, &out);
    assert_true(out.timeout && out.handler_duration && out.has_cookie);
    assert_int_equal(out.cookie_bytes, 4);
    assert_memory_equal(out.cookie, "echo", 4);
    assert_false(out.has_compress || out.has_connection_id || out.has_stream_parent || out.has_hello ||
                 out.has_refusal);
}

static void negotiation__as_a_seastar_server_answers__connection_id_read(void **state)
{
    (void)state;
    struct image image;
    image_init(&image);
    image_record(&image, 1, NULL, 0);
    image_record(&image, 2, "\0\0\1\0\0\0\0\0", 8);
    image_record(&image, 5, NULL, 0);
    uint32_t frame_bytes = image.bytes;
    assert_int_equal(image.data[8], 0x20);
    struct negotiation out;
    expect_done(&image, frame_bytes, &out);
    assert_true(out.has_connection_id && out.connection_id == 0x10000);
    assert_true(out.timeout && out.handler_duration);
}

static void negotiation__no_records__done(void **state)
{
    (void)state;
    struct image image;
    image_init(&image);
    struct negotiation out;
    expect_done(&image, 12, &out);
    struct negotiation nothing;
    memset(&nothing, 0, sizeof nothing);
    assert_memory_equal(&out, &nothing, sizeof out);
    uint8_t written[12];
    assert_int_equal(negotiation_write(&nothing, written, sizeof written), 12);
    assert_memory_equal(written, image.data, 12);
}

static void negotiation__bytes_of_the_next_frame_behind__left_to_the_caller(void **state)
{
    (void)state;
    struct image image;
    image_init(&image);
    image_record(&image, 1, NULL, 0);
    image_record(&image, 77, "unknown", 7);
    uint32_t frame_bytes = image.bytes;
    memcpy(image.data + image.bytes, "SSTARRPC next", 13);
    image.bytes += 13;
    struct negotiation out;
    expect_done(&image, frame_bytes, &out);
    assert_true(out.timeout);
}

static void negotiation__everything_at_once__survives(void **state)
{
    (void)state;
    struct negotiation full;
    memset(&full, 0, sizeof full);
    full.timeout = full.handler_duration = true;
    full.has_connection_id = full.has_stream_parent = full.has_cookie = full.has_hello = full.has_refusal = true;
    full.connection_id = 0x0102030405060708;
    full.stream_parent = UINT64_MAX;
    full.cookie_bytes = COOKIE_BYTES_MAX;
    memset(full.cookie, 0xa5, COOKIE_BYTES_MAX);
    full.hello.version = HELLO_VERSION;
    memset(full.hello.cluster, 'c', WEFT_NAME_BYTES_MAX);
    memset(full.hello.dc, 'd', WEFT_NAME_BYTES_MAX);
    memset(full.hello.rack, 'r', WEFT_NAME_BYTES_MAX);
    memset(full.hello.lane, 'l', WEFT_NAME_BYTES_MAX);
    full.refusal = WEFT_REASON_WRONG_CLUSTER;
    struct image image;
    image.bytes = negotiation_write(&full, image.data, NEGOTIATION_WRITE_BYTES_MAX);
    assert_int_equal(image.bytes, NEGOTIATION_WRITE_BYTES_MAX);
    struct negotiation out;
    expect_done(&image, image.bytes, &out);
    assert_memory_equal(&out, &full, sizeof out);
    /* One byte less of room, and nothing is written. */
    image.data[0] = 0xee;
    assert_int_equal(negotiation_write(&full, image.data, NEGOTIATION_WRITE_BYTES_MAX - 1), 0);
    assert_int_equal(image.data[0], 0xee);
}

static void negotiation__records_written__in_ascending_order(void **state)
{
    (void)state;
    struct negotiation full = {.timeout = true,
                               .handler_duration = true,
                               .has_connection_id = true,
                               .has_stream_parent = true,
                               .has_cookie = true,
                               .has_hello = true,
                               .has_refusal = true,
                               .refusal = WEFT_REASON_REFUSED};
    static const uint32_t order[] = {1, 2, 3, 4, 5, 0x57454654, 0x57454655};
    uint8_t written[NEGOTIATION_WRITE_BYTES_MAX];
    uint32_t bytes = negotiation_write(&full, written, sizeof written);
    uint32_t at = NEGOTIATION_HEAD_BYTES;
    for (size_t i = 0; i < COUNT(order); i++) {
        assert_true(at + 8 <= bytes);
        assert_int_equal(bytes_load32(written + at), order[i]);
        at += 8 + bytes_load32(written + at + 4);
    }
    assert_int_equal(at, bytes);
}

static void negotiation__any_order_and_unknown_features__read(void **state)
{
    (void)state;
    struct image image;
    image_init(&image);
    image_record(&image, 0xffffffff, "x", 1);
    image_record(&image, 5, "data is ignored", 15);
    image_record(&image, 6, NULL, 0);
    image_record(&image, 4, NULL, 0);
    image_record(&image, 0x57454656, "later", 5);
    image_record(&image, 1, "so is this", 10);
    image_record(&image, 0, "LZ4", 3);
    struct negotiation out;
    expect_done(&image, image.bytes, &out);
    assert_true(out.timeout && out.handler_duration && out.has_compress && out.has_cookie);
    assert_int_equal(out.cookie_bytes, 0);
    assert_false(out.has_hello);
}

static void negotiation__duplicates__first_wins(void **state)
{
    (void)state;
    struct image image;
    image_init(&image);
    uint8_t longer[COOKIE_BYTES_MAX + 1] = {0};
    image_record(&image, 4, "first", 5);
    image_record(&image, 2, "\1\0\0\0\0\0\0\0", 8);
    image_record(&image, 4, "second", 6);
    image_record(&image, 2, "\2\0\0\0\0\0\0\0", 8);
    /* A second one is not even looked at. */
    image_record(&image, 2, "\3", 1);
    image_record(&image, 4, longer, sizeof longer);
    image_record(&image, 1, NULL, 0);
    struct negotiation out;
    expect_done(&image, image.bytes, &out);
    assert_int_equal(out.cookie_bytes, 5);
    assert_memory_equal(out.cookie, "first", 5);
    assert_true(out.connection_id == 1);
    assert_true(out.timeout);
}

static void negotiation__refusals__known_codes_kept_and_others_general(void **state)
{
    (void)state;
    static const struct {
        uint16_t code;
        enum weft_reason reason;
    } cases[] = {{1, WEFT_REASON_REFUSED},
                 {2, WEFT_REASON_NO_LISTENER},
                 {WEFT_REASON_REFUSALS_END - 1, WEFT_REASON_ADMIT_CALLBACK},
                 {WEFT_REASON_REFUSALS_END, WEFT_REASON_REFUSED},
                 {WEFT_REASON_SCOPE_NONE, WEFT_REASON_REFUSED},
                 {0, WEFT_REASON_REFUSED},
                 {0xffff, WEFT_REASON_REFUSED}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct image image;
        uint8_t data[3] = {(uint8_t)cases[i].code, (uint8_t)(cases[i].code >> 8), 0xee};
        image_init(&image);
        image_record(&image, NEGOTIATION_REFUSAL, data, i % 2 == 0 ? 2 : 3);
        struct negotiation out;
        expect_done(&image, image.bytes, &out);
        assert_true(out.has_refusal);
        assert_int_equal(out.refusal, cases[i].reason);
    }
}

static void negotiation__each_magic_byte_wrong__seen_at_that_byte(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < 8; at++) {
        struct image image;
        image_init(&image);
        image_record(&image, 1, NULL, 0);
        image.data[at] ^= 0x20;
        expect_bad(&image, WEFT_REASON_BAD_MAGIC, at + 1);
    }
}

static void negotiation__other_protocols__bad_magic_at_once(void **state)
{
    (void)state;
    static const char *const greetings[] = {"GET / HTTP/1.1\r\n", "\x16\x03\x01\x02\x00\x01", "SSH-2.0-x\r\n",
                                            "PROXY TCP4 1 2 3 4"};
    static const uint32_t seen_after[] = {1, 1, 3, 1};
    for (size_t i = 0; i < COUNT(greetings); i++) {
        struct image image = {.bytes = (uint32_t)strlen(greetings[i])};
        memcpy(image.data, greetings[i], image.bytes);
        expect_bad(&image, WEFT_REASON_BAD_MAGIC, seen_after[i]);
    }
}

static void negotiation__frame_lengths__cap_kept(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {NEGOTIATION_BYTES_MAX + 1, 0x7fffffff, 0x80000000, 0xfffffff4, 0xffffffff};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct image image;
        image_init(&image);
        image.bytes += 8;
        bytes_store32(image.data + 8, lengths[i]);
        expect_bad(&image, WEFT_REASON_BAD_NEGOTIATION, 12);
    }
    /* Exactly the cap is fine. */
    static const uint8_t filler[NEGOTIATION_BYTES_MAX - 8];
    struct image image;
    image_init(&image);
    image_record(&image, 99, filler, sizeof filler);
    uint32_t taken = 0;
    struct negotiation out;
    enum weft_reason why = WEFT_REASON_NONE;
    assert_int_equal(read_pieces(image.data, image.bytes, image.bytes, 1, &taken, &out, &why), NEGOTIATION_DONE);
    assert_int_equal(taken, 12 + NEGOTIATION_BYTES_MAX);
    assert_int_equal(read_pieces(image.data, image.bytes, 1, 1, &taken, &out, &why), NEGOTIATION_DONE);
}

static void negotiation__records_cut_by_the_frame__bad(void **state)
{
    (void)state;
    for (uint32_t left = 1; left < 8; left++) {
        struct image image;
        image_init(&image);
        image_record(&image, 1, NULL, 0);
        bytes_store32(image.data + 8, 8 + left);
        image.bytes += left;
        expect_bad(&image, WEFT_REASON_BAD_NEGOTIATION, 20);
    }
}

static void negotiation__records_reaching_over_the_frame__bad(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {5, 0x80000000, 0xffffffff, 0xfffffff8};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct image image;
        image_init(&image);
        image_record(&image, 77, "four", 4);
        bytes_store32(image.data + 16, lengths[i]);
        image.bytes += 16;
        expect_bad(&image, WEFT_REASON_BAD_NEGOTIATION, 20);
    }
}

static void negotiation__data_that_its_feature_cannot_use__bad(void **state)
{
    (void)state;
    static const uint8_t data[HELLO_BYTES_MAX];
    static const struct {
        uint32_t feature, bytes;
    } cases[] = {{2, 0},
                 {2, 7},
                 {3, 0},
                 {3, 7},
                 {4, COOKIE_BYTES_MAX + 1},
                 {NEGOTIATION_HELLO, 0},
                 {NEGOTIATION_HELLO, HELLO_FIXED_BYTES + 3},
                 {NEGOTIATION_REFUSAL, 0},
                 {NEGOTIATION_REFUSAL, 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct image image;
        uint32_t taken = 0;
        struct negotiation out;
        enum weft_reason why = WEFT_REASON_NONE;
        image_init(&image);
        image_record(&image, cases[i].feature, data, cases[i].bytes);
        assert_int_equal(read_all_ways(&image, &taken, &out, &why), NEGOTIATION_BAD);
        assert_int_equal(why, WEFT_REASON_BAD_NEGOTIATION);
    }
    /* One byte more or less is fine. */
    static const struct {
        uint32_t feature, bytes;
    } good[] = {{2, 8},
                {2, 9},
                {3, 8},
                {4, COOKIE_BYTES_MAX},
                {NEGOTIATION_HELLO, HELLO_FIXED_BYTES + 4},
                {NEGOTIATION_HELLO, HELLO_BYTES_MAX}};
    for (size_t i = 0; i < COUNT(good); i++) {
        struct image image;
        struct negotiation out;
        image_init(&image);
        image_record(&image, good[i].feature, data, good[i].bytes);
        expect_done(&image, image.bytes, &out);
    }
}

static void negotiation__too_many_records__bad(void **state)
{
    (void)state;
    struct image image;
    struct negotiation out;
    uint32_t taken = 0;
    enum weft_reason why = WEFT_REASON_NONE;
    image_init(&image);
    for (uint32_t i = 0; i < NEGOTIATION_RECORDS_MAX; i++) {
        image_record(&image, 1000 + i, NULL, 0);
    }
    assert_int_equal(read_pieces(image.data, image.bytes, image.bytes, 1, &taken, &out, &why), NEGOTIATION_DONE);
    image_record(&image, 1, NULL, 0);
    assert_int_equal(read_pieces(image.data, image.bytes, image.bytes, 1, &taken, &out, &why), NEGOTIATION_BAD);
    assert_int_equal(why, WEFT_REASON_BAD_NEGOTIATION);
    assert_int_equal(read_pieces(image.data, image.bytes, 1, 1, &taken, &out, &why), NEGOTIATION_BAD);
}

static void negotiation__every_cut__asks_for_more(void **state)
{
    (void)state;
    struct image image;
    image_init(&image);
    image_record(&image, 1, NULL, 0);
    image_record(&image, 4, "cookie", 6);
    for (uint32_t bytes = 0; bytes < image.bytes; bytes++) {
        uint32_t taken = 0;
        struct negotiation out;
        enum weft_reason why = WEFT_REASON_NONE;
        assert_int_equal(read_pieces(image.data, bytes, 1, 1, &taken, &out, &why), NEGOTIATION_MORE);
        assert_int_equal(taken, bytes);
    }
}

static void negotiation__after_the_end__stays_ended_and_takes_nothing(void **state)
{
    (void)state;
    struct image image;
    image_init(&image);
    for (int bad = 0; bad < 2; bad++) {
        struct negotiation_reader reader;
        struct negotiation out;
        enum weft_reason why = WEFT_REASON_NONE;
        uint32_t taken = 0;
        negotiation_reader_init(&reader);
        image.data[0] = bad ? 'X' : 'S';
        enum negotiation_step expected = bad ? NEGOTIATION_BAD : NEGOTIATION_DONE;
        assert_int_equal(negotiation_read(&reader, (struct weft_span){image.data, 12}, &taken, &out, &why), expected);
        why = WEFT_REASON_NONE;
        assert_int_equal(negotiation_read(&reader, (struct weft_span){image.data, 12}, &taken, &out, &why), expected);
        assert_int_equal(taken, 0);
        assert_int_equal(why, bad ? WEFT_REASON_BAD_MAGIC : WEFT_REASON_NONE);
        assert_int_equal(negotiation_read(&reader, (struct weft_span){NULL, 0}, &taken, &out, &why), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(negotiation__as_a_seastar_client_offers__written_and_read),
        cmocka_unit_test(negotiation__as_a_seastar_server_answers__connection_id_read),
        cmocka_unit_test(negotiation__no_records__done),
        cmocka_unit_test(negotiation__bytes_of_the_next_frame_behind__left_to_the_caller),
        cmocka_unit_test(negotiation__everything_at_once__survives),
        cmocka_unit_test(negotiation__records_written__in_ascending_order),
        cmocka_unit_test(negotiation__any_order_and_unknown_features__read),
        cmocka_unit_test(negotiation__duplicates__first_wins),
        cmocka_unit_test(negotiation__refusals__known_codes_kept_and_others_general),
        cmocka_unit_test(negotiation__each_magic_byte_wrong__seen_at_that_byte),
        cmocka_unit_test(negotiation__other_protocols__bad_magic_at_once),
        cmocka_unit_test(negotiation__frame_lengths__cap_kept),
        cmocka_unit_test(negotiation__records_cut_by_the_frame__bad),
        cmocka_unit_test(negotiation__records_reaching_over_the_frame__bad),
        cmocka_unit_test(negotiation__data_that_its_feature_cannot_use__bad),
        cmocka_unit_test(negotiation__too_many_records__bad),
        cmocka_unit_test(negotiation__every_cut__asks_for_more),
        cmocka_unit_test(negotiation__after_the_end__stays_ended_and_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
