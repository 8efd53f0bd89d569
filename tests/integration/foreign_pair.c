/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/foreign_pair.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

void foreign_pair_start(struct foreign_pair *pair, const char *backend, const char *shards)
{
    memset(pair, 0, sizeof *pair);
    host_pair_init(&pair->a, &pair->b, backend);
    pair->a.options.shards = shards;
    host_start(&pair->a);
    host_start(&pair->b);
}

void foreign_pair_end(struct foreign_pair *pair)
{
    host_fini(&pair->a);
    host_fini(&pair->b);
}

weft_foreign *foreign_make(weft_node *node, uint32_t calls_max, uint32_t payload_bytes_max)
{
    weft_foreign *foreign = NULL;
    struct weft_error why = {0};
    struct weft_foreign_options options = WEFT_FOREIGN_OPTIONS_INIT;
    options.calls_max = calls_max;
    options.payload_bytes_max = payload_bytes_max;
    enum weft_err err = weft_foreign_create(node, &options, &foreign, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
    return foreign;
}

uint32_t foreign_wait(weft_foreign *foreign)
{
    struct pollfd fd = {.fd = weft_foreign_fd(foreign), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, POLL_MS), 1);
    return weft_foreign_run(foreign, UINT32_MAX);
}

void endings_note(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct endings *tally = ctx;
    tally->ended++;
    tally->ok += err == WEFT_OK;
    tally->last = err;
    tally->error = reply->error;
    tally->executed = reply->executed;
    tally->bytes = reply->payload.bytes;
    tally->first = reply->payload.bytes > 0 ? reply->payload.data[0] : 0;
    tally->thread = pthread_self();
}

enum weft_err foreign_ask(weft_foreign *foreign, uint32_t shard, uint64_t verb, uint32_t bytes, struct endings *tally)
{
    static uint8_t payload[200000];
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.timeout_ms = 20000;
    options.wait_for_peer = true;
    payload[0] = 42;
    return weft_foreign_call(foreign, shard, (weft_peer_id){1}, verb, (struct weft_span){payload, bytes}, &options,
                             endings_note, tally);
}

static void gate_wait(void *ctx, weft_shard *shard)
{
    struct gate *gate = ctx;
    (void)shard;
    atomic_store(&gate->reached, true);
    while (atomic_load(&gate->closed)) {
        sched_yield();
    }
}

void gate_count(void *ctx, weft_shard *shard)
{
    struct gate *gate = ctx;
    (void)shard;
    gate->ran++;
}

void gate_shut(struct gate *gate, weft_foreign *foreign)
{
    atomic_store(&gate->closed, true);
    atomic_store(&gate->reached, false);
    assert_int_equal(weft_post(foreign, 0, gate_wait, gate), WEFT_OK);
    while (!atomic_load(&gate->reached)) {
        sched_yield();
    }
}
