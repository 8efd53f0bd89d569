/* SPDX-License-Identifier: Apache-2.0 */
/* Peers come, go and move, and so may we: the control thread's half.
 *
 * Happy path: a copy of the topology is changed, becomes the newest, and the shards are signalled.  Versions that every
 * shard has left behind are freed by the next change.  Failure modes: what is wrong with a change leaves everything as
 * it was; a shard that does not run keeps versions alive, and when too many are, further changes are refused. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/options.h"
#include "topology/cluster/node.h"

/* Versions that may be alive at once. */
#define TOPOLOGIES_MAX 16u

/* Free what no shard can read; how many are left. */
static uint32_t topology_free_old(struct weft_node *node)
{
    uint64_t oldest = node->topology->version;
    for (uint32_t i = 0; node->shards != NULL && i < node->shard_count; i++) {
        uint64_t seen = atomic_load(&node->shards[i].topology_seen);
        oldest = seen < oldest ? seen : oldest;
    }
    uint32_t count = 1;
    struct topology *kept = node->topology;
    while (kept->older != NULL && kept->version > oldest) {
        kept = kept->older;
        count++;
    }
    while (kept->older != NULL) {
        struct topology *gone = kept->older;
        kept->older = gone->older;
        topology_drop(node->allocator, gone);
    }
    return count;
}

static enum weft_err topology_draft(struct weft_node *node, struct topology **draft, struct weft_error *why)
{
    if (node->state == NODE_STOPPED || atomic_load(&node->drain_asked)) {
        return weft_error_set(why, WEFT_ERR_DRAINING, "changing the topology: the node is stopping");
    }
    node_topology_lock(node); /* a shard that attaches now begins with the newest */
    uint32_t alive = topology_free_old(node);
    node_topology_unlock(node);
    if (alive >= TOPOLOGIES_MAX) {
        return weft_error_set(why, WEFT_ERR_QUEUE_FULL,
                              "changing the topology: some shard has not taken over the last %u changes; is it run?",
                              TOPOLOGIES_MAX);
    }
    *draft = topology_new(node->allocator, node->topology, node->settings.peers_max);
    return *draft != NULL ? WEFT_OK : weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for the topology");
}

/* What a change begins with, and topology_end ends. */
static enum weft_err topology_begin(struct weft_node *node, struct topology **draft, struct weft_error *why)
{
    WEFT_TRY(node_control_begin(node, "changing the topology", why));
    enum weft_err err = topology_draft(node, draft, why);
    if (err != WEFT_OK) {
        node_control_end(node);
    }
    return err;
}

/* A slot has another peer now: nothing of who had it must count as his. */
static void slot_begin(struct weft_node *node, uint32_t slot)
{
    struct peer_shared *shared = &node->shared[slot];
    WEFT_ASSERT(atomic_load(&shared->budgeted) == 0 && atomic_load(&shared->accepted) == 0);
    atomic_store(&shared->shards, 0);
    atomic_store(&shared->leaving, 0);
    atomic_store(&shared->told, false);
    for (int proof = 0; proof < FENCE_PROOFS; proof++) {
        shared->fences[proof].incarnation = 0;
        memset(shared->fences[proof].id, 0, UUID_BYTES);
    }
    for (uint32_t i = 0; node->tallies != NULL && i < node->shard_count; i++) {
        const struct weft_peer_counters *tally = node_tally(node, i, slot + 1, WEFT_LANE_NORMAL);
        memcpy(&node->tally_bases[tally - node->tallies], tally, WEFT_LANE_COUNT * sizeof *tally);
    }
}

static uint32_t shards_reading(const struct weft_node *node)
{
    uint32_t reading = 0;
    for (uint32_t i = 0; node->shards != NULL && i < node->shard_count; i++) {
        reading += atomic_load(&node->shards[i].topology_seen) != TOPOLOGY_NONE;
    }
    return reading;
}

