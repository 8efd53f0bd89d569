/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: nodes that run take over another scope, one after the other and under load, and by safe steps no call is lost
 * and nobody is refused; in the end every connection is what the policy says, and the ports that are open are those
 * that it wants.  What a node cannot do changes nothing.
 *
 * Method: clusters of cluster.h with a toy record layer for TLS, in places that are drawn.  The oracles of the cluster
 * hold in every turn; here it is asked in addition how calls ended, what is plain and what is TLS after each step, and
 * after each step which ports are open, and that all shards accept there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

/* Between two nodes of one step. */
#define STEP_NS_MAX (100 * MS_NS)
/* When it is over for connections: who should close one had its time, and the drain timeout too. */
#define PARTED_NS (4 * SECOND_NS)

static struct {
    struct cluster_totals cluster;
    uint64_t moved; /* links */
    uint64_t parted;
    uint64_t opened; /* ports, while their node ran */
    uint64_t closed;
} scope_totals;

static void set_scope(struct cluster *cluster, uint32_t index, enum weft_encryption scope)
{
    struct weft_error why = {0};
    struct cluster_node *node = &cluster->nodes[index];
    node->plan.encryption = scope;
    enum weft_err err = weft_node_encryption_set(node->node, scope, &why);
    cluster_check(cluster, err == WEFT_OK, "%s", why.text);
    cluster_check(cluster, weft_node_encryption(node->node) == scope, "the scope of node %u", index);
}

static bool port_is_open(const struct cluster_node *node, enum node_port port)
{
    const int32_t *sockets = node->node->groups[port].sockets;
    return sockets != NULL && sockets[0] > IO_SOCKET_NONE;
}

static void check_ports(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        for (int port = 0; port < NODE_PORTS; port++) {
            bool wanted = node_wants_port(node->node, node->node->topology, (enum node_port)port);
            cluster_check(cluster, port_is_open(node, (enum node_port)port) == wanted, "port %d of node %u", port, i);
            cluster_check(cluster, node->node->groups[port].holders == (wanted ? node->shard_count : 0),
                          "%u shards accept on port %d of node %u", node->node->groups[port].holders, port, i);
        }
    }
}

/* Every node in turn, beginning with one that is drawn. */
static void step_all(struct cluster *cluster, enum weft_encryption scope)
{
    uint32_t first = (uint32_t)prng_below(&cluster->prng, cluster->node_count);
    cluster->moving = true;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[(first + i) % cluster->node_count];
        bool plain = port_is_open(node, NODE_PORT_PLAIN);
        set_scope(cluster, node->index, scope);
        scope_totals.opened += !plain && port_is_open(node, NODE_PORT_PLAIN);
        scope_totals.closed += plain && !policy_has_plain_listener(scope);
        cluster_run(cluster, prng_below(&cluster->prng, STEP_NS_MAX));
    }
    cluster_run(cluster, PARTED_NS);
    check_ports(cluster);
    /* From here each connection is one of the step, so that either end can judge it. */
    cluster->encryption = scope;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster->nodes[i].plan.own_policy = false;
    }
    cluster->moving = false;
    cluster_check_classes(cluster);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster->nodes[i].plan.own_policy = true;
    }
}

static void check_nothing_lost(const struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->call_count; i++) {
        const struct cluster_call *call = &cluster->calls[i];
        bool patient = call->timeout_ns >= SECOND_NS && call->destiny != DESTINY_OVERSLEEP;
        cluster_check(cluster,
                      !call->started || (call->err != WEFT_ERR_CLOSED && call->err != WEFT_ERR_DRAINING &&
                                         call->err != WEFT_ERR_UNREACHABLE),
                      "call %llu of node %u to %u was lost: %s", (unsigned long long)call->id, call->node, call->peer,
                      weft_err_name(call->err));
        cluster_check(cluster,
                      !call->started || !patient || (call->err != WEFT_ERR_TIMEOUT && call->err != WEFT_ERR_EXPIRED),
                      "call %llu of node %u to %u had %llu ms and was not answered", (unsigned long long)call->id,
                      call->node, call->peer, (unsigned long long)(call->timeout_ns / MS_NS));
    }
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct weft_counters counters;
        const struct cluster_node *node = &cluster->nodes[i];
        weft_node_counters(node->node, &counters);
        cluster_check(cluster, counters.refused == 0, "node %u: %s%s", i, node->last_refusal[0], node->last_refusal[1]);
        scope_totals.moved += counters.links_moved;
        scope_totals.parted += counters.ended_by_reason[WEFT_REASON_SCOPE_CHANGED - WEFT_REASON_ENDS_BEGIN];
        cluster_check(cluster, counters.ended_by_reason[WEFT_REASON_LOCATION_CHANGED - WEFT_REASON_ENDS_BEGIN] == 0,
                      "nobody moved");
    }
}

