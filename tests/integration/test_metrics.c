/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a node measured can be read by any thread while it works, and agrees with its counters and with what is
 * known about the calls.
 *
 * Method: two nodes on both real backends; calls whose handler waits a known time, on two lanes; a snapshot before,
 * many during, and one after, which must only grow and end at the numbers of calls that were made. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/bytes.h"
#include "tests/integration/node_host.h"
#include "tests/integration/over_backends.h"

#define SLEEP_US 5000u
#define SLEEPS 8u
#define ECHOES 200u

static void metrics_of(const struct host *host, struct weft_metrics *metrics)
{
    weft_metrics_snapshot(host->node, metrics, sizeof *metrics);
}

static void sleeps_on(struct host *host, enum weft_lane lane)
{
    uint8_t us[8];
    bytes_store64(us, SLEEP_US);
    for (uint32_t i = 0; i < SLEEPS; i++) {
        struct asked asked = {
            .host = host, .peer = {1}, .verb = VERB_SLEEP, .args = {us, 8}, .options = WEFT_CALL_OPTIONS_INIT};
        asked.options.lane = lane;
        asked.options.wait_for_peer = true;
        assert_true(asked_start(&asked));
        asked_wait(&asked);
        assert_int_equal(asked.answer.err, WEFT_OK);
    }
}

static void metrics__of_known_calls__agree_and_only_grow(void **state)
{
    static struct host a, b;
    static struct weft_metrics now, before, served;
    host_pair_init(&a, &b, *state);
    a.options.heartbeat_ms = b.options.heartbeat_ms = UINT32_MAX; /* a ping is a call as well */
    host_start(&a);
    host_start(&b);
    metrics_of(&a, &before);
    assert_int_equal(weft_histogram_count(&before.call_ns[WEFT_LANE_NORMAL]), 0);
    for (uint32_t i = 0; i < ECHOES; i++) {
        assert_int_equal(host_call_patient(&a, VERB_ECHO, 100).err, WEFT_OK);
        metrics_of(&a, &now);
        assert_true(weft_histogram_count(&now.call_ns[0]) >= weft_histogram_count(&before.call_ns[0]));
        before = now;
    }
    sleeps_on(&a, WEFT_LANE_BULK);
    /* The callback of the last call runs inside of the turn that records it: the next turn is after both. */
    host_until_counter(&a, offsetof(struct weft_counters, calls_answered), ECHOES + SLEEPS);
    weft_node_drain(a.node);
    assert_int_equal(weft_node_wait(a.node), 0);
    metrics_of(&a, &now);
    assert_int_equal(weft_histogram_count(&now.call_ns[WEFT_LANE_NORMAL]), ECHOES);
    assert_int_equal(weft_histogram_count(&now.call_ns[WEFT_LANE_BULK]), SLEEPS);
    assert_int_equal(weft_histogram_count(&now.call_ns[WEFT_LANE_CONTROL]), 0);
    assert_true(weft_histogram_quantile(&now.call_ns[WEFT_LANE_BULK], 0) >= SLEEP_US * 1000);
    assert_true(now.call_ns[WEFT_LANE_BULK].sum >= SLEEPS * SLEEP_US * UINT64_C(1000));
    struct weft_counters counters;
    weft_node_counters(a.node, &counters);
    assert_int_equal(weft_histogram_count(&now.turn_ns), counters.turns);
    assert_int_equal(now.turn_events.sum, counters.completions);
    assert_true(weft_histogram_count(&now.send_queue_bytes) > 0);

    host_until_counter(&b, offsetof(struct weft_counters, requests_answered), ECHOES + SLEEPS);
    weft_node_drain(b.node);
    assert_int_equal(weft_node_wait(b.node), 0);
    metrics_of(&b, &served);
    assert_int_equal(weft_histogram_count(&served.handler_us[WEFT_LANE_NORMAL]), ECHOES);
    assert_int_equal(weft_histogram_count(&served.handler_us[WEFT_LANE_BULK]), SLEEPS);
    assert_int_equal(weft_histogram_quantile(&served.handler_us[WEFT_LANE_NORMAL], 1), 0);
    assert_true(weft_histogram_quantile(&served.handler_us[WEFT_LANE_BULK], 0) >= SLEEP_US);
    host_fini(&a);
    host_fini(&b);
}

static void metrics__for_callers_of_other_sizes__prefix_or_zeros(void **state)
{
    static struct host host;
    static struct {
        struct weft_metrics metrics;
        uint64_t more;
    } out;
    struct weft_counters counters[2];
    host_init(&host, 1, *state);
    assert_int_equal(weft_node_create(&host.node, &host.options, NULL), WEFT_OK);
    weft_metrics_snapshot(host.node, &out.metrics, sizeof out.metrics); /* not started: zeros */
    assert_int_equal(weft_histogram_count(&out.metrics.turn_ns), 0);
    assert_int_equal(weft_node_start(host.node, NULL, NULL, NULL), WEFT_OK);
    host_until_counter(&host, offsetof(struct weft_counters, turns), 1);
    weft_node_drain(host.node);
    assert_int_equal(weft_node_wait(host.node), 0);
    memset(&out, 0x77, sizeof out);
    weft_metrics_snapshot(host.node, &out.metrics, sizeof out);
    assert_true(weft_histogram_count(&out.metrics.turn_ns) > 0);
    assert_int_equal(out.more, 0);
    memset(&out, 0x77, sizeof out);
    weft_metrics_snapshot(host.node, &out.metrics, sizeof out.metrics.call_ns);
    assert_int_equal(weft_histogram_count(&out.metrics.call_ns[0]), 0);
    assert_int_equal(out.metrics.handler_us[0].sum, UINT64_C(0x7777777777777777));
    memset(counters, 0x77, sizeof counters);
    weft_node_counters_read(host.node, &counters[0], sizeof counters[0] + 8);
    assert_true(counters[0].turns > 0);
    assert_int_equal(counters[1].refused_by_reason[0], 0);
    assert_int_equal(counters[1].refused_by_reason[1], UINT64_C(0x7777777777777777));
    host_fini(&host);
}

int main(void)
{
    static const struct backend_test tests[] = {
        BACKEND_TEST(metrics__of_known_calls__agree_and_only_grow),
        BACKEND_TEST(metrics__for_callers_of_other_sizes__prefix_or_zeros),
    };
    return over_backends(tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
