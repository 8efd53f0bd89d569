/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Memory from the host: whoever keeps books of a process's memory, or has a pool for it, gives a node two functions.
 *
 * Covered is what weft itself keeps for a node and its size depends on: the node and its topology; the engine, its
 * shards and their I/O state; the pools of buffers to send from and receive into, the arena of frames and payloads; the
 * tables of connections, links, calls, requests, counters and listeners; the mailboxes between shards, and those of
 * foreign threads.  This is memory_per_shard_bytes, but for TLS.
 *
 * Not covered, and the system's as before: the memory of OpenSSL, hwloc, liburing (its rings, and the ring of receive
 * buffers that the kernel shares) and libc, threads' stacks among it; the small structs that weft keeps beside
 * OpenSSL's, for credentials, for a shard's context and for a connection; configuration files, what follows them, what
 * asks for their host names, and libyaml; what is known of the machine while a node starts, and the copies that
 * weft_node_links makes for its own length.
 */
#ifndef WEFT_ALLOCATOR_H
#define WEFT_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/defs.h>

/** Both functions are called on any shard's thread and on the control thread, at once: they must be safe for that.
 *  They must not call weft.  All calls of `allocate` come from creating and starting a node, attaching a hosted shard,
 *  changing peers and creating a foreign thread; sending and receiving make none. */
struct weft_allocator {
    /** @param bytes one or more   @param alignment 64 or 4096
     *  @return memory; or NULL: what needed it ends with NO_MEMORY, and nothing else is tried */
    void *(*allocate)(void *ctx, size_t bytes, size_t alignment);
    /** @param memory what allocate returned, never NULL   @param bytes as then */
    void (*release)(void *ctx, void *memory, size_t bytes);
    void *ctx; /**< borrowed, until weft_node_destroy returned */
    /** What allocate returns is zero already, as from calloc or mmap: pages of it are touched only as they come into
     *  use.  false: weft zeroes all of it at once, the whole of memory_per_shard_bytes. */
    bool zeroed;
};

#endif
