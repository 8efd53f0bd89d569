/* SPDX-License-Identifier: Apache-2.0 */
/* The accounts of calls and requests: one per peer and lane, of each shard.  Written by its shard only, read by any
 * thread, relaxed. */
#ifndef ENGINE_RPC_TALLY_H
#define ENGINE_RPC_TALLY_H

#include <weft/node.h>

#define TALLY_ADD(tally, name, n) __atomic_store_n(&(tally)->name, (tally)->name + (n), __ATOMIC_RELAXED)
#define TALLY(tally, name) TALLY_ADD(tally, name, 1)

/* Add what `from` holds now. */
void tally_sum(struct weft_peer_counters *to, const struct weft_peer_counters *from);
/* Calls and requests that have begun and not ended. */
/* Take off what was counted before. */
void tally_less(struct weft_peer_counters *from, const struct weft_peer_counters *before);
uint64_t tally_calls_in_flight(const struct weft_peer_counters *tally);
uint64_t tally_requests_in_flight(const struct weft_peer_counters *tally);
/* Fill in what the counters of a node or shard say of calls and requests. */
void tally_add_to_counters(struct weft_counters *to, const struct weft_peer_counters *tally);

#endif
