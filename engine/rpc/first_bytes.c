/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rpc/first_bytes.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/rpc/negotiation.h"

/* A hello of SSL 2.0: u16 length with the high bit set, u8 1 (client hello), u16 version. */
#define SSL2_LENGTH_BIT 0x80u
#define SSL2_CLIENT_HELLO 0x01u
#define SSL2_HEAD_BYTES 5u
#define SSL_MAJOR 0x03u

static const struct opening {
    const char *text;
    uint32_t bytes;
    enum first_bytes kind;
} openings[] = {
    {NEGOTIATION_MAGIC, NEGOTIATION_MAGIC_BYTES, FIRST_BYTES_RPC},
    {"\x16\x03", 2, FIRST_BYTES_TLS_HANDSHAKE},
    {"\x15\x03", 2, FIRST_BYTES_TLS_ALERT},
    {"SSH-", 4, FIRST_BYTES_SSH},
    {"PROXY ", 6, FIRST_BYTES_PROXY},
    {"\r\n\r\n\0\r\nQUIT\n", 12, FIRST_BYTES_PROXY},
    {"HTTP/", 5, FIRST_BYTES_HTTP},
    {"GET ", 4, FIRST_BYTES_HTTP},
    {"HEAD ", 5, FIRST_BYTES_HTTP},
    {"POST ", 5, FIRST_BYTES_HTTP},
    {"PUT ", 4, FIRST_BYTES_HTTP},
    {"DELETE ", 7, FIRST_BYTES_HTTP},
    {"OPTIONS ", 8, FIRST_BYTES_HTTP},
    {"CONNECT ", 8, FIRST_BYTES_HTTP},
    {"PRI * HTTP/2", 12, FIRST_BYTES_HTTP},
};

static bool opening_is_ssl2(struct weft_span bytes)
{
    if (bytes.bytes < SSL2_HEAD_BYTES || (bytes.data[0] & SSL2_LENGTH_BIT) == 0 || bytes.data[2] != SSL2_CLIENT_HELLO) {
        return false;
    }
    bool old = bytes.data[3] == 0 && bytes.data[4] == 2;
    return old || (bytes.data[3] == SSL_MAJOR && bytes.data[4] <= 4);
}

enum first_bytes first_bytes_tell(struct weft_span bytes)
{
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        if (bytes.bytes >= openings[i].bytes && memcmp(bytes.data, openings[i].text, openings[i].bytes) == 0) {
            return openings[i].kind;
        }
    }
    return opening_is_ssl2(bytes) ? FIRST_BYTES_SSL2 : FIRST_BYTES_UNKNOWN;
}

const char *first_bytes_words(enum first_bytes kind)
{
    static const char *const words[FIRST_BYTES_COUNT] = {
        [FIRST_BYTES_UNKNOWN] = "bytes of an unknown protocol",
        [FIRST_BYTES_RPC] = "a negotiation in plaintext",
        [FIRST_BYTES_TLS_HANDSHAKE] = "a TLS handshake",
        [FIRST_BYTES_TLS_ALERT] = "a TLS alert",
        [FIRST_BYTES_SSL2] = "an SSL 2.0 hello",
        [FIRST_BYTES_HTTP] = "HTTP",
        [FIRST_BYTES_SSH] = "an SSH banner",
        [FIRST_BYTES_PROXY] = "a PROXY protocol header",
    };
    WEFT_ASSERT(kind < FIRST_BYTES_COUNT);
    return words[kind];
}
