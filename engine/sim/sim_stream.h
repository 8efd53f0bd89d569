/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a connection: bytes on their way to a socket, in order, each chunk with the time it arrives. */
#ifndef ENGINE_SIM_SIM_STREAM_H
#define ENGINE_SIM_SIM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/list.h"

struct sim_stream {
    struct list chunks;
    uint64_t bytes;            /* sent and not yet delivered */
    uint64_t unconfirmed;      /* delivered, and the sender cannot be told */
    uint64_t last_due_ns;      /* nothing overtakes */
    uint64_t stalled_until_ns; /* nothing is delivered before */
};

void sim_stream_init(struct sim_stream *stream);
/* Drop everything. */
void sim_stream_fini(struct sim_stream *stream);
/* Append a chunk that arrives at due_ns or right behind its predecessor.  The caller fills the bytes returned. */
uint8_t *sim_stream_append(struct sim_stream *stream, uint32_t bytes, uint64_t due_ns);
/* Append the end of the stream. */
void sim_stream_append_end(struct sim_stream *stream, uint64_t due_ns);
/* How many bytes have arrived, counted up to bytes_max. */
uint32_t sim_stream_arrived(const struct sim_stream *stream, uint64_t now_ns, uint32_t bytes_max);
/* The next thing that has arrived is the end. */
bool sim_stream_at_end(const struct sim_stream *stream, uint64_t now_ns);
/* Move bytes that have arrived. */
void sim_stream_read(struct sim_stream *stream, uint8_t *to, uint32_t bytes);
/* Drop what has not arrived yet. */
void sim_stream_cut(struct sim_stream *stream, uint64_t now_ns);

#endif
