/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/guest.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cluster/node.h"

static void guest_ready(void *ctx, weft_shard *shard)
{
    struct guest *guest = ctx;
    (void)shard;
    __atomic_fetch_add(&guest->ready, 1, __ATOMIC_RELAXED);
}

void guest_start(struct guest *guest)
{
    struct weft_error why = {0};
    assert_int_equal(weft_node_create(&guest->host.node, &guest->host.options, &why), WEFT_OK);
    assert_int_equal(weft_node_handle_standard(guest->host.node, NULL), WEFT_OK);
    enum weft_err err = weft_node_start_hosted(guest->host.node, guest_ready, guest, &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, WEFT_OK);
    guest->shard_count = weft_node_shard_count(guest->host.node);
    assert_true(guest->shard_count <= SHARDS_MOST);
}

void guest_attach(struct guest *guest)
{
    for (uint32_t i = 0; i < guest->shard_count; i++) {
        struct weft_error why = {0};
        assert_int_equal(weft_shard_attach(guest->host.node, i, &guest->shards[i], &why), WEFT_OK);
        assert_true(weft_shard_fd(guest->shards[i]) >= 0);
    }
}

bool guests_poll(struct guest *const *guests, uint32_t count, int timeout_ms)
{
    struct pollfd fds[2 * SHARDS_MOST];
    weft_shard *shards[2 * SHARDS_MOST];
    nfds_t watched = 0;
    for (uint32_t g = 0; g < count; g++) {
        for (uint32_t i = 0; i < guests[g]->shard_count; i++) {
            if (guests[g]->shards[i] != NULL) {
                shards[watched] = guests[g]->shards[i];
                fds[watched++] = (struct pollfd){.fd = weft_shard_fd(guests[g]->shards[i]), .events = POLLIN};
            }
        }
    }
    if (poll(fds, watched, timeout_ms) <= 0) {
        return false;
    }
    for (nfds_t i = 0; i < watched; i++) {
        if (fds[i].revents != 0) {
            assert_int_equal(fds[i].revents, POLLIN);
            assert_int_equal(weft_shard_run_once(shards[i], 0), WEFT_OK);
        }
    }
    return true;
}

void guests_settle(struct guest *const *guests, uint32_t count)
{
    uint32_t runs = 0;
    while (guests_poll(guests, count, 0)) {
        assert_true(runs++ < QUIET_RUNS);
    }
}

void guest_end(struct guest *guest)
{
    weft_node_drain(guest->host.node);
    assert_int_equal(weft_node_wait(guest->host.node), 0);
    for (uint32_t i = 0; i < guest->shard_count; i++) {
        assert_int_equal(weft_shard_run_once(guest->shards[i], 0), WEFT_ERR_CLOSED);
    }
    host_fini(&guest->host);
}

uint64_t clock_read(void *ctx)
{
    return *(const uint64_t *)ctx;
}