static void topology_publish(struct weft_node *node, struct topology *draft)
{
    node_topology_lock(node);
    uint32_t reading = shards_reading(node);
    for (uint32_t p = 0; p < draft->slot_count; p++) {
        struct peer_shared *shared = &node->shared[p];
        uint64_t id = draft->peers[p].removed ? 0 : draft->peers[p].peer_id.bits;
        uint64_t before = atomic_load(&shared->id);
        if (id != before && before != 0) {
            atomic_store(&shared->leaving_shards, reading);
        }
        if (id != before && id != 0) {
            slot_begin(node, p);
        }
        atomic_store(&shared->id, id);
    }
    draft->older = node->topology;
    node->topology = draft;
    atomic_store(&node->slots_used, draft->slot_count);
    node_topology_unlock(node);
    if (node->state == NODE_STARTED) {
        engine_signal(node->engine);
    }
}

/* A slot that nobody has, and with whose last peer every shard has finished; UINT32_MAX: none. */
static uint32_t slot_find(const struct weft_node *node, const struct topology *draft)
{
    for (uint32_t p = 0; p < draft->slot_count; p++) {
        const struct peer_shared *shared = &node->shared[p];
        if (draft->peers[p].removed && atomic_load(&shared->id) == 0 && atomic_load(&shared->leaving_shards) == 0) {
            return p;
        }
    }
    return draft->slot_count < draft->slots_max ? draft->slot_count : UINT32_MAX;
}

static enum weft_err draft_add(const struct weft_node *node, struct topology *draft, const struct peer *peer,
                               weft_peer_id *id, struct weft_error *why)
{
    uint32_t slot = slot_find(node, draft);
    if (slot == UINT32_MAX) {
        return weft_error_set(why, WEFT_ERR_QUEUE_FULL,
                              "the topology holds %u peers, of which %u are there and the others are still being left",
                              draft->slots_max, draft->peer_count);
    }
    topology_put(draft, slot, peer);
    if (id != NULL) {
        *id = draft->peers[slot].peer_id;
    }
    return WEFT_OK;
}

static enum weft_err draft_find(const struct topology *draft, weft_peer_id id, uint32_t *slot, struct weft_error *why)
{
    *slot = topology_slot_of(draft, id);
    return *slot != UINT32_MAX
               ? WEFT_OK
               : weft_error_set(why, WEFT_ERR_NOT_FOUND, "the topology has no such peer; it may have been removed");
}

/* Both names, or none of them. */
static enum weft_err draft_locate(char to_dc[WEFT_NAME_BYTES_MAX + 1], char to_rack[WEFT_NAME_BYTES_MAX + 1],
                                  const char *dc, const char *rack, struct weft_error *why)
{
    char new_dc[WEFT_NAME_BYTES_MAX + 1];
    WEFT_TRY(settings_copy_name(new_dc, dc, "dc", why));
    WEFT_TRY(settings_copy_name(to_rack, rack, "rack", why));
    memcpy(to_dc, new_dc, sizeof new_dc);
    return WEFT_OK;
}

static void log_change(struct weft_node *node, const char *what, const char *who, const char *dc, const char *rack)
{
    if (node->state == NODE_STARTED) {
        log_event(&node->log, LOG_UNLIMITED, LOG_TOPOLOGY, 'I', "topology: %s %s dc '%s' rack '%s'", who, what, dc,
                  rack);
    }
}

/* Make it the newest, or throw it away. */
static enum weft_err topology_end(struct weft_node *node, struct topology *draft, enum weft_err err)
{
    if (err == WEFT_OK) {
        topology_publish(node, draft);
    } else {
        topology_drop(node->allocator, draft);
    }
    node_control_end(node);
    return err;
}

static enum weft_err peer_read(const struct weft_node *node, struct peer *peer, const struct weft_peer_options *options,
                               struct weft_error *why)
{
    return peer_init(peer, options, node->settings.storage_port, node->settings.ssl_storage_port, why);
}

enum weft_err weft_node_peer_add(weft_node *node, const struct weft_peer_options *options, weft_peer_id *id,
                                 struct weft_error *why)
{
    struct peer peer;
    struct topology *draft;
    WEFT_TRY(node_check_given(node, "adding a peer", why));
    WEFT_TRY(peer_read(node, &peer, options, why));
    WEFT_TRY(topology_begin(node, &draft, why));
    enum weft_err err = draft_add(node, draft, &peer, id, why);
    if (err == WEFT_OK) {
        log_change(node, "added,", peer.text, peer.dc, peer.rack);
    }
    return topology_end(node, draft, err);
}

