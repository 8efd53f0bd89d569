/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: shards are placed as asked, one per CPU, and a wrong request is refused with a line that helps.
 * Method: machines made by hand (one CPU, SMT, eight sockets, restricted sets), tables of texts with the CPUs or the
 * words that must come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "topology/machine/plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void machine_add(struct machine *machine, uint32_t cpu, uint32_t core, uint32_t numa)
{
    assert_true(machine->cpu_count < MACHINE_CPUS_MAX);
    machine->cpus[machine->cpu_count++] =
        (struct machine_cpu){.cpu = cpu, .core = core, .package = numa, .numa = numa, .bar = MACHINE_USABLE};
}

/* CPUs numbered as Linux does: first one thread of every core, then all second threads. */
static struct machine *machine_make(uint32_t sockets, uint32_t cores_per_socket, uint32_t threads)
{
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    uint32_t cores = sockets * cores_per_socket;
    for (uint32_t cpu = 0; cpu < cores * threads; cpu++) {
        uint32_t core = cpu % cores;
        machine_add(machine, cpu, core, core / cores_per_socket);
    }
    return machine;
}

/* The plan's CPUs as "0 1 2". */
static const char *plan_text(const struct plan *plan, char *text, size_t bytes)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < plan->shard_count; i++) {
        int written = snprintf(text + used, bytes - used, "%s%u", i > 0 ? " " : "", plan->shards[i].cpu);
        assert_true(written > 0 && (size_t)written < bytes - used);
        used += (size_t)written;
    }
    return text;
}

static void expect_plan(const struct machine *machine, const char *shards, const char *cpus)
{
    struct plan plan;
    struct weft_error why = {.code = WEFT_OK};
    char text[2048];
    enum weft_err err = plan_make(machine, &(struct plan_wish){.shards = shards}, &plan, &why);
    if (err != WEFT_OK) {
        fail_msg("%s: %s", shards != NULL ? shards : "NULL", why.text);
    }
    assert_string_equal(plan_text(&plan, text, sizeof text), cpus);
}

static void expect_refused(const struct machine *machine, const char *shards, const char *words)
{
    struct plan plan;
    struct weft_error why = {.code = WEFT_OK};
    assert_int_equal(plan_make(machine, &(struct plan_wish){.shards = shards}, &plan, &why), WEFT_ERR_CONFIG);
    if (strstr(why.text, words) == NULL || strncmp(why.text, "shards: ", 8) != 0) {
        fail_msg("%s: \"%s\" lacks \"%s\"", shards, why.text, words);
    }
    /* The record is optional. */
    assert_int_equal(plan_make(machine, &(struct plan_wish){.shards = shards}, &plan, NULL), WEFT_ERR_CONFIG);
}

static void plan__one_cpu__one_shard(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 1, 1);
    expect_plan(machine, NULL, "0");
    expect_plan(machine, "auto", "0");
    expect_plan(machine, "1", "0");
    expect_plan(machine, "0-0", "0");
    expect_refused(machine, "2", "may use 1 CPU");
    free(machine);
}

static void plan__hardware_threads__cores_first(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 2, 2); /* cores {0, 2} and {1, 3} */
    expect_plan(machine, "auto", "0 1");
    expect_plan(machine, "1", "0");
    expect_plan(machine, "2", "0 1");
    expect_plan(machine, "3", "0 1 2");
    expect_plan(machine, "4", "0 1 2 3");
    expect_plan(machine, "3,0-1", "3 0 1");
    free(machine);

    /* The other common numbering: the threads of a core are neighbours. */
    machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    for (uint32_t cpu = 0; cpu < 6; cpu++) {
        machine_add(machine, cpu, cpu / 2, 0);
    }
    expect_plan(machine, "auto", "0 2 4");
    expect_plan(machine, "2", "0 2");
    expect_plan(machine, "5", "0 2 4 1 3");
    free(machine);
}

static void plan__eight_sockets__memory_of_each_shard_is_near(void **state)
{
    (void)state;
    struct machine *machine = machine_make(8, 4, 2);
    struct plan plan;
    assert_int_equal(plan_make(machine, &(struct plan_wish){.shards = "auto"}, &plan, NULL), WEFT_OK);
    assert_int_equal(plan.shard_count, 32);
    for (uint32_t i = 0; i < plan.shard_count; i++) {
        assert_int_equal(plan.shards[i].cpu, i);
        assert_int_equal(plan.shards[i].numa, i / 4);
    }
    assert_int_equal(plan_make(machine, &(struct plan_wish){.shards = "64"}, &plan, NULL), WEFT_OK);
    assert_int_equal(plan.shard_count, 64);
    assert_int_equal(plan.shards[63].cpu, 63);
    assert_int_equal(plan.shards[63].numa, 7);
    expect_refused(machine, "65", "may use 64 CPU");
    free(machine);
}

