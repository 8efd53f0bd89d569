/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/clock_watch.h"

#define SECOND_NS INT64_C(1000000000)
/* What a clock that is kept right may move in one step. */
#define STEP_NS_MAX (60 * SECOND_NS)

uint64_t clock_watch_look(struct clock_watch *watch, uint64_t monotonic_ns, uint64_t wall_ns)
{
    int64_t ahead_ns = (int64_t)wall_ns - (int64_t)monotonic_ns;
    int64_t back_ns = watch->known ? watch->ahead_ns - ahead_ns : 0;
    watch->known = true;
    watch->ahead_ns = ahead_ns;
    return back_ns > STEP_NS_MAX ? (uint64_t)(back_ns / SECOND_NS) : 0;
}
