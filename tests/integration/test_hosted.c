/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a host can run the shards on its own threads, by one descriptor each, and nothing is missed or spun for: what
 * comes from the network, from other threads and by the clock makes the descriptor readable, and nothing else does.
 *
 * Method: nodes on loopback addresses over both real backends; one thread that polls the shards of two nodes, threads
 * that sleep inside of weft_shard_run_once, and every call in a state in which it is wrong. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/io/io_uring_probe.h"
#include "tests/integration/node_host.h"
#include "topology/cluster/node.h"

#define POLL_MS 30000
#define SHARDS_MOST 4u
#define CALLS 200u
#define QUIET_RUNS 64u

/* One node, hosted, and its shards. */
struct guest {
    struct host host;
    weft_shard *shards[SHARDS_MOST];
    uint32_t shard_count;
    uint32_t ready; /* on_ready ran so often */
};

static void guest_ready(void *ctx, weft_shard *shard)
{
    struct guest *guest = ctx;
    (void)shard;
    __atomic_fetch_add(&guest->ready, 1, __ATOMIC_RELAXED);
}

static void guest_start(struct guest *guest)
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

static void guest_attach(struct guest *guest)
{
    for (uint32_t i = 0; i < guest->shard_count; i++) {
        struct weft_error why = {0};
        assert_int_equal(weft_shard_attach(guest->host.node, i, &guest->shards[i], &why), WEFT_OK);
        assert_true(weft_shard_fd(guest->shards[i]) >= 0);
    }
}

/* Alone, and attached. */
static void guest_open(struct guest *guest, const char *backend)
{
    memset(guest, 0, sizeof *guest);
    host_init(&guest->host, 1, backend);
    guest_start(guest);
    guest_attach(guest);
}

/* Poll the shards of some nodes and run those that are readable; false if none became so in time. */
static bool guests_poll(struct guest *const *guests, uint32_t count, int timeout_ms)
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

/* Run until nothing is readable any more, which must not take long. */
static void guests_settle(struct guest *const *guests, uint32_t count)
{
    uint32_t runs = 0;
    while (guests_poll(guests, count, 0)) {
        assert_true(runs++ < QUIET_RUNS);
    }
}

static void guest_end(struct guest *guest)
{
    weft_node_drain(guest->host.node);
    assert_int_equal(weft_node_wait(guest->host.node), 0);
    for (uint32_t i = 0; i < guest->shard_count; i++) {
        assert_int_equal(weft_shard_run_once(guest->shards[i], 0), WEFT_ERR_CLOSED);
    }
    host_fini(&guest->host);
}

struct counted {
    uint32_t answers;
    uint32_t failures;
};

static void counted_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct counted *counted = ctx;
    counted->answers++;
    counted->failures += err != WEFT_OK || reply->payload.bytes != 5 || memcmp(reply->payload.data, "hello", 5) != 0;
}

static void calls__two_nodes_in_one_poll_loop__all_answered(void **state)
{
    const char *backend = *state;
    static struct guest a, b;
    struct guest *const both[] = {&a, &b};
    struct counted counted = {0};
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    host_pair_init(&a.host, &b.host, backend);
    b.host.options.shards = "2";
    guest_start(&a);
    guest_start(&b);
    guest_attach(&a);
    guest_attach(&b);
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.timeout_ms = 20000;
    options.wait_for_peer = true;
    uint32_t started = 0;
    while (counted.answers < CALLS) {
        while (started < CALLS && started - counted.answers < 8) { /* from outside of a turn: it is our shard */
            assert_int_equal(weft_call(a.shards[0], (weft_peer_id){1}, VERB_ECHO, weft_span_of("hello"), &options,
                                       counted_ended, &counted),
                             WEFT_OK);
            started++;
            assert_int_equal(weft_shard_run_once(a.shards[0], 0), WEFT_OK);
        }
        assert_true(guests_poll(both, 2, POLL_MS));
    }
    assert_int_equal(counted.failures, 0);
    assert_int_equal(a.ready, 1);
    assert_int_equal(b.ready, 2);
    weft_node_drain(a.host.node);
    weft_node_drain(b.host.node);
    for (uint32_t open = 3; open > 0;) { /* together: each waits for the other's end of their connections */
        open = 0;
        open += weft_shard_run_once(a.shards[0], 1000000) != WEFT_ERR_CLOSED;
        open += weft_shard_run_once(b.shards[0], 1000000) != WEFT_ERR_CLOSED;
        open += weft_shard_run_once(b.shards[1], 1000000) != WEFT_ERR_CLOSED;
    }
    guest_end(&b);
    guest_end(&a);
}

