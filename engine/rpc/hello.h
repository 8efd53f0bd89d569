/* SPDX-License-Identifier: Apache-2.0 */
/* The hello: how a weft node introduces itself inside the negotiation.  Everything in it is a claim.
 *
 *   u16 version   u16 flags   u8[16] node id   u64 incarnation
 *   u16 shards    u16 shard   u16 wanted shard
 *   cluster, dc, rack, lane: each u8 length, then that many bytes
 *
 * Later versions append; what stands behind the known fields is ignored. */
#ifndef ENGINE_RPC_HELLO_H
#define ENGINE_RPC_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/defs.h>

#include "engine/base/uuid.h"

#define HELLO_VERSION 1
/* wanted_shard of a dialer that does not mind. */
#define HELLO_SHARD_ANY 0xffffu

#define HELLO_FIXED_BYTES 34u
#define HELLO_NAMES 4u
/* The longest hello of this version: all four names as long as a length byte can say. */
#define HELLO_BYTES_MAX (HELLO_FIXED_BYTES + HELLO_NAMES * (1u + WEFT_NAME_BYTES_MAX))

struct hello {
    uint16_t version;
    uint16_t flags;
    uint8_t id[UUID_BYTES];
    uint64_t incarnation;
    uint16_t shards;       /* of the sender's node */
    uint16_t shard;        /* the dialer's own; of an acceptor, where the connection landed */
    uint16_t wanted_shard; /* of the dialer: where it wants to land */
    char cluster[WEFT_NAME_BYTES_MAX + 1];
    char dc[WEFT_NAME_BYTES_MAX + 1]; /* "" where unknown */
    char rack[WEFT_NAME_BYTES_MAX + 1];
    char lane[WEFT_NAME_BYTES_MAX + 1];
};

/* Bytes that hello_write will write. */
uint32_t hello_bytes(const struct hello *hello);
/* Write a hello.  @return its bytes, 0 if they are more than bytes_max */
uint32_t hello_write(const struct hello *hello, uint8_t *to, uint32_t bytes_max);
/* Read a hello.  @return false: it is cut short or a name holds a NUL byte; hello is then not valid */
bool hello_read(struct hello *hello, struct weft_span in);

#endif
