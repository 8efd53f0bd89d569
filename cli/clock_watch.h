/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that is set back makes certificates count again that had expired: whoever runs a node is to know. */
#ifndef CLI_CLOCK_WATCH_H
#define CLI_CLOCK_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* Zero to begin with. */
struct clock_watch {
    bool known;
    int64_t ahead_ns; /* of the wall clock, before the one that only goes on, when it was looked at last */
};

/* Both clocks, as they are now.
 * @return seconds by which the wall clock was set back since the last look; 0: by no more than a minute */
uint64_t clock_watch_look(struct clock_watch *watch, uint64_t monotonic_ns, uint64_t wall_ns);

#endif
