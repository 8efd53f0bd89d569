/* SPDX-License-Identifier: Apache-2.0 */
/* The load of weft-limit, apart from how bytes get in and out: frames, the window of calls, and what is measured.
 *
 * One struct serves both processes: the client turns responses into the next requests, the server requests into
 * responses, each by a fixed size and straight into what is sent next. */
#ifndef BENCH_LIMIT_LOAD_H
#define BENCH_LIMIT_LOAD_H

#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "bench/report.h"

#define LIMIT_REQUEST_HEADER_BYTES 28u  /* timeout u64, verb u64, id u64, length u32 */
#define LIMIT_RESPONSE_HEADER_BYTES 16u /* id u64, length u32, handler time u32 */
#define LIMIT_HEADER_BYTES_MAX LIMIT_REQUEST_HEADER_BYTES

/* What the server tells the client, in shared memory. */
struct limit_shared {
    atomic_uint_fast64_t calls;
    atomic_uint_fast64_t enters;
    atomic_uint_fast64_t bytes; /* of --oneway */
};

/* Bytes on their way out: one half is filled while the kernel reads the other. */
struct limit_out {
    uint8_t *data;
    uint64_t bytes;
    uint64_t sent;
};

struct limit_conn {
    struct limit_out out[2];
    uint8_t header[LIMIT_HEADER_BYTES_MAX]; /* of the frame that is coming in */
    uint32_t header_bytes;
    uint32_t payload_left;
    uint32_t first_slot; /* of the client's window */
    uint32_t slot_count;
    int socket;
    uint8_t filling; /* index of `out` */
    bool sending;
    bool closed;
};

struct limit_load {
    const struct bench_settings *settings;
    struct limit_conn *conns;
    struct limit_shared *shared;
    uint64_t enters;
    uint64_t calls;
    bool client;

    /* The client's. */
    struct bench_result *result;
    uint64_t *issued_ns; /* of each slot */
    uint64_t now_ns;
    uint64_t begin_ns;
    uint64_t end_ns;
    pid_t server;
    bool measuring;
    bool done;
    struct {
        uint64_t enters, cpu_ns, server_enters, server_calls, server_cpu_ns;
    } begin;
};

/* One line on stderr, and the end of this process; the other one ends with its sockets. */
_Noreturn void limit_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Zeroed, and backed as far as it is touched. */
void *limit_memory(uint64_t bytes);

/* Windows of the connections, and the two halves of what each sends: a whole window fits. */
void limit_load_init(struct limit_load *load);
void limit_load_fini(struct limit_load *load);
/* The client's clock starts, and the window of every connection is filled. */
void limit_load_start(struct limit_load *load);
/* Bytes arrived. */
void limit_load_input(struct limit_load *load, struct limit_conn *conn, const uint8_t *data, uint32_t bytes);
/* The server's numbers, for the client. */
void limit_load_publish(struct limit_load *load);

#endif
