/* SPDX-License-Identifier: Apache-2.0 */
/* `weft info --json`.  What cannot be made for want of memory makes the whole object fail. */
#include <jansson.h>

#include <weft/version.h>

#include "cli/info.h"

static json_t *set_json(const struct cpu_set *set)
{
    json_t *array = json_array();
    for (uint32_t cpu = 0; cpu < CPU_NUMBERS_MAX; cpu++) {
        if (cpu_set_has(set, cpu) && json_array_append_new(array, json_integer(cpu)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *shards_json(const struct info *info)
{
    json_t *shards = json_array();
    for (uint32_t i = 0; i < info->plan.shard_count; i++) {
        const struct plan_shard *shard = &info->plan.shards[i];
        json_t *entry = json_pack("{s:i, s:i, s:i, s:i, s:i, s:b}", "shard", (int)i, "cpu", (int)shard->cpu, "core",
                                  (int)shard->core, "package", (int)shard->package, "numa", (int)shard->numa, "network",
                                  cpu_set_has(&info->network_cpus, shard->cpu) ? 1 : 0);
        if (json_array_append_new(shards, entry) != 0) {
            json_decref(shards);
            return NULL;
        }
    }
    return shards;
}

/* A number, or null where it is not known. */
static json_t *known_json(uint32_t number)
{
    return number != MACHINE_UNKNOWN ? json_integer(number) : json_null();
}

static json_t *cpu_list_json(const struct info *info)
{
    json_t *cpus = json_array();
    for (uint32_t i = 0; i < info->machine.cpu_count; i++) {
        const struct machine_cpu *cpu = &info->machine.cpus[i];
        json_t *entry = json_pack(
            "{s:i, s:o, s:o, s:o, s:i, s:s, s:b}", "cpu", (int)cpu->cpu, "core", known_json(cpu->core), "package",
            known_json(cpu->package), "numa", known_json(cpu->numa), "speed", (int)cpu->speed, "why",
            plan_why_name(info->plan.whys[i]), "network", cpu_set_has(&info->network_cpus, cpu->cpu) ? 1 : 0);
        if (json_array_append_new(cpus, entry) != 0) {
            json_decref(cpus);
            return NULL;
        }
    }
    return cpus;
}

static json_t *interfaces_json(const struct info *info)
{
    json_t *interfaces = json_array();
    for (uint32_t i = 0; i < info->network.interface_count; i++) {
        const struct network_interface *interface = &info->network.interfaces[i];
        struct cpu_set shards;
        info_shards_on(info, &interface->interrupt_cpus, &shards);
        json_t *entry = json_pack("{s:s, s:i, s:o, s:o, s:o}", "name", interface->name, "interrupts",
                                  (int)interface->interrupts, "cpus", set_json(&interface->interrupt_cpus), "spread",
                                  set_json(&interface->spread_cpus), "shards", set_json(&shards));
        if (json_array_append_new(interfaces, entry) != 0) {
            json_decref(interfaces);
            return NULL;
        }
    }
    return interfaces;
}

static json_t *received_json(const struct info *info)
{
    json_t *counts = json_array();
    for (uint32_t i = 0; info->network.received_known && i < info->machine.cpu_count; i++) {
        uint32_t cpu = info->machine.cpus[i].cpu;
        json_t *entry =
            json_pack("{s:i, s:I}", "cpu", (int)cpu, "count", (json_int_t)(info->network.received[cpu] & INT64_MAX));
        if (json_array_append_new(counts, entry) != 0) {
            json_decref(counts);
            return NULL;
        }
    }
    return counts;
}

static json_t *quota_json(const struct quota *quota)
{
    return quota->millicpus == 0 ? json_null()
                                 : json_pack("{s:f, s:s}", "cpus", quota->millicpus / 1000.0, "source", quota->source);
}

/* What is shown of this machine and of others. */
static json_t *machine_json(const struct info *info)
{
    struct cpu_set offline;
    machine_select(&info->machine, MACHINE_OFFLINE, &offline);
    return json_pack("{s:s, s:i, s:i, s:i, s:o, s:s, s:b, s:o, s:s, s:o}", "version", weft_version(), "cpus",
                     (int)info->machine.cpu_count, "cpus_allowed", (int)info->usable_count, "cpus_offline",
                     (int)cpu_set_count(&offline), "quota", quota_json(&info->machine.quota), "shards_wanted",
                     info->wish.shards, "smt", info->wish.smt ? 1 : 0, "shards", shards_json(info), "note",
                     info->plan.note, "cpu_list", cpu_list_json(info));
}

static json_t *system_json(const struct info *info)
{
    return json_pack("{s:s, s:s, s:{s:o, s:i, s:i, s:o}, s:{s:{s:b, s:s}, s:{s:b}}, s:{s:s, s:s}, s:s, s:s}", "kernel",
                     info->kernel.release, "machine", info->kernel.machine, "network", "interfaces",
                     interfaces_json(info), "interfaces_plain", (int)info->network.interfaces_plain,
                     "interfaces_not_shown", (int)info->network.interfaces_beyond, "received", received_json(info),
                     "backends", "io_uring", "usable", info->io_uring_usable ? 1 : 0, "detail", info->io_uring_detail,
                     "epoll", "usable", 1, "crypto", "used", tls_crypto_name(info->crypto), "detail",
                     info->crypto_detail, "tcp_congestion", info->congestion, "tcp_congestion_available",
                     info->congestion_available);
}

bool info_print_json(const struct info *info)
{
    json_t *object = machine_json(info);
    json_t *system = info->description == NULL ? system_json(info) : json_object();
    bool ok = object != NULL && system != NULL && json_object_update(object, system) == 0 &&
              json_dumpf(object, stdout, JSON_PRESERVE_ORDER) == 0;
    json_decref(system);
    json_decref(object);
    putchar('\n');
    return ok;
}
