/* SPDX-License-Identifier: Apache-2.0 */
/* The sum at the start.
 *
 * Happy path: a quarter of the memory each for what is sent and for what is assembled, up to 4 MiB for receiving, and
 * the connections; a shard with little memory has smaller and fewer buffers.
 * Failure modes: what is guaranteed is more than the memory, the descriptors or the ports.  Connections that nobody
 * asked for are left out then; if that does not do, the arithmetic is the error. */
#include "topology/cluster/budget.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/limits.h"
#include "engine/base/spsc.h"
#include "engine/net/conn.h"
#include "engine/reactor/shard.h"
#include "engine/rpc/call.h"
#include "engine/rpc/serve.h"

/* Below this a shard is small: it saves memory rather than time. */
#define SMALL_BYTES (UINT64_C(4) << 20)
/* Four of them with their records fill two pages. */
#define SMALL_BUF_BYTES 1920u
#define SMALL_MAILBOX_SLOTS 32u
#define SMALL_EVENTS 32u
/* Parts of the memory. */
#define SEND_PARTS 4u
#define ARENA_PARTS 4u
#define RECV_PARTS 16u
#define SMALL_PARTS 8u
#define ARENA_BYTES_MOST (UINT64_C(1) << 30)
/* In flight: receive, send, and one of its life. */
#define OPERATIONS_PER_CONNECTION 3u
/* One operation's place in a ring's queues: an entry to submit, and four to complete. */
#define QUEUE_ENTRY_BYTES (64u + 4 * 16u)
#define QUEUE_ENTRIES_LEAST 64u
#define QUEUE_ENTRIES_MOST 1024u
/* A shard's own: ring or poller, timer, wake-up, what a host watches. */
#define SHARD_DESCRIPTORS 4u
/* Beside those: certificates that are read again, logs. */
#define SPARE_DESCRIPTORS 8u
/* Fewer connections are no node. */
#define CONNECTIONS_LEAST 8u
/* A slot's books. */
#define SLOT_BOOKS_BYTES sizeof(struct slot_books)
/* The table of kept requests has at most twice as many heads as requests. */
#define KEPT_HEAD_BYTES (2 * sizeof(uint32_t))
#define KIB 1024.0
#define MIB (1024.0 * 1024.0)

static uint64_t power_of_two_below(uint64_t value)
{
    uint64_t power = 1;
    while (power * 2 <= value) {
        power *= 2;
    }
    return power;
}

static uint32_t clamp(uint64_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : (uint32_t)value;
}

uint32_t budget_calls(uint64_t memory_bytes)
{
    return clamp(memory_bytes / BUDGET_BYTES_PER_CALL, BUDGET_CALLS_LEAST, BUDGET_CALLS_MOST);
}

const char *budget_line_name(enum budget_name name)
{
    static const char *const names[BUDGET_LINES] = {
        [BUDGET_SHARD] = "shard",
        [BUDGET_CONNECTIONS] = "connections",
        [BUDGET_TLS] = "tls sessions",
        [BUDGET_RESERVE] = "send reserve",
        [BUDGET_RECEIVE] = "receive ring",
        [BUDGET_ARENA] = "arena",
        [BUDGET_TABLES] = "calls and requests",
        [BUDGET_MAILBOXES] = "mailboxes",
        [BUDGET_QUEUES] = "io queues",
    };
    return names[name];
}

uint64_t budget_line_bytes(const struct budget *budget, enum budget_name name)
{
    return budget->lines[name].count * budget->lines[name].bytes_each;
}

