/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a host may attach, run and stop its shards in any order: what is wrong is said, and a node whose shards are not
 * there yet, or not run for a while, is none the worse.
 *
 * Method: nodes on loopback addresses over both real backends; every call in a state in which it is wrong. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/guest.h"
#include "tests/integration/over_backends.h"
#include "topology/cluster/node.h"

static void nested_run(void *ctx, weft_shard *shard)
{
    enum weft_err *err = ctx;
    *err = weft_shard_run_once(shard, 0);
}

static void *wrong_thread(void *ctx)
{
    struct guest *guest = ctx;
    assert_int_equal(weft_shard_run_once(guest->shards[0], 0), WEFT_ERR_STATE);
    return NULL;
}

static void count_link(void *ctx, const struct weft_link *link)
{
    (void)link;
    ++*(uint32_t *)ctx;
}

static void misuse__each_call_in_a_wrong_state__said_so(void **state)
{
    static struct guest guest;
    static struct host ours;
    struct guest *const one[] = {&guest};
    weft_shard *shard = NULL;
    struct weft_error why = {0};
    enum weft_err nested = WEFT_OK;
    struct weft_timer timer = {0};
    pthread_t thread;
    memset(&guest, 0, sizeof guest);
    host_init(&guest.host, 1, *state);
    host_init(&ours, 2, *state);
    host_start(&ours);
    assert_int_equal(weft_shard_attach(ours.node, 0, &shard, &why), WEFT_ERR_STATE);
    assert_non_null(strstr(why.text, "weft_node_start_hosted"));
    assert_int_equal(weft_shard_run_once(ours.node->engine->shards[0], 0), WEFT_ERR_STATE);
    assert_int_equal(weft_shard_fd(ours.node->engine->shards[0]), -1);
    assert_int_equal(weft_node_start_hosted(ours.node, NULL, NULL, &why), WEFT_ERR_STATE);
    host_fini(&ours);

    guest_start(&guest);
    assert_int_equal(weft_node_start(guest.host.node, NULL, NULL, NULL), WEFT_ERR_STATE);
    assert_int_equal(weft_shard_attach(guest.host.node, 1, &shard, &why), WEFT_ERR_INVALID);
    guest_attach(&guest);
    assert_int_equal(weft_shard_attach(guest.host.node, 0, &shard, &why), WEFT_ERR_STATE);
    assert_non_null(strstr(why.text, "already"));
    pthread_create(&thread, NULL, wrong_thread, &guest);
    pthread_join(thread, NULL);
    weft_timer_start(guest.shards[0], &timer, 0, nested_run, &nested);
    while (nested == WEFT_OK) {
        assert_int_equal(weft_shard_run_once(guest.shards[0], WEFT_TIMEOUT_NEVER), WEFT_OK);
    }
    assert_int_equal(nested, WEFT_ERR_STATE);
    uint32_t links = 0;
    weft_node_links(guest.host.node, count_link, &links); /* from the shard's own thread: it must not wait for itself */
    assert_int_equal(links, 0);
    guests_settle(one, 1);
    guest_end(&guest);
}

static void drain__before_all_are_attached__ends_without_them(void **state)
{
    static struct guest guest;
    weft_shard *shard = NULL;
    struct weft_error why = {0};
    memset(&guest, 0, sizeof guest);
    host_init(&guest.host, 1, *state);
    guest.host.options.shards = "2";
    guest_start(&guest);
    assert_int_equal(weft_shard_attach(guest.host.node, 0, &shard, &why), WEFT_OK);
    assert_int_equal(weft_shard_run_once(shard, 0), WEFT_OK);
    assert_int_equal(guest.ready, 0); /* nothing begins before the last one is there */
    weft_node_drain(guest.host.node);
    assert_int_equal(weft_shard_attach(guest.host.node, 1, &shard, &why), WEFT_ERR_DRAINING);
    assert_int_equal(weft_node_wait(guest.host.node), 0);
    assert_int_equal(weft_shard_attach(guest.host.node, 1, &shard, &why), WEFT_ERR_STATE);
    host_fini(&guest.host);
}

