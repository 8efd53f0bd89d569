/* SPDX-License-Identifier: Apache-2.0 */
/* The network's CPUs.
 *
 * Happy path: each interface's device lists its interrupts (msi_irqs); each row of /proc/interrupts that has occurred
 * belongs to the interfaces which listed it, or which it names; /proc/irq says where it goes.
 *
 * Failure modes: virtual interfaces have no interrupts, and in a container the device is another's: then nothing is
 * known of them, and that is what is shown.  All files and tables are bounded. */
#include "topology/machine/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "topology/machine/interrupts.h"
#include "topology/machine/system_file.h"

/* One row of /proc/interrupts: eleven columns of text for each CPU, and its tail. */
#define ROW_BYTES (CPU_NUMBERS_MAX * 11u + 1024u)
/* Interrupts that devices list. */
#define CLAIMS_MAX 4096u
/* Interfaces that are looked at. */
#define CANDIDATES_MAX 256u
#define FILE_NAME_BYTES 256u

struct claim {
    uint32_t interrupt;
    uint32_t candidate;
};

struct candidate {
    char name[NETWORK_NAME_BYTES]; /* as the system writes it */
    struct network_interface seen;
};

/* What is gathered; too large for a stack. */
struct search {
    const char *root;
    struct network *network;
    uint32_t claim_count;
    struct claim claims[CLAIMS_MAX];
    uint32_t candidate_count;
    uint32_t current; /* the candidate that is looked at */
    struct candidate candidates[CANDIDATES_MAX];
    struct interrupt_columns columns;
    struct interrupt_row row;
    char line[ROW_BYTES];
};

static bool name_visit(void *ctx, const char *name)
{
    struct search *search = ctx;
    size_t bytes = strlen(name);
    if (bytes >= NETWORK_NAME_BYTES) {
        return true; /* a file that is no interface */
    }
    if (search->candidate_count == CANDIDATES_MAX) {
        search->network->interfaces_beyond++;
        return true;
    }
    uint32_t at = search->candidate_count++;
    while (at > 0 && strcmp(search->candidates[at - 1].name, name) > 0) {
        search->candidates[at] = search->candidates[at - 1];
        at--;
    }
    struct candidate *candidate = &search->candidates[at];
    memset(candidate, 0, sizeof *candidate);
    memcpy(candidate->name, name, bytes + 1);
    for (size_t i = 0; i < bytes; i++) {
        candidate->seen.name[i] = (char)(name[i] > ' ' && name[i] <= '~' ? name[i] : '?');
    }
    return true;
}

static bool claim_visit(void *ctx, const char *name)
{
    struct search *search = ctx;
    char *end = NULL;
    unsigned long interrupt = strtoul(name, &end, 10);
    if (name[0] >= '0' && name[0] <= '9' && *end == '\0' && interrupt <= UINT32_MAX &&
        search->claim_count < CLAIMS_MAX) {
        search->claims[search->claim_count++] =
            (struct claim){.interrupt = (uint32_t)interrupt, .candidate = search->current};
    }
    return search->claim_count < CLAIMS_MAX;
}

struct spread_visit {
    struct search *search;
    struct candidate *candidate;
};

static bool queue_visit(void *ctx, const char *name)
{
    const struct spread_visit *visit = ctx;
    char path[SYSTEM_PATH_BYTES];
    char line[SYSTEM_LINE_BYTES];
    if (strncmp(name, "rx-", 3) == 0) {
        snprintf(path, sizeof path, "/sys/class/net/%s/queues/%.*s/rps_cpus", visit->candidate->name,
                 (int)FILE_NAME_BYTES, name);
        if (system_line_read(visit->search->root, path, line, sizeof line)) {
            (void)cpu_set_add_mask(&visit->candidate->seen.spread_cpus, line); /* another text: no CPU is known */
        }
    }
    return true;
}

static void candidate_look(struct search *search, struct candidate *candidate)
{
    char path[SYSTEM_PATH_BYTES];
    char line[SYSTEM_LINE_BYTES];
    snprintf(path, sizeof path, "/sys/class/net/%s/device/modalias", candidate->name);
    bool virtio = system_line_read(search->root, path, line, sizeof line) && strncmp(line, "virtio:", 7) == 0;
    /* A virtio device's interrupts are those of the PCI function around it. */
    snprintf(path, sizeof path, "/sys/class/net/%s/device/%smsi_irqs", candidate->name, virtio ? "../" : "");
    system_names_visit(search->root, path, claim_visit, search);
    snprintf(path, sizeof path, "/sys/class/net/%s/queues", candidate->name);
    struct spread_visit visit = {.search = search, .candidate = candidate};
    system_names_visit(search->root, path, queue_visit, &visit);
}

