/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the window full and measures it.
 *
 * Happy path: the callback of each reply reads the clock once, records the time since its call was made, and makes the
 * next call in the same place with that very time; nothing is allocated.
 * Failure modes: the first call that fails ends the run, with its error as the result's; a full send queue parks a
 * place until another call ended. */
#include "bench/rpc_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bench/rpc_server.h"
#include "engine/base/assert.h"
#include "engine/base/bytes.h"
#include "engine/base/error.h"

/* Verbs that every weft node serves. */
enum { VERB_ECHO = 2, VERB_SINK = 4, VERB_COUNT = 5 };

#define NS_PER_MS UINT64_C(1000000)
/* How often the shard looks for orders while no reply tells it to. */
#define TICK_IDLE_NS NS_PER_MS
#define TICK_LOADED_NS (20 * NS_PER_MS)
#define PROBE_TIMEOUT_MS 5000u
#define PROBE_BYTES_MAX 64u
#define COUNT_REPLY_BYTES 16u

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

enum weft_err rpc_client_init(struct rpc_client *client, const struct bench_settings *settings,
                              struct bench_result *result, struct weft_error *why)
{
    memset(client, 0, sizeof *client);
    client->settings = settings;
    client->result = result;
    client->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->event < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "eventfd");
    }
    client->payload = malloc(settings->size + PROBE_BYTES_MAX);
    client->slots = calloc(settings->in_flight, sizeof *client->slots);
    if (client->payload == NULL || client->slots == NULL) {
        rpc_client_fini(client);
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u calls of %u bytes", settings->in_flight,
                              settings->size);
    }
    for (uint32_t i = 0; i < settings->size + PROBE_BYTES_MAX; i++) {
        client->payload[i] = (uint8_t)(i * 31 + 7);
    }
    for (uint32_t i = 0; i < settings->in_flight; i++) {
        client->slots[i].client = client;
    }
    client->options = (struct weft_call_options)WEFT_CALL_OPTIONS_INIT;
    client->options.one_way = settings->one_way;
    client->options.timeout_ms = settings->timeout_ms;
    client->verb = settings->one_way ? VERB_SINK : settings->handler_us > 0 ? RPC_VERB_BURN : VERB_ECHO;
    atomic_init(&client->reached, -1);
    enum weft_err err = rpc_open_init(client, why);
    if (err != WEFT_OK) {
        rpc_client_fini(client);
    }
    return err;
}

void rpc_client_fini(struct rpc_client *client)
{
    free(client->payload);
    free(client->slots);
    rpc_open_fini(client);
    close(client->event);
    memset(client, 0, sizeof *client);
}

void rpc_client_order(struct rpc_client *client, enum rpc_phase phase)
{
    atomic_store_explicit(&client->ordered, (int)phase, memory_order_release);
}

bool rpc_client_reached(const struct rpc_client *client, enum rpc_phase phase)
{
    return atomic_load_explicit(&client->reached, memory_order_acquire) >= (int)phase;
}

static void client_announce(struct rpc_client *client, enum rpc_phase phase)
{
    uint64_t one = 1;
    if (rpc_client_reached(client, phase)) {
        return;
    }
    atomic_store_explicit(&client->reached, (int)phase, memory_order_release);
    ssize_t written = write(client->event, &one, sizeof one);
    (void)written; /* a full counter wakes the reader just as well */
}

void rpc_client_fail(struct rpc_client *client, enum weft_err err, const char *what, const char *text)
{
    client->result->errors++;
    weft_error_set(&client->result->error, err, "%s: %s%s%s", what, weft_err_name(err),
                   text != NULL && text[0] != '\0' ? ": " : "", text != NULL ? text : "");
    if (client->phase != RPC_STOP) {
        if (client->phase == RPC_MEASURE && client->result->end_ns == 0) {
            client->result->end_ns = clock_ns();
        }
        client->phase = RPC_STOP;
        rpc_client_order(client, RPC_STOP);
    }
}

static void client_count(struct rpc_client *client);

