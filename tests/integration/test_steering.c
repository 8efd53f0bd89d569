/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: connections land on the listener that their source port names, and a dialer that chooses its port lands where
 * it wants, over IPv4 and IPv6, whichever way it takes the port. Method: a group of listeners of which each is accepted
 * from by hand, and dials by the real backends. */
#include "tests/integration/io_world.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include "engine/base/prng.h"

#define SHARDS 4u
#define DIALS 50u

struct group {
    struct address address;
    int32_t sockets[SHARDS];
    uint32_t count;
};

/* false: this machine has no such address. */
static bool group_open(struct group *group, const char *address, uint32_t count)
{
    bool steered = false;
    group->count = count;
    assert_int_equal(address_parse(&group->address, address, 0), WEFT_OK);
    if (socket_listen(&group->address, count, group->sockets, &steered, NULL) != WEFT_OK) {
        return false;
    }
    assert_true(steered);
    group->address.port = socket_port(group->sockets[0]);
    return true;
}

static void group_close(struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        close(group->sockets[i]);
    }
}

/* Somebody else on this machine has both ports. */
#define PAIR_TAKEN (UINT32_MAX - 1)
#define DRAWS_MAX 8u

/* Dial; the listener that has the connection, which is closed at both ends. */
static uint32_t group_dial(struct group *group, struct world *world, uint16_t pair)
{
    struct probe dial;
    probe_init(&dial, world, IO_CONNECT, IO_SOCKET_NONE);
    dial.op.connect.remote = group->address;
    dial.op.connect.local = group->address;
    dial.op.connect.local.port = 0;
    dial.op.connect.options = &world->options;
    dial.op.connect.source_pair = pair;
    submit(&dial);
    run_idle(world, &dial);
    if (pair != 0 && (dial.last == -EADDRINUSE || dial.last == -EADDRNOTAVAIL)) {
        return PAIR_TAKEN;
    }
    socket_remember(world, dial.last);
    uint16_t port = socket_port(dial.last);
    uint32_t found = UINT32_MAX;
    assert_true(pair == 0 || port == pair || port == pair + 1);
    for (uint32_t i = 0; i < group->count; i++) {
        int32_t accepted = accept(group->sockets[i], NULL, NULL);
        if (accepted >= 0) {
            assert_int_equal(found, UINT32_MAX);
            found = i;
            close(accepted); /* first, so that the dialer's port is free at once */
        }
    }
    assert_int_equal(found, landing_shard(port, group->count));
    socket_shut(world, dial.last);
    return found;
}

static void expect_chosen(struct world *world, const char *address)
{
    struct group group;
    struct prng prng;
    struct landing_range range;
    if (!group_open(&group, address, SHARDS)) {
        return; /* a machine without IPv6 */
    }
    prng_init(&prng, 1);
    world->backend->port_range(NULL, &range);
    for (uint32_t i = 0; i < DIALS * SHARDS; i++) {
        uint32_t wanted = i % SHARDS;
        uint32_t found = PAIR_TAKEN;
        for (uint32_t draw = 0; draw < DRAWS_MAX && found == PAIR_TAKEN; draw++) {
            uint32_t drawn = (uint32_t)prng_below(&prng, landing_pairs(&range, SHARDS, wanted));
            found = group_dial(&group, world, landing_pair(&range, SHARDS, wanted, drawn));
        }
        assert_int_equal(found, wanted);
    }
    group_close(&group);
}

static void dial__chosen_port__lands_where_asked(void **state)
{
    struct world *world = *state;
    for (uint32_t i = 0; i < 2; i++) {
        world->options.bind_source = i == 1;
        expect_chosen(world, "127.0.0.1");
        expect_chosen(world, "::1");
    }
}

