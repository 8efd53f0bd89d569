/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: who connects to a node that drains is told so at once, on both sides by name and counter, and is never what the
 * end waits for.
 *
 * Method: a node has a request to finish when it is told to stop.  Meanwhile a peer that was not there before starts
 * and dials it, plain or TLS; or an outsider knocks with hundreds of bare connections at once, of which each dials
 * again when it was closed: some say nothing, some speak as a Seastar client does.  Then it is asked when the node
 * stopped and where each of its connections was counted; that nothing is left of it is the cluster's own check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/rpc/negotiation.h"
#include "tests/sim/cluster.h"

#define OUTSIDE_NODE CLUSTER_NODES_MAX
#define KNOCKERS 300u
/* Less than who knocks: the node's own limits hold. */
#define CONNECTIONS_MAX 128u
#define EVENTS_MAX 64u
/* Of the request that is to be finished, after the node was told. */
#define WORK_NS (2 * SECOND_NS)
/* What the end takes beside the work: the grace of those that should close, and some looks. */
#define END_NS (SECOND_NS + 100 * MS_NS)
/* Dials that found the queue full are repeated by the system, each time later. */
#define DIALED_NS (60 * SECOND_NS)

struct knocker {
    struct storm *storm;
    struct io_op connect;
    struct io_op send;
    struct io_op recv;
    struct io_op close;
    int32_t socket;
    bool speaks;
    bool gone; /* and does not come again */
};

struct storm {
    struct cluster *cluster;
    struct io *io;
    struct buf_pool pool;
    struct knocker knockers[KNOCKERS];
    uint64_t connected;
    uint64_t closed;
    bool leaving;
};

static void knocker_dial(struct knocker *knocker)
{
    knocker->socket = IO_SOCKET_NONE;
    io_submit(knocker->storm->io, &knocker->connect);
}

static void knocker_end(struct knocker *knocker)
{
    if (io_op_busy(&knocker->send) || io_op_busy(&knocker->recv) || io_op_busy(&knocker->close)) {
        return;
    }
    knocker->close.socket = knocker->socket;
    io_submit(knocker->storm->io, &knocker->close);
}

static void knocker_connected(struct io_op *op, const struct io_event *event)
{
    struct knocker *knocker = WEFT_CONTAINER_OF(op, struct knocker, connect);
    struct storm *storm = knocker->storm;
    if (event->result < 0) { /* nobody listens any more */
        knocker->gone = true;
        return;
    }
    storm->connected++;
    knocker->socket = event->result;
    knocker->recv.socket = knocker->socket;
    io_submit(storm->io, &knocker->recv);
    if (knocker->speaks) {
        struct negotiation offer;
        struct buf *buf = buf_take(&storm->pool, knocker);
        memset(&offer, 0, sizeof offer);
        buf->end = negotiation_write(&offer, buf->data, buf->bytes_max);
        knocker->send.socket = knocker->socket;
        knocker->send.send.bufs[0] = buf;
        knocker->send.send.count = 1;
        io_submit(storm->io, &knocker->send);
    }
}

static void knocker_sent(struct io_op *op, const struct io_event *event)
{
    struct knocker *knocker = WEFT_CONTAINER_OF(op, struct knocker, send);
    (void)event;
    buf_give_back(&knocker->storm->pool, knocker->send.send.bufs[0]);
    if (!io_op_busy(&knocker->recv)) {
        knocker_end(knocker);
    }
}

static void knocker_received(struct io_op *op, const struct io_event *event)
{
    struct knocker *knocker = WEFT_CONTAINER_OF(op, struct knocker, recv);
    cluster_check(knocker->storm->cluster, event->result <= 0, "a stranger without a hello was answered");
    if (!event->more) {
        knocker_end(knocker);
    }
}

static void knocker_closed(struct io_op *op, const struct io_event *event)
{
    struct knocker *knocker = WEFT_CONTAINER_OF(op, struct knocker, close);
    (void)event;
    knocker->storm->closed++;
    knocker->gone = knocker->storm->leaving;
    if (!knocker->gone) {
        knocker_dial(knocker);
    }
}