static void budget_sizes(struct budget *budget, const struct budget_input *input)
{
    uint64_t memory = input->memory_bytes;
    bool small = memory < SMALL_BYTES;
    budget->recv_buf_bytes = small ? SMALL_BUF_BYTES : RECV_BUF_BYTES;
    budget->send_buf_bytes = small ? SMALL_BUF_BYTES : SEND_BUF_BYTES;
    budget->recv_bufs = clamp(power_of_two_below(memory / RECV_PARTS / budget->recv_buf_bytes), 4, RECV_BUFS_DEFAULT);
    uint64_t send_bufs = memory / (small ? SMALL_PARTS : SEND_PARTS) / budget->send_buf_bytes;
    budget->send_bufs = send_bufs < UINT32_MAX ? (uint32_t)send_bufs : UINT32_MAX;
    budget->arena_bytes = power_of_two_below(memory / (small ? SMALL_PARTS : ARENA_PARTS));
    budget->arena_bytes = budget->arena_bytes < ARENA_BYTES_MOST ? budget->arena_bytes : ARENA_BYTES_MOST;
    budget->mailbox_slots = small ? SMALL_MAILBOX_SLOTS : MAILBOX_SLOTS;
    budget->events = small ? SMALL_EVENTS : TURN_COMPLETIONS_MAX;
    /* A queue that is too short is only submitted more often. */
    budget->operations = small ? QUEUE_ENTRIES_LEAST : input->connections * OPERATIONS_PER_CONNECTION;
    budget->payloads = clamp(memory / BUDGET_BYTES_PER_CALL, BUDGET_CALLS_LEAST, PAYLOADS_MAX);
}

/* Everything but the connections. */
static void budget_fixed(struct budget *budget, const struct budget_input *input)
{
    struct budget_line *lines = budget->lines;
    uint64_t entries = QUEUE_ENTRIES_LEAST;
    while (entries < budget->operations && entries < QUEUE_ENTRIES_MOST) {
        entries *= 2;
    }
    lines[BUDGET_SHARD] = (struct budget_line){1, sizeof(struct weft_shard) + budget->events * sizeof(struct io_event)};
    lines[BUDGET_RESERVE] = (struct budget_line){2 * (budget->send_bufs / SEND_RESERVE_PARTS), budget->send_buf_bytes};
    lines[BUDGET_RECEIVE] = (struct budget_line){budget->recv_bufs, budget->recv_buf_bytes};
    lines[BUDGET_ARENA] = (struct budget_line){1, budget->arena_bytes};
    lines[BUDGET_TABLES] = (struct budget_line){
        1, input->calls * (sizeof(struct call) + SLOT_BOOKS_BYTES) +
               input->requests * (sizeof(struct weft_request) + SLOT_BOOKS_BYTES + KEPT_HEAD_BYTES) +
               budget->payloads * (sizeof(struct weft_buf) + sizeof(struct buf) + 2 * SLOT_BOOKS_BYTES) +
               (input->zero_copy ? ZERO_COPY_SENDS_MAX * (sizeof(struct zero_copy_send) + SLOT_BOOKS_BYTES) : 0)};
    lines[BUDGET_MAILBOXES] = (struct budget_line){
        input->shards + 1, sizeof(struct spsc) + budget->mailbox_slots * sizeof(struct spsc_entry)};
    lines[BUDGET_QUEUES] = (struct budget_line){entries, QUEUE_ENTRY_BYTES};
}

static void budget_connections(struct budget *budget, const struct budget_input *input, uint32_t connections)
{
    budget->connections = connections;
    budget->lines[BUDGET_CONNECTIONS] = (struct budget_line){connections, BUDGET_CONNECTION_BYTES};
    budget->lines[BUDGET_TLS] = (struct budget_line){input->tls ? connections : 0, BUDGET_TLS_BYTES};
    budget->total_bytes = 0;
    for (int name = 0; name < BUDGET_LINES; name++) {
        budget->total_bytes += budget_line_bytes(budget, (enum budget_name)name);
    }
}

static void size_print(char *text, uint32_t text_bytes, uint64_t bytes)
{
    if ((double)bytes < MIB) {
        snprintf(text, text_bytes, "%.1f KiB", (double)bytes / KIB);
    } else {
        snprintf(text, text_bytes, "%.1f MiB", (double)bytes / MIB);
    }
}

