/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a machine is described as the kernel has it, whatever the environment says; descriptions of others are read as
 * hwloc writes them; and a thread that is bound runs there and takes its memory from there.
 * Method: this machine, with affinities narrowed in threads and processes of the test's own; hwloc's short form, and
 * files that hwloc exported. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "topology/machine/plan.h"

/* linux/mempolicy.h: no dependency for two numbers. */
#define POLICY_PREFERRED 1
#define POLICY_PREFERRED_MANY 5

static void machine__this_one__as_the_scheduler_sees_it(void **state)
{
    (void)state;
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    struct weft_error why = {.code = WEFT_OK};
    assert_int_equal(machine_read(machine, &why), WEFT_OK);
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    uint32_t allowed = 0;
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        bool usable = machine->cpus[i].bar == MACHINE_USABLE;
        assert_int_equal(usable, CPU_ISSET(machine->cpus[i].cpu, &set) != 0);
        assert_true(i == 0 || machine->cpus[i - 1].cpu < machine->cpus[i].cpu);
        allowed += usable ? 1 : 0;
    }
    assert_int_equal(allowed, CPU_COUNT(&set));
    machine_close(machine);
    free(machine);
}

static enum weft_err machine_read_again(struct machine *machine, struct weft_error *why)
{
    machine_close(machine);
    return machine_read(machine, why);
}

/* Does the calling thread prefer the memory of this node?  A kernel without memory policies has one node only. */
static bool memory_is_preferred(uint32_t numa)
{
    unsigned long nodes[16] = {0};
    int policy = -1;
    long got = syscall(SYS_get_mempolicy, &policy, nodes, sizeof nodes * 8, NULL, 0);
    return got != 0 || ((policy == POLICY_PREFERRED || policy == POLICY_PREFERRED_MANY) &&
                        (nodes[numa / (8 * sizeof *nodes)] >> numa % (8 * sizeof *nodes) & 1) != 0);
}

/* In a thread of its own, so that the others keep their freedom: bind, then look at the machine again. */
static void *bound_thread(void *ctx)
{
    uint32_t cpu = *(const uint32_t *)ctx;
    struct weft_error why = {.code = WEFT_OK};
    struct machine *machine = calloc(1, sizeof *machine);
    struct plan plan;
    cpu_set_t set;
    bool ok = machine != NULL && machine_read(machine, &why) == WEFT_OK && machine_pin(machine, cpu, &why) == WEFT_OK &&
              sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set) &&
              sched_getcpu() == (int)cpu && memory_is_preferred(machine_find(machine, cpu)->numa) &&
              machine_read_again(machine, &why) == WEFT_OK &&
              plan_make(machine, &(struct plan_wish){0}, &plan, &why) == WEFT_OK && plan.shard_count == 1 &&
              plan.shards[0].cpu == cpu;
    machine_close(machine);
    free(machine);
    return ok ? ctx : NULL;
}

static void machine__thread_bound__runs_there_and_sees_one_cpu(void **state)
{
    (void)state;
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    assert_int_equal(machine_read(machine, NULL), WEFT_OK);
    struct plan plan;
    assert_int_equal(plan_make(machine, &(struct plan_wish){0}, &plan, NULL), WEFT_OK);
    for (uint32_t i = 0; i < plan.shard_count; i++) {
        pthread_t thread;
        void *result = NULL;
        assert_int_equal(pthread_create(&thread, NULL, bound_thread, &plan.shards[i].cpu), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, &plan.shards[i].cpu);
    }
    machine_close(machine);
    free(machine);
}

static void machine__pin_to_no_cpu__refused(void **state)
{
    (void)state;
    struct weft_error why = {.code = WEFT_OK};
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    assert_int_equal(machine_read(machine, NULL), WEFT_OK);
    assert_int_equal(machine_pin(machine, 999999, &why), WEFT_ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, "cpu 999999"));
    machine_close(machine);
    free(machine);
}

static struct machine *describe(const char *description)
{
    struct weft_error why = {.code = WEFT_OK};
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    if (machine_read_description(machine, description, &why) != WEFT_OK) {
        fail_msg("%s: %s", description, why.text);
    }
    assert_null(machine->topology);
    assert_int_equal(machine->quota.millicpus, 0);
    return machine;
}

/* By the repository, since tests run there. */
#define FIXTURE(name) "tests/fixtures/machine/" name

static void expect_set(const struct machine *machine, enum machine_bar bar, const char *cpus)
{
    struct cpu_set set;
    char text[64];
    machine_select(machine, bar, &set);
    assert_string_equal(cpu_set_print(&set, text, sizeof text), cpus);
}