enum weft_err weft_node_peer_remove(weft_node *node, weft_peer_id id, struct weft_error *why)
{
    struct topology *draft;
    uint32_t slot;
    WEFT_TRY(topology_begin(node, &draft, why));
    enum weft_err err = draft_find(draft, id, &slot, why);
    if (err == WEFT_OK) {
        const struct peer *peer = &draft->peers[slot];
        topology_remove(draft, slot);
        log_change(node, "removed, it was in", peer->text, peer->dc, peer->rack);
    }
    return topology_end(node, draft, err);
}

enum weft_err weft_node_peer_relocate(weft_node *node, weft_peer_id id, const char *dc, const char *rack,
                                      struct weft_error *why)
{
    struct topology *draft;
    uint32_t slot;
    WEFT_TRY(topology_begin(node, &draft, why));
    enum weft_err err = draft_find(draft, id, &slot, why);
    if (err == WEFT_OK) {
        struct peer *peer = &draft->peers[slot];
        err = draft_locate(peer->dc, peer->rack, dc, rack, why);
        if (err == WEFT_OK) {
            log_change(node, "is now in", peer->text, peer->dc, peer->rack);
        }
    }
    return topology_end(node, draft, err);
}

static void warn_own_location(struct weft_node *node, const struct topology *topology)
{
    struct location own = topology_own_location(topology);
    if (policy_own_location_missing(topology->encryption, &own)) {
        log_event(&node->log, LOG_UNLIMITED, LOG_TOPOLOGY, 'W',
                  "own location is unknown: dialing TLS everywhere, admitting nothing plain");
    }
}

enum weft_err weft_node_relocate(weft_node *node, const char *dc, const char *rack, struct weft_error *why)
{
    struct topology *draft;
    WEFT_TRY(topology_begin(node, &draft, why));
    enum weft_err err = draft_locate(draft->dc, draft->rack, dc, rack, why);
    if (err == WEFT_OK) {
        log_change(node, "is now in", "this node", draft->dc, draft->rack);
        warn_own_location(node, draft);
    }
    return topology_end(node, draft, err);
}

/* A listed peer: there already, somewhere else now, or new. */
static enum weft_err apply_peer(const struct weft_node *node, struct topology *draft, const struct peer *listed,
                                bool kept[WEFT_PEERS_MAX], struct weft_topology_change *change, struct weft_error *why)
{
    struct peer *there = topology_dialed_as(draft, listed);
    uint32_t slot = there != NULL ? peer_slot_of(there->peer_id) : UINT32_MAX;
    if (there != NULL && kept[slot]) {
        return weft_error_set(why, WEFT_ERR_INVALID, "the peer %s is listed twice", listed->text);
    }
    if (there != NULL && !peer_same_but_location(there, listed)) {
        topology_remove(draft, slot);
        change->removed++;
        there = NULL;
    }
    if (there == NULL) {
        weft_peer_id id;
        WEFT_TRY(draft_add(node, draft, listed, &id, why));
        change->added++;
        kept[peer_slot_of(id)] = true;
        return WEFT_OK;
    }
    bool moved = strcmp(there->dc, listed->dc) != 0 || strcmp(there->rack, listed->rack) != 0;
    change->relocated += moved;
    change->kept += !moved;
    memcpy(there->dc, listed->dc, sizeof there->dc);
    memcpy(there->rack, listed->rack, sizeof there->rack);
    kept[slot] = true;
    return WEFT_OK;
}

static enum weft_err apply_peers(const struct weft_node *node, struct topology *draft,
                                 const struct weft_topology *wanted, struct weft_topology_change *change,
                                 struct weft_error *why)
{
    bool kept[WEFT_PEERS_MAX] = {false};
    WEFT_TRY(peer_array_check(wanted->peers, wanted->peer_count, why));
    /* The array is the caller's: its elements are as large as the caller knows them. */
    const uint8_t *at = (const uint8_t *)wanted->peers;
    for (uint32_t i = 0; i < wanted->peer_count; i++, at += wanted->peers->size) {
        struct peer listed;
        WEFT_TRY(peer_read(node, &listed, (const struct weft_peer_options *)(const void *)at, why));
        WEFT_TRY(apply_peer(node, draft, &listed, kept, change, why));
    }
    for (uint32_t p = 0; p < draft->slot_count; p++) {
        if (!draft->peers[p].removed && !kept[p]) {
            topology_remove(draft, p);
            change->removed++;
        }
    }
    return WEFT_OK;
}

