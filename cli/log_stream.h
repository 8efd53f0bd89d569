/* SPDX-License-Identifier: Apache-2.0 */
/* A node's log on standard error, from any thread.
 *
 * A line is written if it can be written now; a full pipe, a full disk or a reader that is gone costs lines, never
 * time.  How many were lost is counted, and said as soon as lines go through again. */
#ifndef CLI_LOG_STREAM_H
#define CLI_LOG_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct log_stream {
    bool verbose; /* details too */
    atomic_uint_fast64_t lost;
    uint64_t lost_told; /* guarded by the stream's lock */
};

/* One line, its level in front. */
void log_stream_line(struct log_stream *log, char level, const char *line);

#endif
