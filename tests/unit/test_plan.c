/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: shards are placed as asked, one per CPU, and a wrong request is refused with a line that helps.
 * Method: machines made by hand (one CPU, SMT, eight sockets, restricted sets), tables of texts with the CPUs or the
 * words that must come out; then the real machine is read, and a thread is bound to one of its CPUs. */
#include <pthread.h>
#include <sched.h>
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

static void machine_add(struct machine *machine, uint32_t cpu, uint32_t core, uint32_t numa, bool allowed)
{
    assert_true(machine->cpu_count < MACHINE_CPUS_MAX);
    machine->cpus[machine->cpu_count++] = (struct machine_cpu){cpu, core, numa, allowed};
}

/* CPUs numbered as Linux does: first one thread of every core, then all second threads. */
static struct machine *machine_make(uint32_t sockets, uint32_t cores_per_socket, uint32_t threads)
{
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    uint32_t cores = sockets * cores_per_socket;
    for (uint32_t cpu = 0; cpu < cores * threads; cpu++) {
        uint32_t core = cpu % cores;
        machine_add(machine, cpu, core, core / cores_per_socket, true);
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
    enum weft_err err = plan_make(machine, shards, &plan, &why);
    if (err != WEFT_OK) {
        fail_msg("%s: %s", shards != NULL ? shards : "NULL", why.text);
    }
    assert_string_equal(plan_text(&plan, text, sizeof text), cpus);
}

static void expect_refused(const struct machine *machine, const char *shards, const char *words)
{
    struct plan plan;
    struct weft_error why = {.code = WEFT_OK};
    assert_int_equal(plan_make(machine, shards, &plan, &why), WEFT_ERR_CONFIG);
    if (strstr(why.text, words) == NULL || strncmp(why.text, "shards: ", 8) != 0) {
        fail_msg("%s: \"%s\" lacks \"%s\"", shards, why.text, words);
    }
    /* The record is optional. */
    assert_int_equal(plan_make(machine, shards, &plan, NULL), WEFT_ERR_CONFIG);
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
        machine_add(machine, cpu, cpu / 2, 0, true);
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
    assert_int_equal(plan_make(machine, "auto", &plan, NULL), WEFT_OK);
    assert_int_equal(plan.shard_count, 32);
    for (uint32_t i = 0; i < plan.shard_count; i++) {
        assert_int_equal(plan.shards[i].cpu, i);
        assert_int_equal(plan.shards[i].numa, i / 4);
    }
    assert_int_equal(plan_make(machine, "64", &plan, NULL), WEFT_OK);
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
        machine->cpus[forbidden[i]].allowed = false;
    }
    /* Left: 2, 4, 6, 7; the second threads of cores 0 and 3 now stand for them. */
    expect_plan(machine, "auto", "2 4 7");
    expect_plan(machine, "4", "2 4 7 6");
    expect_plan(machine, "6-7,2", "6 7 2");
    expect_refused(machine, "5", "may use 4 CPU");
    expect_refused(machine, "4-6", "CPU 5 is not allowed");
    expect_refused(machine, "0-0", "CPU 0 is not allowed");
    expect_refused(machine, "7-8", "CPU 8 is not on this machine");
    free(machine);
}

static void plan__nothing_allowed__refused(void **state)
{
    (void)state;
    struct machine *machine = machine_make(1, 2, 1);
    machine->cpus[0].allowed = machine->cpus[1].allowed = false;
    expect_refused(machine, "auto", "no CPU");
    expect_refused(machine, "1", "may use 0 CPU");
    machine->cpu_count = 0;
    expect_refused(machine, "auto", "no CPU");
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
    assert_int_equal(plan_make(machine, "auto", &plan, NULL), WEFT_OK);
    assert_int_equal(plan.shard_count, SHARDS_MAX);
    assert_int_equal(plan_make(machine, "256", &plan, NULL), WEFT_OK);
    assert_int_equal(plan_make(machine, "0-255", &plan, NULL), WEFT_OK);
    assert_int_equal(plan.shard_count, SHARDS_MAX);
    expect_refused(machine, "0-256", "at most 256 shards");
    free(machine);
}

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
        assert_int_equal(machine->cpus[i].allowed, CPU_ISSET(machine->cpus[i].cpu, &set) != 0);
        assert_true(i == 0 || machine->cpus[i - 1].cpu < machine->cpus[i].cpu);
        allowed += machine->cpus[i].allowed ? 1 : 0;
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
              sched_getcpu() == (int)cpu && machine_read_again(machine, &why) == WEFT_OK &&
              plan_make(machine, "auto", &plan, &why) == WEFT_OK && plan.shard_count == 1 && plan.shards[0].cpu == cpu;
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
    assert_int_equal(plan_make(machine, "auto", &plan, NULL), WEFT_OK);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan__one_cpu__one_shard),
        cmocka_unit_test(plan__hardware_threads__cores_first),
        cmocka_unit_test(plan__eight_sockets__memory_of_each_shard_is_near),
        cmocka_unit_test(plan__restricted_set__only_allowed_cpus),
        cmocka_unit_test(plan__nothing_allowed__refused),
        cmocka_unit_test(plan__bad_texts__refused_with_the_forms_that_are_right),
        cmocka_unit_test(plan__more_cpus_than_shards__capped_or_refused),
        cmocka_unit_test(machine__this_one__as_the_scheduler_sees_it),
        cmocka_unit_test(machine__thread_bound__runs_there_and_sees_one_cpu),
        cmocka_unit_test(machine__pin_to_no_cpu__refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
