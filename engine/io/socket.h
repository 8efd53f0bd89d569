/* SPDX-License-Identifier: Apache-2.0 */
/* What both real backends ask of the system outside of their queues: sockets before they carry data, clocks, entropy.
 * Everything here is synchronous, quick and callable from any thread. */
#ifndef ENGINE_IO_SOCKET_H
#define ENGINE_IO_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "engine/io/address.h"
#include "engine/io/io.h"
#include "engine/io/landing.h"

/* A group of listening, non-blocking TCP sockets on one address, which no other process listens on; on error none stays
 * open.  @param steered given: false if the kernel spreads connections over them as it likes */
WEFT_NODISCARD enum weft_err socket_listen(const struct address *address, uint32_t count, int32_t *sockets,
                                           bool *steered, struct weft_error *why);
/* The port a socket is bound to, which a listener on port 0 learns so; 0 if there is none. */
uint16_t socket_port(int32_t socket);
/* The ports that the system gives to dials. */
void socket_port_range(struct landing_range *range);

struct socket_dial {
    const struct address *remote;
    const struct address *local;             /* family 0: any */
    const struct io_socket_options *options; /* may be NULL */
    uint16_t pair;                           /* even: the source port is this one or the next; 0: any */
};

/* A non-blocking socket with its options set, its source bound or narrowed, ready for connect; or -errno.  -EADDRINUSE
 * here, or -EADDRNOTAVAIL from connect: both ports of the pair are taken. */
int32_t socket_dial(const struct socket_dial *dial);

/* Set the options of an accepted socket and ask for its peer; false if the peer is gone already. */
bool socket_accepted(int32_t socket, const struct io_socket_options *options, struct address *from);
/* Closing it will drop what the peer did not confirm, and reset the connection. */
void socket_reset_at_close(int32_t socket);
/* Only the options.  A socket that refuses one works without it. */
void socket_options_set(int32_t socket, const struct io_socket_options *options);

/* One option whose value is an int. */
bool socket_option_set(int32_t socket, int level, int name, int value);

/* ok if the system knows this congestion control and lets this process use it. */
WEFT_NODISCARD enum weft_err socket_congestion_check(const char *name, struct weft_error *why);

uint64_t socket_monotonic_ns(void);
uint64_t socket_wall_ns(void);
void socket_entropy(void *to, uint32_t bytes);

#endif