static void dial__any_port__every_shard_gets_its_share(void **state)
{
    struct world *world = *state;
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    for (uint32_t a = 0; a < 2; a++) {
        struct group group;
        uint32_t landed[2] = {0, 0};
        if (!group_open(&group, addresses[a], 2)) {
            return;
        }
        for (uint32_t i = 0; i < 200; i++) {
            landed[group_dial(&group, world, 0)]++;
        }
        assert_in_range(landed[0], 50, 150);
        assert_int_equal(landed[0] + landed[1], 200);
        group_close(&group);
    }
}

/* Connect with options between the IP and the TCP header; the listener that has the connection. */
static uint32_t group_dial_with_options(const struct group *group, uint32_t option_bytes)
{
    uint8_t options[40];
    struct sockaddr_storage storage;
    uint32_t bytes = address_to_system(&group->address, &storage);
    uint32_t found = UINT32_MAX;
    int dialed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(options, IPOPT_NOP, sizeof options);
    assert_true(dialed >= 0);
    assert_int_equal(setsockopt(dialed, IPPROTO_IP, IP_OPTIONS, options, option_bytes), 0);
    assert_int_equal(connect(dialed, (const struct sockaddr *)&storage, bytes), 0);
    for (uint32_t i = 0; i < group->count; i++) {
        int accepted = accept(group->sockets[i], NULL, NULL);
        if (accepted >= 0) {
            assert_int_equal(found, UINT32_MAX);
            found = i;
            close(accepted);
        }
    }
    assert_int_equal(found, landing_shard(socket_port(dialed), group->count));
    close(dialed);
    return found;
}

static void dial__ip_options_of_any_length__lands_by_its_port_all_the_same(void **state)
{
    struct group group;
    (void)state;
    assert_true(group_open(&group, "127.0.0.1", SHARDS));
    for (uint32_t option_bytes = 4; option_bytes <= 40; option_bytes += 4) {
        uint32_t seen = 0;
        for (uint32_t i = 0; i < 64; i++) {
            seen |= 1u << group_dial_with_options(&group, option_bytes);
        }
        assert_int_not_equal(seen & (seen - 1), 0); /* not all on one shard */
    }
    group_close(&group);
}

/* What is taken is an error that says so, at the latest with the third connection from one pair to one place. */
static void dial__pair_taken__error_says_so(void **state)
{
    struct world *world = *state;
    for (uint32_t i = 0; i < 2; i++) {
        struct probe dial;
        struct landing_range range;
        uint32_t dials = 0;
        world->options.bind_source = i == 1;
        world->backend->port_range(NULL, &range);
        do {
            probe_init(&dial, world, IO_CONNECT, IO_SOCKET_NONE);
            dial.op.connect.remote = world->address;
            dial.op.connect.options = &world->options;
            dial.op.connect.source_pair = landing_pair(&range, 1, 0, 17 + i);
            submit(&dial);
            run_idle(world, &dial);
            if (dial.last >= 0) {
                socket_remember(world, dial.last);
            }
            dials++;
        } while (dial.last >= 0 && dials < 4);
        assert_true(dial.last == -EADDRINUSE || dial.last == -EADDRNOTAVAIL);
        assert_in_range(dials, 2, 3);
    }
    RUN_UNTIL(world, world->acceptor.count >= 2);
    for (uint32_t i = 0; i < world->acceptor.count; i++) {
        socket_remember(world, world->acceptor.results[i]);
    }
}

#define ON(backend_, test_)                                                                                            \
    {                                                                                                                  \
#backend_ ": " #test_, world_run, world_setup, world_teardown, &(struct world_case)                            \
        {                                                                                                              \
            &io_##backend_##_backend, test_                                                                            \
        }                                                                                                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(epoll, dial__chosen_port__lands_where_asked),
        ON(epoll, dial__any_port__every_shard_gets_its_share),
        ON(epoll, dial__pair_taken__error_says_so),
        cmocka_unit_test(dial__ip_options_of_any_length__lands_by_its_port_all_the_same),
        ON(uring, dial__chosen_port__lands_where_asked),
        ON(uring, dial__any_port__every_shard_gets_its_share),
        ON(uring, dial__pair_taken__error_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
