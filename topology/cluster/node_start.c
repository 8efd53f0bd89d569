/* SPDX-License-Identifier: Apache-2.0 */
/* Starting: the plan of shards, the backend, the listeners, then the shards themselves.
 *
 * Failure modes: whatever fails closes what was opened before it and is reported in one line; nothing runs then. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/mapping.h"
#include "engine/io/io_uring_probe.h"
#include "engine/io/process.h"
#include "engine/io/socket.h"
#include "topology/cluster/node.h"
#include "topology/machine/machine.h"

static void node_pin(void *ctx, uint32_t shard)
{
    struct weft_node *node = ctx;
    struct weft_error why = {0};
    if (node->pinned && machine_pin(node->machine, node->plan.shards[shard].cpu, &why) != WEFT_OK) {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W', "shard %u is not pinned: %s", shard, why.text);
    }
}

enum weft_err node_budget(const struct weft_node *node, const struct node_placement *placement, struct budget *budget,
                          struct weft_error *why)
{
    const struct settings *settings = &node->settings;
    uint32_t dials = 0;
    for (uint32_t p = 0; p < node->topology->slot_count; p++) {
        const struct peer *peer = &node->topology->peers[p];
        uint32_t most = peer->removed ? 0 : placement->shard_count * peer->connections + WEFT_LANE_COUNT;
        dials = most > dials ? most : dials;
    }
    const struct budget_input input = {
        .memory_bytes = settings->memory_per_shard_bytes,
        .shards = placement->shard_count,
        .connections = settings->connections_max,
        .connections_given = settings->connections_given,
        .calls = settings->calls_max,
        .requests = settings->requests_max,
        .listeners = node_ports_most(node),
        .tls = node_uses_tls(node),
        .zero_copy = settings->send_zerocopy != WEFT_SEND_ZEROCOPY_OFF,
        .descriptors = placement->descriptors_max,
        .descriptors_open = placement->descriptors_open,
        .ports = placement->ports,
        .dials = dials,
    };
    return budget_make(&input, budget, why);
}

/* What was asked for, as far as it fits; said in one line each. */
static enum weft_err node_settle_budget(struct weft_node *node, const struct node_placement *placement,
                                        struct budget *budget, struct weft_error *why)
{
    char text[WEFT_ERROR_TEXT_BYTES];
    WEFT_TRY(node_budget(node, placement, budget, why));
    node->settings.connections_max = budget->connections;
    budget_print(budget, text, sizeof text);
    log_event(&node->log, LOG_UNLIMITED, LOG_START, 'I', "guaranteed: %s", text);
    if (budget->lowered[0] != '\0') {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W', "%s", budget->lowered);
    }
    return WEFT_OK;
}

static enum weft_err node_make_engine(struct weft_node *node, const struct node_placement *placement,
                                      struct weft_error *why)
{
    const struct settings *settings = &node->settings;
    struct budget budget;
    WEFT_TRY(node_settle_budget(node, placement, &budget, why));
    const struct engine_options options = {
        .place = placement->place,
        .shard_count = placement->shard_count,
        .thread_name = "weft",
        .pin = node_pin,
        .on_open = node_shard_open,
        .on_close = node_shard_close,
        .on_signal = node_shard_signal,
        .ctx = node,
        .driven = placement->driven,
        .hosted = placement->hosted,
        .shard =
            {
                .recv_bufs = budget.recv_bufs,
                .recv_buf_bytes = budget.recv_buf_bytes,
                .send_bufs = budget.send_bufs,
                .send_buf_bytes = budget.send_buf_bytes,
                .arena_bytes = budget.arena_bytes,
                .payloads_max = budget.payloads,
                .mailbox_slots = budget.mailbox_slots,
                .events_max = budget.events,
                .operations_max = budget.operations,
                .busy_poll = settings->busy_poll,
                .memory_register = settings->send_zerocopy != WEFT_SEND_ZEROCOPY_OFF,
                .clock = settings->clock,
                .pollable = placement->hosted,
                .allocator = node->allocator,
            },
    };
    return engine_create(&node->engine, &options, why);
}

static void node_warn_at_start(struct weft_node *node)
{
    struct location own = topology_own_location(node->topology);
    if (policy_own_location_missing(node->settings.encryption, &own)) {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W',
                  "own location is unknown: dialing TLS everywhere, admitting nothing plain");
    }
    for (uint32_t i = 0; node->credentials != NULL && i < tls_credentials_warning_count(node->credentials); i++) {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W', "%s", tls_credentials_warning(node->credentials, i));
    }
    if (node->credentials != NULL) {
        char text[WEFT_ERROR_TEXT_BYTES];
        tls_credentials_describe(node->credentials, text, sizeof text);
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'I', "%s", text);
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'I', "AES: %s", node->crypto_text);
    }
}