/* Whose interrupt the row is: of those whose devices list it, and of those that it names. */
static bool interrupt_owners(const struct search *search, uint32_t interrupt, bool owners[CANDIDATES_MAX])
{
    bool any = false;
    for (uint32_t i = 0; i < search->candidate_count; i++) {
        owners[i] = interrupt_tail_has(search->row.tail, search->candidates[i].name);
        any = any || owners[i];
    }
    for (uint32_t i = 0; i < search->claim_count; i++) {
        if (search->claims[i].interrupt == interrupt) {
            owners[search->claims[i].candidate] = true;
            any = true;
        }
    }
    return any;
}

/* Where an interrupt really goes, or else where it may go. */
static void interrupt_cpus(const struct search *search, uint32_t interrupt, struct cpu_set *set)
{
    static const char *const names[] = {"effective_affinity_list", "smp_affinity_list"};
    char path[SYSTEM_PATH_BYTES];
    char line[SYSTEM_LINE_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct cpu_set found = {{0}};
        snprintf(path, sizeof path, "/proc/irq/%u/%s", interrupt, names[i]);
        if (system_line_read(search->root, path, line, sizeof line) && cpu_set_add_list(&found, line) &&
            !cpu_set_is_empty(&found)) {
            cpu_set_join(set, &found);
            return;
        }
    }
}

static void interrupt_attribute(struct search *search)
{
    uint32_t interrupt;
    if (!interrupt_row_number(&search->row, &interrupt) || search->row.total == 0) {
        return; /* a vector that has never occurred says nothing */
    }
    bool owners[CANDIDATES_MAX];
    struct cpu_set cpus = {{0}};
    if (!interrupt_owners(search, interrupt, owners)) {
        return;
    }
    interrupt_cpus(search, interrupt, &cpus);
    for (uint32_t i = 0; i < search->candidate_count; i++) {
        struct network_interface *seen = &search->candidates[i].seen;
        if (owners[i]) {
            seen->interrupts++;
            cpu_set_join(&seen->interrupt_cpus, &cpus);
        }
    }
}

/* The rows of a table, one after the other. */
static void table_read(struct search *search, const char *path, void (*fn)(struct search *search))
{
    struct system_file file;
    bool cut = false;
    system_file_open(&file, search->root, path);
    if (system_file_line(&file, search->line, sizeof search->line, &cut) && !cut &&
        interrupt_columns_parse(&search->columns, search->line)) {
        while (system_file_line(&file, search->line, sizeof search->line, &cut)) {
            if (!cut && interrupt_row_parse(&search->columns, search->line, &search->row)) {
                fn(search);
            }
        }
    }
    system_file_close(&file);
}

static void softirq_take(struct search *search)
{
    struct network *network = search->network;
    if (strcmp(search->row.label, "NET_RX") == 0) {
        network->received_known = true;
        for (uint32_t i = 0; i < search->columns.count; i++) {
            if (search->columns.cpus[i] < CPU_NUMBERS_MAX) {
                network->received[search->columns.cpus[i]] = search->row.counts[i];
            }
        }
    }
}

static void network_keep(struct network *network, const struct network_interface *seen)
{
    if (seen->interrupts == 0 && cpu_set_is_empty(&seen->spread_cpus)) {
        network->interfaces_plain++;
    } else if (network->interface_count == NETWORK_INTERFACES_MAX) {
        network->interfaces_beyond++;
    } else {
        network->interfaces[network->interface_count++] = *seen;
    }
}

static void search_run(struct search *search)
{
    system_names_visit(search->root, "/sys/class/net", name_visit, search);
    for (search->current = 0; search->current < search->candidate_count; search->current++) {
        candidate_look(search, &search->candidates[search->current]);
    }
    table_read(search, "/proc/interrupts", interrupt_attribute);
    table_read(search, "/proc/softirqs", softirq_take);
    for (uint32_t i = 0; i < search->candidate_count; i++) {
        network_keep(search->network, &search->candidates[i].seen);
    }
}

enum weft_err network_read(const char *root, struct network *network, struct weft_error *why)
{
    memset(network, 0, sizeof *network);
    struct search *search = calloc(1, sizeof *search);
    if (search == NULL) {
        return weft_error_set(why, WEFT_ERR_NO_MEMORY, "no memory to look at network interfaces");
    }
    search->root = root;
    search->network = network;
    search_run(search);
    free(search);
    return WEFT_OK;
}

void network_cpus(const struct network *network, struct cpu_set *set)
{
    memset(set, 0, sizeof *set);
    for (uint32_t i = 0; i < network->interface_count; i++) {
        cpu_set_join(set, &network->interfaces[i].interrupt_cpus);
        cpu_set_join(set, &network->interfaces[i].spread_cpus);
    }
}
