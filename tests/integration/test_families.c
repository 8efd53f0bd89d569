/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: nodes of IPv4 and IPv6 call each other: a dialer takes its own address as the source only where the peer's is
 * of the same family, and over IPv6 calls pass as they do over IPv4.
 *
 * Method: one node on an address of this process, one on ::1 and a port of this process (node_host.h, which calls
 * weft_node_start); each calls the other, over both backends.  Without IPv6 on this machine there is nothing to see. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/io/io_uring_probe.h"
#include "tests/integration/node_host.h"

#define BYTES 40000u
#define DEFAULT_PORT 7000u

/* Below the ports that the kernel hands out, and another one for each process. */
static uint16_t own_port(void)
{
    return (uint16_t)(1024 + getpid() % 30000);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int tried = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = tried >= 0 && bind(tried, (const struct sockaddr *)&address, sizeof address) == 0;
    if (tried >= 0) {
        close(tried);
    }
    return has;
}

static void expect_echo(struct host *host)
{
    struct answer answer = host_call_patient(host, VERB_ECHO, BYTES);
    assert_string_equal(answer.error.text, "");
    assert_int_equal(answer.err, WEFT_OK);
    assert_int_equal(answer.bytes, BYTES);
    assert_int_equal(answer.wrong_bytes, 0);
}

static void nodes__of_two_families__call_each_other(void **state)
{
    static struct host old;
    static struct host new;
    if (!has_ipv6()) {
        print_message("no IPv6 here\n");
        return;
    }
    host_pair_init(&old, &new, *state);
    snprintf(new.address, sizeof new.address, "::1");
    new.options.storage_port = own_port();
    old.peers[0].storage_port = own_port();
    new.peers[0].storage_port = DEFAULT_PORT; /* what is not said is as the node's own */
    host_start(&new);
    host_start(&old);
    expect_echo(&old);
    expect_echo(&new);
    host_fini(&old);
    host_fini(&new);
}

int main(void)
{
    const struct CMUnitTest over_epoll[] = {{"nodes__of_two_families__call_each_other over epoll",
                                             nodes__of_two_families__call_each_other, NULL, NULL, (void *)"epoll"}};
    const struct CMUnitTest over_io_uring[] = {{"nodes__of_two_families__call_each_other over io_uring",
                                                nodes__of_two_families__call_each_other, NULL, NULL,
                                                (void *)"io_uring"}};
    char text[256];
    int failed = cmocka_run_group_tests(over_epoll, NULL, NULL);
    if (io_uring_probe(text, sizeof text) == WEFT_OK) {
        failed += cmocka_run_group_tests(over_io_uring, NULL, NULL);
    } else {
        printf("io_uring does not work here: %s\n", text);
    }
    return failed;
}