static void plan__restricted_set__only_allowed_cpus(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 4, 2); /* cores {0,4} {1,5} {2,6} {3,7} */
    static const uint32_t forbidden[] = {0, 1, 5, 3};
    for (size_t i = 0; i < COUNT(forbidden); i++) {
        machine->cpus[forbidden[i]].bar = MACHINE_NOT_IN_CPUSET;
    }
    /* Left: 2, 4, 6, 7; the second threads of cores 0 and 3 now stand for them. */
    expect_plan(machine, "auto", "2 4 7");
    expect_plan(machine, "4", "2 4 7 6");
    expect_plan(machine, "6-7,2", "6 7 2");
    expect_refused(machine, "5", "may use 4 CPU");
    expect_refused(machine, "4-6", "CPU 5 is not in the cpuset of this process's control group; usable: 2,4,6-7");
    expect_refused(machine, "0-0", "CPU 0 is not in the cpuset");
    expect_refused(machine, "7-8", "CPU 8 is not on this machine, which has CPUs 0-7");
    free(machine);
}

static void plan__nothing_allowed__refused(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 2, 1);
    machine->cpus[0].bar = machine->cpus[1].bar = MACHINE_NOT_IN_AFFINITY;
    expect_refused(machine, "auto", "no CPU");
    expect_refused(machine, "1", "may use 0 CPU");
    machine->cpu_count = 0;
    expect_refused(machine, "auto", "no CPU");
    free(machine);
}

/* The whys of all CPUs, by their names. */
static void expect_whys(const struct machine *machine, const struct plan_wish *wish, const char *words)
{
    struct plan plan;
    struct weft_error why = {.code = WEFT_OK};
    char text[2048];
    size_t used = 0;
    if (plan_make(machine, wish, &plan, &why) != WEFT_OK) {
        fail_msg("%s", why.text);
    }
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        int written = snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", plan_why_name(plan.whys[i]));
        assert_true(written > 0 && (size_t)written < sizeof text - used);
        used += (size_t)written;
    }
    assert_string_equal(text, words);
}

static void plan__each_cpu__says_why(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 3, 2); /* cores {0,3} {1,4} {2,5} */
    expect_whys(machine, &(struct plan_wish){0}, "core core core sibling sibling sibling");
    expect_whys(machine, &(struct plan_wish){.smt = true}, "core core core thread thread thread");
    expect_whys(machine, &(struct plan_wish){.shards = "4"}, "core core core thread enough enough");
    expect_whys(machine, &(struct plan_wish){.shards = "5,0-0"}, "listed unlisted unlisted unlisted unlisted listed");
    machine->cpus[0].bar = MACHINE_OFFLINE;
    machine->cpus[1].bar = MACHINE_NOT_IN_CPUSET;
    machine->cpus[5].bar = MACHINE_NOT_IN_AFFINITY;
    expect_whys(machine, &(struct plan_wish){0}, "offline cpuset core core core affinity");
    expect_refused(machine, "0-1", "CPU 0 is offline; bring it online or take it from the list (usable: 2-4)");
    expect_refused(machine, "1-2", "CPU 1 is not in the cpuset");
    expect_refused(machine, "5-5", "CPU 5 is not in the affinity mask of this process (taskset); usable: 2-4");
    free(machine);
}

static void plan__smt__every_hardware_thread(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 2, 4); /* cores {0,2,4,6} and {1,3,5,7} */
    expect_plan(machine, "auto", "0 1");
    expect_plan(machine, "5", "0 1 2 3 4");
    expect_whys(machine, &(struct plan_wish){.smt = true}, "core core thread thread thread thread thread thread");
    /* A number is a number, with and without. */
    expect_whys(machine, &(struct plan_wish){.shards = "2", .smt = true},
                "core core enough enough enough enough enough enough");
    free(machine);
}

static void plan__hybrid__the_fastest_kind_first(void **state)
{
    (void)state;
    /* Two fast cores of two threads each, {2,3} and {4,5}, and two slow ones before and behind them. */
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    static const uint32_t cores[] = {0, 1, 2, 2, 3, 3, 4};
    for (uint32_t cpu = 0; cpu < COUNT(cores); cpu++) {
        machine_add(machine, cpu, cores[cpu], 0);
        machine->cpus[cpu].speed = cpu >= 2 && cpu <= 5 ? 1 : 0;
    }
    expect_plan(machine, "auto", "2 4");
    expect_whys(machine, &(struct plan_wish){0}, "slower slower core sibling core sibling slower");
    expect_whys(machine, &(struct plan_wish){.smt = true}, "slower slower core thread core thread slower");
    /* A number: the slow cores' only threads come before the fast cores' second ones. */
    expect_plan(machine, "5", "2 4 0 1 6");
    expect_plan(machine, "7", "2 4 0 1 6 3 5");
    /* Fast is what is fast among those that may be used. */
    for (uint32_t cpu = 2; cpu <= 5; cpu++) {
        machine->cpus[cpu].bar = MACHINE_NOT_IN_AFFINITY;
    }
    expect_plan(machine, "auto", "0 1 6");
    free(machine);
}

