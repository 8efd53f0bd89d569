/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a node's shards run where the plan says, and their memory is of the node of their CPU.
 *
 * Method: nodes in this process whose shards look at themselves as they begin: affinity, the policy of memory, and on
 * which memory node a page of the arena lies.  A machine with one memory node tells little by the last; the policy is
 * told apart everywhere. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <weft/weft.h>

#include "topology/machine/plan.h"

/* linux/mempolicy.h: no dependency for its numbers. */
#define POLICY_PREFERRED 1
#define POLICY_PREFERRED_MANY 5
#define POLICY_OF_ADDRESS 3 /* MPOL_F_NODE | MPOL_F_ADDR */

#define ARENA_PAGE_BYTES 8192u

struct seen {
    uint32_t runs;
    int affinity_count;
    uint32_t cpu;
    bool policies_known;
    int policy;
    int arena_node;
};

struct watch {
    struct seen shards[SHARDS_MAX];
    char warning[512];
};

static void watch_shard(void *ctx, weft_shard *shard)
{
    struct watch *watch = ctx;
    struct seen *seen = &watch->shards[weft_shard_index(shard)];
    cpu_set_t set;
    unsigned long nodes[16] = {0};
    seen->runs++;
    seen->affinity_count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
    seen->cpu = (uint32_t)sched_getcpu();
    seen->policies_known = syscall(SYS_get_mempolicy, &seen->policy, nodes, sizeof nodes * 8, NULL, 0) == 0;
    seen->arena_node = -1;
    weft_buf *buf = weft_buf_take(shard, ARENA_PAGE_BYTES);
    if (buf != NULL) {
        memset(weft_buf_data(buf), 1, ARENA_PAGE_BYTES);
        (void)syscall(SYS_get_mempolicy, &seen->arena_node, NULL, 0, weft_buf_data(buf), POLICY_OF_ADDRESS);
        weft_buf_unref(buf);
    }
}

static void watch_line(void *ctx, char level, const char *line)
{
    struct watch *watch = ctx;
    if (level == 'W' && strstr(line, "is not pinned") != NULL) {
        snprintf(watch->warning, sizeof watch->warning, "%s", line);
    }
}

/* Run a node for as long as its shards need to look at themselves. */
static struct watch *watch_node(const char *backend, const char *shards, bool smt)
{
    struct watch *watch = calloc(1, sizeof *watch);
    struct weft_error why = {.code = WEFT_OK};
    struct weft_node_options options = WEFT_NODE_OPTIONS_INIT;
    weft_node *node = NULL;
    assert_non_null(watch);
    options.client_only = true;
    options.backend = backend;
    options.shards = shards;
    options.smt = smt;
    options.memory_per_shard_bytes = 8u << 20;
    options.connections_max = 16;
    options.log = watch_line;
    options.log_ctx = watch;
    if (weft_node_create(&node, &options, &why) != WEFT_OK ||
        weft_node_start(node, watch_shard, watch, &why) != WEFT_OK) {
        fail_msg("%s", why.text);
    }
    weft_node_destroy(node);
    return watch;
}

static void expect_placed(const char *shards, bool smt)
{
    struct machine *machine = calloc(1, sizeof *machine);
    const struct plan_wish wish = {.shards = shards, .smt = smt};
    struct plan plan;
    assert_non_null(machine);
    assert_int_equal(machine_read(machine, NULL), WEFT_OK);
    assert_int_equal(plan_make(machine, &wish, &plan, NULL), WEFT_OK);
    machine_close(machine);
    free(machine);
    struct watch *watch = watch_node("epoll", shards, smt);
    assert_string_equal(watch->warning, "");
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        const struct seen *seen = &watch->shards[i];
        assert_int_equal(seen->runs, i < plan.shard_count ? 1 : 0);
        if (i >= plan.shard_count) {
            continue;
        }
        assert_int_equal(seen->affinity_count, 1);
        assert_int_equal(seen->cpu, plan.shards[i].cpu);
        if (seen->policies_known) {
            assert_true(seen->policy == POLICY_PREFERRED || seen->policy == POLICY_PREFERRED_MANY);
            assert_int_equal(seen->arena_node, plan.shards[i].numa);
        }
    }
    free(watch);
}

static void node__automatic__a_shard_on_each_planned_cpu(void **state)
{
    (void)state;
    expect_placed("auto", false);
    expect_placed("auto", true);
    expect_placed("1", false);
}

static void node__list__shards_in_its_order(void **state)
{
    (void)state;
    cpu_set_t set;
    uint32_t cpus[2];
    uint32_t count = 0;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            cpus[count++] = cpu;
        }
    }
    if (count < 2) {
        print_message("one CPU: a list of two is not possible\n");
        skip();
    }
    char text[32];
    snprintf(text, sizeof text, "%u,%u", cpus[1], cpus[0]);
    expect_placed(text, false);
}

/* Whoever starts the node keeps its own affinity and policy: they are the host's. */
static void node__started__the_starting_thread_is_as_before(void **state)
{
    (void)state;
    cpu_set_t before;
    cpu_set_t after;
    unsigned long nodes[16] = {0};
    int policy_before = -1;
    int policy_after = -1;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    (void)syscall(SYS_get_mempolicy, &policy_before, nodes, sizeof nodes * 8, NULL, 0);
    free(watch_node("epoll", "auto", false));
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    (void)syscall(SYS_get_mempolicy, &policy_after, nodes, sizeof nodes * 8, NULL, 0);
    assert_true(CPU_EQUAL(&before, &after));
    assert_int_equal(policy_after, policy_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node__automatic__a_shard_on_each_planned_cpu),
        cmocka_unit_test(node__list__shards_in_its_order),
        cmocka_unit_test(node__started__the_starting_thread_is_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