/* After STOP: when nothing is on its way any more, the last one-way messages are counted, or the last calls of a
 * schedule are seen to have arrived, and then it is over. */
void rpc_client_check_done(struct rpc_client *client)
{
    if (client->phase != RPC_STOP || client->outstanding != 0 || client->bulk.outstanding != 0) {
        return;
    }
    if (client->count_at_end) {
        client->count_at_end = false;
        client_count(client);
        return;
    }
    if (client->open.fence_due && client->result->errors == 0) {
        rpc_open_fence(client);
        return;
    }
    if (!rpc_client_reached(client, RPC_STOP)) {
        rpc_bulk_end(client);
        weft_buf_unref(client->payload_buf);
        client->payload_buf = NULL;
    }
    client_announce(client, RPC_STOP);
}

/* --- probing ------------------------------------------------------------------------------------------------ */

static void probe_done(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct rpc_client *client = ctx;
    uint32_t bytes = client->settings->size < PROBE_BYTES_MAX ? client->settings->size : PROBE_BYTES_MAX;
    client->outstanding--;
    if (err != WEFT_OK) {
        rpc_client_fail(client, err, "reaching the server", reply->error.text);
    } else if (reply->payload.bytes != bytes || memcmp(reply->payload.data, client->payload, bytes) != 0) {
        rpc_client_fail(client, WEFT_ERR_PROTOCOL, "reaching the server", "ECHO returned other bytes than it got");
    }
    if (client->outstanding == 0 && client->phase == RPC_PROBE) {
        client_announce(client, RPC_PROBE);
    }
    rpc_client_check_done(client);
}

static void client_probe(struct rpc_client *client)
{
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    uint32_t bytes = client->settings->size < PROBE_BYTES_MAX ? client->settings->size : PROBE_BYTES_MAX;
    options.timeout_ms = PROBE_TIMEOUT_MS;
    uint32_t probes = client->settings->connections + (client->settings->beside_count > 0 ? 1 : 0);
    for (uint32_t i = 0; i < probes && client->phase == RPC_PROBE; i++) {
        options.lane = i < client->settings->connections ? WEFT_LANE_NORMAL : WEFT_LANE_BULK;
        struct weft_span payload = {client->payload, bytes};
        enum weft_err err = weft_call(client->shard, client->peer, VERB_ECHO, payload, &options, probe_done, client);
        if (err != WEFT_OK) {
            rpc_client_fail(client, err, "reaching the server", NULL);
        } else {
            client->outstanding++;
        }
    }
    rpc_client_check_done(client);
}

/* --- the receiver's count of one-way messages --------------------------------------------------------------- */

static void count_round_end(struct rpc_client *client)
{
    struct bench_result *result = client->result;
    if (client->phase == RPC_MEASURE) {
        client->counted_at_begin = client->counted;
        result->begin_ns = clock_ns();
        client_announce(client, RPC_MEASURE);
    } else if (result->errors == 0) {
        result->end_ns = clock_ns();
        result->calls = client->counted - client->counted_at_begin;
    }
}

static void count_done(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct rpc_client *client = ctx;
    client->outstanding--;
    client->counts_left--;
    if (err != WEFT_OK || reply->payload.bytes != COUNT_REPLY_BYTES) {
        rpc_client_fail(client, err != WEFT_OK ? err : WEFT_ERR_PROTOCOL, "COUNT", reply->error.text);
    } else {
        uint64_t calls = bytes_load64(reply->payload.data);
        client->counted = calls > client->counted ? calls : client->counted;
    }
    if (client->counts_left == 0) {
        count_round_end(client);
    }
    rpc_client_check_done(client);
}

static void client_send_counts(struct rpc_client *client)
{
    struct weft_span nothing = {NULL, 0};
    while (client->counts_unsent > 0) {
        enum weft_err err = weft_call(client->shard, client->peer, VERB_COUNT, nothing, NULL, count_done, client);
        if (err == WEFT_ERR_QUEUE_FULL) {
            return;
        }
        client->counts_unsent--;
        if (err != WEFT_OK) {
            client->counts_left--;
            rpc_client_fail(client, err, "COUNT", NULL);
        } else {
            client->outstanding++;
        }
    }
}

