/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of a running node: its links and its counters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/options.h"
#include "topology/cluster/node.h"

/* A shard's links, collected on the shard and read by the asking thread. */
struct link_snapshot {
    struct weft_link *links;
    uint32_t count;
};

static void link_describe(const struct node_shard *share, const struct channel *channel, struct weft_link *link)
{
    const struct conn *conn = &channel->conn;
    struct peer_match match = peer_match_address(share->topology->peers, share->topology->slot_count, &conn->remote);
    memset(link, 0, sizeof *link);
    link->shard = share->shard->index;
    link->outgoing = !conn->accepted;
    link->encrypted = conn->secure != NULL;
    link->up = channel_is_up(channel);
    link->lane = channel->lane;
    link->decision = channel->decision;
    link->connection_id = channel->connection_id;
    link->peer_shard = channel->peer_hello ? channel->peer_shard : WEFT_SHARD_UNKNOWN;
    link->reason = link->up ? WEFT_REASON_NONE : conn->error.reason;
    char text[ADDRESS_TEXT_BYTES];
    address_print(&conn->remote, text);
    snprintf(link->peer_address, sizeof link->peer_address, "%.63s", text);
    snprintf(link->dc, sizeof link->dc, "%s", match.location.dc);
    snprintf(link->rack, sizeof link->rack, "%s", match.location.rack);
    if (conn->secure != NULL && link->up) {
        struct secure_facts facts = {0};
        conn->secure->ops->facts(conn->secure, &facts);
        memcpy(link->tls_version, facts.version, sizeof link->tls_version);
        memcpy(link->tls_cipher, facts.cipher, sizeof link->tls_cipher);
        link->certificate_not_after_s = facts.own_not_after_s;
        link->peer_certificate_not_after_s = facts.peer_not_after_s;
    }
}

/* A link without a connection. */
static void link_describe_waiting(const struct link *from, struct weft_link *link)
{
    const struct peer *peer = from->peer;
    struct address remote = peer->addresses[0];
    char text[ADDRESS_TEXT_BYTES];
    memset(link, 0, sizeof *link);
    link->shard = from->share->shard->index;
    link->outgoing = true;
    link->waiting = true;
    link->encrypted = from->decision.verdict == POLICY_TLS;
    link->lane = from->lane;
    link->decision = from->decision.reason;
    link->peer_shard = WEFT_SHARD_UNKNOWN;
    link->reason = from->last.reason;
    remote.port = policy_port(from->decision.verdict, peer->storage_port, peer->ssl_storage_port);
    address_print(&remote, text);
    snprintf(link->peer_address, sizeof link->peer_address, "%.63s", text);
    snprintf(link->dc, sizeof link->dc, "%s", peer->dc);
    snprintf(link->rack, sizeof link->rack, "%s", peer->rack);
}

static void link_collect(void *ctx, struct weft_shard *shard)
{
    struct link_snapshot *snapshot = ctx;
    struct node_shard *share = node_shard_of(shard);
    snapshot->links = calloc(share->net.conn_count + slots_in_use(&share->links) + 1, sizeof *snapshot->links);
    if (snapshot->links == NULL) {
        return;
    }
    LIST_FOR_EACH(node, &share->net.live)
    {
        const struct conn *conn = WEFT_CONTAINER_OF(node, struct conn, live);
        link_describe(share, WEFT_CONTAINER_OF(conn, struct channel, conn), &snapshot->links[snapshot->count++]);
    }
    const struct link *link;
    for (uint32_t i = 0; (link = node_shard_next_link(share, &i)) != NULL;) {
        if (link->state == LINK_BACKOFF) {
            link_describe_waiting(link, &snapshot->links[snapshot->count++]);
        }
    }
}

void weft_node_links(weft_node *node, weft_link_fn *fn, void *ctx)
{
    struct weft_error why = {0};
    bool visits = node != NULL && fn != NULL && node->state == NODE_STARTED;
    if (visits && node_check_control(node, "visiting links", &why) != WEFT_OK) {
        log_event(&node->log, LOG_UNLIMITED, LOG_MISUSE, 'E', "%s", why.text);
        return;
    }
    for (uint32_t i = 0; visits && i < node->shard_count; i++) {
        struct link_snapshot snapshot = {0};
        if (engine_run(node->engine, i, link_collect, &snapshot)) {
            for (uint32_t k = 0; k < snapshot.count; k++) {
                fn(ctx, &snapshot.links[k]);
            }
        }
        free(snapshot.links);
    }
}

