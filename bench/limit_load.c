/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and measuring of weft-limit.
 *
 * Happy path: a response is a header, checked, and a payload, skipped; then one read of the clock, one latency, and
 * the next request in the same slot.  Failure modes: a frame that is not the expected one is a bug of this program, or
 * somebody else's bytes; either way the run is worth nothing and ends. */
#include "bench/limit_load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/bytes.h"

#define VERB_ECHO 2u
#define TIMEOUT_MS 10000u
#define NS_PER_S 1000000000u

_Noreturn void limit_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("weft-limit: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

void *limit_memory(uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        limit_die("no memory for %llu bytes", (unsigned long long)bytes);
    }
    return memory;
}

static uint64_t clock_read(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void limit_load_init(struct limit_load *load)
{
    const struct bench_settings *settings = load->settings;
    uint32_t slot = 0;
    load->conns = calloc(settings->connections, sizeof *load->conns);
    load->issued_ns = calloc(settings->in_flight, sizeof *load->issued_ns);
    if (load->conns == NULL || load->issued_ns == NULL) {
        limit_die("no memory for %u connections and %u calls", settings->connections, settings->in_flight);
    }
    for (uint32_t i = 0; i < settings->connections; i++) {
        struct limit_conn *conn = &load->conns[i];
        conn->first_slot = slot;
        conn->slot_count =
            settings->in_flight / settings->connections + (i < settings->in_flight % settings->connections ? 1 : 0);
        slot += conn->slot_count;
        for (uint32_t half = 0; half < 2; half++) {
            conn->out[half].data = limit_memory(conn->slot_count * (LIMIT_HEADER_BYTES_MAX + (uint64_t)settings->size));
        }
    }
}

static uint8_t *out_append(struct limit_conn *conn, uint64_t bytes)
{
    struct limit_out *out = &conn->out[conn->filling];
    uint8_t *to = out->data + out->bytes;
    out->bytes += bytes;
    return to;
}

static void request_write(struct limit_load *load, struct limit_conn *conn, uint32_t slot)
{
    uint32_t size = load->settings->size;
    uint8_t *to = out_append(conn, LIMIT_REQUEST_HEADER_BYTES + (uint64_t)size);
    bytes_store64(to, TIMEOUT_MS);
    bytes_store64(to + 8, VERB_ECHO);
    bytes_store64(to + 16, (uint64_t)slot + 1);
    bytes_store32(to + 24, size);
    memset(to + LIMIT_REQUEST_HEADER_BYTES, (int)(slot & 0x7f), size);
    load->issued_ns[slot] = load->now_ns;
}

static void client_begin(struct limit_load *load)
{
    clockid_t clock;
    clock_getcpuclockid(load->server, &clock);
    load->measuring = true;
    load->calls = 0;
    load->begin.enters = load->enters;
    load->begin.server_calls = atomic_load(&load->shared->calls);
    load->begin.server_enters = atomic_load(&load->shared->enters);
    load->begin.server_cpu_ns = clock_read(clock);
    load->begin.cpu_ns = clock_read(CLOCK_PROCESS_CPUTIME_ID);
    load->result->begin_ns = load->now_ns;
}

static void cost_fill(struct bench_cost *cost, uint64_t enters, uint64_t cpu_ns, uint64_t calls)
{
    cost->known = calls > 0;
    if (cost->known) {
        cost->enters_per_call = (double)enters / (double)calls;
        cost->cpu_ns_per_call = (double)cpu_ns / (double)calls;
    }
}

static void client_end(struct limit_load *load)
{
    clockid_t clock;
    clock_getcpuclockid(load->server, &clock);
    load->done = true;
    load->result->end_ns = load->now_ns;
    load->result->calls = load->calls;
    cost_fill(&load->result->client, load->enters - load->begin.enters,
              clock_read(CLOCK_PROCESS_CPUTIME_ID) - load->begin.cpu_ns, load->calls);
    cost_fill(&load->result->server, atomic_load(&load->shared->enters) - load->begin.server_enters,
              clock_read(clock) - load->begin.server_cpu_ns,
              atomic_load(&load->shared->calls) - load->begin.server_calls);
}

/* A whole response is there. */
static void response_end(struct limit_load *load, struct limit_conn *conn)
{
    uint64_t slot = bytes_load64(conn->header) - 1;
    load->now_ns = clock_read(CLOCK_MONOTONIC);
    if (slot - conn->first_slot >= conn->slot_count) {
        limit_die("client: a response to no request");
    }
    if (load->measuring) {
        histogram_record(&load->result->latency, load->now_ns - load->issued_ns[slot]);
        load->calls++;
        if (load->now_ns >= load->end_ns) {
            client_end(load);
            return;
        }
    } else if (load->now_ns >= load->begin_ns) {
        client_begin(load);
    }
    request_write(load, conn, (uint32_t)slot);
}

/* A request's header is there: the response's can be written, and the payload will follow it. */
static void request_begin(struct limit_load *load, struct limit_conn *conn)
{
    uint8_t *to = out_append(conn, LIMIT_RESPONSE_HEADER_BYTES);
    memcpy(to, conn->header + 16, 8);
    bytes_store32(to + 8, load->settings->size);
    bytes_store32(to + 12, 0);
    load->calls++;
}

static uint32_t header_length(const struct limit_load *load, const struct limit_conn *conn)
{
    return bytes_load32(conn->header + (load->client ? 8 : 24));
}

void limit_load_input(struct limit_load *load, struct limit_conn *conn, const uint8_t *data, uint32_t bytes)
{
    const uint32_t header_bytes = load->client ? LIMIT_RESPONSE_HEADER_BYTES : LIMIT_REQUEST_HEADER_BYTES;
    while (bytes > 0 && !load->done) {
        if (conn->header_bytes < header_bytes) {
            uint32_t missing = header_bytes - conn->header_bytes;
            uint32_t taken = bytes < missing ? bytes : missing;
            memcpy(conn->header + conn->header_bytes, data, taken);
            conn->header_bytes += taken;
            data += taken;
            bytes -= taken;
            if (taken < missing) {
                return;
            }
            if (header_length(load, conn) != load->settings->size) {
                limit_die("%s: a frame of another size", load->client ? "client" : "server");
            }
            conn->payload_left = load->settings->size;
            if (!load->client) {
                request_begin(load, conn);
            }
        }
        uint32_t taken = bytes < conn->payload_left ? bytes : conn->payload_left;
        if (!load->client && taken > 0) {
            memcpy(out_append(conn, taken), data, taken);
        }
        conn->payload_left -= taken;
        data += taken;
        bytes -= taken;
        if (conn->payload_left == 0) {
            conn->header_bytes = 0;
            if (load->client) {
                response_end(load, conn);
            }
        }
    }
}

void limit_load_start(struct limit_load *load)
{
    const struct bench_settings *settings = load->settings;
    load->now_ns = clock_read(CLOCK_MONOTONIC);
    load->begin_ns = load->now_ns + (uint64_t)(settings->warmup_seconds * NS_PER_S);
    load->end_ns = load->begin_ns + (uint64_t)(settings->seconds * NS_PER_S);
    for (uint32_t i = 0; i < settings->connections; i++) {
        for (uint32_t j = 0; j < load->conns[i].slot_count; j++) {
            request_write(load, &load->conns[i], load->conns[i].first_slot + j);
        }
    }
}

void limit_load_publish(struct limit_load *load)
{
    atomic_store_explicit(&load->shared->calls, load->calls, memory_order_relaxed);
    atomic_store_explicit(&load->shared->enters, load->enters, memory_order_relaxed);
}

void limit_load_fini(struct limit_load *load)
{
    for (uint32_t i = 0; i < load->settings->connections; i++) {
        const struct limit_conn *conn = &load->conns[i];
        uint64_t bytes = conn->slot_count * (LIMIT_HEADER_BYTES_MAX + (uint64_t)load->settings->size);
        munmap(conn->out[0].data, bytes);
        munmap(conn->out[1].data, bytes);
    }
    free(load->conns);
    free(load->issued_ns);
}
