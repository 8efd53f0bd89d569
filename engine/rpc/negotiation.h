/* SPDX-License-Identifier: Apache-2.0 */
/* The negotiation: one frame each way, the first bytes of a connection.
 *
 *   8 bytes "SSTARRPC"   u32 length of what follows   records: u32 feature, u32 bytes, data
 *
 * Written in one go, read in any fragmentation.  Pure: bytes in, struct out. */
#ifndef ENGINE_RPC_NEGOTIATION_H
#define ENGINE_RPC_NEGOTIATION_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/defs.h>
#include <weft/reason.h>

#include "engine/base/limits.h"
#include "engine/rpc/hello.h"

#define NEGOTIATION_MAGIC "SSTARRPC"
#define NEGOTIATION_MAGIC_BYTES 8u
#define NEGOTIATION_HEAD_BYTES (NEGOTIATION_MAGIC_BYTES + 4u)
#define NEGOTIATION_RECORD_HEAD_BYTES 8u

/* Numbers of features on the wire.  The last two are weft's own: "TFEW" and the next. */
enum negotiation_feature {
    NEGOTIATION_COMPRESS = 0,
    NEGOTIATION_TIMEOUT = 1,
    NEGOTIATION_CONNECTION_ID = 2,
    NEGOTIATION_STREAM_PARENT = 3,
    NEGOTIATION_ISOLATION = 4,
    NEGOTIATION_HANDLER_DURATION = 5,
    NEGOTIATION_HELLO = 0x57454654,
    NEGOTIATION_REFUSAL = 0x57454655
};

/* Room for everything that negotiation_write can write: seven records. */
#define NEGOTIATION_WRITE_BYTES_MAX                                                                                    \
    (NEGOTIATION_HEAD_BYTES + 7u * NEGOTIATION_RECORD_HEAD_BYTES + 8u /* connection id */ + 8u /* stream parent */ +   \
     COOKIE_BYTES_MAX + HELLO_BYTES_MAX + 2u /* refusal */)

/* What one side offers or answers. */
struct negotiation {
    bool timeout;
    bool handler_duration;
    bool has_compress; /* read only: somebody offered compression, which is declined by leaving it out */
    bool has_connection_id;
    uint64_t connection_id;
    bool has_stream_parent;
    uint64_t stream_parent;
    bool has_cookie;
    uint32_t cookie_bytes;
    uint8_t cookie[COOKIE_BYTES_MAX];
    bool has_hello;
    struct hello hello;
    bool has_refusal;
    enum weft_reason refusal; /* one of WEFT_REFUSALS; a code from the future reads as WEFT_REASON_REFUSED */
};

/* Write a frame, records in ascending order of their numbers.
 * @return its bytes, 0 if they are more than bytes_max; NEGOTIATION_WRITE_BYTES_MAX is always enough */
uint32_t negotiation_write(const struct negotiation *negotiation, uint8_t *to, uint32_t bytes_max);

enum negotiation_step { NEGOTIATION_MORE = 0, NEGOTIATION_DONE, NEGOTIATION_BAD };

/* A record's data is kept as far as some feature needs it; the rest is passed over. */
#define NEGOTIATION_KEPT_BYTES_MAX HELLO_BYTES_MAX

enum negotiation_phase {
    NEGOTIATION_PHASE_HEAD = 0,
    NEGOTIATION_PHASE_RECORD_HEAD,
    NEGOTIATION_PHASE_RECORD_DATA,
    NEGOTIATION_PHASE_RECORD_REST,
    NEGOTIATION_PHASE_DONE,
    NEGOTIATION_PHASE_BAD
};

/* The state between fragments.  All zero is a fresh reader. */
struct negotiation_reader {
    enum negotiation_phase phase;
    enum weft_reason bad; /* NEGOTIATION_PHASE_BAD: why */
    const char *said;     /* and what was seen, as words behind "it" */
    uint32_t left_bytes;  /* of the frame, behind the record being read */
    uint32_t record_count;
    uint32_t seen;       /* bit set of the features that were read: of duplicates the first wins */
    uint32_t feature;    /* of the record being read */
    bool record_counts;  /* its feature is known, and seen for the first time */
    uint32_t data_bytes; /* of its data, to be kept */
    uint32_t rest_bytes; /* of its data, behind those */
    uint32_t kept_bytes; /* gathered so far for the phase */
    uint8_t kept[NEGOTIATION_KEPT_BYTES_MAX];
};

void negotiation_reader_init(struct negotiation_reader *reader);

/* Read on.  @param taken given: how much of `in` was used; what stands behind the frame is the caller's
 * @param out zeroed by the first call, the same in every call, complete at NEGOTIATION_DONE
 * @param why given at NEGOTIATION_BAD: bad_magic at the first wrong byte, else bad_negotiation
 * @return NEGOTIATION_MORE: all of `in` is used; DONE and BAD are final */
enum negotiation_step negotiation_read(struct negotiation_reader *reader, struct weft_span in, uint32_t *taken,
                                       struct negotiation *out, enum weft_reason *why);

#endif
