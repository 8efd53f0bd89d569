/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the own certificate, told while the node runs: from 30 days ahead on, once a day.
 *
 * Happy path: a start and a reload say it of what they read, and leave it here; the first shard looks every hour, by
 * the wall clock, since a machine can sleep and its clock be set.  It concerns the certificate that new connections
 * show: one that was replaced is told no longer.
 *
 * Failure modes: a clock that was set back begins another day; one line too many is better than none. */
#include <string.h>

#include "engine/base/error.h"
#include "topology/cluster/node.h"

#define EXPIRY_LOOK_NS (UINT64_C(3600) * 1000000000)
#define NS_PER_S UINT64_C(1000000000)
#define DAY_S INT64_C(86400)

void node_expiry_set(struct weft_node *node)
{
    struct certificate_end end = {.told_s = 0};
    const struct tls_description *leaf = tls_credentials_leaf(node->credentials);
    if (leaf != NULL) {
        end.not_after_s = leaf->not_after_s;
        memcpy(end.not_after, leaf->not_after, sizeof end.not_after);
        const char *path = tls_credentials_path(node->credentials);
        weft_text_escape(end.path, sizeof end.path, path, (uint32_t)strlen(path));
    }
    node_topology_lock(node);
    node->certificate_end = end;
    node_topology_unlock(node);
}

/* Is it to be told now?  What was just read was told by who read it.  @param end a copy */
static bool expiry_is_due(struct weft_node *node, int64_t now_s, struct certificate_end *end)
{
    node_topology_lock(node);
    struct certificate_end *own = &node->certificate_end;
    bool fresh = own->told_s == 0;
    bool day_over = now_s >= own->told_s + DAY_S || now_s < own->told_s;
    bool due = own->not_after_s != 0 && own->not_after_s - now_s < TLS_EXPIRY_WARNING_DAYS * DAY_S && day_over;
    if (fresh || due) {
        own->told_s = now_s;
    }
    *end = *own;
    node_topology_unlock(node);
    return due && !fresh;
}

static void expiry_look(struct timer *timer, void *ctx)
{
    struct node_shard *share = ctx;
    struct weft_shard *shard = share->shard;
    struct certificate_end end;
    int64_t now_s = (int64_t)(shard->io->backend->wall_ns(shard->io) / NS_PER_S);
    if (expiry_is_due(share->node, now_s, &end)) {
        COUNT(shard, certificate_notices);
        if (end.not_after_s > now_s) {
            log_event(&share->log, shard->now_ns, LOG_CERTIFICATE, 'W', "certificate %s: expires at %s, in %lld days",
                      end.path, end.not_after, (long long)((end.not_after_s - now_s) / DAY_S));
        } else {
            log_event(&share->log, shard->now_ns, LOG_CERTIFICATE, 'W',
                      "certificate %s: expired at %s; peers refuse it", end.path, end.not_after);
        }
    }
    shard_timer_start(shard, timer, EXPIRY_LOOK_NS);
}

void node_expiry_watch(struct node_shard *share)
{
    struct certificate_end end;
    if (share->shard->index != 0 || weft_node_certificate_not_after_s(share->node) == 0) {
        return;
    }
    int64_t now_s = (int64_t)(share->shard->io->backend->wall_ns(share->shard->io) / NS_PER_S);
    (void)expiry_is_due(share->node, now_s, &end);
    if (!timer_armed(&share->expiry_timer)) {
        share->expiry_timer = (struct timer){.fn = expiry_look, .ctx = share};
        shard_timer_start(share->shard, &share->expiry_timer, EXPIRY_LOOK_NS);
    }
}

int64_t weft_node_certificate_not_after_s(weft_node *node)
{
    if (node == NULL) {
        return 0;
    }
    node_topology_lock(node);
    int64_t not_after_s = node->certificate_end.not_after_s;
    node_topology_unlock(node);
    return not_after_s;
}
