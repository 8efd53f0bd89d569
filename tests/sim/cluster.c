/* SPDX-License-Identifier: Apache-2.0 */
/* The whole cluster: its world, whose turn it is, and the calm in which everything must work. */
#include "tests/sim/cluster.h"

#include <stdlib.h>
#include <string.h>

/* The longest pause between two dials (10 s), a dial that was lost (its handshake timeout), and some more. */
#define CALM_NS_MAX (20 * SECOND_NS)
/* One node in five or so has to be started again. */
#define START_ERROR_PER_MILLION 50000u
/* When everything is answered: a late answer of a handler that overslept, a heartbeat. */
#define QUIET_NS_MAX SECOND_NS
/* Twice the drain timeout of a cluster: what is cut off at the first needs a moment. */
#define DRAIN_NS_MAX (20 * SECOND_NS)

void cluster_options_init(struct cluster_options *options, uint64_t seed)
{
    *options = (struct cluster_options){
        .seed = seed,
        .heartbeat_ms = 200,
        .drain_timeout_ms = 3000,
        .pause_us_max = 60000,
    };
}

/* Records that come out in small pieces, and records of the layer's own, in every other world each. */
static void cluster_draw_encryption(struct cluster *cluster)
{
    struct prng prng;
    struct toy_options toy = {0};
    cluster->encryption = cluster->options.encryption;
    if (cluster->options.secure) {
        prng_init(&prng, cluster->options.seed * 3 + 2);
        cluster->encryption = (enum weft_encryption)prng_below(&prng, WEFT_ENCRYPTION_TRANSITIONAL + 1);
        toy.output_bytes = prng_below(&prng, 2) == 0 ? 0 : 30;
        toy.answer_every = prng_below(&prng, 2) == 0 ? 0 : 7;
    }
    toy_factory_init(&cluster->toy, &toy);
}

void cluster_open(struct cluster *cluster, const struct cluster_options *options)
{
    memset(cluster, 0, sizeof *cluster);
    cluster->options = *options;
    uint64_t asked;
    cluster->loud = cluster_seed_asked(&asked);
    sim_options_init(&cluster->sim, options->seed);
    if (options->faults) {
        sim_options_draw_faults(&cluster->sim);
        cluster->sim.fault_per_million[SIM_FAULT_START_ERROR] = START_ERROR_PER_MILLION;
    }
    cluster->sim.aim = options->aim;
    cluster_draw_encryption(cluster);
    if (options->ports_taken) {
        cluster->sim.fault_per_million[SIM_FAULT_PORT_TAKEN] = 1000000;
    }
    prng_init(&cluster->prng, options->seed * 2 + 1);
    cluster->sim.recv_bufs = 4 + (uint32_t)prng_below(&cluster->prng, 29);
    cluster->sim.recv_buf_bytes = options->small ? 0 : 1024u << prng_below(&cluster->prng, 5);
    cluster->sim.window_bytes = 16384u << prng_below(&cluster->prng, 5);
    cluster->node_count = options->node_count;
    if (cluster->node_count == 0) {
        cluster->node_count = 2 + (uint32_t)prng_below(&cluster->prng, CLUSTER_NODES_DRAWN_MAX - 1);
    }
    cluster->calls = calloc(CLUSTER_CALLS_MAX, sizeof *cluster->calls);
    cluster->scratch = calloc(1, CLUSTER_PAYLOAD_BYTES_MAX);
    struct weft_error why = {0};
    cluster_check(cluster, sim_world_create(&cluster->world, &cluster->sim, &why) == WEFT_OK, "%s", why.text);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        node->cluster = cluster;
        node->index = i;
        node->place = (struct cluster_place){i % 2 == 0 ? "east" : "west", i % 4 < 2 ? "r1" : "r2"};
        node->shard_count = options->shard_count;
        if (node->shard_count == 0) {
            node->shard_count = 1 + (uint32_t)prng_below(&cluster->prng, CLUSTER_SHARDS_MAX);
        }
        list_init(&node->held);
        node->heard = calloc(CLUSTER_SHARDS_MAX * CLUSTER_CONNS_MAX, sizeof *node->heard);
    }
}

/* The shard's thread has ended: only its io's wake-ups are still to be taken note of. */
static void cluster_step_ended(struct cluster *cluster, struct io *io)
{
    struct io_event events[4];
    uint32_t count = io->backend->wait(io, IO_TIMEOUT_NEVER, events, 4);
    cluster_check(cluster, count == 0, "an event for a shard whose loop has ended");
}

