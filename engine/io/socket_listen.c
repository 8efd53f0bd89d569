/* SPDX-License-Identifier: Apache-2.0 */
/* Listening: a group of sockets on one address, one per shard.
 *
 * Happy path: the first socket binds and listens alone, which the kernel grants to one process only.  From then on
 * nobody else gets in by listening the same way, and the others join the first; the order of listening is their index
 * in the group.  A program picks among them by the source port (landing.h).
 *
 * A process that was killed leaves its address taken for some milliseconds, until the kernel has taken its ring apart;
 * who is started at once in its place waits for that.
 *
 * Failure modes: an address that cannot be had is one line that names it and the remedy.  Without SO_REUSEPORT on the
 * first there is no moment at which two processes of one user could share a port without noticing; so no lock is
 * needed around a probe.  A kernel that takes no program leaves the landing to its hash, and the caller is told. */
#include "engine/io/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/io/landing.h"

/* Connections that wait for accept: a whole cluster reconnects at once after a network cut.  The kernel takes the
 * minimum of this and net.core.somaxconn, whose default is the same. */
#define LISTEN_BACKLOG 4096

/* How long a taken address is tried again: some 10 ms were seen after a kill; a real owner is told of in time. */
#define LISTEN_TRIES 30
#define LISTEN_TRY_NS 10000000L

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

/* A socket that listens on the address; or -errno. */
static int32_t listening_open(const struct address *address, bool join)
{
    struct sockaddr_storage storage;
    uint32_t bytes = address_to_system(address, &storage);
    int32_t opened = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened < 0) {
        return -errno;
    }
    bool fine = socket_option_set(opened, SOL_SOCKET, SO_REUSEADDR, 1) &&
                (!join || socket_option_set(opened, SOL_SOCKET, SO_REUSEPORT, 1)) &&
                (address->family != 6 || socket_option_set(opened, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
                bind(opened, (struct sockaddr *)&storage, bytes) == 0 && listen(opened, LISTEN_BACKLOG) == 0;
    if (!fine) {
        int32_t result = -errno;
        close(opened);
        return result;
    }
    return opened;
}

static bool group_steer(int32_t socket, uint32_t count)
{
    struct sock_filter instructions[LANDING_INSTRUCTIONS];
    struct sock_fprog program = {.len = LANDING_INSTRUCTIONS, .filter = instructions};
    landing_program(instructions, count);
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

/* 0 or -errno; what was opened until then is counted. */
static int32_t group_open(const struct address *address, uint32_t count, int32_t *sockets, uint32_t *opened)
{
    struct address shared = *address;
    for (*opened = 0; *opened < count; (*opened)++) {
        int32_t one = listening_open(&shared, *opened > 0);
        if (one < 0) {
            return one;
        }
        sockets[*opened] = one;
        if (*opened == 0 && count > 1 && !socket_option_set(one, SOL_SOCKET, SO_REUSEPORT, 1)) {
            (*opened)++;
            return -errno;
        }
        shared.port = socket_port(one);
    }
    return 0;
}

/* The whole group, or nothing and -errno. */
static int32_t group_open_whole(const struct address *address, uint32_t count, int32_t *sockets)
{
    uint32_t opened;
    int32_t result = group_open(address, count, sockets, &opened);
    while (result < 0 && opened > 0) {
        close(sockets[--opened]);
    }
    return result;
}

enum weft_err socket_listen(const struct address *address, uint32_t count, int32_t *sockets, bool *steered,
                            struct weft_error *why)
{
    const struct timespec pause = {.tv_nsec = LISTEN_TRY_NS};
    WEFT_ASSERT(count > 0);
    int32_t result = group_open_whole(address, count, sockets);
    for (int tries = 1; result == -EADDRINUSE && tries < LISTEN_TRIES; tries++) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        result = group_open_whole(address, count, sockets);
    }
    if (result < 0) {
        return listen_failed(address, -result, why);
    }
    *steered = count == 1 || group_steer(sockets[0], count);
    return WEFT_OK;
}
