/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/rpc_bulk.h"

#include <string.h>

#include "bench/rpc_client.h"

enum { VERB_WRITE = 3 };

static void bulk_done(void *ctx, enum weft_err err, const struct weft_reply *reply);

static void bulk_issue(struct rpc_client *client)
{
    struct rpc_bulk *bulk = &client->bulk;
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.lane = WEFT_LANE_BULK;
    enum weft_err err = weft_call_buf(client->shard, client->peer, VERB_WRITE, weft_buf_ref(bulk->payload), &options,
                                      bulk_done, client);
    if (err == WEFT_OK) {
        bulk->outstanding++;
        return;
    }
    weft_buf_unref(bulk->payload);
    if (err == WEFT_ERR_QUEUE_FULL) {
        bulk->parked++;
    } else {
        rpc_client_fail(client, err, "bulk call", NULL);
    }
}

static void bulk_done(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct rpc_client *client = ctx;
    client->bulk.outstanding--;
    if (err != WEFT_OK) {
        rpc_client_fail(client, err, "bulk call", reply->error.text);
    } else if (client->phase == RPC_MEASURE) {
        client->bulk.calls++;
    }
    if (client->phase == RPC_STOP) {
        rpc_client_check_done(client);
    } else {
        rpc_bulk_go_on(client);
        bulk_issue(client);
    }
}

void rpc_bulk_start(struct rpc_client *client)
{
    const struct bench_settings *settings = client->settings;
    if (settings->beside_count == 0) {
        return;
    }
    client->bulk.payload = weft_buf_take(client->shard, settings->beside_size);
    if (client->bulk.payload == NULL) {
        rpc_client_fail(client, WEFT_ERR_NO_MEMORY, "bulk payload", NULL);
        return;
    }
    memset(weft_buf_data(client->bulk.payload), 0x5a, settings->beside_size);
    for (uint32_t i = 0; i < settings->beside_count && client->phase != RPC_STOP; i++) {
        bulk_issue(client);
    }
}

void rpc_bulk_go_on(struct rpc_client *client)
{
    uint32_t again = client->bulk.parked;
    client->bulk.parked = 0;
    while (again > 0 && client->phase != RPC_STOP) {
        again--;
        bulk_issue(client);
    }
}

void rpc_bulk_end(struct rpc_client *client)
{
    weft_buf_unref(client->bulk.payload);
    client->bulk.payload = NULL;
    client->result->beside_calls = client->bulk.calls;
}
