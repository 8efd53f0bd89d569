/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 *  weft: traffic between the nodes of a distributed system.  Includes every public header.
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