enum weft_err weft_node_topology_apply(weft_node *node, const struct weft_topology *given,
                                       struct weft_topology_change *change, size_t bytes, struct weft_error *why)
{
    struct weft_topology wanted;
    struct weft_topology_change changed = {0};
    struct topology *draft;
    WEFT_TRY(options_take(&wanted, sizeof wanted, given, "struct weft_topology", why));
    WEFT_TRY(topology_begin(node, &draft, why));
    enum weft_err err = draft_locate(draft->dc, draft->rack, wanted.dc, wanted.rack, why);
    if (err == WEFT_OK) {
        changed.moved = strcmp(draft->dc, node->topology->dc) != 0 || strcmp(draft->rack, node->topology->rack) != 0;
        err = apply_peers(node, draft, &wanted, &changed, why);
    }
    if (err == WEFT_OK && node->state == NODE_STARTED) {
        log_event(&node->log, LOG_UNLIMITED, LOG_TOPOLOGY, 'I',
                  "topology: %u peers added, %u removed, %u relocated, %u as before; this node is %s dc '%s' rack '%s'",
                  changed.added, changed.removed, changed.relocated, changed.kept,
                  changed.moved ? "now in" : "still in", draft->dc, draft->rack);
        warn_own_location(node, draft);
    }
    if (err == WEFT_OK && change != NULL) {
        options_give(change, bytes, &changed, sizeof changed);
    }
    return topology_end(node, draft, err);
}

/* TLS, and the memory for it, a node has since its start; ports come and go. */
static enum weft_err scope_check(const struct weft_node *node, enum weft_encryption scope, struct weft_error *why)
{
    const char *name = weft_encryption_name(scope);
    struct location own = topology_own_location(node->topology);
    if ((uint32_t)scope > WEFT_ENCRYPTION_TRANSITIONAL) {
        return weft_error_set(why, WEFT_ERR_INVALID,
                              "internode_encryption: %u is none of none, rack, dc, all and transitional",
                              (uint32_t)scope);
    }
    if (node->state == NODE_CREATED) {
        return weft_error_set(why, WEFT_ERR_STATE, "internode_encryption: the node does not run yet; start it with %s",
                              name);
    }
    if (policy_needs_certificate(scope) && !node_uses_tls(node)) {
        return weft_error_set(why, WEFT_ERR_STATE,
                              "internode_encryption: %s: this node was started without a certificate; TLS takes a "
                              "restart",
                              name);
    }
    if (policy_own_location_missing(scope, &own)) {
        return weft_error_set(why, WEFT_ERR_STATE,
                              "internode_encryption: %s: the own location is unknown; tell the node its dc and rack "
                              "first",
                              name);
    }
    return WEFT_OK;
}

enum weft_err weft_node_encryption_set(weft_node *node, enum weft_encryption scope, struct weft_error *why)
{
    struct topology *draft;
    WEFT_TRY(node_check_given(node, "internode_encryption", why));
    WEFT_TRY(scope_check(node, scope, why));
    WEFT_TRY(topology_begin(node, &draft, why));
    enum weft_encryption before = draft->encryption;
    draft->encryption = scope;
    struct weft_error fault = {0};
    enum weft_err err = topology_end(node, draft, node_ports_want(node, draft, &fault));
    if (err != WEFT_OK) {
        return weft_error_set(why, err, "internode_encryption: %s: %s", weft_encryption_name(scope), fault.text);
    }
    log_event(&node->log, LOG_UNLIMITED, LOG_TOPOLOGY, 'I', "scope: internode_encryption %s instead of %s",
              weft_encryption_name(scope), weft_encryption_name(before));
    node_ports_unwant(node);
    return WEFT_OK;
}

enum weft_encryption weft_node_encryption(const weft_node *node)
{
    return node != NULL ? node->topology->encryption : WEFT_ENCRYPTION_NONE;
}