static void count_timer(void *ctx, weft_shard *shard)
{
    uint32_t *count = ctx;
    (void)shard;
    ++*count;
}

static void descriptor__nothing_to_do__quiet_until_the_timer(void **state)
{
    static struct guest guest;
    struct guest *const one[] = {&guest};
    struct weft_timer timers[2] = {0};
    uint32_t fired = 0;
    guest_open(&guest, *state);
    guests_settle(one, 1);
    assert_int_equal(guest.ready, 1);
    assert_false(guests_poll(one, 1, 20)); /* nothing came, so nothing is due */
    uint64_t due_ns = weft_shard_now_ns(guest.shards[0]) + 30000000;
    weft_timer_start(guest.shards[0], &timers[0], 30000000, count_timer, &fired);
    weft_timer_start(guest.shards[0], &timers[1], 31000000, count_timer, &fired);
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    assert_true(fired == 0 || weft_shard_now_ns(guest.shards[0]) >= due_ns); /* a busy machine may come late */
    uint32_t runs = 0;
    while (fired < 2) {
        assert_true(guests_poll(one, 1, POLL_MS));
        assert_true(runs++ < QUIET_RUNS); /* the wheel may ask to be looked at before, but not all the time */
    }
    guests_settle(one, 1);
    guest_end(&guest);
}

struct poster {
    struct guest *guest;
    atomic_uint ran;
};

static void poster_count(void *ctx, weft_shard *shard)
{
    struct poster *poster = ctx;
    (void)shard;
    atomic_fetch_add(&poster->ran, 1);
}

static void *poster_thread(void *ctx)
{
    struct poster *poster = ctx;
    for (uint32_t i = 0; i < CALLS; i++) {
        while (engine_post(poster->guest->host.node->engine, 0, poster_count, poster) != WEFT_OK) {
            sched_yield();
        }
    }
    return NULL;
}

static void descriptor__mail_of_another_thread__readable(void **state)
{
    static struct guest guest;
    struct guest *const one[] = {&guest};
    struct poster poster = {.guest = &guest};
    pthread_t thread;
    guest_open(&guest, *state);
    guests_settle(one, 1);
    pthread_create(&thread, NULL, poster_thread, &poster);
    while (atomic_load(&poster.ran) < CALLS) {
        assert_true(guests_poll(one, 1, POLL_MS)); /* a lost wake would end here */
    }
    pthread_join(thread, NULL);
    guests_settle(one, 1);
    guest_end(&guest);
}

static void post_to_oneself(void *ctx, weft_shard *shard)
{
    struct poster *poster = ctx;
    (void)shard;
    assert_int_equal(engine_post(poster->guest->host.node->engine, 0, poster_count, poster), WEFT_OK);
}

/* Behind the turn's own look into the mailbox: the descriptor must tell of it as soon as the turn is over. */
static void descriptor__mail_from_inside_a_turn__readable_at_once(void **state)
{
    static struct guest guest;
    struct guest *const one[] = {&guest};
    struct poster poster = {.guest = &guest};
    struct weft_timer timer = {0};
    guest_open(&guest, *state);
    for (uint32_t round = 1; round <= 3; round++) {
        guests_settle(one, 1);
        weft_timer_start(guest.shards[0], &timer, 0, post_to_oneself, &poster);
        assert_int_equal(weft_shard_run_once(guest.shards[0], 1000000), WEFT_OK);
        while (guests_poll(one, 1, 0)) {
        }
        assert_int_equal(atomic_load(&poster.ran), round);
    }
    guest_end(&guest);
}

/* A thread that attaches to one shard, and sleeps inside of weft_shard_run_once only. */
struct loop {
    struct guest *guest;
    uint32_t index;
    pthread_t thread;
    enum weft_err attached;
    enum weft_err ended;
};

static void *loop_thread(void *ctx)
{
    struct loop *loop = ctx;
    weft_shard *shard = NULL;
    loop->attached = weft_shard_attach(loop->guest->host.node, loop->index, &shard, NULL);
    while (loop->attached == WEFT_OK && loop->ended == WEFT_OK) {
        loop->ended = weft_shard_run_once(shard, WEFT_TIMEOUT_NEVER);
    }
    return NULL;
}

