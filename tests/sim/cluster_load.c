/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: drawn or given, started, given up, and what their ends may say. */
#include <string.h>

#include "engine/base/bytes.h"
#include "tests/sim/cluster_payload.h"

/* How much longer than the caller waits an overslept answer takes: more than a tick of its timer and a few turns. */
#define OVERSLEEP_NS (2 * MS_NS)

/* Behind the tick of a deadline: the turns of other shards that run before the one that is due. */
#define LATE_NS_MAX (MS_NS / 5)

static void call_check_time(const struct cluster_call *call, enum weft_err err)
{
    struct cluster *cluster = call->cluster;
    uint64_t thawed_ns = cluster->nodes[call->node].thawed_ns;
    uint64_t deadline_ns = call->begin_ns + call->timeout_ns;
    uint64_t due_ns = thawed_ns > deadline_ns ? thawed_ns : deadline_ns;
    uint64_t late_ns = call->end_ns > due_ns ? call->end_ns - due_ns : 0;
    cluster_check(cluster, err != WEFT_ERR_TIMEOUT || call->end_ns >= deadline_ns, "call %llu timed out %llu ns early",
                  (unsigned long long)call->id, (unsigned long long)(deadline_ns - call->end_ns));
    cluster_check(cluster, late_ns <= TIMER_TICK_NS + LATE_NS_MAX, "call %llu ended %llu ns after its deadline",
                  (unsigned long long)call->id, (unsigned long long)late_ns);
    if (late_ns > cluster->lateness_ns_max) {
        cluster->lateness_ns_max = late_ns;
    }
}

static void call_check_answer(const struct cluster_call *call, const struct weft_reply *reply)
{
    struct cluster *cluster = call->cluster;
    const uint8_t *data = reply->payload.data;
    cluster_check(cluster, reply->executed == WEFT_EXECUTED_YES && call->runs == 1,
                  "call %llu was answered, executed %s", (unsigned long long)call->id,
                  weft_executed_name(reply->executed));
    cluster_check(cluster, call->destiny == DESTINY_NOW || call->destiny == DESTINY_LATER,
                  "call %llu of destiny %d was answered", (unsigned long long)call->id, (int)call->destiny);
    cluster_check(cluster, reply->payload.bytes == call->reply_bytes, "the answer to %llu has %u bytes and not %u",
                  (unsigned long long)call->id, reply->payload.bytes, call->reply_bytes);
    cluster_check(cluster, bytes_load64(data) == call->id, "the answer to %llu came to %llu",
                  (unsigned long long)bytes_load64(data), (unsigned long long)call->id);
    cluster_check(cluster, bytes_load32(data + 8) == call->peer, "node %u answered what was asked of %u",
                  bytes_load32(data + 8), call->peer);
    cluster_check(cluster,
                  payload_fits(data + REPLY_BYTES_MIN, reply->payload.bytes - REPLY_BYTES_MIN, call->id ^ ANSWER_SALT),
                  "the bytes of the answer to %llu are wrong", (unsigned long long)call->id);
}

