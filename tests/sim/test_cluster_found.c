/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what storms of calls and faults once found stays found.
 *
 * Method: each case leads a small cluster straight into the situation that a drawn world stumbled over, over a few
 * seeds that only vary the timing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

#define HEARTBEAT_MS 200u
/* It never arrives. */
#define VERB_ANY 4712u

static void found_open(struct cluster *cluster, uint64_t seed, uint32_t shard_count, uint32_t heartbeat_ms)
{
    struct cluster_options options;
    cluster_options_init(&options, seed);
    options.node_count = 2;
    options.secure = true;
    options.shard_count = shard_count;
    options.heartbeat_ms = heartbeat_ms;
    cluster_open(cluster, &options);
    cluster_start(cluster);
    cluster_check(cluster, cluster_run_until(cluster, SECOND_NS, cluster_all_up), "not up after a second");
}

/* Accepted connections of a lane, on all shards. */
static uint32_t accepted_count(const struct cluster_node *node, enum weft_lane lane)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->shard_count; i++) {
        LIST_FOR_EACH(link, &node->node->shards[i].net.live)
        {
            const struct channel *channel = channel_of(WEFT_CONTAINER_OF(link, struct conn, live));
            count += channel->conn.accepted && channel->lane == lane;
        }
    }
    return count;
}

/* Calls on the control lane go by one connection, whichever shard makes them; it speaks for the peer. */
static uint64_t control_calls(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    found_open(&cluster, seed, CLUSTER_SHARDS_MAX, HEARTBEAT_MS);
    for (uint32_t shard = 0; shard < CLUSTER_SHARDS_MAX; shard++) {
        struct cluster_call *call = cluster_call_new(&cluster.nodes[0], shard, 1);
        call->lane = WEFT_LANE_CONTROL;
        cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "shard %u", shard);
    }
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_no_open_calls), "calls hang");
    for (uint32_t i = 0; i < cluster.call_count; i++) {
        cluster_check(&cluster, cluster.calls[i].err == WEFT_OK, "call %u: %s", i, weft_err_name(cluster.calls[i].err));
    }
    struct weft_counters counters;
    weft_node_counters(cluster.nodes[0].node, &counters);
    cluster_check(&cluster, counters.calls_carried == CLUSTER_SHARDS_MAX - 1, "%llu calls went by another shard",
                  (unsigned long long)counters.calls_carried);
    cluster_check(&cluster, accepted_count(&cluster.nodes[1], WEFT_LANE_CONTROL) == 1, "%u control connections",
                  accepted_count(&cluster.nodes[1], WEFT_LANE_CONTROL));
    cluster_check(&cluster, cluster.nodes[0].watches[1].ups == 1, "%u ups", cluster.nodes[0].watches[1].ups);
    cluster_kill_node(&cluster.nodes[1]);
    cluster_run(&cluster, SECOND_NS / 2);
    cluster_check(&cluster, cluster.nodes[0].watches[1].downs == 1, "%u downs", cluster.nodes[0].watches[1].downs);
    cluster_start_node(&cluster.nodes[1]);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void control__calls_of_all_shards__one_connection(void **state)
{
    (void)state;
    cluster_run_seeds(8000, 4, 4, control_calls, NULL);
}

/* A request that is still queued when its deadline passes never leaves, and does not run. */
static uint64_t queued_timeout(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    found_open(&cluster, seed, 1, 60000);
    struct cluster_node *node = &cluster.nodes[0];
    struct cluster_call *first = cluster_call_new(node, 0, 1);
    (void)cluster_call_start(first);
    cluster_run(&cluster, SECOND_NS);
    cluster_partition(&cluster, 0, 1, true);
    for (uint32_t i = 0; i < 10; i++) { /* more than the network and one send operation take */
        struct cluster_call *large = cluster_call_new(node, 0, 1);
        large->request_bytes = CLUSTER_PAYLOAD_BYTES_MAX;
        (void)cluster_call_start(large);
    }
    cluster_run(&cluster, 10 * MS_NS);
    struct cluster_call *call = cluster_call_new(node, 0, 1);
    call->timeout_ns = 50 * MS_NS;
    cluster_check(&cluster, cluster_call_start(call) == WEFT_OK, "not queued");
    cluster_run(&cluster, 100 * MS_NS);
    cluster_check(&cluster, call->err == WEFT_ERR_TIMEOUT && call->executed == WEFT_EXECUTED_NO, "%s, executed %s",
                  weft_err_name(call->err), weft_executed_name(call->executed));
    cluster_calm(&cluster);
    cluster_check(&cluster, call->runs == 0, "it ran");
    return cluster_close(&cluster, totals);
}

static void call__times_out_while_queued__never_leaves(void **state)
{
    (void)state;
    cluster_run_seeds(8100, 4, 4, queued_timeout, NULL);
}

struct again {
    struct cluster_call *hasty;
    struct cluster_call *patient;
    enum weft_err hasty_err;
    enum weft_err patient_err;
    uint32_t ends;
};

static struct again *again_of(struct cluster *cluster)
{
    return cluster->outsider_ctx;
}

/* The end of a call that its connection took along: call again, from inside its callback. */
static void again_ended(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct cluster *cluster = ctx;
    struct again *again = again_of(cluster);
    (void)reply;
    cluster_check(cluster, err == WEFT_ERR_CLOSED, "%s", weft_err_name(err));
    again->ends++;
    cluster->nodes[0].open_calls[0]--;
    again->hasty = cluster_call_new(&cluster->nodes[0], 0, 1);
    again->hasty_err = cluster_call_start(again->hasty);
    again->patient = cluster_call_new(&cluster->nodes[0], 0, 1);
    again->patient->wait_for_peer = true;
    again->patient_err = cluster_call_start(again->patient);
}

