/* SPDX-License-Identifier: Apache-2.0 */
/* The shard plan: which shard runs on which CPU.  Pure. */
#ifndef TOPOLOGY_MACHINE_PLAN_H
#define TOPOLOGY_MACHINE_PLAN_H

#include <stdint.h>

#include <weft/error.h>

#include "engine/base/limits.h"
#include "topology/machine/machine.h"

struct plan_shard {
    uint32_t cpu;
    uint32_t numa;
};

struct plan {
    uint32_t shard_count;
    struct plan_shard shards[SHARDS_MAX];
};

/* Place shards on a machine.
 *
 *   "auto", NULL   one shard on the first allowed CPU of each core, at most SHARDS_MAX
 *   "3"            that many: first one for each core, then the cores' second hardware threads, and so on
 *   "0-3,8"        shard 0 on CPU 0, ... shard 4 on CPU 8, in the order written; a lone CPU is written "8-8"
 *
 * @return ok | CONFIG: why says what is wrong with the text and what would be right; plan is then not valid */
WEFT_NODISCARD enum weft_err plan_make(const struct machine *machine, const char *shards_text, struct plan *plan,
                                       struct weft_error *why);

#endif