static size_t node_tallies_count(const struct weft_node *node)
{
    return (size_t)node->shard_count * (node->settings.peers_max + 1) * WEFT_LANE_COUNT;
}

void node_drop_shares(struct weft_node *node)
{
    size_t tallies = node_tallies_count(node);
    heap_drop(node->allocator, node->shards, node->shard_count * sizeof *node->shards);
    mapping_drop(node->allocator, node->tallies, tallies * sizeof *node->tallies);
    mapping_drop(node->allocator, node->tally_bases, tallies * sizeof *node->tally_bases);
    node->shards = NULL;
    node->tallies = NULL;
    node->tally_bases = NULL;
}

static void node_unstart(struct weft_node *node)
{
    node_close_listeners(node);
    engine_destroy(node->engine);
    node->engine = NULL;
    node_drop_shares(node);
}

static enum weft_err node_start_parts(struct weft_node *node, const struct node_placement *placement,
                                      struct weft_error *why)
{
    node->shards = heap_make(node->allocator, node->shard_count * sizeof *node->shards);
    size_t tallies = node_tallies_count(node);
    /* Touched as far as there are peers. */
    node->tallies = mapping_make(node->allocator, tallies * sizeof *node->tallies);
    node->tally_bases = mapping_make(node->allocator, tallies * sizeof *node->tally_bases);
    if (node->shards == NULL || node->tallies == NULL || node->tally_bases == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory for %u shards", placement->shard_count);
    }
    for (uint32_t i = 0; i < placement->shard_count; i++) {
        atomic_init(&node->shards[i].topology_seen, TOPOLOGY_NONE);
    }
    WEFT_TRY(node_make_engine(node, placement, why));
    WEFT_TRY(node_open_listeners(node, why));
    return engine_start(node->engine, why);
}

/* A node that was given no identity is somebody new at each start. */
static void node_draw_identity(struct weft_node *node)
{
    struct settings *settings = &node->settings;
    struct io *io = node->engine->shards[0]->io;
    if (!settings->node_id_known) {
        io->backend->entropy(io, settings->node_id, UUID_BYTES);
        settings->node_id[6] = (uint8_t)((settings->node_id[6] & 0x0f) | 0x40); /* version 4: random */
        settings->node_id[8] = (uint8_t)((settings->node_id[8] & 0x3f) | 0x80);
    }
    if (settings->incarnation == 0) {
        settings->incarnation = io->backend->wall_ns(io);
    }
}

void node_begin(struct weft_node *node)
{
    node_draw_identity(node);
    for (uint32_t i = 0; i < node->shard_count; i++) {
        enum weft_err err = engine_post(node->engine, i, node_shard_start, NULL);
        WEFT_ASSERT(err == WEFT_OK || node->hosted); /* a host can have drained some already */
    }
}

/* Rings for which less memory could be locked than wanted work, with more system calls. */
static void node_tell_small_queues(struct weft_node *node)
{
    uint32_t small = 0;
    uint32_t least = UINT32_MAX;
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < node->shard_count; i++) {
        const struct io *io = node->engine->shards[i]->io;
        small += io->queue_entries < io->queue_wanted;
        least = io->queue_entries < least ? io->queue_entries : least;
        wanted = io->queue_wanted;
    }
    if (small > 0) {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W',
                  "io_uring queues of %u entries instead of %u on %u shard%s: little memory may be locked; raise "
                  "RLIMIT_MEMLOCK (ulimit -l)",
                  least, wanted, small, small == 1 ? "" : "s");
    }
}

/* Without, a send that is not copied looks its pages up each time. */
static void node_tell_unregistered(struct weft_node *node)
{
    uint32_t count = 0;
    if (node->settings.send_zerocopy == WEFT_SEND_ZEROCOPY_OFF || node->place.backend->memory_register == NULL) {
        return;
    }
    for (uint32_t i = 0; i < node->shard_count; i++) {
        count += !node->engine->shards[i]->memory_registered;
    }
    if (count > 0) {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W',
                  "memory for payloads is not registered on %u shard%s: less may be locked than the %llu bytes of an "
                  "arena, or the kernel is older than 6.3; zero-copy sends work, a little slower; raise "
                  "RLIMIT_MEMLOCK (ulimit -l)",
                  count, count == 1 ? "" : "s", (unsigned long long)node->engine->shards[0]->arena.bytes);
    }
}

