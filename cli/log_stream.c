/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log_stream.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* A pipe that is ready has room for a page, and a line is shorter.  Only this process may fill it in between: the
 * stream is locked from here to the write. */
static bool log_stream_ready(void)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0 && (ready.revents & POLLERR) == 0;
}

static bool log_stream_tell_lost(struct log_stream *log)
{
    uint64_t lost = atomic_load(&log->lost);
    if (lost == log->lost_told) {
        return true;
    }
    if (fprintf(stderr, "W %" PRIu64 " log lines were lost: standard error did not take them\n",
                lost - log->lost_told) < 0) {
        return false;
    }
    log->lost_told = lost;
    return log_stream_ready();
}

void log_stream_line(struct log_stream *log, char level, const char *line)
{
    if (level == 'D' && !log->verbose) {
        return;
    }
    flockfile(stderr);
    if (!log_stream_ready() || !log_stream_tell_lost(log) || fprintf(stderr, "%c %s\n", level, line) < 0) {
        clearerr(stderr);
        atomic_fetch_add(&log->lost, 1);
    }
    funlockfile(stderr);
}
