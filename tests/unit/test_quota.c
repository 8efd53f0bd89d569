/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the quota of CPU time is found as the kernel applies it: the least one from the process's group up to the root,
 * in both versions of control groups, inside of containers too; and no text makes more of it than there is.
 * Method: tables of texts; then a directory with files as a machine has them, written by the test and read in place of
 * /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ftw.h>

#include <cmocka.h>

#include "topology/machine/quota.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char root[64];

static int root_make(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/weft-quota-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int entry_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int root_remove(void **state)
{
    (void)state;
    return nftw(root, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Write a file below the root, with the directories above it. */
static void put(const char *path, const char *text)
{
    char whole[512];
    assert_true((size_t)snprintf(whole, sizeof whole, "%s%s", root, path) < sizeof whole);
    for (char *slash = strchr(whole + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(whole, 0777);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect(uint32_t millicpus, const char *source)
{
    struct quota quota;
    quota_read(root, &quota);
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
    put("/proc/self/cgroup", "");
    expect(0, "");
    put("/proc/self/cgroup", "0::/a\n");
    expect(0, "");
}

static void quota__version_2__the_least_up_to_the_root(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/proc/self/mountinfo",
        "21 1 0:20 / /proc rw - proc proc rw\n24 23 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
    expect(0, "");
    put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    expect(0, "");
    put("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    expect(2500, "/sys/fs/cgroup/a/cpu.max");
    put("/sys/fs/cgroup/a/b/cpu.max", "300000 100000\n");
    expect(2500, "/sys/fs/cgroup/a/cpu.max");
    put("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    expect(500, "/sys/fs/cgroup/a/b/cpu.max");
    /* Never above the mount. */
    put("/sys/fs/cpu.max", "1000 100000\n");
    expect(500, "/sys/fs/cgroup/a/b/cpu.max");
}

static void quota__version_1__the_hierarchy_of_cpu(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "5:cpuset:/x\n4:cpuacct:/y\n3:cpu,cpuacct:/a\n1:name=systemd:/cpu\n");
    put("/proc/self/mountinfo", "30 29 0:25 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
                                "31 29 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "350000\n");
    expect(0, "");
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    expect(3500, "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us");
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
    expect(0, "");
}

static void quota__container__its_group_is_the_top_of_the_mount(void **state)
{
    (void)state;
    /* No namespace of groups: the file names the host's group, and the mount shows just that one. */
    put("/proc/self/cgroup", "3:cpu:/docker/42/in\n");
    put("/proc/self/mountinfo", "31 29 0:26 /docker/42 /cg\\040mount rw - cgroup cgroup rw,cpu\n");
    put("/cg mount/cpu.cfs_quota_us", "200000\n");
    put("/cg mount/cpu.cfs_period_us", "100000\n");
    expect(2000, "/cg mount/cpu.cfs_quota_us");
    put("/cg mount/in/cpu.cfs_quota_us", "100000\n");
    put("/cg mount/in/cpu.cfs_period_us", "100000\n");
    expect(1000, "/cg mount/in/cpu.cfs_quota_us");
    /* A group that only begins alike is another one's: what the mount itself says still holds. */
    put("/proc/self/cgroup", "3:cpu:/docker/420/in\n");
    expect(2000, "/cg mount/cpu.cfs_quota_us");
    put("/proc/self/cgroup", "3:cpu:/../in\n");
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
    put("/proc/self/cgroup", huge);
    put("/proc/self/mountinfo", "24 23 0:22 / / rw - cgroup2 cgroup2 rw\n");
    expect(0, "");
    put("/proc/self/cgroup", "::::\n0::\n0:\n\n0::a\n0::/a\n");
    put("/proc/self/mountinfo", huge);
    expect(0, "");
    put("/proc/self/mountinfo",
        " - \n - cgroup2\n1 - cgroup2 a b\n1 2 3 4 - cgroup2 a b\n1 2 3 nothing / - cgroup2 a b\n"
        "24 23 0:22 / /cg rw - cgroup2 cgroup2 rw\n");
    put("/cg/a/cpu.max", "100000 100000\n");
    expect(1000, "/cg/a/cpu.max");
    huge[199] = '\n';
    put("/cg/a/cpu.max", huge);
    expect(0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota__texts__thousandths_of_a_cpu),
        cmocka_unit_test_setup_teardown(quota__nothing_there__no_limit, root_make, root_remove),
        cmocka_unit_test_setup_teardown(quota__version_2__the_least_up_to_the_root, root_make, root_remove),
        cmocka_unit_test_setup_teardown(quota__version_1__the_hierarchy_of_cpu, root_make, root_remove),
        cmocka_unit_test_setup_teardown(quota__container__its_group_is_the_top_of_the_mount, root_make, root_remove),
        cmocka_unit_test_setup_teardown(quota__hostile_files__bounded_and_no_limit, root_make, root_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
