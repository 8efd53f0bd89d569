/* SPDX-License-Identifier: Apache-2.0 */
/* The host owns the threads: one thread with one poll loop runs the shards of two nodes, one of which calls the other.
 *
 *   cc hosted.c $(pkg-config --cflags --libs weft) -o hosted && ./hosted
 *
 * Exit codes: 0 greeted, 1 something failed (one line on stderr says what). */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

#define GREET 1
#define SERVER_ADDRESS "127.0.1.3"

/* A node with one shard, and what the loop watches for it. */
struct guest {
    weft_node *node;
    weft_shard *shard;
    bool ended;
};

struct greeting {
    bool ended;
    bool greeted;
};

static void on_greet(void *ctx, weft_request *request)
{
    (void)ctx;
    weft_reply(request, weft_request_payload(request));
}

/* Inside of weft_shard_run_once, on this very thread: nothing needs a lock. */
static void on_reply(void *ctx, enum weft_err err, const struct weft_reply *reply)
{
    struct greeting *greeting = ctx;
    greeting->ended = true;
    greeting->greeted = !err;
    if (err) {
        fprintf(stderr, "%s: %s\n", weft_err_name(err), reply->error.text);
    } else {
        printf("%.*s\n", (int)reply->payload.bytes, (const char *)reply->payload.data);
    }
}

static void on_ready(void *ctx, weft_shard *shard)
{
    struct greeting *greeting = ctx;
    struct weft_call_options options = WEFT_CALL_OPTIONS_INIT;
    options.wait_for_peer = true; /* the server's shard may have its first turn after this one */
    weft_peer_id server = weft_peer_find(shard, SERVER_ADDRESS);
    if (weft_call(shard, server, GREET, weft_span_of("hello from one thread"), &options, on_reply, greeting)) {
        greeting->ended = true;
    }
}

/* The nodes take their memory from the host, which keeps books of it.  With one thread there is no need for a lock. */
static void *host_allocate(void *ctx, size_t bytes, size_t alignment)
{
    size_t *held = ctx;
    void *memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    *held += memory != NULL ? bytes : 0;
    return memory;
}

static void host_release(void *ctx, void *memory, size_t bytes)
{
    size_t *held = ctx;
    *held -= bytes;
    free(memory);
}

/* Start, and take the shard onto this thread. */
static enum weft_err guest_start(struct guest *guest, const struct weft_node_options *options, weft_task_fn *ready,
                                 void *ctx, struct weft_error *why)
{
    enum weft_err err = weft_node_create(&guest->node, options, why);
    if (!err) {
        err = weft_node_handle(guest->node, GREET, on_greet, NULL, why);
    }
    if (!err) {
        err = weft_node_start_hosted(guest->node, ready, ctx, why);
    }
    return err ? err : weft_shard_attach(guest->node, 0, &guest->shard, why);
}

/* A host has descriptors of its own to watch as well. */
static void loop_once(struct guest *guests, nfds_t count)
{
    struct pollfd watched[2];
    for (nfds_t i = 0; i < count; i++) { /* poll passes over what is negative */
        watched[i] = (struct pollfd){.fd = guests[i].ended ? -1 : weft_shard_fd(guests[i].shard), .events = POLLIN};
    }
    poll(watched, count, -1);
    for (nfds_t i = 0; i < count; i++) {
        if (watched[i].revents != 0) {
            guests[i].ended = weft_shard_run_once(guests[i].shard, 0) == WEFT_ERR_CLOSED;
        }
    }
}

int main(void)
{
    struct weft_error why = {0};
    struct greeting greeting = {0};
    struct guest guests[2] = {{0}};
    struct weft_peer_options peer = WEFT_PEER_OPTIONS_INIT;
    struct weft_node_options server = WEFT_NODE_OPTIONS_INIT;
    struct weft_node_options client = WEFT_NODE_OPTIONS_INIT;
    size_t held = 0;
    const struct weft_allocator allocator = {.allocate = host_allocate, .release = host_release, .ctx = &held};
    server.allocator = client.allocator = &allocator;
    server.memory_per_shard_bytes = client.memory_per_shard_bytes = 16u << 20;
    server.connections_max = client.connections_max = 64;
    server.listen_address = SERVER_ADDRESS;
    server.shards = client.shards = "1";
    client.client_only = true;
    client.peers = &peer;
    client.peer_count = 1;
    peer.addresses[0] = SERVER_ADDRESS;
    if (guest_start(&guests[0], &server, NULL, NULL, &why) ||
        guest_start(&guests[1], &client, on_ready, &greeting, &why)) {
        fprintf(stderr, "%s\n", why.text);
    } else {
        while (!greeting.ended) {
            loop_once(guests, 2);
        }
        weft_node_drain(guests[0].node);
        weft_node_drain(guests[1].node);
        while (!guests[0].ended || !guests[1].ended) {
            loop_once(guests, 2);
        }
    }
    weft_node_destroy(guests[0].node);
    weft_node_destroy(guests[1].node);
    if (held != 0) {
        fprintf(stderr, "%zu bytes did not come back\n", held);
    }
    return greeting.greeted && held == 0 ? 0 : 1;
}
