/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets before they carry data, clocks and entropy.
 *
 * Happy path: a node listens once per shard, dials and accepts; each socket gets its options before anybody uses it.
 *
 * Failure modes: a listener that cannot be opened is one line that names the address and the remedy.  A dial that
 * cannot be prepared is -errno.  Options that an accepted socket refuses are skipped: the peer may be gone already, and
 * names were checked when the node started. */
#include "engine/io/socket.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"

/* Connections that wait for accept: a whole cluster reconnects at once after a network cut.  The kernel takes the
 * minimum of this and net.core.somaxconn, whose default is the same. */
#define LISTEN_BACKLOG 4096
/* Longest name of a congestion control, with NUL: the kernel's TCP_CA_NAME_MAX. */
#define CONGESTION_BYTES_MAX 16u
#define NS_PER_SECOND UINT64_C(1000000000)

static int family_of(const struct address *address)
{
    return address->family == 6 ? AF_INET6 : AF_INET;
}

static bool option_set(int32_t socket, int level, int name, int value)
{
    return setsockopt(socket, level, name, &value, sizeof value) == 0;
}

/* One line per cause that a user can do something about. */
static enum weft_err listen_failed(const struct address *address, int os_errno, struct weft_error *why)
{
    char text[ADDRESS_TEXT_BYTES];
    bool first = why != NULL && why->code == WEFT_OK;
    const char *remedy;
    address_print(address, text);
    switch (os_errno) {
    case EADDRINUSE:
        remedy = "address already in use: another process listens there; stop it or choose another storage_port";
        break;
    case EADDRNOTAVAIL:
        remedy = "no interface of this machine has this address; correct listen_address";
        break;
    case EACCES:
        remedy = "not allowed: ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE; "
                 "choose another storage_port";
        break;
    case EAFNOSUPPORT:
        remedy = "this machine has no IPv6; choose an IPv4 listen_address";
        break;
    case EMFILE:
        remedy = "this process has no file descriptor left; raise its limit (ulimit -n)";
        break;
    default:
        return weft_error_set_errno(why, WEFT_ERR_SYSTEM, os_errno, "listen %s", text);
    }
    weft_error_set(why, WEFT_ERR_SYSTEM, "listen %s: %s", text, remedy);
    if (first) {
        why->os_errno = os_errno;
    }
    return WEFT_ERR_SYSTEM;
}

/* A socket bound to the address; or -errno. */
static int32_t bound_open(const struct address *address, bool reuse_port)
{
    struct sockaddr_storage storage;
    uint32_t bytes = address_to_system(address, &storage);
    int32_t opened = socket(family_of(address), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened < 0) {
        return -errno;
    }
    bool fine = option_set(opened, SOL_SOCKET, SO_REUSEADDR, 1) &&
                (!reuse_port || option_set(opened, SOL_SOCKET, SO_REUSEPORT, 1)) &&
                (address->family != 6 || option_set(opened, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
                bind(opened, (struct sockaddr *)&storage, bytes) == 0;
    if (!fine) {
        int32_t result = -errno;
        close(opened);
        return result;
    }
    return opened;
}

/* A socket that listens, shared, on exactly this address. */
static bool is_sibling(int32_t socket, const struct address *address)
{
    struct sockaddr_storage storage;
    struct address local;
    socklen_t bytes = sizeof storage;
    socklen_t value_bytes = sizeof(int);
    int value = 0;
    if (getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &value, &value_bytes) != 0 || value == 0) {
        return false;
    }
    value_bytes = sizeof(int);
    if (getsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &value, &value_bytes) != 0 || value == 0) {
        return false;
    }
    return getsockname(socket, (struct sockaddr *)&storage, &bytes) == 0 && address_from_system(&local, &storage) &&
           address_same_ip(&local, address) && local.port == address->port;
}

/* Does a socket of this very process share the address?  Runs only when a listener finds its address taken, which is
 * once per shard at start. */
static bool sibling_exists(const struct address *address)
{
    DIR *directory = opendir("/proc/self/fd");
    bool found = false;
    if (directory == NULL) {
        return false;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL && !found; entry = readdir(directory)) {
        char *end;
        long number = strtol(entry->d_name, &end, 10);
        found = end != entry->d_name && is_sibling((int32_t)number, address);
    }
    closedir(directory);
    return found;
}

/* SO_REUSEPORT would quietly share the port with a forgotten process of the same user, which then gets a part of the
 * connections.  So the first listener asks without it. */
static int32_t probe_alone(const struct address *address)
{
    int32_t probe = bound_open(address, false);
    if (probe >= 0) {
        close(probe);
        return 0;
    }
    if (probe == -EADDRINUSE && sibling_exists(address)) {
        return 0;
    }
    return probe;
}

enum weft_err socket_listen(const struct address *address, const struct io_listen_options *options, int32_t *socket,
                            struct weft_error *why)
{
    *socket = IO_SOCKET_NONE;
    if (options->reuse_port && address->port != 0) {
        int32_t probed = probe_alone(address);
        if (probed < 0) {
            return listen_failed(address, -probed, why);
        }
    }
    int32_t opened = bound_open(address, options->reuse_port);
    if (opened < 0) {
        return listen_failed(address, -opened, why);
    }
    if (listen(opened, LISTEN_BACKLOG) != 0) {
        int os_errno = errno;
        close(opened);
        return listen_failed(address, os_errno, why);
    }
    *socket = opened;
    return WEFT_OK;
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

static bool dial_bind(int32_t socket, const struct address *local)
{
    struct sockaddr_storage storage;
    uint32_t bytes = address_to_system(local, &storage);
    if (local->port == 0) {
        /* Lets connect choose the port, so that many connections to different peers may share one.  A kernel
         * without it gives each its own. */
        option_set(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    } else {
        /* The owner chose the port; an old connection's TIME_WAIT must not block it. */
        option_set(socket, SOL_SOCKET, SO_REUSEADDR, 1);
    }
    return bind(socket, (struct sockaddr *)&storage, bytes) == 0;
}

int32_t socket_dial(const struct address *remote, const struct address *local, const struct io_socket_options *options)
{
    if (remote->family == 0 || (local->family != 0 && local->family != remote->family)) {
        return -EAFNOSUPPORT;
    }
    int32_t opened = socket(family_of(remote), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened < 0) {
        return -errno;
    }
    if (local->family != 0 && !dial_bind(opened, local)) {
        int32_t result = -errno;
        close(opened);
        return result;
    }
    socket_options_set(opened, options);
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
        option_set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (options != NULL && options->congestion != NULL) {
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