/* Which ends a call of this destiny can have, and what each must say. */
static void call_check_end(const struct cluster_call *call, enum weft_err err, const struct weft_reply *reply)
{
    struct cluster *cluster = call->cluster;
    unsigned long long id = call->id;
    char text[FAIL_TEXT_BYTES];
    cluster_check(cluster, reply->error.code == err, "call %llu: %s and %s", id, weft_err_name(err),
                  weft_err_name(reply->error.code));
    cluster_check(cluster, call->cancelled == (err == WEFT_ERR_CANCELLED), "call %llu was %scancelled: %s", id,
                  call->cancelled ? "" : "not ", weft_err_name(err));
    cluster_check(cluster, !call->cancelled || call->end_ns - call->cancelled_ns <= LATE_NS_MAX,
                  "call %llu ended %llu ns after it was cancelled", id,
                  (unsigned long long)(call->end_ns - call->cancelled_ns));
    switch (err) {
    case WEFT_OK:
        if (call->destiny == DESTINY_ONE_WAY) {
            cluster_check(cluster, reply->executed == WEFT_EXECUTED_MAYBE, "one-way %llu", id);
        } else {
            call_check_answer(call, reply);
        }
        break;
    case WEFT_ERR_REMOTE:
        payload_fail_text(call, text);
        cluster_check(cluster, call->destiny == DESTINY_FAIL && strcmp(reply->error.text, text) == 0,
                      "call %llu failed remotely: %s", id, reply->error.text);
        cluster_check(cluster, reply->executed == WEFT_EXECUTED_YES, "call %llu", id);
        break;
    case WEFT_ERR_UNKNOWN_VERB:
        cluster_check(cluster, call->destiny == DESTINY_UNKNOWN, "call %llu: the peer does not know its verb", id);
        cluster_check(cluster, reply->executed == WEFT_EXECUTED_NO, "call %llu", id);
        break;
    case WEFT_ERR_CANCELLED:
        cluster_check(cluster, call->cancelled && reply->executed != WEFT_EXECUTED_YES, "call %llu", id);
        break;
    case WEFT_ERR_TIMEOUT:
    case WEFT_ERR_CLOSED:
        cluster_check(cluster, reply->executed != WEFT_EXECUTED_YES, "call %llu", id);
        break;
    case WEFT_ERR_UNREACHABLE:
    case WEFT_ERR_DRAINING:
    case WEFT_ERR_QUEUE_FULL:
    case WEFT_ERR_BUSY:
    case WEFT_ERR_EXPIRED: /* before its handler ran: its bytes were long on the way, or the peer slow to read them */
        cluster_check(cluster, reply->executed == WEFT_EXECUTED_NO, "call %llu", id);
        break;
    default:
        cluster_check(cluster, false, "call %llu ended with %s: %s", id, weft_err_name(err), reply->error.text);
    }
}

static void call_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct cluster_call *call = ctx;
    struct cluster *cluster = call->cluster;
    struct cluster_node *node = &cluster->nodes[call->node];
    cluster_check(cluster, !cluster->inside_call, "call %llu ended inside a call", (unsigned long long)call->id);
    cluster_check(cluster, call->started && !call->caller_died, "call %llu ended, but never began",
                  (unsigned long long)call->id);
    call->ends++;
    cluster_check(cluster, call->ends == 1, "call %llu ended %u times", (unsigned long long)call->id, call->ends);
    cluster_check(cluster, cluster->running == node->workers[call->shard].shard, "call %llu ended on another shard",
                  (unsigned long long)call->id);
    call->err = err;
    call->executed = reply->executed;
    call->end_ns = weft_shard_now_ns(cluster->running);
    cluster->open_calls--;
    node->open_calls[call->shard]--;
    call_check_time(call, err);
    call_check_end(call, err, reply);
    cluster_check(cluster, call->executed != WEFT_EXECUTED_NO || call->runs == 0,
                  "call %llu ran, and its caller was told (%s) that it did not", (unsigned long long)call->id,
                  weft_err_name(err));
    if (cluster->reply_calls && cluster->load && prng_below(&cluster->prng, 4) == 0) {
        (void)cluster_call_random(node, call->shard);
    }
}

struct cluster_call *cluster_call_new(struct cluster_node *node, uint32_t shard, uint32_t peer)
{
    struct cluster *cluster = node->cluster;
    cluster_check(cluster, cluster->call_count < CLUSTER_CALLS_MAX, "the history is full");
    struct cluster_call *call = &cluster->calls[cluster->call_count++];
    *call = (struct cluster_call){
        .cluster = cluster,
        .id = cluster->call_count,
        .node = node->index,
        .life = node->life,
        .shard = shard,
        .peer = peer,
        .request_bytes = 64,
        .reply_bytes = 64,
        .timeout_ns = 10 * SECOND_NS,
    };
    return call;
}

/* ok if and only if it is this shard's and has not ended. */
static void call_cancel_checked(struct cluster_call *call, weft_shard *shard)
{
    struct cluster *cluster = call->cluster;
    bool alive = call->shard == weft_shard_index(shard) && call->started && call->ends == 0 && !call->cancelled;
    bool inside = cluster->inside_call;
    cluster->inside_call = true;
    enum weft_err err = weft_cancel(shard, call->handle);
    cluster->inside_call = inside;
    cluster_check(cluster, err == (alive ? WEFT_OK : WEFT_ERR_NOT_FOUND), "cancelling call %llu: %s",
                  (unsigned long long)call->id, weft_err_name(err));
    call->cancelled |= alive;
    call->cancelled_ns = alive ? weft_shard_now_ns(shard) : call->cancelled_ns;
}

