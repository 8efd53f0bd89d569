/* SPDX-License-Identifier: Apache-2.0 */
/* Happy path: a tick of the timer makes the calls that are due, each in a free arrival; its end is counted and the
 * arrival is free again.
 * Failure modes: a call that is not accepted, as there is no free arrival or a queue is full, is counted and never made
 * later.  Ends that an overloaded pair of nodes has words for are counted; any other ends the run. */
#include "bench/rpc_open.h"

#include <stdlib.h>
#include <time.h>

#include "bench/rpc_client.h"
#include "bench/rpc_server.h"
#include "engine/base/error.h"

enum { VERB_ECHO = 2 };

#define NS_PER_S UINT64_C(1000000000)
/* Before the next look at the schedule the shard takes answers. */
#define ARRIVALS_PER_TICK_MAX 4096u
#define FENCE_TIMEOUT_MS 60000u

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

enum weft_err rpc_open_init(struct rpc_client *client, struct weft_error *why)
{
    struct rpc_open *open = &client->open;
    uint32_t count = client->settings->in_flight;
    if (client->settings->rate == 0) {
        return WEFT_OK;
    }
    open->arrivals = calloc(count, sizeof *open->arrivals);
    if (open->arrivals == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u calls", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        open->arrivals[i].client = client;
        open->arrivals[i].next_free = i + 1 < count ? i + 2 : 0;
    }
    open->free = 1;
    return WEFT_OK;
}

void rpc_open_fini(struct rpc_client *client)
{
    free(client->open.arrivals);
    client->open.arrivals = NULL;
}

static void arrival_free(struct rpc_client *client, struct rpc_arrival *arrival)
{
    arrival->next_free = client->open.free;
    client->open.free = (uint32_t)(arrival - client->open.arrivals) + 1;
}

static void arrival_count(struct rpc_client *client, enum weft_err err, const struct weft_reply *reply)
{
    struct bench_sums *sums = &client->result->sums;
    switch (err) {
    case WEFT_OK:
        sums->answered++;
        return;
    case WEFT_ERR_BUSY:
        sums->busy++;
        return;
    case WEFT_ERR_EXPIRED:
        sums->expired_at_peer++;
        return;
    case WEFT_ERR_TIMEOUT:
        sums->expired++;
        break;
    default:
        sums->failed++;
        rpc_client_fail(client, err, "call", reply->error.text);
        break;
    }
    sums->never_left += reply->executed == WEFT_EXECUTED_NO ? 1 : 0;
}

static void arrival_done(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct rpc_arrival *arrival = ctx;
    struct rpc_client *client = arrival->client;
    client->outstanding--;
    arrival_count(client, err, reply);
    if (err == WEFT_OK && reply->payload.bytes != client->settings->size) {
        rpc_client_fail(client, WEFT_ERR_PROTOCOL, "call", "the answer has another number of bytes than the call");
    } else if (err == WEFT_OK && client->phase == RPC_MEASURE) {
        histogram_record(&client->result->latency, clock_ns() - arrival->scheduled_ns);
        client->result->calls++;
    }
    arrival_free(client, arrival);
    rpc_client_check_done(client);
}

static void arrival_make(struct rpc_client *client, uint64_t scheduled_ns)
{
    struct rpc_open *open = &client->open;
    struct bench_sums *sums = &client->result->sums;
    struct weft_span payload = {client->payload, client->settings->size};
    uint64_t verb = client->settings->handler_us > 0 ? RPC_VERB_BURN : VERB_ECHO;
    sums->offered++;
    if (open->free == 0) {
        sums->not_accepted++;
        return;
    }
    struct rpc_arrival *arrival = &open->arrivals[open->free - 1];
    enum weft_err err = weft_call(client->shard, client->peer, verb, payload, &client->options, arrival_done, arrival);
    if (err == WEFT_OK) {
        open->free = arrival->next_free;
        arrival->scheduled_ns = scheduled_ns;
        sums->sent++;
        client->outstanding++;
    } else if (err == WEFT_ERR_QUEUE_FULL) {
        sums->not_accepted++;
    } else {
        rpc_client_fail(client, err, "call", NULL);
    }
}

static uint64_t schedule_ns(const struct rpc_client *client, uint64_t number)
{
    uint64_t rate = client->settings->rate;
    return client->open.begin_ns + number / rate * NS_PER_S + number % rate * NS_PER_S / rate;
}

static void open_tick(void *ctx, weft_shard *shard)
{
    struct rpc_client *client = ctx;
    struct rpc_open *open = &client->open;
    uint64_t now_ns = clock_ns();
    uint64_t due_ns = schedule_ns(client, open->count);
    for (uint32_t made = 0; made < ARRIVALS_PER_TICK_MAX && due_ns <= now_ns && client->phase != RPC_STOP; made++) {
        arrival_make(client, due_ns);
        due_ns = schedule_ns(client, ++open->count);
    }
    if (client->phase != RPC_STOP) {
        weft_timer_start(shard, &open->timer, due_ns > now_ns ? due_ns - now_ns : 0, open_tick, client);
    }
}

void rpc_open_start(struct rpc_client *client, uint64_t now_ns)
{
    client->open.begin_ns = now_ns;
    client->open.fence_due = true;
    open_tick(client, client->shard);
}

static void fence_done(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct rpc_client *client = ctx;
    client->outstanding--;
    if (err != WEFT_OK) {
        rpc_client_fail(client, err, "the last call", reply->error.text);
    }
    rpc_client_check_done(client);
}

void rpc_open_fence(struct rpc_client *client)
{
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    struct weft_span nothing = {NULL, 0};
    options.timeout_ms = FENCE_TIMEOUT_MS;
    client->open.fence_due = false;
    for (uint32_t i = 0; i < client->settings->connections; i++) {
        enum weft_err err = weft_call(client->shard, client->peer, VERB_ECHO, nothing, &options, fence_done, client);
        if (err != WEFT_OK) {
            rpc_client_fail(client, err, "the last call", NULL);
            return;
        }
        client->outstanding++;
    }
}
