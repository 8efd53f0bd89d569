/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: whichever system call fails, with whichever code it can have, nothing crashes, leaks or hangs: every call ends
 * once and truthfully, everybody finds everybody again, and both nodes drain.
 *
 * Method: one short run of two nodes (start, the first calls on each lane, drain) again and again; in each a single
 * call fails: the nth of its kind, for every kind, every code of it and every n, until a run needs fewer than n; plain,
 * and with a record layer.  A round of calls that the error spoiled is repeated once and must work then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

#define SEED 9000u
#define HEARTBEAT_MS 500u
/* From the error on: three missed heartbeats, a pause of a listener, a back-off that grew once or twice, a dial that
 * hung until its time-out. */
#define FOUND_NS_MAX (5 * SECOND_NS)
/* A connection that lingers for its peer's end, some looks around. */
#define DRAINED_NS_MAX (2 * SECOND_NS)
/* More than any run needs of one kind of call. */
#define NTH_MAX 2000u

static uint64_t struck(const struct cluster *cluster)
{
    return sim_world_errors(cluster->world, cluster->options.aim.call, cluster->options.aim.code);
}

static void errors_call(struct cluster_node *node, enum weft_lane lane, enum destiny destiny, uint32_t bytes)
{
    struct cluster_call *call = cluster_call_new(node, 0, 1 - node->index);
    call->lane = lane;
    call->destiny = destiny;
    call->request_bytes = bytes;
    call->reply_bytes = bytes;
    call->wait_for_peer = true;
    call->timeout_ns = 4 * SECOND_NS;
    enum weft_err err = cluster_call_start(call);
    cluster_check(node->cluster, err == WEFT_OK, "call %llu: %s", (unsigned long long)call->id, weft_err_name(err));
}

/* Both call on each lane; whether everything was answered. */
static bool errors_round(struct cluster *cluster)
{
    uint32_t first = cluster->call_count;
    uint32_t bulk = cluster->options.aim.call == IO_LAND ? CLUSTER_PAYLOAD_BYTES_MAX : 40000;
    for (uint32_t i = 0; i < 2; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        errors_call(node, WEFT_LANE_CONTROL, DESTINY_NOW, 64);
        errors_call(node, WEFT_LANE_BULK, DESTINY_NOW, bulk);
        errors_call(node, WEFT_LANE_NORMAL, DESTINY_NOW, 300);
        errors_call(node, WEFT_LANE_NORMAL, DESTINY_ONE_WAY, 64);
    }
    cluster_check(cluster, cluster_run_until(cluster, FOUND_NS_MAX, cluster_no_open_calls), "%u calls hang",
                  cluster->open_calls);
    bool all = true;
    for (uint32_t i = first; i < cluster->call_count; i++) {
        all &= cluster->calls[i].err == WEFT_OK;
    }
    return all;
}

/* One run with one error.  @return whether it struck */
static bool errors_run(const struct sim_aim *aim, enum weft_encryption encryption, struct cluster_totals *totals)
{
    struct cluster cluster;
    struct cluster_options options;
    cluster_options_init(&options, SEED);
    options.node_count = 2;
    options.shard_count = aim->call == SIM_CALL_LISTEN || aim->call == SIM_CALL_OPEN ? 2 : 1;
    options.heartbeat_ms = HEARTBEAT_MS;
    options.aim = *aim;
    options.encryption = encryption;
    cluster_open(&cluster, &options);
    cluster_start(&cluster);
    cluster_check(&cluster, cluster_run_until(&cluster, FOUND_NS_MAX, cluster_all_up), "not up in time");
    bool answered = errors_round(&cluster);
    cluster_check(&cluster, answered || struck(&cluster) == 1, "a call failed, and nothing had happened");
    if (!answered) {
        cluster_check(&cluster, errors_round(&cluster), "calls fail long after the error");
    }
    cluster_check(&cluster, cluster_run_until(&cluster, FOUND_NS_MAX, cluster_all_up), "not up again in time");
    uint64_t begin_ns = sim_world_now_ns(cluster.world);
    cluster_drain(&cluster);
    cluster_check(&cluster, sim_world_now_ns(cluster.world) - begin_ns <= DRAINED_NS_MAX, "draining took %llu ms",
                  (unsigned long long)((sim_world_now_ns(cluster.world) - begin_ns) / MS_NS));
    uint64_t times = struck(&cluster);
    cluster_check(&cluster, times <= 1, "struck %llu times", (unsigned long long)times);
    cluster_check(&cluster, times == 1 || sim_world_calls(cluster.world, aim->call) < aim->nth, "call %llu was missed",
                  (unsigned long long)aim->nth);
    (void)cluster_close(&cluster, totals);
    return times == 1;
}

