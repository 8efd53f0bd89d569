/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of requests, responses and exceptions, as bytes.
 *
 *   request    [u64 timeout_ms]  u64 verb  i64 id  u32 bytes              20, or 28 with TIMEOUT
 *   response   i64 id (negative: an exception)  u32 bytes  [u32 handler_us]   12, or 16 with HANDLER_DURATION
 *   exception  u32 type  u32 bytes  data */
#ifndef ENGINE_RPC_WIRE_H
#define ENGINE_RPC_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"

#define WIRE_REQUEST_BYTES 20u
#define WIRE_RESPONSE_BYTES 12u
#define WIRE_TIMEOUT_BYTES 8u
#define WIRE_DURATION_BYTES 4u
#define WIRE_EXCEPTION_BYTES 8u
/* handler_us of an answer that no handler gave. */
#define WIRE_DURATION_NONE UINT32_MAX

/* Verbs of weft's own, for peers that said hello. */
#define WIRE_VERB_PING ((UINT64_C(1) << 63) + 1)
#define WIRE_VERB_CANCEL ((UINT64_C(1) << 63) + 2)
#define WIRE_VERB_GOODBYE ((UINT64_C(1) << 63) + 3)

enum wire_exception {
    WIRE_EXCEPTION_USER = 0,
    WIRE_EXCEPTION_UNKNOWN_VERB = 1,
    WIRE_EXCEPTION_BUSY = 0x57454601,
    WIRE_EXCEPTION_EXPIRED = 0x57454602,
    WIRE_EXCEPTION_FORBIDDEN = 0x57454603,
    WIRE_EXCEPTION_OVERSIZED = 0x57454604 /* its data: u32, the most bytes that the payload of a request may have */
};

struct wire_request {
    uint64_t timeout_ms; /* 0: none */
    uint64_t verb;
    int64_t id;
};

struct wire_response {
    int64_t id; /* positive */
    bool exception;
    uint32_t handler_us;
};

static inline uint32_t wire_request_bytes(bool timeout)
{
    return WIRE_REQUEST_BYTES + (timeout ? WIRE_TIMEOUT_BYTES : 0);
}

static inline uint32_t wire_response_bytes(bool duration)
{
    return WIRE_RESPONSE_BYTES + (duration ? WIRE_DURATION_BYTES : 0);
}

/* @param bytes of the payload   @return bytes written */
static inline uint32_t wire_request_write(uint8_t *to, bool timeout, const struct wire_request *request, uint32_t bytes)
{
    uint32_t at = timeout ? WIRE_TIMEOUT_BYTES : 0;
    bytes_store64(to, request->timeout_ms); /* where there is none, the verb comes over it */
    bytes_store64(to + at, request->verb);
    bytes_store64(to + at + 8, (uint64_t)request->id);
    bytes_store32(to + at + 16, bytes);
    return at + WIRE_REQUEST_BYTES;
}

static inline struct wire_request wire_request_read(const uint8_t *from, bool timeout)
{
    struct wire_request request = {0};
    if (timeout) {
        request.timeout_ms = bytes_load64(from);
        from += WIRE_TIMEOUT_BYTES;
    }
    request.verb = bytes_load64(from);
    request.id = (int64_t)bytes_load64(from + 8);
    return request;
}

static inline uint32_t wire_response_write(uint8_t *to, bool duration, const struct wire_response *response,
                                           uint32_t bytes)
{
    bytes_store64(to, (uint64_t)(response->exception ? -response->id : response->id));
    bytes_store32(to + 8, bytes);
    if (duration) {
        bytes_store32(to + 12, response->handler_us);
    }
    return wire_response_bytes(duration);
}

/* The most negative id has no positive twin; it is read as 0, which nobody waits for. */
static inline struct wire_response wire_response_read(const uint8_t *from, bool duration)
{
    struct wire_response response = {0};
    uint64_t id = bytes_load64(from);
    response.exception = id >> 63 != 0;
    response.id = (int64_t)((response.exception ? ~id + 1 : id) & INT64_MAX);
    response.handler_us = duration ? bytes_load32(from + 12) : WIRE_DURATION_NONE;
    return response;
}

#endif