static void again_begin(void *ctx, weft_shard *shard)
{
    struct cluster *cluster = ctx;
    struct cluster_node *node = &cluster->nodes[0];
    const struct weft_span nothing = {NULL, 0};
    enum weft_err err = weft_call(shard, cluster_peer_id(node, 1), VERB_ANY, nothing, NULL, again_ended, cluster);
    cluster_check(cluster, err == WEFT_OK, "%s", weft_err_name(err));
    node->started_calls++;
    node->open_calls[0]++;
}

static uint64_t ending_connection(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    struct again again = {0};
    found_open(&cluster, seed, 1, HEARTBEAT_MS);
    cluster.outsider_ctx = &again;
    struct cluster_node *node = &cluster.nodes[0];
    (void)cluster_call_start(cluster_call_new(node, 0, 1));
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_no_open_calls), "calls hang");
    cluster_partition(&cluster, 0, 1, true);
    cluster_run_on(node, 0, again_begin, &cluster);
    cluster_run(&cluster, 10 * MS_NS);
    cluster_kill_node(&cluster.nodes[1]);
    cluster_partition(&cluster, 0, 1, false);
    cluster_run(&cluster, 100 * MS_NS);
    cluster_check(&cluster, again.ends == 1, "the call did not end with its connection");
    cluster_check(&cluster, again.hasty_err == WEFT_ERR_UNREACHABLE, "%s", weft_err_name(again.hasty_err));
    cluster_check(&cluster, again.patient_err == WEFT_OK, "%s", weft_err_name(again.patient_err));
    cluster_start_node(&cluster.nodes[1]);
    cluster_calm(&cluster);
    cluster_check(&cluster, again.patient->err == WEFT_OK && again.patient->runs == 1, "the patient call: %s",
                  weft_err_name(again.patient->err));
    return cluster_close(&cluster, totals);
}

static void call__from_callback_of_ending_connection__unreachable_or_waits(void **state)
{
    (void)state;
    cluster_run_seeds(8200, 8, 4, ending_connection, NULL);
}

static bool two_unanswered(struct cluster *cluster)
{
    struct node_shard *share = &cluster->nodes[0].node->shards[0];
    return share->peers[1].control->pings_unanswered == 2;
}

/* The second ping fails because its connection ends: that is no reason to end it. */
static uint64_t second_ping(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    found_open(&cluster, seed, 1, HEARTBEAT_MS);
    cluster_partition(&cluster, 0, 1, true);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, two_unanswered), "no heartbeat was missed");
    cluster_run(&cluster, MS_NS);
    cluster_kill_node(&cluster.nodes[1]);
    cluster_partition(&cluster, 0, 1, false);
    cluster_run(&cluster, 20 * MS_NS);
    const struct cluster_watch *watch = &cluster.nodes[0].watches[1];
    cluster_check(&cluster, watch->downs == 1 && watch->reason == WEFT_REASON_CONNECTION_RESET, "%u downs, %s",
                  watch->downs, weft_reason_name(watch->reason));
    cluster_start_node(&cluster.nodes[1]);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void heartbeat__second_ping_ends_with_its_connection__down_for_the_reset(void **state)
{
    (void)state;
    cluster_run_seeds(8300, 4, 4, second_ping, NULL);
}

static bool second_stopped(struct cluster *cluster)
{
    return cluster_node_stopped(&cluster->nodes[1]);
}

/* More answers than a turn has for one connection arrive together with the end of the connection. */
static uint64_t answers_with_the_end(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster cluster;
    found_open(&cluster, seed, 1, 60000);
    struct cluster_node *node = &cluster.nodes[0];
    (void)cluster_call_start(cluster_call_new(node, 0, 1));
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, cluster_no_open_calls), "calls hang");
    for (uint32_t i = 0; i < 2 * TURN_CONN_FRAMES_MAX; i++) {
        struct cluster_call *call = cluster_call_new(node, 0, 1);
        call->request_bytes = 8;
        call->reply_bytes = 12;
        (void)cluster_call_start(call);
    }
    cluster_cut(&cluster, 1, 0, true);
    cluster_run(&cluster, 100 * MS_NS);
    cluster_drain_node(&cluster.nodes[1]);
    cluster_run(&cluster, 100 * MS_NS);
    cluster_check(&cluster, cluster.open_calls > TURN_CONN_FRAMES_MAX, "only %u answers wait", cluster.open_calls);
    cluster_cut(&cluster, 1, 0, false);
    cluster_check(&cluster, cluster_run_until(&cluster, SECOND_NS, second_stopped), "it does not stop");
    cluster_end_node(&cluster.nodes[1]);
    cluster_run(&cluster, 100 * MS_NS);
    for (uint32_t i = 0; i < cluster.call_count; i++) {
        cluster_check(&cluster, cluster.calls[i].err == WEFT_OK, "call %u was answered, and ended with %s", i + 1,
                      weft_err_name(cluster.calls[i].err));
    }
    cluster_start_node(&cluster.nodes[1]);
    cluster_calm(&cluster);
    return cluster_close(&cluster, totals);
}

static void answers__arrive_with_the_end__all_are_heard(void **state)
{
    (void)state;
    cluster_run_seeds(8400, 12, 4, answers_with_the_end, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control__calls_of_all_shards__one_connection),
        cmocka_unit_test(call__times_out_while_queued__never_leaves),
        cmocka_unit_test(call__from_callback_of_ending_connection__unreachable_or_waits),
        cmocka_unit_test(answers__arrive_with_the_end__all_are_heard),
        cmocka_unit_test(heartbeat__second_ping_ends_with_its_connection__down_for_the_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
