/* SPDX-License-Identifier: Apache-2.0 */
/* Both loops move one buffer again and again, as iperf3 does.  Failure modes: a socket that fails ends the process. */
#include "bench/limit_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bench/limit_load.h"

#define NS_PER_S 1000000000u

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void limit_stream_receive(int socket, atomic_uint_fast64_t *received)
{
    uint8_t *chunk = limit_memory(LIMIT_STREAM_CHUNK_BYTES);
    ssize_t got;
    while ((got = recv(socket, chunk, LIMIT_STREAM_CHUNK_BYTES, 0)) > 0) {
        atomic_fetch_add_explicit(received, (uint64_t)got, memory_order_relaxed);
    }
}

static void chunk_send(int socket, const uint8_t *chunk)
{
    for (size_t sent = 0; sent < LIMIT_STREAM_CHUNK_BYTES;) {
        ssize_t part = send(socket, chunk + sent, LIMIT_STREAM_CHUNK_BYTES - sent, MSG_NOSIGNAL);
        if (part < 0 && errno != EINTR) {
            limit_die("client: send: %s", strerror(errno));
        }
        sent += part > 0 ? (size_t)part : 0;
    }
}

void limit_stream_send(int socket, const struct bench_settings *settings, atomic_uint_fast64_t *received,
                       struct bench_result *result)
{
    uint8_t *chunk = limit_memory(LIMIT_STREAM_CHUNK_BYTES);
    memset(chunk, 0x5a, LIMIT_STREAM_CHUNK_BYTES);
    uint64_t begin_ns = clock_ns() + (uint64_t)(settings->warmup_seconds * NS_PER_S);
    uint64_t end_ns = begin_ns + (uint64_t)(settings->seconds * NS_PER_S);
    uint64_t received_at_begin = 0;
    uint64_t now_ns;
    while ((now_ns = clock_ns()) < end_ns) {
        if (result->begin_ns == 0 && now_ns >= begin_ns) {
            received_at_begin = atomic_load_explicit(received, memory_order_relaxed);
            result->begin_ns = now_ns;
        }
        chunk_send(socket, chunk);
    }
    result->end_ns = now_ns;
    result->calls = (atomic_load_explicit(received, memory_order_relaxed) - received_at_begin) / settings->size;
}
