/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cluster/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"

#define LOG_LINE_BYTES 1024
#define LOG_WINDOW_NS UINT64_C(1000000000)
/* Lines of one kind within a window: enough for a cluster's start, too few to fill a disk. */
#define LOG_LINES_PER_WINDOW 64u

void log_init(struct log *log, weft_log_fn *fn, void *ctx, struct weft_counters *counters)
{
    memset(log, 0, sizeof *log);
    log->fn = fn;
    log->ctx = ctx;
    log->counters = counters;
}

static void log_emit(const struct log *log, char level, const char *line)
{
    if (log->fn != NULL) {
        log->fn(log->ctx, level, line);
    } else {
        fprintf(stderr, "%c %s\n", level, line);
    }
}

/* Whether this line may come.  That others are left out is told once in each window, where the first one is missing. */
static bool log_allowed(struct log *log, uint64_t now_ns, enum log_kind kind, char level)
{
    struct log_allowance *allowance = &log->allowance[kind][level != 'D'];
    if (now_ns == LOG_UNLIMITED) {
        return true;
    }
    if (now_ns - allowance->since_ns >= LOG_WINDOW_NS) {
        *allowance = (struct log_allowance){.since_ns = now_ns};
    }
    if (allowance->count < LOG_LINES_PER_WINDOW) {
        allowance->count++;
        return true;
    }
    if (allowance->count == LOG_LINES_PER_WINDOW) {
        allowance->count++;
        log_emit(log, level, "further lines like this are left out for up to a second; log_suppressed counts them");
    }
    if (log->counters != NULL) {
        __atomic_store_n(&log->counters->log_suppressed, log->counters->log_suppressed + 1, __ATOMIC_RELAXED);
    }
    return false;
}

void log_event(struct log *log, uint64_t now_ns, enum log_kind kind, char level, const char *format, ...)
{
    char raw[LOG_LINE_BYTES];
    char line[LOG_LINE_BYTES];
    if (!log_allowed(log, now_ns, kind, level)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    weft_text_escape(line, sizeof line, raw, (uint32_t)strlen(raw));
    log_emit(log, level, line);
}
