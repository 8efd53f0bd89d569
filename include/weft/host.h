/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  A node inside of somebody else's event loop: the host's threads run the shards.
 *
 *  weft_node_start_hosted opens the listeners; then each shard is attached to a thread, which runs it from then on,
 *  either by a loop over weft_shard_run_once or whenever weft_shard_fd is readable.  A thread may run several shards.
 *  Nothing is served or dialed until all are attached.  weft pins, names and signals no thread of the host's.
 *
 *  A host may also use its shard between runs: what it calls there goes out with the next weft_shard_run_once, which
 *  the host makes itself, and time is that of the run before.
 *
 *  A shard that is not run serves nobody: what it accepted waits.  New connections to it wait in the system's queue
 *  for a second; then the next shard that is run accepts them in its place, until it is run again
 *  (accepted_for_others, and two log lines).  Where there are several shards, each is asked four times a second whether
 *  it is run, which makes its descriptor readable.  A run that comes more than a second after a timer asked for it is
 *  counted as host_late.
 *
 *  The end is that of any node: after weft_node_drain every shard is run until it says CLOSED; weft_node_wait waits for
 *  that, and runs the shards of its own thread itself.
 */
#ifndef WEFT_HOST_H
#define WEFT_HOST_H

#include <weft/defs.h>
#include <weft/error.h>
#include <weft/node.h>
#include <weft/shard.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A timeout that never passes. */
#define WEFT_TIMEOUT_NEVER UINT64_MAX

/** Start a node without threads of its own.
 *  @param on_ready called once on each shard, once all are attached, before anything else there; may be NULL
 *  @return ok | SYSTEM | CONFIG | UNSUPPORTED | STATE   @shard control */
WEFT_API WEFT_NODISCARD enum weft_err weft_node_start_hosted(weft_node *node, weft_task_fn *on_ready, void *ctx,
                                                             struct weft_error *why);

/** Give a shard to the calling thread, which alone may use it from now on.
 *  @param index below weft_node_shard_count   @param shard lent: valid until the node is destroyed   @param why may be
 * NULL
 *  @return ok | INVALID (no such shard) | STATE (not a hosted node, attached already, or stopped) | DRAINING |
 *          UNSUPPORTED (no io_uring of this size here; the backend can be chosen) | NO_MEMORY | TLS
 *  @shard control, or another attached one */
WEFT_API WEFT_NODISCARD enum weft_err weft_shard_attach(weft_node *node, uint32_t index, WEFT_LEND weft_shard **shard,
                                                        struct weft_error *why);

/** Do what there is to do; sleep for it at most timeout_ns, 0 not at all, WEFT_TIMEOUT_NEVER without end.
 *  Bounded: what is left makes weft_shard_fd readable at once.
 *  @return ok | CLOSED (the shard has ended, and runs no more) |
 *          STATE (not hosted, attached to another thread, or called from inside of a callback) |
 *          INVALID (NULL)
 *  @shard owner   @blocks for timeout_ns at most */
WEFT_API WEFT_NODISCARD enum weft_err weft_shard_run_once(weft_shard *shard, uint64_t timeout_ns);

/** The descriptor to watch: readable while there is something for weft_shard_run_once to do, be it from the network,
 *  from another thread or by the clock.  Only to be watched for input, level-triggered; weft's own, not to be read.
 *  @return the same for the life of the shard; -1 if the shard is not hosted, or NULL   @shard owner */
WEFT_API int weft_shard_fd(const weft_shard *shard);

#ifdef __cplusplus
}
#endif

#endif
