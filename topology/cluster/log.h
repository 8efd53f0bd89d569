/* SPDX-License-Identifier: Apache-2.0 */
/* Log events of a node: rendered lines, limited in rate per kind of event and shard.  Details (level 'D') have an
 * allowance of their own, so that no number of ordinary ends keeps a warning from being seen. */
#ifndef TOPOLOGY_CLUSTER_LOG_H
#define TOPOLOGY_CLUSTER_LOG_H

#include <weft/node.h>

/* Kinds of events; each has its own allowance. */
enum log_kind {
    LOG_START = 0,
    LOG_LISTENING,
    LOG_TOPOLOGY,
    LOG_PEER_UP,
    LOG_PEER_DOWN,
    LOG_REFUSED_IN,
    LOG_REFUSED_OUT,
    LOG_ENDED_IN,
    LOG_ACCEPT_PAUSED,
    LOG_LINK_UP,
    LOG_LINK_DOWN,
    LOG_STOP,
    LOG_MISUSE, /* the host called what it must not call there */
    LOG_CRL_EXPIRED,
    LOG_CERTIFICATE,
    LOG_KIND_COUNT
};

#define LOG_UNLIMITED 0

/* One shard's log. */
struct log {
    weft_log_fn *fn; /* NULL: lines on stderr */
    void *ctx;
    struct weft_counters *counters; /* NULL where nobody counts */
    struct log_allowance {
        uint64_t since_ns;
        uint32_t count;
        uint32_t left_out;          /* since since_ns: told before the first line of a later window */
    } allowance[LOG_KIND_COUNT][2]; /* of details, of all others */
};

void log_init(struct log *log, weft_log_fn *fn, void *ctx, struct weft_counters *counters);
/* One line; dropped, counted and told once when this kind of event was logged too often within the last second.
 * @param now_ns monotonic; LOG_UNLIMITED for what the control thread was asked to do: no more often than it was asked
 */
void log_event(struct log *log, uint64_t now_ns, enum log_kind kind, char level, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
