/* SPDX-License-Identifier: Apache-2.0 */
/* One node's life in a simulated cluster: what it is told, what it tells, and its ends: drained, or killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cluster.h"

/* The least that a node takes; it is touched only where it is used. */
#define MEMORY_PER_SHARD_BYTES (UINT64_C(64) << 20)
#define HANDSHAKE_TIMEOUT_MS 2000u
/* From up to silent: three intervals, less the part of one that is left for noticing it. */
#define SILENT_PARTS 23u
#define INTERVAL_PARTS 8u
/* Starts that may fail in a row: far above what the highest rate of START_ERROR makes likely. */
#define STARTS_FAILED_MAX 100u

enum weft_encryption cluster_encryption(const struct cluster_node *node)
{
    return node->plan.own_policy ? node->plan.encryption : node->cluster->encryption;
}

bool cluster_wants_secure(const struct cluster *cluster, uint32_t from, uint32_t to, enum weft_lane lane)
{
    const struct cluster_place *one = &cluster->nodes[from].place;
    const struct cluster_place *other = &cluster->nodes[to].place;
    bool same_dc = one->dc != NULL && other->dc != NULL && strcmp(one->dc, other->dc) == 0;
    bool same_rack = same_dc && strcmp(one->rack, other->rack) == 0;
    switch (cluster_encryption(&cluster->nodes[from])) {
    case WEFT_ENCRYPTION_NONE:
        return false;
    case WEFT_ENCRYPTION_RACK:
        return !same_rack || lane == WEFT_LANE_CONTROL;
    case WEFT_ENCRYPTION_DC:
        return !same_dc || lane == WEFT_LANE_CONTROL;
    case WEFT_ENCRYPTION_ALL:
    case WEFT_ENCRYPTION_TRANSITIONAL:
        break;
    }
    return true;
}

static void node_address(uint32_t index, char text[32])
{
    snprintf(text, 32, "10.0.0.%u", index + 1);
}

static void node_id_text(uint32_t index, char text[40])
{
    snprintf(text, 40, "00000000-0000-4000-8000-%012x", index + 1);
}

/* Whether the end of the line says the same twice, as in "closed_by_peer: closed_by_peer". */
static bool line_doubles(const char *line)
{
    const char *last = strrchr(line, ':');
    if (last == NULL || last[1] != ' ') {
        return false;
    }
    size_t bytes = strlen(last + 2);
    return bytes > 0 && (size_t)(last - line) >= bytes && memcmp(last - bytes, last + 2, bytes) == 0;
}

/* A line must be one, and printable, and say nothing twice; refusals are kept for those who ask. */
static void node_logged(void *ctx, char level, const char *line)
{
    struct cluster_node *node = ctx;
    struct cluster *cluster = node->cluster;
    for (const char *at = line; *at != '\0'; at++) {
        cluster_check(cluster, (uint8_t)*at >= 0x20 && (uint8_t)*at < 0x7f, "log line with byte %02x", (uint8_t)*at);
    }
    cluster_check(cluster, !line_doubles(line), "log line: %s", line);
    if (cluster->loud) {
        uint64_t us = sim_world_now_ns(cluster->world) / 1000 % UINT64_C(100000000);
        printf("%10llu us  node %u  %c %s\n", (unsigned long long)us, node->index, level, line);
    }
    bool in = strncmp(line, "refused in from", 15) == 0;
    if (in || strncmp(line, "refused out to", 14) == 0) {
        node->refusals_logged[in ? 0 : 1]++;
        snprintf(node->last_refusal[in ? 0 : 1], sizeof node->last_refusal[0], "%.250s", line);
    }
}