/* Its caller gives up as planned; the call may have ended long ago, or in this very turn. */
static void call_given_up(void *ctx, weft_shard *shard)
{
    struct cluster_call *call = ctx;
    call->cluster->cancels_late += call->ends;
    call_cancel_checked(call, shard);
}

static void call_start(void *ctx, weft_shard *shard)
{
    struct cluster_call *call = ctx;
    struct cluster *cluster = call->cluster;
    struct cluster_node *node = &cluster->nodes[call->node];
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    uint64_t verb = call->owned ? VERB_OWNED : VERB_CALL;
    if (call->destiny == DESTINY_UNKNOWN || call->destiny == DESTINY_ONE_WAY) {
        verb = call->destiny == DESTINY_UNKNOWN ? VERB_NOBODY : VERB_ONE_WAY;
    }
    options.timeout_ms = (uint32_t)(call->timeout_ns / MS_NS);
    options.lane = call->lane;
    options.one_way = call->destiny == DESTINY_ONE_WAY;
    options.wait_for_peer = call->wait_for_peer;
    options.id = &call->handle;
    options.remote_shard = call->named_shard;
    call->named_known = call->named_shard != 0 && weft_peer_shards(shard, cluster_peer_id(node, call->peer)) != 0;
    bytes_store64(cluster->scratch, call->id);
    payload_fill(cluster->scratch + REQUEST_BYTES_MIN, call->request_bytes - REQUEST_BYTES_MIN, call->id);
    const struct weft_span args = {cluster->scratch, call->request_bytes};
    call->begin_ns = weft_shard_now_ns(shard);
    bool inside = cluster->inside_call;
    cluster->inside_call = true;
    call->err = weft_call(shard, cluster_peer_id(node, call->peer), verb, args, &options, call_ended, call);
    cluster->inside_call = inside;
    call->started = call->err == WEFT_OK;
    if (call->started) {
        cluster->open_calls++;
        node->open_calls[call->shard]++;
        if (call->cancel_ns != 0) {
            weft_timer_start(shard, &call->timer, call->cancel_ns, call_given_up, call);
        }
        node->started_calls++;
    }
    cluster_check(cluster,
                  call->started || call->err == WEFT_ERR_QUEUE_FULL || call->err == WEFT_ERR_UNREACHABLE ||
                      (call->err == WEFT_ERR_DRAINING && node->draining),
                  "weft_call from node %u to %u: %s", call->node, call->peer, weft_err_name(call->err));
}

enum weft_err cluster_call_start(struct cluster_call *call)
{
    struct cluster *cluster = call->cluster;
    if (cluster->running != NULL) {
        call_start(call, cluster->running);
    } else {
        cluster_run_on(&cluster->nodes[call->node], call->shard, call_start, call);
    }
    return call->started ? WEFT_OK : call->err;
}

/* Mostly small, some of many buffers, a few that are large. */
static uint32_t draw_bytes(struct cluster *cluster, uint32_t least)
{
    uint64_t kind = prng_below(&cluster->prng, 20);
    uint32_t most = kind < 14 || cluster->options.small ? 300 : kind < 19 ? 20000 : CLUSTER_PAYLOAD_BYTES_MAX;
    return least + (uint32_t)prng_below(&cluster->prng, most - least + 1);
}

static enum destiny draw_destiny(struct cluster *cluster)
{
    static const uint8_t weights[DESTINY_COUNT] = {
        [DESTINY_NOW] = 8,     [DESTINY_LATER] = 5,   [DESTINY_FAIL] = 2,
        [DESTINY_UNKNOWN] = 1, [DESTINY_ONE_WAY] = 2, [DESTINY_OVERSLEEP] = 2,
    };
    uint64_t drawn = prng_below(&cluster->prng, 20);
    uint32_t destiny = 0;
    while (drawn >= weights[destiny]) {
        drawn -= weights[destiny];
        destiny++;
    }
    return (enum destiny)destiny;
}

