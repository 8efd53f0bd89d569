/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  Words that the other public headers use: export, ownership, spans and limits of the interface.
 *
 *  Ownership has five words.  A parameter without one is borrowed.
 *    borrow  the callee reads it until it returns, and keeps nothing
 *    take    the callee owns it if and only if the call returned ok
 *    give    the caller owns what comes out
 *    lend    memory of a pool, which must be handed back
 *    ref     counted; released with the matching unref
 */
#ifndef WEFT_DEFS_H
#define WEFT_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define WEFT_API __attribute__((visibility("default")))
#define WEFT_NODISCARD __attribute__((warn_unused_result))
#else
#define WEFT_API
#define WEFT_NODISCARD
#endif

#define WEFT_BORROW
#define WEFT_TAKE
#define WEFT_GIVE
#define WEFT_LEND
#define WEFT_REF

/** An option struct that says nothing but its size, which is its first member.  C++ has no designators before C++20,
 * and compilers of it warn of members that an initializer leaves out, unless it is empty. */
#if defined(__cplusplus) && __cplusplus >= 201103L
#define WEFT_INIT(type)                                                                                                \
    [] {                                                                                                               \
        type weft_options = {};                                                                                        \
        weft_options.size = sizeof(type);                                                                              \
        return weft_options;                                                                                           \
    }()
#elif defined(__cplusplus)
#define WEFT_INIT(type)                                                                                                \
    {                                                                                                                  \
        sizeof(type)                                                                                                   \
    }
#else
#define WEFT_INIT(type)                                                                                                \
    {                                                                                                                  \
        .size = sizeof(type)                                                                                           \
    }
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Longest name of a cluster, data centre, rack or lane, in bytes, without the NUL. */
#define WEFT_NAME_BYTES_MAX 255

/** Bytes that belong to somebody else: a pointer and its length, always together. */
struct weft_span {
    const uint8_t *data;
    uint32_t bytes;
};

/** A span over a string's bytes, without its NUL.  @shard any */
static inline struct weft_span weft_span_of(const char *text)
{
    struct weft_span span = {(const uint8_t *)text, 0};
    while (text[span.bytes] != '\0') {
        span.bytes++;
    }
    return span;
}

/** A node, its shards and everything they own; opaque. */
typedef struct weft_node weft_node;
/** One shard of a node: one thread, one reactor; opaque, and valid on its own thread only. */
typedef struct weft_shard weft_shard;
/** A request that a handler answers; opaque. */
typedef struct weft_request weft_request;
/** Bytes that are passed on by reference; opaque. */
typedef struct weft_buf weft_buf;
/** A call of this shard that has not ended.  Zero is no call; after its end the value names nothing, ever. */
typedef struct {
    uint64_t bits;
} weft_call_id;
/** A peer of this node.  Zero is no peer.  The value is the same on every shard. */
typedef struct {
    uint64_t bits;
} weft_peer_id;

#ifdef __cplusplus
}
#endif

#endif
