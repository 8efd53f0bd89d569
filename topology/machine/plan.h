/* SPDX-License-Identifier: Apache-2.0 */
/* The shard plan: which shard runs on which CPU, and why each CPU was taken or left.  Pure. */
#ifndef TOPOLOGY_MACHINE_PLAN_H
#define TOPOLOGY_MACHINE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

#include "engine/base/limits.h"
#include "topology/machine/machine.h"

/* What became of a CPU: enum, name in JSON, line in the map. */
/* clang-format off */
#define PLAN_WHYS(X)                                                                                                   \
    X(CORE, "core", "first usable hardware thread of its core: runs a shard")                                         \
    X(THREAD, "thread", "further hardware thread of its core: runs a shard")                                          \
    X(LISTED, "listed", "listed: runs a shard")                                                                       \
    X(SIBLING, "sibling", "free: its core has a shard; smt: true would use it, too")                                  \
    X(SLOWER, "slower", "free: auto takes the fastest kind of core; list it to use it")                               \
    X(QUOTA, "quota", "free: the quota of CPU time is spent on the shards before it")                                 \
    X(ENOUGH, "enough", "free: there are as many shards as asked for")                                                \
    X(FULL, "full", "free: a node has no more shards")                                                                \
    X(UNLISTED, "unlisted", "free: not listed")                                                                       \
    X(OFFLINE, "offline", "offline: the system does not use it")                                                      \
    X(CPUSET, "cpuset", "not in the cpuset of this process's control group")                                          \
    X(AFFINITY, "affinity", "not in the affinity mask of this process")
/* clang-format on */
#define PLAN_ENUM(name, word, line) PLAN_##name,
enum plan_why { PLAN_WHYS(PLAN_ENUM) PLAN_WHY_COUNT };
#undef PLAN_ENUM

#define PLAN_NOTE_BYTES 320u

struct plan_shard {
    uint32_t cpu;
    uint32_t core;
    uint32_t package;
    uint32_t numa;
};

struct plan {
    uint32_t shard_count;
    struct plan_shard shards[SHARDS_MAX];
    uint8_t whys[MACHINE_CPUS_MAX]; /* enum plan_why of machine->cpus */
    char note[PLAN_NOTE_BYTES];     /* what the operator should know of this plan, "" for nothing */
};

struct plan_wish {
    const char *shards; /* NULL: "auto" */
    bool smt;           /* auto takes each hardware thread instead of each core */
};

/* Whether the text can be meant, on any machine.  @return ok | CONFIG, as plan_make */
WEFT_NODISCARD enum weft_err plan_check_text(const char *text, struct weft_error *why);

/* Place shards on a machine.
 *
 *   "auto", NULL   one shard on the first usable CPU of each core of the fastest kind, or on all their CPUs with smt;
 *                  at most as many as the quota has whole CPUs, at least one, at most SHARDS_MAX
 *   "3"            that many: first one for each core, faster kinds first, then second hardware threads, and so on
 *   "0-3,8"        shard 0 on CPU 0, ... shard 4 on CPU 8, in the order written; a lone CPU is written "8-8"
 *
 * A number and a list are taken at their word, whatever the quota: that is noted.
 *
 * @return ok | CONFIG: why says what is wrong with the text and what would be right; plan is then not valid */
WEFT_NODISCARD enum weft_err plan_make(const struct machine *machine, const struct plan_wish *wish, struct plan *plan,
                                       struct weft_error *why);

/* The word of JSON, and the line for people. */
const char *plan_why_name(enum plan_why why);
const char *plan_why_line(enum plan_why why);

#endif