void budget_print(const struct budget *budget, char *text, uint32_t text_bytes)
{
    char total[32];
    char memory[32];
    size_print(total, sizeof total, budget->total_bytes);
    size_print(memory, sizeof memory, budget->memory_bytes);
    uint32_t used = (uint32_t)snprintf(text, text_bytes, "%s of %s per shard", total, memory);
    for (int i = 0; i < BUDGET_LINES && used < text_bytes; i++) {
        const struct budget_line *line = &budget->lines[i];
        char bytes[32];
        size_print(bytes, sizeof bytes, budget_line_bytes(budget, (enum budget_name)i));
        if (line->count == 0) {
            continue;
        }
        const char *name = budget_line_name((enum budget_name)i);
        const char *joint = used < text_bytes && strchr(text, ':') == NULL ? ":" : ",";
        used += (uint32_t)(line->count == 1 ? snprintf(text + used, text_bytes - used, "%s %s %s", joint, name, bytes)
                                            : snprintf(text + used, text_bytes - used, "%s %s %llu x %llu B = %s",
                                                       joint, name, (unsigned long long)line->count,
                                                       (unsigned long long)line->bytes_each, bytes));
    }
}

static enum weft_err budget_fit_memory(struct budget *budget, const struct budget_input *input, struct weft_error *why)
{
    if (budget->total_bytes <= budget->memory_bytes) {
        return WEFT_OK;
    }
    uint64_t each = BUDGET_CONNECTION_BYTES + (input->tls ? BUDGET_TLS_BYTES : 0);
    uint64_t others = budget->total_bytes - budget->connections * each;
    uint64_t fit = others < budget->memory_bytes ? (budget->memory_bytes - others) / each : 0;
    if (!input->connections_given && fit > 0) {
        snprintf(budget->lowered, sizeof budget->lowered,
                 "%llu connections per shard instead of %u: more do not fit memory_per_shard", (unsigned long long)fit,
                 budget->connections);
        budget_connections(budget, input, (uint32_t)fit);
        return WEFT_OK;
    }
    char text[WEFT_ERROR_TEXT_BYTES];
    budget_print(budget, text, sizeof text);
    return weft_error_set(why, WEFT_ERR_CONFIG,
                          "memory_per_shard is too small, raise it or lower connections_max: %.420s", text);
}

static enum weft_err budget_fit_descriptors(struct budget *budget, const struct budget_input *input,
                                            struct weft_error *why)
{
    if (input->descriptors == 0) {
        return WEFT_OK;
    }
    uint64_t shards = input->shards;
    uint64_t own = input->descriptors_open + SPARE_DESCRIPTORS + shards * (SHARD_DESCRIPTORS + input->listeners);
    uint64_t fit = input->descriptors > own ? (input->descriptors - own) / shards : 0;
    uint32_t least = budget->connections < CONNECTIONS_LEAST ? budget->connections : CONNECTIONS_LEAST;
    if (fit < least) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "%llu file descriptors (RLIMIT_NOFILE) do not do: %u open + %u spare + %u shard%s x "
                              "(%u + %u listening + %u connections) = %llu; raise the limit (ulimit -n)",
                              (unsigned long long)input->descriptors, input->descriptors_open, SPARE_DESCRIPTORS,
                              input->shards, input->shards == 1 ? "" : "s", SHARD_DESCRIPTORS, input->listeners, least,
                              (unsigned long long)(own + shards * least));
    }
    if (fit < budget->connections) {
        snprintf(budget->lowered, sizeof budget->lowered,
                 "%llu connections per shard instead of %u: RLIMIT_NOFILE is %llu (ulimit -n)", (unsigned long long)fit,
                 budget->connections, (unsigned long long)input->descriptors);
        budget_connections(budget, input, (uint32_t)fit);
    }
    budget->descriptors = own + shards * budget->connections;
    budget->descriptors_max = input->descriptors;
    return WEFT_OK;
}

enum weft_err budget_make(const struct budget_input *input, struct budget *budget, struct weft_error *why)
{
    memset(budget, 0, sizeof *budget);
    budget->memory_bytes = input->memory_bytes;
    budget_sizes(budget, input);
    budget_fixed(budget, input);
    budget_connections(budget, input, input->connections);
    if (input->ports != 0 && input->dials > input->ports) {
        return weft_error_set(why, WEFT_ERR_CONFIG,
                              "%u connections to one peer and %u source ports (net.ipv4.ip_local_port_range): lower "
                              "connections_per_peer_max, or widen the range",
                              input->dials, input->ports);
    }
    WEFT_TRY(budget_fit_descriptors(budget, input, why));
    return budget_fit_memory(budget, input, why);
}