/* Ups and downs of one peer alternate, and the first is an up. */
static void node_peer_changed(void *ctx, weft_shard *shard, const struct weft_peer_event *event)
{
    struct cluster_node *node = ctx;
    struct cluster *cluster = node->cluster;
    char address[32];
    uint32_t peer = 0;
    while (peer < cluster->node_count && node->ids[peer].bits != event->peer.bits &&
           node->former_ids[peer].bits != event->peer.bits) {
        peer++;
    }
    cluster_check(cluster, peer < cluster->node_count, "an event names the unknown peer %llu",
                  (unsigned long long)event->peer.bits);
    node_address(peer, address);
    cluster_check(cluster, strcmp(event->address, address) == 0, "peer %u is called %s", peer, event->address);
    cluster_check(cluster, shard == cluster->running, "an event of another shard");
    struct cluster_watch *watch = &node->watches[peer];
    cluster_check(cluster, watch->up != event->up, "node %u was told twice that peer %u is %s (%s)", node->index, peer,
                  event->up ? "up" : "down", weft_reason_name(event->reason));
    cluster_check(cluster, event->up == (event->reason == WEFT_REASON_NONE), "node %u: peer %u %s with reason %s",
                  node->index, peer, event->up ? "up" : "down", weft_reason_name(event->reason));
    uint64_t interval_ns = cluster->options.heartbeat_ms * MS_NS;
    uint64_t lasted_ns = sim_world_now_ns(cluster->world) - watch->changed_ns;
    cluster_check(cluster,
                  event->reason != WEFT_REASON_HEARTBEAT_MISSED ||
                      lasted_ns >= SILENT_PARTS * interval_ns / INTERVAL_PARTS,
                  "node %u: peer %u was up for %llu ms, and was silent", node->index, peer,
                  (unsigned long long)(lasted_ns / MS_NS));
    watch->up = event->up;
    watch->reason = event->reason;
    watch->changed_ns = sim_world_now_ns(cluster->world);
    *(event->up ? &watch->ups : &watch->downs) += 1;
}

weft_peer_id cluster_peer_id(const struct cluster_node *node, uint32_t peer)
{
    return node->ids[peer];
}

void cluster_add_peer(struct cluster_node *node, uint32_t peer)
{
    struct cluster *cluster = node->cluster;
    struct weft_peer_options entry = WEFT_PEER_OPTIONS_INIT;
    struct weft_error why = {0};
    char address[32];
    node_address(peer, address);
    entry.addresses[0] = address;
    entry.connections = cluster->options.connections;
    entry.dc = cluster->nodes[peer].place.dc;
    entry.rack = cluster->nodes[peer].place.rack;
    entry.id = cluster->nodes[peer].plan.entry_id;
    enum weft_err err = weft_node_peer_add(node->node, &entry, &node->ids[peer], &why);
    cluster_check(cluster, err == WEFT_OK, "%s", why.text);
    cluster_check(cluster, node->ids[peer].bits != 0 && node->ids[peer].bits != node->former_ids[peer].bits,
                  "peer %u is called as it was before", peer);
}

void cluster_remove_peer(struct cluster_node *node, uint32_t peer)
{
    struct weft_error why = {0};
    node->cluster->touched[node->index][peer] = node->cluster->touched[peer][node->index] = true;
    enum weft_err err = weft_node_peer_remove(node->node, node->ids[peer], &why);
    cluster_check(node->cluster, err == WEFT_OK, "%s", why.text);
    node->former_ids[peer] = node->ids[peer];
    node->ids[peer] = (weft_peer_id){0};
}

void cluster_tell_place(struct cluster_node *node, uint32_t peer)
{
    const struct cluster_place *place = &node->cluster->nodes[peer].place;
    struct weft_error why = {0};
    enum weft_err err = peer == node->index
                            ? weft_node_relocate(node->node, place->dc, place->rack, &why)
                            : weft_node_peer_relocate(node->node, node->ids[peer], place->dc, place->rack, &why);
    cluster_check(node->cluster, err == WEFT_OK, "%s", why.text);
}

static void node_add_peers(struct cluster_node *node)
{
    memset(node->ids, 0, sizeof node->ids);
    memset(node->former_ids, 0, sizeof node->former_ids);
    for (uint32_t peer = 0; peer < node->cluster->node_count; peer++) {
        if (peer == node->index ? node->plan.lists_itself : !node->cluster->nodes[peer].plan.stranger) {
            cluster_add_peer(node, peer);
        }
    }
}

