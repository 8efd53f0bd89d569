/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: when the topology changes, the certificate of each connection is compared with it, all of them, and in no turn
 * more than TURN_JUDGEMENTS_MAX.
 * Method: two nodes over TLS with many connections, whose certificates say where their owner is; one node then learns
 * that the other is somewhere else.  After each turn it is counted how many connections that turn condemned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/sim/sim_world.h"
#include "tests/unit/pki.h"
#include "topology/cluster/node.h"

#define SECOND UINT64_C(1000000000)
#define CONNECTIONS 90u

static const char *const addresses[2] = {"10.0.0.1", "10.0.0.2"};
static const char *const names[2] = {"first", "second"};
static const char *const ids[2] = {"0e320000-0000-4000-8000-000000000001", "0e320000-0000-4000-8000-000000000002"};

struct duel {
    struct pki pki;
    struct sim_world *world;
    struct weft_node *nodes[2]; /* the first one dials */
    uint32_t condemned;         /* of the node that is looked at, when the last turn had ended */
    uint32_t most;              /* in one turn */
};

static void log_nothing(void *ctx, char level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static void certificate_make(const struct pki *pki, uint32_t index)
{
    char certificate[PKI_PATH_BYTES];
    char key[PKI_PATH_BYTES];
    struct tls_material material;
    const struct tls_node_options options = {.name = names[index],
                                             .cluster = "Test Cluster",
                                             .dc = "dc1",
                                             .rack = "r1",
                                             .id = ids[index],
                                             .addresses = {addresses[index]},
                                             .address_count = 1};
    assert_int_equal(
        tls_issue_node(&material, &options, pki_path(pki, "ca.crt", certificate), pki_path(pki, "ca.key", key), NULL),
        WEFT_OK);
    assert_int_equal(tls_material_write(&material, pki->directory, names[index], false, NULL), WEFT_OK);
    tls_material_fini(&material);
}

static void duel_node(struct duel *duel, uint32_t index)
{
    char paths[3][PKI_PATH_BYTES];
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    struct weft_error why = {0};
    const struct node_placement placement = {
        .place = sim_world_node(duel->world, index), .shard_count = 1, .driven = true};
    options.listen_address = addresses[index];
    options.dc = "dc1";
    options.rack = "r1";
    options.node_id = ids[index];
    options.encryption = WEFT_ENCRYPTION_ALL;
    options.require_endpoint_verification = true;
    options.tls.client_auth = WEFT_CLIENT_AUTH_REQUIRED;
    options.tls.certificate = pki_path(&duel->pki, index == 0 ? "first.crt" : "second.crt", paths[0]);
    options.tls.keyfile = pki_path(&duel->pki, index == 0 ? "first.key" : "second.key", paths[1]);
    options.tls.truststore = pki_path(&duel->pki, "ca.crt", paths[2]);
    options.log = log_nothing;
    peer.addresses[0] = addresses[1 - index];
    peer.dc = "dc1";
    peer.rack = "r1";
    peer.connections = index == 0 ? CONNECTIONS : 1;
    options.peers = &peer;
    options.peer_count = 1;
    assert_int_equal(weft_node_create(&duel->nodes[index], &options, &why), WEFT_OK);
    assert_int_equal(weft_node_handle_standard(duel->nodes[index], NULL), WEFT_OK);
    assert_int_equal(node_start_on(duel->nodes[index], &placement, NULL, NULL, &why), WEFT_OK);
    struct weft_shard *shard = duel->nodes[index]->engine->shards[0];
    sim_io_set_user(shard->io, shard);
}

/* Connections that are to go, by what the topology says of their certificates. */
static uint32_t condemned_count(const struct node_shard *share)
{
    uint32_t count = 0;
    LIST_FOR_EACH(node, &share->net.live)
    {
        const struct channel *channel = channel_of(WEFT_CONTAINER_OF(node, struct conn, live));
        count += channel->part_reason != WEFT_REASON_NONE;
    }
    return count;
}

static uint32_t up_count(const struct node_shard *share)
{
    uint32_t count = 0;
    LIST_FOR_EACH(node, &share->net.live)
    {
        count += channel_is_up(channel_of(WEFT_CONTAINER_OF(node, struct conn, live)));
    }
    return count;
}

/* @param watched whose connections are counted; NULL: nobody's */
static void duel_run(struct duel *duel, uint64_t for_ns, const struct node_shard *watched)
{
    uint64_t end_ns = sim_world_now_ns(duel->world) + for_ns;
    while (sim_world_now_ns(duel->world) < end_ns) {
        struct io *io = sim_world_next(duel->world);
        if (io == NULL) { /* everybody has stopped */
            return;
        }
        struct weft_shard *shard = sim_io_user(io);
        if (shard->stop_asked) {
            struct io_event event;
            assert_int_equal(io->backend->wait(io, IO_TIMEOUT_NEVER, &event, 1), 0);
            continue;
        }
        shard_turn(shard);
        if (watched != NULL && shard == watched->shard) {
            uint32_t condemned = condemned_count(watched);
            if (condemned > duel->condemned && condemned - duel->condemned > duel->most) {
                duel->most = condemned - duel->condemned;
            }
            duel->condemned = condemned;
        }
    }
}

static void call_begin(void *ctx, weft_shard *shard)
{
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    (void)ctx;
    options.wait_for_peer = true;
    for (uint32_t i = 0; i < 2 * CONNECTIONS; i++) {
        assert_int_equal(weft_call(shard, (weft_peer_id){1}, 2, weft_span_of("hello"), &options, NULL, NULL), WEFT_OK);
    }
}

static void duel_open(struct duel *duel)
{
    struct sim_options options;
    struct weft_error why = {0};
    memset(duel, 0, sizeof *duel);
    pki_open(&duel->pki);
    pki_ca(&duel->pki, "ca");
    certificate_make(&duel->pki, 0);
    certificate_make(&duel->pki, 1);
    sim_options_init(&options, 7);
    assert_int_equal(sim_world_create(&duel->world, &options, &why), WEFT_OK);
    duel_node(duel, 1);
    duel_node(duel, 0);
    assert_int_equal(engine_post(duel->nodes[0]->engine, 0, call_begin, NULL), WEFT_OK);
    duel_run(duel, 3 * SECOND, NULL);
    for (int i = 0; i < 2; i++) {
        assert_true(up_count(&duel->nodes[i]->shards[0]) > 2 * TURN_JUDGEMENTS_MAX);
    }
}

static void duel_close(struct duel *duel)
{
    for (int i = 0; i < 2; i++) {
        weft_node_drain(duel->nodes[i]);
    }
    duel_run(duel, 8 * SECOND, NULL);
    for (int i = 0; i < 2; i++) {
        weft_node_destroy(duel->nodes[i]);
    }
    sim_world_destroy(duel->world);
    pki_close(&duel->pki);
}

/* The side that learns of it condemns every connection, a few in each turn. */
static void judged(uint32_t side)
{
    static struct duel duel;
    duel_open(&duel);
    const struct node_shard *share = &duel.nodes[side]->shards[0];
    uint32_t there = up_count(share);
    weft_peer_id other = weft_node_peer_find(duel.nodes[side], addresses[1 - side]);
    assert_int_equal(weft_node_peer_relocate(duel.nodes[side], other, "dc2", "r1", NULL), WEFT_OK);
    uint64_t closed = share->shard->counters.connections_closed;
    duel_run(&duel, 10 * SECOND, share);
    assert_int_equal(duel.most, TURN_JUDGEMENTS_MAX);
    assert_true(share->shard->counters.connections_closed - closed >= there);
    assert_int_equal(up_count(share), 0);
    duel_close(&duel);
}

static void dialer__peer_elsewhere__its_connections_judged_some_in_each_turn(void **state)
{
    (void)state;
    judged(0);
}

static void acceptor__peer_elsewhere__its_connections_judged_some_in_each_turn(void **state)
{
    (void)state;
    judged(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialer__peer_elsewhere__its_connections_judged_some_in_each_turn),
        cmocka_unit_test(acceptor__peer_elsewhere__its_connections_judged_some_in_each_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
