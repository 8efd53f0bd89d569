/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a channel: its connection's events, turned into negotiation, frames and the end.
 *
 * Failure modes: bytes that are no frame of this protocol end the channel with a named reason; whatever was in flight
 * then fails, each call exactly once. */
#include "engine/rpc/channel.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/rpc/call.h"
#include "engine/rpc/serve.h"

static struct weft_shard *channel_shard(const struct channel *channel)
{
    return channel->rpc->shard;
}

/* A frame that was assembled: its block goes back, unless the user took it over. */
static bool channel_landed_received(struct channel *channel, struct frame *frame)
{
    struct rpc *rpc = channel->rpc;
    channel_frame_ended(channel);
    rpc->landed = frame;
    bool fine = channel->conn.accepted ? serve_request_received(channel, frame->header, frame->payload, frame->skipped)
                                       : call_reply_received(channel, frame->header, frame->payload, frame->skipped);
    rpc->landed = NULL;
    if (frame->landing != NULL) {
        arena_give_back(&rpc->shard->arena, frame->landing);
    }
    if (!fine) {
        conn_abort(&channel->conn, WEFT_ERR_PROTOCOL, WEFT_REASON_BAD_FRAME);
    }
    return fine;
}

/* NULL: there is none, or none for its source. */
static uint8_t *channel_frame_memory(struct channel *channel, uint32_t bytes)
{
    if (WEFT_LIKELY(channel_may_hold(channel, bytes))) {
        return rpc_memory_take(channel->rpc, bytes);
    }
    if (!channel->over_share) {
        channel->over_share = true;
        COUNT(channel_shard(channel), frames_over_share);
    }
    return NULL;
}

/* A frame's payload needs memory, beyond the bytes of it that are here: true if it was answered where it lands.  A
 * large one is received straight into it. */
static bool channel_land(struct channel *channel, uint32_t bytes, uint32_t here_bytes)
{
    uint8_t *landing = channel->pass_over ? NULL : channel_frame_memory(channel, bytes);
    if (WEFT_UNLIKELY(landing == NULL && channel->conn.accepted && !channel->pass_over &&
                      serve_must_wait(channel, bytes))) {
        channel_stall(channel, CHANNEL_STALL_MEMORY);
        return false;
    }
    timer_wheel_stop(&channel_shard(channel)->wheel, &channel->patience);
    frame_reader_land(&channel->reader, landing);
    channel->over_share = false;
    if (landing != NULL) {
        channel_hold_frame(channel, bytes);
    }
    if (landing != NULL && bytes >= here_bytes + LAND_BYTES_WANTED) {
        conn_want_landing(&channel->conn);
    }
    return true;
}

/* The control lane does not wait for others' work, and nobody does where what waits would find no room. */
static bool channel_must_wait(const struct channel *channel)
{
    return channel_shard(channel)->turn_over && channel->lane != WEFT_LANE_CONTROL &&
           channel->rpc->held_bytes < 2 * channel_held_most(channel);
}

_Static_assert(TURN_CONN_FRAMES_MAX % TURN_CLOCK_FRAMES == 0, "the clock is read where a share can end");

/* Asked once for so many frames: has the channel had its share of the turn? */
static bool channel_had_its_share(struct channel *channel)
{
    if (channel->turn_frames >= TURN_CONN_FRAMES_MAX) {
        return true;
    }
    if (channel->turn_frames > 0) {
        shard_clock(channel_shard(channel));
    }
    return channel_must_wait(channel);
}

bool channel_may_go_on_after_all(struct channel *channel)
{
    if (channel->conn.state != CONN_OPEN || channel->state != CHANNEL_UP || channel->stalled) {
        return false;
    }
    if (channel->turn_frames % TURN_CLOCK_FRAMES == 0 && channel_had_its_share(channel)) {
        channel_stall(channel, CHANNEL_STALL_TURN);
        return false;
    }
    if (channel->conn.accepted && !serve_has_room(channel)) {
        channel_stall(channel, CHANNEL_STALL_MEMORY);
        return false;
    }
    channel->turn_frames++;
    return true;
}

