/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a node is told about sockets is what its sockets do, dialed and accepted ones.
 *
 * Method: a listener, a dialed and an accepted socket on loopback; the kernel is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/io/socket.h"

static int asked(int32_t socket, int level, int name)
{
    int value = -1;
    socklen_t bytes = sizeof value;
    assert_int_equal(getsockopt(socket, level, name, &value, &bytes), 0);
    return value;
}

struct sockets {
    int32_t listener;
    int32_t dialed;
    int32_t accepted;
};

static void sockets_open(struct sockets *sockets, const struct io_socket_options *options)
{
    struct weft_error why = {0};
    struct address address;
    struct address from;
    struct sockaddr_storage storage;
    const struct address any = {.family = 0};
    const struct socket_dial dial = {.remote = &address, .local = &any, .options = options};
    bool steered;
    assert_int_equal(address_parse(&address, "127.0.0.1", 0), WEFT_OK);
    assert_int_equal(socket_listen(&address, 1, &sockets->listener, &steered, &why), WEFT_OK);
    address.port = socket_port(sockets->listener);
    sockets->dialed = socket_dial(&dial);
    assert_true(sockets->dialed >= 0);
    uint32_t bytes = address_to_system(&address, &storage);
    (void)connect(sockets->dialed, (struct sockaddr *)&storage, bytes); /* in progress; on loopback it is at once */
    do {
        sockets->accepted = accept(sockets->listener, NULL, NULL);
    } while (sockets->accepted < 0);
    assert_true(socket_accepted(sockets->accepted, options, &from));
}

static void sockets_close(const struct sockets *sockets)
{
    close(sockets->accepted);
    close(sockets->dialed);
    close(sockets->listener);
}

static void options__all_given__set_on_both_ends(void **state)
{
    (void)state;
    struct sockets sockets;
    const struct io_socket_options options = {.unsent_bytes_max = 65536,
                                              .user_timeout_ms = 7000,
                                              .keepalive_idle_s = 11,
                                              .keepalive_interval_s = 5,
                                              .keepalive_count = 2};
    sockets_open(&sockets, &options);
    const int32_t both[] = {sockets.dialed, sockets.accepted};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(asked(both[i], IPPROTO_TCP, TCP_NODELAY), 1);
        assert_int_equal(asked(both[i], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 65536);
        assert_int_equal(asked(both[i], IPPROTO_TCP, TCP_USER_TIMEOUT), 7000);
        assert_int_equal(asked(both[i], SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(asked(both[i], IPPROTO_TCP, TCP_KEEPIDLE), 11);
        assert_int_equal(asked(both[i], IPPROTO_TCP, TCP_KEEPINTVL), 5);
        assert_int_equal(asked(both[i], IPPROTO_TCP, TCP_KEEPCNT), 2);
    }
    sockets_close(&sockets);
}

static void options__none_given__the_systems(void **state)
{
    (void)state;
    struct sockets sockets;
    const struct io_socket_options options = {.nagle = true};
    sockets_open(&sockets, &options);
    const int32_t both[] = {sockets.dialed, sockets.accepted};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(asked(both[i], IPPROTO_TCP, TCP_NODELAY), 0);
        assert_int_equal(asked(both[i], IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
        assert_int_equal(asked(both[i], SOL_SOCKET, SO_KEEPALIVE), 0);
    }
    sockets_close(&sockets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options__all_given__set_on_both_ends),
        cmocka_unit_test(options__none_given__the_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
