/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the protocols that come to the wrong port are told apart by their first bytes, and nothing else is taken for
 * one of them.  Method: openings as those programs send them; each cut short by a byte below its mark is unknown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/rpc/first_bytes.h"

static const struct {
    const char *bytes;
    uint32_t count;
    uint32_t enough; /* so many tell it */
    enum first_bytes kind;
} rows[] = {
    {"SSTARRPC\0\0\0\0", 12, 8, FIRST_BYTES_RPC},
    {"\x16\x03\x01\x02\x00\x01", 6, 2, FIRST_BYTES_TLS_HANDSHAKE},
    {"\x16\x03\x00\x00\x2f\x01", 6, 2, FIRST_BYTES_TLS_HANDSHAKE}, /* SSL 3.0 */
    {"\x15\x03\x03\x00\x02\x02\x28", 7, 2, FIRST_BYTES_TLS_ALERT},
    {"\x80\x2e\x01\x00\x02\x00\x15", 7, 5, FIRST_BYTES_SSL2},
    {"\x80\x2e\x01\x03\x01\x00\x15", 7, 5, FIRST_BYTES_SSL2}, /* TLS 1.0 in the framing of SSL 2.0 */
    {"GET / HTTP/1.1\r\n", 16, 4, FIRST_BYTES_HTTP},
    {"POST /x HTTP/1.1\r\n", 18, 5, FIRST_BYTES_HTTP},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, 12, FIRST_BYTES_HTTP},
    {"HTTP/1.1 400 Bad Request\r\n", 26, 5, FIRST_BYTES_HTTP},
    {"SSH-2.0-OpenSSH_9.2p1\r\n", 23, 4, FIRST_BYTES_SSH},
    {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", 36, 6, FIRST_BYTES_PROXY},
    {"\r\n\r\n\0\r\nQUIT\n\x21\x11", 14, 12, FIRST_BYTES_PROXY},
    /* What is none of them. */
    {"\0\0\0\0\0\0", 6, 0, FIRST_BYTES_UNKNOWN},
    {"SSTARRPX", 8, 0, FIRST_BYTES_UNKNOWN},
    {"\x16\x02\x01", 3, 0, FIRST_BYTES_UNKNOWN},
    {"\x80\x2e\x02\x00\x02\x00\x15", 7, 0, FIRST_BYTES_UNKNOWN},
    {"\x80\x2e\x01\x00\x03\x00\x15", 7, 0, FIRST_BYTES_UNKNOWN},
    {"\x80\x2e\x01\x03\x05\x00\x15", 7, 0, FIRST_BYTES_UNKNOWN},
    {"get / http/1.1\r\n", 16, 0, FIRST_BYTES_UNKNOWN},
};

static void first_bytes__each_protocol__told_once_there_is_enough(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (uint32_t seen = 0; seen <= rows[i].count; seen++) {
            enum first_bytes want = seen >= rows[i].enough ? rows[i].kind : FIRST_BYTES_UNKNOWN;
            struct weft_span bytes = {(const uint8_t *)rows[i].bytes, seen};
            assert_int_equal(first_bytes_tell(bytes), want);
        }
    }
}

static void first_bytes__words__each_kind_has_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < FIRST_BYTES_COUNT; a++) {
        assert_true(strlen(first_bytes_words((enum first_bytes)a)) > 3);
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(first_bytes_words((enum first_bytes)a), first_bytes_words((enum first_bytes)b));
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_bytes__each_protocol__told_once_there_is_enough),
        cmocka_unit_test(first_bytes__words__each_kind_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
