/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over the frames that arrived, compiled once with what requests do and once with what replies do, since its
 * steps are a good part of either. */
#ifndef ENGINE_RPC_CHANNEL_TAKE_H
#define ENGINE_RPC_CHANNEL_TAKE_H

#include "engine/rpc/channel.h"

/* What becomes of a whole frame.  @return false: the channel must end for bad_frame */
typedef bool channel_act_fn(struct channel *channel, const uint8_t *header, struct weft_span payload, bool skipped);

/* May another frame be taken now?  Where small messages have a place, the connection is open. */
static inline bool channel_may_go_on(struct channel *channel)
{
    if (WEFT_UNLIKELY(channel->conn.place_room < ANSWER_BYTES_MIN || channel->stalled ||
                      channel->turn_frames % TURN_CLOCK_FRAMES == 0 || !channel->peer_hello)) {
        return channel_may_go_on_after_all(channel);
    }
    channel->turn_frames++;
    return true;
}

/* @param bytes what arrived; what is left of it is not used up */
static WEFT_INLINE void channel_take(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns,
                                     channel_act_fn *act)
{
    const uint8_t *header;
    struct weft_span payload;
    struct weft_span left = *bytes; /* whose address nobody has, so that it stays in registers */
    bool fine = true;
    while (fine && channel_may_go_on(channel)) {
        if (WEFT_LIKELY(frame_reader_view(&channel->reader, &left, &header, &payload))) {
            channel->used = true;
            fine = act(channel, header, payload, false);
            if (WEFT_UNLIKELY(!fine)) {
                conn_abort(&channel->conn, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_FRAME);
            }
        } else {
            *bytes = left;
            fine = channel_part_received(channel, bytes, arrived_ns);
            left = *bytes;
        }
    }
    *bytes = left;
}

#endif
