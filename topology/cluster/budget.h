/* SPDX-License-Identifier: Apache-2.0 */
/* What a node's options come to: the sizes of a shard's parts, and the sum of what is guaranteed to whom.
 *
 * Pure: options and limits of the process in, a table of named lines out.  What is guaranteed is there whatever others
 * do; queues may grow beyond that into what is left, up to their own limits. */
#ifndef TOPOLOGY_CLUSTER_BUDGET_H
#define TOPOLOGY_CLUSTER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/error.h>

/* Of ours, for a connection that is idle: its channel, its link, its timers and one partial header. */
#define BUDGET_CONNECTION_BYTES 4096u
/* Of OpenSSL's, for one that is encrypted: measured, with buffers released when idle. */
#define BUDGET_TLS_BYTES (24u * 1024)
/* The least that a shard works with. */
#define BUDGET_MEMORY_BYTES_MIN (UINT64_C(128) * 1024)
#define BUDGET_MEMORY_BYTES_MAX (UINT64_C(1) << 40)
/* Calls, requests and payloads in flight that a shard has by itself: one for so many bytes of memory. */
#define BUDGET_BYTES_PER_CALL (UINT64_C(8) * 1024)
#define BUDGET_CALLS_LEAST 16u
#define BUDGET_CALLS_MOST 16384u

struct budget_input {
    uint64_t memory_bytes; /* of a shard */
    uint32_t shards;
    uint32_t connections;   /* of a shard */
    bool connections_given; /* on purpose; else fewer will do */
    uint32_t calls;
    uint32_t requests;
    uint32_t peers;
    uint32_t listeners; /* ports */
    bool tls;
    bool zero_copy;
    uint64_t descriptors;      /* that the process may have; 0: not known */
    uint32_t descriptors_open; /* of these, in use before the start */
    uint32_t ports;            /* that dials get; 0: not known */
    uint32_t dials;            /* most connections to one peer, over all shards */
};

enum budget_name {
    BUDGET_SHARD = 0,
    BUDGET_CONNECTIONS,
    BUDGET_TLS,
    BUDGET_RESERVE,
    BUDGET_RECEIVE,
    BUDGET_ARENA,
    BUDGET_TABLES,
    BUDGET_MAILBOXES,
    BUDGET_QUEUES,
    BUDGET_LINES
};

struct budget_line {
    uint64_t count;
    uint64_t bytes_each;
};

struct budget {
    uint64_t memory_bytes;
    uint64_t total_bytes; /* guaranteed, of memory_bytes */
    struct budget_line lines[BUDGET_LINES];
    uint64_t descriptors; /* needed by the whole process; 0: not looked at */
    uint64_t descriptors_max;
    /* Sizes of a shard's parts. */
    uint32_t connections;
    uint32_t recv_bufs;
    uint32_t recv_buf_bytes;
    uint32_t send_bufs;
    uint32_t send_buf_bytes;
    uint64_t arena_bytes;
    uint32_t mailbox_slots;
    uint32_t events;
    uint32_t operations; /* that the queues are made for */
    uint32_t payloads;
    char lowered[128]; /* why there are fewer connections than usual; "": there are not */
};

/* Calls that a shard of so much memory has by itself. */
uint32_t budget_calls(uint64_t memory_bytes);
/* @return ok | CONFIG: it does not fit, and why shows the sum in one line */
WEFT_NODISCARD enum weft_err budget_make(const struct budget_input *input, struct budget *budget,
                                         struct weft_error *why);
/* "connections", "receive ring", ... */
const char *budget_line_name(enum budget_name name);
uint64_t budget_line_bytes(const struct budget *budget, enum budget_name name);
/* The table as one line: "2.9 of 256.0 MiB guaranteed: connections 4096 x 4096 = 16.0 MiB, ..." */
void budget_print(const struct budget *budget, char *text, uint32_t text_bytes);

#endif
