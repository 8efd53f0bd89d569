/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets before they carry data, clocks and entropy.
 *
 * Happy path: a node dials and accepts; each socket gets its options, and a dialed one its source, before anybody uses
 * it.
 *
 * Failure modes: a dial that cannot be prepared is -errno.  Options that an accepted socket refuses are skipped: the
 * peer may be gone already, and names were checked when the node started. */
#include "engine/io/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"

/* Longest name of a congestion control, with NUL: the kernel's TCP_CA_NAME_MAX. */
#define CONGESTION_BYTES_MAX 16u
#define NS_PER_SECOND UINT64_C(1000000000)
/* Linux' own ip_local_port_range, where it cannot be read. */
#define LOCAL_PORT_FIRST 32768u
#define LOCAL_PORT_LAST 60999u
/* Since 6.3; younger than the headers of Debian 12. */
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

static int family_of(const struct address *address)
{
    return address->family == 6 ? AF_INET6 : AF_INET;
}

bool socket_option_set(int32_t socket, int level, int name, int value)
{
    return setsockopt(socket, level, name, &value, sizeof value) == 0;
}

uint16_t socket_port(int32_t socket)
{
    struct sockaddr_storage storage;
    struct address local;
    socklen_t bytes = sizeof storage;
    if (getsockname(socket, (struct sockaddr *)&storage, &bytes) != 0 || !address_from_system(&local, &storage)) {
        return 0;
    }
    return local.port;
}

void socket_port_range(struct landing_range *range)
{
    unsigned first = 0;
    unsigned last = 0;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file == NULL || fscanf(file, "%u %u", &first, &last) != 2 || first > last || last > UINT16_MAX) {
        first = LOCAL_PORT_FIRST;
        last = LOCAL_PORT_LAST;
    }
    if (file != NULL) {
        fclose(file);
    }
    *range = (struct landing_range){(uint16_t)first, (uint16_t)last};
}

static bool dial_bind(int32_t socket, const struct address *local)
{
    struct sockaddr_storage storage;
    uint32_t bytes = address_to_system(local, &storage);
    if (local->port == 0) {
        /* Lets connect choose the port, so that many connections to different peers may share one.  A kernel
         * without it gives each its own. */
        socket_option_set(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    } else {
        /* The owner chose the port; an old connection's TIME_WAIT must not block it. */
        socket_option_set(socket, SOL_SOCKET, SO_REUSEADDR, 1);
    }
    return bind(socket, (struct sockaddr *)&storage, bytes) == 0;
}

/* Have connect choose among two source ports.  False on a kernel before 6.3, which has no such option. */
static bool dial_narrow(int32_t socket, uint16_t pair)
{
    uint32_t range = (uint32_t)(pair + 1) << 16 | pair;
    uint32_t kept = 0;
    socklen_t bytes = sizeof kept;
    return setsockopt(socket, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range) == 0 &&
           getsockopt(socket, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &kept, &bytes) == 0 && kept == range;
}

/* Take one of two source ports here and now. */
static bool dial_bind_pair(int32_t socket, const struct address *remote, const struct address *local, uint16_t pair)
{
    struct address source = *local;
    if (source.family == 0) {
        source = (struct address){.family = remote->family};
    }
    for (source.port = pair; source.port <= pair + 1; source.port++) {
        if (dial_bind(socket, &source)) {
            return true;
        }
        if (errno != EADDRINUSE) {
            return false;
        }
    }
    return false;
}

static bool dial_source(int32_t socket, const struct socket_dial *dial)
{
    bool by_bind = dial->options != NULL && dial->options->bind_source;
    if (dial->pair != 0 && (by_bind || !dial_narrow(socket, dial->pair))) {
        return dial_bind_pair(socket, dial->remote, dial->local, dial->pair);
    }
    return dial->local->family == 0 || dial_bind(socket, dial->local);
}

int32_t socket_dial(const struct socket_dial *dial)
{
    const struct address *remote = dial->remote;
    const struct address *local = dial->local;
    if (remote->family == 0 || (local->family != 0 && local->family != remote->family)) {
        return -EAFNOSUPPORT;
    }
    int32_t opened = socket(family_of(remote), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened < 0) {
        return -errno;
    }
    if (!dial_source(opened, dial)) {
        int32_t result = -errno;
        close(opened);
        return result;
    }
    socket_options_set(opened, dial->options);
    return opened;
}

bool socket_accepted(int32_t socket, const struct io_socket_options *options, struct address *from)
{
    struct sockaddr_storage storage;
    socklen_t bytes = sizeof storage;
    if (getpeername(socket, (struct sockaddr *)&storage, &bytes) != 0 || !address_from_system(from, &storage)) {
        return false;
    }
    socket_options_set(socket, options);
    return true;
}

void socket_options_set(int32_t socket, const struct io_socket_options *options)
{
    if (options == NULL || !options->nagle) {
        socket_option_set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (options == NULL) {
        return;
    }
    if (options->unsent_bytes_max != 0) {
        socket_option_set(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)options->unsent_bytes_max);
    }
    if (options->user_timeout_ms != 0) {
        socket_option_set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)options->user_timeout_ms);
    }
    if (options->keepalive_idle_s != 0) {
        socket_option_set(socket, IPPROTO_TCP, TCP_KEEPIDLE, (int)options->keepalive_idle_s);
        socket_option_set(socket, IPPROTO_TCP, TCP_KEEPINTVL, (int)options->keepalive_interval_s);
        socket_option_set(socket, IPPROTO_TCP, TCP_KEEPCNT, (int)options->keepalive_count);
        socket_option_set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    }
    if (options->congestion != NULL) {
        (void)setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, options->congestion,
                         (socklen_t)strlen(options->congestion));
    }
}

