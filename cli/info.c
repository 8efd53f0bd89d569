/* SPDX-License-Identifier: Apache-2.0 */
/* `weft info`: the version, the kernel, the CPUs with the shard plan that `shards: auto` makes of them, the I/O
 * backends that work here, and the congestion control of new connections.
 *
 * What cannot be found out is shown as unknown; only a machine that cannot be read at all is a failure. */
#include "cli/info.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <weft/version.h>

#include "engine/io/io_uring_probe.h"
#include "topology/machine/machine.h"
#include "topology/machine/plan.h"

/* One line of /proc/sys/net. */
#define INFO_LINE_BYTES 256

struct info {
    struct utsname kernel;
    struct machine machine;
    uint32_t allowed_count;
    struct plan plan;
    bool io_uring_usable;
    char io_uring_detail[WEFT_ERROR_TEXT_BYTES];
    char congestion[INFO_LINE_BYTES];
    char congestion_available[INFO_LINE_BYTES];
};

struct info_arguments {
    bool json;
};

static const struct argp_option info_options[] = {
    {"json", 'j', NULL, 0, "Print one JSON object", 0},
    {0},
};

static error_t info_parse(int key, char *argument, struct argp_state *state)
{
    struct info_arguments *arguments = state->input;
    switch (key) {
    case 'j':
        arguments->json = true;
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
    snprintf(line, INFO_LINE_BYTES, "unknown");
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    char text[INFO_LINE_BYTES];
    if (fgets(text, sizeof text, file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        snprintf(line, INFO_LINE_BYTES, "%s", text);
    }
    fclose(file);
}

static enum weft_err info_gather(struct info *info, struct weft_error *why)
{
    if (uname(&info->kernel) != 0) {
        snprintf(info->kernel.release, sizeof info->kernel.release, "unknown");
    }
    enum weft_err err = machine_read(&info->machine, why);
    if (err == WEFT_OK) {
        err = plan_make(&info->machine, &(struct plan_wish){0}, &info->plan, why);
    }
    if (err != WEFT_OK) {
        return err;
    }
    for (uint32_t i = 0; i < info->machine.cpu_count; i++) {
        info->allowed_count += info->machine.cpus[i].bar == MACHINE_USABLE ? 1 : 0;
    }
    info->io_uring_usable = io_uring_probe(info->io_uring_detail, sizeof info->io_uring_detail) == WEFT_OK;
    line_read("/proc/sys/net/ipv4/tcp_congestion_control", info->congestion);
    line_read("/proc/sys/net/ipv4/tcp_available_congestion_control", info->congestion_available);
    return WEFT_OK;
}

static void info_print(const struct info *info)
{
    printf("weft        %s\n", weft_version());
    printf("kernel      %s %s %s\n", info->kernel.sysname, info->kernel.release, info->kernel.machine);
    printf("cpus        %u, of which this process may use %u\n", info->machine.cpu_count, info->allowed_count);
    printf("shards      auto makes %u:\n", info->plan.shard_count);
    for (uint32_t i = 0; i < info->plan.shard_count; i++) {
        printf("              shard %u on CPU %u, memory node %u\n", i, info->plan.shards[i].cpu,
               info->plan.shards[i].numa);
    }
    printf("io_uring    %s: %s\n", info->io_uring_usable ? "usable" : "not usable", info->io_uring_detail);
    printf("epoll       usable\n");
    printf("congestion  %s (available: %s)\n", info->congestion, info->congestion_available);
}

static json_t *shards_json(const struct plan *plan)
{
    json_t *shards = json_array();
    for (uint32_t i = 0; i < plan->shard_count; i++) {
        json_t *shard = json_pack("{s:i, s:i, s:i}", "shard", (int)i, "cpu", (int)plan->shards[i].cpu, "numa",
                                  (int)plan->shards[i].numa);
        if (json_array_append_new(shards, shard) != 0) {
            json_decref(shards);
            return NULL;
        }
    }
    return shards;
}

static bool info_print_json(const struct info *info)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:i, s:i, s:o, s:{s:{s:b, s:s}, s:{s:b}}, s:s, s:s}", "version", weft_version(),
                  "kernel", info->kernel.release, "machine", info->kernel.machine, "cpus", (int)info->machine.cpu_count,
                  "cpus_allowed", (int)info->allowed_count, "shards", shards_json(&info->plan), "backends", "io_uring",
                  "usable", info->io_uring_usable ? 1 : 0, "detail", info->io_uring_detail, "epoll", "usable", 1,
                  "tcp_congestion", info->congestion, "tcp_congestion_available", info->congestion_available);
    bool ok = object != NULL && json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(object);
    putchar('\n');
    return ok;
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
        .doc = "Show what weft finds on this machine: CPUs and the shards it would run on them, I/O backends and why "
               "one cannot be used, the kernel and its congestion control.\v"
               "Run it under the same affinity, cgroup and user as the node: that is what it looks at.\n"
               "\n"
               "Exit codes: 0 printed, 1 the machine cannot be read or has no CPU for us, 2 usage.",
    };
    struct info_arguments arguments = {false};
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0) {
        return 2;
    }
    struct info *info = calloc(1, sizeof *info);
    if (info == NULL) {
        fprintf(stderr, "weft info: not enough memory\n");
        return 1;
    }
    int code = info_run(info, arguments.json);
    machine_close(&info->machine);
    free(info);
    return code;
}
