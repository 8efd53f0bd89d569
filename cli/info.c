/* SPDX-License-Identifier: Apache-2.0 */
/* `weft info`: the version, the kernel, the CPUs with the shards that are placed on them and why, the network's
 * interrupts, the I/O backends that work here, and the congestion control of new connections; or, of a machine that is
 * described, the shards that would be placed there.
 *
 * What cannot be found out is shown as unknown; only a machine that cannot be read at all, or has no place for the
 * shards, is a failure. */
#include "cli/info.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/version.h>

#include "engine/io/io_uring_probe.h"
#include "topology/machine/map.h"
#include "topology/machine/system_file.h"

/* CPUs whose share of received packets is printed. */
#define BUSIEST_COUNT 4

enum info_key { KEY_JSON = 'j', KEY_SHARDS = 's', KEY_MACHINE = 'm', KEY_SMT = 256 };

struct info_arguments {
    bool json;
    const char *description;
    struct plan_wish wish;
};

static const struct argp_option info_options[] = {
    {"shards", KEY_SHARDS, "SHARDS", 0, "Place these shards: auto (default), a number, or CPUs such as 0-3,8", 0},
    {"smt", KEY_SMT, NULL, 0, "With auto: a shard on each hardware thread, not only on the first of each core", 0},
    {"machine", KEY_MACHINE, "MACHINE", 0,
     "Show another machine instead: such as \"package:2 core:8 pu:2\", or an XML file that lstopo exported", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 0},
    {0},
};

