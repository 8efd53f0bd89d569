/* SPDX-License-Identifier: Apache-2.0 */
/* A channel that must not go on for now: what arrives meanwhile is held in order, and reading stops.
 *
 * It stalls because its answers pile up or find no room, because there is no memory for a frame, or because it had its
 * share of the turn.  It goes on when its queue has drained, or when the shard has had a turn to find memory.
 * Failure modes: bytes that arrived and find no memory to be held in end the channel; a part of the arena is kept free
 * for them. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/rpc/channel.h"

/* Bytes that arrived before their turn: a copy, as their receive buffer is everybody's. */
struct held_bytes {
    struct list_node link;
    uint64_t arrived_ns;
    uint64_t block_bytes;   /* of the arena */
    struct weft_span bytes; /* what is left of them; they stand behind this struct */
};

/* Pieces fill their blocks of the arena, which are powers of two. */
#define HELD_PIECE_BYTES_MAX (RECV_BUF_BYTES - (uint32_t)sizeof(struct held_bytes))

/* Much is put aside already: let little more arrive. */
static void hold_account(struct channel *channel)
{
    channel->rpc->shard->io->sparing = channel->rpc->held_bytes > channel_held_most(channel) / 2;
}

static bool hold_piece(struct channel *channel, struct weft_span bytes, uint64_t arrived_ns)
{
    struct arena *arena = &channel->rpc->shard->arena;
    uint8_t *memory = arena_take(arena, (uint32_t)sizeof(struct held_bytes) + bytes.bytes);
    if (memory == NULL) {
        conn_abort(&channel->conn, WEFT_ERR_NO_MEMORY, WEFT_REASON_OUT_OF_BUFFERS);
        return false;
    }
    struct held_bytes *held = (struct held_bytes *)(void *)memory;
    memcpy(memory + sizeof *held, bytes.data, bytes.bytes);
    held->arrived_ns = arrived_ns;
    held->block_bytes = arena_block_bytes(arena, (uint32_t)sizeof *held + bytes.bytes);
    held->bytes = (struct weft_span){memory + sizeof *held, bytes.bytes};
    list_node_init(&held->link);
    list_push_back(&channel->held, &held->link);
    channel->held_bytes += bytes.bytes;
    channel->rpc->held_bytes += held->block_bytes;
    hold_account(channel);
    return true;
}

void channel_hold(struct channel *channel, struct weft_span bytes, uint64_t arrived_ns)
{
    bool fine = true;
    while (bytes.bytes > 0 && fine) {
        uint32_t part = bytes.bytes < HELD_PIECE_BYTES_MAX ? bytes.bytes : HELD_PIECE_BYTES_MAX;
        fine = hold_piece(channel, (struct weft_span){bytes.data, part}, arrived_ns);
        bytes.data += part;
        bytes.bytes -= part;
    }
    bool full = channel->held_bytes > HELD_BYTES_HIGH || channel->rpc->held_bytes > channel_held_most(channel);
    if (fine && full && !channel->conn.paused) {
        conn_fall_behind(&channel->conn);
    }
}

static void held_free(struct channel *channel, struct held_bytes *held)
{
    WEFT_ASSERT(channel->rpc->held_bytes >= held->block_bytes);
    channel->rpc->held_bytes -= held->block_bytes;
    hold_account(channel);
    list_remove(&held->link);
    arena_give_back(&channel->rpc->shard->arena, (uint8_t *)held);
}

void channel_stall(struct channel *channel, enum channel_stall why)
{
    struct weft_shard *shard = channel->rpc->shard;
    channel->stalled = true;
    channel->stall = why;
    if (why != CHANNEL_STALL_TURN && !channel->conn.paused) {
        conn_pause(&channel->conn);
    }
    if (why != CHANNEL_STALL_ANSWERS) { /* those say themselves when they have drained */
        shard_run_when_fed(shard, &channel->retry);
        shard->work_left |= why == CHANNEL_STALL_TURN;
    }
}

static uint64_t hold_oldest_ns(const struct channel *channel)
{
    const struct list_node *node = list_first(&channel->held);
    return node != NULL ? WEFT_CONTAINER_OF(node, const struct held_bytes, link)->arrived_ns
                        : channel->rpc->shard->now_ns;
}

/* All that it holds, as far as its share of the turn goes, so that the answers leave with one send: where many
 * connections bring one request at a time, sends would cost as much as handlers. */
void channel_go_on(struct channel *channel)
{
    struct list_node *node;
    if (!channel->stalled || !conn_is_open(&channel->conn)) {
        return;
    }
    channel->stalled = false;
    if (channel->stall != CHANNEL_STALL_TURN || !list_empty(&channel->owed)) {
        channel->freed_ns = channel->rpc->shard->now_ns;
    }
    serve_send_owed(channel);
    struct weft_span nothing = weft_span_of("");
    channel_frames_received(channel, &nothing, channel->rpc->shard->now_ns); /* a frame that landed meanwhile */
    channel->oldest_ns = hold_oldest_ns(channel);
    while (!channel->stalled && conn_is_open(&channel->conn) && (node = list_first(&channel->held)) != NULL) {
        struct held_bytes *held = WEFT_CONTAINER_OF(node, struct held_bytes, link);
        rpc_set_late(channel->rpc, true);
        uint32_t before = held->bytes.bytes;
        channel_frames_received(channel, &held->bytes, held->arrived_ns);
        WEFT_ASSERT(channel->held_bytes >= before - held->bytes.bytes);
        channel->held_bytes -= before - held->bytes.bytes;
        if (held->bytes.bytes == 0) {
            held_free(channel, held);
        }
    }
    rpc_set_late(channel->rpc, false);
    if (!channel->stalled && channel->conn.paused) {
        channel->resumed_ns = channel->rpc->shard->now_ns;
        conn_resume(&channel->conn);
    }
    channel_watch(channel);
}

void channel_take_held(struct channel *channel)
{
    uint32_t before;
    do {
        before = channel->held_bytes;
        channel->turn_frames = 0;
        channel->turn_bytes = 0;
        channel_go_on(channel);
    } while (channel->stalled && channel->held_bytes < before);
}

void channel_retry(struct task *task)
{
    struct channel *channel = WEFT_CONTAINER_OF(task, struct channel, retry);
    if (!channel->conn.above_high) { /* else `drained` comes */
        channel_go_on(channel);
    }
}

void channel_hold_end(struct channel *channel)
{
    struct list_node *node;
    list_remove(&channel->retry.link);
    timer_wheel_stop(&channel->rpc->shard->wheel, &channel->patience);
    while ((node = list_first(&channel->held)) != NULL) {
        held_free(channel, WEFT_CONTAINER_OF(node, struct held_bytes, link));
    }
    channel->held_bytes = 0;
}
