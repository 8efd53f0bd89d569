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

/* A listening, non-blocking TCP socket.  With reuse_port several sockets of this process share the address, while one
 * that another process holds is an error. */
WEFT_NODISCARD enum weft_err socket_listen(const struct address *address, const struct io_listen_options *options,
                                           int32_t *socket, struct weft_error *why);
/* The port a socket is bound to, which a listener on port 0 learns so; 0 if there is none. */
uint16_t socket_port(int32_t socket);

/* A non-blocking socket with its options set, bound to `local` if that has a family, ready for connect; or -errno.
 * options may be NULL. */
int32_t socket_dial(const struct address *remote, const struct address *local, const struct io_socket_options *options);

/* Set the options of an accepted socket and ask for its peer; false if the peer is gone already. */
bool socket_accepted(int32_t socket, const struct io_socket_options *options, struct address *from);
/* Only the options.  A socket that refuses one works without it. */
void socket_options_set(int32_t socket, const struct io_socket_options *options);

/* ok if the system knows this congestion control and lets this process use it. */
WEFT_NODISCARD enum weft_err socket_congestion_check(const char *name, struct weft_error *why);

uint64_t socket_monotonic_ns(void);
uint64_t socket_wall_ns(void);
void socket_entropy(void *to, uint32_t bytes);

#endif
