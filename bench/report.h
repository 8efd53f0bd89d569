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
    uint64_t beside_calls; /* on the bulk lane, answered within the interval */
    uint64_t errors;
    struct weft_error error; /* the first of them */
    bool latency_known;
    struct histogram latency;
    struct bench_cost client;
    struct bench_cost server;
};

double bench_result_rate(const struct bench_result *result);
/* To stdout.  @return false if it could not be written */
bool bench_report_print(const struct bench_settings *settings, const struct bench_result *result);
/* One line with one object.  @return false if it could not be written */
bool bench_report_json(const struct bench_settings *settings, const struct bench_result *result);

#endif
