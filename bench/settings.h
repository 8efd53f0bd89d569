/* SPDX-License-Identifier: Apache-2.0 */
/* What a benchmark was asked to do: one struct for every program that measures, so that two of them can be told the
 * same thing and their results say what they were told. */
#ifndef BENCH_SETTINGS_H
#define BENCH_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/call.h>
#include <weft/error.h>
#include <weft/node.h>

#define BENCH_SIZE_MAX WEFT_PAYLOAD_BYTES_MAX
/* As many calls as one shard of a node can be told to keep. */
#define BENCH_IN_FLIGHT_MAX 65536u
/* Of an open loop, where nothing else is said: more than a second's worth of waiting at common rates. */
#define BENCH_IN_FLIGHT_OPEN 16384u
#define BENCH_RATE_MAX 10000000u
#define BENCH_HANDLER_US_MAX 100000u
#define BENCH_TIMEOUT_MS_MAX 3600000u
#define BENCH_CONNECTIONS_MAX 1024u
#define BENCH_BESIDE_MAX 1024u
#define BENCH_SECONDS_MAX 86400.0

struct bench_settings {
    const char *to;         /* "HOST:PORT" of a server that runs; NULL: a local one is started */
    const char *cluster;    /* of that server; NULL: the default cluster's name */
    const char *congestion; /* NULL: the system's */
    const char *backend;    /* "auto", "io_uring" or "epoll" */
    double seconds;
    double warmup_seconds;
    uint32_t size;       /* bytes of payload, both ways */
    uint32_t in_flight;  /* over all connections; of an open loop the most */
    uint32_t rate;       /* calls a second, by a schedule that waits for nobody; 0: a closed loop */
    uint32_t handler_us; /* CPU that the local server burns for each call */
    uint32_t timeout_ms; /* of a call */
    uint32_t connections;
    uint32_t beside_count; /* calls under way on the bulk lane meanwhile; 0: none */
    uint32_t beside_size;  /* bytes of each */
    uint32_t server_cpu;
    uint32_t client_cpu;
    bool tls;
    bool one_way;
    bool busy_poll;
    enum weft_crypto crypto;
    enum weft_send_zerocopy zerocopy;
};

/* Defaults; the CPUs are the first two that this process may run on, or twice the only one. */
void bench_settings_init(struct bench_settings *settings);

/* The command line's words, as "--size 64".  Errors name the option and what would be right.
 * @return ok | INVALID */
WEFT_NODISCARD enum weft_err bench_settings_number(uint32_t *number, const char *option, const char *text, uint32_t min,
                                                   uint32_t max, struct weft_error *why);
WEFT_NODISCARD enum weft_err bench_settings_seconds(double *seconds, const char *text, struct weft_error *why);
/* "0,1": server, client. */
WEFT_NODISCARD enum weft_err bench_settings_cpus(struct bench_settings *settings, const char *text,
                                                 struct weft_error *why);
/* "1500", "64K", "1M": the payload's bytes, with K or M for powers of 1024. */
WEFT_NODISCARD enum weft_err bench_settings_size(struct bench_settings *settings, const char *text,
                                                 struct weft_error *why);
/* "4x1M": calls, and the bytes of each, with K or M for powers of 1024. */
WEFT_NODISCARD enum weft_err bench_settings_beside(struct bench_settings *settings, const char *text,
                                                   struct weft_error *why);
/* What no single option can know: CPUs that are not ours, fewer calls in flight than connections, loads that exclude
 * each other. */
WEFT_NODISCARD enum weft_err bench_settings_check(const struct bench_settings *settings, struct weft_error *why);

#endif