static void storm_turn(void *ctx, struct io *io)
{
    struct io_event events[EVENTS_MAX];
    uint32_t count = io->backend->wait(io, IO_TIMEOUT_NEVER, events, EVENTS_MAX);
    (void)ctx;
    for (uint32_t i = 0; i < count; i++) {
        io_deliver(io, &events[i]);
    }
}

static struct storm *storm_open(struct cluster *cluster)
{
    static const struct io_socket_options plain;
    const struct io_options options = {.recv_bufs = 8, .recv_buf_bytes = 256, .operations_max = 4 * KNOCKERS};
    const struct io_place place = sim_world_node(cluster->world, OUTSIDE_NODE);
    struct weft_error why = {0};
    struct storm *storm = calloc(1, sizeof *storm);
    storm->cluster = cluster;
    cluster->outsider = storm_turn;
    cluster->outsider_ctx = storm;
    cluster_check(cluster, buf_pool_init(&storm->pool, NULL, KNOCKERS, 256) == WEFT_OK, "pool");
    cluster_check(cluster, place.backend->open(place.host, &options, &storm->io, &why) == WEFT_OK, "%s", why.text);
    for (uint32_t i = 0; i < KNOCKERS; i++) {
        struct knocker *knocker = &storm->knockers[i];
        knocker->storm = storm;
        knocker->speaks = i % 3 != 0;
        io_op_init(&knocker->connect, IO_CONNECT, knocker_connected);
        io_op_init(&knocker->send, IO_SEND, knocker_sent);
        io_op_init(&knocker->recv, IO_RECV, knocker_received);
        io_op_init(&knocker->close, IO_CLOSE, knocker_closed);
        knocker->connect.connect.options = &plain;
        enum weft_err err = address_parse(&knocker->connect.connect.remote, "10.0.0.1", CLUSTER_PORT);
        cluster_check(cluster, err == WEFT_OK, "address");
        knocker_dial(knocker);
    }
    return storm;
}

static bool storm_over(struct cluster *cluster)
{
    const struct storm *storm = cluster->outsider_ctx;
    for (uint32_t i = 0; i < KNOCKERS; i++) {
        if (!storm->knockers[i].gone) {
            return false;
        }
    }
    return true;
}

static void storm_close(struct storm *storm)
{
    struct cluster *cluster = storm->cluster;
    storm->leaving = true;
    cluster_check(cluster, cluster_run_until(cluster, DIALED_NS, storm_over), "somebody still waits");
    storm->io->backend->close(storm->io);
    buf_pool_fini(&storm->pool);
    free(storm);
}

static void open_knock(struct cluster *cluster, uint64_t seed, enum weft_encryption encryption)
{
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = 3;
    options.shard_count = 1 + (uint32_t)(seed % 3);
    options.encryption = encryption;
    options.drain_timeout_ms = 20000;
    cluster_open(cluster, &options);
}

static bool node_0_stopped(struct cluster *cluster)
{
    return cluster_node_stopped(&cluster->nodes[0]);
}

/* Node 1 calls node 0, which is told to stop while that runs.  @return when */
static uint64_t begin_to_drain(struct cluster *cluster)
{
    struct cluster_node *node = &cluster->nodes[0];
    cluster_start_node(node);
    cluster_start_node(&cluster->nodes[1]);
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_all_up), "not up after a second");
    struct cluster_call *call = cluster_call_new(&cluster->nodes[1], 0, 0);
    call->destiny = DESTINY_LATER;
    call->delay_ns = WORK_NS;
    cluster_check(cluster, cluster_call_start(call) == WEFT_OK, "the call");
    cluster_run(cluster, 100 * MS_NS);
    cluster_check(cluster, call->runs == 1, "it does not run");
    cluster_drain_node(node);
    return sim_world_now_ns(cluster->world);
}

/* It stopped when its work was done, cut nothing off, and answered. */
static void check_end(struct cluster *cluster, uint64_t begin_ns)
{
    uint64_t took_ns = sim_world_now_ns(cluster->world) - begin_ns;
    cluster_check(cluster, took_ns >= WORK_NS - 200 * MS_NS, "it stopped after %llu ms",
                  (unsigned long long)(took_ns / MS_NS));
    cluster_check(cluster, cluster->calls[0].ends == 1 && cluster->calls[0].err == WEFT_OK, "the call: %s",
                  weft_err_name(cluster->calls[0].err));
}