bool channel_part_received(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns)
{
    struct frame frame;
    switch (frame_reader_next_part(&channel->reader, bytes, &frame)) {
    case FRAME_WHOLE:
        if (!channel_landed_received(channel, &frame)) {
            return false;
        }
        channel->used = true;
        channel->pass_over = false;
        channel->frame_ns = arrived_ns;
        return true;
    case FRAME_LAND:
        return channel_land(channel, frame.payload.bytes, bytes->bytes);
    case FRAME_TOO_LARGE:
        conn_abort(&channel->conn, WEFT_ERR_TOO_LARGE, WEFT_REASON_FRAME_TOO_LARGE);
        return false;
    case FRAME_MORE:
        break;
    }
    return false;
}

static void channel_begin_share(struct channel *channel, uint32_t bytes)
{
    if (channel->turn != channel_shard(channel)->turn_number) {
        channel->turn = channel_shard(channel)->turn_number;
        channel->turn_frames = 0;
        channel->turn_bytes = 0;
    }
    channel->turn_bytes += bytes;
    if (WEFT_UNLIKELY(channel->turn_bytes > TURN_CONN_BYTES_MAX || channel_must_wait(channel))) {
        channel->turn_frames = TURN_CONN_FRAMES_MAX; /* that was all of it */
    }
}

void channel_frames_received(struct channel *channel, struct weft_span *bytes, uint64_t arrived_ns)
{
    struct weft_shard *shard = channel_shard(channel);
    channel_begin_share(channel, bytes->bytes);
    if (!frame_reader_partial(&channel->reader)) {
        channel->frame_ns = arrived_ns;
    }
    uint32_t frames = channel->turn_frames;
    channel->arrived_ns = arrived_ns;
    if (channel->conn.accepted) {
        serve_requests_take(channel, bytes, arrived_ns);
    } else {
        call_replies_take(channel, bytes, arrived_ns);
    }
    shard->turn_frames += channel->turn_frames - frames;
    if (WEFT_UNLIKELY(shard->turn_frames >= TURN_CLOCK_FRAMES)) {
        shard->turn_frames = 0;
        shard_clock(shard);
    }
}

/* A frame that began must end in time, unless it is us who do not read; and an accepted connection must bring one. */
void channel_watch(struct channel *channel)
{
    struct conn *conn = &channel->conn;
    if (!conn_is_open(conn)) {
        return; /* what came last ended it */
    }
    if (WEFT_UNLIKELY(channel->stalled || channel->state != CHANNEL_UP)) {
        conn_owed_stop(conn);
    } else if (frame_reader_partial(&channel->reader)) {
        /* The time that we did not read is not the peer's. */
        uint64_t since_ns = channel->frame_ns > channel->resumed_ns ? channel->frame_ns : channel->resumed_ns;
        conn_owed_start(conn, since_ns, conn->net->options.frame_timeout_ns, WEFT_REASON_FRAME_TIMEOUT);
    } else if (channel->used || !conn->accepted) {
        conn_owed_stop(conn);
    } else if (conn->owed_reason != WEFT_REASON_FIRST_REQUEST_TIMEOUT) {
        conn_owed_start(conn, channel_shard(channel)->now_ns, conn->net->options.first_timeout_ns,
                        WEFT_REASON_FIRST_REQUEST_TIMEOUT);
    }
}

