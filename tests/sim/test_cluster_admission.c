/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: who does not belong is refused, both sides name the same reason in counter and log, and nobody else notices.
 *
 * Method: clusters of three without faults, in which the third node, or an outsider that speaks bare bytes, claims to
 * be what it is not; the calls between the first two must not suffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/rpc/negotiation.h"
#include "tests/sim/cluster.h"

#define ODD 2u
/* Of the outsiders' node; behind every node of a cluster. */
#define OUTSIDE_NODE CLUSTER_NODES_MAX

static uint64_t refused_for(const struct cluster_node *node, enum weft_reason reason)
{
    struct weft_counters counters;
    weft_node_counters(node->node, &counters);
    cluster_check(node->cluster, counters.refused == counters.refused_by_reason[reason],
                  "node %u refused %llu, only %llu of them for %s", node->index, (unsigned long long)counters.refused,
                  (unsigned long long)counters.refused_by_reason[reason], weft_reason_name(reason));
    return counters.refused;
}

static void open_with_plan(struct cluster *cluster, uint64_t seed, const struct cluster_plan *plan)
{
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = 3;
    cluster_open(cluster, &options);
    cluster->nodes[ODD].plan = *plan;
    cluster_start(cluster);
}

/* The first two nodes go about their business. */
static void check_others_undisturbed(struct cluster *cluster)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct cluster_watch *watch = &cluster->nodes[i].watches[1 - i];
        cluster_check(cluster, watch->up && watch->downs == 0, "node %u lost %u", i, 1 - i);
        for (uint32_t shard = 0; shard < cluster->nodes[i].shard_count; shard++) {
            struct cluster_call *call = cluster_call_new(&cluster->nodes[i], shard, 1 - i);
            cluster_check(cluster, cluster_call_start(call) == WEFT_OK, "node %u", i);
        }
    }
    uint32_t first = cluster->call_count;
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_no_open_calls), "calls hang");
    for (uint32_t i = 0; i < first; i++) {
        bool odd = cluster->calls[i].node == ODD || cluster->calls[i].peer == ODD;
        cluster_check(cluster, odd || cluster->calls[i].err == WEFT_OK, "call %u", i);
    }
}

static void check_names(const struct cluster_node *node, uint32_t direction, enum weft_reason reason, bool by_peer)
{
    struct cluster *cluster = node->cluster;
    const char *line = node->last_refusal[direction];
    cluster_check(cluster, node->refusals_logged[direction] > 0, "node %u logged no refusal %s", node->index,
                  direction == 0 ? "in" : "out");
    cluster_check(cluster, strstr(line, weft_reason_name(reason)) != NULL, "node %u logged: %s", node->index, line);
    cluster_check(cluster, (strstr(line, "refused by the peer") != NULL) == by_peer, "node %u logged: %s", node->index,
                  line);
}

static uint64_t wrong_cluster(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    const struct cluster_plan plan = {.cluster_name = "another cluster"};
    open_with_plan(&cluster, seed, &plan);
    cluster_run(&cluster, 2 * SECOND_NS);
    for (uint32_t i = 0; i < 3; i++) {
        const struct cluster_node *node = &cluster.nodes[i];
        cluster_check(&cluster, refused_for(node, WEFT_REASON_WRONG_CLUSTER) > 0, "node %u refused nobody", i);
        check_names(node, 0, WEFT_REASON_WRONG_CLUSTER, false); /* it refuses whom it accepts from */
        check_names(node, 1, WEFT_REASON_WRONG_CLUSTER, true);  /* and is told so where it dials */
        cluster_check(&cluster, i == ODD || !node->watches[ODD].up, "node %u has it as a peer", i);
    }
    /* A call to it fails at once or when the dial has, and never ran. */
    struct cluster_call *call = cluster_call_new(&cluster.nodes[0], 0, ODD);
    bool started = cluster_call_start(call) == WEFT_OK;
    check_others_undisturbed(&cluster);
    cluster_run(&cluster, SECOND_NS);
    cluster_check(&cluster, call->err == WEFT_ERR_UNREACHABLE && call->runs == 0 && call->ends == (started ? 1u : 0u),
                  "%s", weft_err_name(call->err));
    return cluster_close(&cluster, totals);
}

static void node__of_another_cluster__refused_on_both_sides(void **state)
{
    (void)state;
    cluster_run_seeds(7000, 10, 5, wrong_cluster, NULL);
}