/* One for each connection, each behind what was sent on it: the last answer counts everything before it. */
static void client_count(struct rpc_client *client)
{
    client->counted = 0;
    client->counts_left = client->settings->connections;
    client->counts_unsent = client->settings->connections;
    client_send_counts(client);
}

/* --- the window --------------------------------------------------------------------------------------------- */

static void slot_done(void *ctx, enum weft_err err, const struct weft_reply *reply);

static enum weft_err slot_call_buf(struct rpc_client *client, struct rpc_slot *slot)
{
    enum weft_err err = weft_call_buf(client->shard, client->peer, client->verb, weft_buf_ref(client->payload_buf),
                                      &client->options, slot_done, slot);
    if (err != WEFT_OK) {
        weft_buf_unref(client->payload_buf);
    }
    return err;
}

/* false: the queue is full, and the slot keeps its place among the parked. */
static bool slot_issue(struct rpc_client *client, struct rpc_slot *slot, uint64_t now_ns)
{
    struct weft_span payload = {client->payload, client->settings->size};
    enum weft_err err = client->payload_buf != NULL ? slot_call_buf(client, slot)
                                                    : weft_call(client->shard, client->peer, client->verb, payload,
                                                                &client->options, slot_done, slot);
    if (WEFT_LIKELY(err == WEFT_OK)) {
        slot->issued_ns = now_ns;
        client->outstanding++;
        return true;
    }
    if (err != WEFT_ERR_QUEUE_FULL) {
        rpc_client_fail(client, err, "call", NULL);
        return true;
    }
    return false;
}

static void slot_park(struct rpc_client *client, struct rpc_slot *slot)
{
    slot->next_parked = client->parked;
    client->parked = (uint32_t)(slot - client->slots) + 1;
}

static void client_issue_parked(struct rpc_client *client, uint64_t now_ns)
{
    client_send_counts(client);
    while (client->parked != 0 && client->phase != RPC_STOP) {
        struct rpc_slot *slot = &client->slots[client->parked - 1];
        uint32_t next = slot->next_parked;
        if (!slot_issue(client, slot, now_ns)) {
            return;
        }
        client->parked = next;
    }
}

static void client_follow(struct rpc_client *client, uint64_t now_ns);

/* A reply that asks for more than to be measured and followed by the next call. */
static __attribute__((noinline)) void slot_done_anyhow(struct rpc_slot *slot, enum weft_err err,
                                                       const struct weft_reply *reply, uint64_t now_ns)
{
    struct rpc_client *client = slot->client;
    client->outstanding--;
    if ((int)client->phase != atomic_load_explicit(&client->ordered, memory_order_relaxed)) {
        client_follow(client, now_ns);
    }
    if (err != WEFT_OK) {
        rpc_client_fail(client, err, "call", reply->error.text);
    } else if (!client->settings->one_way && reply->payload.bytes != client->settings->size) {
        rpc_client_fail(client, WEFT_ERR_PROTOCOL, "call", "ECHO returned another number of bytes than it got");
    } else if (client->phase == RPC_MEASURE && !client->settings->one_way) {
        histogram_record(&client->result->latency, now_ns - slot->issued_ns);
        client->result->calls++;
    }
    if (client->phase == RPC_STOP) {
        rpc_client_check_done(client);
        return;
    }
    if (client->parked != 0 || client->counts_unsent != 0) {
        client_issue_parked(client, now_ns);
    }
    if (client->parked != 0 || !slot_issue(client, slot, now_ns)) {
        slot_park(client, slot);
    }
    if (client->phase == RPC_STOP) { /* that call failed */
        rpc_client_check_done(client);
    }
}

