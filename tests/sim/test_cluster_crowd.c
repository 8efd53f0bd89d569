/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a thousand clients that write next to nothing, or ask for much and read nothing, cost a node a bounded amount
 * of memory and not its peers.
 *
 * Method: a pair of nodes, and one outsider with a thousand bare connections to the first.  Half of them never finish
 * their first words; the others send many requests for large answers and never take one.  The budgets of cluster.h hold
 * in every turn, the pair stays up all the time, and its control lane answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/rpc/negotiation.h"
#include "engine/rpc/wire.h"
#include "tests/sim/cluster.h"

#define CROWD 1000u
#define OUTSIDE_NODE CLUSTER_NODES_MAX
/* Of one reader: their answers are several times what a connection may queue. */
#define REQUESTS 100u
#define EVENTS_MAX 64u
/* What a writer says before it falls silent. */
#define WRITER_BYTES 5u

struct client {
    struct crowd *crowd;
    struct io_op connect;
    struct io_op send;
    struct io_op close;
    int32_t socket;
    bool reads; /* else it writes */
    bool closed;
};

struct crowd {
    struct cluster *cluster;
    struct io *io;
    struct buf_pool pool;
    struct client clients[CROWD];
    uint32_t connected;
    uint32_t refused;
    bool leaving;
};

static void client_connected(struct io_op *op, const struct io_event *event)
{
    struct client *client = WEFT_CONTAINER_OF(op, struct client, connect);
    struct crowd *crowd = client->crowd;
    struct negotiation offer;
    if (event->result < 0) {
        crowd->refused++;
        client->closed = true;
        return;
    }
    crowd->connected++;
    client->socket = event->result;
    struct buf *buf = buf_take(&crowd->pool, client);
    memset(&offer, 0, sizeof offer);
    buf->end = negotiation_write(&offer, buf->data, buf->bytes_max);
    if (!client->reads) {
        buf->end = WRITER_BYTES;
    }
    for (uint32_t i = 1; client->reads && i <= REQUESTS; i++) {
        const struct wire_request request = {.verb = CLUSTER_VERB_LARGE, .id = i};
        buf->end += wire_request_write(buf->data + buf->end, false, &request, 0);
    }
    client->send.socket = client->socket;
    client->send.send.bufs[0] = buf;
    client->send.send.count = 1;
    io_submit(crowd->io, &client->send);
}

static void client_sent(struct io_op *op, const struct io_event *event)
{
    struct client *client = WEFT_CONTAINER_OF(op, struct client, send);
    (void)event;
    buf_give_back(&client->crowd->pool, client->send.send.bufs[0]);
}

static void client_closed(struct io_op *op, const struct io_event *event)
{
    (void)event;
    WEFT_CONTAINER_OF(op, struct client, close)->closed = true;
}

static void crowd_leave(struct crowd *crowd)
{
    for (uint32_t i = 0; i < CROWD; i++) {
        struct client *client = &crowd->clients[i];
        if (client->closed || io_op_busy(&client->close)) {
            continue;
        }
        io_cancel(crowd->io, &client->send);
        if (!io_op_busy(&client->connect) && !io_op_busy(&client->send)) {
            client->close.socket = client->socket;
            io_submit(crowd->io, &client->close);
        }
    }
}

static void crowd_turn(void *ctx, struct io *io)
{
    struct crowd *crowd = ctx;
    struct io_event events[EVENTS_MAX];
    uint32_t count = io->backend->wait(io, IO_TIMEOUT_NEVER, events, EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        io_deliver(io, &events[i]);
    }
    if (crowd->leaving) {
        crowd_leave(crowd);
    }
}

static void client_dial(struct client *client, struct crowd *crowd, bool reads)
{
    static const struct io_socket_options plain;
    client->crowd = crowd;
    client->socket = IO_SOCKET_NONE;
    client->reads = reads;
    io_op_init(&client->connect, IO_CONNECT, client_connected);
    io_op_init(&client->send, IO_SEND, client_sent);
    io_op_init(&client->close, IO_CLOSE, client_closed);
    client->connect.connect.options = &plain;
    enum weft_err err = address_parse(&client->connect.connect.remote, "10.0.0.1", CLUSTER_PORT);
    cluster_check(crowd->cluster, err == WEFT_OK, "address");
    io_submit(crowd->io, &client->connect);
}

static struct crowd *crowd_open(struct cluster *cluster)
{
    const struct io_options options = {.recv_bufs = 4, .recv_buf_bytes = 256, .operations_max = 3 * CROWD};
    const struct io_place place = sim_world_node(cluster->world, OUTSIDE_NODE);
    struct weft_error why = {0};
    struct crowd *crowd = calloc(1, sizeof *crowd);
    crowd->cluster = cluster;
    cluster->outsider = crowd_turn;
    cluster->outsider_ctx = crowd;
    cluster_check(cluster, buf_pool_init(&crowd->pool, NULL, CROWD, 4096) == WEFT_OK, "pool");
    cluster_check(cluster, place.backend->open(place.host, &options, &crowd->io, &why) == WEFT_OK, "%s", why.text);
    for (uint32_t i = 0; i < CROWD; i++) {
        client_dial(&crowd->clients[i], crowd, i % 2 == 0);
    }
    return crowd;
}

static bool crowd_gone(struct cluster *cluster)
{
    const struct crowd *crowd = cluster->outsider_ctx;
    for (uint32_t i = 0; i < CROWD; i++) {
        if (!crowd->clients[i].closed) {
            return false;
        }
    }
    return true;
}

static void crowd_close(struct crowd *crowd)
{
    struct cluster *cluster = crowd->cluster;
    crowd->leaving = true;
    crowd->io->backend->wake(crowd->io);
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, crowd_gone), "the crowd stays");
    crowd->io->backend->close(crowd->io);
    buf_pool_fini(&crowd->pool);
    free(crowd);
}

static uint64_t crowd(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    struct cluster_options options;
    uint32_t bufs_most = 0;
    cluster_options_init(&options, seed);
    options.node_count = 2;
    options.shard_count = 1 + (uint32_t)(seed % 2);
    cluster_open(&cluster, &options);
    cluster.nodes[0].plan.connections_max = 2 * CROWD;
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up after a second");
    struct crowd *people = crowd_open(&cluster);
    for (uint32_t i = 0; i < 30; i++) {
        for (uint32_t node = 0; node < 2; node++) {
            struct cluster_call *call = cluster_call_new(&cluster.nodes[node], 0, 1 - node);
            call->lane = WEFT_LANE_CONTROL;
            call->timeout_ns = SECOND_NS;
            cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "node %u", node);
        }
        cluster_run(&cluster, 100 * MS_NS);
        const struct buf_pool *pool = &cluster.nodes[0].node->shards[0].shard->send_pool;
        bufs_most = pool->count - pool->free_count > bufs_most ? pool->count - pool->free_count : bufs_most;
    }
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_no_open_calls), "calls hang");
    for (uint32_t i = 0; i < cluster.call_count; i++) {
        cluster_check(&cluster, cluster.calls[i].err == WEFT_OK, "call %u: %s", i + 1,
                      weft_err_name(cluster.calls[i].err));
    }
    cluster_check(&cluster, people->connected > CROWD / 2 && bufs_most > CROWD / 4, "%u came, %u buffers",
                  people->connected, bufs_most);
    crowd_close(people);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void node__thousand_slow_clients__bounded_and_its_peer_answered(void **state)
{
    (void)state;
    cluster_run_seeds(9500, 12, 4, crowd, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node__thousand_slow_clients__bounded_and_its_peer_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