static void channel_received(struct conn *conn, struct weft_span bytes)
{
    struct channel *channel = channel_of(conn);
    uint64_t arrived_ns = channel_shard(channel)->turn_ns;
    /* While reading was off it can have waited in the kernel: then it counts as having come when that began, for peers
     * that can be told that they came too late. */
    bool late = conn->behind_ns != 0 && channel->peer_hello;
    if (WEFT_UNLIKELY(late)) {
        arrived_ns = conn->behind_ns;
        channel->oldest_ns = arrived_ns;
        rpc_set_late(channel->rpc, true);
    }
    if (WEFT_UNLIKELY(channel->state == CHANNEL_GREETING)) {
        channel_greet_received(channel, &bytes);
    }
    if (WEFT_LIKELY(channel->state == CHANNEL_UP)) {
        channel_frames_received(channel, &bytes, arrived_ns);
    }
    if (WEFT_UNLIKELY(late)) {
        rpc_set_late(channel->rpc, false);
    }
    if (WEFT_UNLIKELY(channel->stalled && bytes.bytes > 0 && conn_is_open(conn))) {
        channel_hold(channel, bytes, arrived_ns);
    }
    channel_watch(channel);
}

static struct landing_room channel_landing(struct conn *conn)
{
    const struct channel *channel = channel_of(conn);
    struct landing_room room = {NULL, 0};
    if (list_empty(&channel->held)) { /* what is held comes first */
        room.data = frame_reader_room(&channel->reader, &room.bytes);
    }
    return room;
}

static void channel_landed(struct conn *conn, uint32_t bytes)
{
    struct channel *channel = channel_of(conn);
    struct weft_span nothing = weft_span_of("");
    frame_reader_landed(&channel->reader, bytes);
    channel_frames_received(channel, &nothing, channel_shard(channel)->now_ns);
    channel_watch(channel);
}

static void channel_opened(struct conn *conn)
{
    channel_greet_opened(channel_of(conn));
}

static void channel_misdirected(struct conn *conn)
{
    struct channel *channel = channel_of(conn);
    channel->misdirected = true;
    channel_greet_opened(channel);
}

static void channel_drained(struct conn *conn)
{
    channel_go_on(channel_of(conn));
}

static void channel_ending(struct conn *conn)
{
    if (!conn->accepted) {
        channel_take_held(channel_of(conn));
    }
}

static void channel_handed(struct conn *conn)
{
    call_handed(channel_of(conn));
}

static void channel_prune(struct conn *conn)
{
    call_prune(channel_of(conn));
}

static void channel_closed(struct conn *conn)
{
    struct channel *channel = channel_of(conn);
    struct weft_shard *shard = channel_shard(channel);
    channel->state = CHANNEL_DOWN;
    channel_greet_end(channel);
    channel_hold_end(channel);
    serve_drop_owed(channel);
    uint8_t *landing = frame_reader_abandon(&channel->reader);
    if (landing != NULL) {
        channel_frame_ended(channel);
        arena_give_back(&shard->arena, landing);
    }
    call_fail_all(channel);
    request_abort_all(channel);
    channel->events->down(channel);
}

static const struct conn_events channel_conn_events = {
    .opened = channel_opened,
    .received = channel_received,
    .landing = channel_landing,
    .landed = channel_landed,
    .drained = channel_drained,
    .ending = channel_ending,
    .handed = channel_handed,
    .prune = channel_prune,
    .misdirected = channel_misdirected,
    .closed = channel_closed,
};

/* A request that waited for memory is not wanted any more: read over it, and on. */
static void channel_patience_over(struct timer *timer, void *ctx)
{
    struct channel *channel = ctx;
    (void)timer;
    channel->pass_over = true;
    channel_go_on(channel);
}

static void channel_init(struct channel *channel, struct rpc *rpc, const struct channel_events *events, void *owner)
{
    channel->rpc = rpc;
    channel->tally = rpc->tally;
    channel->events = events;
    channel->owner = owner;
    channel->serving_shard = rpc->shard->index;
    channel_set_lane(channel, WEFT_LANE_NORMAL);
    list_init(&channel->calls);
    list_init(&channel->one_ways);
    list_init(&channel->held);
    list_init(&channel->owed);
    list_node_init(&channel->retry.link);
    list_node_init(&channel->unfinished);
    channel->retry.run = channel_retry;
    channel->patience = (struct timer){.fn = channel_patience_over, .ctx = channel};
    list_init(&channel->kept);
}

