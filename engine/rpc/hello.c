/* SPDX-License-Identifier: Apache-2.0 */
/* The hello's bytes.  Pure. */
#include "engine/rpc/hello.h"

#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/bytes.h"

_Static_assert(WEFT_NAME_BYTES_MAX == UINT8_MAX, "a name's length is one byte, and every value must fit");

static uint32_t name_bytes(const char *name)
{
    size_t bytes = strnlen(name, WEFT_NAME_BYTES_MAX + 1);
    WEFT_ASSERT(bytes <= WEFT_NAME_BYTES_MAX);
    return (uint32_t)bytes;
}

uint32_t hello_bytes(const struct hello *hello)
{
    return HELLO_FIXED_BYTES + HELLO_NAMES + name_bytes(hello->cluster) + name_bytes(hello->dc) +
           name_bytes(hello->rack) + name_bytes(hello->lane);
}

static uint8_t *name_write(uint8_t *to, const char *name)
{
    uint32_t bytes = name_bytes(name);
    *to++ = (uint8_t)bytes;
    memcpy(to, name, bytes);
    return to + bytes;
}

uint32_t hello_write(const struct hello *hello, uint8_t *to, uint32_t bytes_max)
{
    uint32_t bytes = hello_bytes(hello);
    if (bytes > bytes_max) {
        return 0;
    }
    bytes_store16(to, hello->version);
    bytes_store16(to + 2, hello->flags);
    memcpy(to + 4, hello->id, UUID_BYTES);
    bytes_store64(to + 20, hello->incarnation);
    bytes_store16(to + 28, hello->shards);
    bytes_store16(to + 30, hello->shard);
    bytes_store16(to + 32, hello->wanted_shard);
    uint8_t *end = to + HELLO_FIXED_BYTES;
    end = name_write(end, hello->cluster);
    end = name_write(end, hello->dc);
    end = name_write(end, hello->rack);
    end = name_write(end, hello->lane);
    WEFT_ASSERT(end == to + bytes);
    return bytes;
}

/* Takes one name from the front of the span. */
static bool name_read(char name[WEFT_NAME_BYTES_MAX + 1], struct weft_span *in)
{
    if (in->bytes < 1) {
        return false;
    }
    uint32_t bytes = in->data[0];
    if (in->bytes - 1 < bytes || memchr(in->data + 1, '\0', bytes) != NULL) {
        return false;
    }
    memcpy(name, in->data + 1, bytes);
    name[bytes] = '\0';
    in->data += 1 + bytes;
    in->bytes -= 1 + bytes;
    return true;
}

bool hello_read(struct hello *hello, struct weft_span in)
{
    if (in.bytes < HELLO_FIXED_BYTES) {
        return false;
    }
    const uint8_t *from = in.data;
    hello->version = bytes_load16(from);
    hello->flags = bytes_load16(from + 2);
    memcpy(hello->id, from + 4, UUID_BYTES);
    hello->incarnation = bytes_load64(from + 20);
    hello->shards = bytes_load16(from + 28);
    hello->shard = bytes_load16(from + 30);
    hello->wanted_shard = bytes_load16(from + 32);
    in.data += HELLO_FIXED_BYTES;
    in.bytes -= HELLO_FIXED_BYTES;
    return name_read(hello->cluster, &in) && name_read(hello->dc, &in) && name_read(hello->rack, &in) &&
           name_read(hello->lane, &in);
}
