/* SPDX-License-Identifier: Apache-2.0 */
/* Where a connection lands: which shard of the acceptor, by its source port.  Pure.
 *
 *     shard = (source port / 2) modulo shards
 *
 * The division is there because the kernel gives even ports to connect and odd ones to bind: without it half of the
 * shards would starve.  A listener group decides so by a program in the kernel; a dialer turns it around and chooses
 * among the port pairs 2k, 2k+1 whose k is the wanted shard, modulo shards. */
#ifndef ENGINE_IO_LANDING_H
#define ENGINE_IO_LANDING_H

#include <stdint.h>

#include <linux/filter.h>

/* Source ports that the system gives out, both ends included. */
struct landing_range {
    uint16_t first;
    uint16_t last;
};

/* shards may be 0, of a peer that nothing is known of: everything lands on shard 0 then. */
static inline uint32_t landing_shard(uint16_t source_port, uint32_t shards)
{
    return shards == 0 ? 0 : source_port / 2u % shards;
}

/* How many pairs of ports lie inside the range and land on the wanted shard. */
uint32_t landing_pairs(const struct landing_range *range, uint32_t shards, uint32_t wanted);
/* The even port of the pair with this index, below landing_pairs. */
uint16_t landing_pair(const struct landing_range *range, uint32_t shards, uint32_t wanted, uint32_t index);

#define LANDING_INSTRUCTIONS 14u
/* What the program answers where it finds no TCP header: an index that no group has, so the kernel's hash decides. */
#define LANDING_NOWHERE UINT32_MAX

/* A program for SO_ATTACH_REUSEPORT_CBPF.  In there the packet begins behind the TCP header; the headers before it are
 * reached by negative offsets, from that of IP on. */
void landing_program(struct sock_filter program[LANDING_INSTRUCTIONS], uint32_t shards);

#endif