bool cluster_step(struct cluster *cluster)
{
    struct io *io = sim_world_next(cluster->world);
    if (io == NULL) {
        return false;
    }
    struct weft_shard *shard = sim_io_user(io);
    if (shard == NULL) {
        cluster->outsider(cluster->outsider_ctx, io);
        return true;
    }
    struct cluster_node *node = &cluster->nodes[sim_io_node(io)];
    if (node->stopped[shard->index]) {
        cluster_step_ended(cluster, io);
        return true;
    }
    cluster->running = shard;
    shard_turn(shard);
    cluster->running = NULL;
    cluster->steps++;
    cluster_check_turn(cluster, shard);
    if (shard->stop_asked) {
        cluster_check(cluster, node->draining, "node %u stops by itself", node->index);
        node->stopped[shard->index] = true;
    }
    return true;
}

bool cluster_run_until(struct cluster *cluster, uint64_t for_ns, cluster_condition_fn *condition)
{
    uint64_t end_ns = sim_world_now_ns(cluster->world) + for_ns;
    while (sim_world_now_ns(cluster->world) < end_ns) {
        if (condition != NULL && condition(cluster)) {
            return true;
        }
        if (!cluster_step(cluster)) {
            break;
        }
    }
    return condition == NULL || condition(cluster);
}

void cluster_run(struct cluster *cluster, uint64_t for_ns)
{
    (void)cluster_run_until(cluster, for_ns, NULL);
}

void cluster_touch(struct cluster *cluster, uint32_t node)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster->touched[node][i] = cluster->touched[i][node] = true;
    }
}

void cluster_partition(struct cluster *cluster, uint32_t a, uint32_t b, bool cut)
{
    cluster->touched[a][b] = cluster->touched[b][a] = true;
    sim_world_partition(cluster->world, a, b, cut);
}

void cluster_cut(struct cluster *cluster, uint32_t from, uint32_t to, bool cut)
{
    cluster->touched[from][to] = cluster->touched[to][from] = true;
    sim_world_cut(cluster->world, from, to, cut);
}

void cluster_freeze(struct cluster_node *node, bool frozen)
{
    cluster_touch(node->cluster, node->index);
    sim_world_freeze(node->cluster->world, node->index, frozen);
    node->thawed_ns = sim_world_now_ns(node->cluster->world);
}

bool cluster_knows(const struct cluster_node *node, uint32_t peer)
{
    return node->ids[peer].bits != 0;
}

uint64_t cluster_dialed(const struct cluster_node *node)
{
    struct weft_counters counters;
    weft_node_counters(node->node, &counters);
    return counters.dialed;
}

/* Pauses double from 50 to 5000 ms, at the least. */
uint64_t cluster_dials_max(uint64_t time_ns)
{
    uint64_t dials = 1;
    uint64_t pause_ns = 50 * MS_NS;
    while (time_ns >= pause_ns) {
        time_ns -= pause_ns;
        pause_ns = pause_ns * 2 < 5 * SECOND_NS ? pause_ns * 2 : 5 * SECOND_NS;
        dials++;
    }
    return dials;
}

uint64_t cluster_links(const struct cluster_node *from, const struct cluster_node *to)
{
    /* Control; on each shard bulk, one that was there before the peer's shards were known, and one to each of them. */
    return 1 + from->shard_count * (2 + to->shard_count);
}

bool cluster_all_up(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        for (uint32_t peer = 0; node->node != NULL && peer < cluster->node_count; peer++) {
            if (peer != i && cluster_knows(node, peer) && cluster->nodes[peer].node != NULL &&
                !node->watches[peer].up) {
                return false;
            }
        }
    }
    return true;
}

bool cluster_no_open_calls(struct cluster *cluster)
{
    return cluster->open_calls == 0;
}

struct errand {
    weft_task_fn *fn;
    void *ctx;
    bool done;
};

static void errand_run(void *ctx, weft_shard *shard)
{
    struct errand *errand = ctx;
    errand->fn(errand->ctx, shard);
    errand->done = true;
}

void cluster_run_on(struct cluster_node *node, uint32_t shard, weft_task_fn *fn, void *ctx)
{
    struct cluster *cluster = node->cluster;
    struct errand errand = {.fn = fn, .ctx = ctx};
    enum weft_err err = engine_post(node->node->engine, shard, errand_run, &errand);
    cluster_check(cluster, err == WEFT_OK, "%s", weft_err_name(err));
    while (!errand.done) {
        cluster_check(cluster, cluster_step(cluster), "the world stands still");
    }
}