static void description__short_form__packages_cores_threads(void **state)
{
    (void)state;
    struct machine *machine = describe("package:8 numa:1 core:8 pu:4");
    assert_int_equal(machine->cpu_count, 256);
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        const struct machine_cpu *cpu = &machine->cpus[i];
        assert_int_equal(cpu->cpu, i);
        assert_int_equal(cpu->core, i / 4);
        assert_int_equal(cpu->package, i / 32);
        assert_int_equal(cpu->numa, i / 32);
        assert_int_equal(cpu->speed, 0);
        assert_int_equal(cpu->bar, MACHINE_USABLE);
    }
    free(machine);
    /* Several nodes in a package, and one node around several. */
    machine = describe("package:2 l3:2 [numa] core:2 pu:2");
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        assert_int_equal(machine->cpus[i].package, i / 8);
        assert_int_equal(machine->cpus[i].numa, i / 4);
    }
    free(machine);
    machine = describe("numa:2 package:2 core:2 pu:1");
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        assert_int_equal(machine->cpus[i].package, i / 2);
        assert_int_equal(machine->cpus[i].numa, i / 4);
    }
    free(machine);
    machine = describe("pu:1");
    assert_int_equal(machine->cpu_count, 1);
    assert_int_equal(machine->cpus[0].package, 0);
    free(machine);
    /* More CPUs than are looked at. */
    machine = describe("package:16 core:64 pu:2");
    assert_int_equal(machine->cpu_count, MACHINE_CPUS_MAX);
    free(machine);
}

static void description__files__as_exported(void **state)
{
    (void)state;
    struct machine *machine = describe(FIXTURE("restricted.xml"));
    expect_set(machine, MACHINE_USABLE, "2-5,8-15");
    expect_set(machine, MACHINE_NOT_IN_CPUSET, "0-1,6-7");
    assert_int_equal(machine_find(machine, 8)->package, 1);
    assert_null(machine_find(machine, 16));
    free(machine);

    machine = describe(FIXTURE("offline.xml"));
    expect_set(machine, MACHINE_OFFLINE, "3,5");
    expect_set(machine, MACHINE_USABLE, "0-2,4,6-7");
    assert_int_equal(machine->cpu_count, 8);
    assert_int_equal(machine_find(machine, 5)->core, MACHINE_UNKNOWN);
    free(machine);
}

static void description__kinds_of_cores__told_apart_by_design_alone(void **state)
{
    (void)state;
    struct machine *machine = describe(FIXTURE("hybrid.xml"));
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        assert_int_equal(machine->cpus[i].speed, machine->cpus[i].cpu < 8 ? 1 : 0);
    }
    free(machine);
    /* The same design with two clocks is one kind. */
    machine = describe(FIXTURE("clocks.xml"));
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        assert_int_equal(machine->cpus[i].speed, 0);
    }
    free(machine);
}

static void description__other_texts__refused(void **state)
{
    (void)state;
    static const char *const texts[][2] = {{"", "write one such as"},       {"four", "write one such as"},
                                           {"core:0", "write one such as"}, {"/nowhere.xml", "lstopo"},
                                           {"nowhere.xml", "lstopo"},       {"/proc/cpuinfo", "lstopo"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct weft_error why = {.code = WEFT_OK};
        struct machine *machine = calloc(1, sizeof *machine);
        assert_non_null(machine);
        assert_int_equal(machine_read_description(machine, texts[i][0], &why), WEFT_ERR_CONFIG);
        assert_non_null(strstr(why.text, texts[i][1]));
        free(machine);
    }
}

/* In a process of its own: with a variable of hwloc's, this machine is refused (or is still itself, where
 * `same` says so). */
static void expect_environment(const char *name, const char *value, const char *also, bool same)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct weft_error why = {.code = WEFT_OK};
        struct machine *machine = calloc(1, sizeof *machine);
        setenv(name, value, 1);
        if (also != NULL) {
            setenv(also, "1", 1);
        }
        bool ok = machine != NULL && machine_read(machine, &why) == WEFT_OK;
        bool right = ok == same && (ok || strstr(why.text, "unset HWLOC_XMLFILE") != NULL);
        if (ok) { /* what it says it may use, it may use */
            cpu_set_t set;
            right = right && sched_getaffinity(0, sizeof set, &set) == 0;
            for (uint32_t i = 0; i < machine->cpu_count; i++) {
                right = right && (machine->cpus[i].bar != MACHINE_USABLE || CPU_ISSET(machine->cpus[i].cpu, &set));
            }
        }
        _exit(right ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void machine__environment_of_hwloc__does_not_change_it(void **state)
{
    (void)state;
    expect_environment("HWLOC_SYNTHETIC", "package:4 core:8 pu:2", NULL, false);
    expect_environment("HWLOC_XMLFILE", FIXTURE("restricted.xml"), NULL, false);
    /* Who says that the file is of this machine is believed, within the affinity that the kernel knows. */
    expect_environment("HWLOC_XMLFILE", FIXTURE("restricted.xml"), "HWLOC_THISSYSTEM", true);
    expect_environment("HWLOC_COMPONENTS", "-linux", NULL, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine__this_one__as_the_scheduler_sees_it),
        cmocka_unit_test(machine__thread_bound__runs_there_and_sees_one_cpu),
        cmocka_unit_test(machine__pin_to_no_cpu__refused),
        cmocka_unit_test(machine__environment_of_hwloc__does_not_change_it),
        cmocka_unit_test(description__short_form__packages_cores_threads),
        cmocka_unit_test(description__files__as_exported),
        cmocka_unit_test(description__kinds_of_cores__told_apart_by_design_alone),
        cmocka_unit_test(description__other_texts__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