static error_t info_parse(int key, char *argument, struct argp_state *state)
{
    struct info_arguments *arguments = state->input;
    switch (key) {
    case KEY_JSON:
        arguments->json = true;
        return 0;
    case KEY_SHARDS:
        arguments->wish.shards = argument;
        return 0;
    case KEY_SMT:
        arguments->wish.smt = true;
        return 0;
    case KEY_MACHINE:
        arguments->description = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is too much: info takes no argument", argument);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The first line of a file; "unknown" if there is none. */
static void line_read(const char *path, char line[INFO_LINE_BYTES])
{
    if (!system_line_read("", path, line, INFO_LINE_BYTES)) {
        snprintf(line, INFO_LINE_BYTES, "unknown");
    }
}

static enum weft_err info_gather_system(struct info *info, struct weft_error *why)
{
    if (uname(&info->kernel) != 0) {
        snprintf(info->kernel.sysname, sizeof info->kernel.sysname, "unknown");
    }
    enum weft_err err = network_read("", &info->network, why);
    if (err != WEFT_OK) {
        return err;
    }
    network_cpus(&info->network, &info->network_cpus);
    info->io_uring_usable = io_uring_probe(info->io_uring_detail, sizeof info->io_uring_detail) == WEFT_OK;
    err = tls_crypto_describe(WEFT_CRYPTO_AUTO, &info->crypto, info->crypto_detail, why);
    if (err != WEFT_OK) {
        return err;
    }
    line_read("/proc/sys/net/ipv4/tcp_congestion_control", info->congestion);
    line_read("/proc/sys/net/ipv4/tcp_available_congestion_control", info->congestion_available);
    return WEFT_OK;
}

static enum weft_err info_gather(struct info *info, struct weft_error *why)
{
    struct cpu_set usable;
    enum weft_err err = info->description != NULL ? machine_read_description(&info->machine, info->description, why)
                                                  : machine_read(&info->machine, why);
    if (err == WEFT_OK) {
        err = plan_make(&info->machine, &info->wish, &info->plan, why);
    }
    if (err != WEFT_OK) {
        return err;
    }
    machine_select(&info->machine, MACHINE_USABLE, &usable);
    info->usable_count = cpu_set_count(&usable);
    return info->description != NULL ? WEFT_OK : info_gather_system(info, why);
}

void info_shards_on(const struct info *info, const struct cpu_set *cpus, struct cpu_set *shards)
{
    memset(shards, 0, sizeof *shards);
    for (uint32_t i = 0; i < info->plan.shard_count; i++) {
        if (cpu_set_has(cpus, info->plan.shards[i].cpu)) {
            cpu_set_add(shards, i);
        }
    }
}

static void machine_print(const struct info *info)
{
    const struct quota *quota = &info->machine.quota;
    struct cpu_set offline;
    machine_select(&info->machine, MACHINE_OFFLINE, &offline);
    printf("cpus        %u, of which this process may use %u", info->machine.cpu_count, info->usable_count);
    if (!cpu_set_is_empty(&offline)) {
        printf("; %u offline", cpu_set_count(&offline));
    }
    putchar('\n');
    if (quota->millicpus > 0) {
        printf("quota       %u.%02u CPUs by %s\n", quota->millicpus / 1000, quota->millicpus % 1000 / 10,
               quota->source);
    }
    printf("shards      %s makes %u%s:\n", info->wish.shards, info->plan.shard_count,
           info->wish.smt ? " with smt" : "");
    map_print(stdout, &info->machine, &info->plan, &info->network_cpus);
    if (info->plan.note[0] != '\0') {
        printf("note        %s\n", info->plan.note);
    }
    puts("why");
    map_print_whys(stdout, &info->machine, &info->plan);
}

static void interface_print(const struct info *info, const struct network_interface *interface)
{
    char label[NETWORK_NAME_BYTES + 48];
    struct cpu_set shards;
    if (interface->interrupts > 0) {
        snprintf(label, sizeof label, "  %s: %u interrupt%s on CPU ", interface->name, interface->interrupts,
                 interface->interrupts == 1 ? "" : "s");
        map_print_set(stdout, label, &interface->interrupt_cpus);
        info_shards_on(info, &interface->interrupt_cpus, &shards);
        map_print_set(stdout, "    shared by shards ", &shards);
    }
    if (!cpu_set_is_empty(&interface->spread_cpus)) {
        snprintf(label, sizeof label, "  %s: received packets spread (RPS) over CPU ", interface->name);
        map_print_set(stdout, label, &interface->spread_cpus);
        info_shards_on(info, &interface->spread_cpus, &shards);
        map_print_set(stdout, "    shared by shards ", &shards);
    }
}

/* The CPUs that received most, from the first on. */
static void received_print(const struct network *network)
{
    uint64_t total = 0;
    struct cpu_set printed = {{0}};
    for (uint32_t cpu = 0; cpu < CPU_NUMBERS_MAX; cpu++) {
        total += network->received[cpu] / CPU_NUMBERS_MAX; /* cannot overflow, whatever the file says */
    }
    if (!network->received_known || total == 0) {
        return;
    }
    for (uint32_t i = 0; i < BUSIEST_COUNT; i++) {
        uint32_t most = CPU_NUMBERS_MAX;
        for (uint32_t cpu = 0; cpu < CPU_NUMBERS_MAX; cpu++) {
            bool more = most == CPU_NUMBERS_MAX || network->received[cpu] > network->received[most];
            most = !cpu_set_has(&printed, cpu) && more ? cpu : most;
        }
        double percent = 100.0 * (double)(network->received[most] / CPU_NUMBERS_MAX) / (double)total;
        if (percent < 1) {
            break;
        }
        printf("%sCPU %u %.0f %%", i == 0 ? "  packets were received by " : ", ", most, percent);
        cpu_set_add(&printed, most);
    }
    putchar('\n');
}

static void network_print(const struct info *info)
{
    const struct network *network = &info->network;
    puts("network");
    for (uint32_t i = 0; i < network->interface_count; i++) {
        interface_print(info, &network->interfaces[i]);
    }
    if (network->interfaces_plain > 0) {
        printf("  %u interface%s no interrupts of %s own\n", network->interfaces_plain,
               network->interfaces_plain == 1 ? " has" : "s have", network->interfaces_plain == 1 ? "its" : "their");
    }
    if (network->interfaces_beyond > 0) {
        printf("  %u more are not shown\n", network->interfaces_beyond);
    }
    received_print(network);
}

static void info_print(const struct info *info)
{
    bool here = info->description == NULL;
    printf("weft        %s\n", weft_version());
    if (here) {
        printf("kernel      %s %s %s\n", info->kernel.sysname, info->kernel.release, info->kernel.machine);
    } else {
        printf("machine     %s\n", info->description);
    }
    machine_print(info);
    if (here) {
        network_print(info);
        printf("io_uring    %s: %s\n", info->io_uring_usable ? "usable" : "not usable", info->io_uring_detail);
        printf("epoll       usable\n");
        printf("crypto      %s: %s\n", tls_crypto_name(info->crypto), info->crypto_detail);
        printf("congestion  %s (available: %s)\n", info->congestion, info->congestion_available);
    }
}

static int info_run(struct info *info, bool json)
{
    struct weft_error why = {.code = WEFT_OK};
    if (info_gather(info, &why) != WEFT_OK) {
        fprintf(stderr, "weft info: %s\n", why.text);
        return 1;
    }
    bool ok = true;
    if (json) {
        ok = info_print_json(info);
    } else {
        info_print(info);
    }
    if (!ok || fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "weft info: could not write to stdout\n");
        return 1;
    }
    return 0;
}

int cli_info(int argc, char **argv)
{
    static const struct argp argp = {
        .options = info_options,
        .parser = info_parse,
        .doc = "Show what weft finds on this machine: CPUs, the shards it would run on them and why, the CPUs that the "
               "network's interrupts go to, I/O backends and why one cannot be used, the kernel and its congestion "
               "control.\v"
               "Run it under the same affinity, cgroup and user as the node: that is what it looks at.\n"
               "\n"
               "Exit codes: 0 printed, 1 the machine cannot be read or has no place for these shards, 2 usage.",
    };
    struct info_arguments arguments = {.wish = {.shards = "auto"}};
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    struct info *info = calloc(1, sizeof *info);
    if (info == NULL) {
        fprintf(stderr, "weft info: not enough memory\n");
        return 1;
    }
    info->wish = arguments.wish;
    info->description = arguments.description;
    int code = info_run(info, arguments.json);
    machine_close(&info->machine);
    free(info);
    return code;
}
