/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the network's CPUs are those that the kernel's tables name, whatever drivers and their users write into them.
 * Method: rows by themselves; then whole machines as directories of files: a network card, a virtio device, an
 * interface known by name alone, offline CPUs, spreading, and texts that are none of this. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/system_root.h"
#include "topology/machine/interrupts.h"
#include "topology/machine/network.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void columns__first_line__cpus_that_are_online(void **state)
{
    (void)state;
    static struct interrupt_columns columns;
    assert_true(interrupt_columns_parse(&columns, "           CPU0       CPU2       CPU17       "));
    assert_int_equal(columns.count, 3);
    assert_int_equal(columns.cpus[1], 2);
    assert_int_equal(columns.cpus[2], 17);
    static const char *const bad[] = {"",     "   ", "CPU",    "CPUx",      "CPU0x",
                                      "cpu0", "0 1", "CPU0 1", "CPU0,CPU1", "CPU9999999999"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(interrupt_columns_parse(&columns, bad[i]));
    }
    /* One more than there is room for. */
    static char line[(CPU_NUMBERS_MAX + 1) * 5 + 1];
    for (size_t i = 0; i <= CPU_NUMBERS_MAX; i++) {
        memcpy(line + i * 5, "CPU1 ", 5);
    }
    assert_false(interrupt_columns_parse(&columns, line));
    assert_true(interrupt_columns_parse(&columns, line + 5));
}

static void row__counts__by_column(void **state)
{
    (void)state;
    static struct interrupt_columns columns;
    static struct interrupt_row row;
    uint32_t number = 0;
    assert_true(interrupt_columns_parse(&columns, "CPU0 CPU2"));
    assert_true(
        interrupt_row_parse(&columns, " 36:          7     563603 PCI-MSIX-0000:00:02.0   1-edge      eth0-rx", &row));
    assert_string_equal(row.label, "36");
    assert_int_equal(row.counts[0], 7);
    assert_int_equal(row.counts[1], 563603);
    assert_int_equal(row.total, 563610);
    assert_string_equal(row.tail, "PCI-MSIX-0000:00:02.0   1-edge      eth0-rx");
    assert_true(interrupt_row_number(&row, &number));
    assert_int_equal(number, 36);

    assert_true(interrupt_row_parse(&columns, "ERR:          3", &row));
    assert_false(interrupt_row_number(&row, &number));
    assert_int_equal(row.total, 3);
    assert_string_equal(row.tail, "");

    /* Chips whose names begin with digits are no counts, and counts end where they overflow. */
    assert_true(interrupt_row_parse(&columns, "5: 1 8250-edge 9", &row));
    assert_int_equal(row.total, 1);
    assert_int_equal(row.counts[1], 0);
    assert_string_equal(row.tail, "8250-edge 9");
    assert_true(interrupt_row_parse(&columns, "5: 99999999999999999999999 99999999999999999999999", &row));
    assert_true(row.total == UINT64_MAX);

    static const char *const bad[] = {"", ":", " : 1 2", "5 1 2", "no colon", "a_label_that_is_too_long: 1 2"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(interrupt_row_parse(&columns, bad[i], &row));
    }
    assert_true(interrupt_row_parse(&columns, "4294967296: 1 2 x", &row));
    assert_false(interrupt_row_number(&row, &number));
}

