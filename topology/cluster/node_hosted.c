/* SPDX-License-Identifier: Apache-2.0 */
/* A node whose shards run on threads of the host's.  Listeners are open from the start, so that a port that is taken is
 * found out then; what is served and dialed begins when the last shard is on its thread. */
#include <string.h>

#include <weft/host.h>

#include "engine/base/error.h"
#include "topology/cluster/node.h"

enum weft_err weft_node_start_hosted(weft_node *node, weft_task_fn *on_ready, void *ctx, struct weft_error *why)
{
    struct node_placement placement;
    if (why != NULL) {
        memset(why, 0, sizeof *why);
    }
    WEFT_TRY(node_check_control(node, "starting", why));
    WEFT_TRY(node_place(node, &placement, why));
    placement.pinned = false;
    placement.hosted = true;
    node_forget_machine(node);
    return node_start_on(node, &placement, on_ready, ctx, why);
}

enum weft_err weft_shard_attach(weft_node *node, uint32_t index, weft_shard **shard, struct weft_error *why)
{
    if (why != NULL) {
        memset(why, 0, sizeof *why);
    }
    WEFT_TRY(node_check_given(node, "attaching a shard", why));
    if (shard == NULL) {
        return weft_error_set(why, WEFT_ERR_INVALID, "attaching a shard: no place to put it; shard is NULL");
    }
    if (node->state != NODE_STARTED || !node->hosted) {
        return weft_error_set(why, WEFT_ERR_STATE, "attaching a shard: the node was not started by %s",
                              "weft_node_start_hosted");
    }
    if (index >= node->shard_count) {
        return weft_error_set(why, WEFT_ERR_INVALID, "attaching shard %u: the node has %u", index, node->shard_count);
    }
    WEFT_TRY(engine_attach(node->engine, index, why));
    *shard = node->engine->shards[index];
    if (atomic_fetch_add(&node->attached, 1) + 1 == node->shard_count) {
        node_begin(node);
    }
    return WEFT_OK;
}

enum weft_err weft_shard_run_once(weft_shard *shard, uint64_t timeout_ns)
{
    return shard != NULL ? engine_run_once(shard, timeout_ns) : WEFT_ERR_INVALID;
}

int weft_shard_fd(const weft_shard *shard)
{
    return shard == NULL || shard->io == NULL ? -1 : shard->io->backend->pollable(shard->io);
}