static void open_cluster(struct cluster *cluster, const struct cluster_options *options, enum weft_encryption scope,
                         bool certificate)
{
    cluster_open(cluster, options);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        cluster->nodes[i].plan.own_policy = true;
        cluster->nodes[i].plan.encryption = scope;
        cluster->nodes[i].plan.certificate = certificate;
    }
    cluster_start(cluster);
    cluster_check(cluster, cluster_run_until(cluster, 5 * SECOND_NS, cluster_all_up), "not all peers come up");
}

static uint64_t roll_from(uint64_t seed, enum weft_encryption scope, bool certificate, struct cluster_totals *totals)
{
    static const enum weft_encryption steps[] = {
        WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ENCRYPTION_DC,   WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ENCRYPTION_ALL,
        WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ENCRYPTION_RACK, WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ENCRYPTION_NONE,
    };
    struct cluster_options options;
    struct cluster cluster;
    cluster_options_init(&options, seed);
    options.pause_us_max = 40000;
    open_cluster(&cluster, &options, scope, certificate);
    cluster.load = true;
    for (uint32_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        step_all(&cluster, steps[i]);
    }
    cluster.load = false;
    cluster_check(&cluster, cluster_run_until(&cluster, 12 * SECOND_NS, cluster_no_open_calls), "open calls");
    check_nothing_lost(&cluster);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static uint64_t roll(uint64_t seed, struct cluster_totals *totals)
{
    return roll_from(seed, WEFT_ENCRYPTION_NONE, true, totals);
}

/* From a start without a plain port, to an end without one for TLS. */
static uint64_t roll_back(uint64_t seed, struct cluster_totals *totals)
{
    return roll_from(seed, WEFT_ENCRYPTION_ALL, false, totals);
}

static void scope__ports_never_open_before__opened_and_closed_without_losing_a_call(void **state)
{
    (void)state;
    uint64_t asked;
    uint64_t opened = scope_totals.opened;
    uint64_t closed = scope_totals.closed;
    cluster_run_seeds(50, 3, 3, roll_back, &scope_totals.cluster);
    assert_true(cluster_seed_asked(&asked) || (scope_totals.opened >= opened + 6 && scope_totals.closed >= closed + 6));
}

static void scope__safe_steps_under_load__no_call_lost_and_nobody_refused(void **state)
{
    (void)state;
    cluster_run_seeds(1, 8, 8, roll, &scope_totals.cluster);
    const struct cluster_totals *all = &scope_totals.cluster;
    print_message("%llu calls, %llu answered, %llu links moved\n", (unsigned long long)all->calls,
                  (unsigned long long)all->answered, (unsigned long long)scope_totals.moved);
    if (cluster_seeds_all()) {
        assert_true(scope_totals.moved > 500 && scope_totals.parted > 500);
        assert_true(scope_totals.opened >= 16 && scope_totals.closed >= 16);
        assert_true(all->looked_plain > 0 && all->looked_secure > 0);
    }
}

static void open_two(struct cluster *cluster, enum weft_encryption scope, bool certificate)
{
    struct cluster_options options;
    cluster_options_init(&options, 1);
    options.node_count = 2;
    options.shard_count = 1;
    open_cluster(cluster, &options, scope, certificate);
}

static void expect_refused(struct cluster_node *node, enum weft_encryption scope, enum weft_err err, const char *text)
{
    struct weft_error why = {0};
    enum weft_encryption before = weft_node_encryption(node->node);
    uint64_t version = node->node->topology->version;
    assert_int_equal(weft_node_encryption_set(node->node, scope, &why), err);
    assert_non_null(strstr(why.text, text));
    assert_int_equal(weft_node_encryption(node->node), before);
    assert_int_equal(node->node->topology->version, version);
}

static void scope__what_takes_a_restart__refused_and_nothing_changed(void **state)
{
    (void)state;
    struct cluster cluster;
    open_two(&cluster, WEFT_ENCRYPTION_NONE, false);
    expect_refused(&cluster.nodes[0], WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ERR_STATE, "TLS takes a restart");
    expect_refused(&cluster.nodes[0], (enum weft_encryption)5, WEFT_ERR_INVALID, "5 is none of none, rack");
    cluster_close(&cluster, NULL);
    open_two(&cluster, WEFT_ENCRYPTION_TRANSITIONAL, true);
    struct weft_error why = {0};
    assert_int_equal(weft_node_relocate(cluster.nodes[0].node, NULL, NULL, &why), WEFT_OK);
    expect_refused(&cluster.nodes[0], WEFT_ENCRYPTION_DC, WEFT_ERR_STATE, "own location is unknown");
    cluster_close(&cluster, NULL);
}

/* By a step that is not safe: who went first refuses by name, and its port goes on accepting. */
static void scope__a_port_that_is_not_wanted__refuses_by_name(void **state)
{
    (void)state;
    struct cluster cluster;
    struct weft_counters counters;
    open_two(&cluster, WEFT_ENCRYPTION_NONE, true);
    cluster.moving = true;
    cluster_touch(&cluster, 0);
    set_scope(&cluster, 0, WEFT_ENCRYPTION_ALL);
    cluster_run(&cluster, PARTED_NS);
    weft_node_counters(cluster.nodes[0].node, &counters);
    assert_true(counters.refused_by_reason[WEFT_REASON_NO_LISTENER] > 0);
    assert_true(counters.accept_pauses == 0);
    set_scope(&cluster, 1, WEFT_ENCRYPTION_ALL);
    cluster_run(&cluster, PARTED_NS);
    cluster.moving = false;
    cluster_check(&cluster, cluster_run_until(&cluster, 5 * SECOND_NS, cluster_all_up), "not all peers come up");
    cluster_check_classes(&cluster);
    cluster_close(&cluster, NULL);
}

/* Somebody listens where the node would: the change is refused, and nothing of it is left, nor does anything go. */
static void scope__its_port_is_taken__refused_and_nothing_changed(void **state)
{
    (void)state;
    struct cluster cluster;
    struct address address;
    struct weft_error why = {0};
    int32_t other;
    bool steered;
    open_two(&cluster, WEFT_ENCRYPTION_ALL, true);
    struct cluster_node *node = &cluster.nodes[0];
    const struct io_place *place = &node->node->place;
    address = node->node->settings.listen_address;
    address.port = CLUSTER_PORT;
    assert_int_equal(place->backend->listen(place->host, &address, 1, &other, &steered, &why), WEFT_OK);
    uint32_t sockets = sim_world_sockets(cluster.world, 0);
    expect_refused(node, WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ERR_SYSTEM, "internode_encryption: transitional: ");
    expect_refused(node, WEFT_ENCRYPTION_NONE, WEFT_ERR_SYSTEM, "10.0.0.1:7000");
    check_ports(&cluster);
    assert_int_equal(sim_world_sockets(cluster.world, 0), sockets);
    place->backend->socket_close(place->host, other);
    cluster.moving = true;
    step_all(&cluster, WEFT_ENCRYPTION_TRANSITIONAL); /* now it can */
    assert_true(port_is_open(node, NODE_PORT_PLAIN));
    cluster_close(&cluster, NULL);
}

/* The second address: its port is taken, so the first one's is closed again. */
static void scope__one_of_two_ports_is_taken__none_is_opened(void **state)
{
    (void)state;
    struct cluster cluster;
    struct weft_error why = {0};
    int32_t other;
    bool steered;
    struct cluster_options options;
    cluster_options_init(&options, 1);
    options.node_count = 2;
    cluster_open(&cluster, &options);
    for (uint32_t i = 0; i < 2; i++) {
        cluster.nodes[i].plan.own_policy = true;
        cluster.nodes[i].plan.encryption = WEFT_ENCRYPTION_ALL;
        cluster.nodes[i].plan.certificate = true;
    }
    cluster.nodes[0].plan.second_address = "10.0.1.1";
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, 5 * SECOND_NS, cluster_all_up), "not all peers come up");
    struct cluster_node *node = &cluster.nodes[0];
    const struct io_place *place = &node->node->place;
    struct address address = node->node->settings.second_listen_address;
    address.port = CLUSTER_PORT;
    assert_int_equal(place->backend->listen(place->host, &address, 1, &other, &steered, &why), WEFT_OK);
    uint32_t sockets = sim_world_sockets(cluster.world, 0);
    expect_refused(node, WEFT_ENCRYPTION_TRANSITIONAL, WEFT_ERR_SYSTEM, "10.0.1.1:7000");
    check_ports(&cluster);
    assert_int_equal(sim_world_sockets(cluster.world, 0), sockets);
    place->backend->socket_close(place->host, other);
    step_all(&cluster, WEFT_ENCRYPTION_TRANSITIONAL);
    assert_true(port_is_open(node, NODE_PORT_PLAIN) && port_is_open(node, NODE_PORT_PLAIN_SECOND));
    cluster_close(&cluster, NULL);
}

