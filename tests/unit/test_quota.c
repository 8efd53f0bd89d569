/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the quota of CPU time is found as the kernel applies it: the least one from the process's group up to the root,
 * in both versions of control groups, inside of containers too; and no text makes more of it than there is.
 * Method: tables of texts; then a directory with files as a machine has them, written by the test and read in place of
 * /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/system_root.h"
#include "topology/machine/quota.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void expect(uint32_t millicpus, const char *source)
{
    struct quota quota;
    quota_read(system_root, &quota);
    assert_int_equal(quota.millicpus, millicpus);
    assert_string_equal(quota.source, source);
}

static void quota__texts__thousandths_of_a_cpu(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t millicpus;
    } cases[] = {{"max 100000", 0},  {"200000 100000", 2000}, {"150000 100000", 1500},
                 {"1 1000000", 1},   {"1000 100000", 10},     {"", 0},
                 {"100000", 0},      {"100000 0", 0},         {"0 100000", 0},
                 {"-1 100000", 0},   {"100000 100000 ", 0},   {"100000  100000", 0},
                 {"1e5 100000", 0},  {"9999999999999 1", 0},  {"4096000 1000", 4096000},
                 {"4097000 1000", 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(quota_of_max(cases[i].text), cases[i].millicpus);
    }
    assert_int_equal(quota_of_cfs("250000", "100000"), 2500);
    assert_int_equal(quota_of_cfs("-1", "100000"), 0);
    assert_int_equal(quota_of_cfs("250000", ""), 0);
    assert_int_equal(quota_of_cfs("250000", "0"), 0);
    assert_int_equal(quota_of_cfs("250000 ", "100000"), 0);
}

static void quota__nothing_there__no_limit(void **state)
{
    (void)state;
    expect(0, "");
    system_root_put("/proc/self/cgroup", "");
    expect(0, "");
    system_root_put("/proc/self/cgroup", "0::/a\n");
    expect(0, "");
}

static void quota__version_2__the_least_up_to_the_root(void **state)
{
    (void)state;
    system_root_put("/proc/self/cgroup", "0::/a/b\n");
    system_root_put(
        "/proc/self/mountinfo",
        "21 1 0:20 / /proc rw - proc proc rw\n24 23 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
    expect(0, "");
    system_root_put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    expect(0, "");
    system_root_put("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    expect(2500, "/sys/fs/cgroup/a/cpu.max");
    system_root_put("/sys/fs/cgroup/a/b/cpu.max", "300000 100000\n");
    expect(2500, "/sys/fs/cgroup/a/cpu.max");
    system_root_put("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    expect(500, "/sys/fs/cgroup/a/b/cpu.max");
    /* Never above the mount. */
    system_root_put("/sys/fs/cpu.max", "1000 100000\n");
    expect(500, "/sys/fs/cgroup/a/b/cpu.max");
}

static void quota__version_1__the_hierarchy_of_cpu(void **state)
{
    (void)state;
    system_root_put("/proc/self/cgroup", "5:cpuset:/x\n4:cpuacct:/y\n3:cpu,cpuacct:/a\n1:name=systemd:/cpu\n");
    system_root_put("/proc/self/mountinfo",
                    "30 29 0:25 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
                    "31 29 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
    system_root_put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "350000\n");
    expect(0, "");
    system_root_put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    expect(3500, "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us");
    system_root_put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
    expect(0, "");
}

static void quota__container__its_group_is_the_top_of_the_mount(void **state)
{
    (void)state;
    /* No namespace of groups: the file names the host's group, and the mount shows just that one. */
    system_root_put("/proc/self/cgroup", "3:cpu:/docker/42/in\n");
    system_root_put("/proc/self/mountinfo", "31 29 0:26 /docker/42 /cg\\040mount rw - cgroup cgroup rw,cpu\n");
    system_root_put("/cg mount/cpu.cfs_quota_us", "200000\n");
    system_root_put("/cg mount/cpu.cfs_period_us", "100000\n");
    expect(2000, "/cg mount/cpu.cfs_quota_us");
    system_root_put("/cg mount/in/cpu.cfs_quota_us", "100000\n");
    system_root_put("/cg mount/in/cpu.cfs_period_us", "100000\n");
    expect(1000, "/cg mount/in/cpu.cfs_quota_us");
    /* A group that only begins alike is another one's: what the mount itself says still holds. */
    system_root_put("/proc/self/cgroup", "3:cpu:/docker/420/in\n");
    expect(2000, "/cg mount/cpu.cfs_quota_us");
    system_root_put("/proc/self/cgroup", "3:cpu:/../in\n");
    expect(2000, "/cg mount/cpu.cfs_quota_us");
}

static void quota__hostile_files__bounded_and_no_limit(void **state)
{
    (void)state;
    static char huge[200000];
    memset(huge, 'a', sizeof huge - 1);
    huge[0] = '0';
    huge[1] = huge[2] = ':';
    huge[3] = '/';
    system_root_put("/proc/self/cgroup", huge);
    system_root_put("/proc/self/mountinfo", "24 23 0:22 / / rw - cgroup2 cgroup2 rw\n");
    expect(0, "");
    system_root_put("/proc/self/cgroup", "::::\n0::\n0:\n\n0::a\n0::/a\n");
    system_root_put("/proc/self/mountinfo", huge);
    expect(0, "");
    system_root_put("/proc/self/mountinfo",
                    " - \n - cgroup2\n1 - cgroup2 a b\n1 2 3 4 - cgroup2 a b\n1 2 3 nothing / - cgroup2 a b\n"
                    "24 23 0:22 / /cg rw - cgroup2 cgroup2 rw\n");
    system_root_put("/cg/a/cpu.max", "100000 100000\n");
    expect(1000, "/cg/a/cpu.max");
    huge[199] = '\n';
    system_root_put("/cg/a/cpu.max", huge);
    expect(0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota__texts__thousandths_of_a_cpu),
        cmocka_unit_test_setup_teardown(quota__nothing_there__no_limit, system_root_make, system_root_remove),
        cmocka_unit_test_setup_teardown(quota__version_2__the_least_up_to_the_root, system_root_make,
                                        system_root_remove),
        cmocka_unit_test_setup_teardown(quota__version_1__the_hierarchy_of_cpu, system_root_make, system_root_remove),
        cmocka_unit_test_setup_teardown(quota__container__its_group_is_the_top_of_the_mount, system_root_make,
                                        system_root_remove),
        cmocka_unit_test_setup_teardown(quota__hostile_files__bounded_and_no_limit, system_root_make,
                                        system_root_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