enum weft_err node_start_on(struct weft_node *node, const struct node_placement *placement, weft_task_fn *on_ready,
                            void *ctx, struct weft_error *why)
{
    if (node->state != NODE_CREATED) {
        return weft_error_set(why, WEFT_ERR_STATE, "the node was started already");
    }
    node->place = placement->place;
    node->shard_count = placement->shard_count;
    node->pinned = placement->pinned;
    node->hosted = placement->hosted;
    node->on_ready = on_ready;
    node->on_ready_ctx = ctx;
    log_event(&node->log, LOG_UNLIMITED, LOG_START, 'I', "starting %u shard%s on %s, internode_encryption %s",
              node->shard_count, node->shard_count == 1 ? "" : "s", placement->place.backend->name,
              weft_encryption_name(node->settings.encryption));
    node_warn_at_start(node);
    node_log_table(node);
    enum weft_err err = node_start_parts(node, placement, why);
    if (err != WEFT_OK) {
        node_unstart(node);
        return err;
    }
    node->state = NODE_STARTED;
    if (!placement->hosted) {
        node_tell_small_queues(node);
        node_tell_unregistered(node);
        node_begin(node);
    }
    if (atomic_load(&node->drain_asked)) { /* while it started: nobody was there to be told */
        engine_signal_end(node->engine);
    }
    return WEFT_OK;
}

/* The backend that was asked for, or the best that works here. */
static enum weft_err node_choose_backend(struct weft_node *node, struct io_place *place, struct weft_error *why)
{
    const char *name = node->settings.backend;
    bool automatic = strcmp(name, "auto") == 0;
    char text[256];
    place->host = NULL;
    if (strcmp(name, io_epoll_backend.name) == 0) {
        place->backend = &io_epoll_backend;
        return WEFT_OK;
    }
    WEFT_ASSERT(automatic || strcmp(name, io_uring_backend.name) == 0);
    enum weft_err err = io_uring_probe(text, sizeof text);
    place->backend = err == WEFT_OK ? &io_uring_backend : &io_epoll_backend;
    if (err != WEFT_OK && !automatic) {
        return weft_error_set(why, err, "backend io_uring does not work here: %s", text);
    }
    if (err != WEFT_OK) {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W', "using epoll: io_uring does not work here: %s", text);
    }
    return WEFT_OK;
}

void node_forget_machine(struct weft_node *node)
{
    machine_close(node->machine);
    free(node->machine);
    node->machine = NULL;
}

enum weft_err node_place(struct weft_node *node, struct node_placement *placement, struct weft_error *why)
{
    node_forget_machine(node);
    node->machine = calloc(1, sizeof *node->machine);
    if (node->machine == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to look at the machine");
    }
    WEFT_TRY(machine_read(node->machine, why));
    const struct plan_wish wish = {.shards = node->settings.shards, .smt = node->settings.smt};
    WEFT_TRY(plan_make(node->machine, &wish, &node->plan, why));
    if (node->plan.note[0] != '\0') {
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W', "%s", node->plan.note);
    }
    placement->pinned = true;
    placement->driven = false;
    placement->hosted = false;
    placement->shard_count = node->plan.shard_count;
    placement->descriptors_max = process_descriptors_max();
    placement->descriptors_open = process_descriptors_open();
    struct landing_range ports;
    socket_port_range(&ports);
    placement->ports = ports.last > ports.first ? ports.last - ports.first + 1u : 0;
    if (node->settings.tcp_congestion[0] != '\0') {
        WEFT_TRY(socket_congestion_check(node->settings.tcp_congestion, why));
    }
    return node_choose_backend(node, &placement->place, why);
}

enum weft_err weft_node_start(weft_node *node, weft_task_fn *on_ready, void *ctx, struct weft_error *why)
{
    struct node_placement placement;
    if (why != NULL) {
        memset(why, 0, sizeof *why);
    }
    WEFT_TRY(node_check_control(node, "starting", why));
    WEFT_TRY(node_place(node, &placement, why));
    struct weft_error refusal = {0};
    enum weft_err err = node_start_on(node, &placement, on_ready, ctx, &refusal);
    if (err == WEFT_ERR_UNSUPPORTED && placement.place.backend == &io_uring_backend &&
        strcmp(node->settings.backend, "auto") == 0) {
        /* The probe found io_uring, but the shards' rings do not fit what may be locked. */
        log_event(&node->log, LOG_UNLIMITED, LOG_START, 'W', "using epoll: %s", refusal.text);
        memset(&refusal, 0, sizeof refusal);
        placement.place.backend = &io_epoll_backend;
        err = node_start_on(node, &placement, on_ready, ctx, &refusal);
    }
    node_forget_machine(node);
    if (err != WEFT_OK && why != NULL) {
        *why = refusal;
    }
    return err;
}

int weft_node_wait(weft_node *node)
{
    if (node == NULL) {
        return 0;
    }
    struct weft_error why = {0};
    if (node_check_control(node, "waiting for the end", &why) != WEFT_OK) {
        log_event(&node->log, LOG_UNLIMITED, LOG_MISUSE, 'E', "%s", why.text);
        return -1;
    }
    if (node->state == NODE_STARTED) {
        engine_join(node->engine);
        node_close_listeners(node);
        node->state = NODE_STOPPED;
        log_event(&node->log, LOG_UNLIMITED, LOG_STOP, 'I', "stopped");
    }
    return atomic_load(&node->drain_cut) ? 1 : 0;
}