/* A port that is wanted again before it was left is the same, and was never away. */
static void scope__there_and_back__the_port_stays(void **state)
{
    (void)state;
    struct cluster cluster;
    open_two(&cluster, WEFT_ENCRYPTION_TRANSITIONAL, true);
    struct cluster_node *node = &cluster.nodes[0];
    int32_t socket = node->node->groups[NODE_PORT_PLAIN].sockets[0];
    uint64_t drain_ns = node->node->settings.drain_timeout_ns;
    cluster.moving = true;
    /* Within the grace, and in each of the turns in which its accept is being ended. */
    for (uint64_t after_ns = drain_ns - 3 * MS_NS; after_ns <= drain_ns + 3 * MS_NS; after_ns += MS_NS / 4) {
        set_scope(&cluster, 0, WEFT_ENCRYPTION_ALL);
        cluster_run(&cluster, after_ns);
        bool left = node->node->groups[NODE_PORT_PLAIN].state == PORT_CLOSED;
        set_scope(&cluster, 0, WEFT_ENCRYPTION_TRANSITIONAL);
        assert_true(left || node->node->groups[NODE_PORT_PLAIN].sockets[0] == socket);
        assert_true(after_ns > drain_ns - MS_NS || !left);
        assert_true(after_ns < drain_ns + 2 * MS_NS || left);
        cluster_run(&cluster, 10 * MS_NS);
        check_ports(&cluster);
        assert_true(node->node->shards[0].listeners[NODE_PORT_PLAIN].accept.state != IO_IDLE);
        socket = node->node->groups[NODE_PORT_PLAIN].sockets[0];
    }
    cluster_check(&cluster, cluster_run_until(&cluster, 5 * SECOND_NS, cluster_all_up), "not all peers come up");
    cluster_close(&cluster, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope__safe_steps_under_load__no_call_lost_and_nobody_refused),
        cmocka_unit_test(scope__what_takes_a_restart__refused_and_nothing_changed),
        cmocka_unit_test(scope__ports_never_open_before__opened_and_closed_without_losing_a_call),
        cmocka_unit_test(scope__a_port_that_is_not_wanted__refuses_by_name),
        cmocka_unit_test(scope__its_port_is_taken__refused_and_nothing_changed),
        cmocka_unit_test(scope__one_of_two_ports_is_taken__none_is_opened),
        cmocka_unit_test(scope__there_and_back__the_port_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