static void expect_quota(struct machine *machine, uint32_t millicpus, const char *shards, uint32_t count, bool noted)
{
    struct plan plan;
    machine->quota.millicpus = millicpus;
    snprintf(machine->quota.source, sizeof machine->quota.source, "/sys/fs/cgroup/a/cpu.max");
    assert_int_equal(plan_make(machine, &(struct plan_wish){.shards = shards}, &plan, NULL), WEFT_OK);
    assert_int_equal(plan.shard_count, count);
    assert_int_equal(plan.note[0] != '\0', noted);
    if (noted) {
        assert_non_null(strstr(plan.note, "(/sys/fs/cgroup/a/cpu.max)"));
    }
}

static void plan__quota__auto_takes_whole_cpus(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 4, 2);
    expect_quota(machine, 0, "auto", 4, false);
    expect_quota(machine, 1, "auto", 1, false);
    expect_quota(machine, 999, "auto", 1, false);
    expect_quota(machine, 1999, "auto", 1, false);
    expect_quota(machine, 2000, "auto", 2, false);
    expect_quota(machine, 3500, "auto", 3, false);
    expect_quota(machine, 64000, "auto", 4, false);
    /* Who asks for more gets it, and is told. */
    expect_quota(machine, 2500, "3", 3, true);
    expect_quota(machine, 2500, "0-2", 3, true);
    expect_quota(machine, 3000, "3", 3, false);
    machine->quota.millicpus = 2000;
    expect_whys(machine, &(struct plan_wish){0}, "core core quota quota sibling sibling quota quota");
    expect_whys(machine, &(struct plan_wish){.smt = true}, "core core quota quota quota quota quota quota");
    free(machine);
}

static void plan__bad_texts__refused_with_the_forms_that_are_right(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 8, 1);
    static const char *const bad[] = {"",    " ",    "all",      "Auto",      "auto ", "-1",    "+1", "1 ",
                                      "1.5", "0x2",  "0-",       "-3",        "0-3-",  "0,",    ",0", "0,,1",
                                      "0;1", "0- 3", "99999999", "0-9999999", "0 1",   "0-3,a", "\n1"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        expect_refused(machine, bad[i], "use auto, a number of shards, or a CPU list such as 0-3,8");
    }
    expect_refused(machine, "0", "0 is too few");
    expect_refused(machine, "3-1", "3-1 runs backwards; write 1-3");
    expect_refused(machine, "0-3,2", "CPU 2 is listed twice");
    expect_refused(machine, "1,1", "CPU 1 is listed twice");
    expect_refused(machine, "0-999999", "CPU 8 is not on this machine");
    expect_refused(machine, "257", "at most 256");
    free(machine);
}

static void plan__more_cpus_than_shards__capped_or_refused(void **state)
{
    (void)state;
    struct machine *machine = machine_make(4, 128, 2);
    assert_int_equal(machine->cpu_count, MACHINE_CPUS_MAX);
    struct plan plan;
    assert_int_equal(plan_make(machine, &(struct plan_wish){.shards = "auto"}, &plan, NULL), WEFT_OK);
    assert_int_equal(plan.shard_count, SHARDS_MAX);
    assert_int_equal(plan_make(machine, &(struct plan_wish){.shards = "256"}, &plan, NULL), WEFT_OK);
    assert_int_equal(plan_make(machine, &(struct plan_wish){.shards = "0-255"}, &plan, NULL), WEFT_OK);
    assert_int_equal(plan.shard_count, SHARDS_MAX);
    expect_refused(machine, "0-256", "at most 256 shards");
    free(machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan__one_cpu__one_shard),
        cmocka_unit_test(plan__hardware_threads__cores_first),
        cmocka_unit_test(plan__eight_sockets__memory_of_each_shard_is_near),
        cmocka_unit_test(plan__restricted_set__only_allowed_cpus),
        cmocka_unit_test(plan__nothing_allowed__refused),
        cmocka_unit_test(plan__each_cpu__says_why),
        cmocka_unit_test(plan__smt__every_hardware_thread),
        cmocka_unit_test(plan__hybrid__the_fastest_kind_first),
        cmocka_unit_test(plan__quota__auto_takes_whole_cpus),
        cmocka_unit_test(plan__bad_texts__refused_with_the_forms_that_are_right),
        cmocka_unit_test(plan__more_cpus_than_shards__capped_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