static void calm_call(struct cluster_node *node, uint32_t shard, uint32_t peer, bool wait_for_peer)
{
    struct cluster *cluster = node->cluster;
    for (uint32_t lane = 0; lane < WEFT_LANE_COUNT; lane++) {
        struct cluster_call *call = cluster_call_new(node, shard, peer);
        call->lane = (enum weft_lane)lane;
        call->wait_for_peer = wait_for_peer;
        call->timeout_ns = CALM_NS_MAX;
        enum weft_err err = cluster_call_start(call);
        cluster_check(cluster, err == WEFT_OK, "after the calm: node %u shard %u to %u lane %s: %s", node->index, shard,
                      peer, weft_lane_name((enum weft_lane)lane), weft_err_name(err));
    }
}

/* Every shard calls every peer on every lane; all is answered. */
static void calm_calls(struct cluster *cluster, bool wait_for_peer)
{
    uint32_t first = cluster->call_count;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        for (uint32_t shard = 0; cluster->nodes[i].node != NULL && shard < cluster->nodes[i].shard_count; shard++) {
            for (uint32_t peer = 0; peer < cluster->node_count; peer++) {
                if (peer != i && cluster_knows(&cluster->nodes[i], peer) && cluster->nodes[peer].node != NULL) {
                    calm_call(&cluster->nodes[i], shard, peer, wait_for_peer);
                }
            }
        }
    }
    cluster_check(cluster, cluster_run_until(cluster, CALM_NS_MAX + SECOND_NS, cluster_no_open_calls),
                  "%u calls are still open", cluster->open_calls);
    for (uint32_t i = first; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        cluster_check(cluster, call->err == WEFT_OK, "after the calm: call %llu, node %u to %u, lane %s: %s",
                      (unsigned long long)call->id, call->node, call->peer, weft_lane_name(call->lane),
                      weft_err_name(call->err));
    }
}

void cluster_calm(struct cluster *cluster)
{
    cluster->load = false;
    sim_world_heal(cluster->world);
    cluster_check(cluster, cluster_run_until(cluster, CALM_NS_MAX, cluster_no_open_calls), "%u calls never ended",
                  cluster->open_calls);
    cluster_check(cluster, cluster_run_until(cluster, CALM_NS_MAX, cluster_all_up), "the peers do not find each other");
    calm_calls(cluster, true);
    calm_calls(cluster, false);
    cluster_check(cluster, cluster_all_up(cluster), "peers went down in the calm");
    cluster_check(cluster, cluster_run_until(cluster, QUIET_NS_MAX, cluster_is_quiet), "something is kept in the calm");
    cluster->calm = true;
}

static bool cluster_all_stopped(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].node != NULL && !cluster_node_stopped(&cluster->nodes[i])) {
            return false;
        }
    }
    return true;
}

void cluster_drain(struct cluster *cluster)
{
    cluster_check_undisturbed(cluster);
    cluster->load = false;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].node != NULL) {
            cluster_drain_node(&cluster->nodes[i]);
        }
    }
    cluster_check(cluster, cluster_run_until(cluster, DRAIN_NS_MAX, cluster_all_stopped), "some node does not stop");
}

uint64_t cluster_close(struct cluster *cluster, struct cluster_totals *totals)
{
    cluster_drain(cluster);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        if (cluster->nodes[i].node != NULL) {
            cluster_end_node(&cluster->nodes[i]);
            cluster_check(cluster, !cluster->calm || cluster->nodes[i].exit_value == 0, "node %u was cut off", i);
        }
        free(cluster->nodes[i].heard);
    }
    cluster_check_history(cluster);
    cluster_check(cluster, sim_world_bad_sockets(cluster->world) == 0, "operations on what was no socket");
    cluster_check(cluster,
                  cluster->killed || cluster->outsider != NULL || cluster->bytes_received <= cluster->bytes_sent,
                  "%llu bytes sent, %llu received", (unsigned long long)cluster->bytes_sent,
                  (unsigned long long)cluster->bytes_received);
    cluster_check(cluster, cluster->toy.live == 0, "%u record layers are left", cluster->toy.live);
    if (totals != NULL) {
        cluster_add_totals(cluster, totals);
    }
    free(cluster->calls);
    free(cluster->scratch);
    uint64_t hash = sim_world_trace_hash(cluster->world);
    sim_world_destroy(cluster->world);
    return hash;
}