void weft_node_counters_read(const weft_node *node, struct weft_counters *to, size_t bytes)
{
    struct weft_counters sums = {0};
    struct weft_counters *out = &sums;
    if (node == NULL) {
        options_give(to, bytes, &sums, sizeof sums);
        return;
    }
    uint32_t slots = atomic_load(&node->slots_used);
    for (uint32_t i = 0; node->engine != NULL && i < node->shard_count; i++) {
        const struct weft_counters *from = &node->engine->shards[i]->counters;
#define WEFT_X(name) out->name += __atomic_load_n(&from->name, __ATOMIC_RELAXED);
        WEFT_COUNTERS(WEFT_X)
#undef WEFT_X
#define WEFT_X(name) out->in_use.name += __atomic_load_n(&from->in_use.name, __ATOMIC_RELAXED);
        WEFT_GAUGES(WEFT_X)
#undef WEFT_X
        for (uint32_t t = 0; t < (slots + 1) * WEFT_LANE_COUNT; t++) {
            struct weft_peer_counters tally = {0};
            tally_sum(&tally, node_tally(node, i, 0, WEFT_LANE_NORMAL) + t);
            tally_add_to_counters(out, &tally);
        }
        for (size_t reason = 0; reason < sizeof out->refused_by_reason / sizeof out->refused_by_reason[0]; reason++) {
            out->refused_by_reason[reason] += __atomic_load_n(&from->refused_by_reason[reason], __ATOMIC_RELAXED);
            out->ended_by_reason[reason] += __atomic_load_n(&from->ended_by_reason[reason], __ATOMIC_RELAXED);
        }
    }
    out->credentials_replaced += atomic_load(&node->credentials_replaced);
    out->credentials_refused += atomic_load(&node->credentials_refused);
    options_give(to, bytes, &sums, sizeof sums);
}

static bool peer_is_here(const struct weft_node *node, weft_peer_id peer)
{
    uint32_t slot = peer_slot_of(peer);
    return peer.bits == 0 || (slot < node->settings.peers_max && atomic_load(&node->shared[slot].id) == peer.bits);
}

enum weft_err weft_node_peer_counters_read(const weft_node *node, weft_peer_id peer, enum weft_lane lane,
                                           uint32_t shard, struct weft_peer_counters *out, size_t bytes)
{
    struct weft_peer_counters sums = {0};
    struct weft_peer_counters bases = {0};
    bool known = node != NULL && peer_is_here(node, peer) && (uint32_t)lane < WEFT_LANE_COUNT &&
                 (shard == WEFT_SHARD_ALL || shard < node->shard_count);
    for (uint32_t i = 0; known && node->engine != NULL && i < node->shard_count; i++) {
        if (shard == WEFT_SHARD_ALL || shard == i) {
            const struct weft_peer_counters *tally = node_tally(node, i, (uint32_t)peer.bits, lane);
            tally_sum(&sums, tally);
            tally_sum(&bases, node_tally_base(node, tally));
        }
    }
    known = known && peer_is_here(node, peer); /* still: the numbers are not those of who came after it */
    if (known) {
        tally_less(&sums, &bases);
    } else {
        memset(&sums, 0, sizeof sums);
    }
    options_give(out, bytes, &sums, sizeof sums);
    return known ? WEFT_OK : WEFT_ERR_NOT_FOUND;
}

weft_peer_id weft_node_peer_find(weft_node *node, const char *text)
{
    struct address address;
    weft_peer_id found = {0};
    if (node == NULL || text == NULL || address_parse(&address, text, 0) != WEFT_OK) {
        return found;
    }
    node_topology_lock(node);
    const struct topology *topology = node->topology;
    for (uint32_t p = 0; p < topology->slot_count && found.bits == 0; p++) {
        if (peer_has_address(&topology->peers[p], &address)) {
            found = topology->peers[p].peer_id;
        }
    }
    node_topology_unlock(node);
    return found;
}

uint32_t weft_node_shard_count(const weft_node *node)
{
    return node != NULL ? node->shard_count : 0;
}

const char *weft_node_backend(const weft_node *node)
{
    return node != NULL && node->place.backend != NULL ? node->place.backend->name : "";
}
