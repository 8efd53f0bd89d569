/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of a cluster's nodes: each request must be one that was made, whole, on the right node and shard, in
 * order, and run once; its answer is the one that was planned. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/bytes.h"
#include "engine/rpc/serve.h"
#include "tests/sim/cluster_payload.h"

#define LARGE_BYTES 16384u

/* Who speaks on a connection stays the same, and is heard in the order of the calls. */
static void heard_note(struct cluster_node *node, const weft_request *request, const struct cluster_call *call)
{
    struct cluster *cluster = node->cluster;
    uint32_t shard = weft_shard_index(weft_request_shard(request));
    struct cluster_heard *heard = &node->heard[shard * CLUSTER_CONNS_MAX + request->conn_index];
    if (heard->generation != request->conn_generation) {
        *heard = (struct cluster_heard){
            .generation = request->conn_generation,
            .node = call->node,
            .life = call->life,
            .shard = call->shard,
            .lane = call->lane,
        };
    }
    bool same_shard = heard->shard == call->shard || call->lane == WEFT_LANE_CONTROL ||
                      cluster->options.connections_per_peer_max != 0; /* one connection for all */
    cluster_check(cluster,
                  heard->node == call->node && heard->life == call->life && same_shard && heard->lane == call->lane,
                  "call %llu came on a connection of node %u", (unsigned long long)call->id, heard->node);
    uint64_t *last_id = &heard->last_id[call->shard];
    cluster_check(cluster, *last_id < call->id, "call %llu was heard after %llu", (unsigned long long)call->id,
                  (unsigned long long)*last_id);
    *last_id = call->id;
}

/* The shard that owns the requests of VERB_OWNED. */
static uint32_t owner_of(void *ctx, struct weft_span payload)
{
    (void)ctx;
    return (uint32_t)bytes_load64(payload.data) * 7 + 3;
}

/* A request runs where its verb says, or else where its caller wanted. */
static void check_shard(struct cluster_node *node, const weft_request *request, const struct cluster_call *call)
{
    uint32_t shard = weft_shard_index(weft_request_shard(request));
    uint32_t owner = owner_of(NULL, weft_request_payload(request)) % node->shard_count;
    if (call->owned) {
        cluster_check(node->cluster, shard == owner, "call %llu ran on shard %u, not %u", (unsigned long long)call->id,
                      shard, owner);
    } else if (call->named_known) {
        cluster_check(node->cluster, shard + 1 == call->named_shard, "call %llu ran on shard %u, not %u",
                      (unsigned long long)call->id, shard, call->named_shard - 1);
    }
}

static struct cluster_call *call_of_request(struct cluster_node *node, const weft_request *request)
{
    struct cluster *cluster = node->cluster;
    struct weft_span payload = weft_request_payload(request);
    cluster_check(cluster, weft_request_shard(request) == cluster->running, "a request on the wrong shard");
    cluster_check(cluster, payload.bytes >= REQUEST_BYTES_MIN, "a request of %u bytes", payload.bytes);
    uint64_t id = bytes_load64(payload.data);
    cluster_check(cluster, id >= 1 && id <= cluster->call_count, "a request with id %llu", (unsigned long long)id);
    struct cluster_call *call = &cluster->calls[id - 1];
    cluster_check(cluster, call->peer == node->index, "call %llu to node %u ran on node %u", (unsigned long long)id,
                  call->peer, node->index);
    cluster_check(cluster, payload.bytes == call->request_bytes, "call %llu of %u bytes came as %u",
                  (unsigned long long)id, call->request_bytes, payload.bytes);
    cluster_check(cluster, payload_fits(payload.data + REQUEST_BYTES_MIN, payload.bytes - REQUEST_BYTES_MIN, id),
                  "the bytes of call %llu are wrong", (unsigned long long)id);
    cluster_check(cluster, call->started, "call %llu ran though it was never started", (unsigned long long)id);
    call->runs++;
    cluster_check(cluster, call->runs == 1, "call %llu ran %u times", (unsigned long long)id, call->runs);
    cluster_check(cluster, call->ends == 0 || call->executed != WEFT_EXECUTED_NO,
                  "call %llu ran after its caller was told (%s) that it did not", (unsigned long long)id,
                  weft_err_name(call->err));
    check_shard(node, request, call);
    if (request->hop == NULL) { /* of another shard's connections nothing is known here */
        heard_note(node, request, call);
    }
    return call;
}