void channel_set_lane(struct channel *channel, enum weft_lane lane)
{
    uint32_t part = channel_shard(channel)->send_pool.count / SEND_RESERVE_PARTS;
    channel->lane = lane;
    channel->conn.send_bufs_left = lane == WEFT_LANE_CONTROL ? 0 : channel->conn.accepted ? part : 2 * part;
    channel->conn.flush.rank = lane == WEFT_LANE_CONTROL ? FLUSH_CONTROL : FLUSH_NORMAL;
    if (lane == WEFT_LANE_BULK) {
        conn_set_polite(&channel->conn);
    }
}

enum weft_err channel_dial(struct rpc *rpc, const struct conn_target *target, struct secure_factory *factory,
                           const struct channel_events *events, void *owner, struct channel **out,
                           struct weft_error *why)
{
    struct conn *conn;
    WEFT_TRY(conn_dial(rpc->net, target, factory, &channel_conn_events, &conn, why));
    *out = channel_of(conn);
    channel_init(*out, rpc, events, owner);
    return WEFT_OK;
}

enum weft_err channel_accept(struct rpc *rpc, int32_t socket, const struct address *remote,
                             struct secure_factory *factory, const struct channel_events *events, void *owner,
                             struct channel **out, struct weft_error *why)
{
    struct conn *conn;
    WEFT_TRY(conn_accept(rpc->net, socket, remote, factory, &channel_conn_events, &conn, why));
    *out = channel_of(conn);
    channel_init(*out, rpc, events, owner);
    (*out)->source = request_source(rpc, remote);
    return WEFT_OK;
}

enum weft_err rpc_init(struct rpc *rpc, struct net *net, const struct rpc_options *options)
{
    memset(rpc, 0, sizeof *rpc);
    rpc->shard = net->shard;
    rpc->net = net;
    rpc->verbs = options->verbs;
    list_init(&rpc->away);
    list_init(&rpc->unfinished);
    net->shard->rpc = rpc;
    rpc->authorizes = options->authorizes;
    rpc->shard->held.calls = &rpc->calls.count_in_use;
    rpc->shard->held.requests = &rpc->requests.count_in_use;
    rpc->tally = options->tally != NULL ? options->tally : &rpc->own_tally;
    call_cancel_init(rpc);
    WEFT_TRY(slots_init(&rpc->calls, rpc->net->options.allocator, options->calls_max, sizeof(struct call)));
    WEFT_TRY(call_deadlines_init(rpc));
    WEFT_TRY(
        slots_init(&rpc->requests, rpc->net->options.allocator, options->requests_max, sizeof(struct weft_request)));
    return requests_init(rpc);
}

struct weft_buf *rpc_take_payload(struct rpc *rpc, struct weft_span payload)
{
    struct payload_pool *pool = &rpc->shard->payloads;
    struct frame *landed = rpc->landed;
    if (landed != NULL && landed->landing != NULL && landed->landing == payload.data) {
        struct weft_buf *whole = payload_adopt(pool, landed->landing, payload.bytes);
        landed->landing = whole != NULL ? NULL : landed->landing;
        return whole;
    }
    struct weft_buf *copy = payload_take(pool, payload.bytes);
    if (copy != NULL) {
        memcpy(copy->data, payload.data, payload.bytes);
    }
    return copy;
}

void rpc_fini(struct rpc *rpc)
{
    WEFT_ASSERT(slots_in_use(&rpc->calls) == 0);
    rpc->shard->held.calls = NULL;
    rpc->shard->held.requests = NULL;
    call_deadlines_fini(rpc);
    slots_fini(&rpc->calls);
    slots_fini(&rpc->requests);
    requests_fini(rpc);
}