/* Whoever the topology does not know learns no more than that it is refused; the log of those who refuse says why. */
static uint64_t stranger(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    const struct cluster_plan plan = {.cluster_name = "another cluster", .stranger = true};
    open_with_plan(&cluster, seed, &plan);
    cluster_run(&cluster, 2 * SECOND_NS);
    for (uint32_t i = 0; i < 2; i++) {
        const struct cluster_node *node = &cluster.nodes[i];
        cluster_check(&cluster, refused_for(node, WEFT_REASON_WRONG_CLUSTER) > 0, "node %u refused nobody", i);
        check_names(node, 0, WEFT_REASON_WRONG_CLUSTER, false);
        cluster_check(&cluster, node->refusals_logged[1] == 0, "node %u dialed whom it does not know", i);
    }
    const struct cluster_node *odd = &cluster.nodes[ODD];
    cluster_check(&cluster, refused_for(odd, WEFT_REASON_REFUSED) > 0, "the stranger was not refused");
    check_names(odd, 1, WEFT_REASON_REFUSED, true);
    check_others_undisturbed(&cluster);
    return cluster_close(&cluster, totals);
}

static void node__unknown_and_of_another_cluster__learns_nothing(void **state)
{
    (void)state;
    cluster_run_seeds(7500, 10, 5, stranger, NULL);
}

/* One that nobody lists, but with the right name, is a client like any other: its calls are answered. */
static uint64_t guest(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    const struct cluster_plan plan = {.stranger = true};
    open_with_plan(&cluster, seed, &plan);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up");
    cluster.load = true;
    cluster_run(&cluster, SECOND_NS);
    cluster_calm(&cluster);
    uint32_t answered = 0;
    for (uint32_t i = 0; i < cluster.call_count; i++) {
        const struct cluster_call *call = &cluster.calls[i];
        answered += call->node == ODD && call->err == WEFT_OK;
        cluster_check(&cluster, call->peer != ODD, "a call to a stranger");
    }
    cluster_check(&cluster, answered > 0, "the guest was not served");
    return cluster_close(&cluster, totals);
}

static void node__unknown_but_of_this_cluster__is_served(void **state)
{
    (void)state;
    cluster_run_seeds(7600, 10, 5, guest, NULL);
}

static uint64_t wrong_id(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    const struct cluster_plan plan = {.entry_id = "00000000-0000-4000-8000-0000000000ff"};
    open_with_plan(&cluster, seed, &plan);
    cluster_run(&cluster, 2 * SECOND_NS);
    for (uint32_t i = 0; i < 2; i++) {
        const struct cluster_node *node = &cluster.nodes[i];
        cluster_check(&cluster, refused_for(node, WEFT_REASON_WRONG_NODE) > 0, "node %u refused nobody", i);
        check_names(node, 0, WEFT_REASON_WRONG_NODE, false);
        check_names(node, 1, WEFT_REASON_WRONG_NODE, false); /* it looks at the answer itself */
        cluster_check(&cluster, node->watches[ODD].ups == 0, "node %u has it as a peer", i);
    }
    check_names(&cluster.nodes[ODD], 1, WEFT_REASON_WRONG_NODE, true);
    check_others_undisturbed(&cluster);
    return cluster_close(&cluster, totals);
}

static void node__not_the_one_configured__refused_on_both_sides(void **state)
{
    (void)state;
    cluster_run_seeds(7100, 10, 5, wrong_id, NULL);
}

static uint64_t wrong_rack(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    const struct cluster_plan plan = {.claimed_rack = "r9"};
    open_with_plan(&cluster, seed, &plan);
    cluster_run(&cluster, 2 * SECOND_NS);
    for (uint32_t i = 0; i < 2; i++) {
        const struct cluster_node *node = &cluster.nodes[i];
        cluster_check(&cluster, refused_for(node, WEFT_REASON_LOCATION_CLAIM_MISMATCH) > 0, "node %u refused nobody",
                      i);
        check_names(node, 0, WEFT_REASON_LOCATION_CLAIM_MISMATCH, false);
    }
    cluster_check(&cluster, refused_for(&cluster.nodes[ODD], WEFT_REASON_LOCATION_CLAIM_MISMATCH) > 0, "not told");
    check_names(&cluster.nodes[ODD], 1, WEFT_REASON_LOCATION_CLAIM_MISMATCH, true);
    check_others_undisturbed(&cluster);
    return cluster_close(&cluster, totals);
}

static void node__claims_another_rack__refused_on_both_sides(void **state)
{
    (void)state;
    cluster_run_seeds(7200, 10, 5, wrong_rack, NULL);
}