static void node_ready(void *ctx, weft_shard *shard)
{
    struct cluster_node *node = ctx;
    struct cluster_worker *worker = &node->workers[weft_shard_index(shard)];
    cluster_check(node->cluster, worker->shard == NULL, "on_ready twice");
    worker->node = node;
    worker->shard = shard;
    cluster_worker_start(worker);
}

static void node_create(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_error why = {0};
    char address[32];
    char id[40];
    node_address(node->index, address);
    node_id_text(node->index, id);
    options.cluster_name = node->plan.cluster_name;
    options.dc = node->plan.claimed_dc != NULL ? node->plan.claimed_dc : node->place.dc;
    options.rack = node->plan.claimed_rack != NULL ? node->plan.claimed_rack : node->place.rack;
    options.node_id = id;
    options.listen_address = address;
    options.storage_port = CLUSTER_PORT;
    options.second_listen_address = node->plan.second_address;
    options.require_hello = node->plan.require_hello;
    options.memory_per_shard_bytes = MEMORY_PER_SHARD_BYTES;
    options.connections_max = node->plan.connections_max != 0 ? node->plan.connections_max : CLUSTER_CONNS_USUAL;
    options.connections_per_peer_max = node->plan.connections_per_peer_max != 0
                                           ? node->plan.connections_per_peer_max
                                           : cluster->options.connections_per_peer_max;
    options.peers_max = cluster->options.peers_max;
    options.idle_timeout_ms = cluster->options.idle_timeout_ms;
    options.handshake_timeout_ms = HANDSHAKE_TIMEOUT_MS;
    options.heartbeat_ms = cluster->options.heartbeat_ms;
    options.drain_timeout_ms = cluster->options.drain_timeout_ms;
    options.log = node_logged;
    options.log_ctx = node;
    enum weft_err err = weft_node_create(&node->node, &options, &why);
    cluster_check(cluster, err == WEFT_OK, "%s", why.text);
    /* The toy needs no certificate, without which the node would not be made. */
    node->node->settings.encryption = node->node->topology->encryption = cluster_encryption(node);
    node->node->settings.certificate_in_block = node->node->topology->certificate = node->plan.certificate;
    node_add_peers(node);
    cluster_handle_verbs(node);
    cluster_check(cluster, weft_node_on_peer(node->node, node_peer_changed, node) == WEFT_OK, "events");
    if (node->plan.prepare != NULL) {
        node->plan.prepare(node->node, node->plan.prepare_ctx);
    }
}

/* A shard or a listener could not be opened: said so, and nothing is left of the attempt. */
static void node_start_failed(struct cluster_node *node, enum weft_err err, const struct weft_error *why)
{
    struct cluster *cluster = node->cluster;
    bool allowed = cluster->options.faults || cluster->options.aim.nth != 0;
    cluster_check(cluster, allowed && err == WEFT_ERR_SYSTEM && why->code == err && why->os_errno != 0,
                  "node %u does not start: %s", node->index, why->text);
    cluster_check(cluster, sim_world_sockets(cluster->world, node->index) == 0, "node %u did not start, and left %u",
                  node->index, sim_world_sockets(cluster->world, node->index));
    cluster_check(cluster, ++node->starts_failed < STARTS_FAILED_MAX, "node %u never starts", node->index);
}