/* Measures, and makes the next call, where that is all: in the middle of a run that nothing disturbs. */
static void slot_done(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct rpc_slot *slot = ctx;
    struct rpc_client *client = slot->client;
    uint64_t now_ns = clock_ns();
    bool plain = err == WEFT_OK && client->phase == RPC_MEASURE &&
                 atomic_load_explicit(&client->ordered, memory_order_relaxed) == RPC_MEASURE &&
                 reply->payload.bytes == client->settings->size && !client->settings->one_way &&
                 (client->parked | client->counts_unsent) == 0;
    if (WEFT_UNLIKELY(!plain)) {
        slot_done_anyhow(slot, err, reply, now_ns);
        return;
    }
    histogram_record(&client->result->latency, now_ns - slot->issued_ns);
    client->result->calls++;
    client->outstanding--;
    if (WEFT_UNLIKELY(!slot_issue(client, slot, now_ns))) {
        slot_park(client, slot);
    }
    if (WEFT_UNLIKELY(client->phase == RPC_STOP)) { /* that call failed */
        rpc_client_check_done(client);
    }
}

/* --- phases ------------------------------------------------------------------------------------------------- */

static void client_fill(struct rpc_client *client, uint64_t now_ns)
{
    rpc_bulk_start(client);
    if (client->settings->rate > 0) {
        rpc_open_start(client, now_ns);
        client_announce(client, RPC_LOAD);
        return;
    }
    for (uint32_t i = 0; i < client->settings->in_flight && client->phase == RPC_LOAD; i++) {
        if (!slot_issue(client, &client->slots[i], now_ns)) {
            slot_park(client, &client->slots[i]);
        }
    }
    client_announce(client, RPC_LOAD);
}

static void client_measure(struct rpc_client *client, uint64_t now_ns)
{
    if (client->settings->one_way) {
        client_count(client);
        return;
    }
    client->result->begin_ns = now_ns;
    client_announce(client, RPC_MEASURE);
}

static void client_stop(struct rpc_client *client, uint64_t now_ns)
{
    client->count_at_end = client->settings->one_way;
    if (!client->settings->one_way) {
        client->result->end_ns = now_ns;
    }
}

/* Take the next step towards what was ordered. */
static void client_follow(struct rpc_client *client, uint64_t now_ns)
{
    enum rpc_phase ordered = (enum rpc_phase)atomic_load_explicit(&client->ordered, memory_order_acquire);
    /* A run that is stopped before it measured skips measuring. */
    enum rpc_phase last = client->phase;
    if (ordered <= last || client->counts_left != 0) {
        return;
    }
    client->phase = ordered;
    switch (ordered) {
    case RPC_PROBE:
        break;
    case RPC_LOAD:
        client_fill(client, now_ns);
        break;
    case RPC_MEASURE:
        client_measure(client, now_ns);
        break;
    case RPC_STOP:
        if (last == RPC_MEASURE) {
            client_stop(client, now_ns);
        }
        break;
    }
}

static void client_tick(void *ctx, weft_shard *shard)
{
    struct rpc_client *client = ctx;
    uint64_t now_ns = clock_ns();
    client_follow(client, now_ns);
    client_issue_parked(client, now_ns);
    rpc_bulk_go_on(client);
    rpc_client_check_done(client);
    if (!rpc_client_reached(client, RPC_STOP)) {
        bool loaded = client->phase == RPC_LOAD || client->phase == RPC_MEASURE;
        weft_timer_start(shard, &client->timer, loaded ? TICK_LOADED_NS : TICK_IDLE_NS, client_tick, client);
    }
}

/* A payload by reference lies in the shard's memory, which may be registered; a very large one only where it is. */
static void client_refer(struct rpc_client *client)
{
    uint32_t bytes = client->settings->size;
    if (bytes < WEFT_BUF_REFERENCE_BYTES_MIN) {
        return;
    }
    client->payload_buf = weft_buf_take(client->shard, bytes);
    if (client->payload_buf != NULL) {
        memcpy(weft_buf_data(client->payload_buf), client->payload, bytes);
    } else {
        client->payload_buf = weft_buf_wrap(client->shard, client->payload, bytes, NULL, NULL);
    }
}

void rpc_client_on_ready(void *ctx, weft_shard *shard)
{
    struct rpc_client *client = ctx;
    client->shard = shard;
    client_refer(client);
    client_probe(client);
    client_tick(client, shard);
}