static uint64_t own_address(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    const struct cluster_plan plan = {.lists_itself = true};
    open_with_plan(&cluster, seed, &plan);
    struct cluster_node *node = &cluster.nodes[ODD];
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up");
    cluster_run(&cluster, SECOND_NS);
    cluster_check(&cluster, refused_for(node, WEFT_REASON_SELF_CONNECTION) == 0, "it dialed itself unasked");
    struct cluster_call *call = cluster_call_new(node, 0, ODD);
    call->lane = (enum weft_lane)(seed % WEFT_LANE_COUNT);
    cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "the call does not wait for its dial");
    cluster_run(&cluster, 2 * SECOND_NS);
    cluster_check(&cluster, call->ends == 1 && call->err == WEFT_ERR_UNREACHABLE && call->executed == WEFT_EXECUTED_NO,
                  "%s", weft_err_name(call->err));
    cluster_check(&cluster, refused_for(node, WEFT_REASON_SELF_CONNECTION) > 0, "it was not noticed");
    cluster_check(&cluster, node->watches[ODD].ups == 0, "it is its own peer");
    check_names(node, 0, WEFT_REASON_SELF_CONNECTION, false);
    check_names(node, 1, WEFT_REASON_SELF_CONNECTION, true);
    check_others_undisturbed(&cluster);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void node__lists_its_own_address__no_peer_of_its_own(void **state)
{
    (void)state;
    cluster_run_seeds(7300, 12, 4, own_address, NULL);
}

/* Somebody without a hello: one connection, one negotiation, and what comes back. */
struct outsider {
    struct cluster *cluster;
    struct io *io;
    struct buf_pool pool;
    struct io_op connect;
    struct io_op send;
    struct io_op recv;
    struct io_op close;
    int32_t socket;
    bool refused; /* by the network */
    bool ended;   /* the peer closed */
    bool closed;
    uint8_t bytes[512];
    uint32_t byte_count;
};

static void outsider_connected(struct io_op *op, const struct io_event *event)
{
    struct outsider *outsider = WEFT_CONTAINER_OF(op, struct outsider, connect);
    outsider->refused = event->result < 0;
    if (outsider->refused) {
        return;
    }
    outsider->socket = event->result;
    struct negotiation offer;
    memset(&offer, 0, sizeof offer);
    offer.timeout = true;
    struct buf *buf = buf_take(&outsider->pool, outsider);
    buf->end = negotiation_write(&offer, buf->data, buf->bytes_max);
    outsider->send.socket = outsider->socket;
    outsider->send.send.bufs[0] = buf;
    outsider->send.send.count = 1;
    io_submit(outsider->io, &outsider->send);
    outsider->recv.socket = outsider->socket;
    io_submit(outsider->io, &outsider->recv);
}

static void outsider_sent(struct io_op *op, const struct io_event *event)
{
    struct outsider *outsider = WEFT_CONTAINER_OF(op, struct outsider, send);
    (void)event;
    buf_give_back(&outsider->pool, outsider->send.send.bufs[0]);
}

static void outsider_received(struct io_op *op, const struct io_event *event)
{
    struct outsider *outsider = WEFT_CONTAINER_OF(op, struct outsider, recv);
    if (event->lent != NULL) {
        uint32_t bytes = buf_used(event->lent);
        cluster_check(outsider->cluster, outsider->byte_count + bytes <= sizeof outsider->bytes, "a long answer");
        memcpy(outsider->bytes + outsider->byte_count, event->lent->data + event->lent->begin, bytes);
        outsider->byte_count += bytes;
        io_lend_return(outsider->io, event->lent);
    } else {
        outsider->ended = true;
    }
    if (!event->more && !outsider->ended) {
        io_submit(outsider->io, op);
    }
}

static void outsider_closed(struct io_op *op, const struct io_event *event)
{
    (void)event;
    WEFT_CONTAINER_OF(op, struct outsider, close)->closed = true;
}

static void outsider_turn(void *ctx, struct io *io)
{
    struct outsider *outsider = ctx;
    struct io_event events[8];
    uint32_t count = io->backend->wait(io, IO_TIMEOUT_NEVER, events, 8);
    for (uint32_t i = 0; i < count; i++) {
        io_deliver(io, &events[i]);
    }
    if (outsider->ended && !outsider->closed && !io_op_busy(&outsider->close) && !io_op_busy(&outsider->send)) {
        outsider->close.socket = outsider->socket;
        io_submit(io, &outsider->close);
    }
}