/* One in twelve is given up: at any time, in the tick of its deadline, or when its answer is about to come. */
static void draw_cancel(struct cluster_call *call)
{
    struct prng *prng = &call->cluster->prng;
    switch (prng_below(prng, 36)) {
    case 0:
        call->cancel_ns = 1 + prng_below(prng, 20 * MS_NS);
        break;
    case 1:
        call->cancel_ns = call->timeout_ns;
        break;
    case 2:
        call->cancel_ns = 1 + call->delay_ns + prng_below(prng, 2 * MS_NS);
        break;
    default:
        break;
    }
}

struct cluster_call *cluster_call_random(struct cluster_node *node, uint32_t shard)
{
    struct cluster *cluster = node->cluster;
    struct prng *prng = &cluster->prng;
    uint32_t peer;
    do {
        peer = (node->index + 1 + (uint32_t)prng_below(prng, cluster->node_count - 1)) % cluster->node_count;
    } while (!cluster_knows(node, peer));
    struct cluster_call *call = cluster_call_new(node, shard, peer);
    uint64_t lane = prng_below(prng, 10);
    call->lane = lane < 7 ? WEFT_LANE_NORMAL : lane < 9 ? WEFT_LANE_BULK : WEFT_LANE_CONTROL;
    call->destiny = draw_destiny(cluster);
    call->request_bytes = draw_bytes(cluster, REQUEST_BYTES_MIN);
    call->reply_bytes = draw_bytes(cluster, REPLY_BYTES_MIN);
    call->wait_for_peer = prng_below(prng, 4) == 0;
    bool hasty = prng_below(prng, 10) == 0;
    call->timeout_ns = (1 + prng_below(prng, hasty ? 20 : 2000)) * MS_NS;
    uint64_t where = prng_below(prng, 6);
    call->owned = where == 0 && call->destiny != DESTINY_UNKNOWN && call->destiny != DESTINY_ONE_WAY;
    if (where == 1 && call->lane == WEFT_LANE_NORMAL) {
        call->named_shard = 1 + (uint32_t)prng_below(prng, cluster->nodes[peer].shard_count);
    }
    if (call->destiny == DESTINY_LATER) {
        call->delay_ns = 1 + prng_below(prng, 50 * MS_NS);
    } else if (call->destiny == DESTINY_FAIL && prng_below(prng, 2) == 0) {
        call->delay_ns = 1 + prng_below(prng, 10 * MS_NS);
    } else if (call->destiny == DESTINY_OVERSLEEP) {
        call->timeout_ns = (1 + prng_below(prng, 50)) * MS_NS;
        call->delay_ns = call->timeout_ns + OVERSLEEP_NS + prng_below(prng, 20 * MS_NS);
    }
    draw_cancel(call);
    (void)cluster_call_start(call);
    return call;
}

/* Cancel one of the last calls, of this shard or another. */
static void cancel_random(struct cluster_node *node, weft_shard *shard)
{
    struct cluster *cluster = node->cluster;
    uint32_t recent = cluster->call_count < 64 ? cluster->call_count : 64;
    if (recent == 0) {
        return;
    }
    struct cluster_call *call = &cluster->calls[cluster->call_count - 1 - prng_below(&cluster->prng, recent)];
    if (call->node == node->index && call->life == node->life) { /* the ids of another process can look like ours */
        call_cancel_checked(call, shard);
    }
}

static void worker_fired(void *ctx, weft_shard *shard)
{
    struct cluster_worker *worker = ctx;
    struct cluster *cluster = worker->node->cluster;
    uint64_t calls = 1 + prng_below(&cluster->prng, 4);
    while (cluster->load && calls-- > 0 && cluster->call_count < CLUSTER_CALLS_MAX / 2) {
        (void)cluster_call_random(worker->node, weft_shard_index(shard));
    }
    if (cluster->load && prng_below(&cluster->prng, 6) == 0) {
        cancel_random(worker->node, shard);
    }
    cluster_worker_start(worker);
}

void cluster_worker_start(struct cluster_worker *worker)
{
    struct cluster *cluster = worker->node->cluster;
    uint64_t pause_ns = 1000 * (1 + prng_below(&cluster->prng, cluster->options.pause_us_max));
    weft_timer_start(worker->shard, &worker->timer, pause_ns, worker_fired, worker);
}