/* None of the shards knew it, so none has to finish with it; and who changes the topology does not stop the node. */
static void peer__removed_before_any_shard_is_attached__its_slot_is_free(void **state)
{
    static struct guest guest;
    struct weft_error why = {0};
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    weft_peer_id gone;
    weft_peer_id next;
    memset(&guest, 0, sizeof guest);
    host_init(&guest.host, 1, *state);
    guest.host.options.shards = "2";
    guest_start(&guest);
    peer.addresses[0] = "127.0.0.9";
    assert_int_equal(weft_node_peer_add(guest.host.node, &peer, &gone, &why), WEFT_OK);
    assert_int_equal(weft_node_peer_remove(guest.host.node, gone, &why), WEFT_OK);
    assert_int_equal(weft_node_peer_add(guest.host.node, &peer, &next, &why), WEFT_OK);
    assert_int_equal(peer_slot_of(next), peer_slot_of(gone));
    assert_int_equal(weft_shard_attach(guest.host.node, 0, &guest.shards[0], &why), WEFT_OK);
    assert_int_equal(weft_node_peer_remove(guest.host.node, next, &why), WEFT_OK);
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    assert_int_equal(weft_shard_attach(guest.host.node, 1, &guest.shards[1], &why), WEFT_OK);
    assert_int_equal(guest.ready, 0);
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    assert_int_equal(weft_shard_run_once(guest.shards[1], 0), WEFT_OK);
    assert_int_equal(guest.ready, 2);
    guest_end(&guest);
}

#define STRANDED 48u

/* Connections from ports that the kernel chooses, which it gives to either shard. */
static void connect_some(const struct guest *guest, int sockets[STRANDED])
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(host_port(&guest->host))};
    assert_int_equal(inet_pton(AF_INET, guest->host.address, &to.sin_addr), 1);
    for (uint32_t i = 0; i < STRANDED; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(sockets[i] >= 0);
        assert_int_equal(connect(sockets[i], (const struct sockaddr *)&to, sizeof to), 0);
    }
}

static void close_all(const int sockets[STRANDED])
{
    for (uint32_t i = 0; i < STRANDED; i++) {
        close(sockets[i]);
    }
}

/* So many tenths of a second, in which these shards are run. */
static void run_for(const struct guest *guest, uint64_t *now_ns, uint32_t tenths, uint32_t shard_count)
{
    for (uint32_t i = 0; i < tenths; i++) {
        *now_ns += 100000000;
        for (uint32_t shard = 0; shard < shard_count; shard++) {
            assert_int_equal(weft_shard_run_once(guest->shards[shard], 0), WEFT_OK);
        }
    }
}

static uint64_t accepted(const struct guest *guest, uint32_t shard)
{
    return guest->host.node->engine->shards[shard]->counters.accepted;
}

static void shard__not_run_for_a_second__another_accepts_for_it(void **state)
{
    static struct guest guest;
    struct weft_counters counters;
    uint64_t now_ns = 5000000000;
    int before[STRANDED];
    int after[STRANDED];
    memset(&guest, 0, sizeof guest);
    host_init(&guest.host, 1, *state);
    guest.host.options.shards = "2";
    guest.host.options.first_request_timeout_ms = guest.host.options.handshake_timeout_ms = 600000;
    guest.host.options.monotonic_clock = clock_read;
    guest.host.options.clock_ctx = &now_ns;
    guest_start(&guest);
    guest_attach(&guest);
    run_for(&guest, &now_ns, 20, 2);
    connect_some(&guest, before);
    run_for(&guest, &now_ns, 8, 1);
    uint64_t own = accepted(&guest, 0);
    assert_true(own > 0 && own < STRANDED);
    run_for(&guest, &now_ns, 12, 1); /* the first shard alone */
    assert_int_equal(accepted(&guest, 0), STRANDED);
    assert_int_equal(accepted(&guest, 1), 0);
    weft_node_counters(guest.host.node, &counters);
    assert_int_equal(counters.accepted_for_others, STRANDED - own);
    assert_true(host_logged(&guest.host, "shard 1 has not been run for a second: shard 0 accepts for it"));
    run_for(&guest, &now_ns, 10, 2);
    assert_true(host_logged(&guest.host, "shard 1 is run again"));
    connect_some(&guest, after);
    run_for(&guest, &now_ns, 10, 2);
    assert_int_equal(accepted(&guest, 0) + accepted(&guest, 1), 2 * STRANDED);
    assert_true(accepted(&guest, 1) > 0);
    weft_node_counters(guest.host.node, &counters);
    assert_int_equal(counters.accepted_for_others, STRANDED - own);
    close_all(before);
    close_all(after);
    weft_node_drain(guest.host.node);
    bool runs = true;
    while (runs) {
        now_ns += 1000000;
        runs = false;
        for (uint32_t shard = 0; shard < 2; shard++) {
            runs |= weft_shard_run_once(guest.shards[shard], 0) == WEFT_OK;
        }
    }
    guest_end(&guest);
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(misuse__each_call_in_a_wrong_state__said_so),
        BACKEND_TEST(shard__not_run_for_a_second__another_accepts_for_it),
        BACKEND_TEST(drain__before_all_are_attached__ends_without_them),
        BACKEND_TEST(peer__removed_before_any_shard_is_attached__its_slot_is_free),
    };
    return over_backends(tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