/* What the kernel offers, for an error line; empty if it does not say. */
static void congestion_list(char *text, uint32_t text_bytes)
{
    text[0] = '\0';
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_available_congestion_control", "re");
    if (file == NULL) {
        return;
    }
    if (fgets(text, (int)text_bytes, file) == NULL) {
        text[0] = '\0';
    }
    text[strcspn(text, "\n")] = '\0';
    fclose(file);
}

void socket_reset_at_close(int32_t socket)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

enum weft_err socket_congestion_check(const char *name, struct weft_error *why)
{
    char known[256];
    size_t bytes = strlen(name);
    int32_t probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, errno, "tcp_congestion: cannot open a socket to try it");
    }
    int os_errno = 0;
    if (bytes == 0 || bytes >= CONGESTION_BYTES_MAX) {
        os_errno = ENOENT; /* the kernel would cut the name and might find another */
    } else if (setsockopt(probe, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)bytes) != 0) {
        os_errno = errno;
    }
    close(probe);
    switch (os_errno) {
    case 0:
        return WEFT_OK;
    case ENOENT:
        congestion_list(known, sizeof known);
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "tcp_congestion \"%.64s\": this kernel has no such one; it has: %s", name,
                              known[0] != '\0' ? known : "(unknown)");
    case EPERM:
        return weft_error_set(why, WEFT_ERR_SYSTEM,
                              "tcp_congestion \"%s\": not allowed to this user; add it to the sysctl "
                              "net.ipv4.tcp_allowed_congestion_control",
                              name);
    default:
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, os_errno, "tcp_congestion \"%s\"", name);
    }
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    int result = clock_gettime(clock, &now);
    WEFT_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t socket_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t socket_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void socket_entropy(void *to, uint32_t bytes)
{
    uint8_t *at = to;
    while (bytes > 0) {
        ssize_t got = getrandom(at, bytes, 0);
        if (got < 0) {
            WEFT_ASSERT(errno == EINTR);
            continue;
        }
        at += got;
        bytes -= (uint32_t)got;
    }
}
