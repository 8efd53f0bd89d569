/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  Threads that are no shards: handing work in, and getting replies back.
 *
 *  Such a thread registers once.  Its handle belongs to it alone, as a shard's things belong to the shard; what it
 *  hands in runs on a shard, and what comes back waits in the handle until weft_foreign_run.  Nothing is allocated
 *  after the registration.
 */
#ifndef WEFT_FOREIGN_H
#define WEFT_FOREIGN_H

#include <weft/call.h>
#include <weft/defs.h>
#include <weft/error.h>
#include <weft/shard.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most foreign threads of one node. */
#define WEFT_FOREIGN_MAX 16
/** Most calls and answers under way of one foreign thread. */
#define WEFT_FOREIGN_CALLS_MAX 1024
/** Most bytes of the payload of one of them, in either direction. */
#define WEFT_FOREIGN_PAYLOAD_BYTES_MAX (512u * 1024)

/** A registered thread; opaque. */
typedef struct weft_foreign weft_foreign;

/** Options of a foreign thread.  Zero means the default. */
struct weft_foreign_options {
    size_t size;
    uint32_t calls_max;         /**< calls and answers under way; 0: 64 */
    uint32_t payload_bytes_max; /**< of each; memory for all of them is reserved, and used as touched; 0: 16 KiB */
};
#define WEFT_FOREIGN_OPTIONS_INIT WEFT_INIT(struct weft_foreign_options)

/** Runs once on a foreign thread, inside of its weft_foreign_run. */
typedef void weft_foreign_fn(void *ctx);

/** Register the calling thread with a started node.
 *  @param options NULL for defaults   @param foreign given   @param why may be NULL
 *  @return ok | STATE (the node does not run) | QUEUE_FULL (WEFT_FOREIGN_MAX) | INVALID | TOO_NEW | NO_MEMORY | SYSTEM
 *  @shard any that is not a shard's thread */
WEFT_API WEFT_NODISCARD enum weft_err weft_foreign_create(weft_node *node, const struct weft_foreign_options *options,
                                                          WEFT_GIVE weft_foreign **foreign, struct weft_error *why);

/** Take the registration back, before the node is destroyed: what was posted has run on return, what would still come
 *  back is dropped.  No shard may notify it any more.  NULL is fine.  On a thread of a
 *  shard the registration stays until the node goes.   @shard any: the handle's thread   @blocks for a
 * turn of each shard
 */
WEFT_API void weft_foreign_destroy(WEFT_TAKE weft_foreign *foreign);

/** Run fn on a shard, exactly once if this returned ok, in order with what was posted to that shard before.
 *  @return ok | QUEUE_FULL (1,024 wait already) | STATE (the shard has ended, or does not run yet) | INVALID
 *  @shard any: the handle's thread   @allocates never */
WEFT_API WEFT_NODISCARD enum weft_err weft_post(weft_foreign *foreign, uint32_t shard, weft_task_fn *fn, void *ctx);

/** From a shard: run fn on the foreign thread, in order with what this shard sent it before.
 *  @return ok | QUEUE_FULL (1,024 wait already) | INVALID (NULL)   @shard owner   @allocates never */
WEFT_API WEFT_NODISCARD enum weft_err weft_foreign_notify(weft_foreign *foreign, weft_shard *shard, weft_foreign_fn *fn,
                                                          void *ctx);

/** Run what came back, at most so many.  @return how many ran; 0 for NULL   @shard any: the handle's thread @allocates
 * never */
WEFT_API uint32_t weft_foreign_run(weft_foreign *foreign, uint32_t most);

/** The descriptor to watch for input: readable when weft_foreign_run has something to do.  weft's own, not to be read.
 *  -1 for NULL.
 *  @shard any: the handle's thread */
WEFT_API int weft_foreign_fd(const weft_foreign *foreign);

/** Call a verb of a peer by way of a shard; the end comes back to this thread.  Arguments and reply are copied through
 *  the handle's own memory.
 *  @param fn NULL: nobody is told; called exactly once in weft_foreign_run if this returned ok, unless the handle is
 * destroyed before; its error is what weft_call may return too, and TOO_LARGE for a reply over payload_bytes_max
 *  @return ok | QUEUE_FULL (calls_max under way, or the shard's queue) | TOO_LARGE (payload_bytes_max) | STATE |
 *          INVALID | TOO_NEW
 *  @shard any: the handle's thread   @allocates never   @calls_back never from inside */
WEFT_API WEFT_NODISCARD enum weft_err weft_foreign_call(weft_foreign *foreign, uint32_t shard, weft_peer_id to,
                                                        uint64_t verb, struct weft_span args,
                                                        const struct weft_call_options *options, weft_reply_fn *fn,
                                                        void *ctx);

/** Answer a request that its handler kept, as weft_reply does.  Whether it still reached the caller is counted by the
 *  shard, as for any answer.
 *  @param shard the index of the shard that runs the request   @param request taken if this returned ok, and not looked
 *         at on this thread   @param payload borrowed and copied
 *  @return ok | QUEUE_FULL (as weft_foreign_call) | TOO_LARGE (payload_bytes_max) | STATE (its shard has ended, and the
 *          request with it) | INVALID (NULL)
 *  @shard any: the handle's thread   @allocates never */
WEFT_API WEFT_NODISCARD enum weft_err weft_foreign_reply(weft_foreign *foreign, uint32_t shard,
                                                         WEFT_TAKE weft_request *request, struct weft_span payload);

/** Fail a request that its handler kept, as weft_fail does.
 *  @param shard, request as for weft_foreign_reply   @param text borrowed and copied, cut at 255 bytes; NULL: ""
 *  @return as weft_foreign_reply   @shard any: the handle's thread   @allocates never */
WEFT_API WEFT_NODISCARD enum weft_err weft_foreign_fail(weft_foreign *foreign, uint32_t shard,
                                                        WEFT_TAKE weft_request *request, const char *text);

#ifdef __cplusplus
}
#endif

#endif
