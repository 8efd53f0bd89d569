/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim/sim_stream.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/sim/sim_memory.h"

struct sim_chunk {
    struct list_node link;
    uint64_t due_ns;
    uint32_t bytes; /* 0: the end of the stream */
    uint32_t read;
    uint8_t data[];
};

static struct sim_chunk *chunk_of(struct list_node *node)
{
    return WEFT_CONTAINER_OF(node, struct sim_chunk, link);
}

void sim_stream_init(struct sim_stream *stream)
{
    memset(stream, 0, sizeof *stream);
    list_init(&stream->chunks);
}

static void chunk_drop(struct sim_stream *stream, struct sim_chunk *chunk)
{
    list_remove(&chunk->link);
    stream->bytes -= chunk->bytes - chunk->read;
    free(chunk);
}

void sim_stream_fini(struct sim_stream *stream)
{
    while (!list_empty(&stream->chunks)) {
        chunk_drop(stream, chunk_of(list_first(&stream->chunks)));
    }
    WEFT_ASSERT(stream->bytes == 0);
}

static struct sim_chunk *stream_push(struct sim_stream *stream, uint32_t bytes, uint64_t due_ns)
{
    struct sim_chunk *chunk = sim_memory_new(sizeof *chunk + bytes);
    if (due_ns > stream->last_due_ns) {
        stream->last_due_ns = due_ns;
    }
    chunk->due_ns = stream->last_due_ns;
    chunk->bytes = bytes;
    list_node_init(&chunk->link);
    list_push_back(&stream->chunks, &chunk->link);
    stream->bytes += bytes;
    return chunk;
}

uint8_t *sim_stream_append(struct sim_stream *stream, uint32_t bytes, uint64_t due_ns)
{
    WEFT_ASSERT(bytes > 0);
    return stream_push(stream, bytes, due_ns)->data;
}

void sim_stream_append_end(struct sim_stream *stream, uint64_t due_ns)
{
    stream_push(stream, 0, due_ns);
}

uint32_t sim_stream_arrived(const struct sim_stream *stream, uint64_t now_ns, uint32_t bytes_max)
{
    uint32_t bytes = 0;
    LIST_FOR_EACH(node, &stream->chunks)
    {
        const struct sim_chunk *chunk = chunk_of(node);
        if (chunk->due_ns > now_ns || chunk->bytes == 0) {
            break;
        }
        bytes += chunk->bytes - chunk->read;
        if (bytes >= bytes_max) {
            return bytes_max;
        }
    }
    return bytes;
}

bool sim_stream_at_end(const struct sim_stream *stream, uint64_t now_ns)
{
    if (list_empty(&stream->chunks)) {
        return false;
    }
    const struct sim_chunk *chunk = chunk_of(list_first(&stream->chunks));
    return chunk->bytes == 0 && chunk->due_ns <= now_ns;
}

void sim_stream_read(struct sim_stream *stream, uint8_t *to, uint32_t bytes)
{
    while (bytes > 0) {
        WEFT_ASSERT(!list_empty(&stream->chunks));
        struct sim_chunk *chunk = chunk_of(list_first(&stream->chunks));
        uint32_t left = chunk->bytes - chunk->read;
        uint32_t part = bytes < left ? bytes : left;
        WEFT_ASSERT(part > 0);
        memcpy(to, chunk->data + chunk->read, part);
        to += part;
        bytes -= part;
        chunk->read += part;
        stream->bytes -= part;
        if (chunk->read == chunk->bytes) {
            chunk_drop(stream, chunk);
        }
    }
}

void sim_stream_cut(struct sim_stream *stream, uint64_t now_ns)
{
    while (!list_empty(&stream->chunks)) {
        struct sim_chunk *last = chunk_of(list_last(&stream->chunks));
        if (last->due_ns <= now_ns) {
            break;
        }
        chunk_drop(stream, last);
    }
}