/* Every code of a kind of call, at every place. */
static void errors_sweep(uint32_t call, uint32_t struck_min)
{
    const int32_t *codes;
    uint32_t code_count = sim_error_codes(call, &codes);
    struct cluster_totals totals = {0};
    uint32_t layers = call == IO_LAND ? 1 : 2; /* sealed bytes never land */
    for (uint32_t i = 0; i < code_count; i++) {
        for (uint32_t tls = 0; tls < layers; tls++) {
            struct sim_aim aim = {.call = call, .code = codes[i], .nth = 1};
            while (errors_run(&aim, tls == 1 ? WEFT_ENCRYPTION_ALL : WEFT_ENCRYPTION_NONE, &totals)) {
                aim.nth++;
                assert_true(aim.nth < NTH_MAX);
            }
            if (aim.nth <= struck_min) {
                fail_msg("%s: only %llu calls to fail", sim_call_name(call), (unsigned long long)aim.nth - 1);
            }
        }
    }
    print_message("%s: %llu errors, %llu runs, %llu of %llu calls failed\n", sim_call_name(call),
                  (unsigned long long)totals.errors[call], (unsigned long long)totals.runs,
                  (unsigned long long)(totals.calls - totals.by_err[WEFT_OK]), (unsigned long long)totals.calls);
    assert_int_equal(totals.errors[call], totals.runs - layers * code_count);
}

static void accept__any_fails__found_again(void **state)
{
    (void)state;
    errors_sweep(IO_ACCEPT, 6); /* three lanes each way, a start each, and once more when it was armed again */
}

static void connect__any_fails__dialed_again(void **state)
{
    (void)state;
    errors_sweep(IO_CONNECT, 6);
}

static void recv__any_fails__calls_end_once(void **state)
{
    (void)state;
    errors_sweep(IO_RECV, 40);
}

static void land__any_fails__calls_end_once(void **state)
{
    (void)state;
    errors_sweep(IO_LAND, 4); /* a request and an answer each way */
}

static void send__any_fails__calls_end_once(void **state)
{
    (void)state;
    errors_sweep(IO_SEND, 20);
}

static void shutdown__any_fails__drained_in_time(void **state)
{
    (void)state;
    errors_sweep(IO_SHUTDOWN, 6);
}

static void close__any_fails__socket_is_gone(void **state)
{
    (void)state;
    errors_sweep(IO_CLOSE, 6);
}

static void listen__any_fails__node_starts_at_the_next_try(void **state)
{
    (void)state;
    errors_sweep(SIM_CALL_LISTEN, 4);
}

static void open__any_fails__node_starts_at_the_next_try(void **state)
{
    (void)state;
    errors_sweep(SIM_CALL_OPEN, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept__any_fails__found_again),
        cmocka_unit_test(connect__any_fails__dialed_again),
        cmocka_unit_test(recv__any_fails__calls_end_once),
        cmocka_unit_test(land__any_fails__calls_end_once),
        cmocka_unit_test(send__any_fails__calls_end_once),
        cmocka_unit_test(shutdown__any_fails__drained_in_time),
        cmocka_unit_test(close__any_fails__socket_is_gone),
        cmocka_unit_test(listen__any_fails__node_starts_at_the_next_try),
        cmocka_unit_test(open__any_fails__node_starts_at_the_next_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
