/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: headers on the wire are byte for byte what Seastar sends, and ids at every edge read as what they mean.
 * Method: golden bytes, written and read; then every boundary of an id and of the sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/rpc/wire.h"

static void request__golden_bytes__written_and_read(void **state)
{
    (void)state;
    static const struct {
        bool timeout;
        struct wire_request request;
        uint32_t bytes;
        uint8_t wire[FRAME_HEADER_BYTES_MAX];
    } cases[] = {
        /* ECHO with 8 bytes, no timeout named though the field is there */
        {true, {0, 2, 1}, 8, {0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0}},
        /* 1999 ms left */
        {true, {1999, 0, 1}, 0, {0xcf, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                 0,    0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
        {false, {0, 77, 3}, 0, {77, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
        {false, {0, WIRE_VERB_PING, 0x0102030405060708}, 0x11223344, {1, 0, 0, 0, 0, 0, 0,    0x80, 8,    7,
                                                                      6, 5, 4, 3, 2, 1, 0x44, 0x33, 0x22, 0x11}},
        {true, {UINT64_MAX, UINT64_MAX, INT64_MAX}, UINT32_MAX, {255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                                                 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                                                 255, 255, 255, 127, 255, 255, 255, 255}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t wire[FRAME_HEADER_BYTES_MAX + 1];
        memset(wire, 0xee, sizeof wire);
        uint32_t bytes = wire_request_write(wire, cases[i].timeout, &cases[i].request, cases[i].bytes);
        assert_int_equal(bytes, cases[i].timeout ? 28 : 20);
        assert_int_equal(bytes, wire_request_bytes(cases[i].timeout));
        assert_memory_equal(wire, cases[i].wire, bytes);
        assert_int_equal(wire[bytes], 0xee);
        struct wire_request read = wire_request_read(cases[i].wire, cases[i].timeout);
        assert_int_equal(read.timeout_ms, cases[i].request.timeout_ms);
        assert_int_equal(read.verb, cases[i].request.verb);
        assert_int_equal(read.id, cases[i].request.id);
    }
}

static void response__golden_bytes__written_and_read(void **state)
{
    (void)state;
    static const struct {
        bool duration;
        struct wire_response response;
        uint32_t bytes;
        uint8_t wire[16];
    } cases[] = {
        {true, {1, false, 0}, 8, {1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0}},
        /* UNKNOWN_VERB for id 3, not measured */
        {true,
         {3, true, WIRE_DURATION_NONE},
         16,
         {0xfd, 255, 255, 255, 255, 255, 255, 255, 16, 0, 0, 0, 255, 255, 255, 255}},
        {true, {2, false, 200164}, 0, {2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe4, 0x0d, 3, 0}},
        {false, {5, false, WIRE_DURATION_NONE}, 7, {5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0}},
        {false, {INT64_MAX, true, WIRE_DURATION_NONE}, 0, {1, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0}},
        {false, {INT64_MAX, false, WIRE_DURATION_NONE}, 0, {255, 255, 255, 255, 255, 255, 255, 127, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t wire[17];
        memset(wire, 0xee, sizeof wire);
        uint32_t bytes = wire_response_write(wire, cases[i].duration, &cases[i].response, cases[i].bytes);
        assert_int_equal(bytes, cases[i].duration ? 16 : 12);
        assert_int_equal(bytes, wire_response_bytes(cases[i].duration));
        assert_memory_equal(wire, cases[i].wire, bytes);
        assert_int_equal(wire[bytes], 0xee);
        struct wire_response read = wire_response_read(cases[i].wire, cases[i].duration);
        assert_int_equal(read.id, cases[i].response.id);
        assert_int_equal(read.exception, cases[i].response.exception);
        assert_int_equal(read.handler_us, cases[i].response.handler_us);
    }
}

static void response__ids_at_the_edges__never_negative(void **state)
{
    (void)state;
    static const struct {
        uint64_t wire;
        int64_t id;
        bool exception;
    } cases[] = {
        {0, 0, false},
        {1, 1, false},
        {INT64_MAX, INT64_MAX, false},
        {UINT64_C(1) << 63, 0, true}, /* the most negative: nobody waits for 0 */
        {(UINT64_C(1) << 63) + 1, INT64_MAX, true},
        {UINT64_MAX, 1, true},
        {UINT64_MAX - 1, 2, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t wire[12] = {0};
        bytes_store64(wire, cases[i].wire);
        struct wire_response read = wire_response_read(wire, false);
        assert_int_equal(read.id, cases[i].id);
        assert_int_equal(read.exception, cases[i].exception);
    }
}

static void request__ids_at_the_edges__kept_as_they_are(void **state)
{
    (void)state;
    static const int64_t ids[] = {0, 1, -1, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        uint8_t wire[20] = {0};
        bytes_store64(wire + 8, (uint64_t)ids[i]);
        assert_int_equal(wire_request_read(wire, false).id, ids[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request__golden_bytes__written_and_read),
        cmocka_unit_test(response__golden_bytes__written_and_read),
        cmocka_unit_test(response__ids_at_the_edges__never_negative),
        cmocka_unit_test(request__ids_at_the_edges__kept_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