void cluster_start_node(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    cluster_check(cluster, node->node == NULL, "node %u runs already", node->index);
    node->life++;
    node->draining = false;
    node->started_calls = 0;
    memset(node->stopped, 0, sizeof node->stopped);
    memset(node->workers, 0, sizeof node->workers);
    memset(node->watches, 0, sizeof node->watches);
    memset(node->held_count, 0, sizeof node->held_count);
    memset(node->open_calls, 0, sizeof node->open_calls);
    memset(node->refusals_logged, 0, sizeof node->refusals_logged);
    memset(node->heard, 0, CLUSTER_SHARDS_MAX * CLUSTER_CONNS_MAX * sizeof *node->heard);
    node_create(node);
    const struct node_placement placement = {
        .place = sim_world_node(cluster->world, node->index),
        .shard_count = node->shard_count,
        .driven = true,
    };
    enum weft_err err;
    do {
        struct weft_error why = {0};
        err = node_start_on(node->node, &placement, node_ready, node, &why);
        if (err != WEFT_OK) {
            node_start_failed(node, err, &why);
        }
    } while (err != WEFT_OK);
    for (uint32_t i = 0; i < node->shard_count; i++) {
        struct weft_shard *shard = node->node->engine->shards[i];
        sim_io_set_user(shard->io, shard);
        node->node->shards[i].factory = &cluster->toy.factory;
        node->arena_base[i] = arena_used(&shard->arena);
    }
}

void cluster_start(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster_start_node(&cluster->nodes[i]);
    }
}

static void node_forget_sessions(struct node_shard *share)
{
    LIST_FOR_EACH(link, &share->net.live)
    {
        struct conn *conn = WEFT_CONTAINER_OF(link, struct conn, live);
        if (conn->secure != NULL) {
            conn->secure->ops->close(conn->secure);
            conn->secure = NULL;
        }
    }
}

/* A process that dies gives nothing back: its books are closed as they are. */
static void node_forget(struct cluster_node *node)
{
    for (uint32_t i = 0; i < node->shard_count; i++) {
        struct node_shard *share = &node->node->shards[i];
        node_forget_sessions(share);
        share->shard->io->backend->close(share->shard->io); /* first: its operations lie in what goes next */
        share->shard->io = NULL;
        share->rpc.calls.count_in_use = 0;
        memset(share->rpc.deadlines, 0, share->rpc.calls.count * sizeof *share->rpc.deadlines);
        share->net.conn_count = 0;
        share->net.handshake_count = 0;
        share->shard->send_pool.free_count = share->shard->send_pool.count;
    }
    for (int port = 0; port < NODE_PORTS; port++) {
        free(node->node->groups[port].sockets);
        node->node->groups[port].sockets = NULL;
    }
    node->node->state = NODE_STOPPED;
    weft_node_destroy(node->node);
    node->node = NULL;
}

void cluster_kill_node(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    cluster_touch(cluster, node->index);
    cluster->killed = true;
    sim_world_kill_node(cluster->world, node->index);
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        struct cluster_call *call = &cluster->calls[i];
        if (call->node == node->index && call->life == node->life && call->started && call->ends == 0) {
            call->caller_died = true;
            cluster->open_calls--;
        }
    }
    cluster_drop_held(node);
    node_forget(node);
    cluster_check(cluster, sim_world_sockets(cluster->world, node->index) == 0, "sockets of a dead node");
}

void cluster_drain_node(struct cluster_node *node)
{
    node->draining = true;
    cluster_touch(node->cluster, node->index);
    weft_node_drain(node->node);
}

bool cluster_node_stopped(const struct cluster_node *node)
{
    for (uint32_t i = 0; i < node->shard_count; i++) {
        if (!node->stopped[i]) {
            return false;
        }
    }
    return true;
}

void cluster_end_node(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    struct weft_counters counters;
    cluster_stop_timers(node);
    cluster_check_node_empty(node);
    weft_node_counters(node->node, &counters);
    cluster->late_replies += counters.late_replies;
    cluster->bytes_sent += counters.bytes_sent;
    cluster->bytes_received += counters.bytes_received;
    node->exit_value = weft_node_wait(node->node);
    cluster_check(cluster, sim_world_sockets(cluster->world, node->index) == 0, "node %u left %u sockets open",
                  node->index, sim_world_sockets(cluster->world, node->index));
    weft_node_destroy(node->node);
    node->node = NULL;
    cluster_drop_held(node);
}
