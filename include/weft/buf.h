/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  Buffers: payloads that are passed on by reference instead of being copied.
 *
 *  A buffer belongs to one shard and is counted: whoever holds a reference keeps its bytes alive.  Its bytes may be
 *  written until the buffer is given to weft_call_buf or weft_reply_buf, and never again after that: the kernel reads
 *  them for as long as the network takes.  A reference of one's own (weft_buf_ref) allows reading them meanwhile, and
 *  sending the same bytes to others.
 */
#ifndef WEFT_BUF_H
#define WEFT_BUF_H

#include <weft/defs.h>
#include <weft/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Payloads below this many bytes are copied, which costs less than keeping track of them. */
#define WEFT_BUF_REFERENCE_BYTES_MIN (16u * 1024)

/** Runs when nobody refers to wrapped memory any more: on the shard, inside whatever dropped the last reference, so it
 *  must not call weft. */
typedef void weft_buf_release_fn(void *ctx, void *data, uint32_t bytes);

/** Take a buffer out of the shard's memory (half of its arena at most is in such buffers).  Its bytes are not zeroed.
 *  @param bytes 1..WEFT_PAYLOAD_BYTES_MAX
 *  @return given, with one reference; NULL: no memory for it now, an impossible size, or no shard
 *  @shard owner   @allocates never */
WEFT_API WEFT_NODISCARD WEFT_GIVE weft_buf *weft_buf_take(weft_shard *shard, uint32_t bytes);

/** Make a buffer of memory of the caller's, which stays as it is until release runs.
 *  @param data 1..WEFT_PAYLOAD_BYTES_MAX bytes, not written by weft   @param release may be NULL: nobody needs to know
 *  @return given, with one reference; NULL: the shard has no room for another buffer now, an impossible size, or no
 * data
 *  @shard owner   @allocates never */
WEFT_API WEFT_NODISCARD WEFT_GIVE weft_buf *weft_buf_wrap(weft_shard *shard, void *data, uint32_t bytes,
                                                          weft_buf_release_fn *release, void *ctx);

/** The bytes.  @return borrowed: valid as long as the reference; NULL for NULL   @shard owner */
WEFT_API uint8_t *weft_buf_data(weft_buf *buf);

/** How many; 0 for NULL.  @shard owner */
WEFT_API uint32_t weft_buf_bytes(const weft_buf *buf);

/** One more reference; NULL has none.  @return buf, for chaining   @shard owner */
WEFT_API WEFT_REF weft_buf *weft_buf_ref(weft_buf *buf);

/** Drop a reference; the last one ends the buffer.  NULL is fine.  @shard owner */
WEFT_API void weft_buf_unref(WEFT_TAKE weft_buf *buf);

#ifdef __cplusplus
}
#endif

#endif
