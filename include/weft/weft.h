/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  weft: traffic between the nodes of a distributed system.  Includes every public header.
 *
 *  What is called wrongly is treated alike everywhere.
 *
 *  NULL, where a parameter does not say that it may be, is INVALID; what returns no error returns nothing: NULL, 0, -1,
 *  "" or the zero id.  Nothing was done, and nothing taken.  Not looked at, since each call pays for it: the request of
 *  weft_request_payload, which a handler has, and whether a span's data is there, as little as whether its length is
 *  right.
 *
 *  Another shard's buffer or armed timer is INVALID, its call is NOT_FOUND.
 *
 *  On another thread: what says `@shard owner` has no locks.  Where it is noticed the process ends with one line, so
 *  that no more memory is broken: at once by what takes memory, starts, stops or cancels, and by a call or an answer
 *  when it is the first that its connection sends in a turn.  Other threads have weft_foreign_create.
 *
 *  In a callback, on a shard's thread or inside of weft_shard_run_once, what says `@shard owner` or `@shard any` may be
 *  called.  What says `@shard control` is STATE there, and weft_node_wait returns -1.  In a log hook that runs in the
 *  middle of a change of the node, another change is STATE, too.
 *
 *  After the end of a shard, while its node is there, a call is DRAINING, and the rest is STATE or CLOSED, or does
 *  nothing.  A request ends with its shard, a node with weft_node_destroy: their pointers are nobody's from then on.
 */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <weft/allocator.h>
#include <weft/buf.h>
#include <weft/call.h>
#include <weft/defs.h>
#include <weft/error.h>
#include <weft/foreign.h>
#include <weft/guard.h>
#include <weft/host.h>
#include <weft/metrics.h>
#include <weft/node.h>
#include <weft/reason.h>
#include <weft/shard.h>
#include <weft/version.h>

#endif
