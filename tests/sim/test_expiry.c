/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a node that runs for months says in time, and not too often, that its certificate ends.
 *
 * Method: one node in a simulated world, whose certificate ends 40 days after its start by the wall clock; weeks pass
 * in hours of virtual time.  Every line is kept with the time at which it came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/cluster.h"

#define HOUR_NS (UINT64_C(3600) * SECOND_NS)
#define DAY_NS (24 * HOUR_NS)
#define DAY_S INT64_C(86400)
#define LINES_MAX 64u

struct life {
    struct cluster cluster;
    int64_t end_s; /* of the certificate */
    uint32_t count;
    struct {
        uint64_t at_ns;
        char text[160];
    } lines[LINES_MAX];
};

static void life_logged(void *ctx, char level, const char *line)
{
    struct life *life = ctx;
    if (strncmp(line, "certificate ", 12) == 0) {
        assert_true(level == 'W' && life->count < LINES_MAX);
        life->lines[life->count].at_ns = sim_world_now_ns(life->cluster.world);
        snprintf(life->lines[life->count++].text, sizeof life->lines[0].text, "%s", line);
    }
}

static void set_end(struct life *life, struct weft_node *node, int64_t end_s)
{
    node->certificate_end = (struct certificate_end){.not_after_s = end_s, .not_after = "SOON", .path = "n1.crt"};
    life->end_s = end_s;
}

static void life_prepare(struct weft_node *node, void *ctx)
{
    struct life *life = ctx;
    node->settings.log = life_logged;
    node->settings.log_ctx = life;
    log_init(&node->log, life_logged, life, NULL);
    set_end(life, node, (int64_t)(life->cluster.sim.wall_start_ns / SECOND_NS) + 40 * DAY_S);
}

static void life_open(struct life *life)
{
    struct cluster_options options;
    memset(life, 0, sizeof *life);
    cluster_options_init(&options, 1);
    options.node_count = 1;
    options.shard_count = 2;
    options.pause_us_max = UINT32_MAX; /* nobody calls; without the pause a month would be many turns */
    cluster_open(&life->cluster, &options);
    life->cluster.nodes[0].plan.prepare = life_prepare;
    life->cluster.nodes[0].plan.prepare_ctx = life;
    cluster_start(&life->cluster);
}

static uint64_t notices(const struct life *life)
{
    struct weft_counters counters;
    weft_node_counters(life->cluster.nodes[0].node, &counters);
    return counters.certificate_notices;
}

static void certificate__its_end_comes_near__told_once_a_day_from_30_days_ahead(void **state)
{
    static struct life life;
    (void)state;
    life_open(&life);
    uint64_t begin_ns = sim_world_now_ns(life.cluster.world);
    assert_int_equal(weft_node_certificate_not_after_s(life.cluster.nodes[0].node), life.end_s);
    cluster_run(&life.cluster, 10 * DAY_NS);
    assert_int_equal(life.count, 0);
    cluster_run(&life.cluster, 32 * DAY_NS);
    assert_true(life.count >= 30 && life.count <= 32);
    assert_int_equal(notices(&life), life.count);
    assert_true(life.lines[0].at_ns - begin_ns < 10 * DAY_NS + 2 * HOUR_NS);
    assert_string_equal(life.lines[0].text, "certificate n1.crt: expires at SOON, in 29 days");
    for (uint32_t i = 1; i < life.count; i++) {
        uint64_t pause_ns = life.lines[i].at_ns - life.lines[i - 1].at_ns;
        assert_true(pause_ns >= DAY_NS - SECOND_NS && pause_ns <= DAY_NS + 2 * HOUR_NS);
    }
    assert_string_equal(life.lines[life.count - 1].text, "certificate n1.crt: expired at SOON; peers refuse it");
    cluster_close(&life.cluster, NULL);
}

/* As when it is replaced: nothing more is said of the former one, and of the new one when its time comes. */
static void certificate__replaced_in_time__silent(void **state)
{
    static struct life life;
    (void)state;
    life_open(&life);
    struct weft_node *node = life.cluster.nodes[0].node;
    cluster_run(&life.cluster, 12 * DAY_NS);
    uint32_t told = life.count;
    assert_true(told == 2);
    set_end(&life, node, life.end_s + 20 * DAY_S);
    cluster_run(&life.cluster, 17 * DAY_NS);
    assert_int_equal(life.count, told);
    cluster_run(&life.cluster, 2 * DAY_NS);
    assert_true(life.count > told);
    cluster_close(&life.cluster, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificate__its_end_comes_near__told_once_a_day_from_30_days_ahead),
        cmocka_unit_test(certificate__replaced_in_time__silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