static void outsider_dial(struct outsider *outsider, struct cluster *cluster, const char *from, uint32_t to)
{
    const struct io_options options = {.recv_bufs = 4, .recv_buf_bytes = 256, .operations_max = 8};
    const struct io_place place = sim_world_node(cluster->world, OUTSIDE_NODE);
    struct weft_error why = {0};
    memset(outsider, 0, sizeof *outsider);
    outsider->cluster = cluster;
    cluster->outsider = outsider_turn;
    cluster->outsider_ctx = outsider;
    cluster_check(cluster, buf_pool_init(&outsider->pool, NULL, 2, 4096) == WEFT_OK, "pool");
    cluster_check(cluster, place.backend->open(place.host, &options, &outsider->io, &why) == WEFT_OK, "%s", why.text);
    io_op_init(&outsider->connect, IO_CONNECT, outsider_connected);
    io_op_init(&outsider->send, IO_SEND, outsider_sent);
    io_op_init(&outsider->recv, IO_RECV, outsider_received);
    io_op_init(&outsider->close, IO_CLOSE, outsider_closed);
    static const struct io_socket_options plain;
    char text[32];
    snprintf(text, sizeof text, "10.0.0.%u", to + 1);
    outsider->connect.connect.options = &plain;
    cluster_check(cluster, address_parse(&outsider->connect.connect.local, from, 0) == WEFT_OK, "%s", from);
    cluster_check(cluster, address_parse(&outsider->connect.connect.remote, text, CLUSTER_PORT) == WEFT_OK, "%s", text);
    cluster_check(
        cluster, sim_world_add_address(cluster->world, OUTSIDE_NODE, &outsider->connect.connect.local, &why) == WEFT_OK,
        "%s", why.text);
    io_submit(outsider->io, &outsider->connect);
}

static void outsider_end(struct outsider *outsider)
{
    cluster_check(outsider->cluster, outsider->closed, "the outsider's connection is open");
    outsider->io->backend->close(outsider->io);
    buf_pool_fini(&outsider->pool);
}

static uint64_t no_hello(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    struct cluster_options options;
    struct outsider outsider;
    bool demanded = seed % 2 == 0;
    cluster_options_init(&options, seed);
    options.node_count = 2;
    cluster_open(&cluster, &options);
    cluster.nodes[0].plan.require_hello = demanded ? WEFT_REQUIRE_HELLO_ALWAYS : WEFT_REQUIRE_HELLO_AUTO;
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_all_up), "not up");
    outsider_dial(&outsider, &cluster, "10.9.9.9", 0);
    cluster_run(&cluster, 100 * MS_NS);
    cluster_check(&cluster, !outsider.refused, "nobody listens");
    struct cluster_node *node = &cluster.nodes[0];
    if (demanded) { /* told nothing: it does not speak our language */
        cluster_check(&cluster, outsider.ended && outsider.byte_count == 0, "%u bytes came", outsider.byte_count);
        cluster_check(&cluster, refused_for(node, WEFT_REASON_HELLO_MISSING) == 1, "not refused");
        check_names(node, 0, WEFT_REASON_HELLO_MISSING, false);
    } else { /* an outsider may come without one, and is answered without one */
        cluster_check(&cluster, !outsider.ended && outsider.byte_count == 20, "%u bytes came", outsider.byte_count);
        cluster_check(&cluster, refused_for(node, WEFT_REASON_HELLO_MISSING) == 0, "refused");
        io_cancel(outsider.io, &outsider.recv);
        outsider.io->backend->wake(outsider.io);
        cluster_run(&cluster, 100 * MS_NS);
    }
    check_others_undisturbed(&cluster);
    outsider_end(&outsider);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void outsider__without_hello__refused_only_where_it_is_demanded(void **state)
{
    (void)state;
    cluster_run_seeds(7400, 12, 4, no_hello, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node__of_another_cluster__refused_on_both_sides),
        cmocka_unit_test(node__unknown_and_of_another_cluster__learns_nothing),
        cmocka_unit_test(node__unknown_but_of_this_cluster__is_served),
        cmocka_unit_test(node__not_the_one_configured__refused_on_both_sides),
        cmocka_unit_test(node__claims_another_rack__refused_on_both_sides),
        cmocka_unit_test(node__lists_its_own_address__no_peer_of_its_own),
        cmocka_unit_test(outsider__without_hello__refused_only_where_it_is_demanded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
