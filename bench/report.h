/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a benchmark, and its two forms: a table for people, one JSON object for programs.
 *
 * Whatever measures echoes fills this struct, so that the results of any two of them have the same fields. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/histogram.h"
#include "bench/settings.h"

/* What one call cost one side; only where `known`. */
struct bench_cost {
    bool known;
    double enters_per_call; /* system calls of the data path */
    double cpu_ns_per_call; /* of the whole process, user and system */
};

/* How the calls of an open loop ended, counted by their caller, from the first one to the last. */
struct bench_sums {
    uint64_t offered;      /* that the schedule asked for */
    uint64_t not_accepted; /* of these: as many as may were in flight, or a queue was full */
    uint64_t sent;         /* the rest, which is the sum of the following */
    uint64_t answered;
    uint64_t busy;            /* the server had no room, or no time */
    uint64_t expired;         /* the client's deadline passed */
    uint64_t expired_at_peer; /* the server said so */
    uint64_t failed;
    uint64_t never_left; /* of those that ended here: never on the wire */
};

/* The same calls, counted by the server of a local run. */
struct bench_served {
    uint64_t received; /* which is the sum of the following */
    uint64_t answered;
    uint64_t busy;
    uint64_t expired;
    uint64_t failed;
    uint64_t aborted;
};

struct bench_memory {
    uint64_t before_bytes; /* resident before the load */
    uint64_t most_bytes;   /* resident at any time until its end */
};

struct bench_result {
    const char *program;  /* "weft bench rpc" */
    const char *backend;  /* that ran: "io_uring" or "epoll" */
    char tls_version[16]; /* "" on plain links */
    char tls_cipher[64];
    uint64_t begin_ns; /* of the measured interval, CLOCK_MONOTONIC */
    uint64_t end_ns;
    uint64_t calls;           /* ended within the interval; one-way: received within it */
    uint64_t zero_copy_sends; /* of the client, within the interval */
    uint64_t zero_copy_copied;
    uint64_t zero_copy_registered; /* of the sends, those from memory that the kernel knew already */
    uint64_t beside_calls; /* on the bulk lane, answered within the interval */
    uint64_t errors;
    struct weft_error error; /* the first of them */
    bool latency_known;
    struct histogram latency;
    struct bench_cost client;
    struct bench_cost server;
    struct bench_sums sums; /* of an open loop */
    struct bench_served served;
    uint64_t memory_budget_bytes; /* of each side's shard; 0: not known */
    struct bench_memory client_memory;
    struct bench_memory server_memory; /* zero: it runs elsewhere */
};

double bench_result_rate(const struct bench_result *result);
/* To stdout.  @return false if it could not be written */
bool bench_report_print(const struct bench_settings *settings, const struct bench_result *result);
/* One line with one object.  @return false if it could not be written */
bool bench_report_json(const struct bench_settings *settings, const struct bench_result *result);

#endif