static void threads__of_the_host__serve_a_node_of_ours_until_drained(void **state)
{
    static struct guest guest;
    static struct host ours;
    struct loop loops[2];
    memset(&guest, 0, sizeof guest);
    host_pair_init(&guest.host, &ours, *state);
    guest.host.options.shards = "2";
    guest_start(&guest);
    for (uint32_t i = 0; i < 2; i++) {
        loops[i] = (struct loop){.guest = &guest, .index = i};
        pthread_create(&loops[i].thread, NULL, loop_thread, &loops[i]);
    }
    host_start(&ours);
    struct answer answer = host_call_patient(&ours, VERB_ECHO, 100000);
    assert_int_equal(answer.err, WEFT_OK);
    assert_int_equal(answer.wrong_bytes, 0);
    host_fini(&ours);
    weft_node_drain(guest.host.node);
    assert_int_equal(weft_node_wait(guest.host.node), 0);
    for (uint32_t i = 0; i < 2; i++) {
        pthread_join(loops[i].thread, NULL);
        assert_int_equal(loops[i].attached, WEFT_OK);
        assert_int_equal(loops[i].ended, WEFT_ERR_CLOSED);
    }
    host_fini(&guest.host);
}

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

/* A clock that the test moves. */
static uint64_t clock_read(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static void clock__of_the_host__timers_follow_it_and_lateness_is_counted(void **state)
{
    static struct guest guest;
    struct weft_counters counters;
    struct weft_timer timer = {0};
    uint64_t now_ns = 5000000000;
    uint32_t fired = 0;
    memset(&guest, 0, sizeof guest);
    host_init(&guest.host, 1, *state);
    guest.host.options.monotonic_clock = guest.host.options.wall_clock = clock_read;
    guest.host.options.clock_ctx = &now_ns;
    guest_start(&guest);
    guest_attach(&guest);
    assert_int_equal(guest.host.node->settings.incarnation, 5000000000);
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    assert_int_equal(weft_shard_now_ns(guest.shards[0]), 5000000000);
    weft_timer_start(guest.shards[0], &timer, UINT64_C(3600) * 1000000000, count_timer, &fired);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    }
    assert_int_equal(fired, 0);
    weft_node_counters(guest.host.node, &counters);
    assert_int_equal(counters.host_late, 0);
    now_ns += UINT64_C(3602) * 1000000000;
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    assert_int_equal(fired, 1);
    weft_node_counters(guest.host.node, &counters);
    assert_int_equal(counters.host_late, 1);
    assert_int_equal(weft_shard_run_once(guest.shards[0], 0), WEFT_OK);
    weft_node_counters(guest.host.node, &counters);
    assert_int_equal(counters.host_late, 1);
    weft_node_drain(guest.host.node); /* looks again after a while of this clock */
    while (weft_shard_run_once(guest.shards[0], 0) == WEFT_OK) {
        now_ns += 1000000;
    }
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

#define HOSTED_TEST(name, backend)                                                                                     \
    {                                                                                                                  \
#name " over " backend, name, NULL, NULL, (void *)(uintptr_t)backend                                           \
    }
#define HOSTED_TESTS(backend)                                                                                          \
    HOSTED_TEST(calls__two_nodes_in_one_poll_loop__all_answered, backend),                                             \
        HOSTED_TEST(descriptor__nothing_to_do__quiet_until_the_timer, backend),                                        \
        HOSTED_TEST(descriptor__mail_of_another_thread__readable, backend),                                            \
        HOSTED_TEST(descriptor__mail_from_inside_a_turn__readable_at_once, backend),                                   \
        HOSTED_TEST(threads__of_the_host__serve_a_node_of_ours_until_drained, backend),                                \
        HOSTED_TEST(misuse__each_call_in_a_wrong_state__said_so, backend),                                             \
        HOSTED_TEST(clock__of_the_host__timers_follow_it_and_lateness_is_counted, backend),                            \
        HOSTED_TEST(shard__not_run_for_a_second__another_accepts_for_it, backend),                                     \
        HOSTED_TEST(drain__before_all_are_attached__ends_without_them, backend),                                       \
        HOSTED_TEST(peer__removed_before_any_shard_is_attached__its_slot_is_free, backend)

int main(void)
{
    const struct CMUnitTest over_epoll[] = {HOSTED_TESTS("epoll")};
    const struct CMUnitTest over_io_uring[] = {HOSTED_TESTS("io_uring")};
    char text[256];
    int failed = cmocka_run_group_tests(over_epoll, NULL, NULL);
    if (io_uring_probe(text, sizeof text) == WEFT_OK) {
        failed += cmocka_run_group_tests(over_io_uring, NULL, NULL);
    } else {
        printf("io_uring does not work here: %s\n", text);
    }
    return failed;
}