static uint64_t newcomer(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    struct weft_counters acceptor;
    struct weft_counters dialer;
    open_knock(&cluster, seed, seed % 2 == 0 ? WEFT_ENCRYPTION_ALL : WEFT_ENCRYPTION_NONE);
    uint64_t begin_ns = begin_to_drain(&cluster);
    struct cluster_node *late = &cluster.nodes[2];
    cluster_start_node(late);
    cluster_check(&cluster, cluster_run_until(&cluster, WORK_NS + END_NS, node_0_stopped), "it does not stop");
    check_end(&cluster, begin_ns);
    weft_node_counters(cluster.nodes[0].node, &acceptor);
    weft_node_counters(late->node, &dialer);
    uint64_t told = dialer.refused_by_reason[WEFT_REASON_DRAINING];
    uint64_t refused = acceptor.refused_by_reason[WEFT_REASON_DRAINING];
    cluster_check(&cluster, told >= 2, "the newcomer was told %llu times", (unsigned long long)told);
    cluster_check(&cluster, refused >= told && refused <= told + 1 && acceptor.refused == refused,
                  "refused %llu, told %llu", (unsigned long long)refused, (unsigned long long)told);
    cluster_check(&cluster, dialer.refused == told, "nothing else was refused");
    cluster_check(&cluster, cluster_dialed(late) < 20, "%llu dials", (unsigned long long)cluster_dialed(late));
    cluster_check(&cluster, strstr(late->last_refusal[1], "draining: refused by the peer: draining") != NULL, "%s",
                  late->last_refusal[1]);
    cluster_check(&cluster, strstr(cluster.nodes[0].last_refusal[0], "draining") != NULL, "%s",
                  cluster.nodes[0].last_refusal[0]);
    cluster_end_node(&cluster.nodes[0]);
    cluster_check(&cluster, cluster.nodes[0].exit_value == 0, "something was cut off");
    cluster_start_node(&cluster.nodes[0]);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void drain__a_peer_starts_meanwhile__told_so_by_name(void **state)
{
    (void)state;
    cluster_run_seeds(100, 12, 4, newcomer, NULL);
}

static uint64_t storm(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    struct weft_counters counters;
    open_knock(&cluster, seed, WEFT_ENCRYPTION_NONE);
    cluster.nodes[0].plan.connections_max = CONNECTIONS_MAX;
    uint64_t begin_ns = begin_to_drain(&cluster);
    weft_node_counters(cluster.nodes[0].node, &counters);
    uint64_t accepted_before = counters.accepted;
    struct storm *storm = storm_open(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, WORK_NS + END_NS, node_0_stopped), "it does not stop");
    check_end(&cluster, begin_ns);
    weft_node_counters(cluster.nodes[0].node, &counters);
    uint64_t accepted = counters.accepted - accepted_before;
    uint64_t refused = counters.refused_by_reason[WEFT_REASON_DRAINING];
    cluster_check(&cluster, storm->connected > 2 * KNOCKERS && refused > KNOCKERS, "%llu came, %llu were refused",
                  (unsigned long long)storm->connected, (unsigned long long)refused);
    cluster_check(&cluster, accepted == refused, "of %llu accepted %llu were counted as refused",
                  (unsigned long long)accepted, (unsigned long long)refused);
    cluster_check(&cluster, counters.refused == refused + counters.refused_by_reason[WEFT_REASON_TOO_MANY_CONNECTIONS],
                  "something else was refused");
    cluster_check(&cluster, counters.accepted + counters.dialed == counters.connections_closed, "connections");
    cluster_end_node(&cluster.nodes[0]);
    cluster_check(&cluster, cluster.nodes[0].exit_value == 0, "something was cut off");
    storm_close(storm);
    cluster_start_node(&cluster.nodes[0]);
    cluster_start_node(&cluster.nodes[2]);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void drain__strangers_knock_all_the_time__ends_in_time_and_each_is_counted(void **state)
{
    (void)state;
    cluster_run_seeds(200, 6, 3, storm, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drain__a_peer_starts_meanwhile__told_so_by_name),
        cmocka_unit_test(drain__strangers_knock_all_the_time__ends_in_time_and_each_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