static void tail__interface__as_a_word(void **state)
{
    (void)state;
    static const struct {
        const char *tail;
        const char *interface;
        bool has;
    } cases[] = {
        {"PCI-MSI 524288-edge      eth0", "eth0", true},
        {"PCI-MSI 524288-edge      eth0-TxRx-3", "eth0", true},
        {"IO-APIC 16-fasteoi   ehci_hcd, eth0", "eth0", true},
        {"PCI-MSI 1-edge mlx5_comp3@eth0", "eth0", true},
        {"PCI-MSI 1-edge eth10", "eth1", false},
        {"PCI-MSI 1-edge eth10, eth1", "eth1", true},
        {"PCI-MSI 1-edge veth0", "eth0", false},
        {"PCI-MSI 1-edge", "eth0", false},
        {"", "eth0", false},
        {"PCI-MSI 1-edge eth0", "", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(interrupt_tail_has(cases[i].tail, cases[i].interface), cases[i].has);
    }
}

/* What is known, as "name interrupts cpus spread; ...". */
static void expect_network(const char *words)
{
    struct network *network = calloc(1, sizeof *network);
    char text[1024] = "";
    assert_non_null(network);
    assert_int_equal(network_read(system_root, network, NULL), WEFT_OK);
    for (uint32_t i = 0; i < network->interface_count; i++) {
        const struct network_interface *interface = &network->interfaces[i];
        char cpus[64];
        char spread[64];
        char one[160];
        snprintf(one, sizeof one, "%s %u %s %s; ", interface->name, interface->interrupts,
                 cpu_set_print(&interface->interrupt_cpus, cpus, sizeof cpus),
                 cpu_set_print(&interface->spread_cpus, spread, sizeof spread));
        assert_true(strlen(text) + strlen(one) < sizeof text);
        memcpy(text + strlen(text), one, strlen(one) + 1);
    }
    char plain[32];
    snprintf(plain, sizeof plain, "%u plain", network->interfaces_plain);
    memcpy(text + strlen(text), plain, strlen(plain) + 1);
    assert_string_equal(text, words);
    free(network);
}

static void network__nothing_there__nothing_known(void **state)
{
    (void)state;
    expect_network("0 plain");
    system_root_put("/sys/class/net/lo/queues/rx-0/rps_cpus", "0\n");
    expect_network("1 plain");
}

static void network__queues__where_their_interrupts_go(void **state)
{
    (void)state;
    system_root_put("/sys/class/net/lo/queues/rx-0/rps_cpus", "0\n");
    system_root_put("/sys/class/net/ens5/queues/rx-0/rps_cpus", "0\n");
    /* The card's three interrupts: two occurred; the driver does not name the interface. */
    system_root_put("/sys/class/net/ens5/device/msi_irqs/40", "msix\n");
    system_root_put("/sys/class/net/ens5/device/msi_irqs/41", "msix\n");
    system_root_put("/sys/class/net/ens5/device/msi_irqs/42", "msix\n");
    /* By name alone. */
    system_root_put("/sys/class/net/eth1/mtu", "1500\n");
    system_root_put("/sys/class/net/eth10/mtu", "1500\n");
    system_root_put("/proc/interrupts", "            CPU0       CPU1       CPU3\n"
                                        "  8:          1          0          0   IO-APIC   8-edge      rtc0\n"
                                        " 40:          0         99          0   PCI-MSIX  0-edge      comp-0\n"
                                        " 41:          5          0          7   PCI-MSIX  1-edge      comp-1\n"
                                        " 42:          0          0          0   PCI-MSIX  2-edge      comp-2\n"
                                        " 50:          1          0          0   PCI-MSIX  2-edge      eth10-rx-0\n"
                                        "LOC:    5941630    5551928          0   Local timer interrupts\n"
                                        "ERR:          0\n");
    system_root_put("/proc/irq/40/smp_affinity_list", "0-3\n");
    system_root_put("/proc/irq/40/effective_affinity_list", "1\n");
    system_root_put("/proc/irq/41/smp_affinity_list", "3\n");
    system_root_put("/proc/irq/41/effective_affinity_list", "\n");
    system_root_put("/proc/irq/42/smp_affinity_list", "0\n");
    system_root_put("/proc/irq/50/smp_affinity_list", "2-3\n");
    expect_network("ens5 2 1,3 none; eth10 1 2-3 none; 2 plain");
    /* Received packets are spread by two queues. */
    system_root_put("/sys/class/net/eth1/queues/rx-0/rps_cpus", "00000000,00000006\n");
    system_root_put("/sys/class/net/eth1/queues/rx-1/rps_cpus", "1,00000000\n");
    system_root_put("/sys/class/net/eth1/queues/tx-0/xps_cpus", "8\n");
    expect_network("ens5 2 1,3 none; eth1 0 none 1-2,32; eth10 1 2-3 none; 1 plain");
}

static void network__virtio__interrupts_of_the_function_around_it(void **state)
{
    (void)state;
    system_root_put("/sys/class/net/eth0/device/modalias", "virtio:d00000001v00001AF4\n");
    system_root_put("/sys/class/net/eth0/msi_irqs/38", "msix\n"); /* device/.. of a directory that is no link */
    system_root_put("/proc/interrupts", "CPU0 CPU1\n38: 0 571 PCI-MSIX-0000:00:03.0 1-edge virtio2-input.0\n");
    system_root_put("/proc/irq/38/smp_affinity_list", "1\n");
    expect_network("eth0 1 1 none; 0 plain");
    /* Another bus: what lies around the device is a bridge, and none of its own. */
    system_root_put("/sys/class/net/eth0/device/modalias", "pci:v00008086\n");
    expect_network("1 plain");
}

static void network__softirqs__received_by_cpu(void **state)
{
    (void)state;
    struct network *network = calloc(1, sizeof *network);
    assert_non_null(network);
    system_root_put("/proc/softirqs", "       CPU0  CPU1  CPU7\n   HI: 1 2 3\nNET_TX: 4 5 6\nNET_RX: 70 80 90\n");
    assert_int_equal(network_read(system_root, network, NULL), WEFT_OK);
    assert_true(network->received_known);
    assert_int_equal(network->received[0], 70);
    assert_int_equal(network->received[1], 80);
    assert_int_equal(network->received[2], 0);
    assert_int_equal(network->received[7], 90);
    free(network);
}

static void network__hostile_files__bounded_and_printable(void **state)
{
    (void)state;
    static char huge[100000];
    memset(huge, '7', sizeof huge - 1);
    system_root_put("/proc/interrupts", huge);
    system_root_put("/proc/softirqs", "CPU0 CPU5000\nNET_RX: 1 2\n");
    system_root_put("/sys/class/net/a\033[2J/queues/rx-0/rps_cpus", "3\n");
    system_root_put("/sys/class/net/bad/queues/rx-0/rps_cpus", huge);
    system_root_put("/sys/class/net/bad/device/msi_irqs/12x", "");
    system_root_put("/sys/class/net/bad/device/msi_irqs/99999999999999", "");
    system_root_put("/sys/class/net/a_name_that_is_no_interface/mtu", "");
    expect_network("a?[2J 0 none 0-1; 1 plain");
    /* A row that is too long is left out, and the next one counts. */
    memset(huge, ' ', sizeof huge - 1);
    memcpy(huge, "CPU0 CPU1\n40: 1 1 bad", 21);
    memcpy(huge + sizeof huge - 24, "\n41: 1 1 chip bad-1\n   ", 23);
    system_root_put("/proc/interrupts", huge);
    system_root_put("/proc/irq/40/smp_affinity_list", "0\n");
    system_root_put("/proc/irq/41/smp_affinity_list", "1\n");
    expect_network("a?[2J 0 none 0-1; bad 1 1 none; 0 plain");
    /* Nobody says where it goes. */
    system_root_put("/proc/irq/41/smp_affinity_list", "everywhere\n");
    expect_network("a?[2J 0 none 0-1; bad 1 none none; 0 plain");
}

static void network__many_interfaces__counted_beyond(void **state)
{
    (void)state;
    struct network *network = calloc(1, sizeof *network);
    assert_non_null(network);
    for (uint32_t i = 0; i < 300; i++) {
        char path[96];
        snprintf(path, sizeof path, "/sys/class/net/v%u/queues/rx-0/rps_cpus", i);
        system_root_put(path, "1\n");
    }
    assert_int_equal(network_read(system_root, network, NULL), WEFT_OK);
    assert_int_equal(network->interface_count, NETWORK_INTERFACES_MAX);
    assert_int_equal(network->interfaces_beyond, 300 - NETWORK_INTERFACES_MAX);
    struct cpu_set cpus;
    network_cpus(network, &cpus);
    assert_int_equal(cpu_set_count(&cpus), 1);
    free(network);
}

#define ON_ROOT(test) cmocka_unit_test_setup_teardown(test, system_root_make, system_root_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns__first_line__cpus_that_are_online),
        cmocka_unit_test(row__counts__by_column),
        cmocka_unit_test(tail__interface__as_a_word),
        ON_ROOT(network__nothing_there__nothing_known),
        ON_ROOT(network__queues__where_their_interrupts_go),
        ON_ROOT(network__virtio__interrupts_of_the_function_around_it),
        ON_ROOT(network__softirqs__received_by_cpu),
        ON_ROOT(network__hostile_files__bounded_and_printable),
        ON_ROOT(network__many_interfaces__counted_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