/* The answer that was planned. */
static void call_answer(struct cluster_node *node, const struct cluster_call *call, weft_request *request)
{
    struct cluster *cluster = node->cluster;
    if (call->destiny == DESTINY_FAIL) {
        char text[FAIL_TEXT_BYTES];
        payload_fail_text(call, text);
        (void)weft_fail(request, text);
        return;
    }
    uint8_t *reply = cluster->scratch;
    bytes_store64(reply, call->id);
    bytes_store32(reply + 8, node->index);
    payload_fill(reply + REPLY_BYTES_MIN, call->reply_bytes - REPLY_BYTES_MIN, call->id ^ ANSWER_SALT);
    enum weft_err err = weft_reply(request, (struct weft_span){reply, call->reply_bytes});
    if (call->destiny == DESTINY_OVERSLEEP) {
        cluster_check(cluster,
                      err == WEFT_ERR_EXPIRED || err == WEFT_ERR_CLOSED ||
                          (err == WEFT_ERR_CANCELLED && call->cancelled),
                      "an overslept answer: %s", weft_err_name(err));
    } else {
        cluster_check(cluster,
                      err == WEFT_OK || err == WEFT_ERR_EXPIRED || err == WEFT_ERR_CLOSED ||
                          err == WEFT_ERR_QUEUE_FULL || (err == WEFT_ERR_CANCELLED && call->cancelled),
                      "an answer: %s", weft_err_name(err));
    }
}

static void held_over(void *ctx, weft_shard *shard)
{
    struct cluster_held *held = ctx;
    struct cluster_node *node = held->node;
    cluster_check(node->cluster, shard == node->cluster->running, "a timer of another shard");
    list_remove(&held->link);
    node->held_count[weft_shard_index(shard)]--;
    call_answer(node, held->call, held->request);
    free(held);
}

static void verb_call(void *ctx, weft_request *request)
{
    struct cluster_node *node = ctx;
    struct cluster_call *call = call_of_request(node, request);
    if (call->delay_ns == 0) {
        call_answer(node, call, request);
        return;
    }
    struct cluster_held *held = calloc(1, sizeof *held);
    held->node = node;
    held->call = call;
    held->request = request;
    held->shard = weft_request_shard(request);
    list_node_init(&held->link);
    list_push_back(&node->held, &held->link);
    node->held_count[weft_shard_index(weft_request_shard(request))]++;
    weft_timer_start(weft_request_shard(request), &held->timer, call->delay_ns, held_over, held);
}

static void verb_one_way(void *ctx, weft_request *request)
{
    struct cluster_node *node = ctx;
    (void)call_of_request(node, request);
    enum weft_err err = weft_reply(request, (struct weft_span){NULL, 0});
    cluster_check(node->cluster, err == WEFT_OK, "the end of a one-way request: %s", weft_err_name(err));
}

static void verb_large(void *ctx, weft_request *request)
{
    const struct cluster_node *node = ctx;
    (void)weft_reply(request, (struct weft_span){node->cluster->scratch, LARGE_BYTES});
}

void cluster_drop_held(struct cluster_node *node)
{
    struct list_node *link;
    while ((link = list_pop_front(&node->held)) != NULL) {
        free(WEFT_CONTAINER_OF(link, struct cluster_held, link));
    }
}

void cluster_stop_timers(struct cluster_node *node)
{
    for (uint32_t i = 0; i < node->shard_count; i++) {
        weft_timer_stop(node->workers[i].shard, &node->workers[i].timer);
    }
    for (uint32_t i = 0; i < node->cluster->call_count; i++) {
        struct cluster_call *call = &node->cluster->calls[i];
        if (call->node == node->index && call->life == node->life && call->cancel_ns != 0 && call->started) {
            weft_timer_stop(node->workers[call->shard].shard, &call->timer);
        }
    }
    LIST_FOR_EACH(link, &node->held)
    {
        struct cluster_held *held = WEFT_CONTAINER_OF(link, struct cluster_held, link);
        weft_timer_stop(held->shard, &held->timer);
    }
}

void cluster_handle_verbs(struct cluster_node *node)
{
    struct weft_error why = {0};
    cluster_check(node->cluster, weft_node_handle(node->node, VERB_CALL, verb_call, node, &why) == WEFT_OK, "%s",
                  why.text);
    cluster_check(node->cluster, weft_node_handle(node->node, VERB_OWNED, verb_call, node, &why) == WEFT_OK, "%s",
                  why.text);
    cluster_check(node->cluster, weft_node_shard_of(node->node, VERB_OWNED, owner_of, NULL, &why) == WEFT_OK, "%s",
                  why.text);
    cluster_check(node->cluster, weft_node_handle(node->node, CLUSTER_VERB_LARGE, verb_large, node, &why) == WEFT_OK,
                  "%s", why.text);
    cluster_check(node->cluster,
                  weft_node_handle_one_way(node->node, VERB_ONE_WAY, verb_one_way, node, &why) == WEFT_OK, "%s",
                  why.text);
}
